import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

extension Sink {
  /// `RowInventory.rows`.
  ///
  /// - Parameter asReader: whether the rows are read through the views that readers have.
  func rows(
    of collection: Int, in schema: Schema, after key: Key?, limit: Int, asReader: Bool = false
  ) throws -> [Row] {
    guard limit > 0, try catalogue.exists() else { return [] }
    let plan = try plan(of: schema)
    guard plan.tables.indices.contains(collection) else {
      throw AdapterError(.misuse, "The schema has no collection of that index.", recovery: .halt)
    }
    func published() throws -> Int64? {
      try catalogue.manifest().first { $0.kind == "table" && $0.isPublished }?.generation
    }
    guard let there = try published() else { return [] }
    let filling = layout
    layout = nil
    defer { layout = filling }
    let table = plan.table(collection)
    let source =
      asReader ? places.own(table.name) : Places.qualified(places.tables, table.name)
    if collection == 0, key == nil { try learnChecks(plan) }
    // The manifest and the rows are of one state of the database: that of the first statement after the lock. A name
    // means the newest table of that name, of which an older state would show no rows.
    try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    defer { connection.rollback() }
    do {
      try connection.execute("LOCK TABLE \(source) IN ACCESS SHARE MODE")
    } catch {
      connection.rollback()
      if error.sqlState?.hasPrefix("42") == true || error.sqlState == "3F000" {
        try check(plan, generation: there, in: places.tables, full: true)
      }
      throw error
    }
    guard let generation = try published() else { return [] }
    let isFirst = collection == 0 && key == nil && !isBeingMended
    try check(plan, generation: generation, in: places.tables, full: isFirst)
    return try list(table, from: source, after: key, limit: limit)
  }

  private func list(_ table: RelationalTable, from source: String, after key: Key?, limit: Int)
    throws -> [Row]
  {
    let columns = table.columns.map { column in
      let name = dialect.quote(column.name)
      return column.type == .json ? "\(name)::text" : name
    }
    let keys = table.columnList(table.primaryKey, dialect)
    var sql = "SELECT \(columns.joined(separator: ", ")) FROM \(source)"
    var parameters: [Parameter] = []
    if let key {
      guard let values = table.keyValues(of: key) else {
        throw AdapterError(
          .misuse, "A key of another collection than \(table.name).", recovery: .halt)
      }
      for (value, column) in zip(values, table.primaryKey) {
        let buffer = WireBuffer(capacity: 64)
        guard ValueCodec.append(value, as: WireForm(table.columns[column].type), to: buffer) else {
          throw AdapterError(
            .misuse, "A key of another type than that of \(table.name).", recovery: .halt)
        }
        buffer.dropLength()
        parameters.append(Parameter(buffer))
      }
      let places = table.primaryKey.enumerated().map { index, column in
        "$\(index + 1)::\(WireType(table.columns[column].type).array.dropLast(2))"
      }
      sql += " WHERE (\(keys)) > (\(places.joined(separator: ", ")))"
    }
    parameters.append(.int(Int64(limit)))
    sql += " ORDER BY \(keys) LIMIT $\(parameters.count)::int8"
    return try read(try connection.run(sql, parameters), table)
  }

  private func read(_ found: ServerResult, _ table: RelationalTable) throws -> [Row] {
    let keyColumns = Set(table.primaryKey)
    var rows: [Row] = []
    rows.reserveCapacity(found.rowCount)
    var values = [Value?](repeating: nil, count: table.columns.count)
    for row in 0..<found.rowCount {
      for (index, column) in table.columns.enumerated() {
        if found.isNull(row, index) {
          values[index] = nil
        } else if let value = ValueCodec.read(found.bytes(row, index), as: column.type) {
          values[index] = value
        } else {
          // Some other row than the mirror wrote: it is listed as one that differs from any.
          guard !keyColumns.contains(index) else { throw damaged(table.name, column.name) }
          values[index] = ValueCodec.misfit(for: column.type)
        }
      }
      if let row = table.row(from: values) {
        rows.append(row)
        continue
      }
      for (index, column) in table.columns.enumerated() where !keyColumns.contains(index) {
        values[index] = column.isPresence ? .bool(true) : ValueCodec.misfit(for: column.type)
      }
      guard let row = table.row(from: values) else { throw damaged(table.name, nil) }
      rows.append(row)
    }
    return rows
  }

  private func damaged(_ table: String, _ column: String?) -> AdapterError {
    AdapterError(
      .damaged,
      "The table \(places.tables).\(table) holds a row that no mirror wrote"
        + "\(column.map { " (see the column \($0))" } ?? ""): somebody changed it, and a new generation will mend it.",
      recovery: .rebuild)
  }

  /// `RowInventory.repair`.
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint) throws {
    try transaction {
      let stored = try self.checkpoint()
      guard let stored, stored == checkpoint.canonicalBytes else {
        throw AdapterError(
          .diverged,
          "The schema \(places.own) of \(configuration.description) has moved on since it was compared: compare again.",
          recovery: .retry)
      }
      try readLayout(checkpoint: stored)
      guard layout?.fillingGeneration == nil, layout?.publishedGeneration != nil else {
        throw AdapterError(
          .misuse,
          "Only a published generation can be repaired, and none is, or a new one is being filled.",
          recovery: .halt)
      }
      let plan = try plan(of: schema)
      try checkTargets(plan)
      try write(
        changes.filter { $0.after == nil } + changes.filter { $0.after != nil }, plan)
    }
  }
}

extension WireBuffer {
  /// Takes off the four bytes of a length, as a parameter has none.
  func dropLength() {
    let bytes = [UInt8](UnsafeRawBufferPointer(start: base, count: count).dropFirst(4))
    reset()
    bytes.withUnsafeBytes { append($0) }
  }
}
