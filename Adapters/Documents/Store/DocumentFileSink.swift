import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// The blocking side of the adapter of a file: one connection, and what is known of the file behind it.
///
/// Confined to the adapter's executor. After an error the transaction has been rolled back and everything that was
/// remembered is forgotten.
final class DocumentFileSink {
  let connection: Connection
  private let tables: DocumentTables
  private var plan: DocumentPlan?
  private var listing = KeyListing()
  /// The writers of the generation that takes changes, as of a checkpoint.
  private var writers: (checkpoint: [UInt8], generation: Int64, all: [DocumentWriter])?

  init(path: String, busyTimeout: Int32) throws {
    connection = try Connection(path: path, mode: .createIfMissing, trustsSchema: true)
    tables = DocumentTables(connection: connection)
    connection.setBusyTimeout(milliseconds: busyTimeout)
    let isLogged = try connection.text("PRAGMA journal_mode = WAL") == "wal"
    // As for the SQLite mirror: a loss of power costs the last transactions at most, each as a whole.
    try connection.execute("PRAGMA synchronous = \(isLogged ? "NORMAL" : "FULL")")
    try connection.execute("PRAGMA secure_delete = FAST")
    try connection.execute("PRAGMA legacy_alter_table = ON")
    try connection.execute("PRAGMA cache_size = -32768")
    try connection.execute("PRAGMA wal_autocheckpoint = 4000")
    guard try connection.text("PRAGMA encoding") == "UTF-8" else {
      throw AdapterError(
        .unsupported, "\(path) keeps its texts in UTF-16: use a file of its own.", recovery: .halt)
    }
  }

  func checkpoint() throws -> [UInt8]? { try tables.state()?.checkpoint }

  private func write(_ body: () throws -> Void) throws {
    do {
      try connection.execute("BEGIN IMMEDIATE")
      try body()
      try connection.execute("COMMIT")
    } catch {
      connection.rollback()
      writers = nil
      throw error
    }
  }

  private func plan(of schema: Schema) throws(AdapterError) -> DocumentPlan {
    if let plan, plan.schema == schema { return plan }
    let made = try DocumentPlan(schema: schema)
    plan = made
    writers = nil
    return made
  }

  /// `Adapter.apply`.
  func apply(_ batch: ChangeBatch) throws {
    let next = batch.checkpoint.canonicalBytes
    let previous = batch.previous?.canonicalBytes
    try write {
      let isSetUp = try tables.exists()
      let stored = isSetUp ? try tables.state() : nil
      if stored?.checkpoint == next { return }
      guard stored?.checkpoint == previous else {
        throw SinkErrors.diverged(connection.path, stored?.checkpoint, batch)
      }
      if !isSetUp { try tables.create() }
      var state =
        stored ?? DocumentTables.State(checkpoint: [], published: nil, filling: nil)
      if writers?.checkpoint != previous { writers = nil }
      try perform(batch, &state)
      state.checkpoint = next
      try tables.store(state, batch.checkpoint)
      writers?.checkpoint = next
    }
  }

  private func perform(_ batch: ChangeBatch, _ state: inout DocumentTables.State) throws {
    let plan = try plan(of: batch.schema)
    var changes: [Change] = []
    for step in batch.steps {
      if case .change(let change) = step {
        changes.append(change)
        continue
      }
      if !changes.isEmpty { try write(changes, plan, state) }
      changes = []
      switch step {
      case .change: break
      case .begin(let generation):
        guard generation != state.published else { throw SinkErrors.published(generation) }
        if let filling = state.filling { try tables.dropGeneration(filling) }
        try tables.makeGeneration(generation, plan)
        state.filling = generation
        writers = nil
      case .publish(let generation):
        guard state.filling == generation else { throw SinkErrors.notBegun(generation) }
        try checkSchema(of: generation, plan)
        // Writers hold statements on the tables that are about to go.
        writers = nil
        if let published = state.published { try tables.dropGeneration(published) }
        try tables.publishGeneration(generation, plan)
        state.published = generation
        state.filling = nil
      case .migrate: throw SinkErrors.migrate
      }
    }
    if !changes.isEmpty { try write(changes, plan, state) }
  }

  /// - Throws: `.damaged` (rebuild) where the generation was made for another schema.
  private func checkSchema(of generation: Int64, _ plan: DocumentPlan) throws {
    guard let text = try tables.schemaText(of: generation),
      utf8Compare(text, plan.schema.canonicalText) == 0,
      try tables.tables(of: generation).count == plan.collections.count
    else { throw SinkErrors.altered(connection.path) }
  }

  private func write(
    _ changes: [Change], _ plan: DocumentPlan, _ state: DocumentTables.State
  ) throws {
    guard let generation = state.filling ?? state.published else { throw SinkErrors.noGeneration }
    if writers?.generation != generation {
      try checkSchema(of: generation, plan)
      let names = try tables.tables(of: generation)
      writers = (
        state.checkpoint, generation,
        zip(plan.collections, names).map { DocumentWriter($0, $1, connection) }
      )
    }
    guard let writers = writers?.all else { throw SinkErrors.noGeneration }
    var upserts = [[Int]](repeating: [], count: writers.count)
    for (index, change) in changes.enumerated() {
      guard writers.indices.contains(change.collection) else {
        throw SinkErrors.noSuchCollection
      }
      if change.after == nil {
        try writers[change.collection].delete(change.key)
      } else {
        upserts[change.collection].append(index)
        // A generation that is being filled has no indices yet.
        if state.filling == nil, writers[change.collection].movesUniqueValue(change) {
          try writers[change.collection].delete(change.key)
        }
      }
    }
    for (collection, indices) in upserts.enumerated() where !indices.isEmpty {
      var indices = indices
      if indices.count >= 64, state.filling == nil {
        // Neighbours in the key's index stand on the same pages; a snapshot comes in order already.
        var keyed = indices.map { (key: KeyEncoding.encode(changes[$0].key), index: $0) }
        keyed.sort { $0.key.lexicographicallyPrecedes($1.key) }
        indices = keyed.map(\.index)
      }
      try writers[collection].upsert(indices.count) { position in
        let change = changes[indices[position]]
        return (change.key, change.after ?? Row([]))
      }
    }
  }

  // MARK: Inventory

  /// `RowInventory.rows`.
  func rows(of index: Int, in schema: Schema, after key: Key?, limit: Int) throws -> [Row] {
    try connection.readTransaction {
      guard limit > 0, let state = try tables.state(), let published = state.published else {
        return []
      }
      let plan = try plan(of: schema)
      guard plan.collections.indices.contains(index) else { throw SinkErrors.noSuchCollection }
      try checkSchema(of: published, plan)
      let collection = plan.collections[index]
      let table = try tables.tables(of: published)[index]
      if !listing.isOf(index, at: state.checkpoint) {
        var ids: [String] = []
        let all = try connection.prepare("SELECT _id FROM \"\(table)\"")
        while try all.step() { ids.append(all.text(0)) }
        guard let made = KeyListing(ids, of: collection, at: state.checkpoint) else {
          throw SinkErrors.damagedDocument(collection.name, "its _id is none of a mirror")
        }
        listing = made
      }
      let query = try connection.prepare("SELECT document FROM \"\(table)\" WHERE _id = ?")
      var rows: [Row] = []
      for id in listing.ids(after: key, limit: limit) {
        query.bind(1, id)
        defer { query.reset() }
        // Gone since it was listed: the comparison will say that it is missing.
        guard try query.step() else { continue }
        do throws(ValueError) {
          let row = try collection.row(of: query.bytes(0), in: schema)
          guard let key = collection.key(of: row), collection.id(of: key) == id else {
            throw ValueError("it is another document than its _id says")
          }
          rows.append(row)
        } catch {
          throw SinkErrors.damagedDocument(collection.name, error.description)
        }
      }
      return rows
    }
  }

  /// `RowInventory.repair`.
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint) throws {
    listing = KeyListing()
    try write {
      guard let state = try tables.state(), state.checkpoint == checkpoint.canonicalBytes else {
        throw SinkErrors.movedOn(connection.path)
      }
      guard state.filling == nil, state.published != nil else {
        throw SinkErrors.nothingToRepair
      }
      try write(changes, try plan(of: schema), state)
    }
  }
}
