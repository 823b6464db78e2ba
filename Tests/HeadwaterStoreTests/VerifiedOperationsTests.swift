import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// Every operation is proven by its own signature, and by nothing else (decision 0043).
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

  @Test(arguments: [1, 7, 8, 9, 100, 1_000]) func manyAtOnceAreInOrder(count: Int) async throws {
    var run = chain(2, count)
    let bad = count / 2
    run[bad] = spoil(run[bad])
    let verified = await VerifiedOperations(run, suite: Fixture.suite)
    #expect(verified.items.map(\.id) == run.map(id))
    for (index, item) in verified.items.enumerated() {
      #expect((item.problem == nil) == (index != bad), "\(index) of \(count)")
    }
  }

  /// A later operation of the author's vouches for nothing: it may be rejected, and then nobody could prove the
  /// earlier one to anybody ever again.
  @Test func aGoodSuccessorProvesNothing() async throws {
    let bad = spoil(operation(2, store.database, "x", previous: nil))
    let good = operation(2, id(bad), "y", previous: id(bad))
    let answers = try await store.receive([bad, good])
    #expect(!answers.contains(where: isAdmitted))
    #expect(try await store.read { try $0.signed(Fixture.suite.hash(bad.body)) } == nil)
  }

  @Test func aGoodCopyIsTakenBesideABadOne() async throws {
    let good = operation(2, store.database, "one", previous: nil)
    let answers = try await store.receive([spoil(good), good])
    #expect(!isAdmitted(answers[0]) && isAdmitted(answers[1]))
  }
}
