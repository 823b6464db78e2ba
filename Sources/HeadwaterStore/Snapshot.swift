import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// One consistent state of a store, for reading. Valid during the closure of `Store.read`; not `Sendable`.
public final class Snapshot {
  let db: Connection
  let layout: SchemaPlan
  let suite: any CryptoSuite
  let database: Digest
  let replica: UUIDBytes
  let log: OperationTable
  let rows: RowTable
  private let order: OrderCache

  init(
    _ db: Connection, layout: SchemaPlan, suite: any CryptoSuite, database: Digest,
    replica: UUIDBytes, order: OrderCache
  ) throws {
    self.db = db
    self.order = order
    self.layout = layout
    self.suite = suite
    self.database = database
    self.replica = replica
    log = try OperationTable(db, suite: suite, isWriter: false)
    rows = try RowTable(db, layouts: layout)
  }

  public var schema: Schema { layout.schema }

  // MARK: Rows

  private func collection(_ index: Int) throws(StoreError) -> CollectionPlan {
    guard layout.collections.indices.contains(index) else {
      throw StoreError(.invalid, "the schema has no collection \(index)")
    }
    return layout.collections[index]
  }

  private func image(_ row: RowState) -> Row {
    let shape = layout.collections[row.collection]
    return shape.row(shape.visibleValues(row.values, stamps: row.stamps, masked: row.masked))
  }

  /// The visible row with that key.
  public func row(_ collection: Int, key: Key) throws -> Row? {
    _ = try self.collection(collection)
    guard let row = try rows.row(StorageKey(collection, key)), row.isVisible else { return nil }
    return image(row)
  }

  /// At most `limit` visible rows of a collection in key order, beginning after `key`.
  public func rows(_ collection: Int, after key: Key? = nil, limit: Int) throws -> [Row] {
    _ = try self.collection(collection)
    let bounds = StorageKey.bounds(collection)
    return try rows.visible(
      after: key.map { StorageKey(collection, $0) } ?? bounds.start, upTo: bounds.end,
      limit: limit
    ).map(image)
  }

  /// How many rows of the collection are visible.
  public func count(_ collection: Int) throws -> Int64 {
    _ = try self.collection(collection)
    let bounds = StorageKey.bounds(collection)
    let statement = try db.cached(
      "SELECT count(*) FROM row WHERE key > ? AND key < ? AND flags & 2")
    statement.bind(1, bounds.start.bytes)
    statement.bind(2, bounds.end.bytes)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : 0
  }

  // MARK: Operations

  /// The ids of the operations without children, sorted.
  public func frontier() throws -> [Digest] {
    let statement = try db.prepare("SELECT number FROM frontier")
    var ids: [Digest] = []
    while try statement.step() { ids.append(try log.record(statement.int(0)).id) }
    return ids.sorted()
  }

  /// The operations in canonical order, for comparing replicas.
  ///
  /// The first reader after the store was opened reads a few milliseconds per million operations; the next ones
  /// read what is new.
  public func operations() throws -> StoredOperations {
    StoredOperations(db, log: log, order: try order.order(db))
  }

  /// The operation whose id begins with those hexadecimal digits.
  ///
  /// Throws `.invalid` where there is none, or more than one.
  public func operation(withPrefix digits: String) throws -> Digest {
    let found = try log.numbers(withPrefix: digits)
    guard found.count == 1 else {
      throw StoreError(
        .invalid,
        found.isEmpty
          ? "the store has no operation \(digits)"
          : "several operations begin with \(digits): give more digits")
    }
    return try log.record(found[0]).id
  }

  /// The signed bytes of an operation, as it travels.
  public func signed(_ id: Digest) throws -> SignedOperation? {
    try log.number(of: id).map { try log.signed($0) }
  }

  /// The ids of all operations, parents before children.
  public func operationIDs() throws -> [Digest] {
    let statement = try db.prepare("SELECT id FROM operation ORDER BY number")
    var ids: [Digest] = []
    while try statement.step() {
      if let id = statement.withBytes(0, { Digest(bytes: $0) }) { ids.append(id) }
    }
    return ids
  }

  /// One operation, as people are shown it.
  public struct LoggedOperation: Sendable {
    public let id: Digest
    public let height: Int64
    public let author: Digest
    public let operation: Operation
    public let verdict: Verdict
    /// The changes with generated keys filled in, fields by name (`address.street` inside a record).
    public let changes: [LoggedChange]
  }

  public struct LoggedChange: Sendable {
    public let kind: RowChange.Kind
    public let collection: Int
    public let key: Key
    public let fields: [(name: String, field: Field, isPresence: Bool, value: Value?)]
  }

  /// Calls `body` with operations in canonical order, until it returns false.
  ///
  /// - Parameters:
  ///   - collection: only those that touch the collection.
  ///   - key: with `collection`, only those that touch this row.
  public func log(
    collection: Int? = nil, key: Key? = nil, _ body: (LoggedOperation) throws -> Bool
  ) throws {
    if let collection, let key {
      guard let row = try rows.row(StorageKey(collection, key)) else { return }
      let records = try rows.touches(row).map { try log.record($0) }
      for record in records.sorted(by: { $0.precedes($1) }) {
        guard try body(logged(record, where: { $0.storageKey == row.storageKey })) else { return }
      }
      return
    }
    let statement = try db.prepare("SELECT number FROM operation ORDER BY height, id")
    while try statement.step() {
      let record = try log.record(statement.int(0))
      let entry = try logged(record, where: { collection == nil || $0.collection == collection })
      if collection != nil, entry.changes.isEmpty { continue }
      guard try body(entry) else { return }
    }
  }

  private func logged(_ record: OperationRecord, where isIncluded: (ResolvedChange) -> Bool) throws
    -> LoggedOperation
  {
    let operation = try log.operation(record.number)
    let changes = ChangeResolver.resolve(
      operation, id: record.id, layout: layout, suite: suite)
    return LoggedOperation(
      id: record.id, height: record.height, author: operation.author, operation: operation,
      verdict: record.reason.map { .void($0, by: record.voidedBy) } ?? .valid,
      changes: changes.filter(isIncluded).map { change in
        let shape = layout.collections[change.collection]
        return LoggedChange(
          kind: change.kind, collection: change.collection, key: change.key,
          fields: change.assignments.map { assignment in
            let slot = shape.slots[assignment.slot]
            var value: Value?
            if case .set(let some) = assignment.change { value = some }
            return (slot.name, slot.field, slot.isPresence, value)
          })
      })
  }

  // MARK: Local state

  /// The bytes that a write stored under the name, in its commit.
  public func bookmark(_ name: String) throws -> [UInt8]? {
    let statement = try db.cached("SELECT value FROM bookmark WHERE name = ?")
    statement.bind(1, name)
    defer { statement.reset() }
    return try statement.step() ? statement.bytes(0) : nil
  }

  /// Counts for people.
  public struct Status: Sendable {
    public let operations: Int64
    public let voidOperations: Int64
    public let authors: Int64
    public let heads: Int
    public let height: Int64
    /// The position of the last event.
    public let position: Int64
    /// The first position that is still kept.
    public let firstPosition: Int64
    /// Authors whose chains fork, with the operation that showed it.
    public let equivocations: [(author: Digest, operation: Digest)]
    public let bytes: Int64
  }

  public func status() throws -> Status {
    var equivocations: [(author: Digest, operation: Digest)] = []
    let statement = try db.prepare(
      "SELECT number, author FROM equivocation ORDER BY number LIMIT 100")
    while try statement.step() {
      equivocations.append(
        (try log.authors.record(statement.int(1)).principal, try log.record(statement.int(0)).id))
    }
    let head = try head()
    return Status(
      operations: try db.integer("SELECT count(*) FROM operation") ?? 0,
      voidOperations: try db.integer("SELECT count(*) FROM operation WHERE reason IS NOT NULL")
        ?? 0,
      authors: try db.integer("SELECT count(*) FROM author") ?? 0, heads: try frontier().count,
      height: try db.integer("SELECT max(height) FROM operation") ?? 0, position: head.position,
      firstPosition: try db.integer("SELECT min(first) FROM event") ?? head.position + 1,
      equivocations: equivocations,
      bytes: (try db.integer("PRAGMA page_count") ?? 0) * (try db.integer("PRAGMA page_size") ?? 0))
  }

  /// A mirror that ever ran, as it last reported.
  public struct MirrorRecord: Sendable {
    public let status: MirrorStatus
    /// When it reported, in milliseconds since 1970.
    public let updated: Int64
  }

  public func mirrors() throws -> [MirrorRecord] {
    let statement = try db.prepare(
      "SELECT name, sink, state, position, rate, error, updated FROM mirror ORDER BY name")
    var result: [MirrorRecord] = []
    while try statement.step() {
      result.append(
        MirrorRecord(
          status: MirrorStatus(
            name: statement.text(0), sink: statement.text(1),
            state: MirrorStatus.State(rawValue: statement.text(2)) ?? .halted,
            position: statement.isNull(3) ? nil : statement.int(3), rate: statement.double(4),
            error: statement.isNull(5) ? nil : statement.text(5)),
          updated: statement.int(6)))
    }
    return result
  }
}
