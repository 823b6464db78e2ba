import AdapterContract
import HeadwaterMemory
import HeadwaterModel
import HeadwaterStream
import Testing

@Suite(.timeLimit(.minutes(10))) struct MemoryAdapterTests {
  static let schema = try! Schema.parse(
    """
    schema Shop
    collection Product {
      sku: Text(32) @key
      price: Decimal(12, 2)? @index
      code: Int @readonly @unique
      note: Text
    }
    collection Stock {
      product: Product @key
      shelf: Int @key
      count: Int
    }
    allow everything
    """)

  private let source = ScriptedSource(schema: schema)
  private let memory = MemoryAdapter()

  private func product(_ sku: String, _ price: String?, _ code: Int, _ note: String = "")
    -> ScriptedSource.Write
  {
    .put(
      0,
      Row([
        .text(sku), price.map { .decimal(ExactDecimal($0)!) }, .int(Int64(code)), .text(note),
      ]))
  }

  private func stock(_ sku: String, _ shelf: Int, _ count: Int) -> ScriptedSource.Write {
    .put(1, Row([.reference(Key([.text(sku)])), .int(Int64(shelf)), .int(Int64(count))]))
  }

  private func price(_ text: String) -> Value { .decimal(ExactDecimal(text)!) }

  private func synchronise() async throws {
    _ = try await Mirror(name: "m", sink: "memory:", source: source, adapter: memory).synchronise()
  }

  private func fill() async throws {
    source.commit([
      product("a", "9.90", 3), product("b", "10", 2), product("c", nil, 1), product("d", "-1", 9),
      product("e", "9.9", 4),
    ])
    source.commit([stock("a", 2, 5), stock("a", 10, 6), stock("b", 1, 7), stock("a", -3, 8)])
    try await synchronise()
  }

  @Test func `nothing is there before the first publication`() {
    #expect(memory.snapshot() == nil)
    #expect(memory.row("Product", Key([.text("a")])) == nil)
  }

  @Test func `finds rows by key, with values by name`() async throws {
    try await fill()
    let row = try #require(memory.row("Product", Key([.text("a")])))
    #expect(row.text("sku") == "a" && row.decimal("price") == ExactDecimal("9.9"))
    #expect(row.int("code") == 3 && row["nothing"] == nil && row.int("note") == nil)
    #expect(row.key == Key([.text("a")]))
    #expect(memory.row("Product", Key([.text("z")])) == nil)
    #expect(memory.row("Nothing", Key([.text("a")])) == nil)
    let stock = try #require(memory.row("Stock", Key([.reference(row.key), .int(10)])))
    #expect(stock.reference("product") == row.key && stock.int("count") == 6)
  }

  @Test func `lists rows in key order, after a key, in reverse, with a limit`() async throws {
    try await fill()
    let table = try #require(memory.snapshot()?["Product"])
    func list(_ rows: [MemoryRow]) -> [String] { rows.compactMap { $0.text("sku") } }
    #expect(table.count == 5)
    #expect(list(table.rows()) == ["a", "b", "c", "d", "e"])
    #expect(list(table.rows(after: Key([.text("b")]), limit: 2)) == ["c", "d"])
    #expect(list(table.rows(after: Key([.text("bb")]))) == ["c", "d", "e"])
    #expect(list(table.rows(reversed: true)) == ["e", "d", "c", "b", "a"])
    #expect(list(table.rows(after: Key([.text("c")]), reversed: true)) == ["b", "a"])
    #expect(table.rows(limit: 0).isEmpty)
  }

  @Test func `answers ranges of indexed and unique fields, and of the key`() async throws {
    try await fill()
    let table = try #require(memory.snapshot()?["Product"])
    func list(_ field: String, _ range: MemoryRange, reversed: Bool = false) throws -> [String] {
      try table.rows(where: field, range, reversed: reversed).compactMap { $0.text("sku") }
    }
    #expect(try list("price", .all) == ["d", "a", "e", "b"], "without the absent, equals by key")
    #expect(try list("price", .equal(price("9.90"))) == ["a", "e"])
    #expect(try list("price", .from(price("9.90"))) == ["a", "e", "b"])
    #expect(try list("price", .above(price("9.90"))) == ["b"])
    #expect(try list("price", .through(price("9.90"))) == ["d", "a", "e"])
    #expect(try list("price", .below(price("9.90"))) == ["d"])
    #expect(try list("price", .between(price("0"), price("9.95")), reversed: true) == ["e", "a"])
    #expect(try list("code", .equal(.int(2))) == ["b"])
    #expect(try list("sku", .above(.text("c"))) == ["d", "e"])
    #expect(throws: MemoryQueryError.self) { try list("note", .all) }
    #expect(throws: MemoryQueryError.self) { try list("nothing", .all) }
  }

  @Test func `answers prefixes of the key`() async throws {
    try await fill()
    let table = try #require(memory.snapshot()?["Stock"])
    let a = Value.reference(Key([.text("a")]))
    func shelves(_ range: MemoryRange, reversed: Bool = false) -> [Int64] {
      table.rows(withKeyPrefix: [a], range, reversed: reversed).compactMap { $0.int("shelf") }
    }
    #expect(shelves(.all) == [-3, 2, 10])
    #expect(shelves(.from(.int(2)), reversed: true) == [10, 2])
    #expect(shelves(.below(.int(2))) == [-3])
    #expect(table.rows(withKeyPrefix: [.reference(Key([.text("aa")]))]).isEmpty)
  }

  @Test func `indices follow updates, deletes and new generations`() async throws {
    try await fill()
    source.commit([product("a", nil, 3), product("c", "7", 1), product("d", "-1", 8, "same price")])
    source.commit([.delete(0, Key([.text("e")]))])
    try await synchronise()
    for _ in 0..<2 {
      let table = try #require(memory.snapshot()?["Product"])
      #expect(try table.rows(where: "price").compactMap { $0.text("sku") } == ["d", "c", "b"])
      #expect(try table.rows(where: "code").compactMap { $0.int("code") } == [1, 2, 3, 8])
      _ = try await Mirror(name: "m", sink: "memory:", source: source, adapter: memory).rebuild()
    }
  }

  @Test func `a snapshot stays as it is`() async throws {
    try await fill()
    let before = try #require(memory.snapshot())
    source.commit([.delete(0, Key([.text("a")])), product("x", "1", 99)])
    try await synchronise()
    #expect(before["Product"]?[Key([.text("a")])] != nil && before["Product"]?.count == 5)
    #expect(memory.snapshot()?["Product"]?[Key([.text("a")])] == nil)
    #expect(memory.snapshot()!.position > before.position)
  }

  @Test func `observers see a snapshot and then whole batches`() async throws {
    try await fill()
    var changes = memory.changes(of: "Product").makeAsyncIterator()
    guard case .snapshot(let start, .started) = await changes.next() else {
      return #expect(Bool(false))
    }
    #expect(start["Product"]?.count == 5)
    source.commit([product("x", "1", 99), product("y", "1", 98), stock("x", 1, 1)])
    try await synchronise()
    source.commit([stock("x", 2, 1)])
    try await synchronise()
    source.commit([.delete(0, Key([.text("y")]))])
    try await synchronise()
    guard case .changes(let batch, let after) = await changes.next() else {
      return #expect(Bool(false))
    }
    #expect(batch.map(\.key) == [Key([.text("x")]), Key([.text("y")])])
    #expect(after["Product"]?.count == 7 && after.position == start.position + 3)
    guard case .changes(let next, _) = await changes.next() else { return #expect(Bool(false)) }
    #expect(next.map(\.isDelete) == [true], "the batch of another collection is not shown")
  }

  @Test func `a slow observer loses changes and is told`() async throws {
    try await fill()
    var changes = memory.changes(limit: 10).makeAsyncIterator()
    _ = await changes.next()
    for step in 0..<50 {
      source.commit([product("s\(step)", "1", 1_000 + step)])
      try await synchronise()
    }
    var model: Int?
    var overflowed = false
    while model != 55 {
      switch await changes.next() {
      case .snapshot(let snapshot, let reason):
        overflowed = reason == .overflow
        model = snapshot["Product"]?.count
      case .changes(let list, _): model = model.map { $0 + list.count }
      case nil: return #expect(Bool(false))
      }
    }
    #expect(overflowed)
  }

  @Test func `observers are told of new generations, and end with their task`() async throws {
    try await fill()
    let events = memory.changes()
    let task = Task {
      var reasons: [MemoryEvent.Reason] = []
      for await event in events {
        if case .snapshot(_, let reason) = event { reasons.append(reason) }
        if reasons.count == 2 { withUnsafeCurrentTask { $0?.cancel() } }
      }
      return reasons
    }
    // The first snapshot must be taken before the next stands in its place.
    while true {
      _ = try await Mirror(name: "m", sink: "memory:", source: source, adapter: memory).rebuild()
      if try await memory.checkpoint()!.generation > 5 { break }
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(await task.value.last == .replaced)
  }

  @Test func `readers on other threads see whole batches`() async throws {
    let source = self.source
    source.commit([product("a", "0", 1), product("b", "0", 2)])
    try await synchronise()
    let memory = self.memory
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask {
          for _ in 0..<300 {
            let table = try #require(memory.snapshot()?["Product"])
            let prices = table.rows().map { $0.decimal("price") }
            #expect(prices[0] == prices[1])
            await Task.yield()
          }
        }
      }
      group.addTask {
        let mirror = Mirror(name: "m", sink: "memory:", source: source, adapter: memory)
        for step in 1...50 {
          source.commit([product("a", "\(step)", 1), product("b", "\(step)", 2)])
          _ = try await mirror.synchronise()
        }
      }
      try await group.waitForAll()
    }
  }
}
