import Foundation
import Testing

@Suite struct WriteCommandTests {
  @Test func eachLineIsAnsweredInOrder() async throws {
    let bench = try await Workbench.withShop()
    let lines = [
      #"{"changes":[{"create":"Supplier","row":{"name":"Acme"}},{"create":"Product","row":{"sku":"A-1","name":"Widget","price":"9.90","supplier":{"$new":0}}}]}"#,
      #"{"changes":[{"update":"Product","key":"A-1","set":{"name":"Widget 2","price":12}}]}"#,
      #"{"changes":[{"update":"Product","key":{"sku":"none"},"set":{"name":"x"}}]}"#,
      "this is no JSON",
      #"{"changes":[{"create":"Product","row":{"sku":"B-1","name":"x","price":"-1"}}]}"#,
      #"{"changes":[{"create":"Product","row":{"sku":"B-1","nmae":"x","price":"1"}}]}"#,
      #"{"changes":[{"update":"Product","key":"A-1","increment":{"stock":1}}]}"#,
      #"{"changes":[{"update":"Product","key":"A-1","set":{"size":{"width":3}}}]}"#,
      #"{"changes":[{"update":"Product","key":"A-1","set":{"size.width":4}}]}"#,
      #"{"changes":[],"more":1}"#,
      #"{"changes":[{"delete":"Product","key":"A-1"}]}"#,
    ]
    let outcome = try await bench.run(
      ["write", "shop.store", "--as", "alice"], input: lines.joined(separator: "\n") + "\n")
    #expect(outcome.status == 2)
    let answers = try outcome.objects()
    try #require(answers.count == lines.count)
    func error(_ index: Int) -> [String: Any]? { answers[index]["error"] as? [String: Any] }
    for index in [0, 1, 7, 8, 10] {
      #expect(answers[index]["verdict"] as? String == "valid", "\(answers[index])")
      #expect((answers[index]["operation"] as? String)?.count == 64)
    }
    let keys = try #require(answers[0]["keys"] as? [[String: Any]])
    #expect((keys[0]["id"] as? String)?.count == 36)
    #expect(keys[1]["sku"] as? String == "A-1")
    #expect(error(2)?["code"] as? String == "refused")
    #expect(error(2)?["reason"] as? String == "not-live")
    for (index, text) in [
      (3, "expected a JSON value"), (4, "price >= 0"), (5, "did you mean “name”?"),
      (6, "not there yet"), (9, "more"),
    ] {
      let message = error(index)?["message"] as? String ?? ""
      #expect(message.contains(text), "\(message)")
      #expect(error(index)?["line"] as? Int == index + 1)
    }
    #expect(try await bench.count("Product") == 0)
    #expect(try await bench.count("Supplier") == 1)
  }

  @Test func onlyRefusalsAreExitCode1() async throws {
    let bench = try await Workbench.withShop()
    let outcome = try await bench.run(
      ["write", "shop.store", "--as", "alice", "-"],
      input: #"{"changes":[{"delete":"Product","key":"none"}]}"# + "\n")
    #expect(outcome.status == 1)
  }

  @Test func firstRowsAreTheCreators() async throws {
    let bench = try Workbench()
    try bench.write("shop.schema", Workbench.shop)
    try await bench.succeed("key", "new", "alice", "--no-passphrase")
    let key = try await bench.succeed("key", "show", "alice", "--json").objects()[0]
    try bench.write(
      "rows.ndjson",
      #"""
      {"create":"Supplier","row":{"name":"$author"}}
      {"collection":"Product","key":{"sku":"A"},"row":{"sku":"A","name":"a","price":"1","owner":"$author","supplier":{"$new":0}}}
      """#)
    try await bench.succeed(
      "init", "shop.store", "--schema", "shop.schema", "--as", "alice", "--rows", "rows.ndjson")
    let product = try await bench.succeed("rows", "shop.store", "Product", "--json").objects()[0]
    let row = try #require(product["row"] as? [String: Any])
    #expect(row["owner"] as? String == key["principal"] as? String)
    let supplier = try await bench.succeed("rows", "shop.store", "Supplier", "--json").objects()[0]
    // A text is a text, whatever it says.
    #expect((supplier["row"] as? [String: Any])?["name"] as? String == "$author")
    #expect(row["supplier"] as? String == (supplier["key"] as? [String: Any])?["id"] as? String)

    try bench.write(
      "bad.ndjson",
      "{\"create\":\"Supplier\",\"row\":{\"name\":\"x\"}}\n{\"create\":\"X\",\"row\":{}}\n")
    try await bench.fail(
      2, "bad.ndjson, line 2: the schema has no collection X", "init", "other.store", "--schema",
      "shop.schema", "--as", "alice", "--rows", "bad.ndjson")
    #expect(!FileManager.default.fileExists(atPath: bench.path("other.store")))
  }

  @Test func writingOnAnOldFrontierIsConcurrent() async throws {
    let bench = try await Workbench.withShop()
    try await bench.succeed("key", "new", "bob", "--no-passphrase")
    func write(_ author: String, _ line: String, _ more: String...) async throws -> String {
      let outcome = try await bench.run(
        ["write", "shop.store", "--as", author] + more, input: line + "\n")
      try #require(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
      return try #require(try outcome.objects()[0]["operation"] as? String)
    }
    let made = try await write(
      "alice", #"{"changes":[{"create":"Product","row":{"sku":"A","name":"a","price":"1"}}]}"#)
    let hers = try await write(
      "alice", #"{"changes":[{"update":"Product","key":"A","set":{"name":"hers","stock":7}}]}"#)
    let short = String(made.prefix(12))
    let his = try await write(
      "bob", #"{"changes":[{"update":"Product","key":"A","set":{"name":"his","price":"2"}}]}"#,
      "--at", short)

    func row(_ more: String...) async throws -> [String: Any] {
      let outcome = try await bench.run(["rows", "shop.store", "Product", "A", "--json"] + more)
      return try #require(try outcome.objects()[0]["row"] as? [String: Any])
    }
    // Of one height the greater id is the later.
    #expect(try await row()["name"] as? String == (hers < his ? "his" : "hers"))
    #expect(try await row()["stock"] as? Int == 7)
    #expect(try await row()["price"] as? String == "2.00")
    #expect(try await row("--at", short)["name"] as? String == "a")
    #expect(try await row("--at", hers)["price"] as? String == "1.00")
    #expect(try await row("--at", his)["name"] as? String == "his")
    #expect(try await row("--at", "\(hers),\(his)")["stock"] as? Int == 7)

    let status = try await bench.succeed("status", "shop.store", "--json").objects()[0]
    #expect(Set(status["frontier"] as? [String] ?? []) == [hers, his])
    try await bench.fail(2, "has no operation 00", "rows", "shop.store", "Product", "--at", "00")
    try await bench.fail(2, "not 'zz'", "rows", "shop.store", "Product", "--at", "zz")
  }

  @Test func aSecondWriterIsToldSo() async throws {
    let bench = try await Workbench.withShop()
    let input = Pipe()
    let first = try bench.start(["write", "shop.store", "--as", "alice"], input: input)
    try await Workbench.wait("the first writer opens the store") {
      FileManager.default.fileExists(atPath: bench.path("shop.store-lock"))
    }
    try await Workbench.wait("it has noted who it is") {
      let holder = try? String(contentsOfFile: bench.path("shop.store-lock"), encoding: .utf8)
      return holder == "\(first.processIdentifier)\n"
    }
    try await bench.fail(
      2, "another process (process \(first.processIdentifier))", "write", "shop.store", "--as",
      "alice")
    // Readers may be many.
    try await bench.succeed("rows", "shop.store", "Product")
    try input.fileHandleForWriting.close()
    first.waitUntilExit()
    #expect(first.terminationStatus == 0)
  }
}
