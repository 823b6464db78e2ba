import Foundation
import Testing

/// `serve`, `sync` and `clone`: real processes on loopback.
@Suite(.timeLimit(.minutes(10))) struct NetworkCommandTests {
  private static let schema = """
    schema Team

    allow connect if exists Member(principal: $peer)

    collection Member {
      principal: Principal @key
      role: Text(10) @readonly
      allow create, delete if exists Member(principal: $author, role: "owner")
    }

    collection Note {
      id: Text(20) @key
      text: Text(200)
      allow create, update, delete if exists Member(principal: $author)
    }
    """

  /// A store of ann's, in which bob is a member if `bobIsIn`.
  private func bench(bobIsIn: Bool = true) async throws -> Workbench {
    let bench = try Workbench()
    try bench.write("team.schema", Self.schema)
    for name in ["ann", "bob"] { try await bench.succeed("key", "new", name, "--no-passphrase") }
    try bench.write(
      "first", #"{"create":"Member","row":{"principal":"$author","role":"owner"}}"# + "\n")
    try await bench.succeed(
      "init", "ann.store", "--schema", "team.schema", "--as", "ann", "--rows", "first")
    if bobIsIn { try await appoint("bob", bench) }
    return bench
  }

  private func principal(_ name: String, _ bench: Workbench) async throws -> String {
    let key = try await bench.succeed("key", "show", name, "--json").objects()[0]
    return try #require(key["principal"] as? String)
  }

  private func appoint(_ name: String, _ bench: Workbench) async throws {
    try await bench.succeed(
      "write", "ann.store", "--as", "ann",
      input:
        #"{"changes":[{"create":"Member","row":{"principal":"\#(try await principal(name, bench))","role":"editor"}}]}"#
        + "\n")
  }

  private func write(_ id: String, _ store: String, as name: String, _ bench: Workbench)
    async throws
  {
    try await bench.succeed(
      "write", store, "--as", name,
      input: #"{"changes":[{"create":"Note","row":{"id":"\#(id)","text":"by \#(name)"}}]}"# + "\n")
  }

  private func notes(_ store: String, _ bench: Workbench) async throws -> [String] {
    try await bench.succeed("rows", store, "Note", "--json").lines
  }

  /// Starts a command that goes on until `body` is done, and hands over the address that it listens on, if it does.
  private func during<R>(
    _ arguments: [String], _ bench: Workbench, _ body: (String) async throws -> R
  ) async throws -> R {
    let process = Process()
    let tool = try #require(Workbench.tool)
    process.executableURL = tool
    process.arguments = arguments + ["--json"]
    process.currentDirectoryURL = bench.folder
    var environment = ProcessInfo.processInfo.environment
    environment["HEADWATER_HOME"] = bench.path("home")
    environment["SWIFT_BACKTRACE"] = "enable=no"
    process.environment = environment
    let log = bench.path(UUID().uuidString)
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    let output = try #require(FileHandle(forWritingAtPath: log))
    process.standardOutput = output
    process.standardError = output
    try process.run()
    defer {
      if process.isRunning { process.interrupt() }
      process.waitUntilExit()
      try? output.close()
    }
    var address = ""
    if arguments[0] == "serve" {
      for _ in 0..<600 where address.isEmpty {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
          let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
          if object?["event"] as? String == "listening" {
            address = object?["address"] as? String ?? ""
          }
        }
        if address.isEmpty { try await Task.sleep(for: .milliseconds(100)) }
      }
      try #require(!address.isEmpty, "it does not listen")
    }
    return try await body(address)
  }

  private func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<600 {
      if try await condition() { return true }
      try await Task.sleep(for: .milliseconds(100))
    }
    return false
  }

  @Test func clonedWrittenAndSynced() async throws {
    let bench = try await bench()
    try await write("a", "ann.store", as: "ann", bench)
    let serve = ["serve", "ann.store", "--listen", "127.0.0.1:0", "--as", "ann"]
    try await during(serve, bench) { address in
      let made = try await bench.succeed("clone", address, "bob.store", "--as", "bob", "--json")
      #expect(try made.objects()[0]["admitted"] as? Int == 2)
      #expect(try await notes("bob.store", bench).count == 1)
      // Both are written, the one that serves beside the server.
      try await write("b", "bob.store", as: "bob", bench)
      try await write("c", "ann.store", as: "ann", bench)
      let report = try await bench.succeed("sync", "bob.store", address, "--as", "bob", "--json")
        .objects()[0]
      #expect(report["sent"] as? Int == 1 && report["admitted"] as? Int == 1)
      #expect(
        try await eventually { try await notes("ann.store", bench).count == 3 })
      #expect(try await notes("ann.store", bench) == notes("bob.store", bench))
      let again = try await bench.succeed("sync", "bob.store", address, "--as", "bob", "--json")
        .objects()[0]
      #expect(again["sent"] as? Int == 0 && again["received"] as? Int == 0)
    }
    for store in ["ann.store", "bob.store"] {
      #expect(try await bench.run(["verify", store, "--deep"]).status == 0)
    }
  }

  @Test func whatIsWrittenArrivesAtOnce() async throws {
    let bench = try await bench()
    let serve = ["serve", "ann.store", "--listen", "127.0.0.1:0", "--as", "ann"]
    try await during(serve, bench) { address in
      try await bench.succeed("clone", address, "bob.store", "--as", "bob")
      try await during(["sync", "bob.store", address, "--as", "bob", "--follow"], bench) { _ in
        try await write("a", "ann.store", as: "ann", bench)
        #expect(try await eventually { try await notes("bob.store", bench).count == 1 })
        try await write("b", "bob.store", as: "bob", bench)
        #expect(try await eventually { try await notes("ann.store", bench).count == 2 })
      }
    }
  }

  @Test func whoMayNotConnectLearnsNothing() async throws {
    let bench = try await bench(bobIsIn: false)
    let serve = ["serve", "ann.store", "--listen", "127.0.0.1:0", "--as", "ann"]
    try await during(serve, bench) { address in
      let refused = try await bench.run(["clone", address, "bob.store", "--as", "bob"])
      #expect(refused.status == 2 && refused.errors.contains("allow connect"))
      #expect(!FileManager.default.fileExists(atPath: bench.path("bob.store")))
      try await appoint("bob", bench)
      try await bench.succeed("clone", address, "bob.store", "--as", "bob")
    }
  }

  @Test func theWrongPeerIsRefused() async throws {
    let bench = try await bench()
    let serve = ["serve", "ann.store", "--listen", "127.0.0.1:0", "--as", "ann"]
    try await during(serve, bench) { address in
      let (ann, bob) = (try await principal("ann", bench), try await principal("bob", bench))
      let wrong = try await bench.run(["clone", "\(bob)@\(address)", "x.store", "--as", "bob"])
      #expect(wrong.status == 2, "\(wrong.errors)")
      let none = String(repeating: "0", count: 64)
      let other = try await bench.run([
        "clone", address, "x.store", "--as", "bob", "--database", none,
      ])
      #expect(other.status == 2 && other.errors.contains("database"))
      #expect(!FileManager.default.fileExists(atPath: bench.path("x.store")))
      try await bench.succeed("clone", "\(ann)@\(address)", "x.store", "--as", "bob")
      // Another database does not mix with it.
      try await bench.succeed(
        "init", "other.store", "--schema", "team.schema", "--as", "bob", "--rows", "first")
      let mixed = try await bench.run(["sync", "other.store", address, "--as", "bob"])
      #expect(mixed.status == 2 && mixed.errors.contains("database"), "\(mixed.errors)")
    }
    let gone = try await bench.run(["sync", "ann.store", "127.0.0.1:1", "--as", "ann"])
    #expect(gone.status == 2 && gone.errors.contains("127.0.0.1:1"))
    for bad in ["nowhere", "127.0.0.1", "127.0.0.1:0", "xyz@127.0.0.1:7400"] {
      let outcome = try await bench.run(["sync", "ann.store", bad, "--as", "ann"])
      #expect(outcome.status == 2 && !outcome.errors.isEmpty, "\(bad)")
    }
    #expect(try await bench.run(["serve", "ann.store", "--as", "ann"]).status == 64)
  }

  /// Killed in the middle, a clone goes on with `sync`.
  @Test func aKilledCloneIsTakenUpAgain() async throws {
    let bench = try await bench()
    let lines = (0..<3_000).map {
      #"{"changes":[{"create":"Note","row":{"id":"n\#($0)","text":"x"}}]}"# + "\n"
    }
    try await bench.succeed("write", "ann.store", "--as", "ann", input: lines.joined())
    let serve = ["serve", "ann.store", "--listen", "127.0.0.1:0", "--as", "ann"]
    try await during(serve, bench) { address in
      let process = Process()
      let tool = try #require(Workbench.tool)
      process.executableURL = tool
      process.arguments = ["clone", address, "bob.store", "--as", "bob"]
      process.currentDirectoryURL = bench.folder
      var environment = ProcessInfo.processInfo.environment
      environment["HEADWATER_HOME"] = bench.path("home")
      process.environment = environment
      process.standardOutput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
      while process.isRunning {
        let status = try? await bench.run(["status", "bob.store", "--json"]).objects()
        if let count = status?.first?["operations"] as? Int, count > 1 { break }
      }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      try await bench.succeed("sync", "bob.store", address, "--as", "bob")
      #expect(try await notes("bob.store", bench).count == 3_000)
    }
  }
}
