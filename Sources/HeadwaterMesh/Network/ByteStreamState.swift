import HeadwaterSync
import NIOCore

import struct HeadwaterSync.ChannelError

/// What the event loop and the tasks of a `ByteStream` share, under its lock. No I/O and no clock in it.
struct ByteStreamState: ~Copyable {
  private let limit: Int

  // What has arrived and was not taken.
  private var inbound = ByteBuffer()
  private var isPaused = false
  var reader: CheckedContinuation<Void, Never>?

  // What is to be written, and how much of all that was handed over has not been.
  private var outbound: [ByteBuffer] = []
  private var unwritten = 0
  private var isFlushScheduled = false
  var writer: CheckedContinuation<Void, Never>?

  // Encrypts, once there are keys.
  private var sealer: FrameSealer?
  /// Whether both sides have agreed on the channel.
  private(set) var isEstablished = false

  private var failure: ChannelError?
  /// Whether there is no connection any more.
  private(set) var isInactive = false
  private var isClosing = false

  private var lastHeard: NIODeadline
  private var lastSent: NIODeadline
  private var lastProgress: NIODeadline

  /// What an unfinished handshake may have sent ahead, in bytes.
  private static let handshakeByteCount = 1 << 16

  init(limit: Int, now: NIODeadline) {
    self.limit = limit
    lastHeard = now
    lastSent = now
    lastProgress = now
  }

  // MARK: In

  /// Takes what the socket gave; false if it is more than may be kept.
  mutating func received(_ bytes: ByteBuffer, now: NIODeadline) -> Bool {
    lastHeard = now
    guard !isClosing, failure == nil else { return true }
    if inbound.readableBytes == 0, bytes.readableBytes >= bytes.capacity / 2 {
      inbound = bytes
    } else {
      // Copied, so that a few bytes do not keep a large buffer.
      inbound.writeImmutableBuffer(bytes)
    }
    return sealer != nil || inbound.readableBytes <= ByteStreamState.handshakeByteCount
  }

  /// Whether to read on; if not, taking what is here resumes it.
  mutating func readsOn() -> Bool {
    isPaused = inbound.readableBytes >= limit
    return !isPaused
  }

  /// What has arrived, or why nothing will; nil if there is nothing yet. And whether to read on now.
  mutating func takeInbound(
    now: NIODeadline
  ) -> (outcome: Result<ByteBuffer?, ChannelError>?, resumes: Bool) {
    if inbound.readableBytes > 0 {
      let bytes = inbound
      inbound = ByteBuffer()
      let resumes = isPaused && !isInactive
      if resumes {
        isPaused = false
        // The peer is not to blame for what this side did not read.
        lastHeard = now
      }
      return (.success(bytes), resumes)
    }
    if let failure { return (.failure(failure), false) }
    return (isInactive ? .success(nil) : nil, false)
  }

  /// Fails once this side has closed: what came before that is not given any more.
  var isOpenHere: Result<Void, ChannelError> {
    isClosing ? .failure(failure ?? ByteStream.closedHere) : .success(())
  }

  var hasNothingToRead: Bool { inbound.readableBytes == 0 && failure == nil && !isInactive }

  // MARK: Out

  /// Why nothing more can be sent, if so.
  private var obstacle: ChannelError? { failure ?? (isInactive ? ByteStream.cut : nil) }

  var hasRoom: Result<Bool, ChannelError> {
    if let obstacle { return .failure(obstacle) }
    return .success(unwritten < limit)
  }

  /// Takes a message of the handshake; the result is whether a flush has to be scheduled.
  mutating func append(handshake message: [UInt8]) -> Result<Bool, ChannelError> {
    if let obstacle { return .failure(obstacle) }
    var buffer = ByteBuffer()
    buffer.writeInteger(UInt16(message.count))
    buffer.writeBytes(message)
    outbound.append(buffer)
    return .success(handOver(buffer.readableBytes))
  }

  mutating func startSealing(with key: Secret) { sealer = FrameSealer(key: key) }

  /// From here on silence counts, and not the time of the handshake.
  mutating func established(now: NIODeadline) {
    isEstablished = true
    (lastHeard, lastSent, lastProgress) = (now, now, now)
  }

  /// Encrypts a frame; the result is whether a flush has to be scheduled.
  mutating func append(
    _ kind: FrameKind, _ body: ArraySlice<UInt8>, now: NIODeadline
  ) -> Result<Bool, ChannelError> {
    if let obstacle { return .failure(obstacle) }
    do throws(NoiseError) {
      let count = try seal(kind, body)
      lastSent = now
      return .success(handOver(count))
    } catch {
      return .failure(ChannelError(error))
    }
  }

  private mutating func seal(
    _ kind: FrameKind, _ body: ArraySlice<UInt8>
  ) throws(NoiseError) -> Int {
    let count = FrameSealer.byteCount(ofBody: body.count)
    // Short frames share a buffer.
    if (outbound.last?.writableBytes ?? 0) < count {
      outbound.append(ByteBufferAllocator().buffer(capacity: max(count, 1_024)))
    }
    let last = outbound.count - 1
    var result: Result<Void, NoiseError> = .failure(.outOfTurn)
    outbound[last].writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
      let output = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      body.withUnsafeBytes { body in
        do throws(NoiseError) {
          guard sealer != nil else { throw NoiseError.outOfTurn }
          try sealer?.seal(kind, body, into: output)
          result = .success(())
        } catch {
          result = .failure(error)
        }
      }
      if case .success = result { return count }
      return 0
    }
    try result.get()
    return count
  }

  private mutating func handOver(_ count: Int) -> Bool {
    unwritten += count
    defer { isFlushScheduled = true }
    return !isFlushScheduled
  }

  mutating func takeOutbound() -> [ByteBuffer] {
    isFlushScheduled = false
    defer { outbound = [] }
    return outbound
  }

  /// The socket has taken that much, or never will; gives who waits for room, if there is some again.
  mutating func wrote(_ count: Int, now: NIODeadline) -> CheckedContinuation<Void, Never>? {
    unwritten -= count
    lastProgress = now
    return unwritten < limit ? writer.take() : nil
  }

  // MARK: Time

  /// What the clock asks for.
  enum Duty {
    case nothing, heartbeat
    case fail(ChannelError)
  }

  func duty(now: NIODeadline, configuration: ChannelConfiguration) -> Duty {
    guard isEstablished, failure == nil, !isInactive else { return .nothing }
    if !isPaused, now - lastHeard > TimeAmount(configuration.silenceLimit) {
      return .fail(ChannelError(.timeout, "the peer has said nothing for too long: it may be gone"))
    }
    if unwritten > 0, now - lastProgress > TimeAmount(configuration.stallLimit) {
      return .fail(ChannelError(.timeout, "the peer has not taken what was sent for too long"))
    }
    // While something is on its way the peer hears of this side anyhow.
    let isDue = now - lastSent >= TimeAmount(configuration.heartbeatInterval)
    return isDue && unwritten == 0 ? .heartbeat : .nothing
  }

  // MARK: End

  /// The first reason stays. Gives who has to be woken.
  mutating func end(_ error: ChannelError) -> [CheckedContinuation<Void, Never>] {
    if failure == nil { failure = error }
    return [reader.take(), writer.take()].compactMap { $0 }
  }

  mutating func becameInactive() -> [CheckedContinuation<Void, Never>] {
    isInactive = true
    return [reader.take(), writer.take()].compactMap { $0 }
  }

  /// Appends the farewell, and forgets what was not read; false if the connection has ended already.
  mutating func beginClosing(now: NIODeadline) -> Bool {
    guard !isClosing, obstacle == nil else { return false }
    if sealer != nil {
      // Whether it could be encrypted or not, the connection ends.
      if case .success = append(.end, [], now: now) { isFlushScheduled = true }
    }
    isClosing = true
    inbound = ByteBuffer()
    return true
  }
}
