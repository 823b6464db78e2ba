import Foundation
import Testing

@testable import HeadwaterCommand

@Suite struct DemoCommandTests {
  @Test func theDemonstrationHoldsAndLeavesNothingBehind() async throws {
    let bench = try Workbench()
    let outcome = try await bench.run(["demo"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("was killed (SIGKILL)"))
    #expect(outcome.output.contains("no difference"))
    #expect(outcome.output.contains("All of it held"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.folder.path).isEmpty)
  }

  @Test func whatIsKeptCanBeUsed() async throws {
    let bench = try Workbench()
    try await bench.succeed("demo", "--keep", "atlas")
    try await bench.succeed("verify", "atlas/atlas.store", "--to", "sqlite:atlas/atlas.sqlite")
    #expect(try await bench.count("Language", store: "atlas/atlas.store") > 7_000)
    try await bench.fail(2, "cannot make atlas", "demo", "--keep", "atlas")
  }

  @Test func theSchemaIsThatOfTheExample() throws {
    let file = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Examples/Atlas/atlas.schema")
    #expect(try String(contentsOf: file, encoding: .utf8) == AtlasSchema.text)
  }
}
