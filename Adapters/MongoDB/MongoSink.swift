import CSodium
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The blocking side of the adapter: one connection. Confined to the adapter's executor.
final class MongoSink {
  let client: MongoClient
  private let name: String
  private var plan: DocumentPlan?
  private var listing = KeyListing()

  init(_ url: MongoURL, timeout: Int) throws {
    client = try MongoClient(url, timeout: timeout)
    name = url.text
  }

  // MARK: State

  /// The state, with what a publication had left to do done; nil where there is none.
  func state() throws -> MongoState? {
    guard let state = try readState() else { return nil }
    guard !state.moves.isEmpty || !state.drops.isEmpty else { return state }
    try complete(state)
    return try readState()
  }

  private func readState() throws -> MongoState? {
    var found: BSON?
    try client.find(MongoState.collection) {
      $0.document("filter") { $0.string("_id", MongoState.id) }
      $0.int32("limit", 1)
    } _: {
      found = $0
    }
    guard let found else { return nil }
    guard let state = MongoState(found) else {
      throw AdapterError(
        .occupied,
        "\(name) has a collection headwater that this version of Headwater did not make: use another "
          + "database.", recovery: .halt)
    }
    return state
  }

  /// Gives published collections their names and drops those that are no more. Each step may be repeated, by
  /// several at a time: what a collection is renamed from is a name that is never used again.
  private func complete(_ state: MongoState) throws {
    for move in state.moves {
      try ignoring(26) {
        try client.command(in: "admin") {
          $0.string("renameCollection", client.url.database + "." + move.from)
          $0.string("to", client.url.database + "." + move.to)
          $0.bool("dropTarget", true)
        }
      }
    }
    for name in state.drops { try drop(name) }
    try client.command {
      $0.string("update", MongoState.collection)
      $0.array("updates") {
        $0.document("0") {
          $0.document("q") {
            $0.string("_id", MongoState.id)
            $0.binary("checkpoint", state.checkpoint)
          }
          $0.document("u") {
            $0.document("$unset") {
              $0.int32("moves", 1)
              $0.int32("drops", 1)
            }
          }
        }
      }
    }
  }

  private func drop(_ name: String) throws {
    try ignoring(26) { try client.command { $0.string("drop", name) } }
  }

  /// Runs a command whose error of that code means that there is nothing to do.
  private func ignoring(_ code: Int64, _ body: () throws -> Void) throws {
    do {
      try body()
    } catch MongoError.command(let found, _, _) where found == code {
    }
  }

  private func plan(of schema: Schema) throws(AdapterError) -> DocumentPlan {
    if let plan, plan.schema == schema { return plan }
    let made = try DocumentPlan(schema: schema)
    plan = made
    return made
  }

  // MARK: Applying

  /// `Adapter.apply`.
  func apply(_ batch: ChangeBatch) throws {
    let next = batch.checkpoint.canonicalBytes
    let previous = batch.previous?.canonicalBytes
    let stored = try state()
    if stored?.checkpoint == next { return }
    guard stored?.checkpoint == previous else {
      throw SinkErrors.diverged(name, stored?.checkpoint, batch)
    }
    let plan = try plan(of: batch.schema)
    var state = stored ?? MongoState(checkpoint: [])
    state.checkpoint = next
    var work = MongoWork(plan: plan, name: name)
    var pending: String?
    for step in batch.steps {
      switch step {
      case .change(let change): try work.add(change, to: state)
      case .migrate: throw SinkErrors.migrate
      case .begin(let generation):
        guard generation != state.published else { throw SinkErrors.published(generation) }
        pending = try begin(generation, plan, &state)
      case .publish(let generation):
        guard state.filling == generation else { throw SinkErrors.notBegun(generation) }
        try publish(plan, &state)
      }
    }
    var inserts = false
    if case .snapshot(_, .rows)? = batch.previous?.phase { inserts = state.filling != nil }
    do {
      try commit(work, state, batch.checkpoint, previous, inserting: inserts)
    } catch MongoError.command(let code, _, _) where code == 11_000 && inserts {
      // Some of the rows are there already: a snapshot may bring a row again.
      try commit(work, state, batch.checkpoint, previous, inserting: false)
    }
    if let pending { try forget(pending) }
    if !state.moves.isEmpty || !state.drops.isEmpty { try complete(state) }
  }

  /// Everything of a batch in one transaction, the checkpoint with it.
  private func commit(
    _ work: MongoWork, _ state: MongoState, _ checkpoint: Checkpoint, _ previous: [UInt8]?,
    inserting: Bool
  ) throws {
    try client.withTransaction {
      // First, so that of two mirrors the second fails before it writes anything else.
      let answer: BSON
      if let previous {
        answer = try client.command {
          $0.string("update", MongoState.collection)
          $0.array("updates") {
            $0.document("0") {
              $0.document("q") {
                $0.string("_id", MongoState.id)
                $0.binary("checkpoint", previous)
              }
              $0.document("u") { state.write(checkpoint, into: &$0) }
            }
          }
        }
      } else {
        answer = try client.command {
          $0.string("insert", MongoState.collection)
          $0.array("documents") { $0.document("0") { state.write(checkpoint, into: &$0) } }
        }
      }
      guard answer["n"]?.int == 1 else {
        throw AdapterError(
          .unavailable, "Another process writes to \(name); trying again.", recovery: .retry)
      }
      try work.perform(on: client, inserting: inserting)
    }
  }

  // MARK: Generations

  /// Makes empty collections of names that were never used, and returns the note that says so.
  private func begin(_ generation: Int64, _ plan: DocumentPlan, _ state: inout MongoState) throws
    -> String
  {
    let there = try collectionNames()
    for collection in plan.collections
    where there.contains(collection.name) && !state.tables.contains(collection.name) {
      throw AdapterError(
        .occupied,
        "\(name) has a collection \(collection.name) that is not the mirror's, where one of the mirror's "
          + "should be: use another database.", recovery: .halt)
    }
    var random = [UInt8](repeating: 0, count: 6)
    randombytes_buf(&random, random.count)
    let mark = "g\(generation).\(hexadecimal(random))"
    let names = plan.collections.map { "\($0.name).\(mark)" }
    // What a crash leaves behind is found by the note.
    try clearOldNotes(keeping: Set(state.tables + state.fillingTables), there)
    let note = "begin " + mark
    try client.command {
      $0.string("insert", MongoState.collection)
      $0.array("documents") {
        $0.document("0") {
          $0.string("_id", note)
          $0.int64("time", Int64(time(nil)))
          $0.strings("names", names)
        }
      }
    }
    for name in names { try ignoring(48) { try client.command { $0.string("create", name) } } }
    state.drops = state.fillingTables
    state.filling = generation
    state.fillingTables = names
    state.fillingSchemaText = plan.schema.canonicalText
    return note
  }

  private func publish(_ plan: DocumentPlan, _ state: inout MongoState) throws {
    try check(state.fillingTables, state.fillingSchemaText, plan)
    for (collection, table) in zip(plan.collections, state.fillingTables) {
      let fields = collection.fields.filter { $0.isIndexed || $0.isUnique }
      guard !fields.isEmpty else { continue }
      try client.command {
        $0.string("createIndexes", table)
        $0.array("indexes") { writer in
          for (index, field) in fields.enumerated() {
            writer.document(String(index)) {
              $0.document("key") { $0.int32(field.name, 1) }
              $0.string("name", field.name)
            }
          }
        }
      }
    }
    let names = plan.collections.map(\.name)
    state.moves = zip(state.fillingTables, names).map { MongoState.Move(from: $0, to: $1) }
    state.drops += state.tables.filter { !names.contains($0) }
    state.published = state.filling
    state.tables = names
    state.schemaText = state.fillingSchemaText
    state.filling = nil
    state.fillingTables = []
    state.fillingSchemaText = ""
  }

  fileprivate func check(_ tables: [String], _ text: String, _ plan: DocumentPlan) throws {
    guard tables.count == plan.collections.count,
      utf8Compare(text, plan.schema.canonicalText) == 0
    else { throw SinkErrors.altered(name) }
  }

  private func collectionNames() throws -> Set<String> {
    var names: Set<String> = []
    let answer = try client.command {
      $0.int32("listCollections", 1)
      $0.bool("nameOnly", true)
      $0.document("cursor") { $0.int32("batchSize", 100_000) }
    }
    for entry in answer["cursor"]?["firstBatch"]?.array ?? [] {
      if let name = entry["name"]?.string { names.insert(name) }
    }
    return names
  }

  private func forget(_ note: String) throws {
    try client.command {
      $0.string("delete", MongoState.collection)
      $0.array("deletes") {
        $0.document("0") {
          $0.document("q") { $0.string("_id", note) }
          $0.int32("limit", 1)
        }
      }
    }
  }

  /// Drops the collections of generations that a crash kept from being begun, an hour ago or longer.
  private func clearOldNotes(keeping ours: Set<String>, _ there: Set<String>) throws {
    var notes: [(id: String, names: [String])] = []
    try client.find(MongoState.collection) {
      $0.document("filter") {
        $0.document("time") { $0.int64("$lt", Int64(time(nil)) - 3_600) }
      }
    } _: { note in
      guard let id = note["_id"]?.string else { return }
      notes.append((id, (note["names"]?.array ?? []).compactMap(\.string)))
    }
    for note in notes {
      for name in note.names where there.contains(name) && !ours.contains(name) {
        try drop(name)
      }
      try forget(note.id)
    }
  }

  // MARK: Inventory

  /// `RowInventory.rows`.
  func rows(of index: Int, in schema: Schema, after key: Key?, limit: Int) throws -> [Row] {
    let plan = try plan(of: schema)
    guard plan.collections.indices.contains(index) else { throw SinkErrors.noSuchCollection }
    let collection = plan.collections[index]
    for _ in 0..<20 {
      guard let state = try state(), state.published != nil else { return [] }
      try check(state.tables, state.schemaText, plan)
      if !listing.isOf(index, at: state.checkpoint) {
        var ids: [String] = []
        try client.find(state.tables[index], batchSize: 100_000) {
          $0.document("projection") { $0.int32("_id", 1) }
        } _: { document in
          guard let id = document["_id"]?.string else {
            throw SinkErrors.damagedDocument(collection.name, "its _id is no text")
          }
          ids.append(id)
        }
        guard let made = KeyListing(ids, of: collection, at: state.checkpoint) else {
          throw SinkErrors.damagedDocument(collection.name, "its _id is none of a mirror")
        }
        listing = made
      }
      let rows = try read(
        listing.ids(after: key, limit: limit), of: collection, from: state.tables[index], schema)
      // What was read is of one state only if the state is still the same, and no publication under way.
      if let now = try readState(), now.checkpoint == state.checkpoint, now.moves.isEmpty {
        return rows
      }
      listing = KeyListing()
    }
    throw AdapterError(
      .unavailable, "\(name) changes faster than it can be read; trying again.", recovery: .retry)
  }

  private func read(
    _ ids: [String], of collection: DocumentCollection, from table: String, _ schema: Schema
  ) throws -> [Row] {
    if ids.isEmpty { return [] }
    var found: [String: Row] = [:]
    try client.find(table) {
      $0.document("filter") { $0.document("_id") { $0.strings("$in", ids) } }
    } _: { document in
      guard let id = document["_id"]?.string, let raw = document.raw else {
        throw SinkErrors.damagedDocument(collection.name, "it holds what no mirror writes")
      }
      do throws(ValueError) {
        found[id] = try collection.row(of: raw, in: schema)
      } catch {
        throw SinkErrors.damagedDocument(collection.name, error.description)
      }
    }
    return ids.compactMap { found[$0] }
  }

  /// `RowInventory.repair`.
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint) throws {
    let bytes = checkpoint.canonicalBytes
    guard let state = try state(), state.checkpoint == bytes else {
      throw SinkErrors.movedOn(name)
    }
    guard state.filling == nil, state.published != nil else { throw SinkErrors.nothingToRepair }
    let plan = try plan(of: schema)
    var work = MongoWork(plan: plan, name: name)
    for change in changes { try work.add(change, to: state) }
    listing = KeyListing()
    try commit(work, state, checkpoint, bytes, inserting: false)
  }
}

/// The writes of a batch, as the server takes them.
struct MongoWork {
  private let plan: DocumentPlan
  private let name: String
  private var isChecked = false
  private var pieces: [Piece] = []

  /// Documents for one collection, in as few commands as its limits allow.
  private struct Piece {
    let table: String
    let isDelete: Bool
    var ids: [String] = []
    var bytes = BSONWriter()
    /// Where each document ends.
    var ends: [Int] = []
  }

  private static let mostDocuments = 10_000
  private static let mostBytes = 16 << 20

  init(plan: DocumentPlan, name: String) {
    self.plan = plan
    self.name = name
  }

  mutating func add(_ change: Change, to state: MongoState) throws {
    guard plan.collections.indices.contains(change.collection) else {
      throw SinkErrors.noSuchCollection
    }
    let isFilling = state.filling != nil
    // What is published in this batch still has the name under which it was filled.
    let tables =
      isFilling
      ? state.fillingTables
      : state.moves.isEmpty ? state.tables : state.moves.map(\.from)
    guard isFilling || state.published != nil else { throw SinkErrors.noGeneration }
    if !isChecked {
      guard tables.count == plan.collections.count,
        utf8Compare(
          isFilling ? state.fillingSchemaText : state.schemaText, plan.schema.canonicalText) == 0
      else { throw SinkErrors.altered(name) }
      isChecked = true
    }
    let collection = plan.collections[change.collection]
    guard let id = collection.id(of: change.key) else { throw SinkErrors.misfit(collection.name) }
    let table = tables[change.collection]
    let isDelete = change.after == nil
    let index: Int
    if let found = pieces.lastIndex(where: { $0.table == table && $0.isDelete == isDelete }),
      pieces[found].ids.count < MongoWork.mostDocuments,
      pieces[found].bytes.bytes.count < MongoWork.mostBytes
    {
      index = found
    } else {
      pieces.append(Piece(table: table, isDelete: isDelete))
      index = pieces.count - 1
    }
    pieces[index].ids.append(id)
    if let row = change.after {
      guard collection.key(of: row) == change.key,
        pieces[index].bytes.row(row, of: collection, id: id)
      else { throw SinkErrors.misfit(collection.name) }
      pieces[index].ends.append(pieces[index].bytes.bytes.count)
    }
  }

  func perform(on client: MongoClient, inserting: Bool) throws {
    for piece in pieces where piece.isDelete {
      var deletes = BSONWriter()
      for id in piece.ids {
        deletes.document {
          $0.document("q") { $0.string("_id", id) }
          $0.int32("limit", 1)
        }
      }
      try client.command(sequence: .init(name: "deletes", bytes: deletes.bytes[...])) {
        $0.string("delete", piece.table)
      }
    }
    for piece in pieces where !piece.isDelete {
      if inserting {
        try client.command(sequence: .init(name: "documents", bytes: piece.bytes.bytes[...])) {
          $0.string("insert", piece.table)
        }
      } else {
        try client.command(sequence: .init(name: "updates", bytes: updates(piece).bytes[...])) {
          $0.string("update", piece.table)
        }
      }
    }
  }

  private func updates(_ piece: Piece) -> BSONWriter {
    var updates = BSONWriter()
    updates.bytes.reserveCapacity(piece.bytes.bytes.count + piece.ids.count * 80)
    var start = 0
    for (id, end) in zip(piece.ids, piece.ends) {
      updates.document {
        $0.document("q") { $0.string("_id", id) }
        $0.head(0x03, "u")
        $0.bytes += piece.bytes.bytes[start..<end]
        $0.bool("upsert", true)
      }
      start = end
    }
    return updates
  }
}
