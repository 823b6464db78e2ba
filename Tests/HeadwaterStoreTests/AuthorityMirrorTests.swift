import HeadwaterLog
import HeadwaterMemory
import HeadwaterModel
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver
import Testing

@testable import HeadwaterStore

/// Mirrors of stores whose verdicts flip: after every batch, whatever its size, native foreign keys and unique
/// indices hold, and in the end a mirror that was there from the start equals one that came last.
@Suite struct AuthorityMirrorTests {
  private static func mirror(_ store: Store, _ adapter: any Adapter, batch: Int) -> Mirror {
    var options = MirrorOptions()
    options.initialBatch = batch
    options.maximumBatch = batch
    options.initialPage = 2
    options.maximumPage = 5
    options.reportInterval = .zero
    return Mirror(
      name: "m", sink: "test:", source: store.changes, adapter: adapter, options: options)
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func nativeKeysHoldAfterEveryBatch(seed: UInt64) async throws {
    let maker = try AuthorityHistoryMaker(seed: seed + 500_000, count: 30)
    var random = Seeded(seed)
    let folder = try TemporaryFolder()
    let path = folder.path("sink.sqlite")
    let store = try Store.replicate(at: nil, genesis: maker.genesis, suite: Fixture.suite)
    let batch = [1, 3, 100][Int(seed % 3)]
    let memory = MemoryAdapter()
    var pending = maker.operations.dropFirst().map(\.signed).shuffled(using: &random)
    while !pending.isEmpty {
      var waiting: [SignedOperation] = []
      for signed in pending {
        if case .waiting = try await store.receive([signed])[0] { waiting.append(signed) }
        guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
        for adapter in [memory, SQLiteAdapter(path: path)] as [any Adapter] {
          _ = try await Self.mirror(store, adapter, batch: batch).synchronise()
        }
        try Self.expectSound(path, "seed \(seed)")
      }
      guard waiting.count < pending.count else {
        Issue.record("operations wait for ever")
        return
      }
      pending = waiting
    }
    for adapter in [memory, SQLiteAdapter(path: path), MemoryAdapter()] as [any Adapter] {
      let mirror = Self.mirror(store, adapter, batch: batch)
      _ = try await mirror.synchronise()
      #expect(try await mirror.verify().isEqual, "seed \(seed)")
    }
    // It was mended step by step, never filled anew: nothing was too much for it.
    try Self.expectSound(path, "seed \(seed)")
    let generations = try Connection(path: path, mode: .readOnly).integer(
      "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'Doc%' AND type = 'table'")
    #expect(generations == 1, "seed \(seed)")
  }

  private static func expectSound(_ path: String, _ comment: Comment) throws {
    let db = try Connection(path: path, mode: .readOnly)
    #expect(try db.integer("SELECT count(*) FROM pragma_foreign_key_check") == 0, comment)
    #expect(try db.text("PRAGMA integrity_check") == "ok", comment)
  }
}
