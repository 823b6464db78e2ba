import HeadwaterModel
import HeadwaterStream

/// The rows of one collection, with an index for each field that is indexed or unique.
struct StoredTable: Sendable {
  struct Index: Sendable {
    let field: Int
    /// From the field's value and the row's key, encoded one after the other, to the encoded key.
    var entries = SortedTable<[UInt8]>()
  }

  var rows = SortedTable<Row>()
  var indices: [Index]

  init(_ collection: CollectionType) {
    indices = collection.fields.enumerated().compactMap { index, field in
      let isSingleKey = collection.keyFields == [index]
      return (field.isIndexed || field.isUnique) && !isSingleKey
        && StoredTable.isOrdered(field.type)
        ? Index(field: index) : nil
    }
  }

  /// Whether values of the type have a place in the order of keys.
  static func isOrdered(_ type: FieldType) -> Bool {
    switch type.wrapped {
    case .json, .record: false
    default: type.isRegister
    }
  }

  mutating func set(_ key: [UInt8], _ row: Row) {
    let old = rows.set(key, row)
    for index in indices.indices {
      let field = indices[index].field
      let was = old?[field]
      let now = row[field]
      guard was != now else { continue }
      if let was { indices[index].entries.remove(StoredTable.entry(was, key)) }
      if let now { indices[index].entries.set(StoredTable.entry(now, key), key) }
    }
  }

  mutating func remove(_ key: [UInt8]) {
    guard let old = rows.remove(key) else { return }
    for index in indices.indices {
      if let was = old[indices[index].field] {
        indices[index].entries.remove(StoredTable.entry(was, key))
      }
    }
  }

  private static func entry(_ value: Value, _ key: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    KeyEncoding.append(value, to: &bytes)
    bytes += key
    return bytes
  }
}

/// All rows of one generation.
struct Generation: Sendable {
  let number: Int64
  private(set) var schema: Schema
  private(set) var tables: [StoredTable]

  init(number: Int64, schema: Schema) {
    self.number = number
    self.schema = schema
    tables = schema.collections.map(StoredTable.init)
  }

  mutating func apply(_ change: Change) {
    let key = KeyEncoding.encode(change.key)
    if let row = change.after {
      tables[change.collection].set(key, row)
    } else {
      tables[change.collection].remove(key)
    }
  }

  /// Gives every row the new schema's fields: those that were there keep their values, new ones have their
  /// default or are absent.
  mutating func migrate(to new: Schema) {
    tables = new.collections.map { collection in
      var table = StoredTable(collection)
      guard let index = schema.collectionIndex(named: collection.name) else { return table }
      let old = schema.collections[index]
      let places = collection.fields.map { old.fieldIndex(named: $0.name) }
      tables[index].rows.forEach(from: nil, below: nil) { key, row in
        let values = zip(collection.fields, places).map { field, place in
          if let place { row[place] } else { field.defaultValue }
        }
        table.set(key, Row(values))
        return true
      }
      return table
    }
    schema = new
  }
}
