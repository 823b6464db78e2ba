import Foundation
import HeadwaterSQLite
import HeadwaterStream
import Testing

@testable import HeadwaterModel

/// The file as the `sqlite3` shell sees it, which is how most users will meet it.
@Suite(.enabled(if: Shell.path != nil)) struct ShellTests {
  let folder = Folder()

  @Test func opensInTheShell() async throws {
    var feeder = Feeder(SQLiteAdapter(path: folder.file), shop)
    try await feeder.publish(
      1,
      [
        put(0, shop, product("a", "Anvil", "9.90", supplier: 1)),
        put(1, shop, supplier(1, vat: "x")),
      ])
    #expect(
      try Shell.run(folder.file, "PRAGMA integrity_check; PRAGMA foreign_key_check") == "ok\n")
    #expect(
      try Shell.run(
        folder.file, "SELECT p.name, s.town FROM Product p JOIN Supplier s ON s.id = p.supplier")
        == "Anvil|Ulm\n")
    let schema = try Shell.run(folder.file, ".schema Supplier")
    #expect(
      schema == """
        CREATE TABLE IF NOT EXISTS "Supplier" (
          "id" INTEGER NOT NULL,
          "vat" TEXT,
          "town" TEXT NOT NULL,
          PRIMARY KEY ("id")
        ) STRICT;
        CREATE UNIQUE INDEX "Supplier_vat_unique" ON "Supplier" ("vat");
        CREATE INDEX "Supplier_town_index" ON "Supplier" ("town");

        """)
    // A dump is a whole: it loads into another database.
    let dump = try Shell.run(folder.file, ".dump")
    #expect(dump.contains("INSERT INTO Supplier VALUES(1,'x','Ulm');"))
  }

  @Test func namesThatSQLiteReadsInItsOwnWay() async throws {
    let names = ["rowid", "_rowid_", "oid", "select", "a\"b", "🦆", "a b", "A B", "]", "%s", "x'y"]
    let nasty = schema(
      names.map { name in
        collection(
          name,
          [field("rowid", .text(limit: 9), key: true)]
            + names.dropFirst().map { field($0, .int, index: true) })
      })
    var feeder = Feeder(SQLiteAdapter(path: folder.file), nasty)
    let row = Row([.text("k")] + names.dropFirst().indices.map { .int(Int64($0)) })
    for generation in 1...2 {
      try await feeder.publish(Int64(generation), names.indices.map { put($0, nasty, row) })
    }
    for index in names.indices {
      #expect(try await feeder.adapter.rows(of: index, in: nasty, after: nil, limit: 9) == [row])
    }
    #expect(try Shell.run(folder.file, "PRAGMA integrity_check") == "ok\n")
  }
}

enum Shell {
  static let path = ["/usr/bin/sqlite3", "/usr/local/bin/sqlite3", "/opt/homebrew/bin/sqlite3"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  static func run(_ file: String, _ command: String) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: path!)
    process.arguments = ["-batch", "-init", "/dev/null", file, command]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }
}
