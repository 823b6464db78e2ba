import Foundation
import Testing

@Suite struct MirrorCommandTests {
  private func filled() async throws -> Workbench {
    let bench = try await Workbench.withShop()
    try await bench.succeed(
      "write", "shop.store", "--as", "alice",
      input: #"""
        {"changes":[{"create":"Supplier","row":{"name":"Acme"}},{"create":"Product","row":{"sku":"A","name":"Wid,get","price":"9.9","supplier":{"$new":0}}}]}
        {"changes":[{"create":"Product","row":{"sku":"B","name":"say \"b\"","price":"20"}}]}

        """#)
    return bench
  }

  /// A store that was restored from a backup is behind its mirror, which is filled anew and says so.
  @Test func aMirrorThatIsAheadOfItsStore() async throws {
    let bench = try await filled()
    let files = FileManager.default
    try files.copyItem(atPath: bench.path("shop.store"), toPath: bench.path("backup"))
    try await bench.succeed(
      "write", "shop.store", "--as", "alice",
      input: #"{"changes":[{"create":"Supplier","row":{"name":"Lost"}}]}"# + "\n")
    let arguments = ["mirror", "shop.store", "--to", "sqlite:m.sqlite"]
    let first = try await bench.run(arguments)
    #expect(first.status == 0 && first.errors == "")
    for suffix in ["", "-wal", "-shm"] {
      try? files.removeItem(atPath: bench.path("shop.store" + suffix))
    }
    try files.moveItem(atPath: bench.path("backup"), toPath: bench.path("shop.store"))
    let second = try await bench.run(arguments)
    #expect(second.status == 0)
    #expect(second.errors.contains("m.sqlite: filling it anew beside what readers see: "))
    #expect(second.errors.contains("one of the two was restored from a backup"))
    try await bench.succeed("verify", "shop.store", "--to", "sqlite:m.sqlite")
    // Asked for, it needs no reason.
    #expect(
      try await bench.run(["rebuild", "shop.store", "--to", "sqlite:m.sqlite"]).errors == "")
  }

  @Test func aMirrorIsMadeComparedMendedAndRebuilt() async throws {
    let bench = try await filled()
    let made = try await bench.succeed(
      "mirror", "shop.store", "--to", "sqlite:m.sqlite", "--json"
    ).objects()[0]
    #expect(made["position"] as? Int == 3)
    let equal = try await bench.succeed(
      "verify", "shop.store", "--to", "sqlite:m.sqlite", "--json"
    ).objects()[0]
    #expect(equal["equal"] as? Bool == true)
    #expect(equal["rows"] as? Int == 3)

    let listed = try await bench.succeed("mirrors", "shop.store", "--json").objects()
    try #require(listed.count == 1)
    #expect(listed[0]["state"] as? String == "idle")
    #expect(listed[0]["lag"] as? Int == 0)
    #expect((listed[0]["to"] as? String)?.hasSuffix("/m.sqlite") == true)
    #expect(listed[0]["error"] is NSNull)

    let sqlite = Process()
    sqlite.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    sqlite.arguments = [
      "sqlite3", bench.path("m.sqlite"),
      "DELETE FROM Product WHERE sku = 'A'; UPDATE Product SET name = 'x'",
    ]
    try sqlite.run()
    sqlite.waitUntilExit()
    let differs = try await bench.run(
      ["verify", "shop.store", "--to", "sqlite:m.sqlite", "--json"])
    #expect(differs.status == 1)
    let differences = try #require(try differs.objects()[0]["differences"] as? [[String: Any]])
    #expect(differences.map { $0["kind"] as? String } == ["missing", "different"])
    #expect((differences[0]["key"] as? [String: Any])?["sku"] as? String == "A")
    #expect(
      try await bench.run(["verify", "shop.store", "--to", "sqlite:m.sqlite", "--repair"]).status
        == 1)
    try await bench.succeed("verify", "shop.store", "--to", "sqlite:m.sqlite")
    let rebuilt = try await bench.succeed(
      "rebuild", "shop.store", "--to", "sqlite:m.sqlite", "--json"
    ).objects()[0]
    #expect(rebuilt["generation"] as? Int == 2)
    try await bench.succeed("verify", "shop.store", "--to", "sqlite:m.sqlite")
  }

  @Test func theStoreIsWhatItsOperationsSay() async throws {
    let bench = try await filled()
    let found = try await bench.succeed("verify", "shop.store", "--deep", "--json").objects()[0]
    #expect(found["equal"] as? Bool == true)
    #expect(found["operations"] as? Int == 3)
    #expect(found["rows"] as? Int == 3)
    let sqlite = Process()
    sqlite.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    sqlite.arguments = [
      "sqlite3", bench.path("shop.store"),
      "UPDATE operation SET signature = zeroblob(64) WHERE height = 2",
    ]
    try sqlite.run()
    sqlite.waitUntilExit()
    let forged = try await bench.run(["verify", "shop.store", "--deep", "--json"])
    #expect(forged.status == 1)
    #expect((try forged.objects()[0]["differences"] as? [String])?.count == 1)
  }

  @Test func severalSinksFromAConfiguration() async throws {
    let bench = try await filled()
    try bench.write(
      "sinks.ndjson",
      "{\"to\":\"sqlite:a.sqlite\",\"name\":\"first\"}\n{\"to\":\"memory:\"}\n{\"to\":\"sqlite:b.sqlite\"}\n"
    )
    let made = try await bench.succeed(
      "mirror", "shop.store", "--config", "sinks.ndjson", "--json"
    ).objects()
    #expect(made.count == 3)
    #expect(made.contains { $0["name"] as? String == "first" })
    // The sink knows its mirror by name, so nobody has to say it again.
    try await bench.succeed("verify", "shop.store", "--to", "sqlite:a.sqlite")
    try bench.write("wrong.ndjson", "{\"to\":\"sqlite:a.sqlite\",\"nmae\":\"x\"}\n")
    try await bench.fail(
      2, "wrong.ndjson, line 1", "mirror", "shop.store", "--config", "wrong.ndjson")
  }

  @Test func oneThatHaltsStopsNoOther() async throws {
    let bench = try await filled()
    try bench.write("text.sqlite", String(repeating: "this is no database\n", count: 100))
    let outcome = try await bench.run([
      "mirror", "shop.store", "--to", "sqlite:text.sqlite", "--to", "sqlite:good.sqlite",
    ])
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("text.sqlite"))
    try await bench.succeed("verify", "shop.store", "--to", "sqlite:good.sqlite")
  }

  @Test func followingKeepsInStepAndEndsCleanly() async throws {
    let bench = try await filled()
    let mirror = try bench.start(["mirror", "shop.store", "--to", "sqlite:m.sqlite", "--follow"])
    for round in 0..<3 {
      try await bench.succeed(
        "write", "shop.store", "--as", "alice",
        input: #"{"changes":[{"update":"Product","key":"A","set":{"stock":\#(round + 1)}}]}"# + "\n"
      )
      try await Workbench.wait("the mirror shows the write") {
        let rows = try await bench.run([
          "sql", "shop.store", "--to", "sqlite:m.sqlite",
          "SELECT stock FROM Product WHERE sku = 'A'",
          "--json",
        ])
        return rows.output == "{\"stock\":\(round + 1)}\n"
      }
    }
    mirror.terminate()
    mirror.waitUntilExit()
    #expect(mirror.terminationReason == .exit)
    #expect(mirror.terminationStatus == 0)
  }

  @Test func questionsInSQL() async throws {
    let bench = try await filled()
    let query = "SELECT sku, name, stock, supplier IS NULL AS alone FROM Product ORDER BY sku"
    #expect(
      try await bench.succeed("sql", "shop.store", query).output == """
        sku  name     stock  alone
        ---  -------  -----  -----
        A    Wid,get      0      0
        B    say "b"      0      1

        """)
    #expect(
      try await bench.succeed("sql", "shop.store", query, "--csv").output == """
        sku,name,stock,alone
        A,"Wid,get",0,0
        B,"say ""b""\",0,1

        """)
    let rows = try await bench.succeed("sql", "shop.store", query, "--json").objects()
    #expect(rows.map { $0["name"] as? String } == ["Wid,get", "say \"b\""])
    // Its own mirror is brought up to date before each question.
    try await bench.succeed(
      "write", "shop.store", "--as", "alice",
      input: #"{"changes":[{"delete":"Product","key":"A"}]}"#)
    #expect(try await bench.succeed("sql", "shop.store", query, "--json").lines.count == 1)

    for statement in [
      "DELETE FROM Product", "SELECT 1; SELECT 2", "VACUUM INTO 'copy.sqlite'", "", "/* nothing */",
      "ATTACH 'x.sqlite' AS x", "CREATE TABLE t (a)", "PRAGMA user_version = 7",
    ] {
      let outcome = try await bench.run(["sql", "shop.store", statement])
      #expect(outcome.status == 2, "\(statement)")
    }
    #expect(!FileManager.default.fileExists(atPath: bench.path("copy.sqlite")))
    #expect(!FileManager.default.fileExists(atPath: bench.path("x.sqlite")))
    for statement in [
      "SELECT ';' AS a;", "SELECT 1 -- ; x", "/* ; */ SELECT \";\" FROM (SELECT 1 AS \";\")",
    ] {
      let outcome = try await bench.run(["sql", "shop.store", statement])
      #expect(outcome.status == 0, "\(statement): \(outcome.errors)")
    }
    try await bench.fail(2, "no such table", "sql", "shop.store", "SELECT * FROM Nowhere")
    try await bench.fail(
      2, "cannot read none.sqlite", "sql", "shop.store", "--to", "sqlite:none.sqlite", "SELECT 1")
  }

  @Test func aMirrorOfAnotherDatabaseIsLeftAlone() async throws {
    let bench = try await filled()
    try await bench.succeed("init", "other.store", "--schema", "shop.schema", "--as", "alice")
    try await bench.succeed("mirror", "other.store", "--to", "sqlite:m.sqlite")
    try await bench.fail(
      2, "another database", "mirror", "shop.store", "--to", "sqlite:m.sqlite")
    try await bench.fail(
      2, "another database", "verify", "shop.store", "--to", "sqlite:m.sqlite")
  }

  @Test func whatIsNoSinkIsRefused() async throws {
    let bench = try await filled()
    try await bench.fail(2, "no URL", "mirror", "shop.store", "--to", "m.sqlite")
    try await bench.fail(64, "--to", "mirror", "shop.store")
  }
}
