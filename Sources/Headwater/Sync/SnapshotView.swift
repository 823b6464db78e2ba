import HeadwaterLog
import HeadwaterModel
import HeadwaterStore
import HeadwaterSync

/// One state of a store, as a sync session reads it. Valid during the closure of `Store.read`.
public final class SnapshotView: ReplicaView {
  private let snapshot: Snapshot
  private var found: StoredOperations?

  public init(_ snapshot: Snapshot) { self.snapshot = snapshot }

  /// Read when first asked for: whoever only takes what a peer streams need not know them all in order.
  public var operations: StoredOperations {
    get throws {
      if let found { return found }
      let operations = try snapshot.operations()
      found = operations
      return operations
    }
  }

  public func frontier() throws -> [Digest] { try snapshot.frontier() }
  public func numbers(of short: ShortID) throws -> [Int64] { try operations.numbers(of: short) }
  public func number(of id: Digest) throws -> Int64? { try operations.number(of: id) }
  public func missing(at heads: [Digest]) throws -> [Int64]? { try operations.missing(at: heads) }
  public func operation(_ number: Int64) throws -> OutgoingOperation {
    let (id, signed, voucher) = try snapshot.travelling(number)
    return OutgoingOperation(id: id, bytes: signed.encode(), voucher: voucher)
  }
  public func witnesses(for number: Int64) throws -> [[UInt8]] {
    try snapshot.witnesses(for: number).map { $0.encode() }
  }
}
