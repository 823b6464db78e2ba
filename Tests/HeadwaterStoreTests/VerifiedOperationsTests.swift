import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// One signature proves a run of an author's operations, and nothing of anybody else's.
@Suite struct VerifiedOperationsTests {
  private let scenario: Scenario
  private var store: Store { scenario.store }

  init() throws { scenario = try Scenario() }

  private func operation(_ author: UInt8, _ parent: Digest, _ name: String, previous: Digest?)
    -> SignedOperation
  {
    Scenario.sign(
      HeadwaterLog.Operation(
        kind: .ordinary(database: store.database, schema: store.database), parents: [parent],
        author: Fixture.signer(author).principal, previous: previous, time: 0,
        changes: [scenario.change(.create, "Item", key(name))]), by: Fixture.signer(author))
  }

  private func id(_ signed: SignedOperation) -> Digest { Fixture.suite.hash(signed.body) }

  private func chain(_ author: UInt8, _ count: Int) -> [SignedOperation] {
    var result: [SignedOperation] = []
    for step in 0..<count {
      let last = result.last.map(id)
      result.append(
        operation(author, last ?? store.database, "\(author)-\(step)", previous: last))
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

  @Test func oneSignatureARun() async throws {
    let runs = [chain(2, 200), chain(3, 100)]
    let verified = await VerifiedOperations(
      (runs[0] + runs[1]).shuffled(), suite: Fixture.suite)
    #expect(verified.checkedSignatures == 2)
    #expect(verified.items.allSatisfy { $0.problem == nil })
    #expect(try await store.deliver(verified).answers.allSatisfy(isAdmitted))
  }

  @Test func whatComesBeforeAGoodSignatureIsProven() async throws {
    var run = chain(2, 50)
    for index in 0..<40 { run[index] = spoil(run[index]) }
    let answers = try await store.receive(run)
    #expect(answers.allSatisfy(isAdmitted))
  }

  @Test func whatComesAfterItIsNot() async throws {
    var run = chain(2, 10)
    for index in 6..<10 { run[index] = spoil(run[index]) }
    let verified = await VerifiedOperations(run, suite: Fixture.suite)
    #expect(verified.checkedSignatures == 5)
    let answers = try await store.deliver(verified).answers
    #expect(answers[..<6].allSatisfy(isAdmitted))
    #expect(!answers[6...].contains(where: isAdmitted))
  }

  /// Whoever names another's operation as his own proves nothing.
  @Test func nobodyProvesForAnother() async throws {
    let victim = spoil(operation(2, store.database, "victim", previous: nil))
    let attacker = operation(3, id(victim), "attacker", previous: id(victim))
    let answers = try await store.receive([victim, attacker])
    #expect(!answers.contains(where: isAdmitted))
    #expect(try await store.read { try $0.signed(Fixture.suite.hash(victim.body)) } == nil)
  }

  @Test func eitherBranchOfAForkProvesItsRoot() async throws {
    let root = operation(2, store.database, "root", previous: nil)
    let left = operation(2, id(root), "left", previous: id(root))
    let right = operation(2, id(root), "right", previous: id(root))
    let answers = try await store.receive([spoil(root), spoil(left), right])
    #expect(isAdmitted(answers[0]) && !isAdmitted(answers[1]) && isAdmitted(answers[2]))
  }

  @Test func aGoodCopyIsTakenBesideABadOne() async throws {
    let good = operation(2, store.database, "one", previous: nil)
    let answers = try await store.receive([spoil(good), good])
    #expect(!isAdmitted(answers[0]) && isAdmitted(answers[1]))
  }

  // MARK: Over several batches

  /// Whoever relays a run may have checked its last signature only, and may cut it elsewhere.
  @Test func theProofMayComeLater() async throws {
    var run = chain(2, 30)
    for index in 0..<29 { run[index] = spoil(run[index]) }
    let inbox = Inbox(store)
    for signed in run.dropLast() {
      let report = try await inbox.receive([signed])
      #expect(report.admitted.isEmpty && report.rejected.isEmpty)
    }
    #expect(await inbox.waiting == 29)
    let report = try await inbox.receive([run[29]])
    #expect(report.admitted.count == 30)
    #expect(await inbox.waiting == 0)
    #expect(try await store.verifyDeep().differences.isEmpty)
  }

  @Test func copiesThatNobodyProvesAreBounded() async throws {
    let inbox = Inbox(store)
    var rejected = 0
    for block in 0..<30 {
      let bad = (0..<100).map {
        spoil(operation(2, store.database, "\(block)-\($0)", previous: nil))
      }
      rejected += try await inbox.receive(bad).rejected.count
    }
    #expect(await inbox.waiting == 1_024)
    #expect(rejected == 3_000 - 1_024)
    let good = operation(3, store.database, "good", previous: nil)
    #expect(try await inbox.receive([good]).admitted.count == 1)
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func anyBatchingOfRunsWithOneGoodSignatureEach(seed: UInt64) async throws {
    var random = Seeded(seed)
    var operations: [SignedOperation] = []
    for author in 2...4 as ClosedRange<UInt8> {
      var run = chain(author, Int.random(in: 1...12, using: &random))
      for index in run.indices.dropLast() where random.next() % 2 == 0 {
        run[index] = spoil(run[index])
      }
      operations += run
    }
    operations.shuffle(using: &random)
    let inbox = Inbox(store)
    var admitted = 0
    var rest = operations[...]
    while !rest.isEmpty {
      let part = rest.prefix(Int.random(in: 1...9, using: &random))
      rest = rest.dropFirst(part.count)
      let report = try await inbox.receive(Array(part))
      #expect(report.rejected.isEmpty && report.evicted.isEmpty, "seed \(seed)")
      admitted += report.admitted.count
    }
    #expect(admitted == operations.count, "seed \(seed)")
    #expect(await inbox.waiting == 0, "seed \(seed)")
  }
}
