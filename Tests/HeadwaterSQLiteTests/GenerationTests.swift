import Foundation
import HeadwaterModel
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver
import Testing

@Suite struct GenerationTests {
  let folder = Folder()

  @Test func readersSeeTheOldOrTheNewAndNothingBetween() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1, town: "old"))])
    let path = folder.file
    let stop = Flag()
    // A reader looks all the while: at every moment one generation as a whole, products with their suppliers.
    let reader = Task.detached { () throws -> [String] in
      let connection = try Connection(path: path, mode: .readOnly)
      connection.setBusyTimeout(milliseconds: 5_000)
      var seen: [String] = []
      while !stop.isSet {
        let state = try connection.readTransaction {
          try connection.table(
            "SELECT (SELECT count(*) || min(town) || max(town) FROM Supplier) || "
              + "(SELECT count(*) FROM Product)")[0]
        }
        if seen.last != state { seen.append(state) }
      }
      return seen
    }
    try await feeder.apply([.begin(generation: 2)], filling: 2)
    for page in 0..<20 {
      try await feeder.apply(
        (0..<50).map { put(1, shop, supplier(Int64(page * 50 + $0), town: "new")) }, filling: 2)
    }
    try await feeder.apply(
      [put(0, shop, product("a", "A", supplier: 3)), .publish(generation: 2)], tail: 2)
    try await Task.sleep(for: .milliseconds(50))
    stop.set()
    let seen = try await reader.value
    #expect(["1oldold0", "1000newnew1"].starts(with: seen) || seen == ["1000newnew1"])
    #expect(seen.last == "1000newnew1")
  }

  @Test func whatUsersAddedSurvivesANewGeneration() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1, town: "Ulm"))])
    let user = try folder.connection()
    try user.execute(
      """
      CREATE TABLE notes (id INTEGER PRIMARY KEY, supplier INTEGER, text TEXT);
      INSERT INTO notes VALUES (1, 1, 'nice people');
      CREATE VIEW annotated AS SELECT town, text FROM Supplier JOIN notes ON supplier = Supplier.id;
      CREATE VIEW broken AS SELECT * FROM nowhere;
      CREATE INDEX my_index ON Supplier (length(town));
      CREATE TABLE audit (town TEXT);
      CREATE TRIGGER watch AFTER INSERT ON Supplier BEGIN INSERT INTO audit VALUES (new.town); END;
      CREATE TRIGGER other AFTER DELETE ON notes BEGIN DELETE FROM Product WHERE sku = 'no'; END;
      CREATE TRIGGER price_watch AFTER UPDATE OF price ON Product BEGIN SELECT 1; END;
      """)
    let before = try user.table(
      "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('view','trigger') ORDER BY name")
    try await feeder.publish(2, [put(1, shop, supplier(1, town: "Bonn"))])
    #expect(try user.table("SELECT * FROM annotated") == ["Bonn|nice people"])
    #expect(
      try user.table(
        "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('view','trigger') ORDER BY name")
        == before)
    try await feeder.apply([put(1, shop, supplier(2, town: "Kiel"))], tail: 2)
    #expect(
      try user.table(#"SELECT "table", "from", "to" FROM pragma_foreign_key_list('Product')"#)
        == ["Supplier|supplier|id"])
    #expect(try user.table("SELECT * FROM audit") == ["Kiel"])
    #expect(
      try user.table("SELECT name FROM pragma_index_list('Supplier') WHERE name = 'my_index'")
        == ["my_index"])
    #expect(try user.table("SELECT * FROM headwater_orphans") == [])
    // A schema without the column: the index cannot be made again and is kept as text.
    let smaller = schema([
      collection("Supplier", [field("id", .int, key: true)])
    ])
    feeder.schema = smaller
    try await feeder.publish(3, [put(0, smaller, Row([.int(1)]))])
    #expect(
      try user.table("SELECT name, kind FROM headwater_orphans ORDER BY name").first
        == "my_index|index")
    #expect(
      try user.table(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'headwater_%' ORDER BY name"
      ) == ["Supplier", "audit", "notes"])
  }

  @Test func somebodyElsesTableIsInTheWay() async throws {
    let other = try Connection(path: folder.file, mode: .createIfMissing)
    try other.execute("CREATE TABLE supplier (mine TEXT); INSERT INTO supplier VALUES ('keep')")
    let adapter = SQLiteAdapter(path: folder.file)
    let feeder = Feeder(adapter, shop)
    let error = try await failure {
      try await adapter.apply(
        feeder.batch(
          [.begin(generation: 1)], .snapshot(generation: 1, progress: .rows(upTo: nil))))
    }
    #expect(error.code == .occupied)
    #expect(error.recovery == .halt)
    #expect(error.message.contains("Supplier"))
    #expect(try other.table("SELECT * FROM supplier") == ["keep"])
    #expect(try other.table("SELECT count(*) FROM sqlite_schema") == ["1"])
  }

  @Test func somebodyElsesTableComesWhileAGenerationIsFilled() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.apply([.begin(generation: 1)], filling: 1)
    let other = try folder.connection()
    for taken in [
      "CREATE VIEW PRODUCT AS SELECT 1 AS x", "CREATE TABLE product (x)",
      "CREATE TABLE Supplier_town_index (x)",
    ] {
      try other.execute(taken)
      let error = try await failure { [feeder] in
        try await adapter.apply(
          feeder.batch([.publish(generation: 1)], .tail(generation: 1)))
      }
      #expect(error.code == .occupied, "\(taken)")
      try other.execute(
        "DROP \(taken.contains("VIEW") ? "VIEW" : "TABLE") "
          + taken.split(separator: " ")[2])
    }
    try await feeder.apply([.publish(generation: 1)], tail: 1)
    #expect(try other.table("PRAGMA integrity_check") == ["ok"])
  }

  @Test func aGenerationThatWasNotPublishedIsDiscarded() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    try await feeder.apply([.begin(generation: 2), put(1, shop, supplier(5))], filling: 2)
    try await feeder.apply([.begin(generation: 3), put(1, shop, supplier(6))], filling: 3)
    // The adapter is another one from here on, as after a crash.
    var next = Feeder(SQLiteAdapter(path: folder.file), shop)
    next.last = feeder.last
    next.position = feeder.position
    try await next.apply([put(1, shop, supplier(7))], filling: 3)
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1"])
    try await next.apply([.publish(generation: 3)], tail: 3)
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["6", "7"])
    #expect(
      try folder.connection().table(
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_\\_g%' ESCAPE '\\'") == ["0"])
  }

  @Test func aDanglingReferenceIsNotPublished() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.apply(
      [.begin(generation: 1), put(0, shop, product("a", "A", supplier: 5))], filling: 1)
    let error = try await failure { [feeder] in
      try await adapter.apply(feeder.batch([.publish(generation: 1)], .tail(generation: 1)))
    }
    #expect(error.code == .damaged)
    #expect(error.recovery == .rebuild)
    // Caught up, it is.
    try await feeder.apply([put(1, shop, supplier(5)), .publish(generation: 1)], tail: 1)
    #expect(try folder.connection().table("PRAGMA foreign_key_check") == [])
  }

  @Test func tablesThatWereChangedAreRebuilt() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    var generation: Int64 = 1
    try await feeder.publish(generation, [put(1, shop, supplier(1))])
    let user = try folder.connection()
    for vandalism in [
      "ALTER TABLE Supplier ADD COLUMN mine TEXT",
      "ALTER TABLE Supplier RENAME COLUMN town TO city",
      "DROP TABLE Product", "ALTER TABLE Product RENAME TO Ware",
    ] {
      try user.execute(vandalism)
      let error = try await failure { [feeder, generation] in
        try await adapter.apply(
          feeder.batch([put(1, shop, supplier(2))], .tail(generation: generation)))
      }
      #expect(error.code == .damaged, "\(vandalism)")
      #expect(error.recovery == .rebuild)
      generation += 1
      try await feeder.publish(generation, [put(1, shop, supplier(1))])
    }
    #expect(try user.table("SELECT id, town FROM Supplier") == ["1|Ulm"])
    #expect(try user.table("PRAGMA integrity_check") == ["ok"])
  }

  @Test func namesOfGenerationsGiveWay() async throws {
    let user = try Connection(path: folder.file, mode: .createIfMissing)
    try user.execute("CREATE TABLE supplier__g1 (x TEXT)")
    let nasty = schema([
      collection("Supplier", [field("id", .int, key: true)]),
      collection("Supplier__g1_", [field("id", .int, key: true)]),
    ])
    var feeder = Feeder(SQLiteAdapter(path: folder.file), nasty)
    try await feeder.publish(
      1, [put(0, nasty, Row([.int(1)])), put(1, nasty, Row([.int(2)]))])
    #expect(
      try user.table("SELECT id FROM Supplier UNION ALL SELECT id FROM Supplier__g1_") == [
        "1", "2",
      ])
    #expect(try user.table("SELECT count(*) FROM supplier__g1") == ["0"])
  }
}

/// A flag that is set once.
final class Flag: Sendable {
  private let lock = NSLock()
  private nonisolated(unsafe) var value = false

  var isSet: Bool { lock.withLock { value } }
  func set() { lock.withLock { value = true } }
}
