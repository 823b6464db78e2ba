import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync
import Testing

@testable import HeadwaterMesh

@Suite struct SecureChannelTests {
  @Test func bothSidesKnowEachOtherAndTalk() async throws {
    let ends = try await Ends()
    let (a, b) = try await ends.channel()
    #expect(a.peer == signer(2).principal)
    #expect(b.peer == signer(1).principal)
    #expect(a.node == ends.there.node && b.node == ends.here.node)
    #expect(a.binding == b.binding && a.binding.count == 64)
    #expect(a.isInitiator && !b.isInitiator)
    try await a.send([1, 2, 3])
    try await b.send([4])
    try await b.send([5, 6])
    #expect(try await b.receive() == [1, 2, 3])
    #expect(try await a.receive() == [4])
    #expect(try await a.receive() == [5, 6])
    await a.close()
    #expect(try await b.receive() == nil)
    #expect(try await b.receive() == nil)
    #expect(await channelError { try await a.send([1]) }?.code == .closed)
    #expect(await channelError { try await a.receive() }?.code == .closed)
    #expect(await eventually { ends.here.connectionCount == 0 && ends.there.connectionCount == 0 })
    await ends.end()
  }

  @Test func messagesOfEveryLengthArriveInBothDirectionsAtOnce() async throws {
    let ends = try await Ends()
    let (a, b) = try await ends.channel()
    let seed: UInt64 = 7
    let part = FrameLimits.sentBodyByteCount
    let lengths = [
      1, 2, 1_000, part - 1, part, part + 1, 2 * part, 2 * part + 1,
      ChannelLimits.messageBytes - 1, ChannelLimits.messageBytes,
    ]
    @Sendable func messages() -> [[UInt8]] {
      var generator = SeededGenerator(seed: seed)
      return lengths.map { length in
        let start = UInt8.random(in: 0...255, using: &generator)
        return (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) &+ start }
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for channel in [a, b] {
        group.addTask { for message in messages() { try await channel.send(message) } }
        group.addTask {
          for message in messages() {
            let received = try await channel.receive()
            #expect(received == message, "\(message.count) bytes, seed \(seed)")
          }
        }
      }
      try await group.waitForAll()
    }
    await b.close()
    #expect(try await a.receive() == nil)
    await ends.end()
  }

  @Test func whatWasSentBeforeTheCloseArrives() async throws {
    let ends = try await Ends()
    let (a, b) = try await ends.channel()
    for number in 0..<100 { try await a.send([UInt8](repeating: UInt8(number), count: 1_000)) }
    await a.close()
    for number in 0..<100 {
      #expect(try await b.receive() == [UInt8](repeating: UInt8(number), count: 1_000))
    }
    #expect(try await b.receive() == nil)
    await ends.end()
  }

  /// A connection that is cut is not a channel that was closed.
  @Test func aCutIsToldFromAnEnd() async throws {
    let ends = try await Ends()
    let (a, b) = try await ends.channel()
    try await a.send([1])
    #expect(try await b.receive() == [1])
    await ends.here.shutDown()
    #expect(await channelError { try await b.receive() }?.code == .closed)
    #expect(await channelError { try await b.send([1]) }?.code == .closed)
    await ends.end()
  }

  @Test func aChannelThatNobodyHoldsIsClosed() async throws {
    let ends = try await Ends()
    var (a, b): (SecureChannel?, SecureChannel?) = try await ends.channel()
    weak let watched = a
    a = nil
    #expect(watched == nil)
    #expect(await channelError { try await b?.receive() }?.code == .closed)
    b = nil
    #expect(await eventually { ends.here.connectionCount == 0 && ends.there.connectionCount == 0 })
    await ends.end()
  }

  @Test func anotherPrincipalThanExpectedIsRefused() async throws {
    let ends = try await Ends()
    let error = await channelError {
      try await ends.here.connect(to: ends.listener.address, expecting: signer(3).principal)
    }
    #expect(error?.code == .unauthenticated)
    #expect(await eventually { ends.there.connectionCount == 0 })
    await ends.end()
  }

  @Test func nobodyThere() async throws {
    let ends = try await Ends()
    await ends.listener.close()
    let error = await channelError { try await ends.here.connect(to: ends.listener.address) }
    #expect(error?.code == .closed)
    await ends.end()
  }

  @Test func ipv6() async throws {
    let ends: Ends
    do {
      ends = try await Ends(on: #require(PeerAddress("[::1]:0")))
    } catch let error as ChannelError {
      // A machine without IPv6 says so by name.
      #expect(error.message.contains("could not listen on [::1]:0"))
      return
    }
    #expect(ends.listener.address.description.hasPrefix("[::1]:"))
    let (a, b) = try await ends.channel()
    try await a.send([9])
    #expect(try await b.receive() == [9])
    #expect(b.remoteAddress?.ip == IPAddress("::1"))
    await ends.end()
  }

  @Test func wrongUseClosesTheChannel() async throws {
    let ends = try await Ends()
    let (a, b) = try await ends.channel()
    let tooLong = [UInt8](repeating: 0, count: ChannelLimits.messageBytes + 1)
    #expect(await channelError { try await a.send(tooLong) }?.code == .invalid)
    #expect(await channelError { try await a.send([1]) } != nil)
    #expect(await channelError { try await b.receive() }?.code == .closed)
    let (c, d) = try await ends.channel()
    let first = Task { await channelError { try await c.receive() } }
    let second = Task { await channelError { try await c.receive() } }
    let codes = [await first.value?.code, await second.value?.code]
    #expect(codes == [.invalid, .invalid])
    withExtendedLifetime(d) {}
    await ends.end()
  }

  @Test func cancellingATaskClosesTheChannel() async throws {
    let ends = try await Ends()
    let (a, b) = try await ends.channel()
    let receiver = Task { await channelError { try await a.receive() } }
    // Whether it waits already or not makes no difference.
    receiver.cancel()
    #expect(await receiver.value?.code == .closed)
    #expect(await channelError { try await b.receive() }?.code == .closed)

    let (c, d) = try await ends.channel()
    let sender = Task {
      await channelError { while true { try await c.send([UInt8](repeating: 0, count: 1 << 20)) } }
    }
    // The sender waits once nobody reads.
    try await Task.sleep(for: .milliseconds(50))
    sender.cancel()
    #expect(await sender.value?.code == .closed)
    var error: ChannelError?
    while error == nil { error = await channelError { _ = try await d.receive() } }
    #expect(error?.code == .closed)
    await ends.end()
  }

  @Test func acceptEndsWithTheListenerOrTheTask() async throws {
    let ends = try await Ends()
    let waiting = Task { await ends.listener.accept() }
    waiting.cancel()
    #expect(await waiting.value == nil)
    #expect(await ends.listener.accept() == nil)
    await ends.end()
  }

  @Test func twoHundredChannelsAtOnce() async throws {
    var configuration = ChannelConfiguration()
    configuration.pendingLimit = 1_000
    configuration.pendingLimitPerHost = 1_000
    configuration.handshakeTimeout = .seconds(60)
    let ends = try await Ends(configuration: configuration)
    let count = 200
    let echo = Task {
      await withDiscardingTaskGroup { group in
        for _ in 0..<count {
          guard let channel = await ends.listener.accept() else { return }
          group.addTask {
            do {
              while let message = try await channel.receive() { try await channel.send(message) }
            } catch {
              Issue.record("\(error)")
            }
          }
        }
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<count {
        group.addTask {
          let channel = try await ends.here.connect(to: ends.listener.address)
          for length in [1, 1_000, 100_000] {
            let message = [UInt8](repeating: UInt8(number), count: length)
            try await channel.send(message)
            let back = try await channel.receive()
            #expect(back == message)
          }
          await channel.close()
        }
      }
      try await group.waitForAll()
    }
    await echo.value
    #expect(await eventually { ends.here.connectionCount == 0 && ends.there.connectionCount == 0 })
    await ends.end()
  }
}
