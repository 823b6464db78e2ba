import Foundation
import HeadwaterMongoDB
import Testing

/// The tool with a document server, killed while it mirrors.
@Suite(.enabled(if: Server.isWanted, "no document server: HEADWATER_TEST_MONGODB is not set"))
struct KilledMirrorTests {
  private let folder = NSTemporaryDirectory() + "/headwater-mongodb-tool-" + UUID().uuidString

  private static let tool: URL? = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    for _ in 0..<6 {
      folder.deleteLastPathComponent()
      let candidate = folder.appendingPathComponent("headwater")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    return nil
  }()

  private func start(_ arguments: String...) throws -> Process {
    let tool: URL = try #require(KilledMirrorTests.tool, "the tool headwater is not built")
    let process = Process()
    process.executableURL = tool
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = [
      "HEADWATER_HOME": folder + "/home", "HOME": folder, "PATH": "/usr/bin:/bin",
      "SWIFT_BACKTRACE": "enable=no",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  private func succeed(_ process: Process) {
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(process.arguments ?? [])")
  }

  @Test(arguments: [UInt64](1...2))
  func aMirrorThatIsKilledAtRandomPointsResumes(seed: UInt64) async throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let url = try await Server.shared.url().text
    func write(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
    }
    try write(
      "s.schema", "schema S\nallow everything\ncollection P {\n  sku: Text(20) @key\n  n: Int\n}\n")
    try write("p.csv", "sku,n\n" + (0..<2_000).map { "P-\($0),\($0)\n" }.joined())
    succeed(try start("key", "new", "ann", "--no-passphrase"))
    succeed(try start("init", "s.store", "--schema", "s.schema", "--as", "ann"))
    let writer = try start("import", "s.store", "--as", "ann", "P=p.csv", "--batch", "10")
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    var kills = 0
    for _ in 0..<6 {
      let mirror = try start("mirror", "s.store", "--to", url, "--follow")
      // A linear congruential generator (Knuth's MMIX): the seed says where each process dies.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      try await Task.sleep(for: .microseconds(Int(5_000 + (state >> 33) % 300_000)))
      kill(mirror.processIdentifier, SIGKILL)
      mirror.waitUntilExit()
      if mirror.terminationReason == .uncaughtSignal { kills += 1 }
    }
    succeed(writer)
    succeed(try start("mirror", "s.store", "--to", url))
    succeed(try start("verify", "s.store", "--to", url))
    succeed(try start("rebuild", "s.store", "--to", url))
    succeed(try start("verify", "s.store", "--to", url))
    #expect(kills > 0)
  }
}
