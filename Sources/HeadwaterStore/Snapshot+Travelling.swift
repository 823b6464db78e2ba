import HeadwaterLog
import HeadwaterModel

/// Operations as they travel together, and others that prove those of them that are badly signed (`Vouching`).
public struct OperationGroup: Sendable {
  public var operations: [SignedOperation]
  public var witnesses: [SignedOperation]

  public init(_ operations: [SignedOperation] = [], witnesses: [SignedOperation] = []) {
    self.operations = operations
    self.witnesses = witnesses
  }
}

extension Snapshot {
  /// How many operations travel together at most, and about how many bytes.
  static let group = (operations: 1_024, bytes: 1 << 20)

  /// Calls `body` with the operations as they travel, parents before children, until it returns false: in groups of
  /// at most 1,024, each of which proves itself to whoever takes it as a whole.
  ///
  /// - Parameter known: leave out these operations and their past.
  public func groups(
    ofOperationsNotIn known: [Digest] = [], _ body: (OperationGroup) throws -> Bool
  ) throws {
    let heads = try known.map { id in
      guard let number = try log.number(of: id) else {
        throw StoreError(.invalid, "the store has no operation \(id.hex)")
      }
      return try log.record(number)
    }
    var numbers: [Int64] = []
    var bytes: Int64 = 0
    let statement = try db.prepare(
      "SELECT number, length(body) FROM operation ORDER BY number")
    while try statement.step() {
      let number = statement.int(0)
      if !heads.isEmpty, try log.isInPast(log.record(number), ofOrAmong: heads) { continue }
      numbers.append(number)
      bytes += statement.int(1)
      if numbers.count == Snapshot.group.operations || bytes >= Snapshot.group.bytes {
        guard try handOver(numbers, body) else { return }
        numbers.removeAll(keepingCapacity: true)
        bytes = 0
      }
    }
    _ = try handOver(numbers, body)
  }

  /// Hands the operations over as a group, or as several where what proves them would be too long for one.
  private func handOver(_ numbers: [Int64], _ body: (OperationGroup) throws -> Bool) throws -> Bool
  {
    guard !numbers.isEmpty else { return true }
    let operations = try numbers.map { try log.travelling($0) }
    let witnesses = try Vouching.witnesses(
      for: operations.map { ($0.id, $0.voucher) }, atMost: Snapshot.group.bytes,
      byteCount: { (witness: SignedOperation) in witness.body.count },
      find: { try log.witnesses(for: numbers[$0]) })
    guard let witnesses else {
      let half = numbers.count / 2
      return try handOver(Array(numbers[..<half]), body)
        && handOver(Array(numbers[half...]), body)
    }
    return try body(OperationGroup(operations.map(\.signed), witnesses: witnesses))
  }

  /// The same operation by operation, for whoever needs no proof.
  public func signedOperations(
    notIn known: [Digest] = [], _ body: (SignedOperation) throws -> Bool
  ) throws {
    try groups(ofOperationsNotIn: known) { group in
      for operation in group.operations where try !body(operation) { return false }
      return true
    }
  }
}
