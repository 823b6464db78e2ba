import Foundation
import Headwater
import HeadwaterSQLite
import Testing

/// The Swift example of the README: this function holds it word for word, and runs it.
@Suite struct ReadmeSwiftTests {
  private let text = """
    schema Shop
    allow everything
    collection Product {
      sku: Text(32) @key
      name: Text(200)
      price: Decimal(12, 2)
      supplier: Supplier?
    }
    collection Supplier { name: Text(120) }
    """

  @Test func theExampleRuns() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "headwater-readme-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (shopStore, shopMirror) = (folder.path + "/shop.hw", folder.path + "/shop.sqlite")

    // README begins
    let schema = try Schema.parse(text)
    let ann = SigningKey.generate()
    let store = try Headwater.create(at: shopStore, schema: schema, as: ann)
    try await store.write(as: ann) { draft in
      let acme = try draft.create("Supplier", [("name", .text("Acme"))])
      try draft.create(
        "Product",
        [
          ("sku", .text("A-1")), ("name", .text("Widget")),
          ("price", .decimal(ExactDecimal("9.90")!)),
          ("supplier", .created(index: acme.index)),
        ])
    }
    let mirror = Mirror(
      name: "shop", sink: "sqlite", source: store.changes, adapter: SQLiteAdapter(path: shopMirror))
    // README ends
    _ = try await mirror.synchronise()
    #expect(try await mirror.verify().rows == 2)
  }

  @Test func theReadmeHoldsIt() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    func lines(_ text: Substring) -> [String] {
      text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
      .replacingOccurrences(of: "shopStore", with: "\"shop.hw\"")
      .replacingOccurrences(of: "shopMirror", with: "\"shop.sqlite\"")
    let readme = try String(
      contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    let code = try #require(source.range(of: "// README begins\n"))
    let end = try #require(source.range(of: "    // README ends"))
    let block = try #require(readme.range(of: "```swift\n"))
    let after = try #require(readme.range(of: "```", range: block.upperBound..<readme.endIndex))
    let documented = lines(readme[block.upperBound..<after.lowerBound])
      .filter { !$0.hasPrefix("import ") && $0 != "try await mirror.run()" }
    #expect(documented == lines(source[code.upperBound..<end.lowerBound]))
  }
}
