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

  @Test(arguments: meshes) func aMesh(_ mesh: Mesh) async throws {
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
    let simulation = Simulation(seed: 1, settings, replicas: replicas)
    #expect(try await simulation.run())
    let spread = simulation.written.compactMap { id, time in
      simulation.arrivals[id].flatMap { $0.count == mesh.peers - 1 ? $0.last - time : nil }
    }.sorted()
    #expect(!spread.isEmpty)
    let count = max(1, simulation.written.count)
    let copies = Double(simulation.operationsPushed) / Double(count) / Double(mesh.peers - 1)
    print(
      "| \(mesh.peers) | \(mesh.degree) | \(simulation.written.count) | \(simulation.messagesWhileWriting / count) | \(simulation.bytesWhileWriting / count / mesh.peers) | \(Int(copies * 100)) % | \(spread[spread.count / 2]) | \(spread[spread.count - 1]) |"
    )
  }
}
