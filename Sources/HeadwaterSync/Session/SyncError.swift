import HeadwaterModel

/// Why a session ended before its time. The peer is told the code.
public struct SyncError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What went wrong, for programs. The numbers travel.
  public enum Code: UInt64, Hashable, Sendable, CaseIterable {
    /// The peer speaks another version of the protocol.
    case version = 1
    /// The peer has another database.
    case database = 2
    /// The peer's database uses another cryptographic suite.
    case suite = 3
    /// Bytes that are no message, or a message at the wrong time.
    case malformed = 4
    /// A reconciliation, or rounds of it, without end.
    case endless = 5
    /// More than was asked for or allowed.
    case flood = 6
    /// An operation that can never enter, from a peer that should have refused it.
    case rejected = 7
    /// The peer does not have what it said it had.
    case absent = 8
    /// The peer took too long.
    case timeout = 9
    /// The peer's side ended the session for a reason of its own.
    case remote = 10
    /// This side's store failed.
    case storage = 11

    /// Whether the peer is at fault: one that errs so again and again is not worth a connection.
    public var isMisconduct: Bool {
      switch self {
      case .malformed, .endless, .flood, .rejected, .absent: true
      case .version, .database, .suite, .timeout, .remote, .storage: false
      }
    }
  }

  public let code: Code
  /// What happened and what to do. Never data.
  public let message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
