import HeadwaterModel
import Testing

@testable import HeadwaterMesh

@Suite struct PeerTableTests {
  private typealias Connection = PeerTable.Connection

  private func node(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }
  private func principal(_ number: UInt8) -> Digest { Digest(bytes: node(number)) ?? .zero }
  private func address(_ text: String) throws -> PeerAddress { try #require(PeerAddress(text)) }

  private func table(
    _ number: UInt8, _ configured: [PeerAddress] = [],
    _ change: (inout PeerLimits) -> Void = { _ in }
  ) -> PeerTable {
    var limits = PeerLimits()
    change(&limits)
    return PeerTable(
      principal: principal(number), node: node(number),
      configured: configured.map { ($0, nil) }, limits: limits)
  }

  private func inbound(_ id: UInt64, _ number: UInt8, from host: String = "8.8.8.8:5") -> Connection
  {
    Connection(
      id: id, principal: principal(number), node: node(number), dialled: nil,
      remote: PeerAddress(host))
  }

  private func outbound(_ id: UInt64, _ number: UInt8, to address: PeerAddress) -> Connection {
    Connection(
      id: id, principal: principal(number), node: node(number), dialled: address, remote: address)
  }

  @Test func pausesGrowUpToALimit() throws {
    var generator = SeededGenerator(seed: 1)
    let peer = try address("8.8.8.8:1")
    var table = table(1, [peer])
    var now: Int64 = 0
    var last: Int64 = 0
    for attempt in 0..<20 {
      var actions: [PeerTable.Action] = []
      while actions.isEmpty {
        now += 100
        actions = table.tick(now: now, using: &generator)
      }
      #expect(actions == [.dial(peer, expecting: nil)])
      if attempt > 0 {
        let longest = min(60_000, Int64(1_000) << (attempt - 1))
        #expect((longest / 2...longest + 100).contains(now - last), "\(attempt): \(now - last)")
      }
      #expect(table.tick(now: now, using: &generator) == [])
      table.dialFailed(peer, now: now, using: &generator)
      last = now
    }
  }

  @Test func whatHeldIsTriedAgainAtOnce() throws {
    var generator = SeededGenerator(seed: 1)
    let peer = try address("8.8.8.8:1")
    var table = table(1, [peer])
    for _ in 0..<5 { table.dialFailed(peer, now: 0, using: &generator) }
    #expect(table.tick(now: 100_000, using: &generator).count == 1)
    #expect(table.connected(outbound(1, 2, to: peer), now: 100_000) == [])
    #expect(table.tick(now: 200_000, using: &generator) == [])
    #expect(table.ended(1, .failed, now: 200_000, using: &generator) == [])
    #expect(table.tick(now: 201_000, using: &generator) == [.dial(peer, expecting: nil)])
  }

  @Test func ofTwoAtOnceBothSidesKeepTheSame() throws {
    for (low, high) in [(1, 2), (7, 200)] as [(UInt8, UInt8)] {
      for order in [false, true] {
        var (a, b) = (table(low), table(high))
        let (toA, toB) = (try address("8.8.8.8:1"), try address("9.9.9.9:1"))
        // Connection 1 is made by a, 2 by b; each sees them in any order.
        let atA = [outbound(1, high, to: toB), inbound(2, high)]
        let atB = [inbound(1, low), outbound(2, low, to: toA)]
        var closed: Set<UInt64> = []
        for connection in order ? atA : atA.reversed() {
          for case .close(let id, .duplicate) in a.connected(connection, now: 10) {
            closed.insert(id)
          }
        }
        for connection in atB {
          for case .close(let id, .duplicate) in b.connected(connection, now: 5) {
            closed.insert(id)
          }
        }
        #expect(closed == [2])
        #expect(a.connections.map(\.id) == [1] && b.connections.map(\.id) == [1])
      }
    }
  }

  @Test func whoComesBackReplacesWhatIsDead() {
    var table = table(1)
    #expect(table.connected(inbound(1, 2), now: 0) == [])
    #expect(table.connected(inbound(2, 2), now: 20_000) == [.close(1, .duplicate)])
    #expect(table.connections.map(\.id) == [2])
  }

  @Test func oneKeyInTwoPlacesIsTwoNodes() {
    var table = table(1)
    for (id, number) in [(1, 2), (2, 3)] as [(UInt64, UInt8)] {
      let connection = Connection(
        id: id, principal: principal(9), node: node(number), dialled: nil, remote: nil)
      #expect(table.connected(connection, now: 0) == [])
    }
    #expect(table.connections.count == 2)
  }

  @Test func oneself() throws {
    var generator = SeededGenerator(seed: 1)
    let own = try address("8.8.8.8:1")
    var table = table(1, [own])
    _ = table.tick(now: 0, using: &generator)
    #expect(table.connected(outbound(1, 1, to: own), now: 0) == [.close(1, .itself)])
    #expect(table.ended(1, .failed, now: 0, using: &generator) == [])
    #expect(table.tick(now: 10_000_000, using: &generator) == [])
  }

  @Test func limits() throws {
    var table = table(1) {
      $0.inbound = 4
      $0.inboundPerHost = 2
      $0.perPrincipal = 1
    }
    #expect(table.connected(inbound(1, 2, from: "8.8.8.8:1"), now: 0) == [])
    #expect(table.connected(inbound(2, 3, from: "8.8.8.8:2"), now: 0) == [])
    #expect(table.connected(inbound(3, 4, from: "8.8.8.8:3"), now: 0) == [.close(3, .tooMany)])
    #expect(table.connected(inbound(4, 5, from: "[2a00::1]:3"), now: 0) == [])
    #expect(table.connected(inbound(5, 6, from: "[2a00::2]:3"), now: 0) == [])
    #expect(table.connected(inbound(6, 7, from: "9.9.9.9:3"), now: 0) == [.close(6, .tooMany)])
    let samePrincipal = Connection(
      id: 7, principal: principal(2), node: node(99), dialled: try address("7.7.7.7:1"), remote: nil
    )
    #expect(table.connected(samePrincipal, now: 0) == [.close(7, .tooMany)])
  }

  @Test func dialsAreLimitedAndConfiguredPeersComeFirst() throws {
    var generator = SeededGenerator(seed: 4)
    let configured = try (1...3).map { try address("9.9.9.\($0):1") }
    var table = table(1, configured) {
      $0.outbound = 5
      $0.dialling = 4
    }
    #expect(table.connected(inbound(1, 2), now: 0) == [])
    let told = PeerExchange(
      listeningPort: nil, addresses: try (1...20).map { try address("5.5.5.\($0):1") })
    #expect(table.learn(told, from: 1, now: 0) == [])
    let first = table.tick(now: 0, using: &generator)
    #expect(first.count == 4)
    #expect(Array(first.prefix(3)) == configured.map { .dial($0, expecting: nil) })
    #expect(table.tick(now: 0, using: &generator) == [])
    for (index, action) in first.enumerated() {
      guard case .dial(let address, _) = action else { continue }
      #expect(
        table.connected(outbound(UInt64(10 + index), UInt8(10 + index), to: address), now: 0) == [])
    }
    #expect(table.tick(now: 0, using: &generator).count == 1)
  }

  @Test func misbehaviourAddsUpAndIsForgiven() {
    var generator = SeededGenerator(seed: 1)
    var table = table(1)
    #expect(table.connected(inbound(1, 2), now: 0) == [])
    #expect(table.misbehaved(1, .protocolViolation, now: 0) == [])
    // 49 points are forgiven in 294 s.
    #expect(table.misbehaved(1, .protocolViolation, now: 294_000) == [])
    #expect(
      table.misbehaved(1, .protocolViolation, now: 294_000)
        == [.banned(principal(2), until: 294_000 + 3_600_000), .close(1, .banned)])
    _ = table.ended(1, .failed, now: 294_000, using: &generator)
    #expect(table.connected(inbound(2, 2), now: 300_000) == [.close(2, .banned)])
    _ = table.ended(2, .failed, now: 300_000, using: &generator)
    // Others may still connect from there.
    #expect(table.connected(inbound(3, 3), now: 300_000) == [])
    _ = table.tick(now: 4_000_000, using: &generator)
    #expect(table.connected(inbound(4, 2), now: 4_000_000) == [])
    // The second ban is twice as long.
    #expect(
      table.misbehaved(4, .garbage, now: 4_000_000).first
        == .banned(principal(2), until: 4_000_000 + 7_200_000))
  }

  @Test func anAddressThatKeepsSendingGarbageIsShutOut() throws {
    var table = table(1)
    let ip = try #require(IPAddress("8.8.8.8"))
    for _ in 0..<3 { table.misbehaved(at: ip, .garbage, now: 0) }
    #expect(table.admits(ip, now: 0))
    table.misbehaved(at: ip, .garbage, now: 0)
    #expect(!table.admits(ip, now: 1_000) && table.admits(ip, now: 4_000_000))
    #expect(table.admits(try #require(IPAddress("8.8.8.9")), now: 0))
  }

  @Test func whatIsRememberedIsBounded() {
    var limits = PeerLimits()
    limits.records = 100
    var conduct = BadConduct(limits: limits)
    for number in 0..<1_000 {
      _ = conduct.add(10, to: .host([UInt8(number & 255), UInt8(number >> 8)]), now: 0)
    }
    #expect(conduct.count == 100)
    conduct.forget(now: 100_000_000)
    #expect(conduct.count == 0)
  }

  // MARK: Exchange

  @Test func privateAddressesAreNeitherBelievedNorToldUnlessAllowed() throws {
    var generator = SeededGenerator(seed: 1)
    let addresses = try ["10.0.0.1:1", "127.0.0.1:1", "[fe80::1]:1", "8.8.4.4:1"].map(address)
    for isAllowed in [false, true] {
      var table = table(1) { $0.allowsPrivateAddresses = isAllowed }
      #expect(table.connected(inbound(1, 2), now: 0) == [])
      let told = PeerExchange(listeningPort: 7, addresses: addresses)
      #expect(table.learn(told, from: 1, now: 0) == [])
      // And where the peer itself listens.
      #expect(table.addressCount == (isAllowed ? 5 : 2))
      let local = try address("192.168.0.2:1")
      #expect(table.connected(outbound(2, 3, to: local), now: 0) == [])
      #expect(table.connected(outbound(3, 4, to: try address("9.9.9.9:1")), now: 0) == [])
      let answer = table.exchange(for: 1, listeningPort: 5, using: &generator)
      #expect(answer.listeningPort == 5)
      #expect(answer.addresses.contains(local) == isAllowed)
      #expect(answer.addresses.contains(try address("9.9.9.9:1")))
      // Nobody is told of themselves; of the first it is known where it listens.
      let other = table.exchange(for: 3, listeningPort: 5, using: &generator).addresses
      #expect(try Set(other) == Set([address("8.8.8.8:7")] + (isAllowed ? [local] : [])))
    }
  }

  @Test func whoTellsTooMuchOrNonsenseIsHeldToIt() throws {
    var table = table(1)
    #expect(table.connected(inbound(1, 2), now: 0) == [])
    let empty = PeerExchange(listeningPort: nil, addresses: [])
    var banned = false
    for round in 0..<6 { banned = !table.learn(empty, from: 1, now: Int64(round) * 1_000).isEmpty }
    #expect(banned)
    #expect(table.connected(inbound(2, 3), now: 0) == [])
    for host in ["224.0.0.1:1", "0.0.0.0:1", "255.255.255.255:1"] {
      _ = table.learn(
        PeerExchange(listeningPort: nil, addresses: [try address(host)]), from: 2, now: 0)
    }
    #expect(table.addressCount == 0)
  }

  @Test func onePeerCannotFillTheBook() throws {
    var table = table(1) { $0.addresses = 100 }
    for source in 0..<UInt8(10) {
      #expect(
        table.connected(inbound(UInt64(source), 20 + source, from: "8.8.8.\(source):1"), now: 0)
          == [])
      for round in 0..<10 {
        let addresses = try (0..<32).map { try address("5.\(source).\(round).\($0 + 1):1") }
        _ = table.learn(
          PeerExchange(listeningPort: nil, addresses: addresses), from: UInt64(source),
          now: Int64(round) * 100_000)
      }
      #expect(table.addressCount <= min(100, 64 * (Int(source) + 1)))
    }
    #expect(table.addressCount == 100)
  }
}
