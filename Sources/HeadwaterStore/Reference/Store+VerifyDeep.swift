import HeadwaterLog
import HeadwaterModel
import HeadwaterStream

/// What `Store.verifyDeep` found.
public struct DeepVerification: Sendable {
  public let operations: Int
  public let rows: Int
  /// What differs, for people; at most 100. Empty if the store is what its operations say.
  public let differences: [String]
}

extension Store {
  /// Checks the store against its own operations: every hash and signature, and every verdict and visible
  /// row against `ReferenceModel`, and against the fold of all events where none have been trimmed.
  ///
  /// Needs memory for all operations and time that grows faster than their number.
  public func verifyDeep(progress: @escaping @Sendable (String) -> Void = { _ in }) async throws
    -> DeepVerification
  {
    try await read { try DeepVerifier(snapshot: $0, progress: progress).run() }
  }
}

private final class DeepVerifier {
  private let snapshot: Snapshot
  private let progress: @Sendable (String) -> Void
  private var differences: [String] = []

  init(snapshot: Snapshot, progress: @escaping @Sendable (String) -> Void) {
    self.snapshot = snapshot
    self.progress = progress
  }

  private func differ(_ what: String) {
    if differences.count < 100 { differences.append(what) }
  }

  func run() throws -> DeepVerification {
    progress("reading and verifying operations")
    var operations: [(id: Digest, operation: Operation)] = []
    for id in try snapshot.operationIDs() {
      guard let number = try snapshot.log.number(of: id) else {
        differ("operation \(id.hex) cannot be found by its id")
        continue
      }
      let signed = try snapshot.log.signed(number)
      let operation = try snapshot.log.operation(number)
      if snapshot.suite.hash(signed.body) != id {
        differ("operation \(id.hex) does not have its hash")
      }
      if try !isProven(signed, id, number, operation) {
        differ("operation \(id.hex) is not signed by its author")
      }
      operations.append((id, operation))
    }
    progress("computing verdicts and rows from \(operations.count) operations")
    let reference = ReferenceModel(
      operations: operations, schema: snapshot.schema, hasher: snapshot.suite)
    for (id, _) in operations {
      guard let number = try snapshot.log.number(of: id) else { continue }
      let record = try snapshot.log.record(number)
      let verdict: Verdict = record.reason.map { .void($0, by: record.voidedBy) } ?? .valid
      if reference.verdicts[id] != verdict { differ("the verdict on operation \(id.hex) differs") }
    }
    progress("comparing \(reference.rows.count) rows")
    try compareRows(reference)
    progress("folding events")
    try compareEvents(reference)
    return DeepVerification(
      operations: operations.count, rows: reference.rows.count, differences: differences)
  }

  private func isProven(
    _ signed: SignedOperation, _ id: Digest, _ number: Int64, _ operation: Operation
  ) throws -> Bool {
    let suite = snapshot.suite
    guard suite.principal(of: signed.publicKey) == operation.author else { return false }
    if suite.verify(signed.signature, of: id, by: signed.publicKey) { return true }
    do {
      return Vouching.prove(signed, try snapshot.log.witnesses(for: number), suite: suite)
    } catch let error as StoreError where error.code == .damaged {
      return false
    }
  }

  private func compareRows(_ reference: ReferenceModel) throws {
    var seen = 0
    for (index, collection) in snapshot.schema.collections.enumerated() {
      var after: Key?
      while true {
        let page = try snapshot.rows(index, after: after, limit: 1_000)
        for row in page {
          guard let key = collection.key(of: row) else { continue }
          after = key
          if let expected = reference.rows[.init(collection: index, key: key)] {
            seen += 1
            if expected != row { differ("a row of \(collection.name) differs: \(name(key))") }
          } else {
            differ("a row of \(collection.name) should not be there: \(name(key))")
          }
        }
        if page.count < 1_000 { break }
      }
    }
    if seen < reference.rows.count {
      differ("\(reference.rows.count - seen) rows are missing")
    }
  }

  /// Keys may be personal data, so a row is named by a hash of its key.
  private func name(_ key: Key) -> String {
    "row " + snapshot.suite.hash(KeyEncoding.encode(key)).hex.prefix(16)
  }

  private func compareEvents(_ reference: ReferenceModel) throws {
    guard try snapshot.trimmed() == nil else { return }
    var folded: [ReferenceModel.RowName: Row] = [:]
    var position: Int64 = 0
    while case .transactions(let transactions) = try snapshot.transactions(
      after: position, limit: 10_000, maximumTransaction: .max), let last = transactions.last
    {
      for change in transactions.flatMap(\.changes) {
        let name = ReferenceModel.RowName(collection: change.collection, key: change.key)
        if folded[name] != change.before {
          differ("an event's row before is not the row that was there")
        }
        folded[name] = change.after
      }
      position = last.head.position
    }
    if folded != reference.rows { differ("folding the events does not give the visible rows") }
  }
}
