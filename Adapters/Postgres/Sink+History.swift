import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

/// The tables `…_history`: every version of every row, and when it was current.
///
/// They stand in the mirror's own schema and outlive generations. A version is open as long as it is current.
extension Sink {
  /// What the columns of a history table are beyond those of the rows.
  private static let columns =
    "_operation text, _author text, _changed timestamptz, _reason text, _from_position bigint NOT NULL, "
    + "_from timestamptz NOT NULL, _until_position bigint, _until timestamptz, _end_operation text, "
    + "_end_author text, _end_reason text"

  /// The statements that close the versions which the changes end, and open those which they begin.
  func history(of groups: [Group], position: Int64) throws -> [(
    sql: String, parameters: [Parameter]
  )] {
    var statements: [(sql: String, parameters: [Parameter])] = []
    for group in groups {
      guard let name = group.writer.table.companion else { continue }
      let history = places.own(name)
      let ended = group.deleted + group.upserts
      for part in ended.chunked(paths.arrayRows) {
        statements.append(
          (
            closing(history, group.writer),
            try group.writer.keyArrays(of: part.map(\.key))
              + group.writer.causes(of: part, alone: true) + [.int(position)]
          ))
      }
      for part in group.upserts.chunked(paths.arrayRows) {
        statements.append(
          (
            opening(history, group.writer),
            try group.writer.arrays(of: part)
              + [group.writer.causes(of: part, alone: false)[0], .int(position)]
          ))
      }
    }
    return statements
  }

  private func closing(_ history: String, _ writer: TableWriter) -> String {
    let keys = writer.table.primaryKey
    let arrays = keys.map { writer.columns[$0].array } + ["text[]", "text[]", "text[]"]
    let parameters = arrays.enumerated().map { "$\($0 + 1)::\($1)" }
    let names = keys.indices.map { "k\($0)" } + ["o", "a", "r"]
    let matches = zip(keys, names).map { "h.\(writer.columns[$0].name) = u.\($1)" }
    return
      "UPDATE \(history) AS h SET _until_position = $\(arrays.count + 1)::int8, _until = now(), "
      + "_end_operation = u.o, _end_author = u.a, _end_reason = u.r FROM unnest("
      + "\(parameters.joined(separator: ", "))) AS u(\(names.joined(separator: ", "))) "
      + "WHERE \(matches.joined(separator: " AND ")) AND h._until_position IS NULL"
  }

  private func opening(_ history: String, _ writer: TableWriter) -> String {
    let arrays = writer.columns.map(\.array) + ["text[]"]
    let parameters = arrays.enumerated().map { "$\($0 + 1)::\($1)" }
    return "INSERT INTO \(history) (\(writer.names), _reason, _from_position, _from) "
      + "SELECT u.*, $\(arrays.count + 1)::int8, now() FROM unnest(\(parameters.joined(separator: ", "))) AS u"
  }

  /// Brings the history tables to the plan's columns, and to the rows of the generation that was just published.
  func publishHistory(_ plan: RelationalPlan, generation: Int64, position: Int64) throws {
    for table in plan.tables {
      guard let name = table.companion else { continue }
      let history = places.own(name)
      let keys = table.columnList(table.primaryKey, dialect)
      if try kind(of: name) == nil {
        let columns = table.columns.map { "\(dialect.quote($0.name)) \($0.nativeType)" }
        try connection.execute(
          [
            "CREATE TABLE \(history) (\((columns + [Sink.columns]).joined(separator: ", ")))",
            "CREATE UNIQUE INDEX ON \(history) (\(keys)) WHERE _until_position IS NULL",
            "CREATE INDEX ON \(history) (\(keys), _from_position)",
            "COMMENT ON TABLE \(history) IS "
              + PostgresDialect.literal("Every version of the rows of \(table.name)."),
            catalogue.entering(
              "history", places.own, name,
              collection: plan.schema.collections[table.collection].name, state: "published",
              generation: generation, definition: ""),
          ].joined(separator: ";\n"))
      } else {
        try adjust(name, to: table, generation: generation)
      }
      let names =
        (table.columns.map { dialect.quote($0.name) } + ["_operation", "_author", "_changed"])
        .joined(separator: ", ")
      let same = table.columns.map {
        "t.\(dialect.quote($0.name)) IS NOT DISTINCT FROM h.\(dialect.quote($0.name))"
      }
      let match = table.primaryKey.map {
        let column = dialect.quote(table.columns[$0].name)
        return "t.\(column) = h.\(column)"
      }
      let current = Places.qualified(places.tables, table.name)
      try connection.execute(
        "UPDATE \(history) AS h SET _until_position = \(position), _until = now(), _end_reason = 'rebuilt' "
          + "WHERE _until_position IS NULL AND NOT EXISTS (SELECT FROM \(current) AS t WHERE "
          + "\(same.joined(separator: " AND "))); INSERT INTO \(history) (\(names), _reason, _from_position, _from) "
          + "SELECT \(names), 'snapshot', \(position), now() FROM \(current) AS t WHERE NOT EXISTS "
          + "(SELECT FROM \(history) AS h WHERE h._until_position IS NULL AND \(match.joined(separator: " AND ")))"
      )
    }
  }

  /// Gives a history table the columns that it lacks. A column whose type has changed is kept under another name.
  private func adjust(_ name: String, to table: RelationalTable, generation: Int64) throws {
    let found = try connection.run(
      "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a "
        + "WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped",
      [.text(places.own(name))])
    var types: [String: String] = [:]
    for row in 0..<found.rowCount { types[found.text(row, 0)] = found.text(row, 1) }
    var statements: [String] = []
    for column in table.columns {
      let type = String(column.nativeType.split(separator: " COLLATE ")[0])
      if types[column.name] == type { continue }
      if types[column.name] != nil {
        statements.append(
          "ALTER TABLE \(places.own(name)) RENAME COLUMN \(dialect.quote(column.name)) TO "
            + dialect.quote("\(column.name.prefix(40))__g\(generation)"))
      }
      statements.append(
        "ALTER TABLE \(places.own(name)) ADD COLUMN \(dialect.quote(column.name)) \(column.nativeType)"
      )
    }
    if !statements.isEmpty { try connection.execute(statements.joined(separator: ";\n")) }
  }
}

extension Array {
  /// Parts of at most `size` elements.
  func chunked(_ size: Int) -> [[Element]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}
