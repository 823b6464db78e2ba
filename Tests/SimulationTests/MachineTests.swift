import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import Testing

/// The session machine on a simulated network, with sets of operations that mean nothing.
///
/// `HEADWATER_SEEDS=100000` in the environment tries so many more, `HEADWATER_SEED=17` that one alone.
@Suite struct MachineTests {
  static let genesis = CheapReplica.encode(
    parents: [], author: 0, number: 0, size: 1, isGood: true)

  static func settings(_ random: inout Seeded) -> Simulation.Settings {
    var settings = Simulation.Settings()
    settings.replicas = Int.random(in: 2...6, using: &random)
    settings.duration = Int64.random(in: 2_000...20_000, using: &random)
    settings.writesPerSecond = [0.2, 1, 5].randomElement(using: &random) ?? 1
    settings.delay = [1...5, 1...300, 100...1_500].randomElement(using: &random) ?? 1...5
    settings.cutsPerSecond = [0, 0.05, 0.5].randomElement(using: &random) ?? 0
    settings.deathsPerSecond = [0, 0.1].randomElement(using: &random) ?? 0
    settings.degree = Int.random(in: 1...3, using: &random)
    settings.isLive = random.happens(0.8)
    if random.happens(0.3) { settings.partition = 2..<20 }
    return settings
  }

  static let seeds: [Range<UInt64>] = {
    let environment = ProcessInfo.processInfo.environment
    if let seed = environment["HEADWATER_SEED"].flatMap({ UInt64($0) }) { return [seed..<seed + 1] }
    let count = 400 + (environment["HEADWATER_SEEDS"].flatMap { UInt64($0) } ?? 0)
    return stride(from: 0, to: count, by: 50).map { $0..<min($0 + 50, count) }
  }()

  @Test(arguments: seeds) func honestPeersConverge(seeds: Range<UInt64>) async throws {
    for seed in seeds {
      var random = Seeded(seed)
      let settings = Self.settings(&random)
      let simulation = Simulation(
        seed: seed, settings,
        replicas: (0..<settings.replicas).map {
          CheapReplica(author: UInt8($0 + 1), genesis: Self.genesis)
        })
      #expect(try await simulation.run(), "seed \(seed): not converged at \(simulation.now)")
      for (_, error) in simulation.blamed {
        #expect(
          error.code == .timeout || error.code == .remote, "seed \(seed): \(error.code) \(error)")
      }
    }
  }

  @Test(arguments: seeds) func whateverOneOfThemDoes(seeds: Range<UInt64>) async throws {
    for seed in seeds {
      var random = Seeded(seed ^ 0xBAD)
      var settings = Self.settings(&random)
      settings.replicas = max(3, settings.replicas)
      let bad = Int.random(in: 0..<settings.replicas, using: &random)
      let malice = Simulation.Malice.allCases[Int(seed % UInt64(Simulation.Malice.allCases.count))]
      settings.degree = max(2, settings.degree)
      let replicas = (0..<settings.replicas).map {
        CheapReplica(author: UInt8($0 + 1), genesis: Self.genesis)
      }
      let simulation = Simulation(seed: seed, settings, replicas: replicas, malice: [bad: malice])
      #expect(
        try await simulation.run(), "seed \(seed), \(malice): not converged at \(simulation.now)")
      for (honestPeer, error) in simulation.blamed where honestPeer {
        #expect(
          error.code == .timeout || error.code == .remote,
          "seed \(seed), \(malice): an honest peer is blamed: \(error.code) \(error)")
      }
    }
  }
}
