import HeadwaterSync

/// Puts messages together from the frames of one direction, and refuses what no peer may send.
struct MessageAssembler: Sendable {
  /// What a frame completes.
  enum Event: Equatable, Sendable {
    /// Nothing that concerns anybody else.
    case none
    case ready
    case message([UInt8])
    case aside([UInt8])
    case end
  }

  private var partial: [UInt8] = []
  private var hasEnded = false
  // The initiator waits for the responder's word; the responder waits for nothing.
  private var awaitsReady: Bool

  init(awaitsReady: Bool) { self.awaitsReady = awaitsReady }

  mutating func accept(
    kind: UInt8, body: UnsafeRawBufferPointer
  ) throws(ChannelError) -> Event {
    func refuse(_ what: String) -> ChannelError {
      ChannelError(.invalid, "the peer does not keep to the protocol: \(what)")
    }
    guard let kind = FrameKind(rawValue: kind) else { throw refuse("a frame of an unknown kind") }
    guard !hasEnded else { throw refuse("a frame after the end") }
    if awaitsReady {
      guard kind == .ready, body.isEmpty else { throw refuse("it did not begin with a welcome") }
      awaitsReady = false
      return .ready
    }
    switch kind {
    case .ready: throw refuse("a second welcome")
    case .part, .last:
      guard !body.isEmpty else { throw refuse("an empty part of a message") }
      guard body.count <= ChannelLimits.messageBytes - partial.count else {
        throw refuse("a message of more than \(ChannelLimits.messageBytes) bytes")
      }
      if kind == .part {
        // Most messages of several parts are long: grow once.
        if partial.isEmpty { partial.reserveCapacity(4 * FrameLimits.bodyByteCount) }
        partial.append(contentsOf: body)
        return .none
      }
      if partial.isEmpty { return .message([UInt8](body)) }
      partial.append(contentsOf: body)
      defer { partial = [] }
      return .message(partial)
    case .heartbeat:
      guard body.isEmpty else { throw refuse("a heartbeat that says something") }
      return .none
    case .aside:
      guard !body.isEmpty, body.count <= FrameLimits.asideByteCount else {
        throw refuse("an aside of a length that it may not have")
      }
      return .aside([UInt8](body))
    case .end:
      guard body.isEmpty, partial.isEmpty else { throw refuse("an end within a message") }
      hasEnded = true
      return .end
    }
  }
}
