import HeadwaterModel
import HeadwaterStream
import Synchronization

/// A source whose transactions a test writes: it has positions, digests, retention and backups as a store has.
///
/// Safe to use from anywhere. Every call sees one consistent state.
public final class ScriptedSource: ChangeSource {
  /// One line of a transaction.
  public enum Write: Sendable {
    /// The row of the collection with that index now reads so.
    case put(Int, Row)
    case delete(Int, Key)
  }

  /// What a mirror asks for.
  public enum Call: Sendable, Hashable {
    case head, recognise, transactions, schema, wait, report
    /// Rows after the position; nil for the first page.
    case rows(after: RowPosition?)
  }

  /// Everything that a source holds, as a copy of its file would.
  public struct Backup: Sendable {
    fileprivate let state: State

    /// The schema in force in the copy.
    public var schema: Schema { state.schemas[state.schema]! }
  }

  fileprivate struct Entry: Sendable {
    let order: [UInt8]
    let key: Key
    var row: Row
  }

  fileprivate struct State: Sendable {
    var database: Digest
    var replica: UUIDBytes
    var schemas: [Digest: Schema] = [:]
    var schema: Digest
    /// The visible rows of each collection, in key order.
    var rows: [[Entry]]
    var transactions: [Transaction] = []
    /// The digest of the chain at each end of a transaction.
    var points: [Int64: Digest] = [0: .zero]
    var position: Int64 = 0
    var trimmed: Int64 = 0
    var statuses: [MirrorStatus] = []
  }

  private let state: Mutex<State>
  private let hook = Mutex<(@Sendable (Call) -> Void)?>(nil)

  /// An empty source.
  ///
  /// - Parameters:
  ///   - database: sources of different numbers are of different databases.
  ///   - replica: sources of different numbers are different replicas.
  public init(schema: Schema, database: UInt8 = 1, replica: UInt8 = 1) {
    let hash = ScriptedSource.hash(of: schema)
    state = Mutex(
      State(
        database: Digest(bytes: [UInt8](repeating: database, count: 32))!,
        replica: UUIDBytes(bytes: [UInt8](repeating: replica, count: 16))!,
        schemas: [hash: schema], schema: hash, rows: schema.collections.map { _ in [] }))
  }

  /// A source that begins as the backup was.
  ///
  /// - Parameter replica: set for another replica of the same database.
  public init(restoring backup: Backup, replica: UInt8? = nil) {
    var copy = backup.state
    if let replica {
      copy.replica = UUIDBytes(bytes: [UInt8](repeating: replica, count: 16))!
    }
    state = Mutex(copy)
  }

  /// Called before each call is answered, outside of any lock: it may write to the source.
  public func onCall(_ body: (@Sendable (Call) -> Void)?) {
    hook.withLock { $0 = body }
  }

  // MARK: - The test's side

  /// The schema in force.
  public var schema: Schema { state.withLock { $0.schemas[$0.schema]! } }

  /// The position of the last event.
  public var position: Int64 { state.withLock { $0.position } }

  /// What mirrors reported, oldest first.
  public var statuses: [MirrorStatus] { state.withLock { $0.statuses } }

  /// The visible rows of a collection in key order.
  public func visibleRows(of collection: Int) -> [Row] {
    state.withLock { $0.rows[collection].map(\.row) }
  }

  /// The visible row with that key.
  public func row(_ collection: Int, _ key: Key) -> Row? {
    state.withLock { state in
      let (index, found) = ScriptedSource.find(KeyEncoding.encode(key), in: state.rows[collection])
      return found ? state.rows[collection][index].row : nil
    }
  }

  /// Commits one transaction with the net effect of the writes; none where there is no effect.
  ///
  /// - Returns: the position of the last event.
  @discardableResult
  public func commit(_ writes: [Write], reason: Cause.Reason = .applied) -> Int64 {
    state.withLock { state in
      let changes = ScriptedSource.perform(writes, reason: reason, in: &state)
      if !changes.isEmpty { ScriptedSource.append(changes, schema: nil, to: &state) }
      return state.position
    }
  }

  /// Changes the schema in one transaction.
  ///
  /// Rows keep the values of fields that are called as before; a new field is its default or absent. Every row
  /// that this leaves without a value it needs, and any other row that reads otherwise afterwards, must be
  /// among `writes`, which become changes with the reason `migrated`.
  public func upgrade(to schema: Schema, _ writes: [Write] = []) {
    state.withLock { state in
      let old = state.schemas[state.schema]!
      let hash = ScriptedSource.hash(of: schema)
      state.rows = schema.collections.map { collection in
        guard let index = old.collectionIndex(named: collection.name) else { return [] }
        let places = collection.fields.map { old.collections[index].fieldIndex(named: $0.name) }
        return state.rows[index].map { entry in
          var entry = entry
          entry.row = Row(
            zip(collection.fields, places).map { field, place in
              if let place { entry.row[place] } else { field.defaultValue }
            })
          return entry
        }
      }
      state.schemas[hash] = schema
      state.schema = hash
      let changes = ScriptedSource.perform(writes, reason: .migrated, in: &state)
      ScriptedSource.append(changes, schema: schema, to: &state)
    }
  }

  /// Forgets the events up to `position`, or up to the head.
  public func trim(through position: Int64? = nil) {
    state.withLock { state in
      state.trimmed = position ?? state.position
      state.transactions.removeAll { $0.head.position <= state.trimmed }
    }
  }

  /// A copy of everything, to go back to.
  public func backup() -> Backup { Backup(state: state.withLock { $0 }) }

  /// Makes the source what it was when the copy was taken.
  public func restore(_ backup: Backup) { state.withLock { $0 = backup.state } }

  private static func find(_ order: [UInt8], in entries: [Entry]) -> (index: Int, found: Bool) {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].order.lexicographicallyPrecedes(order) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return (low, low < entries.count && entries[low].order == order)
  }

  private static func perform(_ writes: [Write], reason: Cause.Reason, in state: inout State)
    -> [Change]
  {
    let schema = state.schemas[state.schema]!
    var touched: [RowPosition] = []
    var before: [RowPosition: Row?] = [:]
    for write in writes {
      let collection: Int
      let key: Key
      let row: Row?
      switch write {
      case .put(let index, let new):
        guard let found = schema.collections[index].key(of: new) else {
          preconditionFailure("a row without its key")
        }
        (collection, key, row) = (index, found, new)
      case .delete(let index, let old): (collection, key, row) = (index, old, nil)
      }
      let order = KeyEncoding.encode(key)
      let (index, found) = find(order, in: state.rows[collection])
      let place = RowPosition(collection: collection, key: key)
      if before[place] == nil {
        touched.append(place)
        before[place] = .some(found ? state.rows[collection][index].row : nil)
      }
      switch (row, found) {
      case (let row?, true): state.rows[collection][index].row = row
      case (let row?, false):
        state.rows[collection].insert(Entry(order: order, key: key, row: row), at: index)
      case (nil, true): state.rows[collection].remove(at: index)
      case (nil, false): break
      }
    }
    var bytes = [UInt8](state.points[state.position]!.bytes)
    bytes.append(contentsOf: "\(writes.count)".utf8)
    let operation = KitHasher().hash(bytes)
    let cause = Cause(
      operations: [operation], author: KitHasher().hash([1]), time: 1_700_000_000_000,
      reason: reason)
    return touched.compactMap { place in
      let (index, found) = find(KeyEncoding.encode(place.key), in: state.rows[place.collection])
      let after = found ? state.rows[place.collection][index].row : nil
      let old = before[place] ?? nil
      guard old != after else { return nil }
      return Change(
        collection: place.collection, key: place.key, before: old, after: after, cause: cause)
    }
  }

  private static func append(_ changes: [Change], schema: Schema?, to state: inout State) {
    var writer = CanonicalWriter()
    writer.digest(state.points[state.position]!)
    for change in changes {
      writer.unsigned(UInt64(change.collection))
      writer.key(change.key)
      for value in change.after?.values ?? [] { writer.value(value) }
    }
    if schema != nil { writer.digest(state.schema) }
    let digest = KitHasher().hash(writer.bytes)
    let first = state.position + 1
    state.position += Int64(changes.count) + (schema == nil ? 0 : 1)
    state.points[state.position] = digest
    state.transactions.append(
      Transaction(
        firstPosition: first, head: head(of: state), changes: changes, schemaChange: schema))
  }

  private static func head(of state: State) -> SourceHead {
    let digest = state.points[state.position]!
    return SourceHead(
      database: state.database, replica: state.replica, position: state.position, digest: digest,
      frontier: [digest], schema: state.schema)
  }

  private static func hash(of schema: Schema) -> Digest { schema.hash(with: KitHasher()) }

  // MARK: - ChangeSource

  private func call(_ call: Call) {
    let body = hook.withLock { $0 }
    body?(call)
  }

  public func head() async throws(SourceError) -> SourceHead {
    call(.head)
    return state.withLock { ScriptedSource.head(of: $0) }
  }

  public func recognise(_ checkpoint: Checkpoint) async throws(SourceError) -> Recognition {
    call(.recognise)
    return state.withLock { state in
      guard checkpoint.database == state.database else { return .foreign }
      guard checkpoint.replica == state.replica else { return .otherReplica }
      guard state.points[checkpoint.position] == checkpoint.digest else { return .unknown }
      return checkpoint.position < state.trimmed ? .trimmed : .resumable
    }
  }

  public func transactions(after position: Int64, limit: Int, maximumTransaction: Int)
    async throws(SourceError) -> TransactionPage
  {
    call(.transactions)
    return state.withLock { state in
      guard position >= state.trimmed else { return .trimmed }
      var page: [Transaction] = []
      var count = 0
      for transaction in state.transactions where transaction.firstPosition > position {
        if transaction.changes.count > maximumTransaction {
          if page.isEmpty { return .oversized(changes: transaction.changes.count) }
          break
        }
        page.append(transaction)
        count += transaction.changes.count
        if count >= limit { break }
      }
      return .transactions(page)
    }
  }

  public func rows(after position: RowPosition?, limit: Int) async throws(SourceError) -> RowPage {
    call(.rows(after: position))
    return state.withLock { state in
      var rows: [Change] = []
      let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)
      let start = position?.collection ?? 0
      for collection in start..<max(state.rows.count, start) {
        var index = 0
        if let position, position.collection == collection {
          let place = ScriptedSource.find(
            KeyEncoding.encode(position.key), in: state.rows[collection])
          index = place.index + (place.found ? 1 : 0)
        }
        for entry in state.rows[collection][index...] {
          guard rows.count < limit else {
            return RowPage(rows: rows, isLast: false, head: ScriptedSource.head(of: state))
          }
          rows.append(
            Change(
              collection: collection, key: entry.key, before: nil, after: entry.row, cause: cause))
        }
      }
      return RowPage(rows: rows, isLast: true, head: ScriptedSource.head(of: state))
    }
  }

  public func schema(_ hash: Digest) async throws(SourceError) -> Schema? {
    call(.schema)
    return state.withLock { $0.schemas[hash] }
  }

  public func waitForEvents(after position: Int64, timeout: Duration) async throws(SourceError) {
    call(.wait)
    let end = ContinuousClock.now + timeout
    while self.position <= position, ContinuousClock.now < end {
      do {
        try await Task.sleep(for: .milliseconds(1))
      } catch {
        return
      }
    }
  }

  public func report(_ status: MirrorStatus) async throws(SourceError) {
    call(.report)
    state.withLock { $0.statuses.append(status) }
  }
}

/// Spreads bytes over 256 bits. Not cryptographic: for tests only.
public struct KitHasher: Hasher256 {
  /// A hasher; all are alike.
  public init() {}

  public func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
    var out: [UInt8] = []
    for lane in 0..<4 as Range<UInt64> {
      var state: UInt64 = 0xCBF2_9CE4_8422_2325 &+ lane &* 0x9E37_79B9_7F4A_7C15
      for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
      state ^= state >> 30
      state &*= 0xBF58_476D_1CE4_E5B9
      state ^= state >> 27
      state &*= 0x94D0_49BB_1331_11EB
      state ^= state >> 31
      withUnsafeBytes(of: state.bigEndian) { out.append(contentsOf: $0) }
    }
    return Digest(bytes: out)!
  }
}
