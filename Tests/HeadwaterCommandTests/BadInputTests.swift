import Foundation
import Testing

@Suite struct BadInputTests {
  private static let reads = [
    ["rows", "S", "Product"], ["log", "S"], ["events", "S"], ["status", "S"],
    ["verify", "S", "--to", "sqlite:m.sqlite"], ["sql", "S", "SELECT 1"],
    ["write", "S", "--as", "alice"], ["mirror", "S", "--to", "sqlite:n.sqlite"],
  ]

  /// Runs every command on the file; none may crash or hang, and each says what is wrong with what file.
  private func expectFailures(_ bench: Workbench, _ file: String, _ message: String) async throws {
    for command in BadInputTests.reads {
      let arguments = command.map { $0 == "S" ? file : $0 }
      let outcome = try await bench.run(
        arguments, input: #"{"changes":[{"create":"Supplier","row":{"name":"x"}}]}"# + "\n")
      #expect(outcome.status == 2, "\(arguments): \(outcome.errors)\(outcome.output)")
      #expect(outcome.errors.contains(file), "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
  }

  private func filled() async throws -> Workbench {
    let bench = try await Workbench.withShop()
    let rows = (0..<2_000).map { "P-\($0),\(String(repeating: "n", count: 90)),1" }
    try bench.write("p.csv", "sku,name,price\n" + rows.joined(separator: "\n"))
    try await bench.succeed("import", "shop.store", "--as", "alice", "Product=p.csv")
    try await bench.succeed("mirror", "shop.store", "--to", "sqlite:m.sqlite")
    return bench
  }

  @Test func whatIsNoStore() async throws {
    let bench = try await filled()
    try await expectFailures(bench, "none.store", "no store at none.store")
    try bench.write("text.store", String(repeating: "This is a text.\n", count: 1_000))
    try await expectFailures(bench, "text.store", "not a Headwater store")
    try bench.write("empty.store", "")
    try await expectFailures(bench, "empty.store", "not a Headwater store")
    try await expectFailures(bench, "m.sqlite", "not a Headwater store")
    try await expectFailures(bench, ".", "a folder")
  }

  @Test func aTruncatedStore() async throws {
    let bench = try await filled()
    let whole = try Data(contentsOf: bench.folder.appendingPathComponent("shop.store"))
    try #require(whole.count > 100_000)
    for part in [3, 10] {
      try whole.prefix(whole.count / part).write(
        to: bench.folder.appendingPathComponent("cut.store"))
      try await expectFailures(bench, "cut.store", "damaged")
    }
  }

  /// Whatever pages are damaged, no command crashes.
  @Test func aCorruptStore() async throws {
    let bench = try await filled()
    let whole = try Data(contentsOf: bench.folder.appendingPathComponent("shop.store"))
    var state: UInt64 = 42
    for round in 0..<12 {
      var bytes = whole
      for _ in 0..<(1 + round * 4) {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        let start = Int(state % UInt64(bytes.count - 64))
        for index in start..<start + 64 { bytes[index] = UInt8(truncatingIfNeeded: state >> 11) }
      }
      try bytes.write(to: bench.folder.appendingPathComponent("bad.store"))
      for command in BadInputTests.reads {
        let arguments = command.map { $0 == "S" ? "bad.store" : $0 }
        let outcome = try await bench.run(
          arguments, input: #"{"changes":[{"create":"Supplier","row":{"name":"x"}}]}"# + "\n")
        #expect((0...2).contains(outcome.status), "round \(round) \(arguments): \(outcome.errors)")
      }
      for suffix in ["", "-wal", "-shm", ".mirror.sqlite"] {
        try? FileManager.default.removeItem(atPath: bench.path("bad.store" + suffix))
      }
    }
  }

  @Test func whereNothingCanBeWritten() async throws {
    let bench = try await Workbench.withShop()
    try await bench.fail(
      2, "there already", "init", "shop.store", "--schema", "shop.schema", "--as", "alice")
    try await bench.fail(
      2, "none/x.store", "init", "none/x.store", "--schema", "shop.schema", "--as", "alice")
    try await bench.fail(2, "none/", "mirror", "shop.store", "--to", "sqlite:none/m.sqlite")
    // Permissions do not stop root.
    guard geteuid() != 0 else { return }
    try FileManager.default.createDirectory(
      at: bench.folder.appendingPathComponent("fixed"), withIntermediateDirectories: false,
      attributes: [.posixPermissions: 0o555])
    try await bench.fail(
      2, "permission", "init", "fixed/x.store", "--schema", "shop.schema", "--as", "alice")
  }

  @Test func failuresForPrograms() async throws {
    let bench = try Workbench()
    let outcome = try await bench.run(["status", "none.store", "--json"])
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    let failure = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.errors.utf8)) as? [String: Any])
    let error = try #require(failure["error"] as? [String: Any])
    #expect(error["code"] as? String == "missing")
    #expect((error["message"] as? String)?.contains("none.store") == true)
  }

  @Test func usageIsExitCode64() async throws {
    let bench = try Workbench()
    for arguments in [
      ["nonsense"], ["rows"], ["key", "new"], ["status", "a", "b"], ["events", "a", "--from", "0"],
    ] {
      #expect(try await bench.run(arguments).status == 64, "\(arguments)")
    }
    #expect(try await bench.run(["--help"]).status == 0)
  }

  @Test func whatIsNotThereYetSaysSoAndNothingElse() async throws {
    let bench = try Workbench()
    for arguments in [
      ["upgrade", "s", "--schema", "x", "--as", "a"],
      ["serve", "s", "--listen", "localhost:1"], ["sync", "s", "peer"],
      ["schema", "diff", "a", "b"],
    ] {
      let outcome = try await bench.run(arguments)
      #expect(outcome.status == 2)
      #expect(outcome.output.isEmpty)
      #expect(outcome.errors.hasPrefix("headwater: not there yet: "), "\(outcome.errors)")
    }
  }
}
