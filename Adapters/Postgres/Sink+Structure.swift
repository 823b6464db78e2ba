import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

/// Finding and mending what somebody did to the published tables themselves.
extension Sink {
  /// Something about a table that is not as the mirror made it.
  enum Flaw: Hashable {
    case missingTable
    case renamedColumn(from: String, column: Int)
    case missingColumn(Int)
    case columnType(Int)
    case extraColumn(String)
    case key
    /// A value may be absent that must be there.
    case mayBeNull(Int)
    /// A value must be there that may be absent.
    case mayNotBeNull(Int)
    case missingConstraint(sql: String, about: String)
    case extraConstraint(String)
    case missingIndex(sql: String, about: String)
    case extraIndex(String)
    case view

    /// Whether only right rows allow to mend it.
    var isMendedLast: Bool {
      switch self {
      case .mayBeNull, .missingConstraint, .missingIndex: true
      default: false
      }
    }

    /// Whether readers' views stand in the way.
    var concernsColumns: Bool {
      switch self {
      case .missingTable, .missingColumn, .columnType, .extraColumn: true
      default: false
      }
    }
  }

  /// How this server spells the checks of columns' types, by the checks as they are declared.
  ///
  /// It rewrites what it is given, each version in its own way, so it is asked once a connection, table by table: by
  /// tables that are never seen. Where the mirror may make none a check is known by its column only. Call it before a
  /// transaction that only reads.
  func learnChecks(_ plan: RelationalPlan) throws {
    for table in plan.tables {
      var unknown: [(column: String, declared: String, sql: String)] = []
      for column in table.columns {
        let quoted = dialect.quote(column.name)
        if let check = dialect.typeCheck(column.type, column: quoted),
          spelledChecks[Array(check.utf8)] == nil
        {
          unknown.append((column.name, check, "\(quoted) \(column.nativeType) CHECK (\(check))"))
        }
      }
      if try !unknown.isEmpty && !learn(unknown) { return }
    }
  }

  /// Makes a table of the columns, reads its checks, and undoes it all, so that no lock outlives it. False where no table
  /// can be made.
  private func learn(_ columns: [(column: String, declared: String, sql: String)]) throws -> Bool {
    let isInside = connection.isInTransaction
    try connection.execute(isInside ? "SAVEPOINT headwater_checks" : "BEGIN")
    var isAllowed = true
    do throws(ServerError) {
      try connection.execute(
        "CREATE TEMPORARY TABLE headwater_check (\(columns.map(\.sql).joined(separator: ", ")))")
      // Not prepared: the name would go on meaning the first of the tables.
      let found = try connection.execute(
        "SELECT a.attname, pg_get_constraintdef(k.oid) FROM pg_constraint AS k JOIN pg_attribute AS a "
          + "ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] WHERE k.contype = 'c' "
          + "AND k.conrelid = 'pg_temp.headwater_check'::regclass")
      for row in 0..<found.rowCount {
        let name = found.text(row, 0)
        guard let column = columns.first(where: { utf8Compare($0.column, name) == 0 }) else {
          continue
        }
        spelledChecks[Array(column.declared.utf8)] = found.text(row, 1)
      }
    } catch {
      // No right to make tables, or a server or transaction that only reads.
      guard error.sqlState == "42501" || error.sqlState == "25006" else { throw error }
      isAllowed = false
    }
    try connection.execute(isInside ? "ROLLBACK TO headwater_checks" : "ROLLBACK")
    return isAllowed
  }

  /// What is wrong with a table; nil as the shape is a table that is not there.
  func flaws(of table: RelationalTable, _ shape: TableShape?, _ plan: RelationalPlan) -> [Flaw] {
    guard let shape else { return [.missingTable] }
    var flaws: [Flaw] = []
    let wanted =
      table.columns.map {
        (
          name: $0.name, type: String($0.nativeType.split(separator: " COLLATE ")[0]),
          isNotNull: !$0.isNullable
        )
      } + provenanceColumns.map { (name: $0.0, type: $0.1, isNotNull: false) }
    var extra = shape.columns.filter { column in
      !wanted.contains { $0.name.utf8.elementsEqual(column.name.utf8) }
    }
    for (index, want) in wanted.enumerated() {
      if let column = shape.column(want.name) {
        if column.type != want.type { flaws.append(.columnType(index)) }
        if let flaw = nullability(column, want.isNotNull, index) { flaws.append(flaw) }
      } else if let found = extra.firstIndex(where: {
        $0.number == index + 1 && $0.type == want.type
      }) {
        flaws.append(.renamedColumn(from: extra[found].name, column: index))
        if let flaw = nullability(extra[found], want.isNotNull, index) { flaws.append(flaw) }
        extra.remove(at: found)
      } else {
        flaws.append(.missingColumn(index))
        if want.isNotNull { flaws.append(.mayBeNull(index)) }
      }
    }
    flaws += extra.map { .extraColumn($0.name) }
    func names(_ columns: [Int]) -> [String] { columns.map { table.columns[$0].name } }
    var constraints = shape.constraints
    func take(_ isWanted: (TableShape.Constraint) -> Bool) -> Bool {
      guard let index = constraints.firstIndex(where: { $0.isOrdinary && isWanted($0) }) else {
        return false
      }
      constraints.remove(at: index)
      return true
    }
    if !take({ $0.kind == .primary && $0.columns == names(table.primaryKey) }) {
      flaws.append(.key)
    }
    for column in table.columns {
      let quoted = dialect.quote(column.name)
      guard let check = dialect.typeCheck(column.type, column: quoted),
        !take({
          $0.kind == .check && $0.columns == [column.name] && isSpelled($0, check)
        })
      else { continue }
      flaws.append(
        .missingConstraint(
          sql: "ALTER TABLE \(published(table)) ADD CHECK (\(check))", about: column.name))
    }
    for (key, sql) in zip(table.foreignKeys, references(of: table, plan, in: places.tables)) {
      let target = plan.tables[key.target]
      guard
        !take({
          $0.kind == .foreign && $0.columns == names(key.columns)
            && $0.target == [places.tables, target.name]
            && $0.targetColumns == target.primaryKey.map { target.columns[$0].name }
        })
      else { continue }
      flaws.append(
        .missingConstraint(sql: sql, about: names(key.columns).joined(separator: ", ")))
    }
    var indices = shape.indices
    for (index, sql) in zip(table.indices, self.indices(of: table, in: places.tables)) {
      let columns = names(index.columns)
      if index.isUnique {
        if take({ $0.kind == .unique && $0.columns == columns }) { continue }
        flaws.append(.missingConstraint(sql: sql, about: columns.joined(separator: ", ")))
      } else if let found = indices.firstIndex(where: {
        $0.isOrdinary && $0.columns == columns && $0.method == indexMethod(index, table)
      }) {
        indices.remove(at: found)
      } else {
        flaws.append(.missingIndex(sql: sql, about: columns.joined(separator: ", ")))
        // One that is spoilt stands under the name that the new one gets.
        if let spoilt = indices.firstIndex(where: { $0.name.utf8.elementsEqual(index.name.utf8) }) {
          flaws.append(.extraIndex(indices.remove(at: spoilt).name))
        }
      }
    }
    // What others added and could refuse a row. Their plain indices only cost time.
    flaws += constraints.map { .extraConstraint($0.name) }
    return flaws
  }

  /// Whether a check is that which was declared, as far as it is known how the server spells that.
  private func isSpelled(_ check: TableShape.Constraint, _ declared: String) -> Bool {
    guard let spelled = spelledChecks[Array(declared.utf8)] else { return true }
    return utf8Compare(spelled, check.definition) == 0
  }

  private func published(_ table: RelationalTable) -> String {
    Places.qualified(places.tables, table.name)
  }

  private func nullability(_ column: TableShape.Column, _ isNotNull: Bool, _ index: Int) -> Flaw? {
    if column.isNotNull == isNotNull { return nil }
    return isNotNull ? .mayBeNull(index) : .mayNotBeNull(index)
  }

  // MARK: Mending

  /// `StructureRepairing.repairStructure`.
  func repairStructure(schema: Schema, at checkpoint: Checkpoint, isFinal: Bool) throws -> [String]
  {
    var mended: [String] = []
    var isLeftOpen = false
    try transaction {
      let stored = try self.checkpoint()
      guard let stored, stored == checkpoint.canonicalBytes else {
        throw AdapterError(
          .diverged,
          "The schema \(places.own) of \(configuration.description) has moved on since it was looked at: look again.",
          recovery: .retry)
      }
      try readLayout(checkpoint: stored)
      guard let generation = layout?.publishedGeneration, layout?.fillingGeneration == nil else {
        return
      }
      guard try catalogue.checkpoint().options == options else { return }
      let plan = try plan(of: schema)
      try checkDefinitions(plan, generation: generation, in: places.tables)
      let shapes = try TableShape.all(in: places.tables, connection, full: true)
      try learnChecks(plan)
      let grants = try grants(in: places.tables) + viewGrants()
      var missing: [RelationalTable] = []
      for table in plan.tables {
        var flaws = flaws(of: table, shapes[table.name], plan)
        if try !isViewWhole(table) { flaws.append(.view) }
        if flaws.isEmpty { continue }
        if flaws.contains(.missingTable) { missing.append(table) }
        mended += flaws.map { describe($0, table) }
        try mend(table, flaws.filter { !$0.isMendedLast }, plan, generation: generation)
      }
      guard !mended.isEmpty else { return }
      isLeftOpen = true
      try grantAgain(grants, plan)
      try admitReader()
      try tablesChanged()
      if isFinal {
        // Look again: what was dropped with a column is missing now. References last.
        let shapes = try TableShape.all(in: places.tables, connection, full: true)
        let rest = plan.tables.map { table in
          (table: table, flaws: flaws(of: table, shapes[table.name], plan))
        }
        var statements = rest.flatMap { table, flaws in
          flaws.compactMap { flaw -> String? in
            guard case .mayBeNull(let column) = flaw else { return nil }
            return
              "ALTER TABLE \(published(table)) ALTER COLUMN \(quotedColumn(table, column)) SET NOT NULL"
          }
        }
        let constraints = rest.flatMap { $0.flaws.compactMap(\.statement) }
        statements += constraints.filter { !$0.contains(" FOREIGN KEY ") }
        statements += constraints.filter { $0.contains(" FOREIGN KEY ") }
        if !statements.isEmpty { try connection.execute(statements.joined(separator: ";\n")) }
        let names = missing.map(published)
        if !names.isEmpty { try connection.execute("ANALYZE \(names.joined(separator: ", "))") }
        isLeftOpen = false
        try check(plan, generation: generation, in: places.tables, full: true)
      }
    }
    isBeingMended = isLeftOpen && !isFinal
    return mended
  }

  private func mend(
    _ table: RelationalTable, _ flaws: [Flaw], _ plan: RelationalPlan, generation: Int64
  ) throws {
    let name = published(table)
    var dependents: [Dependent]?
    if flaws.contains(where: \.concernsColumns) || flaws.contains(.view) {
      dependents = try self.dependents(of: table.name)
      try dropView(table.name, dependents ?? [])
    }
    var isEmptied = false
    for flaw in flaws {
      switch flaw {
      case .missingTable:
        try connection.execute(
          ([createTable(table, in: places.tables)]
            + comments(on: table, as: "TABLE", in: places.tables)).joined(separator: ";\n"))
        try addKey(table, name)
      case .renamedColumn(let old, let column):
        try connection.execute(
          "ALTER TABLE \(name) RENAME COLUMN \(dialect.quote(old)) TO \(quotedColumn(table, column))"
        )
      case .missingColumn(let column):
        if table.primaryKey.contains(column) { try empty(table, &isEmptied) }
        try connection.execute(
          "ALTER TABLE \(name) ADD COLUMN \(quotedColumn(table, column)) \(nativeType(table, column))"
        )
      case .columnType(let column):
        try retype(table, column, &isEmptied)
      case .extraColumn(let column):
        try connection.execute("ALTER TABLE \(name) DROP COLUMN \(dialect.quote(column))")
      case .extraConstraint(let constraint):
        // It may have gone with a column.
        try connection.execute(
          "ALTER TABLE \(name) DROP CONSTRAINT IF EXISTS \(dialect.quote(constraint)) CASCADE")
      case .extraIndex(let index):
        try connection.execute("DROP INDEX IF EXISTS \(Places.qualified(places.tables, index))")
      case .mayNotBeNull(let column):
        try connection.execute(
          "ALTER TABLE \(name) ALTER COLUMN \(quotedColumn(table, column)) DROP NOT NULL")
      case .key, .mayBeNull, .missingConstraint, .missingIndex, .view: break
      }
    }
    if !flaws.contains(.missingTable), flaws.contains(.key) || isEmptied { try rekey(table) }
    if let dependents {
      let body = viewBody(table, from: places.tables)
      try connection.execute(
        (["CREATE \(body)"] + comments(on: table, as: "VIEW", in: places.own)
          + [
            catalogue.entering(
              "view", places.own, table.name,
              collection: plan.schema.collections[table.collection].name, state: "published",
              generation: generation, definition: "")
          ]).joined(separator: ";\n"))
      for dependent in dependents { try restore(dependent) }
    }
  }

  /// Converts a column back. Where the server cannot, it is made anew, without values.
  private func retype(_ table: RelationalTable, _ column: Int, _ isEmptied: inout Bool) throws {
    let (name, quoted) = (published(table), quotedColumn(table, column))
    let type = nativeType(table, column)
    try connection.execute("SAVEPOINT headwater_retype")
    do {
      try connection.execute(
        "ALTER TABLE \(name) ALTER COLUMN \(quoted) DROP DEFAULT, ALTER COLUMN \(quoted) TYPE \(type) "
          + "USING \(quoted)::\(type.split(separator: " COLLATE ")[0])")
    } catch {
      guard let state = error.sqlState, ["22", "23", "42"].contains(state.prefix(2)) else {
        throw error
      }
      try connection.execute("ROLLBACK TO headwater_retype")
      if table.primaryKey.contains(column) { try empty(table, &isEmptied) }
      try connection.execute(
        "ALTER TABLE \(name) DROP COLUMN \(quoted); ALTER TABLE \(name) ADD COLUMN \(quoted) \(type)"
      )
    }
    try connection.execute("RELEASE headwater_retype")
  }

  /// Removes all rows, and what refers to them: rows that lost their keys cannot be told apart.
  private func empty(_ table: RelationalTable, _ isEmptied: inout Bool) throws {
    guard !isEmptied else { return }
    isEmptied = true
    let found = try connection.run(
      "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) "
        + "FROM pg_constraint AS k WHERE k.contype = 'f' AND k.confrelid = $1::text::regclass",
      [.text(published(table))])
    let statements = (0..<found.rowCount).map { found.text($0, 0) }
    try connection.execute(
      (statements + [
        "ALTER TABLE \(published(table)) DROP CONSTRAINT IF EXISTS \(dialect.quote(table.name + "_pkey")) CASCADE",
        "TRUNCATE \(published(table))",
      ]).joined(separator: "; "))
  }

  private func addKey(_ table: RelationalTable, _ name: String) throws(ServerError) {
    try connection.execute(
      "ALTER TABLE \(name) ADD PRIMARY KEY (\(table.columnList(table.primaryKey, dialect)))")
  }

  /// Gives a table its primary key again, and rids it of rows that cannot have one.
  private func rekey(_ table: RelationalTable) throws {
    let name = published(table)
    let keys = table.primaryKey.map { quotedColumn(table, $0) }
    let old = try connection.run(
      "SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'p'",
      [.text(name)])
    if old.rowCount > 0 {
      try connection.execute("ALTER TABLE \(name) DROP CONSTRAINT \(old.text(0, 0)) CASCADE")
    }
    let absent = keys.map { "\($0) IS NULL" }.joined(separator: " OR ")
    let same = keys.map { "a.\($0) = b.\($0)" }.joined(separator: " AND ")
    try connection.execute(
      "DELETE FROM \(name) WHERE \(absent); DELETE FROM \(name) AS a USING \(name) AS b WHERE a.ctid < b.ctid AND \(same)"
    )
    try addKey(table, name)
  }

  private func quotedColumn(_ table: RelationalTable, _ column: Int) -> String {
    dialect.quote(
      column < table.columns.count
        ? table.columns[column].name : provenanceColumns[column - table.columns.count].0)
  }

  private func nativeType(_ table: RelationalTable, _ column: Int) -> String {
    column < table.columns.count
      ? table.columns[column].nativeType : provenanceColumns[column - table.columns.count].1
  }

  // MARK: Looking

  /// Whether the view that readers know is there, with the columns that it had.
  private func isViewWhole(_ table: RelationalTable) throws -> Bool {
    guard try kind(of: table.name) == "view" else { return false }
    let columns = table.columns.map { ($0.name, $0.nativeType) } + provenanceColumns
    return try extends(columns, table.name, exactly: true)
  }

  /// The first thing that is wrong with the published tables, for people; nil where all are whole.
  func damage(_ plan: RelationalPlan) throws -> String? {
    let shapes = try TableShape.all(in: places.tables, connection, full: true)
    try learnChecks(plan)
    for table in plan.tables {
      if let flaw = flaws(of: table, shapes[table.name], plan).first {
        return describe(flaw, table)
      }
      if try !isViewWhole(table) { return describe(.view, table) }
    }
    return nil
  }

  func describe(_ flaw: Flaw, _ table: RelationalTable) -> String {
    let place = "\(places.tables).\(table.name)"
    func column(_ index: Int) -> String {
      index < table.columns.count
        ? table.columns[index].name : provenanceColumns[index - table.columns.count].0
    }
    return switch flaw {
    case .missingTable: "the table \(place) was dropped"
    case .renamedColumn(let old, let index):
      "the column \(column(index)) of \(place) was renamed to \(old)"
    case .missingColumn(let index): "the column \(column(index)) of \(place) was dropped"
    case .columnType(let index): "the column \(column(index)) of \(place) was given another type"
    case .extraColumn(let name): "a column \(name) was added to \(place)"
    case .key: "the primary key of \(place) was dropped"
    case .mayBeNull(let index): "NOT NULL of the column \(column(index)) of \(place) was dropped"
    case .mayNotBeNull(let index): "the column \(column(index)) of \(place) was made NOT NULL"
    case .missingConstraint(_, let about): "a constraint of \(place) was dropped (\(about))"
    case .extraConstraint(let name): "a constraint \(name) was added to \(place)"
    case .missingIndex(_, let about): "an index of \(place) was dropped (\(about))"
    case .extraIndex(let name): "the index \(name) of \(place) is not valid"
    case .view: "the view \(places.own).\(table.name) was dropped or altered"
    }
  }
}

extension Sink.Flaw {
  /// What makes a constraint or an index that is missing.
  fileprivate var statement: String? {
    switch self {
    case .missingConstraint(let sql, _), .missingIndex(let sql, _): sql
    default: nil
    }
  }
}
