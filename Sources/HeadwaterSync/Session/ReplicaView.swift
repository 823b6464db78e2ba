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
  /// The operation as it travels: the bytes of `SignedOperation.encode`.
  func encoded(_ number: Int64) throws -> [UInt8]
}
