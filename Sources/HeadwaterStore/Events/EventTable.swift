import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// The difference of one visible row, in slots.
struct EventRecord {
  enum After {
    case gone
    case values([Value?])
    /// The visible values of a row that was not visible before, encoded where they lie.
    case appeared(RowState, CollectionPlan)
  }

  let collection: Int
  let before: [Value?]?
  let after: After
  let reason: Cause.Reason
  /// For a verdict that flipped, the reason for which the operation is void or was.
  var verdictReason: VerdictReason?
}

/// The events in a store's file: transactions in chunks, with the digest of the chain.
///
/// A chunk is a row of the table `event`: the positions of its first and last event, the first position of
/// its transaction, and the encoded events. The last chunk of a transaction carries the digest, which is
/// the hash of (digest before, bytes) from chunk to chunk, and the frontier after it.
final class EventTable {
  /// About how many bytes a chunk has at most.
  static let chunkBytes = 512 << 10

  private let db: Connection
  private let suite: any CryptoSuite
  private let additions: BatchInsert
  /// The position of the last event; 0 before the first.
  private(set) var last: Int64
  private(set) var digest: Digest
  @exclusivity(unchecked) private var writer = CanonicalWriter()

  init(_ db: Connection, suite: any CryptoSuite) throws {
    self.db = db
    self.suite = suite
    additions = BatchInsert(
      db, into: "event", columns: ["first", "last", "begins", "digest", "frontier", "bytes"])
    let statement = try db.cached("SELECT last, digest FROM event ORDER BY first DESC LIMIT 1")
    defer { statement.reset() }
    if try statement.step() {
      guard let digest = Digest(bytes: statement.bytes(1)), (1..<(.max)).contains(statement.int(0))
      else {
        throw StoreError(
          .damaged, "the last event of the store is damaged: restore the store from a backup")
      }
      last = statement.int(0)
      self.digest = digest
    } else if let base = try StoreFile.meta(db, "trimmed"),
      let digest = Digest(bytes: base.dropFirst(8))
    {
      last = base[..<8].reduce(0) { $0 << 8 | Int64($1) }
      self.digest = digest
    } else {
      last = 0
      digest = .zero
    }
  }

  /// What all events of a transaction have in common.
  private struct Transaction {
    let operations: [Digest]
    let author: Digest
    let time: Int64
    let frontier: [Digest]
    let begins: Int64
    /// The position of the first event of the chunk that is being written.
    var first: Int64
    var count: Int64 = 0
  }

  @exclusivity(unchecked) private var transaction: Transaction?

  /// Whether a transaction has begun and not ended.
  var isOpen: Bool { transaction != nil }

  /// Begins a transaction of the stream, which must have an event.
  func begin(operations: [Digest], author: Digest, time: Int64, frontier: [Digest]) {
    let transaction = Transaction(
      operations: operations, author: author, time: time, frontier: frontier, begins: last + 1,
      first: last + 1)
    beginChunk(transaction)
    self.transaction = transaction
  }

  /// Appends an event: there may be millions, so they are written as soon as they fill a chunk.
  func append(_ record: EventRecord) throws {
    guard transaction != nil else { return }
    if writer.bytes.count >= EventTable.chunkBytes { try endChunk(isLast: false) }
    encode(record)
    transaction?.count += 1
  }

  /// Ends the transaction, if one has begun.
  func end() throws {
    guard transaction != nil else { return }
    try endChunk(isLast: true)
    transaction = nil
  }

  /// Writes what is kept in memory until a commit; call before committing.
  func flush() throws { try additions.flush() }

  private func beginChunk(_ transaction: Transaction) {
    // What is hashed is the digest before and the chunk, so they are written into one buffer, which is kept.
    writer.removeAll()
    digest.withUnsafeBytes { writer.raw($0) }
    writer.arrayHeader(transaction.operations.count)
    for id in transaction.operations { writer.digest(id) }
    writer.digest(transaction.author)
    writer.int(transaction.time)
  }

  private func endChunk(isLast: Bool) throws {
    guard var transaction else { return }
    digest = suite.hash(writer.bytes)
    last = transaction.first + transaction.count - 1
    additions.add(transaction.first)
    additions.add(last)
    additions.add(transaction.begins)
    additions.add(isLast ? digest.bytes : nil)
    // Nearly always the frontier is the operation itself.
    let isNoted = isLast && transaction.frontier != transaction.operations
    additions.add(isNoted ? Digest.bytes(transaction.frontier) : nil)
    writer.bytes.withUnsafeBytes { bytes in
      additions.add(UnsafeRawBufferPointer(rebasing: bytes[Digest.byteCount...]))
    }
    try additions.endRow()
    transaction.first = last + 1
    transaction.count = 0
    self.transaction = transaction
    if !isLast { beginChunk(transaction) }
  }

  private static let reasons = Cause.Reason.allCases

  /// `[collection, reason, after or null]`, then the row before: null, the whole row where there is no
  /// after, otherwise the slots that differ with their values before. Where a verdict flipped the array has
  /// one item more, the verdict's reason, after the event's.
  private func encode(_ record: EventRecord) {
    writer.arrayHeader(record.verdictReason == nil ? 4 : 5)
    writer.unsigned(UInt64(record.collection))
    writer.unsigned(UInt64(EventTable.reasons.firstIndex(of: record.reason)!))
    if let reason = record.verdictReason { writer.unsigned(UInt64(reason.rank)) }
    switch record.after {
    case .gone: writer.null()
    case .values(let values): encode(values)
    case .appeared(let row, let plan):
      let (values, stamps, masked) = (row.values, row.stamps, row.masked)
      writer.arrayHeader(values.count)
      for slot in values.indices {
        if stamps[slot] == 0 {
          writer.value(plan.slots[slot].defaultValue)
        } else if !masked.isEmpty, masked.contains(slot) {
          writer.null()
        } else {
          writer.value(values[slot])
        }
      }
    }
    guard let before = record.before else { return writer.null() }
    guard case .values(let after) = record.after else { return encode(before) }
    let changed = before.indices.filter { before[$0] != after[$0] }
    writer.mapHeader(changed.count)
    for slot in changed {
      writer.unsigned(UInt64(slot))
      writer.value(before[slot])
    }
  }

  private func encode(_ values: [Value?]) {
    writer.arrayHeader(values.count)
    for value in values { writer.value(value) }
  }

  // MARK: Reading

  /// One chunk, decoded.
  struct Chunk {
    let first: Int64
    let last: Int64
    let begins: Int64
    /// Nil where the transaction goes on in the next chunk.
    let digest: Digest?
    let frontier: [Digest]
    let changes: [Change]
  }

  /// Decodes the bytes of a chunk into changes.
  static func decode(
    _ bytes: [UInt8], first: Int64, last: Int64, begins: Int64, digest: [UInt8], frontier: [UInt8]?,
    layout: SchemaPlan
  ) throws -> Chunk {
    do {
      var reader = CanonicalReader(bytes)
      var operations: [Digest] = []
      for _ in 0..<(try reader.arrayHeader()) { operations.append(try reader.digest()) }
      let author = try reader.digest()
      let time = try reader.int()
      let causes = reasons.map {
        Cause(operations: operations, author: author, time: time, reason: $0)
      }
      var changes: [Change] = []
      changes.reserveCapacity(Int(min(max(0, last - first + 1), 1 << 20)))
      while !reader.isAtEnd {
        let items = try reader.arrayHeader()
        guard items == 4 || items == 5 else {
          throw DecodingError("not an event", offset: reader.offset)
        }
        let collection = Int(truncatingIfNeeded: try reader.unsigned())
        let reason = Int(truncatingIfNeeded: try reader.unsigned())
        let rank = items == 5 ? Int(truncatingIfNeeded: try reader.unsigned()) : nil
        guard layout.collections.indices.contains(collection), causes.indices.contains(reason),
          rank.map({ VerdictReason.allCases.indices.contains($0) }) ?? true
        else {
          throw DecodingError("not an event of this schema", offset: reader.offset)
        }
        let shape = layout.collections[collection]
        let after = reader.null() ? nil : try slots(&reader, shape.slots.count)
        var before: [Value?]?
        if !reader.null() {
          if var values = after {
            for _ in 0..<(try reader.mapHeader()) {
              let slot = Int(truncatingIfNeeded: try reader.unsigned())
              guard values.indices.contains(slot) else {
                throw DecodingError("not an event of this schema", offset: reader.offset)
              }
              values[slot] = try reader.value()
            }
            before = values
          } else {
            before = try slots(&reader, shape.slots.count)
          }
        }
        guard let some = after ?? before else {
          throw DecodingError("an empty event", offset: reader.offset)
        }
        changes.append(
          Change(
            collection: collection, key: shape.key(some), before: before.map(shape.row),
            after: after.map(shape.row),
            cause: rank.map {
              Cause(
                operations: operations, author: author, time: time,
                reason: reasons[reason], verdictReason: VerdictReason.allCases[$0].rawValue)
            } ?? causes[reason]))
      }
      return Chunk(
        first: first, last: last, begins: begins, digest: Digest(bytes: digest),
        frontier: frontier.map(Digest.list) ?? operations, changes: changes)
    } catch let error as DecodingError {
      throw StoreError(
        .damaged,
        "the events from position \(first) are damaged (\(error)): restore the store from a backup")
    }
  }

  private static func slots(_ reader: inout CanonicalReader, _ count: Int) throws(DecodingError)
    -> [Value?]
  {
    guard try reader.arrayHeader() == count else {
      throw DecodingError("not a row of this schema", offset: reader.offset)
    }
    var values: [Value?] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try reader.value()) }
    return values
  }
}
