import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// Delivers the operations of a history to stores in many orders, and compares each with the reference model.
struct Replicas {
  let genesis: SignedOperation
  /// Parents first, without the genesis.
  let operations: [SignedOperation]
  let model: ReferenceModel

  /// All orders of up to five operations, and two dozen of more; each one by one and in one batch, some with
  /// a restart after every operation.
  func agreeInEveryOrder(_ location: SourceLocation = #_sourceLocation) async throws {
    for (number, order) in orders().enumerated() {
      let inBatch = try await deliver(order, batch: max(order.count, 1), location)
      try await expectAgreement(inBatch, isDeep: number % 8 == 0, location: location)
      if number % 8 == 0 {
        let folder = try TemporaryFolder()
        let restarted = try await deliver(order, batch: 1, path: folder.path("replica"), location)
        try await expectAgreement(restarted, isDeep: true, location: location)
      } else {
        let oneByOne = try await deliver(order, batch: 1, location)
        try await expectAgreement(oneByOne, isDeep: number % 8 == 4, location: location)
      }
    }
  }

  /// A replica that was given the operations in that order; what has to wait is offered again, in the same order.
  ///
  /// - Parameter path: where there is one, the store is closed and opened again after each batch.
  func deliver(
    _ order: [SignedOperation], batch: Int, path: String? = nil,
    _ location: SourceLocation = #_sourceLocation
  ) async throws -> Store {
    var options = Store.Options()
    options.durability = .process
    // Every third holds next to nothing in memory.
    if (order.count + batch) % 3 == 0 { options.heldRows = 1 }
    var store: Store? = try Store.replicate(
      at: path, genesis: genesis, suite: Fixture.suite, options: options)
    var pending = order
    while !pending.isEmpty {
      var waiting: [SignedOperation] = []
      for start in stride(from: 0, to: pending.count, by: batch) {
        let slice = Array(pending[start..<min(start + batch, pending.count)])
        for (operation, answer) in zip(slice, try await store!.receive(slice)) {
          switch answer {
          case .waiting: waiting.append(operation)
          case .rejected(let why): Issue.record("\(why)", sourceLocation: location)
          case .admitted, .known: break
          }
        }
        if let path {
          store = nil
          store = try Store.open(path, forWriting: true, suite: Fixture.suite, options: options)
        }
      }
      guard waiting.count < pending.count else {
        Issue.record("operations wait for ever", sourceLocation: location)
        break
      }
      pending = waiting
    }
    return store!
  }

  /// Verdicts and rows are the reference's, and the events fold to the rows.
  func expectAgreement(
    _ store: Store, isDeep: Bool = false, _ comment: Comment? = nil,
    location: SourceLocation = #_sourceLocation
  ) async throws {
    #expect(try await store.verdicts() == model.verdicts, comment, sourceLocation: location)
    #expect(try await store.visibleRows() == model.rows, comment, sourceLocation: location)
    var folded: [ReferenceModel.RowName: Row] = [:]
    for change in try await store.allChanges() {
      let name = ReferenceModel.RowName(collection: change.collection, key: change.key)
      #expect(folded[name] == change.before, comment, sourceLocation: location)
      folded[name] = change.after
    }
    #expect(folded == model.rows, comment, sourceLocation: location)
    guard isDeep else { return }
    let deep = try await store.verifyDeep()
    #expect(deep.differences.isEmpty, comment, sourceLocation: location)
    try await Scenario.expectWholeStream(store, location)
  }

  private func orders() -> [[SignedOperation]] {
    if operations.count <= 5 { return Replicas.permutations(operations) }
    var random = Seeded(UInt64(operations.count))
    return [operations, operations.reversed()]
      + (0..<22).map { _ in operations.shuffled(using: &random) }
  }

  private static func permutations(_ items: [SignedOperation]) -> [[SignedOperation]] {
    guard items.count > 1 else { return [items] }
    return items.indices.flatMap { index in
      var rest = items
      let first = rest.remove(at: index)
      return permutations(rest).map { [first] + $0 }
    }
  }
}
