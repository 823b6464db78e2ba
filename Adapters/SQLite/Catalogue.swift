import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

/// The tables in which the mirror keeps its own affairs. Their form is documented in `Docs/SQLiteMirror.md`.
struct Catalogue {
  let connection: Connection

  static let tables: [(name: String, definition: String)] = [
    (
      "headwater_checkpoint",
      """
      CREATE TABLE headwater_checkpoint (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        format INTEGER NOT NULL,
        checkpoint BLOB NOT NULL,
        database TEXT NOT NULL,
        replica TEXT NOT NULL,
        mirror TEXT NOT NULL,
        phase TEXT NOT NULL,
        generation INTEGER NOT NULL,
        position INTEGER NOT NULL,
        schema TEXT NOT NULL,
        updated TEXT NOT NULL
      ) STRICT
      """
    ),
    (
      "headwater_schema",
      """
      CREATE TABLE headwater_schema (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        name TEXT NOT NULL,
        hash TEXT NOT NULL,
        text TEXT NOT NULL,
        documentation TEXT,
        generation INTEGER NOT NULL
      ) STRICT
      """
    ),
    (
      "headwater_names",
      """
      CREATE TABLE headwater_names (
        collection TEXT NOT NULL,
        field TEXT,
        table_name TEXT NOT NULL,
        column_name TEXT,
        type TEXT,
        documentation TEXT,
        remark TEXT
      ) STRICT
      """
    ),
    (
      "headwater_manifest",
      """
      CREATE TABLE headwater_manifest (
        name TEXT NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('table', 'index')),
        collection TEXT NOT NULL,
        generation INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('filling', 'published')),
        definition TEXT NOT NULL,
        found TEXT
      ) STRICT
      """
    ),
    (
      "headwater_orphans",
      """
      CREATE TABLE headwater_orphans (
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        definition TEXT NOT NULL,
        lost TEXT NOT NULL
      ) STRICT
      """
    ),
  ]

  /// The version of these tables.
  static let format: Int64 = 1

  /// Whether the catalogue is there.
  ///
  /// - Throws: `.occupied` (halt) where tables of these names are not what this version makes.
  func exists() throws -> Bool {
    var found = 0
    for (name, definition) in Catalogue.tables {
      let query = try connection.cached(
        "SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE")
      query.bind(1, name)
      defer { query.reset() }
      guard try query.step() else { continue }
      guard query.text(0) == definition else {
        throw AdapterError(
          .occupied,
          "\(connection.path) has a table \(name) that this version of Headwater did not make: "
            + "use another file, or drop the table if it is not needed.", recovery: .halt)
      }
      found += 1
    }
    guard found == 0 || found == Catalogue.tables.count else {
      throw AdapterError(
        .damaged,
        "\(connection.path) lacks some of the tables headwater_…: delete the file and mirror again.",
        recovery: .halt)
    }
    return found > 0
  }

  func create() throws {
    for (_, definition) in Catalogue.tables { try connection.execute(definition) }
  }

  // MARK: Checkpoint

  /// The canonical bytes of the stored checkpoint; the catalogue must exist.
  func checkpoint() throws -> [UInt8]? {
    let query = try connection.cached("SELECT checkpoint FROM headwater_checkpoint WHERE id = 1")
    defer { query.reset() }
    return try query.step() ? query.bytes(0) : nil
  }

  func store(_ checkpoint: Checkpoint, bytes: [UInt8]) throws {
    let statement = try connection.cached(
      "INSERT INTO headwater_checkpoint VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        + "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) ON CONFLICT (id) DO UPDATE SET "
        + "format = excluded.format, checkpoint = excluded.checkpoint, "
        + "database = excluded.database, replica = excluded.replica, mirror = excluded.mirror, "
        + "phase = excluded.phase, generation = excluded.generation, "
        + "position = excluded.position, schema = excluded.schema, updated = excluded.updated")
    statement.bind(1, Catalogue.format)
    statement.bind(2, bytes)
    statement.bind(3, checkpoint.database.hex)
    statement.bind(4, checkpoint.replica.description)
    statement.bind(5, checkpoint.mirror)
    statement.bind(6, checkpoint.isPublished ? "tail" : "snapshot")
    statement.bind(7, checkpoint.generation)
    statement.bind(8, checkpoint.position)
    statement.bind(9, checkpoint.schema.hex)
    try statement.run()
  }

  // MARK: Names and schema

  /// Describes the published tables.
  func describe(_ plan: RelationalPlan, checkpoint: Checkpoint) throws {
    try connection.execute("DELETE FROM headwater_names")
    let insert = try connection.prepare("INSERT INTO headwater_names VALUES (?, ?, ?, ?, ?, ?, ?)")
    for table in plan.tables {
      let collection = plan.schema.collections[table.collection].name
      insert.clearBindings()
      insert.bind(1, collection)
      insert.bind(3, table.name)
      if let text = table.documentation { insert.bind(6, text) }
      try insert.run()
      for column in table.columns {
        insert.clearBindings()
        insert.bind(1, collection)
        insert.bind(2, column.fieldPath.joined(separator: "."))
        insert.bind(3, table.name)
        insert.bind(4, column.name)
        insert.bind(5, column.typeSpelling)
        if let text = column.documentation { insert.bind(6, text) }
        let omitted = table.checks.filter {
          $0.condition == nil && $0.fieldPath == column.fieldPath
        }
        if !omitted.isEmpty {
          insert.bind(
            7,
            "not declared, because SQLite cannot express it exactly: "
              + omitted.map { "@check(\($0.text))" }.joined(separator: " "))
        }
        try insert.run()
      }
    }
    let schema = try connection.prepare(
      "INSERT OR REPLACE INTO headwater_schema VALUES (1, ?, ?, ?, ?, ?)")
    schema.bind(1, plan.schema.name)
    schema.bind(2, checkpoint.schema.hex)
    schema.bind(3, plan.schema.canonicalText)
    if let text = plan.schema.documentation { schema.bind(4, text) }
    schema.bind(5, checkpoint.generation)
    try schema.run()
  }

  // MARK: Manifest

  struct Entry {
    let name: String
    let isTable: Bool
    let collection: String
    let generation: Int64
    let isPublished: Bool
    /// The statement that the plan gave, for the table's own name.
    let definition: String
    /// The statement that SQLite kept when the entry was made.
    let found: String?
    /// The statement that SQLite keeps now; nil where there is no such thing.
    let actual: String?
  }

  /// Everything that is the mirror's own, tables before indices.
  func manifest() throws -> [Entry] {
    let query = try connection.cached(
      "SELECT m.name, m.kind = 'table', m.collection, m.generation, m.state = 'published', "
        + "m.definition, m.found, s.sql FROM headwater_manifest AS m "
        + "LEFT JOIN sqlite_schema AS s ON s.name = m.name AND s.type = m.kind "
        + "ORDER BY m.kind DESC, m.rowid")
    defer { query.reset() }
    var entries: [Entry] = []
    while try query.step() {
      entries.append(
        Entry(
          name: query.text(0), isTable: query.int(1) != 0, collection: query.text(2),
          generation: query.int(3), isPublished: query.int(4) != 0, definition: query.text(5),
          found: query.isNull(6) ? nil : query.text(6),
          actual: query.isNull(7) ? nil : query.text(7)))
    }
    return entries
  }

  func enter(
    _ name: String, isTable: Bool, collection: String, generation: Int64, isPublished: Bool,
    definition: String
  ) throws {
    let insert = try connection.cached(
      "INSERT INTO headwater_manifest VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        + "(SELECT sql FROM sqlite_schema WHERE name = ?1 AND type = ?2))")
    insert.bind(1, name)
    insert.bind(2, isTable ? "table" : "index")
    insert.bind(3, collection)
    insert.bind(4, generation)
    insert.bind(5, isPublished ? "published" : "filling")
    insert.bind(6, definition)
    try insert.run()
  }

  func strike(_ name: String) throws {
    let statement = try connection.cached("DELETE FROM headwater_manifest WHERE name = ?")
    statement.bind(1, name)
    try statement.run()
  }

  /// What the file has under that name, whoever made it: `table`, `view`, `index` or `trigger`.
  ///
  /// Triggers have a namespace of their own and are not looked at.
  func kind(of name: String) throws -> String? {
    let query = try connection.cached(
      "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type <> 'trigger'")
    query.bind(1, name)
    defer { query.reset() }
    return try query.step() ? query.text(0) : nil
  }
}
