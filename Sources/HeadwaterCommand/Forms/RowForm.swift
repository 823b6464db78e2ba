import Headwater

/// A row, an event and an operation of the log, as JSON.
enum RowForm {
  static func row(_ row: Row, of collection: CollectionType, in schema: Schema) -> [UInt8] {
    var line = JSONLine()
    line.string("collection", collection.name)
    if let key = collection.key(of: row) {
      line.raw("key") { schema.writeKey(key, of: collection, into: &$0) }
    }
    line.raw("row") { schema.writeRow(row, of: collection, into: &$0) }
    return line.finish()
  }

  static func event(
    _ change: Change, position: Int64, transaction: Int64, in schema: Schema
  ) -> [UInt8] {
    let collection = schema.collections[change.collection]
    var line = JSONLine()
    line.int("position", position)
    line.int("transaction", transaction)
    line.string("kind", change.isDelete ? "delete" : "upsert")
    line.string("collection", collection.name)
    line.raw("key") { schema.writeKey(change.key, of: collection, into: &$0) }
    if let before = change.before {
      line.raw("before") { schema.writeRow(before, of: collection, into: &$0) }
    }
    if let after = change.after {
      line.raw("after") { schema.writeRow(after, of: collection, into: &$0) }
    }
    line.string("reason", change.cause.reason.rawValue)
    if let reason = change.cause.verdictReason { line.string("verdictReason", reason) }
    line.strings("operations", change.cause.operations.map(\.hex))
    line.string("author", change.cause.author.hex)
    return line.finish()
  }

  static func operation(_ entry: Snapshot.LoggedOperation, in schema: Schema) -> [UInt8] {
    var line = JSONLine()
    line.string("operation", entry.id.hex)
    line.int("height", entry.height)
    line.strings("parents", entry.operation.parents.map(\.hex))
    line.string("author", entry.author.hex)
    line.string("time", time(entry.operation.time))
    line.array("changes", entry.changes) { $1 += change($0, in: schema) }
    switch entry.verdict {
    case .valid: line.string("verdict", "valid")
    case .void(let reason, let by):
      line.string("verdict", "void")
      line.string("reason", reason.rawValue)
      line.strings("by", by.map(\.hex))
    }
    return line.finish()
  }

  /// A change of the log in the form in which it is written, fields of records by their paths.
  static func change(_ change: Snapshot.LoggedChange, in schema: Schema) -> [UInt8] {
    let collection = schema.collections[change.collection]
    var line = JSONLine()
    line.string(verb(change.kind), collection.name)
    line.raw("key") { schema.writeKey(change.key, of: collection, into: &$0) }
    if change.kind != .delete {
      line.object(change.kind == .create ? "row" : "set") { inner in
        for field in fields(of: change) {
          inner.raw(field.name) { bytes in
            guard let type = field.type else {
              bytes += (field.value == nil ? "null" : "{}").utf8
              return
            }
            schema.write(field.value, for: type, into: &bytes)
          }
        }
      }
    }
    return line.closed()
  }

  static func verb(_ kind: RowChange.Kind) -> String {
    switch kind {
    case .create: "create"
    case .update: "update"
    case .delete: "delete"
    }
  }

  /// What a change assigns. Whether an optional record is there (without a type) is said only where it is not,
  /// or where nothing in it is assigned.
  static func fields(of change: Snapshot.LoggedChange)
    -> [(name: String, type: FieldType?, value: Value?)]
  {
    let absent = change.fields.filter { $0.isPresence && $0.value != .bool(true) }
      .map { $0.name + "." }
    return change.fields.compactMap { field in
      // Of a record that is not there nothing more is to be said.
      if absent.contains(where: { field.name.hasPrefix($0) }) { return nil }
      guard field.isPresence else { return (field.name, field.field.type, field.value) }
      guard field.value == .bool(true) else { return (field.name, nil, nil) }
      let prefix = field.name + "."
      let isFilled = change.fields.contains { $0.name.hasPrefix(prefix) }
      return isFilled ? nil : (field.name, nil, field.value)
    }
  }

  /// Milliseconds since 1970 as ISO 8601; as digits where no calendar has the year.
  static func time(_ milliseconds: Int64) -> String {
    let (microseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
    guard !overflow, let time = Timestamp(microseconds: microseconds) else {
      return String(milliseconds)
    }
    // Three digits of the second are all there is.
    return String("\(time)".dropLast(4)) + "Z"
  }
}
