import Foundation
import Testing

@Suite struct KeyCommandTests {
  @Test func aKeyIsMadeShownExportedAndImported() async throws {
    let bench = try Workbench()
    let made = try await bench.succeed("key", "new", "alice", "--no-passphrase", "--json").objects()
    let principal = try #require(made[0]["principal"] as? String)
    #expect(principal.count == 64)
    #expect(made[0]["encrypted"] as? Bool == false)
    let shown = try await bench.succeed("key", "show", "alice", "--json").objects()
    #expect(shown[0]["principal"] as? String == principal)

    let text = try await bench.succeed("key", "export", "alice").output
    #expect(text.hasPrefix("headwater key 1\n"))
    try await bench.succeed("key", "import", "copy", input: text)
    let listed = try await bench.succeed("key", "list", "--json").objects()
    #expect(listed.map { $0["name"] as? String } == ["alice", "copy"])
    #expect(listed.allSatisfy { $0["principal"] as? String == principal })
  }

  @Test func aKeyIsNeverOverwritten() async throws {
    let bench = try Workbench()
    try await bench.succeed("key", "new", "alice", "--no-passphrase")
    try await bench.fail(2, "never overwritten", "key", "new", "alice", "--no-passphrase")
  }

  @Test func withoutATerminalAPassphraseIsGivenOrRefused() async throws {
    let bench = try Workbench()
    try await bench.fail(2, "--no-passphrase", "key", "new", "alice")
    try bench.write("passphrase", "open sesame\nnot this\n")
    try await bench.succeed("key", "new", "alice", "--passphrase-file", "passphrase")
    try bench.write("shop.schema", Workbench.shop)
    let arguments = ["init", "shop.store", "--schema", "shop.schema", "--as", "alice"]
    let without = try await bench.run(arguments)
    #expect(without.status == 2)
    #expect(without.errors.contains("HEADWATER_PASSPHRASE"))
    let wrong = try await bench.run(arguments, environment: ["HEADWATER_PASSPHRASE": "guess"])
    #expect(wrong.status == 2)
    #expect(wrong.errors.contains("passphrase"))
    #expect(!FileManager.default.fileExists(atPath: bench.path("shop.store")))
    let right = try await bench.run(
      arguments, environment: ["HEADWATER_PASSPHRASE": "open sesame"])
    #expect(right.status == 0, "\(right.errors)")
  }

  @Test func aKeyThatOthersMayReadIsRefused() async throws {
    let bench = try Workbench()
    try await bench.succeed("key", "new", "alice", "--no-passphrase")
    try bench.write("shop.schema", Workbench.shop)
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o644], ofItemAtPath: bench.path("home/keys/alice.key"))
    try await bench.fail(
      2, "chmod 600", "init", "shop.store", "--schema", "shop.schema", "--as", "alice")
    let listed = try await bench.run(["key", "list", "--json"])
    #expect(listed.status == 2)
    let error = try #require(try listed.objects()[0]["error"] as? [String: Any])
    #expect(error["code"] as? String == "permission")
  }

  @Test func aMissingKeySaysHowToMakeIt() async throws {
    let bench = try Workbench()
    try await bench.fail(2, "headwater key new nobody", "key", "show", "nobody")
  }
}
