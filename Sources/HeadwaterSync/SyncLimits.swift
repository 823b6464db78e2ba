/// What a peer may send, and what is kept for one. All of it is in Docs/SyncProtocol.md.
public enum SyncLimits {
  /// The version of the protocol.
  public static let version: UInt64 = 1
  /// How many operations a database may have: what a peer says of more is refused.
  public static let operations = 1 << 40
  /// The most ranges in one message of a reconciliation.
  public static let rangesPerMessage = 4_096
  /// About how many bytes a message of a reconciliation takes at most.
  public static let rangeMessageBytes = 64 << 10
  /// How many heads a frontier names; of one with more, so many.
  public static let heads = 64
  /// About how many bytes of operations one message carries.
  public static let batchBytes = 256 << 10
  /// How many bytes of operations may be on the way from one peer.
  public static let window = 4 << 20
  /// How many operations one peer is asked for at once, and may ask for.
  public static let wanted = 4_096
  /// With more short ids than this to be fetched a reconciliation is not answered.
  public static let needs = 32_768
  /// How many messages of a reconciliation in a row may neither list nor offer anything.
  public static let fruitlessMessages = 64
  /// How many rounds in a row may end without an operation.
  public static let fruitlessRounds = 16
  /// How many more messages than are good for something a peer may send at once, and how many a second.
  public static let idleMessages = 2_000
  public static let idleMessagesPerSecond = 20
  /// How many new operations at once are sent unasked. More are left to a round.
  public static let pushed = 256
  /// After so many milliseconds without a message from the peer a session ends.
  public static let timeout: Int64 = 60_000
  /// After so many milliseconds without a message to the peer it gets a sign of life.
  public static let pingInterval: Int64 = 15_000
}
