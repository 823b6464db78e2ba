import Foundation
import Testing

@Suite struct DocumentCommandTests {
  private func filled() async throws -> Workbench {
    let bench = try await Workbench.withShop()
    try await bench.succeed(
      "write", "shop.store", "--as", "alice",
      input: #"""
        {"changes":[{"create":"Supplier","row":{"name":"Acme"}},{"create":"Product","row":{"sku":"A","name":"Widget","price":"9.9","supplier":{"$new":0}}}]}
        {"changes":[{"create":"Product","row":{"sku":"B","name":"Gear","price":"20","size":{"width":3}}}]}

        """#)
    return bench
  }

  @Test func aFolderIsMirroredComparedMendedAndRebuilt() async throws {
    let bench = try await filled()
    try await bench.fail(2, "missing", "verify", "shop.store", "--to", "documents:d", "--json")
    try await bench.succeed("mirror", "shop.store", "--to", "documents:d")
    let file = bench.path("d/current/Product/+a.json")
    let text = try String(contentsOfFile: file, encoding: .utf8)
    #expect(text.hasPrefix("{\n  \"_id\": \"+a\",\n  \"sku\": \"A\",\n  \"name\": \"Widget\",\n"))
    try await bench.succeed("verify", "shop.store", "--to", "documents:d")
    try text.replacingOccurrences(of: "Widget", with: "Other").write(
      toFile: file, atomically: true, encoding: .utf8)
    try FileManager.default.removeItem(atPath: bench.path("d/current/Product/+b.json"))
    let differs = try await bench.run(["verify", "shop.store", "--to", "documents:d", "--json"])
    #expect(differs.status == 1)
    let differences = try #require(try differs.objects()[0]["differences"] as? [[String: Any]])
    #expect(differences.map { $0["kind"] as? String } == ["different", "missing"])
    #expect(
      try await bench.run(["verify", "shop.store", "--to", "documents:d", "--repair"]).status == 1)
    try await bench.succeed("verify", "shop.store", "--to", "documents:d")
    #expect(try String(contentsOfFile: file, encoding: .utf8) == text)
    let rebuilt = try await bench.succeed(
      "rebuild", "shop.store", "--to", "documents:d", "--json"
    ).objects()[0]
    #expect(rebuilt["generation"] as? Int == 2)
    #expect(try String(contentsOfFile: file, encoding: .utf8) == text)
    #expect(!FileManager.default.fileExists(atPath: bench.path("d/g1")))
  }

  @Test func documentsAreFound() async throws {
    let bench = try await filled()
    // The store's own mirror, made on the way.
    let found = try await bench.succeed(
      "find", "shop.store", "Product", #"{"price":{"$lt":10}}"#, "--json"
    ).objects()
    #expect(found.map { $0["_id"] as? String } == ["+a"])
    let sorted = try await bench.succeed(
      "find", "shop.store", "Product", "--sort", "-price", "--limit", "1", "--fields",
      "name,size.width")
    #expect(
      sorted.output
        == "{\n  \"_id\": \"+b\",\n  \"name\": \"Gear\",\n  \"size\": {\n    \"width\": 3\n  }\n}\n"
    )
    try await bench.fail(
      2, "missing", "find", "shop.store", "Product", "--to", "documents:m.docs", "--json")
    try await bench.succeed("mirror", "shop.store", "--to", "documents:m.docs")
    try await bench.succeed("verify", "shop.store", "--to", "documents:m.docs")
    let explained = try await bench.succeed(
      "find", "shop.store", "Product", #"{"_id":"+a"}"#, "--to", "documents:m.docs", "--explain")
    #expect(explained.output.contains("_id = ?1") && explained.output.contains("SEARCH"))
    for (query, message) in [
      (#"{"price":{"$near":1}}"#, "no operator $near"), (#"{"colour":1}"#, "has no colour"),
      ("{", "not JSON"),
    ] {
      try await bench.fail(2, message, "find", "shop.store", "Product", query)
    }
    try await bench.fail(2, "no collection Nothing", "find", "shop.store", "Nothing")
    try await bench.fail(
      2, "cannot be asked", "find", "shop.store", "Product", "--to", "documents:folder")
  }

  @Test(arguments: ["documents:d", "documents:d.docs"], [UInt64](1...3))
  func aMirrorOfDocumentsThatIsKilledResumes(_ sink: String, seed: UInt64) async throws {
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    let bench = try await Workbench.withShop()
    let rows = (0..<2_500).map { "P-\($0),n,\($0)" }
    try bench.write("p.csv", "sku,name,price\n" + rows.joined(separator: "\n") + "\n")
    let writer = try bench.start(
      ["import", "shop.store", "--as", "alice", "Product=p.csv", "--batch", "10"])
    var kills = 0
    for _ in 0..<6 {
      let mirror = try bench.start(["mirror", "shop.store", "--to", sink, "--follow"])
      // A linear congruential generator (Knuth's MMIX): the seed says where each process dies.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      try await Task.sleep(for: .microseconds(Int(5_000 + (state >> 33) % 250_000)))
      Workbench.kill(mirror)
      if mirror.terminationReason == .uncaughtSignal { kills += 1 }
    }
    writer.waitUntilExit()
    #expect(writer.terminationStatus == 0)
    try await bench.succeed("mirror", "shop.store", "--to", sink)
    let found = try await bench.succeed("verify", "shop.store", "--to", sink, "--json").objects()[0]
    #expect(found["equal"] as? Bool == true)
    #expect(found["rows"] as? Int == 2_500)
    #expect(kills > 0)
    if sink == "documents:d" {
      #expect(!FileManager.default.fileExists(atPath: bench.path("d/.headwater/journal")))
      let text = try String(
        contentsOfFile: bench.path("d/current/Product/_index.json"), encoding: .utf8)
      #expect(text.contains("\"documents\": 2500"))
    }
  }
}
