import Foundation
import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync
import NIOPosix
import Synchronization
import Testing

@testable import HeadwaterMesh

@Suite struct MeshTests {
  /// What happened in a mesh.
  final class Diary: Sendable {
    private let events = Mutex<[MeshEvent]>([])
    func add(_ event: MeshEvent) { events.withLock { $0.append(event) } }
    func count(_ isCounted: (MeshEvent) -> Bool) -> Int {
      events.withLock { $0.count(where: isCounted) }
    }
  }

  private func configuration(
    peers: [PeerAddress] = [], _ change: (inout MeshConfiguration) -> Void = { _ in }
  ) -> MeshConfiguration {
    var configuration = MeshConfiguration()
    configuration.listen = [.anyLocal]
    configuration.peers = peers.map { MeshConfiguration.Peer(address: $0) }
    configuration.limits.allowsPrivateAddresses = true
    configuration.limits.firstPause = 100
    configuration.limits.inboundPerHost = 64
    configuration.limits.exchangeInterval = 1_000
    configuration.limits.longestPauseConfigured = 500
    configuration.channels = .patient
    configuration.threads = 1
    change(&configuration)
    return configuration
  }

  /// A mesh whose connections are listened to until they end.
  private func mesh(
    _ number: UInt8, _ configuration: MeshConfiguration, _ diary: Diary = Diary(),
    serve: @escaping Mesh.Serve = { channel, _ in
      do {
        while try await channel.receive() != nil {}
        return .done
      } catch {
        return .failed
      }
    }
  ) async throws -> Mesh {
    let mesh = try Mesh(
      configuration, signer: signer(number), suite: SodiumSuite(), observe: diary.add, serve: serve)
    try await mesh.run()
    return mesh
  }

  private func principals(_ mesh: Mesh) async -> Set<Digest> {
    Set(await mesh.peers.map(\.principal))
  }

  @Test func peersLearnOfEachOther() async throws {
    let first = try await mesh(1, configuration())
    let address = try #require(await first.addresses.first)
    var meshes = [first]
    for number in 2...5 as ClosedRange<UInt8> {
      meshes.append(try await mesh(number, configuration(peers: [address])))
    }
    // All know the first one only, and find the others through it.
    let everybody = Set((1...5 as ClosedRange<UInt8>).map { signer($0).principal })
    for (index, mesh) in meshes.enumerated() {
      let others = everybody.subtracting([signer(UInt8(index + 1)).principal])
      #expect(await eventually { await principals(mesh) == others })
      #expect(await eventually { await mesh.peers.count == 4 })
    }
    for mesh in meshes { await mesh.stop() }
    for mesh in meshes { #expect(await mesh.peers.isEmpty) }
  }

  @Test func twoThatDialEachOtherHaveOneConnection() async throws {
    let (one, two) = (try await mesh(1, configuration()), try await mesh(2, configuration()))
    let (atOne, atTwo) = (await one.addresses[0], await two.addresses[0])
    async let first: Void = one.add(MeshConfiguration.Peer(address: atTwo))
    async let second: Void = two.add(MeshConfiguration.Peer(address: atOne))
    _ = await (first, second)
    #expect(
      await eventually {
        let (ofOne, ofTwo) = (await one.peers, await two.peers)
        return ofOne.count == 1 && ofTwo.count == 1
          && (ofOne[0].dialled == nil) != (ofTwo[0].dialled == nil)
      })
    await one.stop()
    await two.stop()
  }

  /// Whoever is not let in is told of nobody.
  @Test(arguments: [true, false]) func onlyWhoIsLetInIsToldOfOthers(isLetIn: Bool) async throws {
    let mesh = try Mesh(
      configuration(), signer: signer(1), suite: SodiumSuite(), admits: { _, _ in isLetIn },
      serve: { channel, _ in
        _ = try? await channel.receive()
        return .done
      })
    try await mesh.run()
    let network = try ChannelNetwork(signer: signer(2), suite: SodiumSuite())
    let channel = try await network.connect(to: await mesh.addresses[0])
    let asides = Mutex(0)
    channel.handleAsides { _ in asides.withLock { $0 += 1 } }
    let reading = Task { while try await channel.receive() != nil {} }
    if isLetIn {
      #expect(await eventually { asides.withLock { $0 } > 0 })
    } else {
      try? await reading.value
      #expect(asides.withLock { $0 } == 0)
    }
    await channel.close()
    await mesh.stop()
    await network.shutDown()
  }

  @Test func whoMisbehavesIsBanned() async throws {
    let diary = Diary()
    let one = try await mesh(1, configuration(), diary) { _, _ in .misbehaved(.garbage) }
    let address = await one.addresses[0]
    let two = try await mesh(
      2, configuration(peers: [address]) { $0.limits.longestPauseConfigured = 300 })
    #expect(await eventually { diary.count { if case .banned = $0 { true } else { false } } == 1 })
    // It comes back, and is not let in.
    #expect(
      await eventually {
        diary.count { if case .closed(_, .banned) = $0 { true } else { false } } > 1
      })
    #expect(await one.peers.isEmpty)
    await two.stop()
    await one.stop()
  }

  @Test func oneselfIsNotAPeer() async throws {
    let diary = Diary()
    let one = try await mesh(1, configuration(), diary)
    await one.add(MeshConfiguration.Peer(address: await one.addresses[0]))
    #expect(
      await eventually {
        diary.count { if case .closed(_, .itself) = $0 { true } else { false } } > 0
      })
    #expect(await eventually { await one.peers.isEmpty })
    #expect(diary.count { if case .connected = $0 { true } else { false } } == 0)
    await one.stop()
  }

  @Test func anotherPrincipalIsNotWhoWasMeant() async throws {
    let diary = Diary()
    let one = try await mesh(1, configuration())
    let address = await one.addresses[0]
    let two = try await mesh(
      2,
      configuration {
        $0.peers = [MeshConfiguration.Peer(address: address, principal: signer(3).principal)]
      }, diary)
    #expect(
      await eventually {
        diary.count {
          if case .dialFailed(address, let error) = $0 {
            error.code == .unauthenticated
          } else {
            false
          }
        } > 1
      })
    #expect(await two.peers.isEmpty)
    await two.stop()
    await one.stop()
  }

  @Test func aPeerThatComesBackIsFoundAgain() async throws {
    let one = try await mesh(1, configuration())
    let address = await one.addresses[0]
    let two = try await mesh(
      2, configuration(peers: [address]) { $0.limits.longestPauseConfigured = 300 })
    #expect(await eventually { await two.peers.count == 1 })
    await one.stop()
    #expect(await eventually { await two.peers.isEmpty })
    let again = try await mesh(3, configuration { $0.listen = [address] })
    #expect(await eventually { await principals(two) == [signer(3).principal] })
    await two.stop()
    await again.stop()
  }

  /// An address from which nothing but garbage comes is not answered any more.
  @Test func strangersWhoSendGarbageAreShutOut() async throws {
    let one = try await mesh(1, configuration())
    let address = await one.addresses[0]
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    // Each costs 25 points of 100.
    for _ in 0..<4 {
      let peer = try await RawPeer(group: group, to: address)
      peer.write([0, 5, 1, 2, 3, 4, 5])
      await peer.untilClosed()
    }
    let network = try ChannelNetwork(signer: signer(2), suite: SodiumSuite(), threads: 1)
    #expect(
      await eventually { await channelError { try await network.connect(to: address) } != nil })
    await network.shutDown()
    try await group.shutdownGracefully()
    await one.stop()
  }

  @Test func whoTalksTooMuchAsideIsHeldToIt() async throws {
    let diary = Diary()
    let one = try await mesh(1, configuration(), diary)
    let network = try ChannelNetwork(signer: signer(2), suite: SodiumSuite(), threads: 1)
    let channel = try await network.connect(to: await one.addresses[0])
    let isBanned: () -> Bool = { diary.count { if case .banned = $0 { true } else { false } } > 0 }
    #expect(
      await eventually {
        for _ in 0..<20 { try? channel.sendAside([0x83, 0x01, 0xFF]) }
        return isBanned()
      })
    #expect(await channelError { while try await channel.receive() != nil {} } == nil)
    await network.shutDown()
    await one.stop()
  }

  @Test func afterTheEndNothingIsLeft() async throws {
    var network: ChannelNetwork? = try ChannelNetwork(
      signer: signer(1), suite: SodiumSuite(), threads: 2)
    var listener: ChannelListener? = try await network?.listen(on: .anyLocal)
    var channel = try await network?.connect(to: try #require(listener?.address))
    var accepted = await listener?.accept()
    weak let (watchedNetwork, watchedListener) = (network, listener)
    weak let (watchedChannel, watchedAccepted) = (channel, accepted)
    #if os(Linux)
    var threads: Set<String> = []
    for _ in 0..<2 {
      let loop = try #require(network?.group.next())
      threads.insert(try await loop.submit { nameOfThread() }.get())
    }
    #expect(threads.count == 2)
    #expect(threads.isSubset(of: namesOfThreads()))
    #endif
    await network?.shutDown()
    #expect(network?.connectionCount == 0)
    #expect(await channelError { try await channel?.receive() }?.code == .closed)
    let error = await channelError { try await network?.listen(on: .anyLocal) }
    #expect(error?.code == .closed)
    (network, listener, channel, accepted) = (nil, nil, nil, nil)
    #expect(watchedNetwork == nil && watchedListener == nil)
    #expect(watchedChannel == nil && watchedAccepted == nil)
    #if os(Linux)
    #expect(await eventually { threads.isDisjoint(with: namesOfThreads()) })
    #endif

    var mesh: Mesh? = try await self.mesh(2, configuration())
    weak let watchedMesh = mesh
    await mesh?.stop()
    mesh = nil
    #expect(await eventually { watchedMesh == nil })
  }
}

#if os(Linux)
/// As SwiftNIO names it: no two of its threads share a name.
private func nameOfThread() -> String {
  (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8))?
    .trimmingCharacters(in: .newlines) ?? ""
}

/// The names of all threads of this process.
private func namesOfThreads() -> Set<String> {
  let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
  return Set(
    tasks.compactMap {
      try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)
        .trimmingCharacters(in: .newlines)
    })
}
#endif
