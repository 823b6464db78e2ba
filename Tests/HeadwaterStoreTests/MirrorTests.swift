import Foundation
import HeadwaterLog
import HeadwaterMemory
import HeadwaterModel
import HeadwaterSQLite
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// Semantics section 8, property 4: whatever stops a mirror, a new one goes on and equals the source.
@Suite struct MirrorTests {
  private static func mirror(_ store: Store, _ adapter: any Adapter, _ name: String = "m") -> Mirror
  {
    var options = MirrorOptions()
    options.initialBatch = 3
    options.maximumBatch = 9
    options.initialPage = 2
    options.maximumPage = 5
    options.reportInterval = .zero
    options.idleTimeout = .milliseconds(50)
    return Mirror(
      name: name, sink: "test:", source: store.changes, adapter: adapter, options: options)
  }

  private static func expectEqual(
    _ store: Store, _ adapter: any Adapter, _ comment: Comment,
    _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let mirror = mirror(store, adapter)
    let checkpoint = try await mirror.synchronise()
    let result = try await mirror.verify()
    #expect(result.isEqual, comment, sourceLocation: location)
    let rows = try await store.visibleRows().count
    let position = try await store.changes.head().position
    #expect(result.rows == rows, comment, sourceLocation: location)
    #expect(checkpoint.position == position, comment, sourceLocation: location)
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func mirrorsThatAreStoppedAnywhere(seed: UInt64) async throws {
    let folder = try TemporaryFolder()
    let sample = try Fixture.store()
    let genesis = try await sample.everything()[0]
    var maker = try HistoryMaker(seed: seed, authors: 3, schema: sample.schema, genesis: genesis)
    try maker.grow(90, reachBack: [2, 12][Int(seed % 2)])
    var options = Store.Options()
    options.retainedEvents = seed % 3 == 0 ? 5 : 1_000
    let store = try Store.replicate(
      at: folder.path("store"), genesis: genesis, suite: Fixture.suite, options: options)
    let memory = MemoryAdapter()
    let path = folder.path("sink.sqlite")
    let operations = maker.operations.dropFirst().map(\.signed)
    let writing = Task {
      for signed in operations {
        _ = try await store.receive([signed])
        await Task.yield()
      }
    }
    var random = Seeded(seed)
    for round in 0..<25 {
      let sink: any Adapter = round % 2 == 0 ? memory : SQLiteAdapter(path: path)
      let run = Task { try await Self.mirror(store, sink).run() }
      try await Task.sleep(for: .microseconds(Int.random(in: 0..<15_000, using: &random)))
      run.cancel()
      _ = await run.result
      if round % 6 == 5 { try await store.trimEvents() }
    }
    try await writing.value
    try await Self.expectEqual(store, memory, "seed \(seed): memory")
    try await Self.expectEqual(store, SQLiteAdapter(path: path), "seed \(seed): SQLite")
    // One that comes to it at the end.
    try await Self.expectEqual(store, MemoryAdapter(), "seed \(seed): at the end")
  }

  @Test func aStoreRestoredFromAnOlderCopy() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    var store: Store? = try Fixture.store(Scenario.shop, at: path)
    func write(_ ids: [String]) async throws {
      for id in ids {
        try await store!.write(as: Fixture.signer(1)) {
          try $0.create("Item", [("id", .text(id))])
        }
      }
    }
    try await write(["a", "b"])
    let memory = MemoryAdapter()
    let sink = folder.path("sink.sqlite")
    let copy = try folder.copy(path, to: "copy")
    try await write(["c", "d", "e"])
    for adapter in [memory, SQLiteAdapter(path: sink)] as [any Adapter] {
      try await Self.expectEqual(store!, adapter, "before")
    }
    store = nil
    for suffix in ["", "-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: path + suffix)
      if FileManager.default.fileExists(atPath: copy + suffix) {
        try FileManager.default.copyItem(atPath: copy + suffix, toPath: path + suffix)
      }
    }
    store = try Store.open(path, forWriting: true, suite: Fixture.suite)
    // Behind the sink, then at its position with another history, then beyond it.
    for ids in [[], ["x", "y", "z"], ["p", "q"]] {
      try await write(ids)
      for adapter in [memory, SQLiteAdapter(path: sink)] as [any Adapter] {
        try await Self.expectEqual(store!, adapter, "after \(ids)")
      }
    }
  }

  /// Rows as of any frontier are what the reference makes of its past.
  @Test(arguments: 0..<12 as Range<UInt64>)
  func rowsAsOfAFrontier(seed: UInt64) async throws {
    let store = try Fixture.store()
    var maker = try HistoryMaker(
      seed: seed, authors: 3, schema: store.schema, genesis: try await store.everything()[0])
    try maker.grow(50, reachBack: [2, 10, 40][Int(seed % 3)])
    _ = try await store.receive(maker.operations.map(\.signed))
    let operations = try maker.operations.map {
      ($0.id, try HeadwaterLog.Operation.decode($0.signed.body))
    }
    let byID = Dictionary(uniqueKeysWithValues: operations)
    var random = Seeded(seed)
    for _ in 0..<12 {
      let heads = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        operations.randomElement(using: &random)!.0
      }
      var past = Set(heads)
      var stack = heads
      while let id = stack.popLast() {
        for parent in byID[id]!.parents where past.insert(parent).inserted { stack.append(parent) }
      }
      let reference = ReferenceModel(
        operations: operations.filter { past.contains($0.0) }, schema: store.schema,
        hasher: Fixture.suite)
      let found = try await store.read { snapshot in
        var found: [ReferenceModel.RowName: Row] = [:]
        for (index, collection) in snapshot.schema.collections.enumerated() {
          for row in try snapshot.rows(index, at: heads) {
            let key = collection.key(of: row)!
            found[.init(collection: index, key: key)] = row
            #expect(try snapshot.rows(index, key: key, at: heads) == [row])
          }
        }
        return found
      }
      #expect(found == reference.rows, "seed \(seed)")
    }
  }

  /// Writes on any frontier are judged and folded as the reference says.
  @Test(arguments: 0..<6 as Range<UInt64>)
  func writesOnAFrontier(seed: UInt64) async throws {
    let scenario = try Scenario()
    let store = scenario.store
    var random = Seeded(seed)
    var ids: [Digest] = [store.database]
    for number in 0..<60 {
      let heads = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        ids[Int.random(in: max(0, ids.count - 8)..<ids.count, using: &random)]
      }
      let id = ["a", "b"].randomElement(using: &random)!
      let kind = Int.random(in: 0..<5, using: &random)
      let receipt = try await store.write(
        as: Fixture.signer(UInt8(number % 3 + 1)), at: number % 4 == 0 ? nil : heads
      ) { draft in
        let row = try draft.row("Item", key: key(id))
        switch kind {
        case 0 where row != nil: try draft.delete("Item", key: key(id))
        case 1 where row != nil:
          try draft.update("Item", key: key(id), set: [("high", .int(Int64(100 + number)))])
          #expect(try draft.row("Item", key: key(id))?[4] == .int(Int64(100 + number)))
        case 3 where row != nil:
          try draft.create(
            "Part", [("id", .text("p\(number)")), ("item", reference(id))])
        default:
          try draft.create("Item", [("id", .text(id)), ("low", .int(Int64(number)))])
        }
      }
      #expect(receipt.verdict == .valid)
      ids.append(receipt.operation)
    }
    #expect(try await store.verifyDeep().differences.isEmpty)
  }

  /// The index by id is extended in bulk: what it holds and what it does not hold yet is found alike.
  @Test func operationsAreFoundBeforeAndAfterTheIndexIsExtended() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    var options = Store.Options()
    options.durability = .process
    var store: Store? = try Fixture.store(Scenario.shop, at: path, options: options)
    let sequence = WriteSequence(store!, stopsAtFailure: true)
    let count = OperationTable.locatorTail + 700
    var pending: [PendingWrite] = []
    for number in 0..<count {
      pending.append(
        sequence.write(as: Fixture.signer(1)) {
          try $0.create("Item", [("id", .text("\(number)"))])
        })
    }
    var ids: [Digest] = []
    for write in pending { ids.append(try await write.receipt.operation) }
    let picks = stride(from: 0, to: count, by: 97).map { ids[$0] } + [ids[count - 1]]
    func check(_ store: Store) async throws {
      try await store.read { snapshot in
        for id in picks {
          let found = try snapshot.signed(id)
          #expect(found != nil)
        }
        let unknown = try snapshot.signed(Fixture.suite.hash([1]))
        let short = try snapshot.operation(withPrefix: String(picks[1].hex.prefix(20)))
        #expect(unknown == nil && short == picks[1])
      }
    }
    try await check(store!)
    store = try Store.open(path, forWriting: false, suite: Fixture.suite)
    try await check(store!)
    let indexed = try await store!.read { try $0.db.integer("SELECT count(*) FROM locator") ?? 0 }
    #expect(indexed >= Int64(OperationTable.locatorTail))
  }
}
