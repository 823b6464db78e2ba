import Foundation
import Testing

@Suite struct ImportCommandTests {
  @Test func aBadRowIsNamedAndTheImportResumes() async throws {
    let bench = try await Workbench.withShop()
    var lines = ["sku,name,price,added"]
    for index in 0..<25 { lines.append("P-\(index),\"Name, \(index)\",\(index).5,2024-01-01") }
    lines[14] = "P-13,x,1,2024-02-30"
    try bench.write("p.csv", lines.joined(separator: "\n") + "\n")
    let arguments = ["import", "shop.store", "--as", "alice", "Product=p.csv", "--batch", "10"]
    let failed = try await bench.run(arguments)
    #expect(failed.status == 2)
    #expect(failed.errors.contains("p.csv, line 15: column 4, “added”"), "\(failed.errors)")
    // Nothing of its operation, everything before.
    #expect(try await bench.count("Product") == 10)

    lines[14] = "P-13,x,1,2024-02-29"
    try bench.write("p.csv", lines.joined(separator: "\n") + "\n")
    let resumed = try await bench.run(arguments + ["--json"])
    let report = try resumed.objects()[0]
    #expect(report["state"] as? String == "imported")
    #expect(report["earlier"] as? Int == 10)
    #expect(report["rows"] as? Int == 15)
    #expect(report["operations"] as? Int == 2)
    #expect(try await bench.count("Product") == 25)

    let again = try await bench.succeed(
      "import", "shop.store", "--as", "alice", "Product=p.csv", "--json")
    #expect(try again.objects()[0]["state"] as? String == "unchanged")
    #expect(try await operations(bench) == 4)

    // More lines are read on; a change of what was read is refused.
    try bench.write("p.csv", (lines + ["P-25,y,1,"]).joined(separator: "\n") + "\n")
    let longer = try await bench.run(arguments + ["--json"])
    #expect(try longer.objects()[0]["rows"] as? Int == 1)
    try bench.write("p.csv", lines.joined(separator: "\n").replacing("P-3,", with: "Q-3,"))
    try await bench.fail(
      2, "--restart", "import", "shop.store", "--as", "alice", "Product=p.csv")
    let restarted = try await bench.run(arguments + ["--restart", "--json"])
    #expect(try restarted.objects()[0]["rows"] as? Int == 25)
    #expect(try await bench.count("Product") == 27)
  }

  private func operations(_ bench: Workbench) async throws -> Int? {
    try await bench.succeed("status", "shop.store", "--json").objects()[0]["operations"] as? Int
  }

  /// What only the store can see is named by its line as well.
  @Test func whatTheStoreRefusesIsNamedByLine() async throws {
    let bench = try await Workbench.withShop()
    try bench.write("check.csv", "sku,name,price\nA,a,1\nB,b,-1\n")
    try await bench.fail(
      2, "check.csv, line 3: the check price >= 0 does not hold", "import", "shop.store", "--as",
      "alice", "Product=check.csv")
    try bench.write(
      "reference.ndjson",
      #"{"sku":"A","name":"a","price":"1","supplier":"00000000-0000-0000-0000-000000000000"}"#)
    try await bench.fail(
      2, "reference.ndjson, line 1: supplier: it refers to a row of Supplier", "import",
      "shop.store", "--as", "alice", "Product=reference.ndjson")
    try bench.write("twice.csv", "sku,name,price\nA,a,1\nA,b,2\n")
    try await bench.fail(
      2, "twice.csv, line 3: it creates a row of Product a second time", "import", "shop.store",
      "--as", "alice", "Product=twice.csv")
    #expect(try await operations(bench) == 1)
  }

  @Test func theHeaderHasToFit() async throws {
    let bench = try await Workbench.withShop()
    for (header, message) in [
      ("sku,nmae,price", "column 2, “nmae”: Product has no such field; did you mean “name”?"),
      ("sku,name", "has no column “price”"), ("sku,name,name,price", "two columns"),
    ] {
      try bench.write("p.csv", header + "\n")
      try await bench.fail(
        2, message, "import", "shop.store", "--as", "alice", "Product=p.csv")
    }
    try bench.write("s.csv", "id,name\n,x\n")
    try await bench.fail(
      2, "is generated", "import", "shop.store", "--as", "alice", "Supplier=s.csv")
    try bench.write("ragged.csv", "sku,name,price\nA,a\n")
    try await bench.fail(
      2, "ragged.csv, line 2, column 1: expected 3 cells, found 2", "import", "shop.store", "--as",
      "alice", "Product=ragged.csv")
    try bench.write("open.csv", "sku,name,price\nA,\"a,1\n")
    try await bench.fail(
      2, "open.csv, line", "import", "shop.store", "--as", "alice", "Product=open.csv")
    try await bench.fail(
      2, "no collection Thing", "import", "shop.store", "--as", "alice", "Thing=p.csv")
    try await bench.fail(
      2, "cannot read none.csv", "import", "shop.store", "--as", "alice", "Product=none.csv")
    try await bench.fail(64, "COLLECTION=FILE", "import", "shop.store", "--as", "alice", "p.csv")
    try await bench.fail(
      2, "--format", "import", "shop.store", "--as", "alice", "Product=shop.schema")
  }

  @Test func everyFormatGivesTheSameRows() async throws {
    let schema = """
      schema All
      allow everything
      record Point { x: Int  y: Int? }
      enum Color { red, green }
      collection Thing {
        key: Text(8) @key
        flag: Bool
        whole: Int
        number: Float
        exact: Decimal(10, 3)
        text: Text?
        day: Date?
        time: Timestamp?
        id: UUID?
        color: Color?
        point: Point?
        data: JSON?
        blob: Bytes?
        other: Thing?
      }
      """
    let bench = try await Workbench.withShop(schema)
    let id = "01234567-89ab-cdef-0123-456789abcdef"
    try bench.write(
      "thing.csv",
      "key,flag,whole,number,exact,text,day,time,id,color,point,data,blob,other\r\n"
        + "a,true,-9223372036854775808,1.5,1234567.891,\"x \"\"y\"\"\nz\",2024-02-29,2024-02-29T12:00:00Z,"
        + "\(id),green,\"{\"\"x\"\":1}\",\"[1,null]\",AAE=,\r\n" + "b,0,0,-0.25,-1,,,,,,,,,a\r\n")
    try bench.write(
      "thing.ndjson",
      #"""
      {"key":"a","flag":true,"whole":-9223372036854775808,"number":1.5,"exact":"1234567.891","text":"x \"y\"\nz","day":"2024-02-29","time":"2024-02-29T12:00:00Z","id":"01234567-89ab-cdef-0123-456789abcdef","color":"green","point":{"x":1},"data":[1,null],"blob":"AAE="}
      {"key":"b","flag":false,"whole":0,"number":-0.25,"exact":"-1","other":"a"}
      """#)
    try bench.write(
      "make.sql",
      """
      CREATE TABLE "my thing" (key TEXT, flag INT, whole INT, number REAL, exact TEXT, text TEXT, day TEXT,
        time TEXT, id BLOB, color TEXT, point TEXT, data TEXT, blob BLOB, other TEXT);
      INSERT INTO "my thing" VALUES ('a', 1, -9223372036854775807 - 1, 1.5, '1234567.891',
        'x "y"' || char(10) || 'z', '2024-02-29', '2024-02-29T12:00:00Z',
        x'0123456789abcdef0123456789abcdef', 'green', '{"x":1}', '[1,null]', x'0001', NULL);
      INSERT INTO "my thing" VALUES ('b', 0, 0, -0.25, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'a');
      """)
    let sqlite = Process()
    sqlite.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    sqlite.arguments = [
      "sqlite3", bench.path("things.sqlite"), ".read '\(bench.path("make.sql"))'",
    ]
    try sqlite.run()
    sqlite.waitUntilExit()
    try #require(sqlite.terminationStatus == 0)
    var found: [String] = []
    for (index, file) in ["thing.csv", "thing.ndjson", "things.sqlite:my thing"].enumerated() {
      let store = "s\(index).store"
      try await bench.succeed("init", store, "--schema", "shop.schema", "--as", "alice")
      try await bench.succeed("import", store, "--as", "alice", "Thing=\(file)")
      found.append(try await bench.succeed("rows", store, "Thing", "--json").output)
      let again = try await bench.succeed("import", store, "--as", "alice", "Thing=\(file)")
      #expect(again.output.contains("nothing to do"))
    }
    #expect(found[0].split(separator: "\n").count == 2)
    #expect(found[0].contains(#""exact":"1234567.891""#) && found[0].contains(#""blob":"AAE=""#))
    #expect(found[1] == found[0])
    #expect(found[2] == found[0])
  }

  @Test func aPipeIsReadFromItsStart() async throws {
    let bench = try await Workbench.withShop()
    for _ in 0..<2 {
      try await bench.succeed(
        "import", "shop.store", "--as", "alice", "Supplier=-", "--format", "csv",
        input: "name\nAcme\n")
    }
    #expect(try await bench.count("Supplier") == 2)
  }
}
