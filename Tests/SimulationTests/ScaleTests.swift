import Foundation
import HeadwaterModel
import HeadwaterSync
import Testing

/// What a mesh of so many live peers takes: the figures of Docs/Scale.md, with `HEADWATER_SCALE=1` in the environment;
/// otherwise a small mesh, so that the measuring is known to work.
@Suite struct ScaleTests {
  struct Mesh: CustomTestStringConvertible {
    let peers: Int
    let degree: Int
    var testDescription: String { "\(peers) peers, \(degree) connections made by each" }
  }

  static let meshes: [Mesh] =
    ProcessInfo.processInfo.environment["HEADWATER_SCALE"] == nil
    ? [Mesh(peers: 8, degree: 2)]
    : [10, 100, 1_000].flatMap { peers in [2, 3, 5].map { Mesh(peers: peers, degree: $0) } }

  /// From how many seeds the figures are: their median, and the least and the greatest.
  static let seeds: [UInt64] =
    ProcessInfo.processInfo.environment["HEADWATER_SCALE"] == nil ? [1] : [1, 2, 3, 4, 5]

  /// What is measured, in the order of the table's columns.
  private struct Figures {
    var operations: Double
    var messages: Double
    var bytes: Double
    var copies: Double
    var median: Double
    var slowest: Double

    var all: [Double] { [operations, messages, bytes, copies, median, slowest] }
  }

  @Test(arguments: meshes) func aMesh(_ mesh: Mesh) async throws {
    var figures: [Figures] = []
    var fellApart = 0
    for seed in Self.seeds {
      if let measured = try await measure(mesh, seed) {
        figures.append(measured)
      } else {
        fellApart += 1
      }
    }
    try #require(!figures.isEmpty)
    let columns = figures[0].all.indices.map { column in
      let values = figures.map { $0.all[column] }.sorted()
      func show(_ value: Double) -> String {
        column == 3 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
      }
      let middle = show(values[values.count / 2])
      return values.count == 1
        ? middle : "\(middle) (\(show(values[0])) to \(show(values[values.count - 1])))"
    }
    print(
      "| \(mesh.peers) | \(mesh.degree) | \(columns.joined(separator: " | ")) |"
        + (fellApart == 0 ? "" : " in parts with \(fellApart) of \(Self.seeds.count) seeds"))
  }

  /// Nil where chance has connected the mesh in parts, which stay as they are: here nobody ever changes peers.
  private func measure(_ mesh: Mesh, _ seed: UInt64) async throws -> Figures? {
    var settings = Simulation.Settings()
    settings.replicas = mesh.peers
    settings.degree = mesh.degree
    settings.duration = 20_000
    settings.delay = 20...80
    settings.cutsPerSecond = 0
    settings.deathsPerSecond = 0
    settings.writesPerSecond = 2
    settings.rotates = false
    settings.slows = false
    settings.settles = 8_000
    let replicas = (0..<mesh.peers).map {
      CheapReplica(author: UInt8($0 & 255), genesis: MachineTests.genesis)
    }
    for replica in replicas { replica.writesLong = false }
    let simulation = Simulation(seed: seed, settings, replicas: replicas)
    guard try await simulation.run() else {
      #expect(simulation.parts > 1, "seed \(seed): not converged, though all are connected")
      return nil
    }
    let spread = simulation.written.compactMap { id, time in
      simulation.arrivals[id].flatMap { $0.count == mesh.peers - 1 ? $0.last - time : nil }
    }.sorted()
    try #require(!spread.isEmpty, "seed \(seed)")
    let count = Double(max(1, simulation.written.count))
    return Figures(
      operations: Double(simulation.written.count),
      messages: Double(simulation.messagesWhileWriting) / count,
      bytes: Double(simulation.bytesWhileWriting) / count / Double(mesh.peers),
      copies: Double(simulation.operationsPushed) / count / Double(mesh.peers - 1),
      median: Double(spread[spread.count / 2]), slowest: Double(spread[spread.count - 1]))
  }
}
