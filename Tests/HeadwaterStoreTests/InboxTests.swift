import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// What waits for its parents is bounded, and nothing valid is lost by that.
@Suite struct InboxTests {
  private let scenario: Scenario
  private var store: Store { scenario.store }

  init() throws { scenario = try Scenario() }

  private func operation(
    _ author: UInt8, _ parent: Digest, _ name: String, previous: Digest? = nil
  ) -> SignedOperation {
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
      result.append(operation(author, last ?? store.database, "\(author)-\(step)", previous: last))
    }
    return result
  }

  @Test func aChainThatComesBackwards() async throws {
    let inbox = Inbox(store)
    let chain = chain(2, 300)
    for signed in chain.reversed().dropLast() {
      let report = try await inbox.receive([signed])
      #expect(report.admitted.isEmpty && report.rejected.isEmpty && report.evicted.isEmpty)
    }
    #expect(await inbox.waiting == 299)
    #expect(await inbox.missing.contains(id(chain[0])))
    let report = try await inbox.receive([chain[0]])
    #expect(report.admitted.map(\.id) == chain.map(id))
    #expect(await inbox.waiting == 0)
    #expect(try await store.verifyDeep().differences.isEmpty)
  }

  @Test func aFloodOfOrphansCrowdsOutItselfAlone() async throws {
    let flooded = Inbox(store, maximumOperations: 500, maximumBytes: 64 << 20)
    let honest = Inbox(store)
    let chain = chain(2, 40)
    _ = try await honest.receive(Array(chain[20...]))
    _ = try await flooded.receive(Array(chain[1..<20]))
    var evicted: Set<Digest> = []
    for block in 0..<30 {
      let orphans = (0..<100).map { index in
        operation(3, Fixture.suite.hash([UInt8(block), UInt8(index), 9]), "o\(block)-\(index)")
      }
      let report = try await flooded.receive(orphans)
      evicted.formUnion(report.evicted)
      #expect(report.admitted.isEmpty)
      #expect(await flooded.waiting <= 500)
    }
    // The first to come were the first to go; whoever offered them is told so.
    #expect(evicted.isSuperset(of: chain[1..<20].map(id)))
    // What comes again after its parents is admitted, and what another peer had left waiting follows.
    #expect(try await flooded.receive(Array(chain[..<20])).admitted.count == 20)
    #expect(try await honest.retry().admitted.count == 20)
    #expect(await honest.waiting == 0)
    let rows = try await store.read { try $0.count(0) }
    #expect(rows == 40)
    #expect(await flooded.waiting <= 500)
  }

  @Test func whatWaitsForSomethingRejectedIsRejected() async throws {
    let inbox = Inbox(store)
    let bad = Scenario.sign(
      HeadwaterLog.Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: [store.database], author: Fixture.signer(2).principal, previous: nil, time: 0,
        changes: [scenario.change(.update, "Item", key("x"))]), by: Fixture.signer(2))
    let child = operation(3, id(bad), "child")
    let grandchild = operation(4, id(child), "grandchild")
    _ = try await inbox.receive([grandchild, child])
    #expect(await inbox.waiting == 2)
    // A copy with another's signature condemns nobody.
    let forged = SignedOperation(
      body: bad.body, suite: bad.suite, publicKey: bad.publicKey,
      signature: bad.signature.map { ~$0 })
    #expect(try await inbox.receive([forged]).rejected.count == 1)
    #expect(await inbox.waiting == 2)
    #expect(try await inbox.receive([bad]).rejected.count == 3)
    #expect(await inbox.waiting == 0)
  }

  @Test func aMillionThatWait() throws {
    // The room alone: an operation is an operation, whatever its bytes are.
    var room = WaitingRoom(maximumOperations: 10_000, maximumBytes: 64 << 20)
    let signed = operation(2, store.database, "x")
    func item(_ number: Int) -> VerifiedOperations.Item {
      VerifiedOperations.Item(signed: signed, id: digest(number), operation: nil)
    }
    func digest(_ number: Int) -> Digest {
      var bytes = [UInt8](repeating: 0, count: 32)
      withUnsafeBytes(of: UInt64(bitPattern: Int64(number))) {
        bytes.replaceSubrange(0..<8, with: $0)
      }
      return Digest(bytes: bytes)!
    }
    var evicted = 0
    for number in 0..<1_000_000 {
      evicted += room.add(item(number), missing: digest(-number - 1)).count
    }
    #expect(room.count == 10_000 && evicted == 990_000)
    #expect(room.missing.count == 10_000)
    #expect(room.release(waitingFor: digest(-1)).isEmpty)
    #expect(room.release(waitingFor: digest(-1_000_000)).count == 1)
    // By bytes, too.
    var narrow = WaitingRoom(maximumOperations: .max, maximumBytes: 100_000)
    for number in 0..<10_000 {
      _ = narrow.add(item(number), missing: digest(-1))
      #expect(narrow.bytes <= 100_000)
    }
    #expect(narrow.release(waitingFor: digest(-1)).count > 100 && narrow.bytes == 0)
  }
}
