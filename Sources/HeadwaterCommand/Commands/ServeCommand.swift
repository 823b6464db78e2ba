import ArgumentParser
import Headwater
import Synchronization

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Sync with whoever may, until interrupted.",
    discussion: """
      Listens, dials the peers that are named here or in the database, learns of others from them, and passes new \
      operations on at once. Whoever connects must be let in by the schema: `allow connect if …`. The key says \
      who this replica is to its peers. Other commands may write the store meanwhile. With --to or --config it \
      keeps mirrors in step as well.

      A database names peers in a collection Peer with a text field `address`, and if it has a field \
      `principal` they must be that.

      Example: headwater serve shop.store --listen 0.0.0.0:7400 --as alice
      """)

  @Argument(help: "The file of the store.") var store: String
  @Option(help: ArgumentHelp("Where to listen: HOST:PORT; port 0 is any.", valueName: "address"))
  var listen: [String] = []
  @Option(
    help: ArgumentHelp(
      "A peer to keep a connection with: HOST:PORT, or PRINCIPAL@HOST:PORT. May be given several times.",
      valueName: "peer"))
  var peer: [String] = []
  @OptionGroup var signer: SignerOptions
  @Flag(help: "Neither tell peers of each other nor look for more.") var noExchange = false
  @Option(
    help: ArgumentHelp("A sink to mirror into meanwhile, as for `mirror`.", valueName: "url"))
  var to: [String] = []
  @Option(help: ArgumentHelp("A file that names sinks, as for `mirror`.", valueName: "file"))
  var config: String?
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !listen.isEmpty || !peer.isEmpty else {
      throw ValidationError("where to listen, or whom to dial? Give --listen HOST:PORT or --peer HOST:PORT")
    }
  }

  func run() async throws {
    var configuration = MeshConfiguration()
    configuration.listen = try listen.map { text in
      guard let address = PeerAddress(text) else {
        throw Failure("invalid", "'\(text)' is nothing to listen on: write HOST:PORT or [IPV6]:PORT")
      }
      return address
    }
    configuration.peers = try peer.map { try PeerText($0).peer }
    configuration.exchangesPeers = !noExchange
    var sinks = try to.map { MirrorSink(url: try SinkURL($0), name: nil) }
    if let config { sinks += try MirrorSink.all(in: config) }
    let key = try signer.signer()
    let store = try Headwater.open(store, forWriting: true, options: .inTurns)
    try await NodeRun(store, key, configuration, output.json).untilInterrupted(mirrors: sinks)
  }
}

/// A node of a mesh, run by a command: says what happens.
struct NodeRun: Sendable {
  let store: Store
  let key: SigningKey
  let configuration: MeshConfiguration
  let json: Bool

  init(_ store: Store, _ key: SigningKey, _ configuration: MeshConfiguration, _ json: Bool) {
    self.store = store
    self.key = key
    self.configuration = configuration
    self.json = json
  }

  func untilInterrupted(mirrors: [MirrorSink]) async throws {
    let json = json
    let node = try MeshNode(store, as: key, configuration) { event in
      NodeRun.say(event, json: json)
    }
    try await node.run()
    let store = store
    do {
      try await Signals.untilInterrupted {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for sink in mirrors {
            group.addTask { try await NodeRun.mirror(store, into: sink) }
          }
          group.addTask {
            while true { try await Task.sleep(for: .seconds(3_600)) }
          }
          // A mirror that halts is reported, and stops neither the others nor the node.
          try await group.waitForAll()
        }
      }
    } catch {
      await node.stop()
      throw error
    }
    await node.stop()
  }

  private static func mirror(_ store: Store, into sink: MirrorSink) async throws {
    let watch = MirrorWatch(sink: sink.url.text, isShown: false)
    do {
      let mirror = try await sink.url.mirror(of: store, name: sink.name) { watch.note($0) }
      let checkpoint = try await mirror.synchronise()
      Output.error.say("headwater: \(sink.url.text) is at position \(checkpoint.position); following")
      try await mirror.run(until: .forever)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      guard let failure = Failure(describing: error) else { throw error }
      Failure(failure.code, "\(sink.url.text): \(failure.message)").report()
    }
  }

  private static func say(_ event: MeshNode.Event, json: Bool) {
    var line = JSONLine()
    let text: String
    func name(_ principal: Digest) -> String { String(principal.hex.prefix(12)) }
    switch event {
    case .mesh(.listening(let address)):
      line.string("event", "listening")
      line.string("address", "\(address)")
      text = "listening on \(address)"
    case .mesh(.connected(let principal, let remote, _)):
      line.string("event", "connected")
      line.string("peer", principal.hex)
      if let remote { line.string("address", "\(remote)") }
      text = "connected with \(name(principal))" + (remote.map { " at \($0)" } ?? "")
    case .mesh(.dialFailed(let address, let error)):
      line.string("event", "failed")
      line.string("address", "\(address)")
      line.string("message", error.message)
      text = "\(error.message); trying again later"
    case .mesh(.disconnected(let principal, _)):
      line.string("event", "disconnected")
      line.string("peer", principal.hex)
      text = "\(name(principal)) is gone"
    case .mesh(.closed): return
    case .mesh(.banned(let principal)):
      line.string("event", "banned")
      line.string("peer", principal.hex)
      text = "\(name(principal)) is banned: it sent what no honest replica sends"
    case .refused(let principal):
      line.string("event", "refused")
      line.string("peer", principal.hex)
      text = "\(principal.hex) may not connect: the schema's `allow connect` does not let it"
    case .synced(let principal, let report, let error):
      line.string("event", "session")
      line.string("peer", principal.hex)
      line.int("sent", Int64(report.operationsSent))
      line.int("admitted", Int64(report.admitted))
      if let error { line.string("message", error.message) }
      text =
        "session with \(name(principal)) ended"
        + (error.map { ": \($0.message)" }
          ?? ": \(Figures.count(report.admitted)) received, \(Figures.count(report.operationsSent)) sent")
    }
    if json {
      try? Output.standard.print(line.finish())
      try? Output.standard.flush()
    } else {
      Output.error.say(text)
    }
  }
}
