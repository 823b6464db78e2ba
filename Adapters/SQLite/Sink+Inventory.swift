import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

extension Sink {
  /// `RowInventory.rows`.
  func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int) throws -> [Row] {
    // The manifest and the rows are of one state of the file.
    try connection.readTransaction {
      try list(collection, in: schema, after: key, limit: limit)
    }
  }

  private func list(_ collection: Int, in schema: Schema, after key: Key?, limit: Int) throws
    -> [Row]
  {
    guard limit > 0, try catalogue.exists() else { return [] }
    let plan = try plan(of: schema)
    guard plan.tables.indices.contains(collection) else {
      throw AdapterError(
        .misuse, "The schema has no collection of that index.", recovery: .halt)
    }
    guard try catalogue.manifest().contains(where: \.isPublished) else { return [] }
    let name = try publishedTables(of: plan)[collection]
    let table = plan.table(collection)
    let listing = Listing(table: table, name: name)
    let query = try connection.cached(listing.statement(after: key != nil))
    defer {
      query.reset()
      query.clearBindings()
    }
    if let key {
      guard let values = table.keyValues(of: key) else {
        throw AdapterError(
          .misuse, "A key of another collection than \(name).", recovery: .halt)
      }
      let arena = BindArena()
      for (position, column) in table.primaryKey.enumerated() {
        guard
          ValueCodec.bind(
            values[position], as: table.columns[column].type, query, Int32(position + 1), arena)
        else {
          throw AdapterError(
            .misuse, "A key of another type than that of \(name).", recovery: .halt)
        }
      }
      query.bind(Int32(table.primaryKey.count + 1), limit)
      return try withExtendedLifetime(arena) { try read(query, table) }
    }
    query.bind(Int32(table.primaryKey.count + 1), limit)
    return try read(query, table)
  }

  private func read(_ query: Statement, _ table: RelationalTable) throws -> [Row] {
    var rows: [Row] = []
    var values = [Value?](repeating: nil, count: table.columns.count)
    while try query.step() {
      for (index, column) in table.columns.enumerated() {
        do throws(ValueCodec.Unreadable) {
          values[index] = try ValueCodec.read(query, Int32(index), as: column.type)
        } catch {
          throw damaged(table.name, column.name)
        }
      }
      guard let row = table.row(from: values) else { throw damaged(table.name, nil) }
      rows.append(row)
    }
    return rows
  }

  private func damaged(_ table: String, _ column: String?) -> AdapterError {
    AdapterError(
      .damaged,
      "The table \(table) holds a row that no mirror wrote\(column.map { " (see the column \($0))" } ?? "")"
        + ": somebody changed it, and a new generation will mend it.", recovery: .rebuild)
  }

  /// `RowInventory.repair`.
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint) throws {
    // A row may be repaired before the row that it refers to, in another call.
    try write(foreignKeys: false) {
      let stored = try self.checkpoint()
      guard let stored, stored == checkpoint.canonicalBytes else {
        throw AdapterError(
          .diverged,
          "\(connection.path) has moved on since it was compared: compare again.",
          recovery: .retry)
      }
      try readLayout(checkpoint: stored)
      guard layout?.fillingGeneration == nil, layout?.publishedGeneration != nil else {
        throw AdapterError(
          .misuse,
          "Only a published generation can be repaired, and none is, or a new one is being filled.",
          recovery: .halt)
      }
      try write(changes, try plan(of: schema), replacing: true)
      try noteLayout(checkpoint: stored)
    }
  }
}

/// The SELECT that lists a table in the order of its keys.
///
/// Every type but one is kept in a form that SQLite orders as `KeyEncoding` does. Decimals of more than 15 digits are
/// text: of one number of digits after the point, so they are ordered by sign, length and digits.
struct Listing {
  let table: RelationalTable
  let name: String
  private let dialect = SQLiteDialect()

  init(table: RelationalTable, name: String) {
    self.table = table
    self.name = name
  }

  /// - Parameter after: whether the parameters 1… are the key columns of the row after which to begin; the last
  ///   parameter is the limit.
  func statement(after: Bool) -> String {
    let columns = table.columnList(Array(table.columns.indices), dialect)
    var text = "SELECT \(columns) FROM \(dialect.quote(name))"
    let keys = table.primaryKey.map {
      (name: dialect.quote(table.columns[$0].name), isText: isDecimalText(table.columns[$0].type))
    }
    if after {
      if keys.contains(where: \.isText) {
        // (a > ?) or (a = ? and b > ?) or …
        text +=
          " WHERE "
          + keys.indices.map { last in
            "("
              + (keys[..<last].enumerated().map { "\($1.name) = ?\($0 + 1)" } + [
                follows(keys[last].name, "?\(last + 1)", isText: keys[last].isText)
              ]).joined(separator: " AND ") + ")"
          }.joined(separator: " OR ")
      } else {
        text +=
          " WHERE (\(keys.map(\.name).joined(separator: ", "))) > "
          + "(\(keys.indices.map { "?\($0 + 1)" }.joined(separator: ", ")))"
      }
    }
    return text + " ORDER BY "
      + keys.map { key in
        key.isText
          ? "\(signedLength(key.name)), CASE WHEN \(key.name) >= '0' THEN \(key.name) END, \(key.name) DESC"
          : key.name
      }.joined(separator: ", ") + " LIMIT ?\(keys.count + 1)"
  }

  private func isDecimalText(_ type: HeadwaterRelational.ColumnType) -> Bool {
    if case .decimal(let precision, _) = type { return precision > SQLiteDialect.exactDigits }
    return false
  }

  private func signedLength(_ column: String) -> String {
    "CASE WHEN \(column) < '0' THEN -length(\(column)) ELSE length(\(column)) END"
  }

  private func follows(_ column: String, _ parameter: String, isText: Bool) -> String {
    guard isText else { return "\(column) > \(parameter)" }
    let (a, b) = (signedLength(column), signedLength(parameter))
    return "(\(a) > \(b) OR (\(a) = \(b) AND CASE WHEN \(column) < '0' "
      + "THEN \(column) < \(parameter) ELSE \(column) > \(parameter) END))"
  }
}
