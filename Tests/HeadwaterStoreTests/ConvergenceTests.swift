import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// Semantics section 8, properties 1 to 3 and 5, over random histories from seeds.
@Suite struct ConvergenceTests {
  private static func history(_ seed: UInt64, count: Int) throws -> HistoryMaker {
    let store = try Fixture.store(options: fixedClock)
    var maker = try HistoryMaker(
      seed: seed, authors: 1 + Int(seed % 4), schema: store.schema, genesis: genesis(seed))
    try maker.grow(count, reachBack: [2, 4, 12, 40][Int(seed / 4 % 4)])
    return maker
  }

  private static var fixedClock: Store.Options {
    var options = Store.Options()
    options.clock = { 1_000 }
    return options
  }

  private static func genesis(_ seed: UInt64) throws -> SignedOperation {
    let schema = try Fixture.schema()
    let signer = Fixture.signer(1)
    let nonce = withUnsafeBytes(of: (seed.bigEndian, UInt64(0))) { Array($0) }
    let body = Operation(
      kind: .genesis(
        nonce: nonce, schemaHash: schema.hash(with: Fixture.suite),
        schemaText: schema.canonicalText),
      parents: [], author: signer.principal, previous: nil, time: 0, changes: []
    ).encode()
    return SignedOperation(
      body: body, suite: 1, publicKey: signer.publicKey,
      signature: signer.sign(Fixture.suite.hash(body)))
  }

  /// Delivers the operations in an order of its own, in batches of its own, some twice.
  private static func deliver(_ maker: HistoryMaker, _ random: inout Seeded) async throws -> Store {
    let store = try Store.replicate(at: nil, genesis: maker.genesis, suite: Fixture.suite)
    var pending = maker.operations.map(\.signed).shuffled(using: &random)
    let batch = [1, 2, 7, 1_000].randomElement(using: &random)!
    while !pending.isEmpty {
      var waiting: [SignedOperation] = []
      for start in stride(from: 0, to: pending.count, by: batch) {
        let slice = Array(pending[start..<min(start + batch, pending.count)])
        for (operation, answer) in zip(slice, try await store.receive(slice)) {
          switch answer {
          case .waiting: waiting.append(operation)
          case .rejected(let why): Issue.record("\(why)")
          case .admitted, .known: break
          }
        }
      }
      guard waiting.count < pending.count else {
        Issue.record("operations wait for ever")
        break
      }
      pending = waiting.shuffled(using: &random)
    }
    return store
  }

  @Test(arguments: 0..<120 as Range<UInt64>)
  func everyOrderGivesTheReference(seed: UInt64) async throws {
    let maker = try Self.history(seed, count: 60)
    let reference = ReferenceModel(
      operations: try maker.operations.map { ($0.id, try Operation.decode($0.signed.body)) },
      schema: maker.schema, hasher: Fixture.suite)
    var random = Seeded(seed &+ 77)
    for _ in 0..<2 {
      let store = try await Self.deliver(maker, &random)
      #expect(try await store.verdicts() == reference.verdicts, "seed \(seed): verdicts")
      #expect(try await store.visibleRows() == reference.rows, "seed \(seed): rows")
      var folded: [ReferenceModel.RowName: Row] = [:]
      for change in try await store.allChanges() {
        let name = ReferenceModel.RowName(collection: change.collection, key: change.key)
        #expect(folded[name] == change.before, "seed \(seed): an event's image before")
        folded[name] = change.after
      }
      #expect(folded == reference.rows, "seed \(seed): the fold of the events")
      let deep = try await store.verifyDeep()
      #expect(deep.differences.isEmpty, "seed \(seed): \(deep.differences)")
    }
  }
}
