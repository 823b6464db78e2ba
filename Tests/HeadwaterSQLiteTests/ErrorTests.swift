import Foundation
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver
import Testing

@testable import HeadwaterModel

@Suite struct ErrorTests {
  let folder = Folder()

  @Test func aFileThatIsNoDatabase() async throws {
    try Data("This is a letter, not a database. ".utf8).write(to: URL(filePath: folder.file))
    let adapter = SQLiteAdapter(path: folder.file)
    let error = try await failure { _ = try await adapter.checkpoint() }
    #expect(error.code == .damaged)
    #expect(error.recovery == .halt)
    #expect(error.message.contains("delete the file"))
  }

  @Test func aFolderThatIsMissing() async throws {
    let adapter = SQLiteAdapter(path: folder.path + "/nowhere/mirror.sqlite")
    let error = try await failure { _ = try await adapter.checkpoint() }
    #expect(error.code == .permission)
    #expect(error.recovery == .halt)
  }

  @Test func aFileThatIsLocked() async throws {
    let adapter = SQLiteAdapter(path: folder.file, busyTimeout: 20)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [])
    let other = try folder.connection()
    try other.execute("BEGIN IMMEDIATE")
    let error = try await failure { [feeder] in
      try await adapter.apply(feeder.batch([], .tail(generation: 1)))
    }
    #expect(error.code == .unavailable)
    #expect(error.recovery == .retry)
    try other.execute("ROLLBACK")
    try await feeder.apply([put(1, shop, supplier(1))], tail: 1)
  }

  @Test func aFileThatWasDeletedMeanwhile() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    for end in ["", "-wal", "-shm"] {
      try FileManager.default.removeItem(atPath: folder.file + end)
    }
    let error = try await failure { [feeder] in
      try await adapter.apply(feeder.batch([put(1, shop, supplier(2))], .tail(generation: 1)))
    }
    #expect(error.code == .diverged)
    #expect(try await adapter.checkpoint() == nil)
    var fresh = Feeder(adapter, shop)
    try await fresh.publish(1, [put(1, shop, supplier(1))])
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1"])
  }

  @Test func rowsThatSomebodyChangedCollide() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    try folder.connection().execute("INSERT INTO Supplier VALUES (99, 'secret', 'Rome')")
    let error = try await failure { [feeder] in
      try await adapter.apply(
        feeder.batch([put(1, shop, supplier(2, vat: "secret"))], .tail(generation: 1)))
    }
    #expect(error.code == .damaged)
    #expect(error.recovery == .rebuild)
    #expect(!error.message.contains("secret"))
  }

  @Test func aTriggerThatRefuses() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [])
    try folder.connection().execute(
      "CREATE TRIGGER no BEFORE INSERT ON Supplier BEGIN SELECT RAISE(ABORT, 'never'); END")
    let error = try await failure { [feeder] in
      try await adapter.apply(feeder.batch([put(1, shop, supplier(2))], .tail(generation: 1)))
    }
    #expect(error.code == .permission)
    #expect(error.recovery == .halt)
  }

  @Test func tablesCalledLikeOurs() async throws {
    let other = try Connection(path: folder.file, mode: .createIfMissing)
    try other.execute("CREATE TABLE Headwater_Names (x)")
    let error = try await failure { [folder] in
      _ = try await SQLiteAdapter(path: folder.file).checkpoint()
    }
    #expect(error.code == .occupied)
    #expect(error.recovery == .halt)
  }

  @Test func rowsThatNoMirrorWroteAreDamage() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(0, shop, product("a", "A"))])
    try folder.connection().execute("UPDATE Product SET price = 0.123")
    let error = try await failure {
      _ = try await adapter.rows(of: 0, in: shop, after: nil, limit: 9)
    }
    #expect(error.code == .damaged)
    #expect(error.recovery == .rebuild)
  }

  @Test func repairMakesRowsWhatTheyShouldBe() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    let rows = [supplier(1, vat: "a"), supplier(2, vat: "b")]
    let ware = product("x", "X", supplier: 1)
    try await feeder.publish(1, rows.map { put(1, shop, $0) } + [put(0, shop, ware)])
    try folder.connection().execute(
      "UPDATE Supplier SET vat = 't' WHERE id = 1; UPDATE Supplier SET vat = 'a' WHERE id = 2;"
        + "INSERT INTO Supplier VALUES (3, 'c', ''); DELETE FROM Product")
    func change(_ collection: Int, _ row: Row, _ after: Row?) -> Change {
      Change(
        collection: collection, key: shop.collections[collection].key(of: row)!, before: nil,
        after: after, cause: cause)
    }
    let changes = [
      change(0, ware, ware), change(1, rows[0], rows[0]), change(1, rows[1], rows[1]),
      change(1, supplier(3), nil),
    ]
    let error = try await failure {
      try await adapter.repair(changes, schema: shop, at: .at(1, .tail(generation: 1)))
    }
    #expect(error.code == .diverged)
    try await adapter.repair(changes, schema: shop, at: try #require(feeder.last))
    #expect(try await adapter.rows(of: 1, in: shop, after: nil, limit: 9) == rows)
    #expect(try await adapter.rows(of: 0, in: shop, after: nil, limit: 9) == [ware])
    #expect(try await adapter.checkpoint() == feeder.last)
  }

  /// A check that came with an upgrade binds new writes only: older rows may fail it.
  @Test func rowsOlderThanACheckAreTaken() async throws {
    let schema = try Schema.parse(
      "schema T\nallow everything\ncollection A { id: Int @key  n: Int @check(n > 0) }")
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, schema)
    try await feeder.publish(1, [put(0, schema, Row([.int(1), .int(-5)]))])
    #expect(
      try await adapter.rows(of: 0, in: schema, after: nil, limit: 9) == [Row([.int(1), .int(-5)])])
  }

  @Test func aRowOfOtherTypesIsRefused() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    let feeder = Feeder(adapter, shop)
    for row in [Row([.int(1)]), Row([.int(1), .int(2), .int(3)])] {
      let error = try await failure {
        try await adapter.apply(
          feeder.batch([.begin(generation: 1), put(1, shop, row)], .tail(generation: 1)))
      }
      #expect(error.code == .misuse)
    }
    #expect(try await adapter.checkpoint() == nil)
  }
}
