import HeadwaterModel

/// A secure way to one peer: ordered, in both directions, of whole messages.
///
/// Applications bring their own; the default is Noise over TCP (HeadwaterMesh). What a channel promises:
/// - `peer` has proven that it holds the key of that principal, and nobody else reads or alters what is sent;
/// - messages arrive whole, once, in the order in which they were sent, or the channel fails;
/// - `send` suspends while the peer does not read: what is on the way is bounded;
/// - one task sends and one receives at a time; both may be at it at once, and any task may close.
public protocol Channel: Sendable {
  /// The principal at the other end: the hash of (suite, public key).
  var peer: Digest { get }

  /// Sends one message of 1 to `ChannelLimits.messageBytes` bytes. Returning says nothing of its arrival.
  func send(_ message: [UInt8]) async throws(ChannelError)

  /// The next message; nil when the peer has closed the channel in good order.
  func receive() async throws(ChannelError) -> [UInt8]?

  /// Closes both directions. Whoever sends or receives fails. Harmless when it is closed already.
  func close() async
}

/// What every channel can carry, and no peer may exceed.
public enum ChannelLimits {
  /// The longest message, in bytes.
  public static let messageBytes = 1 << 20
}

/// Why a channel cannot go on. It never does after the first.
public struct ChannelError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What went wrong, for programs.
  public enum Code: String, Hashable, Sendable {
    /// The connection could not be made, was cut, or was closed on this side.
    case closed
    /// The peer took too long.
    case timeout
    /// What arrived cannot have been sent by a peer that keeps to the protocol, or was altered on the way.
    case invalid
    /// The peer's identity is not the one that was asked for, or was not proven.
    case unauthenticated
  }

  public let code: Code
  /// What happened and what to do. Never what was sent, nor a secret.
  public let message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
