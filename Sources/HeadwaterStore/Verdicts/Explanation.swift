import HeadwaterLog
import HeadwaterModel

/// Why an operation is valid or void, requirement by requirement, for people.
public struct Explanation: Sendable {
  public let operation: Digest
  public let author: Digest
  public let height: Int64
  public let verdict: Verdict
  /// One sentence that says why it is void; nil where it is valid.
  public let message: String?
  /// In the order of the changes. Empty for a genesis, which is valid by fiat.
  public let requirements: [Requirement]

  /// One condition of one change.
  public struct Requirement: Sendable {
    /// The index of the change.
    public let change: Int
    public let kind: RowChange.Kind
    public let collection: Int
    public let key: Key
    public let asked: Asked
    /// Why it fails; nil where it holds.
    public let failure: VerdictReason?
    /// The rows that were looked at, at most 32.
    public let witnesses: [Witness]

    public var holds: Bool { failure == nil }
  }

  /// What is asked.
  public enum Asked: Sendable, Hashable {
    /// One of these conditions of the schema holds; without any, nobody may.
    case rule([String])
    /// The row that is changed is live.
    case subject
    /// The row that the field refers to is live.
    case target(field: String)
    /// No row refers by `void` to the one that is deleted.
    case unreferenced
    /// No other row has the value of the field.
    case unique(field: String)
  }

  /// A row that was looked at, by one of its creates.
  public struct Witness: Sendable {
    public let collection: Int
    public let key: Key
    /// The operation that created it.
    public let create: Digest
    public let isCreateValid: Bool
    /// The deletes that end it for the operation.
    public let ends: [End]

    /// Whether it counts: its create is valid, and none of the deletes is.
    public var counts: Bool { isCreateValid && !ends.contains(where: \.isValid) }
  }

  /// A delete.
  public struct End: Sendable {
    public let operation: Digest
    public let author: Digest
    /// Whether it and the operation explained had not seen each other.
    public let isConcurrent: Bool
    public let isValid: Bool
  }
}

extension Snapshot {
  /// Why an operation is valid or void.
  ///
  /// - Throws: `.invalid` where the store has no such operation.
  public func explain(_ id: Digest) throws -> Explanation {
    guard let number = try log.number(of: id) else {
      throw StoreError(.invalid, "the store has no operation \(id.hex)")
    }
    let record = try log.record(number)
    let evidence = Evidence(
      log: log, rows: rows, authority: AuthorityTable(db), layout: layout, suite: suite)
    let viewpoint = try evidence.viewpoint(number)
    let changes = try evidence.changes(number)
    let asks = record.height == 0 ? [] : try evidence.asks(changes, at: viewpoint)
    let requirements = try asks.map {
      try evidence.requirement($0, changes, at: viewpoint, evidence.settled)
    }
    var message: String?
    if case .void(let reason, let by) = record.verdict {
      message = try evidence.message(reason, by, changes, asks, at: viewpoint, evidence.settled)
    }
    return Explanation(
      operation: id, author: viewpoint.author, height: record.height, verdict: record.verdict,
      message: message, requirements: requirements)
  }
}

extension Engine {
  /// The error of a local write that would be void.
  func refusal(
    _ reason: VerdictReason, _ by: [Digest], _ changes: [ResolvedChange], _ asks: [Ask],
    _ viewpoint: Viewpoint
  ) throws -> StoreError {
    let why = try evidence.message(reason, by, changes, asks, at: viewpoint, evidence.settled)
    return StoreError(
      .refused, "the write was refused, because it would be void: \(why)", reason: reason.rawValue)
  }
}
