import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// Operations are proven by their own signatures, or by an operation that names them and came with them; and whatever is
/// in a store can be proven to others (decision 0050).
@Suite struct VerifiedOperationsTests {
  private let scenario: Scenario
  private var store: Store { scenario.store }

  init() throws { scenario = try Scenario() }

  private func operation(
    _ author: UInt8, _ parents: [Digest], _ name: String, previous: Digest?
  ) -> SignedOperation {
    Scenario.sign(
      HeadwaterLog.Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: parents.sorted(),
        author: Fixture.signer(author).principal, previous: previous, time: 0,
        changes: [scenario.change(.create, "Item", key(name))]), by: Fixture.signer(author))
  }

  private func id(_ signed: SignedOperation) -> Digest { Fixture.suite.hash(signed.body) }

  private func chain(_ author: UInt8, _ count: Int) -> [SignedOperation] {
    var result: [SignedOperation] = []
    for step in 0..<count {
      let last = result.last.map(id)
      result.append(
        operation(author, [last ?? store.database], "\(author)-\(step)", previous: last))
    }
    return result
  }

  private func spoil(_ signed: SignedOperation) -> SignedOperation {
    var signature = signed.signature
    signature[7] ^= 1
    return SignedOperation(
      body: signed.body, suite: signed.suite, publicKey: signed.publicKey, signature: signature)
  }

  private func isAdmitted(_ answer: Store.Reception) -> Bool {
    if case .admitted = answer { true } else { false }
  }

  private func isRejected(_ answer: Store.Reception) -> Bool {
    if case .rejected = answer { true } else { false }
  }

  /// What the store would send of an operation to prove it.
  private func witnesses(_ signed: SignedOperation) async throws -> [SignedOperation] {
    let id = id(signed)
    return try await store.read { snapshot in
      let operations = try snapshot.operations()
      let number = try #require(try operations.number(of: id))
      return try snapshot.witnesses(for: number)
    }
  }

  private func expectProven(_ some: [SignedOperation]) async throws {
    for signed in some {
      let witnesses = try await witnesses(signed)
      let isSigned = Fixture.suite.verify(
        signed.signature, of: id(signed), by: signed.publicKey)
      #expect(isSigned == witnesses.isEmpty)
      #expect(isSigned || Vouching.prove(signed, witnesses, suite: Fixture.suite))
    }
  }

  @Test(arguments: [1, 7, 8, 9, 64, 65, 100, 1_000])
  func manyAtOnceAreInOrder(count: Int) async throws {
    var run = chain(2, count)
    // Badly signed, and with nothing after it that would vouch for it.
    run[count - 1] = spoil(run[count - 1])
    let verified = await VerifiedOperations(run, suite: Fixture.suite)
    #expect(verified.items.map(\.id) == run.map(id))
    for (index, item) in verified.items.enumerated() {
      #expect((item.problem == nil) == (index != count - 1), "\(index) of \(count)")
    }
  }

  @Test func aRunTakesFewSignatures() throws {
    let run = chain(2, 1_000)
    let runs = SignatureRuns(
      try run.map {
        SignatureRuns.Member(
          id: id($0), operation: try Operation.decode($0.body), byteCount: $0.body.count)
      })
    #expect(runs.ends().count == 1 + 999 / Vouching.steps)
  }

  /// Random chains, forks, sizes and signatures: exactly those are proven that the definition says are.
  @Test(arguments: 0..<60 as Range<UInt64>)
  func provenIsWhatADefinitionSays(seed: UInt64) async throws {
    var random = Seeded(seed)
    let badness = [0, 0.02, 0.5, 0.9, 0.97][Int(seed % 5)]
    var all: [SignedOperation] = []
    var good: [Bool] = []
    var ends: [Digest?] = [nil, nil, nil]
    for step in 0..<Int.random(in: 1...400, using: &random) {
      let author = Int.random(in: 0..<3, using: &random)
      // Now and then a fork.
      if Int.random(in: 0..<40, using: &random) == 0 {
        ends[author] = all.randomElement(using: &random).flatMap { signed in
          (try? Operation.decode(signed.body))?.author
            == Fixture.signer(UInt8(author + 2)).principal ? id(signed) : nil
        }
      }
      // And now and then one that is too long to vouch, or to be vouched for.
      let name =
        switch Int.random(in: 0..<60, using: &random) {
        case 0: String(repeating: "x", count: 5_000)
        case 1: String(repeating: "x", count: 70_000)
        default: ""
        }
      let signed = operation(
        UInt8(author + 2), [ends[author] ?? store.database], "\(step)\(name)",
        previous: ends[author])
      let isGood = Double.random(in: 0..<1, using: &random) >= badness
      ends[author] = id(signed)
      all.append(isGood ? signed : spoil(signed))
      good.append(isGood)
    }
    // Some come twice, as the same copy or as another.
    for index in all.indices where Int.random(in: 0..<10, using: &random) == 0 {
      let isSame = Bool.random(using: &random)
      all.append(isSame ? all[index] : spoil(all[index]))
      good.append(isSame == good[index])
    }
    let order = all.indices.shuffled(using: &random)
    let decoded = try all.map { try Operation.decode($0.body) }
    let ids = all.map(id)
    // Steps to the nearest good signature, by going over all of them until nothing gets nearer.
    var steps = good.map { $0 ? 0 : Int.max }
    var isNearer = true
    while isNearer {
      isNearer = false
      for (voucher, operation) in decoded.enumerated()
      where steps[voucher] < .max && all[voucher].body.count <= Vouching.voucherBytes {
        for index in all.indices
        where ids[index] == operation.previous && steps[index] > steps[voucher] + 1
          && all[index].body.count <= Vouching.vouchedBytes
        {
          steps[index] = steps[voucher] + 1
          isNearer = true
        }
      }
    }
    let verified = await VerifiedOperations(order.map { all[$0] }, suite: Fixture.suite)
    for (place, index) in order.enumerated() {
      let item = verified.items[place]
      let isProven = steps[index] <= Vouching.steps
      #expect((item.problem == nil) == isProven, "seed \(seed), \(index)")
      guard isProven else { continue }
      let witnesses = verified.witnesses(of: place)
      #expect(
        witnesses.isEmpty || Vouching.prove(all[index], witnesses, suite: Fixture.suite),
        "seed \(seed), \(index)")
    }
  }

  @Test func aSuccessorThatEntersVouches() async throws {
    let bad = spoil(operation(2, [store.database], "x", previous: nil))
    let good = operation(2, [id(bad)], "y", previous: id(bad))
    let answers = try await store.receive([bad, good])
    #expect(answers.allSatisfy(isAdmitted))
    #expect(try await witnesses(bad) == [good])
    try await expectProven([bad, good])
  }

  /// Whether it came as an operation that can never enter, one that waits, or as a witness alone: what it vouches for
  /// is in, and can be passed on.
  @Test(arguments: 0..<3) func aSuccessorThatDoesNotEnterVouchesToo(kind: Int) async throws {
    let bad = [spoil(operation(2, [store.database], "x", previous: nil))]
    let second = spoil(operation(2, [id(bad[0])], "y", previous: id(bad[0])))
    let stranger = Fixture.suite.hash([1])
    let end =
      switch kind {
      case 0: operation(2, [id(second), store.database], "z", previous: id(second))
      case 1: operation(2, [id(second), stranger], "z", previous: id(second))
      default: operation(2, [id(second)], "z", previous: id(second))
      }
    let verified =
      kind == 2
      ? await VerifiedOperations(bad + [second], witnesses: [end], suite: Fixture.suite)
      : await VerifiedOperations(bad + [second, end], suite: Fixture.suite)
    let answers = try await store.deliver(verified).answers
    #expect(isAdmitted(answers[0]) && isAdmitted(answers[1]))
    if kind == 0 { #expect(isRejected(answers[2])) }
    #expect(try await witnesses(bad[0]) == [second, end])
    #expect(try await witnesses(second) == [end])
    try await expectProven(bad + [second])
    #expect(try await store.verifyDeep().differences == [])

    // Passed on alone, each with its witnesses.
    let other = try Store.replicate(
      at: nil, genesis: try await store.read { [store] in try $0.signed(store.database)! },
      suite: Fixture.suite)
    for signed in bad + [second] {
      #expect(!isAdmitted(try await other.receive([signed])[0]))
      let verified = await VerifiedOperations(
        [signed], witnesses: try await witnesses(signed), suite: Fixture.suite)
      #expect(isAdmitted(try await other.deliver(verified).answers[0]))
    }
    #expect(try await other.verifyDeep().differences == [])
  }

  /// A good signature is remembered as one, where the operation that was asked to vouch is refused.
  @Test func aWellSignedOperationNeedsNoVoucher() async throws {
    let first = operation(2, [store.database], "x", previous: nil)
    let end = operation(2, [id(first), store.database], "z", previous: id(first))
    let answers = try await store.receive([first, end])
    #expect(isAdmitted(answers[0]) && isRejected(answers[1]))
    let id = id(first)
    let voucher = try await store.read { snapshot in
      let operations = try snapshot.operations()
      return try snapshot.travelling(try #require(try operations.number(of: id))).voucher
    }
    #expect(voucher == nil)
  }

  /// What waits for its parents keeps its proof, and enters by it when they come.
  @Test func whatWaitsKeepsItsProof() async throws {
    let parent = operation(3, [store.database], "p", previous: nil)
    let bad = spoil(operation(2, [id(parent)], "x", previous: nil))
    let good = operation(2, [id(bad)], "y", previous: id(bad))
    let inbox = Inbox(store)
    #expect(try await inbox.receive([bad, good]).admitted.isEmpty)
    #expect(await inbox.waiting == 2)
    let report = try await inbox.receive([parent])
    #expect(report.admitted.count == 3 && report.rejected.isEmpty)
    try await expectProven([bad, good])
  }

  /// Everything in the store, as it would be sent in one message, is proven to another replica.
  private func expectPassedOn() async throws {
    #expect(try await store.verifyDeep().differences == [])
    let other = try Store.replicate(
      at: nil, genesis: try await store.read { [store] in try $0.signed(store.database)! },
      suite: Fixture.suite)
    let groups = try await store.read { snapshot in
      var groups: [OperationGroup] = []
      try snapshot.groups(ofOperationsNotIn: []) {
        groups.append($0)
        return true
      }
      return groups
    }
    for group in groups {
      let report = try await Inbox(other).receive(
        VerifiedOperations(group.operations, witnesses: group.witnesses, suite: Fixture.suite))
      #expect(report.rejected.isEmpty)
    }
    #expect(try await other.read { try $0.frontier() } == store.read { try $0.frontier() })
    #expect(try await other.verifyDeep().differences == [])
  }

  /// What vouched was a well signed copy; what entered later is another one, which is as far from a good signature
  /// as may be.
  @Test func anotherCopyOfTheVoucherProvesNothing() async throws {
    let good = chain(2, Vouching.steps + 2)
    let first = await VerifiedOperations(
      [spoil(good[0])], witnesses: [good[1]], suite: Fixture.suite)
    #expect(isAdmitted(try await store.deliver(first).answers[0]))
    let rest = good[1..<good.count - 1].map(spoil) + [good[good.count - 1]]
    #expect(try await store.receive(rest).allSatisfy(isAdmitted))
    try await expectPassedOn()
  }

  /// The same in one message; and a chain in which each operation comes badly and well signed.
  @Test(arguments: [false, true]) func copiesInOneMessage(all: Bool) async throws {
    let good = chain(2, 2 * Vouching.steps)
    var message: [SignedOperation] = []
    if all {
      for signed in good { message += [spoil(signed), signed] }
    } else {
      message = [spoil(good[0]), spoil(good[1]), good[1]]
      message += good[2..<Vouching.steps + 1].map(spoil) + [good[Vouching.steps + 1]]
    }
    _ = try await store.receive(message)
    let count = all ? good.count : Vouching.steps + 2
    #expect(try await store.read { try $0.status().operations } == Int64(count) + 1)
    try await expectPassedOn()
  }

  /// Two bad copies that wait for a parent are as good as one.
  @Test func aSecondBadCopyIsNoMisconduct() async throws {
    let parent = operation(3, [store.database], "p", previous: nil)
    let bad = spoil(operation(2, [id(parent)], "x", previous: nil))
    let good = operation(2, [id(bad)], "y", previous: id(bad))
    let inbox = Inbox(store)
    #expect(try await inbox.receive([bad, good, bad]).rejected.isEmpty)
    let report = try await inbox.receive([parent])
    #expect(report.admitted.count == 3 && report.rejected.isEmpty)
    try await expectPassedOn()
  }

  /// What was submitted before something else was let in, and waits for that, enters too.
  @Test func nothingIsStrandedBetweenSubmissions() async throws {
    let run = chain(2, 3)
    let inbox = Inbox(store)
    #expect(try await inbox.receive([run[1]]).admitted.isEmpty)
    let first = inbox.submit(await VerifiedOperations([run[0]], suite: Fixture.suite))
    let second = inbox.submit(await VerifiedOperations([run[2]], suite: Fixture.suite))
    _ = try await second.outcome.result()
    #expect(try await inbox.report(first).admitted.count == 2)
    #expect(try await inbox.report(second).admitted.count == 1)
    #expect(await inbox.waiting == 0)
  }

  @Test func anotherAuthorVouchesForNothing() async throws {
    let bad = spoil(operation(2, [store.database], "x", previous: nil))
    let other = operation(3, [id(bad)], "y", previous: id(bad))
    let answers = try await store.receive([bad, other])
    #expect(!answers.contains(where: isAdmitted))
  }

  @Test func aGoodCopyIsTakenBesideABadOne() async throws {
    let good = operation(2, [store.database], "one", previous: nil)
    let answers = try await store.receive([spoil(good), good])
    #expect(!isAdmitted(answers[0]) && isAdmitted(answers[1]))
  }
}
