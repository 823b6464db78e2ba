import HeadwaterLog
import HeadwaterModel
import SQLiteDriver

/// The rows in a store's file, by key.
final class RowTable {
  /// How many clean rows are kept in memory between commits.
  private static let cachedRows = 20_000
  /// A commit of more new rows than this leaves none in memory: the next of its kind brings others, and giving these
  /// back is cheap only while the processor's caches have them.
  private static let bulkRows = 1_000
  /// How many rows an operation may have in memory at once; beyond, they are written and read again.
  static let heldRows = 131_072

  enum Flag {
    static let live: Int64 = 1
    static let visible: Int64 = 2
    static let touches: Int64 = 4
    /// From this bit on stand the kinds of changes of the first operation.
    static let kindsShift: Int64 = 3
  }

  let db: Connection
  let layouts: SchemaPlan
  @exclusivity(unchecked) private var byKey: [StorageKey: RowState] = [:]
  @exclusivity(unchecked) private var byNumber = NumberMap<RowState>()
  @exclusivity(unchecked) private var dirty: [RowState] = []
  private var nextNumber: Int64
  private var writer = CanonicalWriter()
  /// The rows let go whose image before the current operation is in the table `spill`.
  @exclusivity(unchecked) private var spilled = NumberMap<Void>()

  private let heldRows: Int
  private let additions: BatchInsert

  init(_ db: Connection, layouts: SchemaPlan, heldRows: Int = RowTable.heldRows) throws {
    self.heldRows = heldRows
    self.db = db
    self.layouts = layouts
    additions = BatchInsert(
      db, into: "row",
      columns: ["flags", "creator", "creates", "stamps", "image", "masked", "number", "key"])
    nextNumber = try StoreFile.nextNumber(db, "row")
  }

  static let columns = "number, key, flags, creator, creates, stamps, image, masked"

  func row(_ storageKey: StorageKey) throws -> RowState? {
    if let row = byKey[storageKey] { return row }
    let statement = try db.cached(
      "SELECT number, key, flags, creator, creates, stamps, image, masked FROM row WHERE key = ?")
    statement.bind(1, storageKey.bytes)
    defer { statement.reset() }
    guard try statement.step() else { return nil }
    let row = try read(statement)
    statement.reset()
    return try keep(row)
  }

  func row(number: Int64) throws -> RowState {
    if let row = byNumber[number] { return row }
    let statement = try db.cached(
      "SELECT number, key, flags, creator, creates, stamps, image, masked FROM row WHERE number = ?"
    )
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step() else {
      throw StoreError(
        .damaged, "row \(number) is missing from the store: restore it from a backup")
    }
    let row = try read(statement)
    statement.reset()
    return try keep(row)
  }

  private func keep(_ row: RowState) throws -> RowState {
    // A row may be in memory under its number only through its key, so the two maps agree.
    if let known = byNumber[row.number] { return known }
    if spilled.contains(row.number) { try restore(row) }
    byKey[row.storageKey] = row
    byNumber[row.number] = row
    mostHeld = max(mostHeld, byNumber.count)
    return row
  }

  /// The most rows that were in memory at once, for tests of what an operation holds.
  var mostHeld = 0

  /// A row of a key that was never seen.
  func add(_ storageKey: StorageKey, creator: Int64) -> RowState {
    let collection = storageKey.collection
    let row = RowState(
      number: nextNumber, collection: collection, storageKey: storageKey,
      slotCount: layouts.collections[collection].slots.count, creator: creator)
    nextNumber += 1
    byKey[storageKey] = row
    byNumber[row.number] = row
    touch(row)
    return row
  }

  /// Notes that the row must be written.
  func touch(_ row: RowState) {
    guard !row.isDirty else { return }
    row.isDirty = true
    dirty.append(row)
  }

  /// Visible rows in storage order after a key, for snapshots and listings.
  func visible(after storageKey: StorageKey?, upTo end: StorageKey?, limit: Int) throws
    -> [RowState]
  {
    let statement = try db.cached(
      "SELECT \(RowTable.columns) FROM row WHERE key > ? AND key < ? AND flags & 2 ORDER BY key LIMIT ?"
    )
    statement.bind(1, storageKey?.bytes ?? [])
    // No collection has the index 65,535, so this is above every key.
    statement.bind(2, end?.bytes ?? [0xFF, 0xFF])
    statement.bind(3, limit)
    var rows: [RowState] = []
    while try statement.step() { rows.append(try read(statement)) }
    return rows
  }

  /// All rows of a collection that were ever seen, in storage order after a key.
  func all(after storageKey: StorageKey, upTo end: StorageKey, limit: Int) throws -> [RowState] {
    let statement = try db.cached(
      "SELECT \(RowTable.columns) FROM row WHERE key > ? AND key < ? ORDER BY key LIMIT ?")
    statement.bind(1, storageKey.bytes)
    statement.bind(2, end.bytes)
    statement.bind(3, limit)
    var rows: [RowState] = []
    while try statement.step() { rows.append(try read(statement)) }
    return rows
  }

  // MARK: Bytes

  private func read(_ statement: Statement) throws -> RowState {
    let storageKey = StorageKey(statement.bytes(1))
    let number = statement.int(0)
    guard storageKey.bytes.count > 2,
      storageKey.collection < layouts.collections.count
    else { throw RowTable.damaged(number) }
    let collection = storageKey.collection
    let row = RowState(
      number: number, collection: collection, storageKey: storageKey,
      slotCount: layouts.collections[collection].slots.count, creator: statement.int(3))
    row.isNew = false
    let flags = statement.int(2)
    row.isLive = flags & Flag.live != 0
    row.isVisible = flags & Flag.visible != 0
    row.hasTouches = flags & Flag.touches != 0
    row.firstKinds = TouchKinds(rawValue: flags >> Flag.kindsShift & 15)
    do {
      if row.isLive {
        row.creates = statement.isNull(4) ? [row.creator] : try numbers(statement.bytes(4))
        var reader = CanonicalReader(statement.bytes(6))
        for slot in row.values.indices {
          if reader.undefined() { continue }
          row.values[slot] = try reader.value()
          row.stamps[slot] = row.creator
        }
        try reader.finish()
        if !statement.isNull(5) {
          let stamps = try numbers(statement.bytes(5))
          guard stamps.count == row.stamps.count else { throw RowTable.damaged(number) }
          row.stamps = stamps
        }
        guard
          layouts.collections[collection].keySlots.allSatisfy({
            row.values[$0] != nil && row.stamps[$0] != 0
          })
        else { throw RowTable.damaged(number) }
      }
      if !statement.isNull(7) {
        row.masked = try numbers(statement.bytes(7)).map(Int.init)
        let slots = layouts.collections[collection].slots
        guard row.masked.allSatisfy({ slots.indices.contains($0) && !slots[$0].isKey }) else {
          throw RowTable.damaged(number)
        }
      }
    } catch is DecodingError {
      throw RowTable.damaged(number)
    }
    return row
  }

  static func damaged(_ number: Int64) -> StoreError {
    StoreError(.damaged, "row \(number) is damaged in the store: restore it from a backup")
  }

  func numbers(_ bytes: [UInt8]) throws(DecodingError) -> [Int64] {
    var reader = CanonicalReader(bytes)
    var result: [Int64] = []
    while !reader.isAtEnd { result.append(try reader.int()) }
    return result
  }

  private func bytes(_ numbers: [Int64]) -> [UInt8] {
    var writer = CanonicalWriter()
    for number in numbers { writer.int(number) }
    return writer.bytes
  }

  /// Writes the rows that changed; call before committing.
  func flush() throws {
    let update = try db.cached(
      "UPDATE row SET flags = ?, creator = ?, creates = ?, stamps = ?, image = ?, masked = ? WHERE number = ?"
    )
    var added = 0
    for row in dirty {
      var flags: Int64 = 0
      if row.isLive { flags |= Flag.live }
      if row.isVisible { flags |= Flag.visible }
      if row.hasTouches { flags |= Flag.touches }
      flags |= row.firstKinds.rawValue << Flag.kindsShift
      var creates: [UInt8]?
      if row.isLive, row.creates.count != 1 || row.creates[0] != row.creator {
        creates = bytes(row.creates)
      }
      var stamped: [UInt8]?
      writer.removeAll()
      if row.isLive {
        var uniform = true
        let (values, stamps, creator) = (row.values, row.stamps, row.creator)
        for slot in values.indices {
          if stamps[slot] == 0 {
            writer.undefined()
          } else {
            writer.value(values[slot])
            if stamps[slot] != creator { uniform = false }
          }
        }
        if !uniform { stamped = bytes(stamps) }
      }
      let masked = row.masked.isEmpty ? nil : bytes(row.masked.map(Int64.init))
      if row.isNew {
        additions.add(flags)
        additions.add(row.creator)
        additions.add(creates)
        additions.add(stamped)
        if row.isLive { additions.add(writer.bytes) } else { additions.addNull() }
        additions.add(masked)
        additions.add(row.number)
        additions.add(row.storageKey.bytes)
        try additions.endRow()
        added += 1
      } else {
        update.bind(1, flags)
        update.bind(2, row.creator)
        update.bind(3, creates)
        update.bind(4, stamped)
        if row.isLive { update.bind(5, writer.bytes) } else { update.bindNull(5) }
        update.bind(6, masked)
        update.bind(7, row.number)
        try update.run()
      }
      row.isNew = false
      row.isDirty = false
    }
    try additions.flush()
    dirty.removeAll(keepingCapacity: true)
    if added > RowTable.bulkRows || byKey.count > RowTable.cachedRows {
      byKey.removeAll(keepingCapacity: true)
      byNumber.removeAll(keepingCapacity: true)
    }
  }

  // MARK: More rows than memory should hold

  /// Writes the rows in memory and lets them go, if there are too many. No row may be held across the call.
  ///
  /// - Parameter mark: the current operation: the images before it go to the table `spill`.
  func relieve(_ mark: Int64) throws {
    guard byNumber.count > heldRows else { return }
    let insert = try db.cached("INSERT OR REPLACE INTO spill (row, fresh, image) VALUES (?, ?, ?)")
    for (_, row) in byNumber.entries where row.mark == mark {
      insert.bind(1, row.number)
      insert.bind(2, row.isFresh ? 1 : 0)
      if let before = row.before {
        writer.removeAll()
        for value in before { writer.value(value) }
        insert.bind(3, writer.bytes)
      } else {
        insert.bindNull(3)
      }
      try insert.run()
      spilled[row.number] = ()
    }
    try flush()
    byKey.removeAll(keepingCapacity: true)
    byNumber.removeAll(keepingCapacity: true)
    spillMark = mark
  }

  private var spillMark: Int64 = 0

  private func restore(_ row: RowState) throws {
    let statement = try db.cached("SELECT fresh, image FROM spill WHERE row = ?")
    statement.bind(1, row.number)
    defer { statement.reset() }
    guard try statement.step() else { return }
    row.mark = spillMark
    row.isFresh = statement.int(0) != 0
    guard !statement.isNull(1) else { return }
    var reader = CanonicalReader(statement.bytes(1))
    do {
      var before: [Value?] = []
      before.reserveCapacity(row.values.count)
      for _ in row.values.indices { before.append(try reader.value()) }
      row.before = before
    } catch {
      throw RowTable.damaged(row.number)
    }
  }

  /// Forgets the images before an operation that is done with.
  func forgetSpilled() throws {
    guard !spilled.isEmpty else { return }
    spilled.removeAll()
    try db.execute("DELETE FROM spill")
  }

  // MARK: History

  /// Notes that an operation touched the row, and with what kinds of changes.
  func addTouch(_ row: RowState, _ operation: Int64, _ kinds: TouchKinds) throws {
    if !row.hasTouches {
      guard row.creator != operation else {
        row.firstKinds = kinds
        return
      }
      row.hasTouches = true
      touch(row)
      try insertTouch(row.number, row.creator, row.firstKinds)
    }
    try insertTouch(row.number, operation, kinds)
  }

  private func insertTouch(_ row: Int64, _ operation: Int64, _ kinds: TouchKinds) throws {
    let statement = try db.cached(
      "INSERT OR IGNORE INTO touch (row, operation, kinds) VALUES (?, ?, ?)")
    statement.bind(1, row)
    statement.bind(2, operation)
    statement.bind(3, kinds.rawValue)
    try statement.run()
  }

  /// The operations that created or deleted the row, in order of arrival; and those of an old file, which
  /// did not note what they did: their kinds are empty.
  func lifecycle(_ row: RowState) throws -> [(operation: Int64, kinds: TouchKinds)] {
    guard row.hasTouches else {
      return row.firstKinds == .update ? [] : [(row.creator, row.firstKinds)]
    }
    let statement = try db.cached(
      "SELECT operation, kinds FROM touch WHERE row = ? AND kinds <> 2 ORDER BY operation")
    statement.bind(1, row.number)
    var result: [(operation: Int64, kinds: TouchKinds)] = []
    while try statement.step() {
      result.append((statement.int(0), TouchKinds(rawValue: statement.int(1))))
    }
    return result
  }

  /// The operations, from number `first` on, that touched the row.
  func touches(_ row: RowState, from first: Int64) throws -> [Int64] {
    guard row.hasTouches else { return row.creator >= first ? [row.creator] : [] }
    let statement = try db.cached(
      "SELECT operation FROM touch WHERE row = ? AND operation >= ? ORDER BY operation")
    statement.bind(1, row.number)
    statement.bind(2, first)
    var result: [Int64] = []
    while try statement.step() { result.append(statement.int(0)) }
    return result
  }

  /// The operations that touched the row, in order of arrival.
  func touches(_ row: RowState) throws -> [Int64] {
    guard row.hasTouches else { return [row.creator] }
    let statement = try db.cached("SELECT operation FROM touch WHERE row = ? ORDER BY operation")
    statement.bind(1, row.number)
    var result: [Int64] = []
    while try statement.step() { result.append(statement.int(0)) }
    return result
  }

  // MARK: References

  /// The rows that refer to `target`, with the slots in which they do, in order of (row, slot).
  func referrers(of target: Int64) throws -> [(source: Int64, slot: Int)] {
    let statement = try db.cached("SELECT source, slot FROM reference WHERE target = ?")
    statement.bind(1, target)
    var result: [(source: Int64, slot: Int)] = []
    while try statement.step() { result.append((statement.int(0), Int(statement.int(1)))) }
    return result
  }

  func addReference(target: Int64, source: Int64, slot: Int) throws {
    let statement = try db.cached(
      "INSERT OR IGNORE INTO reference (target, source, slot) VALUES (?, ?, ?)")
    statement.bind(1, target)
    statement.bind(2, source)
    statement.bind(3, slot)
    try statement.run()
  }

  func removeReference(target: Int64, source: Int64, slot: Int) throws {
    let statement = try db.cached(
      "DELETE FROM reference WHERE target = ? AND source = ? AND slot = ?")
    statement.bind(1, target)
    statement.bind(2, source)
    statement.bind(3, slot)
    try statement.run()
  }
}
