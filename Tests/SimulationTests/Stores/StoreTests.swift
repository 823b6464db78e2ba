import Foundation
import Headwater
import Testing

/// Meshes of stores under rules, on the simulated network: after healing, all honest replicas are the same, as the
/// reference model says, and so are their mirrors.
///
/// `HEADWATER_SEEDS=1000` in the environment tries so many more, `HEADWATER_SEED=17` that one alone.
@Suite struct StoreTests {
  static let seeds: [Range<UInt64>] = {
    let environment = ProcessInfo.processInfo.environment
    if let seed = environment["HEADWATER_SEED"].flatMap({ UInt64($0) }) { return [seed..<seed + 1] }
    let count = 200 + (environment["HEADWATER_SEEDS"].flatMap { UInt64($0) } ?? 0)
    // 1292: something is written between the start of a session and the peer's hello.
    return stride(from: 0, to: count, by: 20).map { $0..<min($0 + 20, count) } + [1_292..<1_293]
  }()

  @Test(arguments: seeds) func honestStoresAreTheSame(seeds: Range<UInt64>) async throws {
    let genesis = try await StoreReplica.genesis()
    for seed in seeds {
      // Every third run has an attacker, and each kind of them has its turns.
      let kinds = Simulation.Malice.allCases
      try await simulate(seed, genesis, seed % 3 == 0 ? kinds[Int(seed / 3) % kinds.count] : nil)
    }
  }

  /// An attacker whose badly signed operations are taken on the word of others: who has one gives it to all.
  @Test func whatIsBadlySignedIsEverywhereOrNowhere() async throws {
    let genesis = try await StoreReplica.genesis()
    var (taken, witnessed) = (0, 0)
    for seed in 0..<40 as Range<UInt64> {
      let found = try await simulate(seed, genesis, .signsBadly)
      taken += found.taken
      witnessed += found.witnessed
    }
    #expect(taken > 50 && witnessed > 10, "\(taken), \(witnessed)")
  }

  /// Runs it, and checks that all honest stores are what they should be.
  ///
  /// - Returns: how many badly signed operations one of them has, and how many of those have witnesses that did not enter.
  @discardableResult private func simulate(
    _ seed: UInt64, _ genesis: SignedOperation, _ kind: Simulation.Malice?
  ) async throws -> (taken: Int, witnessed: Int) {
    var random = Seeded(seed ^ 0x5704E)
    var settings = MachineTests.settings(&random)
    settings.replicas = Int.random(in: 2...4, using: &random)
    settings.duration = Int64.random(in: 2_000...10_000, using: &random)
    settings.writesPerSecond = [2, 5].randomElement(using: &random) ?? 2
    // A death that is survived needs a file.
    let folder = seed % 8 == 0 ? TemporaryFolder() : nil
    settings.deathsPerSecond = folder == nil ? 0 : 0.5
    var malice: [Int: Simulation.Malice] = [:]
    if let kind {
      settings.replicas = max(3, settings.replicas)
      settings.degree = max(2, settings.degree)
      malice[Int.random(in: 0..<settings.replicas, using: &random)] = kind
    }
    let replicas = try (0..<settings.replicas).map {
      try StoreReplica(number: $0, genesis: genesis, path: folder?.path("replica\($0)"))
    }
    let simulation = Simulation(seed: seed, settings, replicas: replicas, malice: malice)
    let comment: Comment = "seed \(seed), malice \(malice)"
    #expect(try await simulation.run(), comment)
    // A session that is not live is over before an attacker has thought of something.
    if settings.isLive,
      malice.values.contains(where: { [.badSignatures, .forgesParents].contains($0) })
    {
      #expect(simulation.forged > 0, comment)
    }
    for (honestPeer, error) in simulation.blamed where honestPeer {
      #expect(error.code == .timeout || error.code == .remote, "seed \(seed): \(error)")
    }
    let first = replicas[simulation.honest[0]]
    let (verdicts, rows) = (try await first.verdicts(), try await first.rows())
    #expect(
      simulation.written.keys.allSatisfy { verdicts[$0] != nil },
      "seed \(seed): something that was acknowledged is lost")
    for index in simulation.honest {
      let replica = replicas[index]
      #expect(try await replica.verdicts() == verdicts, comment)
      #expect(try await replica.rows() == rows, comment)
      #expect(try await replica.mirror(), comment)
    }
    // One of them against the reference: the others are equal to it.
    #expect(try await first.store.verifyDeep().differences.isEmpty, comment)
    return try await first.badlySigned()
  }

  /// A seed says it all: the same run twice.
  @Test func aSeedReplays() async throws {
    let genesis = try await StoreReplica.genesis()
    func run() async throws -> [String] {
      var settings = Simulation.Settings()
      settings.duration = 5_000
      settings.writesPerSecond = 5
      settings.deathsPerSecond = 0
      let replicas = try (0..<4).map {
        try StoreReplica(number: $0, genesis: genesis, path: nil)
      }
      let simulation = Simulation(
        seed: 11, settings, replicas: replicas, malice: [3: .mutates])
      _ = try await simulation.run()
      return [
        "\(simulation.now) \(simulation.messages) \(simulation.bytes) \(simulation.connections)",
        "\(try await replicas[0].frontier())",
      ]
    }
    #expect(try await run() == run())
  }
}

/// A folder that goes with its owner.
final class TemporaryFolder {
  private let url = FileManager.default.temporaryDirectory
    .appendingPathComponent("headwater-simulation-\(UUID().uuidString)")

  init() { try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(at: url) }
  func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}
