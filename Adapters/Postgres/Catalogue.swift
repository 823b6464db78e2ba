import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

/// The tables in which the mirror keeps its own affairs. Their form is documented in `Docs/Postgres.md`.
struct Catalogue {
  let connection: ServerConnection
  let places: Places

  /// The version of these tables, and the mark by which they are known.
  static let format = 1
  private static let mark = "Made by Headwater, format \(format)."

  private static let tables: [(name: String, columns: String)] = [
    (
      "headwater_checkpoint",
      """
      id integer PRIMARY KEY CHECK (id = 1),
      format integer NOT NULL,
      options text NOT NULL,
      checkpoint bytea NOT NULL,
      database text, replica uuid, mirror text, phase text, generation bigint, position bigint,
      schema text, written timestamptz, committed timestamptz
      """
    ),
    (
      "headwater_schema",
      """
      id integer PRIMARY KEY CHECK (id = 1),
      name text NOT NULL, hash text NOT NULL, text text NOT NULL, documentation text,
      generation bigint NOT NULL
      """
    ),
    (
      "headwater_names",
      """
      collection text NOT NULL, field text, table_name text NOT NULL, column_name text, type text,
      documentation text, remark text
      """
    ),
    (
      "headwater_manifest",
      """
      kind text NOT NULL CHECK (kind IN ('schema', 'table', 'view', 'history')),
      place text NOT NULL, name text NOT NULL, collection text,
      state text NOT NULL CHECK (state IN ('filling', 'keyed', 'published')),
      generation bigint NOT NULL, definition text NOT NULL,
      PRIMARY KEY (place, name, kind)
      """
    ),
    (
      "headwater_orphans",
      "name text NOT NULL, definition text NOT NULL, lost timestamptz NOT NULL DEFAULT now()"
    ),
  ]

  /// Names in the mirror's schema that are taken whatever the schema of the database.
  static let names = tables.map(\.name) + ["status"]

  // MARK: Making and finding

  /// Whether the catalogue is there.
  ///
  /// - Throws: `.occupied` (halt) where tables of these names are not what this version makes.
  func exists() throws -> Bool {
    let found = try connection.run(
      "SELECT obj_description(c.oid, 'pg_class') FROM pg_class AS c JOIN pg_namespace AS n "
        + "ON n.oid = c.relnamespace WHERE n.nspname = $1::text "
        + "AND c.relname = 'headwater_checkpoint'", [.text(places.own)])
    guard found.rowCount > 0 else { return false }
    guard found.text(0, 0) == Catalogue.mark else {
      throw AdapterError(
        .occupied,
        "The schema \(places.own) has a table headwater_checkpoint that this version of Headwater did "
          + "not make: name another schema (…?schema=NAME), or drop that one if it is not needed.",
        recovery: .halt)
    }
    return true
  }

  func create(options: String) throws {
    let schema = PostgresDialect.quote(places.own)
    var statements = ["CREATE SCHEMA IF NOT EXISTS \(schema)"]
    for (name, columns) in Catalogue.tables {
      // Few rows that change all the time: room in the page keeps an update from touching an index.
      let storage = name == "headwater_checkpoint" ? " WITH (fillfactor = 10)" : ""
      statements.append("CREATE TABLE \(places.own(name)) (\(columns))\(storage)")
      statements.append(
        "COMMENT ON TABLE \(places.own(name)) IS \(PostgresDialect.literal(Catalogue.mark))")
    }
    statements.append(
      "INSERT INTO \(places.own("headwater_checkpoint")) (id, format, options, checkpoint) "
        + "VALUES (1, \(Catalogue.format), \(PostgresDialect.literal(options)), '')")
    statements.append(
      "CREATE VIEW \(places.own("status")) AS SELECT c.mirror, c.phase, c.generation, "
        + "c.position, c.committed, c.written, c.committed - c.written AS lag, c.options, "
        + "s.name AS schema, c.schema AS schema_hash, c.database, c.replica "
        + "FROM \(places.own("headwater_checkpoint")) AS c "
        + "LEFT JOIN \(places.own("headwater_schema")) AS s ON s.id = c.id")
    statements.append(
      "COMMENT ON VIEW \(places.own("status")) IS 'How far the mirror is: the position of the last event, when it "
        + "was committed here, when its author wrote it, and how long that took.'")
    try connection.execute(statements.joined(separator: ";\n"))
  }

  // MARK: Checkpoint

  /// The canonical bytes of the stored checkpoint, and the options that the tables were made with; the catalogue
  /// must exist.
  func checkpoint() throws -> (bytes: [UInt8]?, options: String) {
    let found = try connection.run(
      "SELECT checkpoint, options FROM \(places.own("headwater_checkpoint")) WHERE id = 1")
    guard found.rowCount == 1 else {
      throw AdapterError(
        .damaged,
        "The table headwater_checkpoint of the schema \(places.own) is empty: drop the schemas "
          + "\(places.own), \(places.tables) and \(places.filling), and mirror again.",
        recovery: .halt)
    }
    let bytes = Array(found.bytes(0, 0))
    return (bytes.isEmpty ? nil : bytes, found.text(0, 1))
  }

  /// Moves the checkpoint from one to the next and tells who listens; fails with a division by zero where it is not
  /// at the former. The last statement before the commit.
  func move(from previous: [UInt8]?, to next: Checkpoint, bytes: [UInt8], written: Int64?) -> (
    sql: String, parameters: [Parameter]
  ) {
    let sql =
      "WITH moved AS (UPDATE \(places.own("headwater_checkpoint")) SET checkpoint = $2::bytea, "
      + "database = $3::text, replica = $4::text::uuid, mirror = $5::text, phase = $6::text, "
      + "generation = $7::int8, position = $8::int8, schema = $9::text, "
      + "written = coalesce(to_timestamp($10::int8 / 1000.0), written), committed = clock_timestamp() "
      + "WHERE id = 1 AND checkpoint = $1::bytea RETURNING 1) "
      + "SELECT pg_notify($11::text, $8::int8::text), 1 / (SELECT count(*) FROM moved)"
    return (
      sql,
      [
        .bytes(previous ?? []), .bytes(bytes), .text(next.database.hex),
        .text(next.replica.description), .text(next.mirror),
        .text(next.isPublished ? "tail" : "snapshot"), .int(next.generation), .int(next.position),
        .text(next.schema.hex), .int(written), .text(places.own),
      ]
    )
  }

  func setOptions(_ options: String) throws {
    try connection.run(
      "UPDATE \(places.own("headwater_checkpoint")) SET options = $1::text", [.text(options)])
  }

  // MARK: Manifest

  struct Entry {
    let kind: String
    let place: String
    let name: String
    let collection: String
    let state: String
    let generation: Int64
    let definition: String

    var isPublished: Bool { state == "published" }
  }

  /// Everything that is the mirror's own, in the order in which it was made.
  func manifest() throws -> [Entry] {
    let found = try connection.run(
      "SELECT kind, place, name, coalesce(collection, ''), state, generation, definition "
        + "FROM \(places.own("headwater_manifest")) ORDER BY ctid")
    return (0..<found.rowCount).map { row in
      Entry(
        kind: found.text(row, 0), place: found.text(row, 1), name: found.text(row, 2),
        collection: found.text(row, 3), state: found.text(row, 4), generation: found.int(row, 5),
        definition: found.text(row, 6))
    }
  }

  /// The statement that lists something as the mirror's own.
  func entering(
    _ kind: String, _ place: String, _ name: String, collection: String?, state: String,
    generation: Int64, definition: String
  ) -> String {
    let values =
      [kind, place, name].map(PostgresDialect.literal)
      + [collection.map(PostgresDialect.literal) ?? "NULL", PostgresDialect.literal(state)]
      + ["\(generation)", PostgresDialect.literal(definition)]
    return "INSERT INTO \(places.own("headwater_manifest")) (kind, place, name, collection, state, "
      + "generation, definition) VALUES (\(values.joined(separator: ", "))) "
      + "ON CONFLICT (place, name, kind) DO UPDATE SET collection = excluded.collection, "
      + "state = excluded.state, generation = excluded.generation, definition = excluded.definition"
  }

  // MARK: Names and schema

  /// The statements that describe the published tables.
  func describing(_ plan: RelationalPlan, checkpoint: Checkpoint) -> [String] {
    func literal(_ text: String?) -> String { text.map(PostgresDialect.literal) ?? "NULL" }
    var rows: [String] = []
    for table in plan.tables {
      let collection = literal(plan.schema.collections[table.collection].name)
      rows.append(
        "(\(collection), NULL, \(literal(table.name)), NULL, NULL, "
          + "\(literal(table.documentation)), NULL)")
      for column in table.columns {
        let omitted = table.checks.filter {
          $0.condition == nil && $0.fieldPath == column.fieldPath
        }
        let remark =
          omitted.isEmpty
          ? nil
          : "holds for rows written since it was declared: "
            + omitted.map { "@check(\($0.text))" }.joined(separator: " ")
        let cells = [
          literal(column.fieldPath.joined(separator: ".")), literal(table.name),
          literal(column.name), literal(column.typeSpelling), literal(column.documentation),
          literal(remark),
        ]
        rows.append("(\(collection), \(cells.joined(separator: ", ")))")
      }
    }
    var statements = ["DELETE FROM \(places.own("headwater_names"))"]
    if !rows.isEmpty {
      statements.append(
        "INSERT INTO \(places.own("headwater_names")) VALUES \(rows.joined(separator: ",\n"))")
    }
    let schema = plan.schema
    statements.append("DELETE FROM \(places.own("headwater_schema"))")
    statements.append(
      "INSERT INTO \(places.own("headwater_schema")) VALUES (1, \(literal(schema.name)), "
        + "\(literal(checkpoint.schema.hex)), \(literal(schema.canonicalText)), "
        + "\(literal(schema.documentation)), \(checkpoint.generation))")
    return statements
  }
}
