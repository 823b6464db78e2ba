/// What a peer may send, and what is kept for one. All of it is in Docs/SyncProtocol.md.
public enum SyncLimits {
  /// How many operations a database may have: what a peer says of more is refused.
  public static let operations = 1 << 40
  /// The most ranges in one message of a reconciliation.
  public static let rangesPerMessage = 4_096
  /// About how many bytes a message of a reconciliation takes at most.
  public static let rangeMessageBytes = 64 << 10
  /// How many messages of a reconciliation in a row may neither list nor offer anything.
  public static let fruitlessMessages = 64
}
