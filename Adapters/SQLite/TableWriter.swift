import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

/// Writes and deletes rows of one table with statements that are compiled once. Confined like its connection.
final class TableWriter {
  let table: RelationalTable
  private let connection: Connection
  private let dialect: SQLiteDialect
  /// Where the rows go: the table's own name, or that of a generation being filled.
  private let target: String
  private let arena: BindArena
  private var upserts: [Statement?] = [nil, nil, nil]
  private var deletion: Statement?
  private let rowsPerStatement: [Int]
  private let uniqueColumns: [Int]

  init(
    _ table: RelationalTable, named target: String, connection: Connection, arena: BindArena
  ) {
    self.table = table
    self.target = target
    self.connection = connection
    self.arena = arena
    dialect = SQLiteDialect()
    // SQLite allows 32,766 parameters where it was not compiled to allow more.
    let most = max(1, 32_766 / table.columns.count)
    rowsPerStatement = [min(64, most), min(8, most), 1]
    uniqueColumns = table.indices.filter(\.isUnique).flatMap(\.columns)
  }

  // MARK: Writing

  /// Inserts the rows, or updates them where their keys exist.
  func upsert(_ count: Int, row: (Int) throws -> Row) throws {
    var next = 0
    for (size, batch) in rowsPerStatement.enumerated() {
      while count - next >= batch {
        let statement = try upsertStatement(size)
        arena.reset()
        var parameter: Int32 = 1
        for index in next..<next + batch { try bind(try row(index), statement, &parameter) }
        try statement.run()
        next += batch
      }
    }
  }

  private func bind(_ row: Row, _ statement: Statement, _ parameter: inout Int32) throws {
    guard row.values.count == table.fieldCount else { throw misfit() }
    for column in table.columns {
      guard
        ValueCodec.bind(column.value(in: row), as: column.type, statement, parameter, arena)
      else { throw misfit() }
      parameter += 1
    }
  }

  private func upsertStatement(_ size: Int) throws(SQLiteError) -> Statement {
    if let statement = upserts[size] { return statement }
    let columns = Array(table.columns.indices)
    let tuple = "(" + columns.map { _ in "?" }.joined(separator: ",") + ")"
    let assignments = columns.filter { !table.primaryKey.contains($0) }.map {
      let name = dialect.quote(table.columns[$0].name)
      return "\(name)=excluded.\(name)"
    }
    let statement = try connection.prepare(
      "INSERT INTO \(dialect.quote(target)) (\(table.columnList(columns, dialect))) VALUES "
        + [String](repeating: tuple, count: rowsPerStatement[size]).joined(separator: ",")
        + " ON CONFLICT (\(table.columnList(table.primaryKey, dialect))) DO "
        + (assignments.isEmpty ? "NOTHING" : "UPDATE SET " + assignments.joined(separator: ",")))
    upserts[size] = statement
    return statement
  }

  // MARK: Deleting

  /// Deletes the row with that key, if there is one.
  func delete(_ key: Key) throws {
    guard let values = table.keyValues(of: key) else { throw misfit() }
    let statement = try deletionStatement()
    arena.reset()
    for (index, column) in table.primaryKey.enumerated() {
      guard
        ValueCodec.bind(
          values[index], as: table.columns[column].type, statement, Int32(index + 1), arena)
      else { throw misfit() }
    }
    try statement.run()
  }

  private func deletionStatement() throws(SQLiteError) -> Statement {
    if let deletion { return deletion }
    let condition = table.primaryKey.map { "\(dialect.quote(table.columns[$0].name)) = ?" }
    let statement = try connection.prepare(
      "DELETE FROM \(dialect.quote(target)) WHERE \(condition.joined(separator: " AND "))")
    deletion = statement
    return statement
  }

  /// Whether the change gives the row another unique value, so that the old one has to go first: SQLite checks
  /// unique indices row by row.
  func movesUniqueValue(_ change: Change) -> Bool {
    guard !uniqueColumns.isEmpty, let before = change.before, let after = change.after,
      before.values.count == table.fieldCount, after.values.count == table.fieldCount
    else { return false }
    return uniqueColumns.contains {
      table.columns[$0].value(in: before) != table.columns[$0].value(in: after)
    }
  }

  private func misfit() -> AdapterError {
    AdapterError(
      .misuse, "A row for \(table.name) does not have the types of the schema it came with.",
      recovery: .halt)
  }
}
