import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

extension Sink {
  /// Makes the schema and the mirror's own tables, if the role may.
  func setUp() throws {
    let found = try connection.run(
      "SELECT to_regnamespace(quote_ident($1::text)) IS NOT NULL, "
        + "has_database_privilege(current_database(), 'CREATE')", [.text(places.own)])
    // Said now rather than half way: two more schemas will be made in any case.
    guard found.bool(0, 1) else {
      throw AdapterError(
        .permission,
        "The role \(connection.user) may not make schemas in the database \(connection.database). As its owner, run: "
          + "GRANT CREATE ON DATABASE \(PostgresDialect.quote(connection.database)) TO "
          + "\(PostgresDialect.quote(connection.user));", recovery: .halt)
    }
    if found.bool(0, 0) {
      for name in Catalogue.names {
        if let kind = try kind(of: name) { throw occupied(name, kind) }
      }
    }
    try catalogue.create(options: options)
  }

  /// What is the plan's, as text: two that are equal make equal tables.
  func definition(of table: RelationalTable, _ plan: RelationalPlan) -> String {
    ([createTable(table)] + indices(of: table) + references(of: table, plan))
      .joined(separator: ";\n")
  }

  // MARK: Beginning

  /// Makes empty tables for a generation, and drops those of one that was never published.
  func begin(_ generation: Int64, _ plan: RelationalPlan) throws {
    guard layout?.publishedGeneration != generation else {
      throw AdapterError(
        .misuse, "Generation \(generation) is published and cannot be begun again.",
        recovery: .halt)
    }
    let manifest = try catalogue.manifest()
    try drop(manifest.filter { !$0.isPublished && $0.kind != "history" })
    let ours = Set(manifest.filter { $0.place == places.own }.map(\.name))
    // Said now, rather than after hours of filling.
    for table in plan.tables {
      for name in [table.name, table.companion].compactMap({ $0 }) where !ours.contains(name) {
        if let kind = try kind(of: name) { throw occupied(name, kind) }
      }
    }
    let isOurs = manifest.contains { $0.kind == "schema" && $0.place == places.tables }
    for place in [places.filling] + (isOurs ? [] : [places.tables]) {
      guard try !schemaExists(place) else {
        throw AdapterError(
          .occupied,
          "There is a schema \(place) that is not the mirror's, where one of the mirror's should be: rename it, or "
            + "name another schema for the mirror (…?schema=NAME).", recovery: .halt)
      }
    }
    var statements = ["CREATE SCHEMA \(dialect.quote(places.filling))"]
    statements.append(
      catalogue.entering(
        "schema", places.filling, places.filling, collection: nil, state: "filling",
        generation: generation, definition: ""))
    for table in plan.tables {
      statements.append(createTable(table))
      statements += comments(on: table, as: "TABLE", in: places.filling)
      statements.append(
        catalogue.entering(
          "table", places.filling, table.name,
          collection: plan.schema.collections[table.collection].name, state: "filling",
          generation: generation, definition: definition(of: table, plan)))
    }
    try connection.execute(statements.joined(separator: ";\n"))
    layout?.fillingGeneration = generation
    layout?.isKeyed = false
    try tablesChanged()
  }

  /// The table without keys, in the schema of generations that are being filled or in another.
  func createTable(_ table: RelationalTable, in place: String? = nil) -> String {
    var lines = table.columns.map { column in
      "\(dialect.quote(column.name)) \(column.nativeType)" + (column.isNullable ? "" : " NOT NULL")
        + (dialect.typeCheck(column.type, column: dialect.quote(column.name)).map {
          " CHECK (\($0))"
        } ?? "")
    }
    if configuration.hasProvenance {
      lines += ["_operation text", "_author text", "_changed timestamptz"]
    }
    return "CREATE TABLE \(Places.qualified(place ?? places.filling, table.name)) (\n  "
      + lines.joined(separator: ",\n  ") + "\n)"
  }

  /// What a table gets when it is full: unique values and indices.
  func indices(of table: RelationalTable, in place: String? = nil) -> [String] {
    let name = Places.qualified(place ?? places.filling, table.name)
    return table.indices.map { index in
      let columns = table.columnList(index.columns, dialect)
      if index.isUnique {
        return
          "ALTER TABLE \(name) ADD CONSTRAINT \(dialect.quote(index.name)) UNIQUE (\(columns)) "
          + "DEFERRABLE INITIALLY DEFERRED"
      }
      let method = method(of: index, table)
      return "CREATE INDEX \(dialect.quote(index.name)) ON \(name) "
        + (method == .document
          ? "USING gin (\(columns) jsonb_path_ops)" : "USING \(method.rawValue) (\(columns))")
    }
  }

  /// What a table gets when all are full: foreign keys.
  func references(of table: RelationalTable, _ plan: RelationalPlan, in place: String? = nil)
    -> [String]
  {
    let place = place ?? places.filling
    let name = Places.qualified(place, table.name)
    return table.foreignKeys.map { key in
      let target = plan.tables[key.target]
      return
        "ALTER TABLE \(name) ADD FOREIGN KEY (\(table.columnList(key.columns, dialect))) REFERENCES "
        + "\(Places.qualified(place, target.name)) (\(target.columnList(target.primaryKey, dialect))) "
        + "DEFERRABLE INITIALLY DEFERRED"
    }
  }

  private func method(of index: RelationalTable.Index, _ table: RelationalTable) -> IndexMethod {
    let types = index.columns.map { table.columns[$0].type }
    return types.count == 1 ? IndexMethod(types[0]) : .tree
  }

  /// The name of the index's access method.
  func indexMethod(_ index: RelationalTable.Index, _ table: RelationalTable) -> String {
    let method = method(of: index, table)
    return method == .document ? "gin" : method.rawValue
  }

  /// How a column is indexed: a B-tree refuses a row whose value is longer than about 2,700 bytes.
  private enum IndexMethod: String {
    case tree = "btree"
    case hash
    case document

    init(_ type: ColumnType) {
      self =
        switch type {
        case .text(let limit): limit ?? .max <= 600 ? .tree : .hash
        case .bytes(let limit): limit ?? .max <= 2_400 ? .tree : .hash
        case .json: .document
        default: .tree
        }
    }
  }

  // MARK: Publishing

  /// Puts the tables of the generation being filled in the place of the published ones.
  ///
  /// All of it is in the caller's transaction: a reader sees the rows before or the rows after.
  func publish(_ generation: Int64, _ plan: RelationalPlan, checkpoint: Checkpoint) throws {
    guard layout?.fillingGeneration == generation else {
      throw AdapterError(
        .misuse, "Generation \(generation) was not begun and cannot be published.",
        recovery: .halt)
    }
    try checkTargets(plan)
    if layout?.isKeyed == false { try addKeys(plan) }
    // References last: each is looked up through the other table's key.
    let keys =
      plan.tables.flatMap { indices(of: $0) } + plan.tables.flatMap { references(of: $0, plan) }
    if !keys.isEmpty { try connection.execute(keys.joined(separator: ";\n")) }
    let names = plan.tables.map { Places.qualified(places.filling, $0.name) }
    if !names.isEmpty { try connection.execute("ANALYZE \(names.joined(separator: ", "))") }

    let manifest = try catalogue.manifest()
    let grants = try grants(in: places.tables)
    // From here on readers wait.
    try publishViews(plan, manifest, generation: generation)
    try drop(manifest.filter { $0.isPublished && ($0.kind == "table" || $0.kind == "schema") })
    var statements = [
      "ALTER SCHEMA \(dialect.quote(places.filling)) RENAME TO \(dialect.quote(places.tables))",
      "UPDATE \(places.own("headwater_manifest")) SET state = 'published', place = "
        + "\(PostgresDialect.literal(places.tables)) WHERE place = \(PostgresDialect.literal(places.filling))",
      "UPDATE \(places.own("headwater_manifest")) SET name = \(PostgresDialect.literal(places.tables)) "
        + "WHERE kind = 'schema'",
    ]
    statements += catalogue.describing(plan, checkpoint: checkpoint)
    try connection.execute(statements.joined(separator: ";\n"))
    if configuration.keepsHistory {
      try publishHistory(plan, generation: generation, position: checkpoint.position)
    }
    try grantAgain(grants, plan)
    try admitReader()
    isBeingMended = false
    layout?.publishedGeneration = generation
    layout?.fillingGeneration = nil
    layout?.isKeyed = true
    try tablesChanged()
  }

  // MARK: Dropping

  /// Drops what the manifest lists, tables before their schema, and strikes it from the list.
  func drop(_ entries: [Catalogue.Entry]) throws {
    guard !entries.isEmpty else { return }
    let tables = entries.filter { $0.kind == "table" }
    var statements: [String] = []
    if !tables.isEmpty {
      statements.append(
        "DROP TABLE IF EXISTS "
          + tables.map { Places.qualified($0.place, $0.name) }.joined(separator: ", "))
    }
    for entry in entries {
      if entry.kind == "schema" {
        statements.append("DROP SCHEMA IF EXISTS \(dialect.quote(entry.place))")
      }
      statements.append(
        "DELETE FROM \(places.own("headwater_manifest")) WHERE kind = \(PostgresDialect.literal(entry.kind)) AND place = "
          + "\(PostgresDialect.literal(entry.place)) AND name = \(PostgresDialect.literal(entry.name))"
      )
    }
    do {
      try connection.execute(statements.joined(separator: ";\n"))
    } catch {
      guard error.sqlState == "2BP01" else { throw error }
      throw AdapterError(
        .occupied,
        "Something depends on the tables of the old generation in \(places.tables), or stands beside them (\(dependents(error))). "
          + "Move what is yours to a schema of your own, and let it read the views in \(places.own), which stay.",
        recovery: .halt, cause: error)
    }
  }

  private func dependents(_ error: ServerError) -> String { error.message }

  // MARK: What others have

  /// What the mirror's schema has under that name, whoever made it.
  func kind(of name: String, in place: String? = nil) throws -> String? {
    let found = try connection.run(
      "SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' "
        + "WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'table' END FROM pg_class AS c "
        + "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname = $2::text",
      [.text(place ?? places.own), .text(name)])
    return found.rowCount > 0 ? found.text(0, 0) : nil
  }

  private func schemaExists(_ name: String) throws -> Bool {
    try connection.run(
      "SELECT FROM pg_namespace WHERE nspname = $1::text", [.text(name)]
    ).rowCount > 0
  }

  func occupied(_ name: String, _ kind: String) -> AdapterError {
    AdapterError(
      .occupied,
      "The schema \(places.own) has \(kind == "index" ? "an" : "a") \(kind) called \(name) that is not the mirror's, where one "
        + "of the mirror's should be: rename it, or name another schema (…?schema=NAME).",
      recovery: .halt)
  }
}
