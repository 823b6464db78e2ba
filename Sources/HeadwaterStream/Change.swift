import HeadwaterModel

/// The difference of one visible row: what an event says, without how it came about.
public struct Change: Sendable, Hashable {
  /// The collection's index in the schema's `collections`.
  public let collection: Int
  public let key: Key
  /// The whole visible row before; nil if it was not visible.
  public let before: Row?
  /// The whole visible row after; nil if it is not visible any more (a delete).
  public let after: Row?
  public let cause: Cause

  public init(collection: Int, key: Key, before: Row?, after: Row?, cause: Cause) {
    self.collection = collection
    self.key = key
    self.before = before
    self.after = after
    self.cause = cause
  }

  public var isDelete: Bool { after == nil }
}

/// Why a visible row changed.
public struct Cause: Sendable, Hashable {
  public enum Reason: String, Sendable, Hashable, CaseIterable {
    /// A valid operation changed the row.
    case applied
    /// A verdict flipped, and the row, or a change of it, is gone.
    case retracted
    /// A verdict flipped, and the row, or a change of it, is back.
    case reinstated
    /// A row that this one refers to came or went.
    case cascaded
    /// The schema changed.
    case migrated
  }

  /// The operations responsible, in canonical order.
  public let operations: [Digest]
  /// Who signed the first of them.
  public let author: Digest
  /// That author's wall clock, in milliseconds since 1970; information only.
  public let time: Int64
  public let reason: Reason
  /// For `retracted` and `reinstated`: the reason of the verdict that flipped.
  public let verdictReason: String?

  public init(
    operations: [Digest], author: Digest, time: Int64, reason: Reason, verdictReason: String? = nil
  ) {
    self.operations = operations
    self.author = author
    self.time = time
    self.reason = reason
    self.verdictReason = verdictReason
  }
}
