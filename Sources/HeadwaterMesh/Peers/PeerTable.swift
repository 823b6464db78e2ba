import HeadwaterModel

/// Whom to connect to, whom to let in, and which of two connections to keep.
///
/// A pure state machine: it is told what happened and when, draws from the random numbers that it is given,
/// and answers with what to do. Times are in milliseconds, from any start. Nothing in it waits or fails.
///
/// Connections are between *nodes*, processes that hold a principal's key (`SecureChannel.node`): one key may be in
/// use in several places, and two connections with one node are one too many.
public struct PeerTable: Sendable {
  /// What there is to do.
  public enum Action: Equatable, Sendable {
    /// Connect; then say `connected` or `dialFailed`.
    case dial(PeerAddress, expecting: Digest?)
    /// Close that connection, and say `ended` when it is closed.
    case close(UInt64, Reason)
    /// A principal was banned: for whoever keeps a log.
    case banned(Digest, until: Int64)
  }

  /// Why a connection is closed.
  public enum Reason: String, Sendable {
    /// The peer is this process.
    case itself
    /// There is another connection with the same node, which is kept.
    case duplicate
    /// There are as many as may be.
    case tooMany
    case banned
  }

  /// How a connection ended, as whoever used it says.
  public enum Outcome: Equatable, Sendable {
    /// In good order: connect again some time, to see what is new.
    case done
    /// Cut, or given up: try again.
    case failed
    /// One of both does not want the other: try again much later.
    case unwelcome
    case misbehaved(Misbehaviour)
  }

  /// A connection, as the table has to know it.
  public struct Connection: Equatable, Sendable {
    /// Unique for as long as the table exists.
    public let id: UInt64
    public let principal: Digest
    public let node: [UInt8]
    /// The address that was dialled; nil if the peer has connected.
    public let dialled: PeerAddress?
    /// The peer's end.
    public let remote: PeerAddress?

    public init(
      id: UInt64, principal: Digest, node: [UInt8], dialled: PeerAddress?, remote: PeerAddress?
    ) {
      self.id = id
      self.principal = principal
      self.node = node
      self.dialled = dialled
      self.remote = remote
    }
  }

  struct Link: Sendable {
    let connection: Connection
    let since: Int64
    var lastExchange: Int64?
    // Why it was told to close; it counts no more.
    var closing: Reason?
    var isClosing: Bool { closing != nil }
  }

  let limits: PeerLimits
  let node: [UInt8]
  let principal: Digest
  var book: AddressBook
  var conduct: BadConduct
  // Few, in the order in which they were made.
  var links: [Link] = []

  /// - Parameters:
  ///   - principal: who this side is.
  ///   - node: which node.
  ///   - configured: whom to keep connections with, and who each must prove to be.
  public init(
    principal: Digest, node: [UInt8], configured: [(address: PeerAddress, expected: Digest?)] = [],
    limits: PeerLimits = PeerLimits()
  ) {
    self.principal = principal
    self.node = node
    self.limits = limits
    conduct = BadConduct(limits: limits)
    book = AddressBook(limits: limits)
    for (address, expected) in configured { book.configure(address, expected: expected) }
  }

  /// Another peer to keep a connection with.
  public mutating func configure(_ address: PeerAddress, expecting expected: Digest? = nil) {
    book.configure(address, expected: expected)
  }

  /// The connections that are kept, in the order in which they were made.
  public var connections: [Connection] { links.filter { !$0.isClosing }.map(\.connection) }

  /// How many addresses are known.
  public var addressCount: Int { book.entries.count }

  /// Whether to talk to whoever connects from there at all.
  public func admits(_ ip: IPAddress, now: Int64) -> Bool {
    !conduct.isBanned(.host(ip.network), now: now)
  }

  /// The addresses, or networks of IPv6, for which `admits` is false.
  func bannedHosts(now: Int64) -> Set<[UInt8]> { conduct.bannedHosts(now: now) }

  // MARK: Time

  /// What is due: call about once a second.
  public mutating func tick(
    now: Int64, using generator: inout some RandomNumberGenerator
  ) -> [Action] {
    conduct.forget(now: now)
    let outbound = links.count { $0.connection.dialled != nil && !$0.isClosing }
    let dialling = book.diallingCount
    let room = min(limits.outbound - outbound - dialling, limits.dialling - dialling)
    guard room > 0 else { return [] }
    let nodes = links.filter { !$0.isClosing }.map(\.connection.node)
    let due = book.due(now: now, besides: nodes, using: &generator) { entry in
      if let ip = entry.address.ip, conduct.isBanned(.host(ip.network), now: now) { return false }
      guard let expected = entry.expected else { return true }
      return !conduct.isBanned(.principal(expected), now: now)
    }
    return due.prefix(room).map { index in
      book.entries[index].state = .dialling
      let entry = book.entries[index]
      return .dial(entry.address, expecting: entry.expected)
    }
  }

  // MARK: Connections

  /// A dial came to nothing.
  public mutating func dialFailed(
    _ address: PeerAddress, now: Int64, using generator: inout some RandomNumberGenerator
  ) {
    book.failed(address, now: now, using: &generator)
  }

  /// A connection was made, by either side. It is kept unless the actions close it.
  public mutating func connected(_ connection: Connection, now: Int64) -> [Action] {
    if let address = connection.dialled { book.connected(address, connection) }
    links.append(Link(connection: connection, since: now))
    let new = links.count - 1
    if connection.node == node {
      if let address = connection.dialled { book.isOwn(address) }
      return [close(new, .itself)]
    }
    if conduct.isBanned(.principal(connection.principal), now: now) { return [close(new, .banned)] }
    let others = links.indices.dropLast().filter {
      !links[$0].isClosing && links[$0].connection.node == connection.node
    }
    for other in others {
      switch keeps(new, over: other, now: now) {
      case true?: return [close(other, .duplicate)] + refusals(of: new)
      case false?: return [close(new, .duplicate)]
      case nil: break
      }
    }
    return refusals(of: new)
  }

  /// Which of two connections with one node stays: the first (true), the second (false), or whichever the
  /// other side chooses (nil). Both sides choose the same.
  private func keeps(_ new: Int, over old: Int, now: Int64) -> Bool? {
    // Whoever connects anew, long after, has lost the old one; this side has not noticed yet.
    if now - links[old].since > limits.simultaneity { return true }
    let (newIsOurs, oldIsOurs) = (
      links[new].connection.dialled != nil, links[old].connection.dialled != nil
    )
    if newIsOurs != oldIsOurs {
      // Both have dialled at once: the lesser node's connection stays.
      let oursStays = node.lexicographicallyPrecedes(links[new].connection.node)
      return newIsOurs == oursStays
    }
    // Made by one side twice, by two addresses: that side knows which came first.
    return newIsOurs ? false : nil
  }

  private mutating func refusals(of new: Int) -> [Action] {
    let connection = links[new].connection
    let others = links.indices.dropLast().filter { !links[$0].isClosing }
    let ofPrincipal = others.count { links[$0].connection.principal == connection.principal }
    guard ofPrincipal < limits.perPrincipal else { return [close(new, .tooMany)] }
    guard connection.dialled == nil else { return [] }
    let inbound = others.filter { links[$0].connection.dialled == nil }
    let host = connection.remote?.ip?.network
    let ofHost = inbound.count { links[$0].connection.remote?.ip?.network == host }
    guard inbound.count < limits.inbound, ofHost < limits.inboundPerHost else {
      return [close(new, .tooMany)]
    }
    return []
  }

  private mutating func close(_ index: Int, _ reason: Reason) -> Action {
    links[index].closing = reason
    return .close(links[index].connection.id, reason)
  }

  /// A connection has ended, for whatever reason.
  public mutating func ended(
    _ id: UInt64, _ outcome: Outcome, now: Int64,
    using generator: inout some RandomNumberGenerator
  ) -> [Action] {
    var actions: [Action] = []
    if case .misbehaved(let kind) = outcome { actions = misbehaved(id, kind, now: now) }
    guard let index = links.firstIndex(where: { $0.connection.id == id }) else { return actions }
    let link = links.remove(at: index)
    if let address = link.connection.dialled {
      let end: AddressBook.End
      switch (link.closing, outcome) {
      case (.duplicate, _), (nil, .done): end = .good
      case (nil, .failed): end = now - link.since >= limits.goodAfter ? .cut : .bad
      default: end = .hopeless
      }
      book.ended(address, end, now: now, using: &generator)
    }
    return actions.filter { $0 != .close(id, .banned) }
  }

  // MARK: Conduct

  /// A peer did what it should not. Enough of that bans the principal, and half as fast the address.
  public mutating func misbehaved(_ id: UInt64, _ kind: Misbehaviour, now: Int64) -> [Action] {
    guard let link = links.first(where: { $0.connection.id == id }) else { return [] }
    let principal = link.connection.principal
    if let ip = link.connection.remote?.ip {
      _ = conduct.add(kind.points / 2, to: .host(ip.network), now: now)
    }
    guard conduct.add(kind.points, to: .principal(principal), now: now) else { return [] }
    var actions: [Action] = [
      .banned(principal, until: conduct.bannedUntil(.principal(principal)) ?? now)
    ]
    for index in links.indices
    where links[index].connection.principal == principal && !links[index].isClosing {
      actions.append(close(index, .banned))
    }
    return actions
  }

  /// Somebody at that address, who has not said who they are, did.
  public mutating func misbehaved(at ip: IPAddress, _ kind: Misbehaviour, now: Int64) {
    // Less than a principal's, since many may share an address.
    _ = conduct.add(kind.points / 4, to: .host(ip.network), now: now)
  }

  // MARK: Exchange

  /// Takes what a peer told of third ones.
  public mutating func learn(
    _ exchange: PeerExchange, from id: UInt64, now: Int64
  ) -> [Action] {
    guard let index = links.firstIndex(where: { $0.connection.id == id && !$0.isClosing }) else {
      return []
    }
    // Clocks differ a little: only what is twice too often is held against the peer.
    if let last = links[index].lastExchange, now - last < limits.exchangeInterval / 2 {
      return misbehaved(id, .badExchange, now: now)
    }
    links[index].lastExchange = now
    let connection = links[index].connection
    // Where it comes from has been seen, private or not.
    if let port = exchange.listeningPort, connection.dialled == nil, let ip = connection.remote?.ip
    {
      book.learn(PeerAddress(ip: ip, port: port), from: connection.principal)
      book.note(PeerAddress(ip: ip, port: port), node: connection.node)
    }
    guard exchange.addresses.allSatisfy({ $0.ip?.isUnicast == true && $0.port != 0 }),
      exchange.addresses.count <= PeerExchange.addressLimit
    else { return misbehaved(id, .badExchange, now: now) }
    for address in exchange.addresses where isToBeShared(address) {
      book.learn(address, from: connection.principal)
    }
    return []
  }

  /// What to tell that peer: where this side listens, and where others can be reached.
  public func exchange(
    for id: UInt64, listeningPort: UInt16?, using generator: inout some RandomNumberGenerator
  ) -> PeerExchange {
    let peer = links.first { $0.connection.id == id }?.connection
    let others = links.filter { !$0.isClosing && $0.connection.node != peer?.node }.map(
      \.connection)
    // Where this side has connected to, which for a name is the address that it stood for,
    var addresses = others.filter { $0.dialled != nil }.compactMap(\.remote)
    // what was good before, and where those who have connected say that they listen.
    addresses += book.entries.filter { entry in
      guard !entry.isOwn, let node = entry.lastNode, node != peer?.node else { return false }
      return entry.wasGood || others.contains { $0.node == node }
    }.map(\.address)
    let known = Set(addresses).filter(isToBeShared).sorted()
    return PeerExchange(
      listeningPort: listeningPort,
      addresses: Array(known.shuffled(using: &generator).prefix(PeerExchange.addressLimit)))
  }

  private func isToBeShared(_ address: PeerAddress) -> Bool {
    guard let ip = address.ip else { return false }
    return ip.isPublic || (limits.allowsPrivateAddresses && ip.isUnicast)
  }
}
