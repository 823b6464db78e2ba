import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import NIOCore
import NIOPosix
import Synchronization

import struct HeadwaterSync.ChannelError

/// Makes channels by Noise over TCP, as one principal: connects, and listens.
///
/// It owns the threads that move the bytes. `shutDown` ends them, and with them whatever is still open.
public final class ChannelNetwork: Sendable {
  /// Who this side is.
  public var principal: Digest { signer.principal }
  /// Which of the processes that hold the signing key this is: a key made at random, 32 bytes.
  public var node: [UInt8] { staticKey.publicKey }

  let configuration: ChannelConfiguration
  private let signer: any Signer
  private let suite: any CryptoSuite
  private let staticKey: NoiseKeyPair
  let group: MultiThreadedEventLoopGroup
  private let open = Mutex(0)
  private let isShutDown = Mutex(false)

  /// - Parameters:
  ///   - signer: the key of this side's principal.
  ///   - suite: of signatures and principals; a peer with another one is refused.
  ///   - threads: that move bytes; one keeps up with about as many channels as a core can encrypt for.
  public init(
    signer: any Signer, suite: any CryptoSuite,
    configuration: ChannelConfiguration = ChannelConfiguration(), threads: Int = 2
  ) throws(ChannelError) {
    self.signer = signer
    self.suite = suite
    self.configuration = configuration
    staticKey = try ChannelNetwork.makeKey(suite)
    group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, threads))
  }

  private static func makeKey(_ suite: any CryptoSuite) throws(ChannelError) -> NoiseKeyPair {
    var bytes = suite.randomBytes(NoiseKeyPair.keyByteCount)
    do { return try NoiseKeyPair(erasing: &bytes) } catch { throw ChannelError(error) }
  }

  /// How many connections there are, in the handshake or beyond.
  public var connectionCount: Int { open.withLock { $0 } }

  /// Closes all that is open, without farewells, and ends the threads. Nothing can be made afterwards.
  public func shutDown() async {
    let isFirst = isShutDown.withLock { isShutDown in
      defer { isShutDown = true }
      return !isShutDown
    }
    guard isFirst else { return }
    try? await group.shutdownGracefully()
  }

  deinit {
    let isDone = isShutDown.withLock { $0 }
    if !isDone { group.shutdownGracefully { _ in } }
  }

  private func checkIsOpen() throws(ChannelError) {
    if isShutDown.withLock({ $0 }) { throw ChannelError(.closed, "the network was shut down") }
  }

  // MARK: Connecting

  /// Connects, and returns once both sides have proven who they are and the peer has agreed.
  ///
  /// - Parameter expected: the only principal to talk to. Any other is refused before it learns who this is.
  public func connect(
    to address: PeerAddress, expecting expected: Digest? = nil
  ) async throws(ChannelError) -> SecureChannel {
    try checkIsOpen()
    let stream: ByteStream
    do {
      stream = try await ClientBootstrap(group: group)
        .connectTimeout(TimeAmount(configuration.handshakeTimeout))
        .channelOption(ChannelOptions.autoRead, value: false)
        .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
        .channelOption(ChannelOptions.recvAllocator, value: ChannelNetwork.receiveAllocator)
        .connect(host: address.host, port: Int(address.port)) { channel in
          channel.eventLoop.makeCompletedFuture { try self.attach(to: channel) {} }
        }
    } catch {
      throw ChannelError(.closed, "could not connect to \(address): \(error)")
    }
    do throws(ChannelError) {
      return try await handshake(as: .initiator, on: stream, expected: expected)
    } catch {
      stream.fail(error)
      throw error
    }
  }

  // MARK: Listening

  /// Listens; with port 0 the system chooses one, which the listener's `address` tells.
  ///
  /// - Parameters:
  ///   - admits: whether to talk to that address at all. Called on a thread that must not wait.
  ///   - failed: is told of handshakes that came to nothing.
  public func listen(
    on address: PeerAddress, admits: @escaping @Sendable (IPAddress) -> Bool = { _ in true },
    failed: @escaping @Sendable (IPAddress, HeadwaterSync.ChannelError) -> Void = { _, _ in }
  ) async throws(ChannelError) -> ChannelListener {
    try checkIsOpen()
    let pending = PendingConnections(
      limit: configuration.pendingLimit, limitPerHost: configuration.pendingLimitPerHost)
    let queue = AcceptQueue()
    do {
      let server = try await ServerBootstrap(group: group)
        .serverChannelOption(ChannelOptions.backlog, value: 256)
        .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(ChannelOptions.autoRead, value: false)
        .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
        .childChannelOption(ChannelOptions.recvAllocator, value: ChannelNetwork.receiveAllocator)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            guard let ip = channel.remoteAddress?.ipAddress.flatMap({ IPAddress($0) }), admits(ip),
              let place = pending.enter(ip)
            else { throw ChannelError(.closed, "this address may not connect now") }
            let stream = try self.attach(to: channel) { place.leave() }
            Task {
              if let error = await self.answer(stream, place: place, queue: queue) {
                failed(ip, error)
              }
            }
          }
        }
        .bind(host: address.host, port: Int(address.port)).get()
      guard let ip = server.localAddress?.ipAddress.flatMap({ IPAddress($0) }),
        let port = server.localAddress?.port
      else { throw ChannelError(.closed, "the socket has no address") }
      return ChannelListener(
        address: PeerAddress(ip: ip, port: UInt16(clamping: port)), server: server, queue: queue)
    } catch {
      throw ChannelError(.closed, "could not listen on \(address): \(error)")
    }
  }

  /// The responder's side of one connection; gives why it came to nothing, which the other side is not told.
  private func answer(
    _ stream: ByteStream, place: PendingConnections.Place, queue: AcceptQueue
  ) async -> ChannelError? {
    do throws(ChannelError) {
      let channel = try await handshake(as: .responder, on: stream, expected: nil)
      if !queue.add(channel, place) { await channel.close() }
      return nil
    } catch {
      stream.fail(error)
      return error
    }
  }

  // MARK: Both

  private static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
    AdaptiveRecvByteBufferAllocator(minimum: 1_024, initial: 2_048, maximum: 1 << 17)
  }

  private func attach(
    to channel: any NIOCore.Channel, onInactive: @escaping @Sendable () -> Void
  ) throws -> ByteStream {
    open.withLock { $0 += 1 }
    let stream = ByteStream(channel: channel, configuration: configuration) { [weak self] in
      self?.open.withLock { $0 -= 1 }
      onInactive()
    }
    try channel.pipeline.syncOperations.addHandler(ByteStreamHandler(stream))
    return stream
  }

  private func handshake(
    as role: NoiseRole, on stream: ByteStream, expected: Digest?
  ) async throws(ChannelError) -> SecureChannel {
    var handshake = try ChannelHandshake(
      role: role, signer: signer, suite: suite, staticKey: staticKey,
      ephemeralKey: ChannelNetwork.makeKey(suite), expected: expected)
    var reader = FrameReader()
    switch role {
    case .initiator:
      try stream.writeHandshake(handshake.hello())
      let reply = try await nextMessage(of: stream, &reader)
      try stream.writeHandshake(handshake.answer(to: reply))
    case .responder:
      let hello = try await nextMessage(of: stream, &reader)
      try stream.writeHandshake(handshake.reply(to: hello))
      let answer = try await nextMessage(of: stream, &reader)
      try handshake.finish(with: answer)
    }
    let channel = SecureChannel(
      stream: stream, reader: reader, keys: try handshake.keys(), role: role)
    switch role {
    case .initiator: try await channel.awaitWelcome()
    case .responder: try channel.welcome()
    }
    stream.established()
    return channel
  }

  private func nextMessage(
    of stream: ByteStream, _ reader: inout FrameReader
  ) async throws(ChannelError) -> [UInt8] {
    let lengths = NoiseKeyPair.keyByteCount...ChannelHandshake.messageLimit(of: suite)
    while true {
      let message = try reader.next(lengths: lengths) { bytes throws(ChannelError) in
        [UInt8](bytes)
      }
      if let message { return message }
      guard let bytes = try await stream.read() else {
        throw ChannelError(
          .closed,
          "the peer hung up during the handshake: is it a peer of this kind, and may this one connect?"
        )
      }
      reader.append(bytes)
    }
  }
}
