import HeadwaterLog
import HeadwaterModel
import SQLiteDriver
import Testing

@testable import HeadwaterStore

/// What the store keeps for comparing replicas equals what is computed from all operations.
@Suite struct OperationOrderTests {
  /// A table `operation` with nothing but numbers, ids and heights, and spans that are filled as a store does.
  private struct Log {
    let db: Connection
    var next: Int64 = 1
    var naive = SortedOperations()
    /// Not in spans yet.
    var tail: [OperationKey] = []

    init() throws {
      db = try Connection(path: "", mode: .memory)
      try StoreFile.create(db) {}
    }

    mutating func add(_ key: OperationKey) throws {
      let statement = try db.cached(
        "INSERT INTO operation (number, id, height, author, chain, position, time, body, signature) VALUES (?, ?, ?, 1, 1, ?, 0, x'', x'')"
      )
      statement.bind(1, next)
      statement.bind(2, key.id.bytes)
      statement.bind(3, key.height)
      statement.bind(4, next)
      try statement.run()
      next += 1
      naive.insert(key)
      tail.append(key)
    }

    mutating func flush() throws {
      try SpanTable(db).insert(tail.sorted())
      tail = []
      try StoreFile.setMeta(db, "locator", withUnsafeBytes(of: (next - 1).bigEndian) { Array($0) })
    }

    func operations(_ cache: OrderCache) throws -> StoredOperations {
      StoredOperations(
        db, log: try OperationTable(db, suite: Fixture.suite, isWriter: false),
        order: try cache.order(db))
    }
  }

  private func key(_ random: inout Seeded, heights: Int64) -> OperationKey {
    let words = (0..<4).map { _ in random.next() }
    return OperationKey(
      height: Int64.random(in: 0..<heights, using: &random),
      id: Digest(bytes: words.flatMap { word in withUnsafeBytes(of: word) { Array($0) } })!)
  }

  private func expectSame(
    _ stored: some OperationSet, _ naive: SortedOperations, _ random: inout Seeded,
    _ comment: Comment
  ) throws {
    #expect(try stored.count == naive.count, comment)
    #expect(try stored.keys(0..<naive.count) == naive.all, comment)
    for _ in 0..<20 {
      let a = Int.random(in: 0...naive.count, using: &random)
      let b = Int.random(in: a...naive.count, using: &random)
      #expect(try stored.tally(a..<b) == naive.tally(a..<b), comment)
      #expect(try stored.keys(a..<b) == naive.keys(a..<b), comment)
      var bound = Bound(height: Int64.random(in: 0...20, using: &random))
      if let some = naive.all.randomElement(using: &random), Bool.random(using: &random) {
        bound = Bound(height: some.height, id: some.id)
      }
      #expect(try stored.rank(of: bound) == naive.rank(of: bound), comment)
    }
    #expect(try stored.rank(of: .end) == naive.count, comment)
  }

  @Test(arguments: 0..<24 as Range<UInt64>) func asComputedNaively(seed: UInt64) throws {
    var random = Seeded(seed)
    var log = try Log()
    let cache = OrderCache()
    // One author, several, and a crowd on few heights.
    let spread: Int64? = [nil, 3, 1_000_000].randomElement(using: &random)!
    for round in 0..<Int.random(in: 1...6, using: &random) {
      let comment: Comment = "seed \(seed), round \(round)"
      for _ in 0..<Int.random(in: 0...1_500, using: &random) {
        var key = key(&random, heights: spread ?? 1)
        if spread == nil { key = OperationKey(height: log.next, id: key.id) }
        try log.add(key)
      }
      if Bool.random(using: &random) { try log.flush() }
      // With what an earlier reader found out, and without.
      try expectSame(try log.operations(cache), log.naive, &random, comment)
      try expectSame(try log.operations(OrderCache()), log.naive, &random, comment)
      for entry in try SpanTable(log.db).entries() {
        let keys = try SpanTable(log.db).keys(entry)
        #expect(keys.count <= SpanTable.maximumKeys && keys.first.map { $0 >= entry.first } == true)
        #expect(keys.reduce(into: Tally.zero) { $0.insert($1.id) } == entry.tally, comment)
      }
    }
    // As a file of an older format is brought up to date.
    try log.flush()
    try log.db.execute("DELETE FROM span; DELETE FROM span_keys")
    try SpanTable(log.db).fill()
    try expectSame(try log.operations(OrderCache()), log.naive, &random, "seed \(seed), filled")
  }

  /// An older snapshot beside a newer one that has filled the cache.
  @Test func aReaderOfTheLastMoment() throws {
    var log = try Log()
    var random = Seeded(7)
    for _ in 0..<700 { try log.add(key(&random, heights: 50)) }
    try log.flush()
    for _ in 0..<300 { try log.add(key(&random, heights: 50)) }
    let cache = OrderCache()
    _ = try log.operations(cache)
    try log.db.execute("DELETE FROM operation WHERE number > 900")
    #expect(try log.operations(cache).count == 900)
    #expect(try log.operations(cache).count == 900)
  }

  // MARK: In stores

  private func naive(_ store: Store) async throws -> SortedOperations {
    try await store.read { snapshot in
      var keys: [OperationKey] = []
      try snapshot.log {
        keys.append(OperationKey(height: $0.height, id: $0.id))
        return true
      }
      return SortedOperations(keys)
    }
  }

  private func expectSame(_ store: Store, _ seed: UInt64, _ comment: Comment) async throws {
    let naive = try await naive(store)
    try await store.read { snapshot in
      var random = Seeded(seed)
      try expectSame(try snapshot.operations(), naive, &random, comment)
    }
  }

  /// In a store that writes many operations, is closed and opened, and came from an older version.
  @Test(.timeLimit(.minutes(5)), arguments: [2, 3])
  func restartAndOldFiles(version: Int) async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    var store: Store? = try Fixture.store(Scenario.shop, at: path)
    let signer = Fixture.signer(1)
    func write(_ ids: Range<Int>) async throws {
      let sequence = WriteSequence(store!, stopsAtFailure: true)
      var pending: [PendingWrite] = []
      for id in ids {
        pending.append(
          sequence.write(as: signer) { try $0.create("Item", [("id", .text("\(id)"))]) })
      }
      for write in pending { _ = try await write.receipt }
    }
    let count = OperationTable.locatorTail
    try await write(0..<100)
    try await expectSame(store!, 1, "few")
    try await write(100..<count + 50)
    try await expectSame(store!, 2, "many")
    let genesis = [store!.database]
    for id in 0..<5 {
      try await store!.write(as: Fixture.signer(2), at: genesis) {
        try $0.create("Item", [("id", .text("x\(id)"))])
      }
    }
    try await expectSame(store!, 3, "a late branch")
    store = nil
    store = try Store.open(path, forWriting: true, suite: Fixture.suite)
    try await expectSame(store!, 4, "opened again")
    store = nil
    do {
      // What that version had.
      let db = try Connection(path: path, mode: .readWrite)
      try db.execute("DROP TABLE testimony; ALTER TABLE operation DROP COLUMN voucher")
      try db.execute(
        version == 3
          ? "PRAGMA user_version = 3"
          : "DROP TABLE span; DROP TABLE span_keys; PRAGMA user_version = 2")
    }
    let error = await storeError {
      _ = try Store.open(path, forWriting: false, suite: Fixture.suite)
    }
    #expect(error?.code == .notAStore && error?.message.contains("up to date") == true)
    store = try Store.open(path, forWriting: true, suite: Fixture.suite)
    try await expectSame(store!, 5, "brought up to date")
    try await write(count + 50..<2 * count)
    try await expectSame(store!, 6, "and written to")
    store = nil
    store = try Store.open(path, forWriting: false, suite: Fixture.suite)
    try await expectSame(store!, 7, "by a reader")
  }

  /// What a replica lacks that has certain heads and their past, by the chains and by walking.
  @Test(arguments: 0..<30 as Range<UInt64>) func whatAReplicaLacks(seed: UInt64) async throws {
    let genesis = try await Fixture.store().everything()[0]
    var maker = try HistoryMaker(
      seed: seed, authors: 3, schema: try Fixture.schema(), genesis: genesis)
    try maker.grow(60, reachBack: 12)
    let all = maker.operations
    let store = try Store.replicate(at: nil, genesis: genesis, suite: Fixture.suite)
    _ = try await store.receive(all.map(\.signed))
    var random = Seeded(seed)
    var past: [Digest: Set<Digest>] = [:]
    for (id, signed) in all {
      let parents = try Operation.decode(signed.body).parents
      past[id] = parents.reduce(into: [id]) { $0.formUnion(past[$1] ?? []) }
    }
    for _ in 0..<10 {
      let heads = (0..<Int.random(in: 0...3, using: &random)).map { _ in
        all.randomElement(using: &random)!.id
      }
      let theirs = heads.reduce(into: Set<Digest>()) { $0.formUnion(past[$1]!) }
      let lacking = try await store.read { snapshot in
        let operations = try snapshot.operations()
        return try operations.missing(at: heads)!.map {
          Fixture.suite.hash(try snapshot.travelling($0).signed.body)
        }
      }
      #expect(Set(lacking) == Set(all.map(\.id)).subtracting(theirs), "seed \(seed)")
      var known = theirs
      for id in lacking {
        #expect(past[id]!.subtracting([id]).isSubset(of: known), "seed \(seed): a child first")
        known.insert(id)
      }
    }
    #expect(
      try await store.read { try $0.operations().missing(at: [Fixture.suite.hash([1])]) } == nil)
  }
}
