import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

extension Snapshot {
  /// The state of the stream.
  func head() throws -> SourceHead {
    let frontier = try frontier()
    var position: Int64 = 0
    var digest = Digest.zero
    let statement = try db.cached("SELECT last, digest FROM event ORDER BY first DESC LIMIT 1")
    defer { statement.reset() }
    if try statement.step() {
      position = statement.int(0)
      guard let stored = Digest(bytes: statement.bytes(1)), position < .max else {
        throw StoreError(.damaged, "the last event of the store is damaged")
      }
      digest = stored
    } else if let (cut, stored) = try trimmed() {
      (position, digest) = (cut, stored)
    }
    return head(position: position, digest: digest, frontier: frontier)
  }

  func head(position: Int64, digest: Digest, frontier: [Digest]) -> SourceHead {
    SourceHead(
      database: database, replica: replica, position: position, digest: digest,
      frontier: frontier, schema: layout.hash)
  }

  /// The position up to which events are gone, with the digest there.
  func trimmed() throws -> (Int64, Digest)? {
    guard let bytes = try StoreFile.meta(db, "trimmed"), bytes.count == 40,
      let digest = Digest(bytes: bytes[8...])
    else { return nil }
    return (bytes[..<8].reduce(0) { $0 << 8 | Int64($1) }, digest)
  }

  /// The digest of the chain of events at a position where a transaction ends; nil for any other.
  func digest(at position: Int64) throws -> Digest? {
    if position == 0, try trimmed() == nil { return .zero }
    if let (cut, digest) = try trimmed(), cut == position { return digest }
    let statement = try db.cached(
      "SELECT digest FROM event WHERE first <= ? AND last = ? ORDER BY first DESC LIMIT 1")
    statement.bind(1, position)
    statement.bind(2, position)
    defer { statement.reset() }
    return try statement.step() ? Digest(bytes: statement.bytes(0)) : nil
  }

  /// What the store makes of a checkpoint.
  func recognise(_ checkpoint: Checkpoint) throws -> Recognition {
    guard checkpoint.database == database else { return .foreign }
    guard checkpoint.replica == replica else { return .otherReplica }
    if let (cut, _) = try trimmed(), checkpoint.position < cut { return .trimmed }
    return try digest(at: checkpoint.position) == checkpoint.digest ? .resumable : .unknown
  }

  /// Whole transactions after a position (see `ChangeSource.transactions`).
  public func transactions(after position: Int64, limit: Int, maximumTransaction: Int) throws
    -> TransactionPage
  {
    if let (cut, _) = try trimmed(), position < cut { return .trimmed }
    let statement = try db.cached(
      "SELECT first, last, begins, digest, frontier, bytes FROM event WHERE first > ? ORDER BY first"
    )
    statement.bind(1, position)
    defer { statement.reset() }
    var result: [Transaction] = []
    var count = 0
    var changes: [Change] = []
    while try statement.step() {
      let (first, last, begins) = (statement.int(0), statement.int(1), statement.int(2))
      // A reader that stands in the middle of a transaction goes on with the next.
      if changes.isEmpty, begins != first { continue }
      guard first <= last, begins <= first, last < .max else {
        throw StoreError(
          .damaged,
          "the events from position \(first) are damaged: restore the store from a backup")
      }
      if changes.isEmpty, begins == first,
        statement.isNull(3) || last - first + 1 > maximumTransaction
      {
        let end = max(last, try transactionEnd(from: first))
        if end - first + 1 > maximumTransaction {
          return result.isEmpty ? .oversized(changes: Int(end - first + 1)) : .transactions(result)
        }
      }
      let chunk = try EventTable.decode(
        statement.bytes(5), first: first, last: last, begins: begins, digest: statement.bytes(3),
        frontier: statement.isNull(4) ? nil : statement.bytes(4), layout: layout)
      changes += chunk.changes
      if let digest = chunk.digest {
        result.append(
          Transaction(
            firstPosition: begins,
            head: head(position: last, digest: digest, frontier: chunk.frontier),
            changes: changes))
        count += changes.count
        changes = []
        if count >= limit { break }
      }
    }
    return .transactions(result)
  }

  /// The first position of the transaction that the event at `position` is in; nil where no such event is kept.
  public func transactionStart(of position: Int64) throws -> Int64? {
    let statement = try db.cached(
      "SELECT begins, last FROM event WHERE first <= ? ORDER BY first DESC LIMIT 1")
    statement.bind(1, position)
    defer { statement.reset() }
    guard try statement.step(), statement.int(1) >= position else { return nil }
    return statement.int(0)
  }

  private func transactionEnd(from first: Int64) throws -> Int64 {
    let statement = try db.cached(
      "SELECT last FROM event WHERE first >= ? AND digest IS NOT NULL ORDER BY first LIMIT 1")
    statement.bind(1, first)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : first
  }

  /// A page of all visible rows in storage order (see `ChangeSource.rows`).
  func page(after position: RowPosition?, limit: Int) throws -> RowPage {
    let limit = min(max(1, limit), 1 << 20)
    var causes: [Int64: Cause] = [:]
    // Rows that were written together stand together, so usually it is the cause of the row before.
    var last: (operation: Int64, cause: Cause)?
    var gathered = RowPage.Rows(capacity: min(limit, 10_000))
    let hasMore = try rows.visibleImages(
      after: position.map { StorageKey($0.collection, $0.key) }, limit: limit
    ) { collection, values, operation in
      let shape = layout.collections[collection]
      let cause: Cause
      if let last, last.operation == operation {
        cause = last.cause
      } else if let known = causes[operation] {
        cause = known
      } else {
        let record = try log.record(operation)
        cause = Cause(
          operations: [record.id], author: try log.authors.record(record.author).principal,
          time: record.time, reason: .applied)
        causes[operation] = cause
      }
      last = (operation, cause)
      gathered.append(
        Change(
          collection: collection, key: shape.key(values), before: nil, after: shape.row(values),
          cause: cause))
    }
    return RowPage(gathered, isLast: !hasMore, head: try head())
  }
}
