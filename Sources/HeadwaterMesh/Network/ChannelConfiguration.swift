/// The patience and the limits of channels over TCP.
public struct ChannelConfiguration: Sendable {
  /// From the first packet to a channel that both sides have agreed on.
  public var handshakeTimeout: Duration = .seconds(10)
  /// How long a side says nothing before it sends a heartbeat. Peers count on at most 15 s.
  public var heartbeatInterval: Duration = .seconds(15)
  /// How long the peer may say nothing at all, not even a heartbeat, while this side reads.
  public var silenceLimit: Duration = .seconds(45)
  /// How long what was sent may wait without the peer taking any of it.
  public var stallLimit: Duration = .seconds(120)
  /// How long a close waits for the peer to hear of it.
  public var closeTimeout: Duration = .seconds(2)
  /// The bytes that a channel holds for each direction before it stops: reading, or taking more to send.
  /// One message and what is read at once may come on top.
  public var bufferedByteCount = 1 << 18
  /// How many channels a listener has in the handshake or waiting for `accept` at once.
  public var pendingLimit = 64
  /// How many of these may come from one address (of IPv6, one network of 64 bits).
  public var pendingLimitPerHost = 8

  public init() {}
}
