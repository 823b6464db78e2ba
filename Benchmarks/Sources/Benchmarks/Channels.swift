import CSodium
import HeadwaterMesh
import HeadwaterSodium
import NIOCore
import NIOPosix

/// Secure channels over loopback, both ends in this process, beside TCP without them and beside the cipher alone.
enum Channels {
  private static let messageByteCount = 1 << 20

  static func run(megabytes: Int) async throws {
    let cipher = cipherAlone(megabytes)
    let plain = try await plainTCP(megabytes)
    try await withEnds { sender, receiver in
      let cost = try await Cost.of {
        async let received = drain(receiver, messages: megabytes)
        let message = [UInt8](repeating: 7, count: messageByteCount)
        for _ in 0..<megabytes { try await sender.send(message) }
        try await received
      }
      let rate = Double(megabytes) / cost.wall
      Benchmarks.report(
        "secure channel, one stream, messages of 1 MiB",
        "\(Int(rate)) MiB/s, \(tenths(cost.cpu * 1e3 / Double(megabytes))) ms CPU a MiB, both ends",
        "\(Int(plain.rate)) MiB/s, TCP alone by SwiftNIO, \(tenths(plain.cpu)) ms CPU a MiB",
        rate / plain.rate)
      Benchmarks.report(
        "the same, CPU", "\(tenths(cost.cpu * 1e3 / Double(megabytes))) ms a MiB",
        "\(tenths(plain.cpu + cipher)) ms: TCP alone, encrypting and decrypting alone",
        cost.cpu * 1e3 / Double(megabytes) / (plain.cpu + cipher))
    }
    try await withEnds { sender, receiver in
      let count = megabytes * 200
      let cost = try await Cost.of {
        async let received = drain(receiver, messages: count)
        let message = [UInt8](repeating: 7, count: 250)
        for _ in 0..<count { try await sender.send(message) }
        try await received
      }
      Benchmarks.report(
        "the same, messages of 250 bytes",
        "\(Int(Double(count) / cost.wall)) messages/s, \(tenths(cost.cpu * 1e6 / Double(count))) µs CPU each"
      )
    }
    try await roundTrips(2_000)
    try await handshakes(1_000)
  }

  private static func roundTrips(_ count: Int) async throws {
    try await withEnds { sender, receiver in
      let cost = try await Cost.of {
        async let echo: Void = {
          for _ in 0..<count {
            guard let message = try await receiver.receive() else { return }
            try await receiver.send(message)
          }
        }()
        for _ in 0..<count {
          try await sender.send([1])
          _ = try await sender.receive()
        }
        try await echo
      }
      Benchmarks.report(
        "the same, there and back, one byte",
        "\(tenths(cost.wall * 1e6 / Double(count))) µs")
    }
  }

  private static func handshakes(_ count: Int) async throws {
    try await withNetworks { here, listener in
      let cost = try await Cost.of {
        for _ in 0..<count {
          async let accepted = listener.accept()
          let channel = try await here.connect(to: listener.address)
          _ = await accepted
          await channel.close()
        }
      }
      Benchmarks.report(
        "connections made and closed, one after another",
        "\(Int(Double(count) / cost.wall))/s, \(tenths(cost.cpu * 1e6 / Double(count))) µs CPU each, both ends"
      )
    }
  }

  private static func drain(_ channel: SecureChannel, messages: Int) async throws {
    for _ in 0..<messages { _ = try await channel.receive() }
  }

  private static func withNetworks(
    _ body: (ChannelNetwork, ChannelListener) async throws -> Void
  ) async throws {
    guard let address = PeerAddress("127.0.0.1:0") else { return }
    let here = try ChannelNetwork(signer: SigningKey.generate(), suite: SodiumSuite(), threads: 1)
    let there = try ChannelNetwork(signer: SigningKey.generate(), suite: SodiumSuite(), threads: 1)
    let listener = try await there.listen(on: address)
    try await body(here, listener)
    await listener.close()
    await here.shutDown()
    await there.shutDown()
  }

  private static func withEnds(
    _ body: (SecureChannel, SecureChannel) async throws -> Void
  ) async throws {
    try await withNetworks { here, listener in
      async let accepted = listener.accept()
      let sender = try await here.connect(to: listener.address)
      guard let receiver = await accepted else { return }
      try await body(sender, receiver)
    }
  }

  /// Milliseconds of CPU for encrypting and decrypting a MiB in pieces of 64 KiB, without anything around.
  private static func cipherAlone(_ megabytes: Int) -> Double {
    let piece = 65_517
    var buffer = [UInt8](repeating: 7, count: piece + 16)
    let (key, nonce) = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 12))
    let start = Cost.now(CLOCK_PROCESS_CPUTIME_ID)
    let rounds = megabytes * 16
    for _ in 0..<rounds {
      buffer.withUnsafeMutableBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return }
        _ = crypto_aead_chacha20poly1305_ietf_encrypt(
          base, nil, base, UInt64(piece), nil, 0, nil, nonce, key)
        _ = crypto_aead_chacha20poly1305_ietf_decrypt(
          base, nil, nil, base, UInt64(piece + 16), nil, 0, nonce, key)
      }
    }
    let cpu = Cost.now(CLOCK_PROCESS_CPUTIME_ID) - start
    let each = cpu * 1e3 * Double(1 << 20) / Double(rounds * piece)
    Benchmarks.report(
      "ChaCha20-Poly1305 of libsodium alone, one core",
      "\(Int(2_000 / each)) MiB/s one way, \(tenths(each)) ms CPU a MiB both")
    return each
  }

  /// As many bytes through a connection without encryption: MiB/s, and milliseconds of CPU a MiB.
  private static func plainTCP(_ megabytes: Int) async throws -> (rate: Double, cpu: Double) {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let total = megabytes * messageByteCount
    let done = group.any().makePromise(of: Void.self)
    let server = try await ServerBootstrap(group: group)
      .childChannelOption(
        ChannelOptions.recvAllocator,
        value: AdaptiveRecvByteBufferAllocator(minimum: 1_024, initial: 2_048, maximum: 1 << 17)
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Count(total, done))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let client = try await ClientBootstrap(group: group)
      .connect(host: "127.0.0.1", port: server.localAddress?.port ?? 0).get()
    let cost = try await Cost.of {
      let piece = ByteBuffer(repeating: 7, count: 1 << 16)
      for _ in 0..<(total >> 18) {
        for _ in 0..<3 { client.write(piece, promise: nil) }
        try await client.writeAndFlush(piece)
      }
      try await done.futureResult.get()
    }
    try await group.shutdownGracefully()
    return (Double(megabytes) / cost.wall, cost.cpu * 1e3 / Double(megabytes))
  }

  private static func tenths(_ value: Double) -> String {
    let whole = Int((value * 100).rounded())
    return "\(whole / 100).\(whole / 10 % 10)\(whole % 10)"
  }
}

/// Counts bytes until there are enough.
private final class Count: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private var missing: Int
  private let done: EventLoopPromise<Void>

  init(_ count: Int, _ done: EventLoopPromise<Void>) {
    missing = count
    self.done = done
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    missing -= unwrapInboundIn(data).readableBytes
    if missing <= 0 { done.succeed() }
  }
}
