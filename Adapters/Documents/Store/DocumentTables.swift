import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// The tables of a file of documents. Their form is documented in `Docs/Documents.md`.
struct DocumentTables {
  let connection: Connection

  /// What is in the header of such a file, at byte 68.
  static let applicationID: Int64 = 0x4857_646F  // "HWdo"

  static let own: [(name: String, definition: String)] = [
    (
      "headwater_state",
      """
      CREATE TABLE headwater_state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        format INTEGER NOT NULL,
        checkpoint BLOB NOT NULL,
        database TEXT NOT NULL,
        replica TEXT NOT NULL,
        mirror TEXT NOT NULL,
        phase TEXT NOT NULL,
        position INTEGER NOT NULL,
        schema TEXT NOT NULL,
        published INTEGER,
        filling INTEGER
      ) STRICT
      """
    ),
    (
      "headwater_generations",
      """
      CREATE TABLE headwater_generations (
        generation INTEGER PRIMARY KEY,
        schema TEXT NOT NULL
      ) STRICT
      """
    ),
    (
      "headwater_collections",
      """
      CREATE TABLE headwater_collections (
        generation INTEGER NOT NULL,
        number INTEGER NOT NULL,
        collection TEXT NOT NULL,
        table_name TEXT NOT NULL UNIQUE,
        documentation TEXT,
        json_schema TEXT NOT NULL,
        PRIMARY KEY (generation, number)
      ) STRICT
      """
    ),
  ]

  struct State {
    var checkpoint: [UInt8]
    var published: Int64?
    var filling: Int64?
  }

  /// Whether the file is one of documents.
  ///
  /// - Throws: `.occupied` (halt) where tables of these names are not what this version makes.
  func exists() throws -> Bool {
    var found = 0
    for (name, definition) in DocumentTables.own {
      let query = try connection.cached(
        "SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE")
      query.bind(1, name)
      defer { query.reset() }
      guard try query.step() else { continue }
      guard query.text(0) == definition else {
        throw AdapterError(
          .occupied,
          "\(connection.path) has a table \(name) that this version of Headwater did not make: use "
            + "another file.", recovery: .halt)
      }
      found += 1
    }
    guard found == 0 || found == DocumentTables.own.count else {
      throw AdapterError(
        .damaged,
        "\(connection.path) lacks some of the tables headwater_…: delete the file and mirror again.",
        recovery: .halt)
    }
    return found > 0
  }

  /// Makes the tables in a file that holds none.
  func create() throws {
    if try connection.integer("SELECT 1 FROM sqlite_schema LIMIT 1") != nil {
      throw AdapterError(
        .occupied,
        "\(connection.path) is a SQLite database of something else: give the documents a file of "
          + "their own.", recovery: .halt)
    }
    try connection.execute("PRAGMA application_id = \(DocumentTables.applicationID)")
    for (_, definition) in DocumentTables.own { try connection.execute(definition) }
  }

  /// The state; nil where the file is empty.
  func state() throws -> State? {
    guard try exists() else { return nil }
    let query = try connection.cached(
      "SELECT checkpoint, published, filling FROM headwater_state WHERE id = 1")
    defer { query.reset() }
    guard try query.step() else { return nil }
    return State(
      checkpoint: query.bytes(0), published: query.isNull(1) ? nil : query.int(1),
      filling: query.isNull(2) ? nil : query.int(2))
  }

  func store(_ state: State, _ checkpoint: Checkpoint) throws {
    let statement = try connection.cached(
      "INSERT OR REPLACE INTO headwater_state VALUES (1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    statement.bind(1, state.checkpoint)
    statement.bind(2, checkpoint.database.hex)
    statement.bind(3, checkpoint.replica.description)
    statement.bind(4, checkpoint.mirror)
    statement.bind(5, checkpoint.isPublished ? "tail" : "snapshot")
    statement.bind(6, checkpoint.position)
    statement.bind(7, checkpoint.schema.hex)
    statement.bind(8, state.published)
    statement.bind(9, state.filling)
    try statement.run()
  }

  /// The schema of a generation as text; nil where there is no such generation.
  func schemaText(of generation: Int64) throws -> String? {
    let query = try connection.cached(
      "SELECT schema FROM headwater_generations WHERE generation = ?")
    query.bind(1, generation)
    defer { query.reset() }
    return try query.step() ? query.text(0) : nil
  }

  /// The tables of a generation, in the order of its schema.
  func tables(of generation: Int64) throws -> [String] {
    let query = try connection.cached(
      "SELECT table_name FROM headwater_collections WHERE generation = ? ORDER BY number")
    query.bind(1, generation)
    defer { query.reset() }
    var names: [String] = []
    while try query.step() { names.append(query.text(0)) }
    return names
  }

  // MARK: Generations

  /// Makes empty tables for a generation.
  func makeGeneration(_ generation: Int64, _ plan: DocumentPlan) throws {
    let statement = try connection.cached("INSERT INTO headwater_generations VALUES (?, ?)")
    statement.bind(1, generation)
    statement.bind(2, plan.schema.canonicalText)
    try statement.run()
    for collection in plan.collections {
      let table = "\(collection.name)__g\(generation)"
      try connection.execute(
        """
        CREATE TABLE "\(table)" (
          _id TEXT NOT NULL PRIMARY KEY,
          document TEXT NOT NULL
        ) STRICT
        """)
      let insert = try connection.cached(
        "INSERT INTO headwater_collections VALUES (?, ?, ?, ?, ?, ?)")
      insert.bind(1, generation)
      insert.bind(2, collection.index)
      insert.bind(3, collection.collectionName)
      insert.bind(4, table)
      if let text = collection.documentation { insert.bind(5, text) } else { insert.bindNull(5) }
      insert.bind(6, String(decoding: collection.jsonSchemaText, as: UTF8.self))
      try insert.run()
    }
  }

  /// Drops the tables of a generation, and forgets it.
  func dropGeneration(_ generation: Int64) throws {
    for table in try tables(of: generation) {
      try connection.execute("DROP TABLE IF EXISTS \"\(table)\"")
    }
    for table in ["headwater_collections", "headwater_generations"] {
      let statement = try connection.cached("DELETE FROM \(table) WHERE generation = ?")
      statement.bind(1, generation)
      try statement.run()
    }
  }

  /// Gives the tables of a generation the names that readers use, and makes the indices.
  func publishGeneration(_ generation: Int64, _ plan: DocumentPlan) throws {
    for (collection, table) in zip(plan.collections, try tables(of: generation)) {
      try claim(collection.name)
      try connection.execute("ALTER TABLE \"\(table)\" RENAME TO \"\(collection.name)\"")
      let update = try connection.cached(
        "UPDATE headwater_collections SET table_name = ? WHERE generation = ? AND number = ?")
      update.bind(1, collection.name)
      update.bind(2, generation)
      update.bind(3, collection.index)
      try update.run()
      var names: Set<String> = []
      for (position, field) in collection.fields.enumerated()
      where field.isIndexed || field.isUnique {
        let expression = DocumentExpression(field.shape, [field.name])
        guard expression.isIndexable else { continue }
        var name = "\(collection.name).\(field.name)"
        if !names.insert(DocumentNames.folded(name)).inserted { name += ".\(position)" }
        try claim(name)
        // Absent values are NULL, of which a unique index holds many.
        let kind = field.isUnique && expression.isExact ? "UNIQUE INDEX" : "INDEX"
        try connection.execute(
          "CREATE \(kind) \"\(name)\" ON \"\(collection.name)\" (\(expression.sql))")
      }
      // Answers are in the order of keys.
      let order = collection.keyOrder
      if order != ["_id"] {
        var name = "\(collection.name).key"
        while !names.insert(DocumentNames.folded(name)).inserted { name += "." }
        try claim(name)
        try connection.execute(
          "CREATE INDEX \"\(name)\" ON \"\(collection.name)\" (\(order.joined(separator: ", ")))")
      }
    }
  }

  private func claim(_ name: String) throws {
    let query = try connection.cached(
      "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type <> 'trigger'")
    query.bind(1, name)
    defer { query.reset() }
    if try query.step() {
      throw AdapterError(
        .occupied,
        "\(connection.path) has a \(query.text(0)) called \(name) that is not the mirror's, where one "
          + "of the mirror's should be: rename it, or use another file.", recovery: .halt)
    }
  }
}
