import HeadwaterModel

/// The addresses that are known, and when each is to be tried. Times in milliseconds.
struct AddressBook: Sendable {
  struct Entry: Sendable {
    enum State: Sendable { case idle, dialling, connected }

    let address: PeerAddress
    var expected: Digest?
    var isConfigured = false
    /// Who told it.
    var source: Digest?
    var state = State.idle
    /// In a row.
    var failures = 0
    var nextAttempt: Int64 = 0
    /// The node that was there last.
    var lastNode: [UInt8]?
    /// Whether a connection to it has ever come to a good end, or held.
    var wasGood = false
    var isOwn = false
  }

  /// How a connection that this side made has ended.
  enum End {
    /// Well.
    case good
    /// After it had held for long.
    case cut
    /// Soon.
    case bad
    /// In a way that another attempt will not change.
    case hopeless
  }

  private let limits: PeerLimits
  // In the order in which they came.
  var entries: [Entry] = []

  init(limits: PeerLimits) { self.limits = limits }

  var diallingCount: Int { entries.count { $0.state == .dialling } }

  private func index(_ address: PeerAddress) -> Int? {
    entries.firstIndex { $0.address == address }
  }

  mutating func configure(_ address: PeerAddress, expected: Digest?) {
    if let index = index(address) {
      entries[index].isConfigured = true
      entries[index].expected = expected
    } else {
      entries.append(Entry(address: address, expected: expected, isConfigured: true))
    }
  }

  /// Takes an address from a peer, as far as there is room.
  mutating func learn(_ address: PeerAddress, from source: Digest) {
    guard index(address) == nil,
      entries.count(where: { $0.source == source }) < limits.addressesPerSource
    else { return }
    if entries.count(where: { !$0.isConfigured }) >= limits.addresses {
      // The one that failed most often makes room, the oldest of such; if none has failed, none does.
      let candidates = entries.indices.filter {
        !entries[$0].isConfigured && entries[$0].state == .idle && entries[$0].failures > 0
      }
      guard let worst = candidates.max(by: { entries[$0].failures < entries[$1].failures }) else {
        return
      }
      entries.remove(at: worst)
    }
    entries.append(Entry(address: address, source: source))
  }

  /// Remembers which node is there, without having connected to it.
  mutating func note(_ address: PeerAddress, node: [UInt8]) {
    guard let index = index(address) else { return }
    entries[index].lastNode = node
  }

  /// Whom to dial, the most important first: configured peers in their order, then the others in any.
  func due(
    now: Int64, besides connected: [[UInt8]], using generator: inout some RandomNumberGenerator,
    where isAllowed: (Entry) -> Bool
  ) -> [Int] {
    let due = entries.indices.filter { index in
      let entry = entries[index]
      guard entry.state == .idle, entry.nextAttempt <= now, !entry.isOwn else { return false }
      if let node = entry.lastNode, connected.contains(node) { return false }
      return isAllowed(entry)
    }
    return due.filter { entries[$0].isConfigured }
      + due.filter { !entries[$0].isConfigured }.shuffled(using: &generator)
  }

  mutating func connected(_ address: PeerAddress, _ connection: PeerTable.Connection) {
    guard let index = index(address) else { return }
    entries[index].state = .connected
    entries[index].lastNode = connection.node
  }

  mutating func isOwn(_ address: PeerAddress) {
    guard let index = index(address) else { return }
    entries[index].isOwn = true
  }

  mutating func failed(
    _ address: PeerAddress, now: Int64, using generator: inout some RandomNumberGenerator
  ) {
    ended(address, .bad, now: now, using: &generator)
  }

  mutating func ended(
    _ address: PeerAddress, _ end: End, now: Int64,
    using generator: inout some RandomNumberGenerator
  ) {
    guard let index = index(address) else { return }
    let longest =
      entries[index].isConfigured ? limits.longestPauseConfigured : limits.longestPause
    let pause: Int64
    switch end {
    case .good:
      entries[index].failures = 0
      entries[index].wasGood = true
      pause = limits.longestPauseConfigured
    case .cut:
      entries[index].failures = 0
      entries[index].wasGood = true
      pause = limits.firstPause
    case .bad:
      entries[index].failures += 1
      // Doubled thirty times is more than any longest pause.
      pause = min(longest, limits.firstPause << min(entries[index].failures - 1, 30))
    case .hopeless:
      entries[index].failures += 1
      pause = longest
    }
    entries[index].state = .idle
    // Between half of it and all, lest all who lost the same peer come back at once.
    entries[index].nextAttempt =
      now + pause / 2 + Int64.random(in: 0...(pause / 2), using: &generator)
    if !entries[index].isConfigured, entries[index].failures >= limits.failuresToForget {
      entries.remove(at: index)
    }
  }
}
