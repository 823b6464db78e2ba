import HeadwaterLog
import HeadwaterModel
import SQLiteDriver

/// The operations in canonical order, in runs of a few hundred keys: the tables `span` and `span_keys`.
///
/// Written in bulk with `locator`, so it lacks the newest operations, which `meta.locator` says. Sync compares
/// replicas by it. Confined with its connection.
struct SpanTable {
  /// A span of more keys than this is cut into pieces of half as many.
  static let maximumKeys = 512
  /// Height and id.
  static let keyBytes = 8 + Digest.byteCount

  /// A span without its keys.
  struct Entry: Sendable {
    let number: Int64
    /// Its least key, or less.
    let first: OperationKey
    let tally: Tally
  }

  private let db: Connection

  init(_ db: Connection) { self.db = db }

  // MARK: Reading

  /// All spans, in order.
  func entries() throws -> [Entry] {
    let statement = try db.cached("SELECT number, height, id, count, sum FROM span")
    defer { statement.reset() }
    var entries: [Entry] = []
    while try statement.step() {
      guard let id = statement.withBytes(2, { Digest(bytes: $0) }), statement.int(1) >= 0,
        (1...1 << 20).contains(statement.int(3)),
        let tally = Tally(count: Int(statement.int(3)), sum: statement.bytes(4))
      else { throw SpanTable.damaged(statement.int(0)) }
      entries.append(
        Entry(
          number: statement.int(0), first: OperationKey(height: statement.int(1), id: id),
          tally: tally))
    }
    return entries.sorted { $0.first < $1.first }
  }

  /// The keys of a span, in order.
  func keys(_ entry: Entry) throws -> [OperationKey] {
    let statement = try db.cached("SELECT keys FROM span_keys WHERE span = ?")
    statement.bind(1, entry.number)
    defer { statement.reset() }
    guard try statement.step() else { throw SpanTable.damaged(entry.number) }
    let keys = statement.withBytes(0) { bytes -> [OperationKey]? in
      guard bytes.count == entry.tally.count * SpanTable.keyBytes else { return nil }
      var keys: [OperationKey] = []
      keys.reserveCapacity(entry.tally.count)
      for offset in stride(from: 0, to: bytes.count, by: SpanTable.keyBytes) {
        let height = UInt64(
          bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let id = UnsafeRawBufferPointer(
          rebasing: bytes[offset + 8..<offset + SpanTable.keyBytes])
        guard height <= UInt64(Int64.max), let id = Digest(bytes: id) else { return nil }
        keys.append(OperationKey(height: Int64(height), id: id))
      }
      return keys
    }
    guard let keys else { throw SpanTable.damaged(entry.number) }
    return keys
  }

  private static func damaged(_ number: Int64) -> StoreError {
    StoreError(
      .damaged, "span \(number) of the operations is damaged in the store: restore it from a backup"
    )
  }

  // MARK: Writing

  /// Adds operations, in order, none of which is there.
  func insert(_ keys: [OperationKey]) throws {
    let entries = try entries()
    var next = 0
    var index = 0
    while next < keys.count {
      // The last span that does not begin after the key; the first takes what comes before it too.
      while index + 1 < entries.count, entries[index + 1].first <= keys[next] { index += 1 }
      var end = next
      while end < keys.count, index + 1 >= entries.count || keys[end] < entries[index + 1].first {
        end += 1
      }
      if entries.isEmpty {
        try write(keys, into: nil)
      } else {
        try write(
          SpanTable.merge(try self.keys(entries[index]), keys[next..<end]),
          into: entries[index].number)
      }
      next = end
    }
  }

  static func merge(_ old: [OperationKey], _ new: some Collection<OperationKey>) -> [OperationKey] {
    guard let first = new.first else { return old }
    if old.last.map({ $0 < first }) ?? true { return old + new }
    var merged: [OperationKey] = []
    merged.reserveCapacity(old.count + new.count)
    var rest = old[...]
    for key in new {
      while let next = rest.first, next < key {
        merged.append(next)
        rest.removeFirst()
      }
      merged.append(key)
    }
    return merged + rest
  }

  /// Fills the empty tables with all operations that `locator` has.
  func fill() throws {
    let indexed =
      try StoreFile.meta(db, "locator").map { $0.reduce(0) { $0 << 8 | Int64($1) } } ?? 0
    let statement = try db.prepare(
      "SELECT height, id FROM operation WHERE number <= ? ORDER BY height, id")
    statement.bind(1, indexed)
    var keys: [OperationKey] = []
    while try statement.step() {
      guard let id = statement.withBytes(1, { Digest(bytes: $0) }), statement.int(0) >= 0 else {
        throw StoreError(
          .damaged, "an operation is damaged in the store: restore it from a backup")
      }
      keys.append(OperationKey(height: statement.int(0), id: id))
      if keys.count == SpanTable.maximumKeys {
        try write(keys, into: nil)
        keys.removeAll(keepingCapacity: true)
      }
    }
    if !keys.isEmpty { try write(keys, into: nil) }
  }

  /// Writes keys as one span, that one if it is given, or as several.
  private func write(_ keys: [OperationKey], into number: Int64?) throws {
    guard keys.count > SpanTable.maximumKeys else { return try write(keys[...], number) }
    let length = SpanTable.maximumKeys / 2
    for start in stride(from: 0, to: keys.count, by: length) {
      try write(keys[start..<min(start + length, keys.count)], start == 0 ? number : nil)
    }
  }

  private func write(_ keys: ArraySlice<OperationKey>, _ number: Int64?) throws {
    guard let first = keys.first else { return }
    var tally = Tally.zero
    var bytes: [UInt8] = []
    bytes.reserveCapacity(keys.count * SpanTable.keyBytes)
    for key in keys {
      tally.insert(key.id)
      withUnsafeBytes(of: UInt64(key.height).bigEndian) { bytes += $0 }
      key.id.withUnsafeBytes { bytes += $0 }
    }
    let span = try db.cached(
      "INSERT OR REPLACE INTO span (number, height, id, count, sum) VALUES (?, ?, ?, ?, ?)")
    span.bind(1, number)
    span.bind(2, first.height)
    span.bind(3, first.id.bytes)
    span.bind(4, tally.count)
    span.bind(5, tally.sum)
    try span.run()
    let statement = try db.cached("INSERT OR REPLACE INTO span_keys (span, keys) VALUES (?, ?)")
    statement.bind(1, number ?? db.lastInsertedRow)
    statement.bind(2, bytes)
    try statement.run()
  }
}
