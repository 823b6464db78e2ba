import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

/// The blocking side of the adapter: one connection, and what is known of the file behind it.
///
/// Confined to the adapter's executor. After an error of `apply` or `repair` the transaction has been rolled back
/// and everything that was remembered is forgotten.
final class Sink {
  let connection: Connection
  let catalogue: Catalogue
  private let arena = BindArena()
  private var foreignKeysOn: Bool?
  private var plan: RelationalPlan?
  /// What the manifest says; nil until it was read in the transaction that needs it.
  var layout: Layout?
  private var writers: [Int: TableWriter] = [:]

  /// What the manifest says, valid as long as neither the checkpoint nor the file's schema was changed by others.
  struct Layout {
    /// The checkpoint with which it was read or written.
    var checkpoint: [UInt8]?
    var schemaVersion: Int64
    var publishedGeneration: Int64?
    var fillingGeneration: Int64?
    /// The table that takes the changes of each collection, by the collection's index in the plan it was checked
    /// against; nil until then.
    var targets: [String]?
  }

  init(path: String, busyTimeout: Int32) throws {
    connection = try Connection(path: path, mode: .createIfMissing)
    catalogue = Catalogue(connection: connection)
    connection.setBusyTimeout(milliseconds: busyTimeout)
    let isLogged = try connection.text("PRAGMA journal_mode = WAL") == "wal"
    // With a write-ahead log a loss of power costs the last transactions at most, each as a whole: the mirror goes
    // on from the checkpoint that is there. Without the log the file itself would be at risk.
    try connection.execute("PRAGMA synchronous = \(isLogged ? "NORMAL" : "FULL")")
    // SQLite as some systems build it overwrites what is deleted, which doubles the work of every new generation.
    try connection.execute("PRAGMA secure_delete = FAST")
    // The source has judged every row. A check that came with an upgrade binds new writes only, so an old row may
    // fail it and is right all the same.
    try connection.execute("PRAGMA ignore_check_constraints = ON")
    // Renaming must leave the views, triggers and foreign keys that name the table as they are.
    try connection.execute("PRAGMA legacy_alter_table = ON")
    try connection.execute("PRAGMA cache_size = -32768")
    try connection.execute("PRAGMA wal_autocheckpoint = 4000")
    guard try connection.text("PRAGMA encoding") == "UTF-8" else {
      throw AdapterError(
        .unsupported,
        "\(path) keeps its texts in UTF-16, whose order is another one: use a file of its own.",
        recovery: .halt)
    }
  }

  // MARK: Transactions

  /// Runs `body` between `BEGIN IMMEDIATE` and `COMMIT`. Rolls back and forgets everything if either fails.
  func write(foreignKeys: Bool, _ body: () throws -> Void) throws {
    do {
      if foreignKeysOn != foreignKeys {
        // Inside a transaction this pragma does nothing.
        try connection.execute("PRAGMA foreign_keys = \(foreignKeys ? "ON" : "OFF")")
        foreignKeysOn = foreignKeys
      }
      try connection.execute("BEGIN IMMEDIATE")
      try body()
      try connection.execute("COMMIT")
    } catch {
      connection.rollback()
      forget()
      throw error
    }
  }

  func forget() {
    layout = nil
    writers = [:]
  }

  /// The canonical bytes of the checkpoint that the file holds.
  func checkpoint() throws -> [UInt8]? {
    try catalogue.exists() ? try catalogue.checkpoint() : nil
  }

  /// The plan of a schema: made once, because batches come with the same schema.
  func plan(of schema: Schema) throws(AdapterError) -> RelationalPlan {
    if let plan, plan.schema == schema { return plan }
    let made = try RelationalPlan(schema: schema, dialect: SQLiteDialect())
    plan = made
    writers = [:]
    layout?.targets = nil
    return made
  }

  // MARK: Layout

  private func schemaVersion() throws -> Int64 {
    let query = try connection.cached("PRAGMA schema_version")
    defer { query.reset() }
    return try query.step() ? query.int(0) : 0
  }

  /// Makes `layout` what the manifest says, within the open transaction.
  func readLayout(checkpoint: [UInt8]?) throws {
    let version = try schemaVersion()
    if let layout, layout.schemaVersion == version, layout.checkpoint == checkpoint { return }
    forget()
    let entries = try catalogue.manifest()
    layout = Layout(
      checkpoint: checkpoint, schemaVersion: version,
      publishedGeneration: entries.first(where: \.isPublished)?.generation,
      fillingGeneration: entries.first { !$0.isPublished }?.generation)
  }

  /// Notes what the transaction that is about to commit leaves behind.
  func noteLayout(checkpoint: [UInt8]?) throws {
    layout?.checkpoint = checkpoint
    layout?.schemaVersion = try schemaVersion()
  }

  /// Forgets which tables take changes, because they were made, renamed or dropped.
  func tablesChanged() {
    layout?.targets = nil
    writers = [:]
  }

  /// The tables that take changes of the plan's collections: of the generation being filled if there is one.
  ///
  /// - Throws: `.damaged` (rebuild) where one of them is not as it was made.
  func targets(of plan: RelationalPlan) throws -> [String] {
    if let targets = layout?.targets { return targets }
    guard let layout, let generation = layout.fillingGeneration ?? layout.publishedGeneration else {
      throw AdapterError(
        .misuse, "A change came before any generation was begun.", recovery: .halt)
    }
    let entries = try catalogue.manifest().filter { $0.isTable && $0.generation == generation }
    let targets = try check(entries, against: plan)
    self.layout?.targets = targets
    return targets
  }

  /// The tables of the published generation.
  func publishedTables(of plan: RelationalPlan) throws -> [String] {
    try check(try catalogue.manifest().filter { $0.isTable && $0.isPublished }, against: plan)
  }

  private func check(_ entries: [Catalogue.Entry], against plan: RelationalPlan) throws -> [String]
  {
    var targets: [String] = []
    for table in plan.tables {
      let collection = plan.schema.collections[table.collection].name
      guard
        let entry = entries.first(where: { $0.collection.utf8.elementsEqual(collection.utf8) }),
        entry.definition == plan.createTable(table)
      else {
        throw AdapterError(
          .damaged,
          "\(connection.path) holds no table made for \(collection) as the schema has it: "
            + "a new generation will make it.", recovery: .rebuild)
      }
      guard entry.actual != nil, entry.actual == entry.found else {
        throw AdapterError(
          .damaged,
          "Somebody \(entry.actual == nil ? "dropped" : "altered") the table \(entry.name) of "
            + "\(connection.path): a new generation will mend it. Keep changes to views and tables "
            + "of your own.", recovery: .rebuild)
      }
      targets.append(entry.name)
    }
    return targets
  }

  // MARK: Changes

  func writer(_ collection: Int, _ plan: RelationalPlan) throws -> TableWriter {
    if let writer = writers[collection] { return writer }
    let targets = try targets(of: plan)
    let writer = TableWriter(
      plan.table(collection), named: targets[collection], connection: connection, arena: arena)
    writers[collection] = writer
    return writer
  }

  /// Writes the changes: deletes first, then the upserts of each collection together.
  ///
  /// - Parameter replacing: whether every row is deleted before it is written, so that what stands in the way of
  ///   its unique values does not matter.
  func write(_ changes: [Change], _ plan: RelationalPlan, replacing: Bool = false) throws {
    var upserts = [[Int]](repeating: [], count: plan.tables.count)
    for (index, change) in changes.enumerated() {
      guard plan.tables.indices.contains(change.collection) else {
        throw AdapterError(
          .misuse, "A change names a collection that its schema does not have.", recovery: .halt)
      }
      let writer = try writer(change.collection, plan)
      if change.after == nil {
        try writer.delete(change.key)
      } else {
        if replacing || writer.movesUniqueValue(change) { try writer.delete(change.key) }
        upserts[change.collection].append(index)
      }
    }
    for (collection, indices) in upserts.enumerated() where !indices.isEmpty {
      let writer = try writer(collection, plan)
      let ordered = inKeyOrder(indices, changes)
      try writer.upsert(ordered.count) { changes[ordered[$0]].after! }
    }
  }

  /// Neighbours in the key's index stand on the same pages, so writing them together costs less than sorting them.
  private func inKeyOrder(_ indices: [Int], _ changes: [Change]) -> [Int] {
    // A snapshot comes in order already.
    guard indices.count >= 64, layout?.fillingGeneration == nil else { return indices }
    var keyed = indices.map { (key: KeyEncoding.encode(changes[$0].key), index: $0) }
    keyed.sort { precedes($0.key, $1.key) }
    return keyed.map(\.index)
  }

  private func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    let count = min(a.count, b.count)
    for index in 0..<count where a[index] != b[index] { return a[index] < b[index] }
    return a.count < b.count
  }
}
