import Foundation
import HeadwaterModel
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver
import Testing

@Suite struct AdapterTests {
  let folder = Folder()

  @Test func fillsPublishesAndFollows() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    #expect(try await adapter.checkpoint() == nil)
    var feeder = Feeder(adapter, shop)
    // The product stands before its supplier, as collections do in a snapshot.
    try await feeder.publish(
      1,
      [
        put(0, shop, product("a", "Anvil", "9.90", supplier: 1)),
        put(1, shop, supplier(1, vat: "x")),
      ])
    let reader = try folder.connection()
    #expect(
      try reader.table("SELECT sku, name, price, supplier FROM Product") == ["a|Anvil|9.9|1"])
    try await feeder.apply(
      [
        remove(0, shop, product("a", "Anvil", "9.90", supplier: 1)),
        remove(1, shop, supplier(1, vat: "x")),
        put(0, shop, product("b", "Bolt", "0.05", supplier: 2)),
        put(1, shop, supplier(2, vat: "x")),
      ], tail: 1)
    #expect(try reader.table("SELECT sku, supplier FROM Product") == ["b|2"])
    #expect(try reader.table("SELECT id, vat FROM Supplier") == ["2|x"])
    #expect(try await adapter.checkpoint() == feeder.last)
    #expect(try reader.table("PRAGMA integrity_check") == ["ok"])
    #expect(try reader.table("PRAGMA foreign_key_check") == [])
    #expect(
      try reader.table("SELECT name FROM sqlite_schema WHERE name LIKE '%g1%'") == [])
    #expect(
      try reader.table(
        "SELECT collection, field, table_name, column_name, type FROM headwater_names"
      )
      .prefix(3) == [
        "Product|NULL|Product|NULL|NULL", "Product|sku|Product|sku|Text(32)",
        "Product|name|Product|name|Text",
      ])
    #expect(
      try reader.table("SELECT phase, generation, position, mirror FROM headwater_checkpoint")
        == ["tail|1|4|m"])
  }

  @Test func uniqueValuesMoveWithinABatch() async throws {
    var feeder = Feeder(SQLiteAdapter(path: folder.file), shop)
    try await feeder.publish(
      1, [put(1, shop, supplier(1, vat: "x")), put(1, shop, supplier(2, vat: "y"))])
    try await feeder.apply(
      [
        put(1, shop, supplier(1, vat: "y"), before: supplier(1, vat: "x")),
        put(1, shop, supplier(2, vat: "x"), before: supplier(2, vat: "y")),
      ], tail: 1)
    #expect(
      try folder.connection().table("SELECT id, vat FROM Supplier ORDER BY id") == ["1|y", "2|x"])
  }

  @Test func manyRowsInOneBatch() async throws {
    var feeder = Feeder(SQLiteAdapter(path: folder.file), shop)
    for count in [1, 7, 8, 9, 63, 64, 65, 200] {
      try await feeder.publish(
        Int64(count),
        (0..<count).map { put(1, shop, supplier(Int64($0), vat: "v\($0)", town: "t\($0)")) })
      let reader = try folder.connection()
      #expect(
        try reader.table("SELECT count(*), sum(town = 't' || id AND vat = 'v' || id) FROM Supplier")
          == ["\(count)|\(count)"])
    }
    // The same again as updates.
    try await feeder.apply(
      (0..<200).map { put(1, shop, supplier(Int64($0), vat: "v\($0)", town: "new")) }, tail: 200)
    #expect(
      try folder.connection().table("SELECT count(*), sum(town = 'new') FROM Supplier")
        == ["200|200"])
  }

  // MARK: Fencing

  @Test func anAcknowledgementThatWasLostIsNothing() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    let batch = feeder.batch([put(1, shop, supplier(2))], .tail(generation: 1))
    try await adapter.apply(batch)
    try folder.connection().execute("DELETE FROM Supplier WHERE id = 2")
    try await adapter.apply(batch)
    // It was not applied again.
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1"])
  }

  @Test func aBatchThatDoesNotContinueIsRefused() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    var stale = feeder
    stale.last = .at(1, .tail(generation: 1))
    let refused = try await failure { [stale] in
      try await adapter.apply(stale.batch([.begin(generation: 2)], .tail(generation: 2)))
    }
    #expect(refused.code == .diverged)
    stale.last = nil
    let fresh = try await failure { [stale] in
      try await adapter.apply(stale.batch([.begin(generation: 2)], .tail(generation: 2)))
    }
    #expect(fresh.code == .diverged)
    let foreign = try await failure {
      try await adapter.apply(
        ChangeBatch(
          previous: nil, steps: [.begin(generation: 1)],
          checkpoint: .at(1, .tail(generation: 1), database: 2), schema: shop))
    }
    #expect(foreign.code == .diverged)
    #expect(foreign.recovery == .halt)
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1"])
    #expect(try await adapter.checkpoint() == feeder.last)
  }

  @Test func twoAdaptersOnOneFile() async throws {
    let first = SQLiteAdapter(path: folder.file)
    let second = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(first, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    #expect(try await second.checkpoint() == feeder.last)
    let one = feeder.batch([put(1, shop, supplier(2))], .tail(generation: 1))
    let other = ChangeBatch(
      previous: feeder.last, steps: [put(1, shop, supplier(3))],
      checkpoint: .at(99, .tail(generation: 1)), schema: shop)
    var refused = 0
    await withTaskGroup(of: Bool.self) { group in
      group.addTask { (try? await first.apply(one)) == nil }
      group.addTask { (try? await second.apply(other)) == nil }
      for await failed in group where failed { refused += 1 }
    }
    #expect(refused == 1)
    #expect(try folder.connection().table("SELECT count(*) FROM Supplier") == ["2"])
  }

  // MARK: Nothing is done by halves

  @Test func aBatchThatFailsLeavesWhatWasThere() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    let before = feeder.last
    let dangling = try await failure { [feeder] in
      try await adapter.apply(
        feeder.batch(
          [put(1, shop, supplier(2)), put(0, shop, product("a", "A", supplier: 7_345_621))],
          .tail(generation: 1)))
    }
    #expect(dangling.code == .damaged)
    #expect(dangling.recovery == .rebuild)
    #expect(!dangling.message.contains("7345621"))
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1"])
    #expect(try await adapter.checkpoint() == before)
    // The adapter goes on.
    try await feeder.apply([put(1, shop, supplier(2))], tail: 1)
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1", "2"])
  }

  @Test func aProcessThatDiesLeavesWhatWasThere() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, shop)
    try await feeder.publish(1, [put(1, shop, supplier(1))])
    // A second writer gets as far as the middle of a batch and disappears.
    var dying: Connection? = try folder.connection()
    try dying?.execute("BEGIN IMMEDIATE; DELETE FROM Supplier; DELETE FROM headwater_checkpoint")
    dying = nil
    #expect(try await adapter.checkpoint() == feeder.last)
    #expect(try folder.connection().table("SELECT id FROM Supplier") == ["1"])
    try await feeder.apply([put(1, shop, supplier(2))], tail: 1)
  }

  @Test func anUnknownStepOrderIsRefused() async throws {
    let adapter = SQLiteAdapter(path: folder.file)
    let feeder = Feeder(adapter, shop)
    for steps: [ChangeBatch.Step] in [
      [put(1, shop, supplier(1))], [.publish(generation: 1)],
    ] {
      let error = try await failure {
        try await adapter.apply(feeder.batch(steps, .tail(generation: 1)))
      }
      #expect(error.code == .misuse)
    }
    let error = try await failure {
      try await adapter.apply(
        feeder.batch([.migrate(from: shop, to: shop)], .tail(generation: 1)))
    }
    #expect(error.code == .unsupported)
    #expect(error.recovery == .rebuild)
  }
}
