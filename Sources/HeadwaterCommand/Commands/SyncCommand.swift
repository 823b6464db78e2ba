import ArgumentParser
import Headwater

struct SyncCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sync", abstract: "Exchange operations with a peer.",
    discussion: """
      Afterwards both have the same operations, and agree on what is valid. The key says who you are to the peer, \
      whose schema must let you connect. With --follow it goes on, and connects again when it was cut, until it is \
      interrupted, which is exit code 0. Other commands may write the store meanwhile.

      Example: headwater sync shop.store peer.example:7400 --as alice
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "The peer: HOST:PORT, or PRINCIPAL@HOST:PORT.") var peer: String
  @OptionGroup var signer: SignerOptions
  @Flag(help: "Stay connected until interrupted.") var follow = false
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let peer = try PeerText(peer)
    let key = try signer.signer()
    let store = try Headwater.open(store, forWriting: true, options: .inTurns)
    if follow {
      var configuration = MeshConfiguration()
      configuration.peers = [peer.peer]
      configuration.exchangesPeers = false
      try await NodeRun(store, key, configuration, output.json).untilInterrupted(mirrors: [])
    } else {
      let start = ContinuousClock.now
      let channel = try await Dialling.connect(to: peer, as: key)
      let report = try await SyncProgress.shown(store) {
        try await Replicator(store).sync(over: channel)
      }
      await channel.network.shutDown()
      try SyncReport(
        peer: channel.peer, report: report, seconds: (ContinuousClock.now - start).seconds
      ).print(json: output.json)
    }
  }
}

struct CloneCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone", abstract: "Make a replica of a peer's database.",
    discussion: """
      The key says who you are to the peer, whose schema must let you connect. If it is interrupted, `sync` goes \
      on where it stopped. With --database it takes that database and no other.

      Example: headwater clone peer.example:7400 copy.store --as alice
      """)

  @Argument(help: "The peer: HOST:PORT, or PRINCIPAL@HOST:PORT.") var peer: String
  @Argument(help: "The file to make.") var store: String
  @OptionGroup var signer: SignerOptions
  @Option(help: ArgumentHelp("The id of the database.", valueName: "id")) var database: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let peer = try PeerText(peer)
    let key = try signer.signer()
    let expected = try database.map { text in
      guard let id = Digest(hex: text.lowercased()) else {
        throw Failure(
          "invalid", "--database takes 64 hexadecimal digits, as `headwater status` prints them")
      }
      return id
    }
    guard access(store, F_OK) != 0 else {
      throw Failure("exists", "\(store) is there already: `headwater sync` brings it up to date")
    }
    let start = ContinuousClock.now
    let first = try await Dialling.connect(to: peer, as: key)
    let genesis = try await Replicator.genesis(
      over: first, suite: SodiumSuite(), database: expected)
    await first.network.shutDown()
    let made = try Headwater.replicate(at: store, genesis: genesis)
    let channel = try await Dialling.connect(to: peer, as: key)
    let report = try await SyncProgress.shown(made) {
      try await Replicator(made).sync(over: channel)
    }
    await channel.network.shutDown()
    if !output.json { try Output.standard.print("made \(store): database \(made.database.hex)") }
    try SyncReport(
      peer: channel.peer, report: report, seconds: (ContinuousClock.now - start).seconds
    ).print(json: output.json, database: made.database)
  }
}

/// One connection that a command makes.
enum Dialling {
  /// A channel with the network that it belongs to.
  final class Connected: HeadwaterSync.Channel {
    let channel: SecureChannel
    let network: ChannelNetwork

    init(_ channel: SecureChannel, _ network: ChannelNetwork) {
      self.channel = channel
      self.network = network
    }

    var peer: Digest { channel.peer }
    func send(_ message: [UInt8]) async throws(ChannelError) { try await channel.send(message) }
    func receive() async throws(ChannelError) -> [UInt8]? { try await channel.receive() }
    func close() async { await channel.close() }
  }

  static func connect(to peer: PeerText, as key: SigningKey) async throws -> Connected {
    let network = try ChannelNetwork(signer: key, suite: SodiumSuite(), threads: 1)
    do {
      return Connected(
        try await network.connect(to: peer.address, expecting: peer.principal), network)
    } catch {
      await network.shutDown()
      throw error
    }
  }
}

/// What a session did, for people and programs.
struct SyncReport {
  let peer: Digest
  let report: Session.Report
  let seconds: Double

  func print(json: Bool, database: Digest? = nil) throws {
    if json {
      var line = JSONLine()
      line.string("peer", peer.hex)
      if let database { line.string("database", database.hex) }
      line.int("sent", Int64(report.operationsSent))
      line.int("received", Int64(report.operationsReceived))
      line.int("admitted", Int64(report.admitted))
      line.int("rejected", Int64(report.rejected))
      line.int("bytesSent", Int64(report.bytesSent))
      line.int("bytesReceived", Int64(report.bytesReceived))
      line.int("rounds", Int64(report.rounds))
      line.double("seconds", seconds)
      try Output.standard.print(line.finish())
    } else {
      let rate = Figures.rate(report.operationsReceived + report.operationsSent, seconds)
      try Output.standard.print(
        "in sync with \(peer.hex.prefix(12)): \(Figures.count(report.admitted)) received, "
          + "\(Figures.count(report.operationsSent)) sent, "
          + "\(Figures.bytes(Int64(report.bytesReceived + report.bytesSent))) in "
          + "\(Figures.time(seconds)), \(rate) operations a second")
    }
    try Output.standard.flush()
  }
}

/// Shows how many operations a store has while something runs.
enum SyncProgress {
  static func shown<R: Sendable>(
    _ store: Store, _ body: @escaping @Sendable () async throws -> R
  ) async throws -> R {
    guard Output.error.isTerminal else { return try await body() }
    let start = ContinuousClock.now
    let ticker = Task {
      var line = ProgressLine()
      let first = try await store.read { try $0.status().operations }
      while !Task.isCancelled {
        let count = try await store.read { try $0.status().operations }
        let seconds = (ContinuousClock.now - start).seconds
        line.show(
          "\(Figures.count(count)) operations, \(Figures.rate(Int(count - first), seconds)) a second")
        try? await Task.sleep(for: .milliseconds(200))
      }
      line.clear()
    }
    defer { ticker.cancel() }
    let result = try await body()
    ticker.cancel()
    _ = await ticker.result
    return result
  }
}
