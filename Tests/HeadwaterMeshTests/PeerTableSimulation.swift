import Foundation
import HeadwaterModel
import Testing

@testable import HeadwaterMesh

/// Many tables on a simulated network and clock, from a seed.
@Suite struct PeerTableSimulation {
  /// `HEADWATER_SEEDS=N` for more of them.
  private static let seeds: [UInt64] = {
    let count = ProcessInfo.processInfo.environment["HEADWATER_SEEDS"].flatMap { UInt64($0) } ?? 4
    return Array(1...max(1, count))
  }()

  @Test(arguments: seeds)
  func everybodyIsConnectedOnceAndNoLimitIsPassed(_ seed: UInt64) throws {
    var world = World(seed: seed, count: 12)
    // Ten minutes in which nodes restart, links are cut and dials fail; then a quiet while.
    world.run(until: 600_000, isRough: true)
    world.run(until: 1_200_000, isRough: false)
    world.expectAgreement()
    world.expectOneComponent()
  }

  @Test(arguments: [11, 12] as [UInt64]) func twoWhoKeepDiallingEachOther(_ seed: UInt64) throws {
    var world = World(seed: seed, count: 2)
    world.run(until: 300_000, isRough: true)
    world.run(until: 600_000, isRough: false)
    world.expectAgreement()
    #expect(world.links.count == 1, "seed \(seed)")
  }

  @Test(arguments: [21, 22] as [UInt64]) func whoSendsGarbageIsLeftAlone(_ seed: UInt64) throws {
    var world = World(seed: seed, count: 8, badNode: 3)
    world.run(until: 900_000, isRough: false)
    #expect(world.links.values.allSatisfy { $0.from != 3 && $0.to != 3 }, "seed \(seed)")
    #expect(world.garbage <= 8, "each is bothered once: \(world.garbage), seed \(seed)")
    world.expectAgreement()
  }
}

private struct World {
  struct Link {
    let from: Int
    let to: Int
  }
  enum Event {
    case tick(Int)
    case arrive(dial: Int, to: PeerAddress)
    case established(UInt64, atInitiator: Bool)
    case ended(UInt64, at: Int, PeerTable.Outcome)
    case exchange(UInt64, from: Int, PeerExchange)
    case misbehave(UInt64, at: Int)
    case trouble
  }

  let seed: UInt64
  var generator: SeededGenerator
  var now: Int64 = 0
  var queue: [(time: Int64, number: Int, event: Event)] = []
  var number = 0
  var tables: [PeerTable] = []
  var incarnations: [UInt8]
  var links: [UInt64: Link] = [:]
  var nextLink: UInt64 = 1
  var isRough = false
  var garbage = 0
  let badNode: Int?
  let limits: PeerLimits

  init(seed: UInt64, count: Int, badNode: Int? = nil) {
    self.seed = seed
    self.badNode = badNode
    generator = SeededGenerator(seed: seed)
    incarnations = [UInt8](repeating: 0, count: count)
    var limits = PeerLimits()
    limits.outbound = 4
    limits.inbound = 8
    self.limits = limits
    for index in 0..<count { tables.append(table(index)) }
    for index in 0..<count { schedule(Int64(index * 37), .tick(index)) }
    schedule(5_000, .trouble)
  }

  static func address(_ index: Int) -> PeerAddress {
    PeerAddress(ip: IPAddress(bytes: [5, 0, 0, UInt8(index)])!, port: 7)
  }

  func principal(_ index: Int) -> Digest {
    Digest(bytes: [UInt8](repeating: UInt8(index + 1), count: 32))!
  }

  func node(_ index: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: (index * 73 + Int(incarnations[index]) * 31) & 255)]
      + [UInt8(index), incarnations[index]] + [UInt8](repeating: 0, count: 29)
  }

  func table(_ index: Int) -> PeerTable {
    // Each knows its neighbours in a ring; the rest comes by exchange.
    let count = incarnations.count
    let neighbours = Set([(index + 1) % count, (index + count - 1) % count]).sorted()
    return PeerTable(
      principal: principal(index), node: node(index),
      configured: neighbours.map { (Self.address($0), nil) }, limits: limits)
  }

  mutating func schedule(_ time: Int64, _ event: Event) {
    number += 1
    queue.append((time, number, event))
  }

  mutating func delay() -> Int64 { Int64.random(in: 2...300, using: &generator) }

  mutating func run(until end: Int64, isRough: Bool) {
    self.isRough = isRough
    while let next = queue.indices.min(by: {
      (queue[$0].time, queue[$0].number) < (queue[$1].time, queue[$1].number)
    }), queue[next].time <= end {
      let (time, _, event) = queue.remove(at: next)
      now = time
      handle(event)
    }
  }

  /// No limit is passed, whatever happened. Expectations would cost more than all the rest.
  private func checkLimits(of index: Int) {
    let connections = tables[index].connections
    let inbound = connections.count { $0.dialled == nil }
    let outbound = connections.count - inbound
    if inbound > limits.inbound || outbound > limits.outbound {
      Issue.record("node \(index) has \(inbound) and \(outbound), seed \(seed)")
    }
  }

  private mutating func perform(_ actions: [PeerTable.Action], at index: Int) {
    for action in actions {
      switch action {
      case .dial(let address, _): schedule(now + delay(), .arrive(dial: index, to: address))
      case .close(let id, _): close(id, by: index)
      case .banned: break
      }
    }
  }

  private mutating func close(_ id: UInt64, by index: Int) {
    guard let link = links.removeValue(forKey: id) else { return }
    schedule(now, .ended(id, at: index, .failed))
    schedule(now + delay(), .ended(id, at: link.from == index ? link.to : link.from, .failed))
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .tick(let index):
      perform(tables[index].tick(now: now, using: &generator), at: index)
      // A word to everybody once a minute.
      if now % 60_000 < 1_000 {
        for connection in tables[index].connections {
          let exchange = tables[index].exchange(
            for: connection.id, listeningPort: 7, using: &generator)
          schedule(now + delay(), .exchange(connection.id, from: index, exchange))
        }
      }
      schedule(now + 1_000, .tick(index))
    case .arrive(let from, let address):
      guard let ip = address.ip, ip.bytes[0] == 5, Int(ip.bytes[3]) < tables.count,
        !(isRough && Int.random(in: 0..<3, using: &generator) == 0)
      else {
        tables[from].dialFailed(address, now: now, using: &generator)
        return
      }
      let id = nextLink
      nextLink += 1
      links[id] = Link(from: from, to: Int(ip.bytes[3]))
      handle(.established(id, atInitiator: false))
      schedule(now + delay(), .established(id, atInitiator: true))
    case .established(let id, let atInitiator):
      guard let link = links[id] else { return giveUp(id, atInitiator) }
      if atInitiator { dials[id] = nil } else { dials[id] = link }
      let (here, there) = atInitiator ? (link.from, link.to) : (link.to, link.from)
      let remote = PeerAddress(
        ip: IPAddress(bytes: [5, 0, 0, UInt8(there)])!, port: atInitiator ? 7 : 999)
      let connection = PeerTable.Connection(
        id: id, principal: principal(there), node: node(there),
        dialled: atInitiator ? Self.address(there) : nil, remote: remote)
      perform(tables[here].connected(connection, now: now), at: here)
      checkLimits(of: here)
      if there == badNode { schedule(now + 500, .misbehave(id, at: here)) }
    case .ended(let id, let index, let outcome):
      perform(tables[index].ended(id, outcome, now: now, using: &generator), at: index)
    case .exchange(let id, let from, let exchange):
      guard let link = links[id] else { return }
      let to = link.from == from ? link.to : link.from
      perform(tables[to].learn(exchange, from: id, now: now), at: to)
    case .misbehave(let id, let index):
      guard links[id] != nil else { return }
      garbage += 1
      perform(tables[index].misbehaved(id, .garbage, now: now), at: index)
    case .trouble:
      schedule(now + 5_000, .trouble)
      guard isRough else { return }
      if Int.random(in: 0..<4, using: &generator) == 0 {
        restart(Int.random(in: tables.indices, using: &generator))
      } else if let id = links.keys.sorted().randomElement(using: &generator) {
        close(id, by: links[id]?.from ?? 0)
      }
    }
  }

  // Connections that the initiator has not heard of yet.
  private var dials: [UInt64: Link] = [:]

  /// The responder has closed before the initiator knew: its dial has failed.
  private mutating func giveUp(_ id: UInt64, _ atInitiator: Bool) {
    guard atInitiator, let link = dials.removeValue(forKey: id) else { return }
    tables[link.from].dialFailed(Self.address(link.to), now: now, using: &generator)
  }

  private mutating func restart(_ index: Int) {
    for (id, link) in links.sorted(by: { $0.key < $1.key })
    where link.from == index || link.to == index {
      links[id] = nil
      schedule(
        now + delay(), .ended(id, at: link.from == index ? link.to : link.from, .failed))
    }
    incarnations[index] += 1
    tables[index] = table(index)
    // What is under way to the old one comes to nothing.
    queue.removeAll {
      if case .arrive(index, _) = $0.event { return true }
      return false
    }
  }

  /// Both ends of every connection know of it, and no two nodes have two.
  func expectAgreement() {
    var pairs: Set<[Int]> = []
    for (id, link) in links {
      for end in [link.from, link.to] {
        #expect(
          tables[end].connections.contains { $0.id == id }, "\(link) at \(end), seed \(seed)")
      }
      #expect(link.from != link.to)
      #expect(
        pairs.insert([link.from, link.to].sorted()).inserted, "two of \(link), seed \(seed)")
    }
    for (index, table) in tables.enumerated() {
      for connection in table.connections {
        #expect(links[connection.id] != nil, "\(index) holds \(connection), seed \(seed)")
      }
    }
  }

  func expectOneComponent() {
    var reached: Set<Int> = [0]
    var isGrowing = true
    while isGrowing {
      let before = reached.count
      for link in links.values where reached.contains(link.from) != reached.contains(link.to) {
        reached.formUnion([link.from, link.to])
      }
      isGrowing = reached.count > before
    }
    #expect(reached.count == tables.count, "seed \(seed)")
  }
}
