import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

extension Sink {
  /// After how many bytes what is copied is sent.
  private static let copyChunk = 256 << 10

  /// The changes of one table.
  struct Group {
    let writer: TableWriter
    var deleted: [Change] = []
    var upserts: [Change] = []
  }

  /// The changes by table, in the order of the schema.
  func groups(of changes: [Change], _ plan: RelationalPlan) throws -> [Group] {
    var groups = [Group?](repeating: nil, count: plan.tables.count)
    for change in changes {
      let collection = change.collection
      if !groups.indices.contains(collection) || groups[collection] == nil {
        let group = Group(writer: try writer(collection, plan))
        groups[collection] = group
      }
      if change.after == nil {
        groups[collection]?.deleted.append(change)
      } else {
        groups[collection]?.upserts.append(change)
      }
    }
    return groups.compactMap { $0 }
  }

  /// Writes the changes: deletes first, then the rows of each table together.
  ///
  /// Foreign keys and unique values are checked at the commit, so that neither the order of tables nor that of rows
  /// matters.
  ///
  /// - Parameters:
  ///   - isSnapshot: whether all of them are new rows of a table without a key.
  ///   - position: of what the changes lead to, for the history; nil where they are no part of it.
  func write(
    _ changes: [Change], _ plan: RelationalPlan, isSnapshot: Bool = false, position: Int64? = nil
  ) throws {
    let groups = try groups(of: changes, plan)
    if isSnapshot {
      guard groups.allSatisfy(\.deleted.isEmpty) else {
        throw AdapterError(.misuse, "A snapshot deletes rows.", recovery: .halt)
      }
      for group in groups { try copy(group.upserts, with: group.writer) }
      return
    }
    if layout?.isFilling == true, layout?.isKeyed == false { try addKeys(plan) }
    for group in groups where !group.deleted.isEmpty {
      try connection.run(
        group.writer.deletion, group.writer.keyArrays(of: group.deleted.map(\.key)))
    }
    for group in groups where !group.upserts.isEmpty { try upsert(group) }
    if let position, configuration.keepsHistory, layout?.isFilling != true {
      for statement in try history(of: groups, position: position) {
        try connection.run(statement.sql, statement.parameters)
      }
    }
  }

  /// Copies a page of a snapshot into tables without keys, from where the rows stand in the batch: they are never
  /// gathered anywhere. False where the page is not of new rows only.
  func copySnapshot(_ steps: [ChangeBatch.Step], _ plan: RelationalPlan) throws -> Bool {
    let isAllNew = steps.allSatisfy { step in
      if case .change(let change) = step { change.after != nil } else { false }
    }
    guard isAllNew, !steps.isEmpty else { return false }
    try checkTargets(plan)
    var index = steps.startIndex
    while case .change(let first)? = index < steps.endIndex ? steps[index] : nil {
      let writer = try writer(first.collection, plan)
      try copy(into: writer.copy) { buffer in
        guard index < steps.endIndex, case .change(let change) = steps[index],
          change.collection == first.collection
        else { return false }
        try writer.append(change, to: buffer)
        index += 1
        return true
      }
    }
    return true
  }

  private func upsert(_ group: Group) throws {
    var rest = group.upserts
    if layout?.isFilling != true {
      let created = rest.filter { $0.before == nil }
      // What the source calls new is new here, unless somebody wrote past the mirror: then it is an upsert.
      if created.count >= paths.copiedRows, try copyNew(created, with: group.writer) {
        rest = rest.filter { $0.before != nil }
      }
    }
    if rest.count >= paths.stagedRows { return try stage(rest, with: group.writer) }
    for start in stride(from: 0, to: rest.count, by: paths.arrayRows) {
      let part = Array(rest[start..<min(start + paths.arrayRows, rest.count)])
      try connection.run(group.writer.upsert, group.writer.arrays(of: part))
    }
  }

  /// Copies rows into a table that holds none of them; false where it does.
  private func copyNew(_ changes: [Change], with writer: TableWriter) throws -> Bool {
    try connection.execute("SAVEPOINT headwater_copy")
    do {
      try copy(changes, with: writer)
    } catch let error as ServerError where error.sqlState == "23505" {
      try connection.execute("ROLLBACK TO headwater_copy")
      return false
    }
    try connection.execute("RELEASE headwater_copy")
    return true
  }

  /// Puts rows in the place of those of their keys by way of a table of their own.
  private func stage(_ changes: [Change], with writer: TableWriter) throws {
    let name = "headwater_stage_\(writer.table.collection)"
    let stage = "pg_temp.\(name)"
    // A batch may come here twice for one table, before and after a step that is no change.
    try connection.execute(
      "DROP TABLE IF EXISTS \(stage); CREATE TEMPORARY TABLE \(name) ON COMMIT DROP AS SELECT "
        + "\(writer.names) FROM \(writer.target) WITH NO DATA")
    try copy(changes, with: writer, into: stage)
    try connection.execute("ANALYZE \(stage)")
    let matches = writer.table.primaryKey.map {
      "t.\(writer.columns[$0].name) = s.\(writer.columns[$0].name)"
    }
    try connection.execute(
      "DELETE FROM \(writer.target) AS t USING \(stage) AS s WHERE \(matches.joined(separator: " AND ")); "
        + "INSERT INTO \(writer.target) (\(writer.names)) SELECT \(writer.names) FROM \(stage)")
  }

  private static let copyHead: [UInt8] =
    Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [UInt8](repeating: 0, count: 8)

  private func copy(_ changes: [Change], with writer: TableWriter, into stage: String? = nil) throws
  {
    let sql =
      stage.map { "COPY \($0) (\(writer.names)) FROM STDIN (FORMAT binary)" } ?? writer.copy
    var rest = changes[...]
    try copy(into: sql) { buffer in
      guard let change = rest.popFirst() else { return false }
      try writer.append(change, to: buffer)
      return true
    }
  }

  /// Runs a COPY of the rows that `next` appends to a buffer, one a call, until it returns false.
  private func copy(into sql: String, next: (WireBuffer) throws -> Bool) throws {
    try connection.copy(sql) { send in
      let buffer = WireBuffer(capacity: Sink.copyChunk + (16 << 10))
      Sink.copyHead.withUnsafeBytes { buffer.append($0) }
      while try next(buffer) {
        if buffer.count >= Sink.copyChunk { try send(buffer) }
      }
      buffer.append(Int16(-1))
      try send(buffer)
    }
  }

  /// Gives the tables of the generation being filled their primary keys.
  func addKeys(_ plan: RelationalPlan) throws {
    var statements = plan.tables.map { table in
      "ALTER TABLE \(Places.qualified(places.filling, table.name)) ADD PRIMARY KEY "
        + "(\(table.columnList(table.primaryKey, dialect)))"
    }
    statements.append(
      "UPDATE \(places.own("headwater_manifest")) SET state = 'keyed' WHERE state = 'filling'")
    try connection.execute(statements.joined(separator: ";\n"))
    layout?.isKeyed = true
  }
}
