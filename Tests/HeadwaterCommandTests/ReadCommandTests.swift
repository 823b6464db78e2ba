import Foundation
import Testing

@Suite struct ReadCommandTests {
  private func filled() async throws -> Workbench {
    let bench = try await Workbench.withShop()
    try await bench.succeed(
      "write", "shop.store", "--as", "alice",
      input: #"""
        {"changes":[{"create":"Product","row":{"sku":"B","name":"Büro","price":"20","added":"2024-02-29"}},{"create":"Product","row":{"sku":"A","name":"Widget","price":"9.9","size":{"width":3}}}]}
        {"changes":[{"update":"Product","key":"A","set":{"stock":5}}]}
        {"changes":[{"delete":"Product","key":"B"}]}

        """#)
    return bench
  }

  @Test func rowsForPeopleAndForPrograms() async throws {
    let bench = try await filled()
    #expect(
      try await bench.succeed("rows", "shop.store", "Product").output == """
        sku  name    price  stock  added  size         supplier  owner
        ---  ------  -----  -----  -----  -----------  --------  -----
        A    Widget   9.90      5         {"width":3}

        """)
    #expect(
      try await bench.succeed("rows", "shop.store", "Product", "A", "--json").output == #"""
        {"collection":"Product","key":{"sku":"A"},"row":{"sku":"A","name":"Widget","price":"9.90","stock":5,"size":{"width":3}}}

        """#)
    #expect(try await bench.run(["rows", "shop.store", "Product", "B"]).status == 1)
    let byJSON = try await bench.succeed("rows", "shop.store", "Product", #"{"sku":"A"}"#)
    #expect(byJSON.lines.count == 3)
  }

  @Test func theLogHasEveryOperation() async throws {
    let bench = try await filled()
    let log = try await bench.succeed("log", "shop.store", "--json").objects()
    #expect(log.map { $0["height"] as? Int } == [0, 1, 2, 3])
    #expect(log.allSatisfy { $0["verdict"] as? String == "valid" })
    for (child, parent) in zip(log.dropFirst(), log) {
      #expect(child["parents"] as? [String] == [parent["operation"] as? String ?? ""])
    }
    let changes = try #require(log[1]["changes"] as? [[String: Any]])
    #expect(changes.map { $0["create"] as? String } == ["Product", "Product"])
    #expect((changes[1]["row"] as? [String: Any])?["size.width"] as? Int == 3)
    let ofRow = try await bench.succeed("log", "shop.store", "Product", "B", "--json").objects()
    #expect(ofRow.map { $0["height"] as? Int } == [1, 3])
    #expect((ofRow[0]["changes"] as? [Any])?.count == 1)
    #expect(
      try await bench.succeed("log", "shop.store").output.contains("update Product A  stock=5"))
  }

  @Test func eventsHavePositionsWithoutGaps() async throws {
    let bench = try await filled()
    let events = try await bench.succeed("events", "shop.store", "--json").objects()
    #expect(events.map { $0["position"] as? Int } == [1, 2, 3, 4])
    #expect(events.map { $0["transaction"] as? Int } == [1, 1, 3, 4])
    #expect(events.map { $0["kind"] as? String } == ["upsert", "upsert", "upsert", "delete"])
    #expect(events[0]["before"] == nil)
    #expect((events[2]["before"] as? [String: Any])?["stock"] as? Int == 0)
    #expect((events[2]["after"] as? [String: Any])?["stock"] as? Int == 5)
    #expect(events[3]["after"] == nil)
    for (key, type) in [("reason", "applied"), ("collection", "Product")] {
      #expect(events.allSatisfy { $0[key] as? String == type })
    }
    // In the middle of a transaction as well.
    for from in 1...5 {
      let rest = try await bench.run(["events", "shop.store", "--from", "\(from)", "--json"])
      #expect(
        try rest.objects().compactMap { $0["position"] as? Int }
          == Array(1...4).filter { $0 >= from })
    }
  }

  @Test func followingEndsCleanlyWhenAsked() async throws {
    let bench = try await filled()
    for signal in [SIGINT, SIGTERM] {
      let pipe = Pipe()
      let process = try bench.start(
        ["events", "shop.store", "--follow", "--json"], output: pipe)
      // The fourth event was printed: it waits for more.
      var text = Data()
      while text.count(where: { $0 == 0x0A }) < 4 {
        text += pipe.fileHandleForReading.availableData
      }
      try await bench.succeed(
        "write", "shop.store", "--as", "alice",
        input: #"{"changes":[{"create":"Supplier","row":{"name":"x"}}]}"# + "\n")
      while !String(decoding: text, as: UTF8.self).contains("Supplier") {
        text += pipe.fileHandleForReading.availableData
      }
      kill(process.processIdentifier, signal)
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      #expect(process.terminationReason == .exit)
    }
  }

  @Test func aReaderThatGoesAwayIsNoCrash() async throws {
    let bench = try await Workbench.withShop()
    let rows = (0..<3_000).map { "P-\($0),\(String(repeating: "n", count: 100)),1" }
    try bench.write("p.csv", "sku,name,price\n" + rows.joined(separator: "\n"))
    try await bench.succeed("import", "shop.store", "--as", "alice", "Product=p.csv")
    for command in ["rows shop.store Product", "events shop.store", "log shop.store"] {
      let pipe = Pipe()
      let process = try bench.start(
        command.split(separator: " ").map(String.init) + ["--json"], output: pipe)
      _ = pipe.fileHandleForReading.availableData
      try pipe.fileHandleForReading.close()
      process.waitUntilExit()
      #expect(process.terminationReason == .exit)
      #expect(process.terminationStatus == 0)
    }
  }

  @Test func theStatusCounts() async throws {
    let bench = try await filled()
    let status = try await bench.succeed("status", "shop.store", "--json").objects()[0]
    #expect(status["operations"] as? Int == 4)
    #expect(status["void"] as? Int == 0)
    #expect(status["position"] as? Int == 4)
    #expect(status["firstPosition"] as? Int == 1)
    #expect(status["schema"] as? String == "Shop")
    #expect((status["rows"] as? [String: Any])?["Product"] as? Int == 1)
    #expect((status["frontier"] as? [String])?.count == 1)
  }
}
