import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync
import NIOPosix
import Synchronization
import Testing

@testable import HeadwaterMesh

/// What happens on the way, and who calls that is no peer.
@Suite struct HostileNetworkTests {
  /// Connects through a proxy, sends three messages and reports what came of it at the other side.
  private func outcome(_ meddle: @escaping Meddler.Meddle) async throws -> (
    [[UInt8]], ChannelError?
  ) {
    let ends = try await Ends()
    let meddler = try await Meddler(to: ends.listener.address, meddle)
    async let accepted = ends.listener.accept()
    let a = try await ends.here.connect(to: meddler.address, expecting: signer(2).principal)
    let b = try #require(await accepted)
    for number in 1...3 as ClosedRange<UInt8> { try? await a.send([number]) }
    let closing = Task { await a.close() }
    var messages: [[UInt8]] = []
    let error = await channelError {
      while let message = try await b.receive() { messages.append(message) }
    }
    await closing.value
    await meddler.end()
    await ends.end()
    return (messages, error)
  }

  // Of the initiator's frames 0 and 1 are the handshake's, 2 to 4 the messages, 5 the end.

  @Test func nothingHappensAndAllArrives() async throws {
    let (messages, error) = try await outcome { _, _, _ in .pass }
    #expect(messages == [[1], [2], [3]] && error == nil)
  }

  @Test func alteredFrames() async throws {
    let (messages, error) = try await outcome { fromInitiator, number, frame in
      guard fromInitiator, number == 3 else { return .pass }
      var frame = frame
      frame[frame.count - 1] ^= 1
      return .replace(frame)
    }
    #expect(messages == [[1]] && error?.code == .invalid)
  }

  @Test func repeatedFrames() async throws {
    let (messages, error) = try await outcome { fromInitiator, number, frame in
      fromInitiator && number == 3 ? .replace(frame + frame) : .pass
    }
    #expect(messages == [[1], [2]] && error?.code == .invalid)
  }

  @Test func framesInAnotherOrder() async throws {
    let held = Mutex<[UInt8]>([])
    let (messages, error) = try await outcome { fromInitiator, number, frame in
      guard fromInitiator else { return .pass }
      if number == 3 {
        held.withLock { $0 = frame }
        return .replace([])
      }
      return number == 4 ? .replace(frame + held.withLock { $0 }) : .pass
    }
    #expect(messages == [[1]] && error?.code == .invalid)
  }

  @Test func aFrameLeftOut() async throws {
    let (messages, error) = try await outcome { fromInitiator, number, _ in
      fromInitiator && number == 3 ? .replace([]) : .pass
    }
    #expect(messages == [[1]] && error?.code == .invalid)
  }

  /// A cut between frames, within one, and just before the end: none passes for an end.
  @Test(arguments: [3, 4, 5], [0, 1, 10]) func cuts(_ at: Int, _ kept: Int) async throws {
    let (messages, error) = try await outcome { fromInitiator, number, frame in
      fromInitiator && number == at ? .cut(after: Array(frame.prefix(kept))) : .pass
    }
    #expect(messages == (1..<UInt8(at - 1)).map { [$0] } && error?.code == .closed)
  }

  @Test func theHandshakeIsNotToBeMeddledWith() async throws {
    for (fromInitiator, number) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
      let ends = try await Ends()
      let meddler = try await Meddler(to: ends.listener.address) { initiator, index, frame in
        guard initiator == fromInitiator, index == number else { return .pass }
        var frame = frame
        frame[frame.count / 2] ^= 4
        return .replace(frame)
      }
      let error = await channelError { try await ends.here.connect(to: meddler.address) }
      #expect(error?.code == .invalid || error?.code == .closed, "\(fromInitiator) \(number)")
      await meddler.end()
      await ends.end()
    }
  }

  // MARK: Silence

  private static var impatient: ChannelConfiguration {
    var configuration = ChannelConfiguration()
    configuration.heartbeatInterval = .milliseconds(100)
    configuration.silenceLimit = .seconds(2)
    return configuration
  }

  @Test func heartbeatsKeepAnIdleChannel() async throws {
    let ends = try await Ends(configuration: Self.impatient)
    let (a, b) = try await ends.channel()
    let receiver = Task { try await b.receive() }
    try await Task.sleep(for: .seconds(3))
    try await a.send([1])
    #expect(try await receiver.value == [1])
    await ends.end()
  }

  @Test func aPeerThatIsGoneIsNoticed() async throws {
    let ends = try await Ends(configuration: Self.impatient)
    let meddler = try await Meddler(to: ends.listener.address) { fromInitiator, number, _ in
      // The responder's welcome comes through, and then nothing does.
      (fromInitiator && number > 1) || (!fromInitiator && number > 1) ? .swallow : .pass
    }
    async let accepted = ends.listener.accept()
    let a = try await ends.here.connect(to: meddler.address)
    let b = try #require(await accepted)
    #expect(await channelError { try await a.receive() }?.code == .timeout)
    #expect(await channelError { try await b.receive() }?.code == .timeout)
    await meddler.end()
    await ends.end()
  }

  /// A peer that lives but does not read: sending waits, for a while.
  @Test func aPeerThatDoesNotReadIsGivenUp() async throws {
    var configuration = Self.impatient
    configuration.stallLimit = .seconds(1)
    let ends = try await Ends(configuration: configuration)
    let (a, b) = try await ends.channel()
    var sent = 0
    let error = await channelError {
      while sent < 1_000 {
        try await a.send([UInt8](repeating: 0, count: 1 << 20))
        sent += 1
      }
    }
    #expect(error?.code == .timeout)
    // What is on the way is bounded: by two buffers of ours and those of the system.
    #expect(sent < 40, "\(sent) MiB were taken")
    withExtendedLifetime(b) {}
    await ends.end()
  }

  // MARK: Strangers

  @Test func whoSaysNothingOrTooLittleIsCutOff() async throws {
    var configuration = ChannelConfiguration()
    configuration.handshakeTimeout = .milliseconds(300)
    let ends = try await Ends(listening: configuration)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    for start in [[], [0], [0, 32], [0, 32, 1, 2, 3]] as [[UInt8]] {
      let peer = try await RawPeer(group: group, to: ends.listener.address)
      peer.write(start)
      await peer.untilClosed()
      #expect(peer.received.isEmpty)
    }
    #expect(await eventually { ends.there.connectionCount == 0 })
    try await group.shutdownGracefully()
    await ends.end()
  }

  @Test(arguments: [1, 2] as [UInt64]) func garbageIsCutOff(_ seed: UInt64) async throws {
    var configuration = ChannelConfiguration()
    configuration.handshakeTimeout = .milliseconds(500)
    let ends = try await Ends(listening: configuration)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var generator = SeededGenerator(seed: seed)
    for round in 0..<30 {
      let peer = try await RawPeer(group: group, to: ends.listener.address)
      switch round % 3 {
      case 0: peer.write(generator.bytes(Int.random(in: 1...2_000, using: &generator)))
      case 1: peer.write([UInt8]("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".utf8))
      default:
        // A first message that is in order, and then garbage.
        peer.write([0, 32] + (try pair(9).publicKey))
        peer.write([0, 200] + generator.bytes(200))
      }
      await peer.untilClosed()
    }
    #expect(await eventually { ends.there.connectionCount == 0 })
    let (a, b) = try await ends.channel()
    try await a.send([1])
    #expect(try await b.receive() == [1])
    try await group.shutdownGracefully()
    await ends.end()
  }

  @Test func aFloodOfConnectionsIsBounded() async throws {
    var configuration = ChannelConfiguration()
    configuration.pendingLimitPerHost = 5
    configuration.handshakeTimeout = .seconds(2)
    let ends = try await Ends(listening: configuration)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var peers: [RawPeer] = []
    for _ in 0..<200 {
      peers.append(try await RawPeer(group: group, to: ends.listener.address))
      #expect(ends.there.connectionCount <= 5)
    }
    #expect(await eventually { peers.filter(\.isOpen).count <= 5 })
    // Once they have been given up, whoever can shake hands is let in.
    for peer in peers { await peer.untilClosed() }
    let (a, b) = try await ends.channel()
    try await a.send([1])
    #expect(try await b.receive() == [1])
    try await group.shutdownGracefully()
    await ends.end()
  }

  @Test func channelsThatNobodyTakesAreBounded() async throws {
    var configuration = ChannelConfiguration()
    configuration.pendingLimit = 3
    let ends = try await Ends(listening: configuration)
    var channels: [SecureChannel] = []
    for _ in 0..<3 { channels.append(try await ends.here.connect(to: ends.listener.address)) }
    #expect(await channelError { try await ends.here.connect(to: ends.listener.address) } != nil)
    let taken = await ends.listener.accept()
    channels.append(try await ends.here.connect(to: ends.listener.address))
    withExtendedLifetime(taken) {}
    await ends.end()
    #expect(ends.there.connectionCount == 0)
  }

  @Test func whoIsNotAdmittedIsToldNothing() async throws {
    let network = try ChannelNetwork(signer: signer(2), suite: SodiumSuite(), threads: 1)
    let listener = try await network.listen(on: .anyLocal) { _ in false }
    let other = try ChannelNetwork(signer: signer(1), suite: SodiumSuite(), threads: 1)
    #expect(await channelError { try await other.connect(to: listener.address) }?.code == .closed)
    await listener.close()
    await other.shutDown()
    await network.shutDown()
  }

  /// Cancelled in the handshake, which nobody answers.
  @Test func connectingCanBeCancelled() async throws {
    let ends = try await Ends()
    let meddler = try await Meddler(to: ends.listener.address) { _, _, _ in .swallow }
    let connecting = Task {
      await channelError { try await ends.here.connect(to: meddler.address) }
    }
    #expect(await eventually { ends.here.connectionCount == 1 })
    connecting.cancel()
    #expect(await connecting.value?.code == .closed)
    #expect(await eventually { ends.here.connectionCount == 0 })
    await meddler.end()
    await ends.end()
  }
}
