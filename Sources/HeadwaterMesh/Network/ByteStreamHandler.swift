import HeadwaterSync
import NIOCore

import struct HeadwaterSync.ChannelError

/// The event loop's end of a `ByteStream`.
final class ByteStreamHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let stream: ByteStream
  private var handshakeTimer: Scheduled<Void>?
  private var clock: RepeatedTask?

  init(_ stream: ByteStream) { self.stream = stream }

  func handlerAdded(context: ChannelHandlerContext) {
    let (stream, configuration) = (stream, stream.configuration)
    handshakeTimer = context.eventLoop.scheduleTask(in: TimeAmount(configuration.handshakeTimeout))
    {
      guard stream.state.withLock({ !$0.isEstablished }) else { return }
      stream.fail(ChannelError(.timeout, "the handshake took too long"))
    }
    // Often enough that no limit is passed by much.
    let shortest = min(
      configuration.heartbeatInterval, configuration.silenceLimit, configuration.stallLimit)
    let interval = TimeAmount(shortest / 4)
    clock = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
      let duty = stream.state.withLock { $0.duty(now: .now(), configuration: configuration) }
      switch duty {
      case .nothing: break
      // If it cannot be sent, the connection has just ended.
      case .heartbeat: try? stream.write(.heartbeat)
      case .fail(let error): stream.fail(error)
      }
    }
    if context.channel.isActive { context.read() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    handshakeTimer?.cancel()
    clock?.cancel()
    stream.becameInactive()
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let isTaken = stream.state.withLock { $0.received(unwrapInboundIn(data), now: .now()) }
    if !isTaken { stream.fail(ChannelError(NoiseError.badLength)) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    let (readsOn, reader) = stream.state.withLock { state in
      (state.readsOn(), state.hasNothingToRead ? nil : state.reader.take())
    }
    reader?.resume()
    if readsOn { context.read() }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    stream.fail(ChannelError(.closed, "the connection was cut: \(error)"))
  }
}
