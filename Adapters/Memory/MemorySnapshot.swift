import HeadwaterModel
import HeadwaterStream

/// All rows of a mirror in memory, as they were at one position. A value: it never changes.
public struct MemorySnapshot: Sendable {
  let generation: Generation
  /// How far the mirror had come.
  public let checkpoint: Checkpoint

  /// The schema that the rows have.
  public var schema: Schema { generation.schema }
  /// The position of the last event contained.
  public var position: Int64 { checkpoint.position }

  /// The rows of the collection; nil if the schema has none of that name.
  public subscript(collection: String) -> MemoryTable? {
    generation.schema.collectionIndex(named: collection).map {
      MemoryTable(collection: generation.schema.collections[$0], stored: generation.tables[$0])
    }
  }
}

/// The rows of one collection in a `MemorySnapshot`.
public struct MemoryTable: Sendable {
  /// The collection, with its fields.
  public let collection: CollectionType
  let stored: StoredTable

  /// How many rows there are. Takes constant time.
  public var count: Int { stored.rows.count }

  /// The row with that key.
  public subscript(key: Key) -> MemoryRow? {
    stored.rows[KeyEncoding.encode(key)].map { MemoryRow(collection: collection, row: $0) }
  }

  /// Rows in key order, or in reverse.
  ///
  /// - Parameters:
  ///   - key: begin after this key; it need not be there.
  ///   - limit: at most so many.
  public func rows(after key: Key? = nil, limit: Int = .max, reversed: Bool = false) -> [MemoryRow]
  {
    let bytes = key.map(KeyEncoding.encode)
    return collect(limit) { body in
      stored.rows.forEach(
        from: reversed ? nil : bytes.map { $0 + [0] }, below: reversed ? bytes : nil,
        reversed: reversed
      ) { body($1) }
    }
  }

  /// Rows whose keys begin with the given values, and whose next key field lies in the range; in key order, or
  /// in reverse.
  public func rows(
    withKeyPrefix prefix: [Value], _ range: MemoryRange = .all, limit: Int = .max,
    reversed: Bool = false
  ) -> [MemoryRow] {
    var bytes: [UInt8] = []
    for value in prefix { KeyEncoding.append(value, to: &bytes) }
    let (lower, upper) = range.bounds(after: bytes)
    return collect(limit) { body in
      stored.rows.forEach(from: lower, below: upper, reversed: reversed) { body($1) }
    }
  }

  /// Rows whose field lies in the range, in the order of (field, key), or in reverse. Rows where the field is
  /// absent are left out.
  ///
  /// - Parameter field: marked `@index` or `@unique`, or the first field of the key.
  /// - Throws: `MemoryQueryError` for any other field: nothing here reads all rows behind your back.
  public func rows(
    where field: String, _ range: MemoryRange = .all, limit: Int = .max, reversed: Bool = false
  ) throws(MemoryQueryError) -> [MemoryRow] {
    guard let place = collection.fieldIndex(named: field) else {
      throw MemoryQueryError(description: "\(collection.name) has no field \(field).")
    }
    let (lower, upper) = range.bounds(after: [])
    if collection.keyFields.first == place {
      return collect(limit) { body in
        stored.rows.forEach(from: lower, below: upper, reversed: reversed) { body($1) }
      }
    }
    guard let index = stored.indices.first(where: { $0.field == place }) else {
      throw MemoryQueryError(
        description: "\(collection.name).\(field) has no index: mark it @index in the schema.")
    }
    return collect(limit) { body in
      index.entries.forEach(from: lower, below: upper, reversed: reversed) { _, key in
        stored.rows[key].map { body($0) } ?? true
      }
    }
  }

  private func collect(_ limit: Int, _ visit: ((Row) -> Bool) -> Void) -> [MemoryRow] {
    var rows: [MemoryRow] = []
    guard limit > 0 else { return rows }
    visit { row in
      rows.append(MemoryRow(collection: collection, row: row))
      return rows.count < limit
    }
    return rows
  }
}

/// Values of one field between two bounds, each included, excluded, or open.
public struct MemoryRange: Sendable, Hashable {
  /// The value, and whether it is in the range itself.
  fileprivate let low: (Value, Bool)?
  fileprivate let high: (Value, Bool)?

  /// Every value.
  public static let all = MemoryRange(low: nil, high: nil)
  /// Exactly this value.
  public static func equal(_ value: Value) -> MemoryRange {
    MemoryRange(low: (value, true), high: (value, true))
  }
  /// Both values included.
  public static func between(_ low: Value, _ high: Value) -> MemoryRange {
    MemoryRange(low: (low, true), high: (high, true))
  }
  /// The value and greater ones.
  public static func from(_ value: Value) -> MemoryRange {
    MemoryRange(low: (value, true), high: nil)
  }
  /// Greater than the value.
  public static func above(_ value: Value) -> MemoryRange {
    MemoryRange(low: (value, false), high: nil)
  }
  /// The value and lesser ones.
  public static func through(_ value: Value) -> MemoryRange {
    MemoryRange(low: nil, high: (value, true))
  }
  /// Less than the value.
  public static func below(_ value: Value) -> MemoryRange {
    MemoryRange(low: nil, high: (value, false))
  }

  /// The bytes from which on, and below which, encoded values after `prefix` lie in the range.
  ///
  /// No encoded value is the prefix of another, and none begins with 0xFF: so a value followed by 0xFF stands
  /// behind everything that begins with the value.
  func bounds(after prefix: [UInt8]) -> (lower: [UInt8], upper: [UInt8]) {
    func bytes(_ value: Value, _ isBehind: Bool) -> [UInt8] {
      var bytes = prefix
      KeyEncoding.append(value, to: &bytes)
      if isBehind { bytes.append(0xFF) }
      return bytes
    }
    return (
      low.map { bytes($0.0, !$0.1) } ?? prefix, high.map { bytes($0.0, $0.1) } ?? prefix + [0xFF]
    )
  }

  public static func == (a: MemoryRange, b: MemoryRange) -> Bool {
    a.bounds(after: []) == b.bounds(after: [])
  }

  public func hash(into hasher: inout Hasher) {
    let bounds = bounds(after: [])
    hasher.combine(bounds.lower)
    hasher.combine(bounds.upper)
  }
}

/// A question that the index cannot answer.
public struct MemoryQueryError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was asked, and what to do.
  public let description: String
}
