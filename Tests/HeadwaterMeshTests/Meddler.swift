import NIOCore
import NIOPosix
import Synchronization

@testable import HeadwaterMesh

/// A proxy that cuts what passes into frames and does with them what a test wants.
final class Meddler: Sendable {
  /// What becomes of one frame. `number` counts the frames of its direction, from 0.
  enum Verdict: Sendable {
    case pass
    /// These bytes instead, lengths included.
    case replace([UInt8])
    /// Cuts the connection in both directions, after these bytes.
    case cut(after: [UInt8])
    /// From here on nothing passes, and nobody is told.
    case swallow
  }
  typealias Meddle = @Sendable (_ isFromInitiator: Bool, _ number: Int, _ frame: [UInt8]) -> Verdict

  let address: PeerAddress
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  init(to target: PeerAddress, _ meddle: @escaping Meddle) async throws {
    let group = group
    let server = try await ServerBootstrap(group: group)
      .childChannelInitializer { inbound in
        let connected = ClientBootstrap(group: inbound.eventLoop)
          .channelInitializer { outbound in
            outbound.eventLoop.makeCompletedFuture {
              try outbound.pipeline.syncOperations.addHandler(
                Relay(to: inbound, isFromInitiator: false, meddle))
            }
          }
          .connect(host: target.host, port: Int(target.port))
        return connected.flatMapThrowing { outbound in
          try inbound.pipeline.syncOperations.addHandler(
            Relay(to: outbound, isFromInitiator: true, meddle))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    address = PeerAddress("127.0.0.1:\(server.localAddress?.port ?? 0)")!
  }

  func end() async { try? await group.shutdownGracefully() }
}

private final class Relay: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let other: any Channel
  private let isFromInitiator: Bool
  private let meddle: Meddler.Meddle
  private var buffer = ByteBuffer()
  private var number = 0
  private var isSwallowing = false

  init(to other: any Channel, isFromInitiator: Bool, _ meddle: @escaping Meddler.Meddle) {
    self.other = other
    self.isFromInitiator = isFromInitiator
    self.meddle = meddle
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isSwallowing else { return }
    buffer.writeImmutableBuffer(unwrapInboundIn(data))
    while let length = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self),
      let frame = buffer.readBytes(length: 2 + Int(length))
    {
      let verdict = meddle(isFromInitiator, number, frame)
      number += 1
      switch verdict {
      case .pass: other.writeAndFlush(ByteBuffer(bytes: frame), promise: nil)
      case .replace(let bytes): other.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
      case .cut(let bytes):
        let other = other
        other.writeAndFlush(ByteBuffer(bytes: bytes)).whenComplete { _ in
          other.close(promise: nil)
        }
        context.close(promise: nil)
        return
      case .swallow:
        isSwallowing = true
        return
      }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !isSwallowing { other.close(promise: nil) }
  }
}

/// A client that speaks no protocol: writes bytes and keeps what comes back.
final class RawPeer: Sendable {
  private final class Sink: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    let received = Mutex<[UInt8]>([])
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let bytes = unwrapInboundIn(data)
      received.withLock { $0 += Array(bytes.readableBytesView) }
    }
  }

  private let channel: any Channel
  private let sink: Sink

  init(group: MultiThreadedEventLoopGroup, to address: PeerAddress) async throws {
    let sink = Sink()
    channel = try await ClientBootstrap(group: group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(sink)
        }
      }
      .connect(host: address.host, port: Int(address.port)).get()
    self.sink = sink
  }

  func write(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
  var received: [UInt8] { sink.received.withLock { $0 } }
  var isOpen: Bool { channel.isActive }
  func untilClosed() async { try? await channel.closeFuture.get() }
  func close() { channel.close(promise: nil) }
}
