/// What a frame of a channel is for: the first byte of what is encrypted.
enum FrameKind: UInt8, Sendable {
  /// The responder has accepted the initiator. Its first frame, and its first only.
  case ready = 0
  /// A part of a message, of which more follows.
  case part = 1
  /// The last or only part of a message.
  case last = 2
  /// Nothing, lest the other side think that nobody is there.
  case heartbeat = 3
  /// Something for the other side's mesh, outside the order of messages.
  case aside = 4
  /// Nothing comes after this: the good end of a channel.
  case end = 5
}

/// The measures of frames, in bytes.
enum FrameLimits {
  /// The length that precedes every frame, big-endian.
  static let headByteCount = 2
  /// The shortest encrypted frame: its kind and the tag.
  static let leastByteCount = 1 + CipherState.tagByteCount
  /// The longest body.
  static let bodyByteCount = CipherState.messageByteCount - leastByteCount
  /// The longest body that this side sends: a frame and its length are 64 KiB, in which allocators excel.
  static let sentBodyByteCount = bodyByteCount - 1
  /// The longest aside.
  static let asideByteCount = 16_384
  /// How many frames one key encrypts before it is replaced: at most a gibibyte.
  static let framesPerKey: UInt64 = 16_384
}
