import HeadwaterSync
import NIOCore
import Synchronization

import struct HeadwaterSync.ChannelError

/// One connection: bytes in, pulled by who reads; frames out, with a limit on what is on the way.
///
/// It stands between the event loop of the connection, which it never blocks, and the tasks that use the
/// channel. The loop only moves bytes and watches the clock (ByteStreamHandler); tasks encrypt and decrypt.
final class ByteStream: Sendable {
  let channel: any NIOCore.Channel
  let configuration: ChannelConfiguration
  let state: Mutex<ByteStreamState>
  private let onInactive: @Sendable () -> Void

  init(
    channel: any NIOCore.Channel, configuration: ChannelConfiguration,
    onInactive: @escaping @Sendable () -> Void
  ) {
    self.channel = channel
    self.configuration = configuration
    self.onInactive = onInactive
    state = Mutex(ByteStreamState(limit: configuration.bufferedByteCount, now: .now()))
  }

  /// Where the peer connects from.
  var remoteAddress: PeerAddress? {
    guard let address = channel.remoteAddress, let port = address.port,
      let ip = address.ipAddress.flatMap({ IPAddress($0) })
    else { return nil }
    return PeerAddress(ip: ip, port: UInt16(clamping: port))
  }

  // MARK: Reading

  /// Bytes that have arrived, at least one; nil when no more will. By one task at a time.
  ///
  /// What came before the connection failed is still given, unless this side has closed it.
  func read() async throws(ChannelError) -> ByteBuffer? {
    while true {
      let (outcome, resumes) = state.withLock { $0.takeInbound(now: .now()) }
      if resumes { onLoop { $0.read() } }
      if let outcome { return try outcome.get() }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isIdle = state.withLock { state in
            guard state.hasNothingToRead else { return false }
            state.reader = continuation
            return true
          }
          if !isIdle { continuation.resume() }
        }
      } onCancel: {
        fail(ByteStream.cancelled)
      }
    }
  }

  // MARK: Writing

  /// Returns when there is room for more. By one task at a time.
  func waitForRoom() async throws(ChannelError) {
    while !(try state.withLock { $0.hasRoom }.get()) {
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isFull = state.withLock { state in
            guard case .success(false) = state.hasRoom else { return false }
            state.writer = continuation
            return true
          }
          if !isFull { continuation.resume() }
        }
      } onCancel: {
        fail(ByteStream.cancelled)
      }
    }
  }

  /// Hands over a message of the handshake, with its length before it.
  func writeHandshake(_ message: [UInt8]) throws(ChannelError) {
    if try state.withLock({ $0.append(handshake: message) }).get() { scheduleFlush() }
  }

  /// From here on there is `write`.
  func startSealing(with key: Secret) { state.withLock { $0.startSealing(with: key) } }

  /// Both sides have agreed on the channel: nobody waits for a handshake any more.
  func established() { state.withLock { $0.established(now: .now()) } }

  /// Encrypts a frame and hands it over. Never waits.
  func write(_ kind: FrameKind, _ body: ArraySlice<UInt8> = []) throws(ChannelError) {
    if try state.withLock({ $0.append(kind, body, now: .now()) }).get() { scheduleFlush() }
  }

  private func scheduleFlush() { onLoop { _ in self.flush() } }

  /// Has the event loop do something with the connection, unless that is no more.
  ///
  /// Under the lock, without which a connection does not end, and so neither does its loop. Never at once,
  /// even on the loop itself: what is done may want the lock.
  private func onLoop(_ body: @escaping @Sendable (any NIOCore.Channel) -> Void) {
    let channel = channel
    state.withLock { state in
      guard !state.isInactive else { return }
      channel.eventLoop.execute { body(channel) }
    }
  }

  private func flush() {
    let buffers = state.withLock { $0.takeOutbound() }
    guard !buffers.isEmpty else { return }
    for buffer in buffers {
      let count = buffer.readableBytes
      channel.write(buffer).whenComplete { _ in
        self.state.withLock { $0.wrote(count, now: .now()) }?.resume()
      }
    }
    channel.flush()
  }

  // MARK: Ending

  static let cut = ChannelError(
    .closed, "the connection was cut: the peer went away without a farewell")
  static let cancelled = ChannelError(
    .closed, "the channel was closed because a task that used it was cancelled")
  static let closedHere = ChannelError(.closed, "the channel was closed on this side")

  /// Ends the connection at once, for that reason, unless it has ended already.
  func fail(_ error: ChannelError) {
    for waiting in state.withLock({ $0.end(error) }) { waiting.resume() }
    onLoop { $0.close(promise: nil) }
  }

  /// Ends the connection in good order: says so, and waits a little for the peer to hear it.
  ///
  /// The socket is shut in one direction first: closing it with bytes unread would make the system
  /// reset the connection, and the peer could lose the farewell.
  func close() async {
    let (isFirst, waiting) = state.withLock { state in
      (state.beginClosing(now: .now()), state.end(ByteStream.closedHere))
    }
    for continuation in waiting { continuation.resume() }
    if isFirst {
      scheduleFlush()
      let timeout = TimeAmount(configuration.closeTimeout)
      onLoop { channel in
        // Waits for what was written.
        channel.close(mode: .output, promise: nil)
        channel.read()
        let timer = channel.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in timer.cancel() }
      }
    }
    try? await channel.closeFuture.get()
  }

  /// The connection is no more. Called on the event loop, once.
  func becameInactive() {
    for waiting in state.withLock({ $0.becameInactive() }) { waiting.resume() }
    onInactive()
  }
}
