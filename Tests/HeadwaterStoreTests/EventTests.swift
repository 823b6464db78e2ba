import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// The stream: positions, transactions, retention, snapshots with a tail, waiting.
@Suite struct EventTests {
  private static func fill(_ store: Store, _ range: Range<Int>, perOperation: Int = 3) async throws
  {
    for number in range {
      try await store.write(as: Fixture.signer(1)) { draft in
        for index in 0..<perOperation {
          try draft.create(
            "Item", [("id", .text("\(number)-\(index)")), ("rank", .int(Int64(number)))])
        }
      }
    }
  }

  private static func page(
    _ store: Store, after position: Int64, limit: Int, maximum: Int = .max
  ) async throws -> TransactionPage {
    try await store.changes.transactions(
      after: position, limit: limit, maximumTransaction: maximum)
  }

  @Test func transactionsAreNeverSplit() async throws {
    let store = try Fixture.store(Scenario.shop)
    try await Self.fill(store, 0..<20)
    // One that takes several chunks.
    let long = String(repeating: "x", count: 60_000)
    try await store.write(as: Fixture.signer(1)) { draft in
      for index in 0..<40 {
        try draft.create("Item", [("id", .text("big\(index)")), ("name", .text(long))])
      }
    }
    try await Self.fill(store, 30..<33)
    for limit in [1, 2, 3, 4, 50, 1_000] {
      var position: Int64 = 0
      var sizes: [Int] = []
      while case .transactions(let found) = try await Self.page(
        store, after: position, limit: limit),
        let last = found.last
      {
        for transaction in found {
          #expect(transaction.firstPosition == position + 1)
          #expect(transaction.head.position == position + Int64(transaction.changes.count))
          position = transaction.head.position
          sizes.append(transaction.changes.count)
        }
        #expect(last.head.position == position)
      }
      #expect(sizes == Array(repeating: 3, count: 20) + [40, 3, 3, 3])
      #expect(try await store.changes.head().position == position)
    }
    // An oversized one is announced when it is next, not before.
    guard
      case .transactions(let first) = try await Self.page(
        store, after: 0, limit: 1_000, maximum: 39)
    else {
      Issue.record("oversized too early")
      return
    }
    #expect(first.last?.head.position == 60)
    guard case .oversized(40) = try await Self.page(store, after: 60, limit: 1, maximum: 39) else {
      Issue.record("not oversized")
      return
    }
    guard case .transactions = try await Self.page(store, after: 60, limit: 1, maximum: 40) else {
      Issue.record("oversized")
      return
    }
    // From the middle of a transaction nobody gets a part of it.
    for position in [1, 2, 61, 80, 99] as [Int64] {
      if case .transactions(let found) = try await Self.page(store, after: position, limit: 1_000) {
        for transaction in found {
          #expect(transaction.changes.count == 3 || transaction.changes.count == 40, "\(position)")
        }
      }
    }
  }

  @Test func retention() async throws {
    var options = Store.Options()
    options.retainedEvents = 10
    options.maximumEvents = 60
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    var store: Store? = try Fixture.store(Scenario.shop, at: path, options: options)
    try await Self.fill(store!, 0..<10)
    func report(_ position: Int64?) async throws {
      try await store!.changes.report(
        MirrorStatus(
          name: "m", sink: "memory:", state: .running, position: position, rate: 0, error: nil))
    }
    // A mirror that has nothing yet keeps everything; one at 7 keeps what comes after whole transactions to 6.
    try await report(nil)
    #expect(try await store!.trimEvents() == 0)
    try await report(7)
    #expect(try await store!.trimEvents() == 6)
    guard case .trimmed = try await Self.page(store!, after: 5, limit: 10) else {
      Issue.record("not trimmed")
      return
    }
    guard case .transactions(let rest) = try await Self.page(store!, after: 6, limit: 1_000) else {
      Issue.record("trimmed at the cut")
      return
    }
    #expect(rest.first?.firstPosition == 7 && rest.last?.head.position == 30)
    #expect(try await store!.read { try $0.status().firstPosition } == 7)
    // The newest stay even if every mirror has them.
    try await report(30)
    #expect(try await store!.trimEvents() == 18)
    // A mirror that does not come back is not waited for beyond the maximum.
    try await report(30)
    try await Self.fill(store!, 10..<50)
    #expect(try await store!.trimEvents() == 90)
    // Everything may go; positions and digests go on from there.
    let head = try await store!.changes.head()
    store = nil
    options.retainedEvents = 0
    store = try Store.open(path, forWriting: true, suite: Fixture.suite, options: options)
    try await report(head.position)
    #expect(try await store!.trimEvents() == head.position)
    #expect(try await store!.changes.head() == head)
    store = nil
    store = try Store.open(path, forWriting: true, suite: Fixture.suite, options: options)
    #expect(try await store!.changes.head() == head)
    try await Self.fill(store!, 50..<51)
    guard case .transactions(let next) = try await Self.page(store!, after: head.position, limit: 9)
    else {
      Issue.record("trimmed at the cut")
      return
    }
    #expect(next.map(\.firstPosition) == [head.position + 1])
    #expect(try await store!.verifyDeep().differences.isEmpty)
  }

  @Test func recognisesCheckpoints() async throws {
    var options = Store.Options()
    options.retainedEvents = 0
    let store = try Fixture.store(Scenario.shop, options: options)
    try await Self.fill(store, 0..<3)
    func checkpoint(_ head: SourceHead, position: Int64? = nil, database: Digest? = nil)
      -> Checkpoint
    {
      Checkpoint(
        database: database ?? head.database, replica: head.replica, mirror: "m",
        phase: .tail(generation: 1), position: position ?? head.position, digest: head.digest,
        frontier: head.frontier, schema: head.schema)
    }
    let source = store.changes
    let head = try await source.head()
    #expect(try await source.recognise(checkpoint(head)) == .resumable)
    #expect(try await source.recognise(checkpoint(head, position: 6)) == .unknown)
    #expect(try await source.recognise(checkpoint(head, position: 8)) == .unknown)
    #expect(try await source.recognise(checkpoint(head, position: 900)) == .unknown)
    #expect(try await source.recognise(checkpoint(head, database: head.digest)) == .foreign)
    try await Self.fill(store, 3..<5)
    try await store.trimEvents()
    #expect(try await source.recognise(checkpoint(head)) == .trimmed)
    #expect(try await source.recognise(checkpoint(try await source.head())) == .resumable)
  }

  @Test func aSnapshotWithItsTailIsTheWhole() async throws {
    let folder = try TemporaryFolder()
    let store = try Fixture.store(Scenario.shop, at: folder.path("store"))
    try await Self.fill(store, 0..<30)
    let writing = Task {
      var random = Seeded(5)
      for number in 0..<150 {
        let id = "\(Int.random(in: 0..<40, using: &random))-\(number % 3)"
        try await store.write(as: Fixture.signer(2)) { draft in
          if try draft.row("Item", key: key(id)) == nil {
            try draft.create("Item", [("id", .text(id)), ("rank", .int(Int64(number)))])
          } else if number % 2 == 0 {
            try draft.delete("Item", key: key(id))
          } else {
            try draft.update("Item", key: key(id), set: [("rank", .int(Int64(number)))])
          }
        }
      }
    }
    let source = store.changes
    for _ in 0..<5 {
      var position = try await source.head().position
      var folded: [ReferenceModel.RowName: Row] = [:]
      var after: RowPosition?
      var end: Int64 = 0
      while true {
        let page = try await source.rows(after: after, limit: 7)
        for row in page.rows {
          folded[.init(collection: row.collection, key: row.key)] = row.after
          after = RowPosition(collection: row.collection, key: row.key)
        }
        end = page.head.position
        if page.isLast { break }
      }
      while position < end {
        guard
          case .transactions(let found) = try await source.transactions(
            after: position, limit: 5, maximumTransaction: .max)
        else { break }
        for transaction in found where transaction.head.position <= end {
          for change in transaction.changes {
            folded[.init(collection: change.collection, key: change.key)] = change.after
          }
        }
        position = found.last?.head.position ?? end
      }
      // What all events up to there fold to.
      var expected: [ReferenceModel.RowName: Row] = [:]
      guard
        case .transactions(let all) = try await source.transactions(
          after: 0, limit: .max, maximumTransaction: .max)
      else { return }
      for transaction in all where transaction.head.position <= end {
        for change in transaction.changes {
          expected[.init(collection: change.collection, key: change.key)] = change.after
        }
      }
      #expect(folded == expected)
    }
    try await writing.value
    for limit in [0, 1, Int.max] { _ = try await source.rows(after: nil, limit: limit) }
  }

  @Test(.timeLimit(.minutes(10))) func waitingEndsInTime() async throws {
    let store = try Fixture.store(Scenario.shop)
    // However short the wait: nobody may sleep through its end.
    for round in 0..<400 {
      try await store.changes.waitForEvents(
        after: 0, timeout: .microseconds(round))
    }
    let clock = ContinuousClock()
    let cancelled = Task { try await store.changes.waitForEvents(after: 0, timeout: .seconds(500)) }
    try await Task.sleep(for: .milliseconds(20))
    let start = clock.now
    cancelled.cancel()
    try await cancelled.value
    #expect(clock.now - start < .seconds(400))
    #expect(store.waiters.withLock { $0.continuations.isEmpty })
  }

  @Test(.timeLimit(.minutes(10))) func writesWakeWaitersHereAndElsewhere() async throws {
    let folder = try TemporaryFolder()
    let store = try Fixture.store(Scenario.shop, at: folder.path("store"))
    let other = try Store.open(folder.path("store"), forWriting: false, suite: Fixture.suite)
    let clock = ContinuousClock()
    for (number, reader) in [store, other, store, other].enumerated() {
      let position = try await reader.changes.head().position
      let waiting = Task {
        try await reader.changes.waitForEvents(after: position, timeout: .seconds(500))
        return clock.now
      }
      try await Task.sleep(for: .milliseconds(60))
      try await Self.fill(store, number..<number + 1)
      let written = clock.now
      #expect(try await waiting.value - written < .seconds(400))
      // At once where there are events already.
      let start = clock.now
      try await reader.changes.waitForEvents(after: position, timeout: .seconds(500))
      #expect(clock.now - start < .seconds(400))
    }
  }

  @Test func manyWritersShareCommits() async throws {
    let folder = try TemporaryFolder()
    let store = try Fixture.store(Scenario.shop, at: folder.path("store"))
    struct Own: Error {}
    let before = store.waiters.withLock(\.commits)
    let (positions, failures) = try await withThrowingTaskGroup(
      of: Int64?.self, returning: ([Int64], Int).self
    ) { group in
      for number in 0..<200 {
        group.addTask {
          do {
            return try await store.write(as: Fixture.signer(UInt8(number % 5 + 1))) { draft in
              try draft.create("Item", [("id", .text("\(number)"))])
              if number % 10 == 3 { throw Own() }
            }.position
          } catch is Own {
            return nil
          }
        }
      }
      var positions: [Int64] = []
      var failures = 0
      for try await position in group {
        if let position { positions.append(position) } else { failures += 1 }
      }
      return (positions, failures)
    }
    #expect(failures == 20)
    #expect(positions.sorted() == Array(1...180))
    #expect(store.waiters.withLock(\.commits) - before < 120)
    try await Scenario.expectWholeStream(store)
    #expect(try await store.read { try $0.count(0) } == 180)
    #expect(try await store.verifyDeep().differences.isEmpty)
  }
}
