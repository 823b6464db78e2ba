import AdapterContract
import HeadwaterMemory
import HeadwaterModel
import Synchronization
import Testing

@testable import HeadwaterStream

@Suite(.timeLimit(.minutes(10))) struct VerifierTests {
  private func damage(_ adapter: MemoryAdapter, _ changes: [Change]) async throws {
    let checkpoint = try #require(try await adapter.checkpoint())
    try await adapter.repair(changes, schema: Fixture.schema, at: checkpoint)
  }

  private func mirror(_ source: ScriptedSource, _ adapter: any Adapter) -> Mirror {
    Mirror(name: "m", sink: "memory:", source: source, adapter: adapter)
  }

  @Test(arguments: [0, 1, 999, 1_000, 1_001, 2_500])
  func `equal sides of any size are equal`(_ count: Int) async throws {
    let source = Fixture.source()
    source.commit((0..<count).map { Fixture.put($0, "row \($0)") })
    let memory = MemoryAdapter()
    let mirror = mirror(source, memory)
    _ = try await mirror.synchronise()
    let result = try await mirror.verify()
    #expect(result.isEqual && result.rows == count)
  }

  @Test func `each difference is found once, and mended`() async throws {
    let source = Fixture.source()
    source.commit((0..<3_000).map { Fixture.put($0 * 2, "row") })
    let memory = MemoryAdapter()
    let mirror = mirror(source, memory)
    _ = try await mirror.synchronise()
    var expected: [Verification.Difference] = []
    var damages: [Change] = []
    for id in stride(from: 0, to: 6_000, by: 500) {
      damages.append(Fixture.change(id, nil, nil))
      damages.append(Fixture.change(id + 1, nil, "extra"))
      damages.append(Fixture.change(id + 2, nil, "different"))
      for (key, kind) in [
        (id, Verification.Difference.Kind.missing), (id + 1, .extra), (id + 2, .different),
      ] {
        expected.append(.init(collection: 0, key: Fixture.key(key), kind: kind))
      }
    }
    // Beyond the source's last row, and before its first.
    damages.append(Fixture.change(-7, nil, "extra"))
    damages.append(Fixture.change(9_999, nil, "extra"))
    expected.insert(.init(collection: 0, key: Fixture.key(-7), kind: .extra), at: 0)
    expected.append(.init(collection: 0, key: Fixture.key(9_999), kind: .extra))
    try await damage(memory, damages)
    #expect(try await mirror.verify().differences == expected)
    #expect(try await mirror.repair().differenceCount == expected.count)
    #expect(try await mirror.verify().isEqual)
  }

  @Test func `a sink that lags does not differ`() async throws {
    let source = Fixture.source(rows: 50)
    let memory = MemoryAdapter()
    let mirror = mirror(source, memory)
    _ = try await mirror.synchronise()
    source.commit([Fixture.put(1, "changed"), Fixture.delete(2), Fixture.put(100)])
    source.commit([Fixture.put(1, "changed again"), Fixture.put(2, "back"), Fixture.delete(100)])
    source.commit((200..<1_300).map { Fixture.put($0) } + (40..<50).map { Fixture.delete($0) })
    let result = try await mirror.verify()
    #expect(result.isEqual && result.rows == 50)
    try await damage(memory, [Fixture.change(1, nil, "wrong"), Fixture.change(45, nil, nil)])
    #expect(try await mirror.verify().differences.map(\.kind) == [.different, .missing])
  }

  @Test func `a source that moves during the comparison does not differ`() async throws {
    let source = Fixture.source()
    source.commit((0..<3_000).map { Fixture.put($0, "row") })
    let memory = MemoryAdapter()
    let mirror = mirror(source, memory)
    _ = try await mirror.synchronise()
    let count = Mutex(0)
    source.onCall { [weak source] call in
      guard case .rows = call else { return }
      let number = count.withLock { value in
        value += 1
        return value
      }
      source?.commit([
        Fixture.put(number * 700, "moved"), Fixture.delete(number * 800),
        Fixture.put(10_000 + number),
      ])
    }
    let result = try await mirror.verify()
    #expect(result.isEqual && result.rows == 3_000)
  }

  @Test func `a sink that another mirror writes to is compared where it then stands`() async throws
  {
    let source = Fixture.source()
    source.commit((0..<3_000).map { Fixture.put($0, "row") })
    let memory = MemoryAdapter()
    let mirror = mirror(source, memory)
    _ = try await mirror.synchronise()
    let moving = MovingInventory(memory) {
      source.commit([Fixture.put(0, "moved \(source.position)"), Fixture.put(2_500, "too")])
      _ = try? await Mirror(name: "m", sink: "memory:", source: source, adapter: memory)
        .synchronise()
    }
    let result = try await self.mirror(source, moving).verify()
    #expect(result.isEqual && result.rows == 3_000)
  }

  @Test func `says where nothing can be compared`() async throws {
    let source = Fixture.source(rows: 3)
    let memory = MemoryAdapter()
    let empty = await #expect(throws: MirrorError.self) {
      try await mirror(source, memory).verify()
    }
    #expect(empty?.code == .notComparable)
    _ = try await mirror(source, memory).synchronise()
    source.commit([Fixture.put(9)])
    source.trim()
    let trimmed = await #expect(throws: MirrorError.self) {
      try await mirror(source, memory).verify()
    }
    #expect(trimmed?.code == .notComparable)
    let none = await #expect(throws: MirrorError.self) {
      try await mirror(source, FaultyAdapter(memory)).verify()
    }
    #expect(none?.code == .noInventory)
  }

  @Test func `too many differences for one batch are mended by a rebuild`() async throws {
    let source = Fixture.source(rows: 40)
    let memory = MemoryAdapter()
    var options = MirrorOptions()
    options.maximumTransaction = 10
    let mirror = Mirror(
      name: "m", sink: "memory:", source: source, adapter: memory, options: options)
    _ = try await mirror.synchronise()
    try await damage(memory, (0..<30).map { Fixture.change($0, nil, "wrong") })
    let found = try await mirror.repair()
    #expect(found.different == 30)
    #expect(try await memory.checkpoint()?.generation == 2)
    #expect(try await mirror.verify().isEqual)
  }
}

/// An inventory under which the sink moves on now and then.
final class MovingInventory: RowInventory {
  private let base: MemoryAdapter
  private let move: @Sendable () async -> Void
  private let calls = Mutex(0)

  init(_ base: MemoryAdapter, _ move: @escaping @Sendable () async -> Void) {
    self.base = base
    self.move = move
  }

  func checkpoint() async throws(AdapterError) -> Checkpoint? { try await base.checkpoint() }
  func apply(_ batch: ChangeBatch) async throws(AdapterError) { try await base.apply(batch) }
  func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    let number = calls.withLock { value in
      value += 1
      return value
    }
    let rows = try await base.rows(of: collection, in: schema, after: key, limit: limit)
    if number % 2 == 0 { await move() }
    return rows
  }
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    try await base.repair(changes, schema: schema, at: checkpoint)
  }
}
