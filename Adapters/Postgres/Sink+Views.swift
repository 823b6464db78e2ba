import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

extension Sink {
  /// The statements that carry documentation over to a table or a view and its columns.
  func comments(on table: RelationalTable, as kind: String, in place: String) -> [String] {
    let name = Places.qualified(place, table.name)
    var statements: [String] = []
    if let text = table.documentation {
      statements.append("COMMENT ON \(kind) \(name) IS \(PostgresDialect.literal(text))")
    }
    for column in table.columns {
      // The type as the schema has it says more than the column's: `Principal`, `Supplier?`.
      var text = column.documentation.map { $0 + "\n" } ?? ""
      text += column.typeSpelling
      for check in table.checks where check.fieldPath == column.fieldPath {
        text += " @check(\(check.text))"
      }
      statements.append(
        "COMMENT ON COLUMN \(name).\(dialect.quote(column.name)) IS \(PostgresDialect.literal(text))"
      )
    }
    return statements
  }

  // MARK: Stable views

  /// Makes the views that readers know show the tables of the generation being filled.
  ///
  /// A view that keeps its columns stays the same object, so that what others built on it, and were granted, stays.
  func publishViews(
    _ plan: RelationalPlan, _ manifest: [Catalogue.Entry], generation: Int64
  ) throws {
    let old = manifest.filter { $0.kind == "view" }
    let wanted = Set(plan.tables.map(\.name))
    for entry in old where !wanted.contains(entry.name) { try dropView(entry.name) }
    for table in plan.tables {
      let columns = table.columns.map { ($0.name, $0.nativeType) } + provenanceColumns
      let body = viewBody(table, from: places.filling)
      let isOurs = old.contains { $0.name.utf8.elementsEqual(table.name.utf8) }
      let kind = try kind(of: table.name)
      if let kind, !isOurs || kind != "view" { throw occupied(table.name, kind) }
      var dependents: [Dependent] = []
      if kind != nil, try !extends(columns, table.name) {
        dependents = try self.dependents(of: table.name)
        try dropView(table.name, dependents)
      }
      var statements = ["CREATE OR REPLACE \(body)"]
      statements += comments(on: table, as: "VIEW", in: places.own)
      statements.append(
        catalogue.entering(
          "view", places.own, table.name,
          collection: plan.schema.collections[table.collection].name, state: "published",
          generation: generation, definition: ""))
      try connection.execute(statements.joined(separator: ";\n"))
      for dependent in dependents { try restore(dependent) }
    }
  }

  /// What stands behind CREATE in the making of a reader's view.
  func viewBody(_ table: RelationalTable, from place: String) -> String {
    let columns = table.columns.map { ($0.name, $0.nativeType) } + provenanceColumns
    let names = columns.map { dialect.quote($0.0) }.joined(separator: ", ")
    return "VIEW \(places.own(table.name)) AS SELECT \(names) FROM "
      + Places.qualified(place, table.name)
  }

  var provenanceColumns: [(String, String)] {
    configuration.hasProvenance
      ? [
        ("_operation", "text"), ("_author", "text"), ("_changed", "timestamp with time zone"),
      ] : []
  }

  /// Whether the view may be replaced in place: all its columns are the first of the new ones.
  func extends(_ columns: [(String, String)], _ view: String, exactly: Bool = false) throws -> Bool
  {
    let found = try connection.run(
      "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a "
        + "JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        + "WHERE n.nspname = $1::text AND c.relname = $2::text AND a.attnum > 0 AND NOT a.attisdropped "
        + "ORDER BY a.attnum", [.text(places.own), .text(view)])
    guard found.rowCount <= columns.count, !exactly || found.rowCount == columns.count else {
      return false
    }
    return (0..<found.rowCount).allSatisfy { row in
      found.text(row, 0) == columns[row].0
        && found.text(row, 1) == String(columns[row].1.split(separator: " COLLATE ")[0])
    }
  }

  /// A view of somebody's that reads, directly or by way of others, one of the mirror's.
  struct Dependent {
    let name: String
    let kind: String
    let owner: String
    let definition: String
    let grants: [String]
  }

  /// What reads the view, in the order in which it can be made again.
  func dependents(of view: String) throws -> [Dependent] {
    let found = try connection.run(
      """
      WITH RECURSIVE reads (oid, depth) AS (
        SELECT c.oid, 0 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1::text AND c.relname = $2::text
        UNION
        SELECT r.ev_class, reads.depth + 1 FROM reads
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = reads.oid
          AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> reads.oid
        WHERE reads.depth < 64
      )
      SELECT format('%I.%I', n.nspname, c.relname), CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
        quote_ident(pg_get_userbyid(c.relowner)), pg_get_viewdef(c.oid), coalesce((SELECT string_agg(
          format('GRANT %s ON %I.%I TO %s', a.privilege_type, n.nspname, c.relname,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END), ';')
          FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner), '')
      FROM (SELECT oid, max(depth) AS depth FROM reads GROUP BY oid) AS reads
      JOIN pg_class AS c ON c.oid = reads.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE reads.depth > 0 ORDER BY reads.depth, c.oid
      """, [.text(places.own), .text(view)])
    return (0..<found.rowCount).map { row in
      let grants = found.text(row, 4)
      return Dependent(
        name: found.text(row, 0), kind: found.text(row, 1), owner: found.text(row, 2),
        definition: found.text(row, 3), grants: grants.isEmpty ? [] : [grants])
    }
  }

  private func dropView(_ name: String) throws {
    let dependents = try dependents(of: name)
    try dropView(name, dependents)
    for dependent in dependents { try keepAsText(dependent) }
  }

  func dropView(_ name: String, _ dependents: [Dependent]) throws {
    var statements = dependents.reversed().map { "DROP \($0.kind) \($0.name)" }
    statements.append("DROP VIEW IF EXISTS \(places.own(name))")
    statements.append(
      "DELETE FROM \(places.own("headwater_manifest")) WHERE kind = 'view' AND name = "
        + PostgresDialect.literal(name))
    do {
      try connection.execute(statements.joined(separator: "; "))
    } catch {
      guard error.sqlState == "42501" else { throw error }
      let names = dependents.map { "\($0.name) of \($0.owner)" }.joined(separator: ", ")
      throw AdapterError(
        .permission,
        "The view \(places.own).\(name) gets other columns, and views that the role \(connection.user) may not drop read it "
          + "(\(names)): drop them and make them again afterwards, or GRANT their owners' roles to \(connection.user).",
        recovery: .halt, cause: error)
    }
  }

  /// Makes the view again; if the new columns do not allow it, its text is kept.
  func restore(_ dependent: Dependent) throws {
    try connection.execute("SAVEPOINT headwater_restore")
    let statements =
      ["CREATE \(dependent.kind) \(dependent.name) AS \(dependent.definition)"]
      + ["ALTER \(dependent.kind) \(dependent.name) OWNER TO \(dependent.owner)"] + dependent.grants
    do {
      // The text ends in a semicolon, as the server writes it.
      for statement in statements { try connection.execute(statement) }
    } catch {
      guard error.sqlState?.hasPrefix("42") == true else { throw error }
      try connection.execute("ROLLBACK TO headwater_restore")
      try keepAsText(dependent)
    }
    try connection.execute("RELEASE headwater_restore")
  }

  private func keepAsText(_ dependent: Dependent) throws {
    try connection.run(
      "INSERT INTO \(places.own("headwater_orphans")) (name, definition) VALUES ($1::text, $2::text)",
      [
        .text(dependent.name),
        .text("CREATE \(dependent.kind) \(dependent.name) AS \(dependent.definition)"),
      ])
  }

  // MARK: Readers

  /// A privilege on a table that a new generation has to grant again.
  struct Grant {
    let table: String
    let statement: String
  }

  /// What others were granted on the tables of a schema, and on the schema.
  func grants(in place: String) throws -> [Grant] {
    let found = try connection.run(
      """
      SELECT c.relname::text, format('GRANT %s ON %I.%I TO %s', a.privilege_type, n.nspname, c.relname,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
      WHERE n.nspname = $1::text AND c.relkind = 'r' AND a.grantee <> c.relowner
      UNION ALL
      SELECT '', format('GRANT %s ON SCHEMA %I TO %s', a.privilege_type, n.nspname,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
      FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
      WHERE n.nspname = $1::text AND a.grantee <> n.nspowner
      """, [.text(place)])
    return (0..<found.rowCount).map {
      Grant(table: found.text($0, 0), statement: found.text($0, 1))
    }
  }

  /// What others were granted on the views, which go with them.
  func viewGrants() throws -> [Grant] {
    let found = try connection.run(
      """
      SELECT c.relname::text, format('GRANT %s ON %I.%I TO %s', a.privilege_type, n.nspname, c.relname,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
      WHERE n.nspname = $1::text AND c.relkind = 'v' AND a.grantee <> c.relowner
      """, [.text(places.own)])
    return (0..<found.rowCount).map {
      Grant(table: found.text($0, 0), statement: found.text($0, 1))
    }
  }

  func grantAgain(_ grants: [Grant], _ plan: RelationalPlan) throws {
    let names = Set(plan.tables.map(\.name) + [""])
    let statements = grants.filter { names.contains($0.table) }.map(\.statement)
    if !statements.isEmpty { try connection.execute(statements.joined(separator: "; ")) }
  }

  /// Lets the reader's role read, and makes it if there is none.
  func admitReader() throws {
    guard let reader = configuration.reader else { return }
    let role = dialect.quote(reader)
    let found = try connection.run(
      "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text), "
        + "(SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user)",
      [.text(reader)])
    var statements: [String] = []
    if !found.bool(0, 0) {
      guard found.bool(0, 1) else {
        throw AdapterError(
          .permission,
          "There is no role \(reader), and \(connection.user) may not make one. As a superuser, run: CREATE ROLE \(role);",
          recovery: .halt)
      }
      statements.append("CREATE ROLE \(role) NOLOGIN")
    }
    for place in [places.own, places.tables] {
      statements.append("GRANT USAGE ON SCHEMA \(dialect.quote(place)) TO \(role)")
      statements.append("GRANT SELECT ON ALL TABLES IN SCHEMA \(dialect.quote(place)) TO \(role)")
    }
    try connection.execute(statements.joined(separator: "; "))
  }
}
