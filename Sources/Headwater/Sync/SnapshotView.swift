import HeadwaterLog
import HeadwaterModel
import HeadwaterStore
import HeadwaterSync

/// One state of a store, as a sync session reads it. Valid during the closure of `Store.read`.
public struct SnapshotView: ReplicaView {
  private let snapshot: Snapshot
  public let operations: StoredOperations

  public init(_ snapshot: Snapshot) throws {
    self.snapshot = snapshot
    operations = try snapshot.operations()
  }

  public func frontier() throws -> [Digest] { try snapshot.frontier() }
  public func numbers(of short: ShortID) throws -> [Int64] { try operations.numbers(of: short) }
  public func number(of id: Digest) throws -> Int64? { try operations.number(of: id) }
  public func missing(at heads: [Digest]) throws -> [Int64]? { try operations.missing(at: heads) }
  public func operation(_ number: Int64) throws -> OutgoingOperation {
    let (id, signed, voucher) = try operations.travelling(number)
    return OutgoingOperation(id: id, bytes: signed.encode(), voucher: voucher)
  }
  public func witnesses(for number: Int64) throws -> [[UInt8]] {
    try operations.witnesses(for: number).map { $0.encode() }
  }
}
