import HeadwaterLog
import HeadwaterModel

/// One consistent state of a replica, as a session reads it. Valid during one call.
public protocol ReplicaView {
  associatedtype Operations: OperationSet
  /// The operations in canonical order.
  var operations: Operations { get throws }
  /// The ids of the operations without children, sorted.
  func frontier() throws -> [Digest]
  /// Local numbers of the operations with that short id, ascending.
  func numbers(of short: ShortID) throws -> [Int64]
  /// The local number of the operation with that id. Parents have lesser numbers than their children.
  func number(of id: Digest) throws -> Int64?
  /// The local numbers, ascending, of what a replica lacks that has those operations and their past, no more; nil if
  /// that cannot be said quickly, or one of them is not here.
  func missing(at heads: [Digest]) throws -> [Int64]?
  func operation(_ number: Int64) throws -> OutgoingOperation
  /// The operations that prove the one with that number, as they travel (`Vouching.prove`); none where its own signature
  /// is good.
  func witnesses(for number: Int64) throws -> [[UInt8]]
}

/// An operation as it travels.
public struct OutgoingOperation: Sendable {
  public let id: Digest
  /// What `SignedOperation.encode` gives.
  public let bytes: [UInt8]
  /// The operation on whose word it was taken; nil where its own signature was checked.
  public let voucher: Digest?

  public init(id: Digest, bytes: [UInt8], voucher: Digest? = nil) {
    self.id = id
    self.bytes = bytes
    self.voucher = voucher
  }
}
