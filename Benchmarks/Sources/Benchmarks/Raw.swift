import Headwater
import SQLiteDriver

/// The same rows through prepared statements into the table that the SQLite mirror has.
enum Raw {
  static let table = """
    CREATE TABLE "Item" (
      "sku" TEXT NOT NULL, "name" TEXT NOT NULL, "price" REAL NOT NULL, "stock" INTEGER NOT NULL,
      "weight" REAL NOT NULL, "active" INTEGER NOT NULL, "added" TEXT NOT NULL, "note" TEXT,
      PRIMARY KEY ("sku")) STRICT
    """

  static func upsert(_ count: Int, path: String, perTransaction: Int) throws {
    let db = try Connection(path: path, mode: .createIfMissing)
    _ = try db.text("PRAGMA journal_mode = WAL")
    try db.execute("PRAGMA synchronous = NORMAL")
    try db.execute(table)
    let statement = try db.prepare(
      """
      INSERT INTO "Item" VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT ("sku") DO UPDATE SET
      "name" = excluded."name", "price" = excluded."price", "stock" = excluded."stock",
      "weight" = excluded."weight", "active" = excluded."active", "added" = excluded."added",
      "note" = excluded."note"
      """)
    for start in stride(from: 0, to: count, by: perTransaction) {
      try db.transaction {
        for index in start..<min(start + perTransaction, count) {
          for (column, value) in Rows.row(index).values.enumerated() {
            let parameter = Int32(column + 1)
            switch value {
            case .text(let text)?: statement.bind(parameter, text)
            case .int(let number)?: statement.bind(parameter, number)
            case .float(let number)?: statement.bind(parameter, number)
            case .bool(let flag)?: statement.bind(parameter, flag ? 1 : 0)
            case .decimal(let number)?:
              statement.bind(parameter, Double(number.coefficient) / 100)
            case .timestamp(let time)?: statement.bind(parameter, time.description)
            default: statement.bindNull(parameter)
            }
          }
          try statement.run()
        }
      }
    }
  }
}
