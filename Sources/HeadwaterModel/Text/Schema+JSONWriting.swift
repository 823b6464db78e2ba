// Typed values as JSON, by the table of types in the schema language.

extension Schema {
  /// Appends the JSON of a value of that type; `null` where it is absent.
  ///
  /// One text for each value, which `value(from:for:)` reads back. (Of an optional `JSON` field a JSON `null`
  /// is written as one that is absent.) A value of another type is written as what it is.
  public func write(_ value: Value?, for type: FieldType, into out: inout [UInt8]) {
    switch value {
    case nil: out.append(contentsOf: "null".utf8)
    case .bool(let value)?: JSONText.write(value, into: &out)
    case .int(let value)?: JSONText.write(value, into: &out)
    case .float(let value)?:
      if value.isFinite {
        JSONText.write(value, into: &out)
      } else {
        plain(value < 0 ? "-Infinity" : "Infinity", into: &out)
      }
    case .decimal(let value)?:
      var digits = 0
      if case .decimal(_, let scale) = type.wrapped { digits = scale }
      plain(value.text(scale: digits), into: &out)
    case .text(let value)?: JSONText.write(value, into: &out)
    case .bytes(let value)?:
      quoted(into: &out) { Base64.write(value, into: &$0) }
    case .date(let value)?: quoted(into: &out) { value.write(into: &$0) }
    case .timestamp(let value)?: quoted(into: &out) { value.write(into: &$0) }
    case .uuid(let value)?: quoted(into: &out) { value.write(into: &$0) }
    case .principal(let value)?: quoted(into: &out) { value.write(into: &$0) }
    case .json(let value)?: value.write(into: &out)
    case .record(let values)?: write(values, of: type, into: &out)
    case .reference(let key)?: write(key, of: type, into: &out)
    case .created(let index)?:
      out.append(contentsOf: "{\"$new\":".utf8)
      JSONText.write(Int64(index), into: &out)
      out.append(UInt8(ascii: "}"))
    }
  }

  /// Appends a key as an object by field name.
  public func writeKey(_ key: Key, of collection: CollectionType, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "{"))
    for (index, (value, field)) in zip(key.values, collection.keyFields).enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      member(value, collection.fields[field], into: &out)
    }
    out.append(UInt8(ascii: "}"))
  }

  /// Appends a row as an object by field name, in the order of the schema; what is absent is left out.
  public func writeRow(_ row: Row, of collection: CollectionType, into out: inout [UInt8]) {
    object(row.values, collection.fields, into: &out)
  }

  private func object(_ values: [Value?], _ fields: [Field], into out: inout [UInt8]) {
    out.append(UInt8(ascii: "{"))
    var isFirst = true
    for (value, field) in zip(values, fields) {
      guard let value else { continue }
      if !isFirst { out.append(UInt8(ascii: ",")) }
      isFirst = false
      member(value, field, into: &out)
    }
    out.append(UInt8(ascii: "}"))
  }

  private func member(_ value: Value, _ field: Field, into out: inout [UInt8]) {
    plain(field.name, into: &out)
    out.append(UInt8(ascii: ":"))
    write(value, for: field.type, into: &out)
  }

  private func write(_ values: [Value?], of type: FieldType, into out: inout [UInt8]) {
    if case .record(let name) = type.wrapped, let record = record(named: name) {
      return object(values, record.fields, into: &out)
    }
    out.append(UInt8(ascii: "["))
    for (index, value) in values.enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      write(value, for: .json, into: &out)
    }
    out.append(UInt8(ascii: "]"))
  }

  private func write(_ key: Key, of type: FieldType, into out: inout [UInt8]) {
    guard let name = type.referencedCollection, let target = collection(named: name) else {
      return write(key.values, of: .json, into: &out)
    }
    if target.keyFields.count == 1, key.values.count == 1 {
      return write(key.values[0], for: target.fields[target.keyFields[0]].type, into: &out)
    }
    writeKey(key, of: target, into: &out)
  }

  /// What `write` appends, which needs no escapes, in quotes.
  @inline(__always)
  private func quoted(into out: inout [UInt8], _ write: (inout [UInt8]) -> Void) {
    out.append(UInt8(ascii: "\""))
    write(&out)
    out.append(UInt8(ascii: "\""))
  }

  /// A string that needs no escapes.
  private func plain(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    out.append(contentsOf: text.utf8)
    out.append(UInt8(ascii: "\""))
  }
}
