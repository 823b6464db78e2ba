import Foundation
import Testing

@Suite struct BundleCommandTests {
  private func filled() async throws -> Workbench {
    let bench = try await Workbench.withShop()
    try await write(bench, 0..<5)
    return bench
  }

  private func write(_ bench: Workbench, _ numbers: Range<Int>) async throws {
    let lines = numbers.map {
      #"{"changes":[{"create":"Product","row":{"sku":"P\#($0)","name":"Thing","price":"1"}}]}"#
        + "\n"
    }
    try await bench.succeed("write", "shop.store", "--as", "alice", input: lines.joined())
  }

  private func frontier(_ bench: Workbench, _ store: String) async throws -> [String] {
    let status = try await bench.succeed("status", store, "--json").objects()
    return try #require(status[0]["frontier"] as? [String])
  }

  @Test func aBundleMakesAReplica() async throws {
    let bench = try await filled()
    let made = try await bench.succeed("bundle", "create", "shop.store", "b", "--json").objects()
    #expect(made[0]["operations"] as? Int == 6)
    let applied = try await bench.succeed("bundle", "apply", "copy.store", "b", "--json").objects()
    #expect(applied[0]["made"] as? Bool == true)
    #expect(applied[0]["admitted"] as? Int == 6 && applied[0]["known"] as? Int == 0)
    for what in [["rows", "Product"], ["log"]] {
      let outputs = [
        try await bench.run([what[0], "copy.store"] + what.dropFirst()).output,
        try await bench.run([what[0], "shop.store"] + what.dropFirst()).output,
      ]
      #expect(outputs[0] == outputs[1] && !outputs[0].isEmpty)
    }
    let again = try await bench.succeed("bundle", "apply", "copy.store", "b", "--json").objects()
    #expect(again[0]["admitted"] as? Int == 0 && again[0]["known"] as? Int == 6)
    #expect(try await bench.run(["verify", "copy.store", "--deep"]).status == 0)
  }

  @Test func theCopyIsWrittenToAndComesBack() async throws {
    let bench = try await filled()
    try await bench.succeed("bundle", "create", "shop.store", "b")
    try await bench.succeed("bundle", "apply", "copy.store", "b")
    let before = try await frontier(bench, "shop.store")
    try await bench.succeed(
      "write", "copy.store", "--as", "alice",
      input: #"{"changes":[{"update":"Product","key":"P1","set":{"stock":7}}]}"# + "\n")
    try await write(bench, 5..<8)
    // Only what is new goes back.
    let made = try await bench.succeed(
      "bundle", "create", "copy.store", "back", "--without", before.joined(separator: ","), "--json"
    ).objects()
    #expect(made[0]["operations"] as? Int == 1)
    let back = try await bench.succeed("bundle", "apply", "shop.store", "back", "--json").objects()
    #expect(back[0]["admitted"] as? Int == 1)
    #expect(try await frontier(bench, "shop.store").count == 2)
    #expect(try await bench.succeed("rows", "shop.store", "Product", "P1").output.contains("7"))
  }

  @Test func whatIsMissingIsSaid() async throws {
    let bench = try await filled()
    try await bench.succeed("bundle", "create", "shop.store", "all")
    try await bench.succeed("bundle", "apply", "copy.store", "all")
    try await write(bench, 5..<8)
    let middle = try await frontier(bench, "shop.store")
    try await write(bench, 8..<11)
    try await bench.succeed(
      "bundle", "create", "shop.store", "late", "--without", middle.joined(separator: ","))
    // A replica needs the beginning.
    let none = try await bench.run(["bundle", "apply", "new.store", "late"])
    #expect(none.status == 2 && none.errors.contains("first operation"))
    #expect(!FileManager.default.fileExists(atPath: bench.path("new.store")))
    // And each operation what came before it.
    let outcome = try await bench.run(["bundle", "apply", "copy.store", "late", "--json"])
    #expect(outcome.status == 1)
    #expect(try outcome.objects()[0]["waiting"] as? Int == 3)
    #expect(outcome.errors.contains("came before them"))
    let unknown = try await bench.run([
      "bundle", "create", "copy.store", "x", "--without", middle[0],
    ])
    #expect(unknown.status == 2 && unknown.errors.contains("no operation"))
  }

  @Test func damageLosesNothing() async throws {
    let bench = try await filled()
    try await bench.succeed("bundle", "create", "shop.store", "b")
    let whole = try Data(contentsOf: URL(fileURLWithPath: bench.path("b")))
    func put(_ data: Data) throws { try data.write(to: URL(fileURLWithPath: bench.path("bad"))) }
    try put(whole.prefix(whole.count - 1))
    var outcome = try await bench.run(["bundle", "apply", "copy.store", "bad"])
    #expect(outcome.status == 2 && outcome.errors.contains("ends too early"))
    #expect(outcome.errors.contains("6 operations before that are in copy.store"))
    #expect(try await bench.run(["verify", "copy.store", "--deep"]).status == 0)
    var flipped = whole
    flipped[whole.count - 40 - 20] ^= 1
    try put(flipped)
    outcome = try await bench.run(["bundle", "apply", "other.store", "bad"])
    #expect(outcome.status == 2 || outcome.status == 1, "\(outcome.errors)")
    try put(Data())
    outcome = try await bench.run(["bundle", "apply", "third.store", "bad"])
    #expect(outcome.status == 2 && outcome.errors.contains("empty"))
    outcome = try await bench.run(["bundle", "apply", "third.store", "shop.schema"])
    #expect(outcome.status == 2 && outcome.errors.contains("no bundle"))
    #expect(!FileManager.default.fileExists(atPath: bench.path("third.store")))
    // The whole one mends what the cut one began.
    #expect(try await bench.run(["bundle", "apply", "copy.store", "b"]).status == 0)
  }

  @Test func filesAreNotOverwrittenUnasked() async throws {
    let bench = try await filled()
    try bench.write("b", "precious")
    let refused = try await bench.run(["bundle", "create", "shop.store", "b"])
    #expect(refused.status == 2 && refused.errors.contains("--replace"))
    #expect(try String(contentsOfFile: bench.path("b"), encoding: .utf8) == "precious")
    try await bench.succeed("bundle", "create", "shop.store", "b", "--replace")
    try await bench.succeed("bundle", "apply", "copy.store", "b")
    let folder = try await bench.run(["bundle", "create", "shop.store", ".", "--replace"])
    #expect(folder.status == 2)
    let leftovers = try FileManager.default.contentsOfDirectory(atPath: bench.path("."))
    #expect(!leftovers.contains { $0.hasSuffix(".new") })
  }

  @Test func anotherDatabaseIsRefused() async throws {
    let bench = try await filled()
    try await bench.succeed("init", "other.store", "--schema", "shop.schema", "--as", "alice")
    try await bench.succeed("bundle", "create", "other.store", "b")
    let outcome = try await bench.run(["bundle", "apply", "shop.store", "b"])
    #expect(outcome.status == 2 && outcome.errors.contains("another database"))
  }

  @Test func throughAPipe() async throws {
    let bench = try await filled()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.currentDirectoryURL = bench.folder
    process.arguments = [
      "-c", "\"$0\" bundle create shop.store - | \"$0\" bundle apply copy.store -",
      try #require(Workbench.tool).path,
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(try await frontier(bench, "copy.store") == frontier(bench, "shop.store"))
  }
}
