import Headwater
import HeadwaterPostgres

/// Prints what a PostgreSQL mirror answers to a query.
struct PostgresRows {
  let form: SQLQuery.Form

  func print(_ sql: String, from configuration: PostgresConfiguration) throws {
    let query = try PostgresQuery(configuration)
    var table: TextTable?
    try query.run(sql) { names, areNumbers, row in
      switch (form, row) {
      case (.table, nil): table = TextTable(names, isRight: areNumbers)
      case (.table, let row?): try table?.add(row.map(PostgresRows.text))
      case (.csv, nil):
        try Output.standard.print(names.map(SQLQuery.quoted).joined(separator: ","))
      case (.csv, let row?):
        try Output.standard.print(
          row.map { SQLQuery.quoted(PostgresRows.text($0)) }.joined(separator: ","))
      case (.json, nil): break
      case (.json, let row?):
        var line = JSONLine()
        for (name, cell) in zip(names, row) {
          line.raw(name) { PostgresRows.write(cell, into: &$0) }
        }
        try Output.standard.print(line.finish())
      }
    }
    try table?.finish()
  }

  private static func text(_ cell: PostgresQuery.Cell) -> String {
    switch cell {
    case .null: ""
    case .bool(let value): value ? "true" : "false"
    case .number(let text), .json(let text), .text(let text): text
    }
  }

  private static func write(_ cell: PostgresQuery.Cell, into bytes: inout [UInt8]) {
    switch cell {
    case .null: bytes += "null".utf8
    case .bool(let value): JSONText.write(value, into: &bytes)
    case .number(let text), .json(let text): bytes += text.utf8
    case .text(let text): JSONText.write(text, into: &bytes)
    }
  }
}
