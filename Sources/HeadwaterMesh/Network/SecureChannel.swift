import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import NIOCore
import Synchronization

import struct HeadwaterSync.ChannelError

/// A channel by Noise over TCP: encrypted, with a peer that has proven who it is.
///
/// Made by `ChannelNetwork.connect(to:expecting:)` and `ChannelListener.accept()`. Cancelling a task that sends or
/// receives closes the channel, as does letting go of it; only `close` lets the peer know that all is well.
public final class SecureChannel: HeadwaterSync.Channel {
  public let peer: Digest
  /// Which of the processes that hold the peer's signing key this is: the key of its side, 32 bytes.
  public let node: [UInt8]
  /// The same 64 bytes on both sides and in no other session, for protocols that bind something to this one.
  public let binding: [UInt8]
  /// Whether this side has made the connection.
  public let isInitiator: Bool
  /// Where the peer's end of the connection is.
  public let remoteAddress: PeerAddress?

  fileprivate struct Receiving: ~Copyable {
    var reader: FrameReader
    var opener: FrameOpener
    var assembler: MessageAssembler
    var isBusy = false
    var hasEnded = false
  }

  private let stream: ByteStream
  private let receiving: Mutex<Receiving>
  private let isSending = Mutex(false)
  private let asideHandler = Mutex<(@Sendable ([UInt8]) -> Void)?>(nil)

  init(stream: ByteStream, reader: FrameReader, keys: ChannelKeys, role: NoiseRole) {
    self.stream = stream
    peer = keys.peer
    node = keys.node
    binding = keys.binding
    isInitiator = role == .initiator
    remoteAddress = stream.remoteAddress
    receiving = Mutex(
      Receiving(
        reader: reader, opener: FrameOpener(key: keys.receiving),
        assembler: MessageAssembler(awaitsReady: role == .initiator)))
    stream.startSealing(with: keys.sending)
  }

  deinit { stream.fail(ByteStream.closedHere) }

  /// Tells the initiator that it is welcome. The responder's first word.
  func welcome() throws(ChannelError) { try stream.write(.ready) }

  /// Waits for the responder's welcome.
  func awaitWelcome() async throws(ChannelError) {
    guard case .ready = try await nextEvent() else {
      throw ChannelError(NoiseError.outOfTurn)
    }
  }

  public func send(_ message: [UInt8]) async throws(ChannelError) {
    let isAlone = isSending.withLock { isSending in
      defer { isSending = true }
      return !isSending
    }
    guard isAlone else { throw misused("two tasks sent at once") }
    defer { isSending.withLock { $0 = false } }
    guard (1...ChannelLimits.messageBytes).contains(message.count) else {
      throw misused("a message has 1 to \(ChannelLimits.messageBytes) bytes")
    }
    var rest = message[...]
    while !rest.isEmpty {
      try await stream.waitForRoom()
      let body = rest.prefix(FrameLimits.sentBodyByteCount)
      rest = rest.dropFirst(body.count)
      try stream.write(rest.isEmpty ? .last : .part, body)
    }
  }

  public func receive() async throws(ChannelError) -> [UInt8]? {
    while true {
      switch try await nextEvent() {
      case .message(let message): return message
      case .end: return nil
      case .aside(let bytes): asideHandler.withLock({ $0 })?(bytes)
      case .ready, .none: break
      }
    }
  }

  public func close() async { await stream.close() }

  // MARK: Asides

  /// Sends something to the other side's mesh. Dropped if the peer does not keep up.
  func sendAside(_ bytes: [UInt8]) throws(ChannelError) {
    guard try stream.state.withLock({ $0.hasRoom }).get() else { return }
    try stream.write(.aside, bytes[...])
  }

  /// Who takes the peer's asides, while somebody receives. Called by the task that does.
  func handleAsides(_ handler: @escaping @Sendable ([UInt8]) -> Void) {
    asideHandler.withLock { $0 = handler }
  }

  // MARK: Receiving

  private func nextEvent() async throws(ChannelError) -> MessageAssembler.Event {
    let isAlone = receiving.withLock { state in
      defer { state.isBusy = true }
      return !state.isBusy
    }
    guard isAlone else { throw misused("two tasks received at once") }
    defer { receiving.withLock { $0.isBusy = false } }
    while true {
      try stream.state.withLock({ $0.isOpenHere }).get()
      let outcome = receiving.withLock { $0.next() }
      do throws(ChannelError) {
        if let event = try outcome.get() {
          if case .end = event { stream.fail(SecureChannel.farewell) }
          return event
        }
      } catch {
        stream.fail(error)
        throw error
      }
      guard let bytes = try await stream.read() else {
        stream.fail(ByteStream.cut)
        throw ByteStream.cut
      }
      receiving.withLock { $0.reader.append(bytes) }
    }
  }

  private static let farewell = ChannelError(.closed, "the peer has closed the channel")

  /// Against the contract of channels: closes this one, since what the peer would get is not certain.
  private func misused(_ how: String) -> ChannelError {
    let error = ChannelError(.invalid, "the channel was used wrongly and is closed: \(how)")
    stream.fail(error)
    return error
  }
}

extension SecureChannel.Receiving {
  /// What the frames that are here complete; nil if it takes more of them.
  fileprivate mutating func next() -> Result<MessageAssembler.Event?, ChannelError> {
    if hasEnded { return .success(.end) }
    do throws(ChannelError) {
      while true {
        let lengths = FrameLimits.leastByteCount...CipherState.messageByteCount
        var event: Result<MessageAssembler.Event, ChannelError>?
        let isThere: Void? = try reader.next(lengths: lengths) { frame throws(ChannelError) in
          do throws(NoiseError) {
            event = try opener.open(frame) { kind, body in
              Result { () throws(ChannelError) in
                try assembler.accept(kind: kind, body: body)
              }
            }
          } catch {
            throw ChannelError(error)
          }
        }
        guard isThere != nil, let event else { return .success(nil) }
        switch try event.get() {
        case .none: continue
        case .end:
          hasEnded = true
          return .success(.end)
        case let other: return .success(other)
        }
      }
    } catch {
      return .failure(error)
    }
  }
}
