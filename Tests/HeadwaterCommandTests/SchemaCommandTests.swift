import Foundation
import Testing

@Suite struct SchemaCommandTests {
  @Test func allErrorsAreReportedWithCarets() async throws {
    let bench = try Workbench()
    try bench.write(
      "bad.schema",
      "schema S\nallow everything\ncollection A { x: Intt }\ncollection B { y: Txet }\n")
    let outcome = try await bench.run(["schema", "check", "bad.schema"])
    #expect(outcome.status == 2)
    #expect(
      outcome.errors == """
        headwater: bad.schema:3:19: error: there is no type 'Intt'
        collection A { x: Intt }
                          ^
        help: did you mean 'Int'?
        bad.schema:4:19: error: there is no type 'Txet'
        collection B { y: Txet }
                          ^
        help: did you mean 'Text'?
        bad.schema has 2 errors

        """)
    let errors = try await bench.run(["schema", "check", "bad.schema", "--json"]).objects()
    let places = errors.compactMap { $0["error"] as? [String: Any] }.map { $0["line"] as? Int }
    #expect(places == [3, 4])
  }

  @Test func formattingInPlaceIsIdempotentAndKeepsTheHash() async throws {
    let bench = try Workbench()
    try bench.write(
      "s.schema", "schema S allow everything\n// Kept.\ncollection A { x:Int  y : Text(3)? }")
    let hash = try await bench.succeed("schema", "hash", "s.schema").output
    #expect(try await bench.run(["schema", "format", "--check", "s.schema"]).status == 1)
    try await bench.succeed("schema", "format", "--in-place", "s.schema")
    let text = try String(contentsOfFile: bench.path("s.schema"), encoding: .utf8)
    #expect(text.contains("// Kept.\n"))
    try await bench.succeed("schema", "format", "--check", "s.schema")
    #expect(try await bench.succeed("schema", "format", "-", input: text).output == text)
    #expect(try await bench.succeed("schema", "hash", "s.schema").output == hash)
    let checked = try await bench.succeed("schema", "check", "s.schema", "--json").objects()
    #expect(checked[0]["name"] as? String == "S")
    #expect(checked[0]["collections"] as? [String] == ["A"])
    #expect((checked[0]["hash"] as? String).map { $0 + "\n" } == hash)
  }

  @Test func aStoreRefusesWhatItCannotHonourByName() async throws {
    let bench = try Workbench()
    try bench.write(
      "s.schema", "schema S\nallow everything\ncollection A {\n  n: Counter\n  t: Set<Text(4)>\n}\n"
    )
    try await bench.succeed("schema", "check", "s.schema")
    try await bench.succeed("key", "new", "alice", "--no-passphrase")
    let outcome = try await bench.fail(
      2, "A.n is a Counter", "init", "s.store", "--schema", "s.schema", "--as", "alice")
    #expect(outcome.errors.contains("A.t is a Set"))
    #expect(!FileManager.default.fileExists(atPath: bench.path("s.store")))
  }
}
