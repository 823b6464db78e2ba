import Foundation
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// The log of a store's file, which is copied into it beside the writer (decision 0051).
@Suite struct CheckpointTests {
  /// The log is copied into the file beside the writer, and begun anew; nothing is left of it when the store is closed.
  @Test(.timeLimit(.minutes(5))) func theLogStaysShort() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("long")
    let text = String(repeating: "x", count: 400_000)
    var longest = 0
    do {
      var options = Store.Options()
      options.durability = .process
      let store = try Store.create(
        at: path, schema: try Schema.parse(Scenario.shop), as: Fixture.signer(1),
        suite: Fixture.suite, options: options)
      for number in 0..<200 {
        try await store.write(as: Fixture.signer(1)) {
          try $0.create("Item", [("id", .text("\(number)")), ("name", .text(text))])
        }
        let size = try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int
        longest = max(longest, size ?? 0)
      }
    }
    // 16,000 pages, and what one more commit adds. All together were 240 MB.
    #expect(longest > 16 << 20 && longest < 80 << 20)
    #expect(!FileManager.default.fileExists(atPath: path + "-wal"))
    let store = try Store.open(path, forWriting: false, suite: Fixture.suite)
    #expect(try await store.read { try $0.status().operations } == 201)
  }
}
