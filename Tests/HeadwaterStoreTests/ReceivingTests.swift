import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import Testing

@testable import HeadwaterStore

/// What peers may do to a store that takes operations from them.
@Suite struct ReceivingTests {
  private let scenario: Scenario
  private var store: Store { scenario.store }

  init() throws { scenario = try Scenario() }

  private func operation(
    _ author: UInt8, _ parents: [Digest], _ id: String, previous: Digest? = nil
  )
    -> SignedOperation
  {
    Scenario.sign(
      HeadwaterLog.Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: parents.sorted(), author: Fixture.signer(author).principal, previous: previous,
        time: 0, changes: [scenario.change(.create, "Item", key(id))]), by: Fixture.signer(author))
  }

  private func id(_ signed: SignedOperation) -> Digest { Fixture.suite.hash(signed.body) }

  @Test(.timeLimit(.minutes(10)))
  func aMergeOfBranchesThatArriveBackwards() async throws {
    // Forty branches, each one longer than the last, and a merge of them all that comes first.
    var tips: [Digest] = []
    var all: [SignedOperation] = []
    for branch in 1...UInt8(40) {
      var parent = store.database
      var previous: Digest?
      var chain: [SignedOperation] = []
      for step in 0..<Int(branch) {
        let next = operation(branch + 1, [parent], "\(branch)-\(step)", previous: previous)
        parent = id(next)
        previous = parent
        chain.append(next)
      }
      tips.append(parent)
      all = chain.reversed() + all
    }
    all.insert(operation(99, tips, "merge"), at: 0)
    for answer in try await store.receive(all) {
      guard case .admitted(.valid) = answer else {
        Issue.record("\(answer)")
        return
      }
    }
    #expect(try await store.read { try $0.frontier() } == [id(all[0])])
    #expect(try await store.verifyDeep().differences.isEmpty)
  }

  @Test func whatWaitsKeepsNothingInTheStore() async throws {
    // A deep chain without its beginning, and an operation that names more parents than anybody has.
    var parent = Fixture.suite.hash([1])
    var chain: [SignedOperation] = []
    for step in 0..<2_000 {
      let next = operation(2, [parent], "\(step)")
      parent = id(next)
      chain.append(next)
    }
    let many = (0..<Limits.parents).map {
      Fixture.suite.hash([UInt8($0 >> 8), UInt8($0 & 255), 7])
    }
    let wide = operation(3, many, "wide")
    let status = try await store.read { try $0.status() }
    for answer in try await store.receive(chain.reversed() + [wide]) {
      guard case .waiting = answer else {
        Issue.record("\(answer)")
        return
      }
    }
    let after = try await store.read { try $0.status() }
    #expect(after.operations == status.operations && after.authors == status.authors)
    let tooMany = operation(3, many + [Fixture.suite.hash([9])], "wider")
    guard case .rejected(let why) = try await store.receive([tooMany])[0] else {
      Issue.record("more parents than the limit")
      return
    }
    #expect(why.contains("parents"))
  }

  @Test func aForkOfAnAuthorIsKeptAndReported() async throws {
    let first = try await scenario.write(2, at: [store.database]) {
      try $0.create("Item", [("id", .text("a"))])
    }
    let second = operation(2, [store.database], "b")
    #expect(try await scenario.admit(second).verdict == .valid)
    let forks = try await store.read { try $0.status().equivocations }
    #expect(forks.map(\.author) == [Fixture.signer(2).principal])
    // After both, `previous` is the canonically last of them, and nothing else.
    let heads = [first, id(second)]
    for (previous, isRight) in [(heads.min()!, false), (nil, false), (heads.max()!, true)] {
      let answer = try await store.receive(
        [operation(2, heads, "c", previous: previous)])[0]
      if case .admitted = answer {
        #expect(isRight)
      } else {
        #expect(!isRight, "\(answer)")
      }
    }
    // On one branch alone it is that branch's.
    #expect(
      try await scenario.admit(operation(2, [first], "d", previous: first)).verdict == .valid)
    try await scenario.holdsEverywhere()
  }

  @Test func moreHeadsThanAnOperationMayHaveParents() async throws {
    var heads: [SignedOperation] = []
    for index in 0..<(Limits.parents + 200) {
      heads.append(operation(UInt8(2 + index % 200), [store.database], "h\(index)"))
    }
    for answer in try await store.receive(heads) {
      guard case .admitted = answer else {
        Issue.record("\(answer)")
        return
      }
    }
    #expect(try await store.read { try $0.frontier().count } == heads.count)
    let first = try await store.write(as: Fixture.signer(250)) {
      try $0.create("Item", [("id", .text("first"))])
    }
    #expect(try await store.read { try $0.frontier().count } == 201)
    // The next has seen its author's last, and the rest.
    try await store.write(as: Fixture.signer(250)) {
      try $0.update("Item", key: key("first"), set: [("rank", .int(1))])
    }
    #expect(first.verdict == .valid)
    #expect(try await store.read { try $0.frontier().count } == 1)
    #expect(try await scenario.item("first")?["rank"] == .int(1))
  }

  @Test func manyAuthorsInOneCommit() async throws {
    // More authors than are kept in memory, each with an operation in either of two commits.
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    var store: Store? = try Fixture.store(Scenario.shop, at: path)
    let genesis = store!.database
    let count = 4_300
    func signer(_ index: Int) -> SigningKey {
      var seed = [UInt8](repeating: 77, count: 32)
      seed[0] = UInt8(index & 255)
      seed[1] = UInt8(index >> 8)
      return SigningKey(seed: seed)
    }
    let signers = (0..<count).map(signer)
    var parent = genesis
    var last: [Digest?] = Array(repeating: nil, count: count)
    for round in 0..<3 {
      var batch: [SignedOperation] = []
      for index in 0..<count {
        let next = Scenario.sign(
          HeadwaterLog.Operation(
            kind: .ordinary(database: genesis, schema: genesis), parents: [parent],
            author: signers[index].principal, previous: last[index], time: 0,
            changes: [scenario.change(.create, "Item", key("\(round)-\(index)"))]),
          by: signers[index])
        parent = id(next)
        last[index] = parent
        batch.append(next)
      }
      var rejected = 0
      for answer in try await store!.receive(batch) {
        if case .admitted(.valid) = answer { continue }
        if rejected == 0 { Issue.record("round \(round): \(answer)") }
        rejected += 1
      }
      store = nil
      store = try Store.open(path, forWriting: true, suite: Fixture.suite)
    }
    #expect(try await store!.read { try $0.status().equivocations.isEmpty })
  }
}
