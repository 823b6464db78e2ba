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
        guard try hand(numbers, body) else { return }
        numbers.removeAll(keepingCapacity: true)
        bytes = 0
      }
    }
    _ = try hand(numbers, body)
  }

  /// The group, or several where what proves it would be too long for one.
  private func hand(_ numbers: [Int64], _ body: (OperationGroup) throws -> Bool) throws -> Bool {
    guard !numbers.isEmpty else { return true }
    let operations = try numbers.map { try log.travelling($0) }
    var witnesses: [SignedOperation] = []
    if operations.contains(where: { $0.voucher != nil }) {
      let present = Set(operations.map(\.id))
      var seen: Set<SignedOperation> = []
      var bytes = 0
      for (number, operation) in zip(numbers, operations) {
        guard let voucher = operation.voucher, !present.contains(voucher) else { continue }
        for witness in try log.witnesses(for: number) where seen.insert(witness).inserted {
          witnesses.append(witness)
          bytes += witness.body.count
        }
        if bytes > Snapshot.group.bytes, numbers.count > 1 {
          let half = numbers.count / 2
          return try hand(Array(numbers[..<half]), body) && hand(Array(numbers[half...]), body)
        }
      }
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
