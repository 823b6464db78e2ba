/// How many peers to have, how patiently to look for them, and what to put up with.
///
/// Times are in milliseconds.
public struct PeerLimits: Sendable {
  /// Connections that this side makes. Configured peers come first.
  public var outbound = 8
  /// Connections that others make.
  public var inbound = 64
  /// Connections that others make from one address (of IPv6, one network of 64 bits).
  public var inboundPerHost = 8
  /// Connections with one principal, who may hold its key in several places.
  public var perPrincipal = 4
  /// Dials under way at once.
  public var dialling = 4

  /// Addresses that are known, configured ones apart.
  public var addresses = 1_024
  /// Addresses that one principal may tell.
  public var addressesPerSource = 64

  /// The pause after the first failure; it doubles with each that follows.
  public var firstPause: Int64 = 1_000
  /// The longest pause between attempts at a configured peer, and at another one.
  public var longestPauseConfigured: Int64 = 60_000
  public var longestPause: Int64 = 600_000
  /// After so many failures in a row an address that was only told is forgotten.
  public var failuresToForget = 8
  /// How long a connection must have held for its address to count as good.
  public var goodAfter: Int64 = 60_000

  /// Two connections made so close to each other are taken for made at the same time.
  /// Longer than a handshake can take.
  public var simultaneity: Int64 = 15_000

  /// Points of misbehaviour at which a peer is banned.
  public var banScore: Int64 = 100
  /// One point is forgiven in this time.
  public var forgiveness: Int64 = 6_000
  /// The first ban; it doubles with each that follows, up to the longest.
  public var firstBan: Int64 = 3_600_000
  public var longestBan: Int64 = 86_400_000
  /// Principals and addresses of whom something bad is remembered.
  public var records = 4_096

  /// How often a peer may tell addresses.
  public var exchangeInterval: Int64 = 60_000
  /// Whether to believe and pass on addresses of private networks and of this machine.
  public var allowsPrivateAddresses = false

  public init() {}
}

/// What a peer does that it should not, and how bad that is.
public enum Misbehaviour: String, Sendable, CaseIterable {
  /// Bytes that cannot have been sent by a peer that keeps to the protocol.
  case garbage
  /// A well-formed message that the state of the conversation does not allow.
  case protocolViolation
  /// An operation with a wrong signature, hash or parents.
  case invalidOperation
  /// More than the limits allow.
  case flood
  /// Too many or too frequent addresses, or such as nobody can have.
  case badExchange
  /// Answers that do not come.
  case timeout

  /// Points; see `PeerLimits.banScore`.
  var points: Int64 {
    switch self {
    case .garbage: 100
    case .protocolViolation: 50
    case .invalidOperation: 34
    case .flood: 50
    case .badExchange: 20
    case .timeout: 5
    }
  }
}
