import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

extension Sink {
  /// Makes empty tables for a generation, and drops those of one that was never published.
  func begin(_ generation: Int64, _ plan: RelationalPlan) throws {
    for entry in try catalogue.manifest() where !entry.isPublished { try drop(entry) }
    if layout?.publishedGeneration == generation {
      throw AdapterError(
        .misuse, "Generation \(generation) is published and cannot be begun again.",
        recovery: .halt)
    }
    let ours = Set(try catalogue.manifest().map { plan.dialect.fold($0.name) })
    var avoid: Set<String> = []
    for name in plan.tables.flatMap({ [$0.name] + $0.indices.map(\.name) }) {
      avoid.insert(plan.dialect.fold(name))
      // Said now, rather than after hours of filling.
      if !ours.contains(plan.dialect.fold(name)), let kind = try catalogue.kind(of: name) {
        throw occupied(name, kind)
      }
    }
    for table in plan.tables {
      var name = "\(table.name)__g\(generation)"
      while try avoid.contains(plan.dialect.fold(name)) || catalogue.kind(of: name) != nil {
        name += "_"
      }
      avoid.insert(plan.dialect.fold(name))
      try connection.execute(plan.createTable(table, named: name))
      try catalogue.enter(
        name, isTable: true, collection: plan.schema.collections[table.collection].name,
        generation: generation, isPublished: false, definition: plan.createTable(table))
    }
    layout?.fillingGeneration = generation
    tablesChanged()
  }

  /// Puts the tables of the generation being filled in the place of the published ones.
  ///
  /// All of it is in the caller's transaction: a reader sees the tables before or the tables after.
  func publish(_ generation: Int64, _ plan: RelationalPlan, checkpoint: Checkpoint) throws {
    guard layout?.fillingGeneration == generation else {
      throw AdapterError(
        .misuse, "Generation \(generation) was not begun and cannot be published.",
        recovery: .halt)
    }
    let filled = try targets(of: plan)
    let old = try catalogue.manifest().filter(\.isPublished)
    let attachments = try attachments(of: old)
    // Writers hold statements on the tables that are about to go.
    tablesChanged()
    for entry in old { try drop(entry) }
    for (table, name) in zip(plan.tables, filled) {
      let collection = plan.schema.collections[table.collection].name
      try claim(table.name)
      try connection.execute(
        "ALTER TABLE \(plan.dialect.quote(name)) RENAME TO \(plan.dialect.quote(table.name))")
      try catalogue.strike(name)
      try catalogue.enter(
        table.name, isTable: true, collection: collection, generation: generation,
        isPublished: true, definition: plan.createTable(table))
    }
    for table in plan.tables {
      for index in table.indices {
        try claim(index.name)
        let definition = plan.createIndex(index, of: table)
        try connection.execute(definition)
        try catalogue.enter(
          index.name, isTable: false,
          collection: plan.schema.collections[table.collection].name, generation: generation,
          isPublished: true, definition: definition)
      }
    }
    for attachment in attachments { try restore(attachment) }
    try catalogue.describe(plan, checkpoint: checkpoint)
    layout?.publishedGeneration = generation
    layout?.fillingGeneration = nil
  }

  /// - Throws: `.damaged` (rebuild) where a row refers to one that is not there.
  func checkForeignKeys(_ plan: RelationalPlan) throws {
    for table in plan.tables where !table.foreignKeys.isEmpty {
      let query = try connection.prepare(
        "PRAGMA foreign_key_check(\(plan.dialect.quote(table.name)))")
      if try query.step() {
        let target = query.text(2)
        query.reset()
        throw AdapterError(
          .damaged,
          "Rows of \(table.name) refer to rows of \(target) that are not there. The source never "
            + "shows such rows, so somebody changed the mirror while it was filled: it is filled again.",
          recovery: .rebuild)
      }
    }
  }

  private func claim(_ name: String) throws {
    if let kind = try catalogue.kind(of: name) { throw occupied(name, kind) }
  }

  private func occupied(_ name: String, _ kind: String) -> AdapterError {
    AdapterError(
      .occupied,
      "\(connection.path) has \(kind == "index" ? "an" : "a") \(kind) called \(name) that is not the mirror's, where one of the "
        + "mirror's should be: rename it, or use another file.", recovery: .halt)
  }

  /// Drops what the manifest lists, if it is there, and strikes it from the list.
  private func drop(_ entry: Catalogue.Entry) throws {
    let name = SQLiteDialect().quote(entry.name)
    // A view in the place of a table is somebody else's. An index goes with its table, unless somebody gave the
    // table another name.
    if entry.actual != nil {
      try connection.execute("DROP \(entry.isTable ? "TABLE" : "INDEX") IF EXISTS \(name)")
    }
    try catalogue.strike(entry.name)
  }

  // MARK: What users attached to the tables

  /// A trigger or an index on a table of the mirror that is not the mirror's own, and would go with the table.
  private struct Attachment {
    let name: String
    let kind: String
    let definition: String
  }

  private func attachments(of entries: [Catalogue.Entry]) throws -> [Attachment] {
    let query = try connection.prepare(
      "SELECT s.name, s.type, s.sql FROM sqlite_schema AS s WHERE s.type IN ('trigger', 'index') "
        + "AND s.tbl_name = ?1 COLLATE NOCASE AND s.sql IS NOT NULL AND NOT EXISTS "
        + "(SELECT 1 FROM headwater_manifest AS m WHERE m.kind = s.type AND m.name = s.name) "
        + "ORDER BY s.rowid")
    var attachments: [Attachment] = []
    for entry in entries where entry.isTable {
      query.bind(1, entry.name)
      while try query.step() {
        attachments.append(
          Attachment(name: query.text(0), kind: query.text(1), definition: query.text(2)))
      }
    }
    return attachments
  }

  /// Makes the attachment again; if the new table does not allow it, its text is kept.
  private func restore(_ attachment: Attachment) throws {
    try connection.execute("SAVEPOINT headwater_restore")
    if let error = refusal(of: attachment.definition) {
      guard error.isStatementError || error.isConstraint else { throw error }
      try connection.execute("ROLLBACK TO headwater_restore")
      let insert = try connection.prepare(
        "INSERT INTO headwater_orphans VALUES (?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))")
      insert.bind(1, attachment.name)
      insert.bind(2, attachment.kind)
      insert.bind(3, attachment.definition)
      try insert.run()
    }
    try connection.execute("RELEASE headwater_restore")
  }

  private func refusal(of statement: String) -> SQLiteError? {
    do {
      try connection.execute(statement)
      return nil
    } catch {
      return error
    }
  }
}
