import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import Synchronization

/// Keeps this side connected: dials, listens, chooses between connections, and learns of more peers.
///
/// What is said on a connection is not its business: `serve` is called once for each that is kept, on a task of its
/// own, and says how it went. The decisions are those of `PeerTable`; this is the clock and the sockets around it.
public actor Mesh {
  /// Uses one connection to its end. The mesh closes it afterwards. The second argument is the address that this
  /// side dialled, if it did.
  public typealias Serve = @Sendable (SecureChannel, PeerAddress?) async -> PeerTable.Outcome

  /// Whether to have anything to do with whoever is at the other end; the arguments are those of `Serve`.
  public typealias Admits = @Sendable (SecureChannel, PeerAddress?) async -> Bool

  private struct Connection {
    let channel: SecureChannel
    let asides: AsideBox
    /// Whether `admits` let it in: until then nothing is told on it.
    var isAdmitted = false
    var lastExchange: Int64?
  }

  private let configuration: MeshConfiguration
  private let network: ChannelNetwork
  private let admits: Admits
  private let serve: Serve
  private let observe: @Sendable (MeshEvent) -> Void
  private let gate = Gate()
  private let start = ContinuousClock.now
  private var table: PeerTable
  private var generator: JitterGenerator

  private var listeners: [ChannelListener] = []
  private var connections: [UInt64: Connection] = [:]
  private var nextConnection: UInt64 = 1
  private var isStopping = false
  // Everything that runs: what listens, what the clock drives, each dial, each connection.
  private var tasks: [UInt64: Task<Void, Never>] = [:]
  private var nextTask: UInt64 = 1

  /// - Parameters:
  ///   - signer: the key of this side's principal.
  ///   - suite: of signatures and principals.
  ///   - observe: is told what happens. Must not wait.
  ///   - admits: is asked before anything is told to a peer; whoever is not let in is disconnected.
  ///   - serve: uses a connection.
  public init(
    _ configuration: MeshConfiguration, signer: any Signer, suite: any CryptoSuite,
    observe: @escaping @Sendable (MeshEvent) -> Void = { _ in },
    admits: @escaping Admits = { _, _ in true }, serve: @escaping Serve
  ) throws(ChannelError) {
    self.configuration = configuration
    self.admits = admits
    self.serve = serve
    self.observe = observe
    generator = JitterGenerator(seed: suite.randomBytes(8))
    network = try ChannelNetwork(
      signer: signer, suite: suite, configuration: configuration.channels,
      threads: configuration.threads)
    table = PeerTable(
      principal: network.principal, node: network.node,
      configured: configuration.peers.map { ($0.address, $0.principal) },
      limits: configuration.limits)
  }

  /// Listens and begins to dial. Once; a mesh that was stopped is not started again. Until `stop` it keeps itself.
  ///
  /// - Throws: if it cannot listen; nothing is left running then.
  public func run() async throws(ChannelError) {
    for address in configuration.listen {
      do throws(ChannelError) {
        let listener = try await network.listen(on: address) { [gate] ip in
          gate.admits(ip)
        } failed: { [weak self] ip, error in
          Task { await self?.handshakeFailed(at: ip, error) }
        }
        listeners.append(listener)
        observe(.listening(listener.address))
      } catch {
        await stop()
        throw error
      }
    }
    for listener in listeners {
      spawn { mesh in
        while let channel = await listener.accept() { await mesh.took(channel, dialled: nil) }
      }
    }
    spawn { mesh in
      while !Task.isCancelled {
        await mesh.tick()
        // Cancelled, it ends at once, and so does the loop.
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// Where it listens, with the ports that the system chose.
  public var addresses: [PeerAddress] { listeners.map(\.address) }

  /// The connections that are in use.
  public var peers: [PeerTable.Connection] { table.connections }

  /// Another peer to keep a connection with: one that the application knows of, say from a table of peers.
  public func add(_ peer: MeshConfiguration.Peer) {
    table.configure(peer.address, expecting: peer.principal)
    tick()
  }

  /// Ends everything in good order, and returns when nothing runs any more.
  public func stop() async {
    isStopping = true
    for listener in listeners { await listener.close() }
    // Before anything is cancelled: a channel whose task is cancelled is cut, and this is a good end.
    await withDiscardingTaskGroup { group in
      for connection in connections.values { group.addTask { await connection.channel.close() } }
    }
    for task in tasks.values { task.cancel() }
    while let task = tasks.values.first { await task.value }
    await network.shutDown()
  }

  // MARK: Tasks

  private func spawn(_ body: @escaping @Sendable (Mesh) async -> Void) {
    let id = nextTask
    nextTask += 1
    tasks[id] = Task {
      await body(self)
      tasks[id] = nil
    }
  }

  private var now: Int64 {
    let (seconds, attoseconds) = start.duration(to: .now).components
    return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
  }

  private func tick() {
    guard !isStopping else { return }
    for id in connections.keys.sorted() { takeAsides(of: id) }
    perform(table.tick(now: now, using: &generator))
    gate.shutOut(table.bannedHosts(now: now))
    if configuration.exchangesPeers { exchange() }
  }

  private func perform(_ actions: [PeerTable.Action]) {
    for action in actions {
      switch action {
      case .dial(let address, let expected):
        spawn { await $0.dial(address, expecting: expected) }
      case .close(let id, let reason):
        guard let connection = connections[id] else { break }
        observe(.closed(connection.channel.peer, reason))
        spawn { _ in await connection.channel.close() }
      case .banned(let principal, _):
        observe(.banned(principal))
      }
    }
  }

  private func dial(_ address: PeerAddress, expecting expected: Digest?) async {
    do throws(ChannelError) {
      took(try await network.connect(to: address, expecting: expected), dialled: address)
    } catch {
      observe(.dialFailed(address, error))
      table.dialFailed(address, now: now, using: &generator)
    }
  }

  // MARK: Connections

  private func took(_ channel: SecureChannel, dialled: PeerAddress?) {
    let id = nextConnection
    nextConnection += 1
    connections[id] = Connection(channel: channel, asides: AsideBox())
    let connection = PeerTable.Connection(
      id: id, principal: channel.peer, node: channel.node, dialled: dialled,
      remote: channel.remoteAddress)
    let actions = table.connected(connection, now: now)
    perform(actions)
    let isKept = !isStopping && table.connections.contains { $0.id == id }
    spawn { mesh in
      var outcome = PeerTable.Outcome.failed
      if isKept {
        if await mesh.admits(channel, dialled) {
          await mesh.begin(id, connection)
          outcome = await mesh.serve(channel, dialled)
        } else {
          outcome = .unwelcome
        }
      }
      await channel.close()
      await mesh.ended(id, outcome)
    }
  }

  private func begin(_ id: UInt64, _ connection: PeerTable.Connection) {
    guard let asides = connections[id]?.asides else { return }
    connections[id]?.isAdmitted = true
    connections[id]?.channel.handleAsides { asides.add($0) }
    observe(
      .connected(
        connection.principal, remote: connection.remote, dialled: connection.dialled))
    if configuration.exchangesPeers { exchange() }
  }

  private func ended(_ id: UInt64, _ outcome: PeerTable.Outcome) {
    takeAsides(of: id)
    guard let connection = connections.removeValue(forKey: id) else { return }
    observe(.disconnected(connection.channel.peer, outcome))
    perform(table.ended(id, outcome, now: now, using: &generator))
  }

  private func handshakeFailed(at ip: IPAddress, _ error: ChannelError) {
    switch error.code {
    case .invalid, .unauthenticated: table.misbehaved(at: ip, .garbage, now: now)
    case .timeout: table.misbehaved(at: ip, .timeout, now: now)
    case .closed: return
    }
    gate.shutOut(table.bannedHosts(now: now))
  }

  // MARK: Exchange

  /// Tells peers of each other, those whose turn it is.
  private func exchange() {
    let now = now
    for peer in table.connections {
      guard let connection = connections[peer.id], connection.isAdmitted else { continue }
      if let last = connection.lastExchange, now - last < configuration.limits.exchangeInterval {
        continue
      }
      connections[peer.id]?.lastExchange = now
      let message = table.exchange(
        for: peer.id, listeningPort: listeners.first?.address.port, using: &generator)
      // If it cannot be sent, the connection has ended, and its task will say so.
      try? connection.channel.sendAside(message.encoded)
    }
  }

  private func takeAsides(of id: UInt64) {
    guard let (asides, isOverfull) = connections[id]?.asides.take() else { return }
    if isOverfull { perform(table.misbehaved(id, .flood, now: now)) }
    guard configuration.exchangesPeers else { return }
    for aside in asides where PeerExchange.isOne(aside) {
      if let exchange = try? PeerExchange(encoded: aside) {
        perform(table.learn(exchange, from: id, now: now))
      } else {
        perform(table.misbehaved(id, .badExchange, now: now))
      }
    }
  }
}

/// SplitMix64: for pauses and the choice of peers, which need not be hard to guess.
private struct JitterGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: [UInt8]) { state = seed.reduce(0) { $0 << 8 | UInt64($1) } }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// Who may not even shake hands, asked by threads that must not wait.
private final class Gate: Sendable {
  private let hosts = Mutex<Set<[UInt8]>>([])

  func shutOut(_ banned: Set<[UInt8]>) { hosts.withLock { $0 = banned } }
  func admits(_ ip: IPAddress) -> Bool { hosts.withLock { !$0.contains(ip.network) } }
}

/// What a peer has said in asides since the clock last struck.
private final class AsideBox: Sendable {
  private struct State {
    var asides: [[UInt8]] = []
    var isOverfull = false
  }
  private let state = Mutex(State())

  func add(_ aside: [UInt8]) {
    state.withLock { state in
      if state.asides.count < 4 { state.asides.append(aside) } else { state.isOverfull = true }
    }
  }

  func take() -> (asides: [[UInt8]], isOverfull: Bool) {
    state.withLock { state in
      defer { state = State() }
      return (state.asides, state.isOverfull)
    }
  }
}
