import HeadwaterDocuments
import HeadwaterModel

extension BSONWriter {
  /// Appends the document of a row, of the form that `DocumentPlan` gives it: strings where its JSON has strings.
  ///
  /// - Returns: false where the row is not one of the collection.
  mutating func row(_ row: Row, of collection: DocumentCollection, id: String) -> Bool {
    guard row.values.count == collection.fields.count else { return false }
    let start = bytes.count
    number(Int32(0))
    string("_id", id)
    for (position, field) in collection.fields.enumerated() {
      guard let value = row[position] else { continue }
      guard self.value(field.name, value, field.shape) else { return false }
    }
    bytes.append(0)
    setLength(at: start)
    return true
  }

  private mutating func value(_ name: String, _ value: Value, _ shape: DocumentShape) -> Bool {
    switch (value, shape) {
    case (.text(let value), .text), (.text(let value), .enumeration): string(name, value)
    case (.int(let value), .int): int64(name, value)
    case (.bool(let value), .bool): bool(name, value)
    case (.float(let value), .float):
      if value.isFinite {
        double(name, value)
      } else {
        string(name, value < 0 ? "-Infinity" : "Infinity")
      }
    case (.decimal(let value), .decimal(_, let scale)):
      guard Int(value.scale) <= scale else { return false }
      string(name, value.text(scale: scale))
    case (.bytes(let value), .bytes):
      return string(name) {
        Base64.write(value, into: &$0)
        return true
      }
    case (.date(let value), .date): string(name, value.description)
    case (.timestamp(let value), .timestamp): string(name, value.description)
    case (.uuid(let value), .uuid): string(name, value.description)
    case (.principal(let value), .principal): string(name, value.hex)
    case (.json(let value), .json): json(name, value)
    case (.record(let values), .record(_, let fields)): return object(name, values, fields)
    case (.reference(let key), .reference(_, let fields)):
      guard key.values.count == fields.count else { return false }
      if fields.count == 1 { return self.value(name, key.values[0], fields[0].shape) }
      return object(name, key.values, fields)
    default: return false
    }
    return true
  }

  private mutating func object(_ name: String, _ values: [Value?], _ fields: [DocumentField])
    -> Bool
  {
    guard values.count == fields.count else { return false }
    var fits = true
    document(name) { writer in
      for (value, field) in zip(values, fields) {
        guard fits, let value else { continue }
        fits = writer.value(field.name, value, field.shape)
      }
    }
    return fits
  }

  private mutating func json(_ name: String, _ value: JSON) {
    switch value {
    case .null: null(name)
    case .bool(let value): bool(name, value)
    case .int(let value): int64(name, value)
    case .double(let value): double(name, value)
    case .string(let value): string(name, value)
    case .array(let elements):
      array(name) {
        for (index, element) in elements.enumerated() { $0.json(String(index), element) }
      }
    case .object(let members):
      document(name) { for member in members { $0.json(member.name, member.value) } }
    }
  }
}

extension BSON {
  /// As JSON would have it; nil for what no document of a mirror holds.
  var raw: RawJSON? {
    switch self {
    case .double(let value):
      return value.isFinite ? .number(value.description) : nil
    case .string(let text): return text.utf8.contains(0) ? nil : .string(text)
    case .bool(let value): return .bool(value)
    case .null: return .null
    case .int32(let value): return .number(String(value))
    case .int64(let value): return .number(String(value))
    case .array(let elements):
      var values: [RawJSON] = []
      for element in elements {
        guard let value = element.raw else { return nil }
        values.append(value)
      }
      return .array(values)
    case .document(let members):
      var values: [RawJSON.Member] = []
      for member in members {
        guard let value = member.value.raw else { return nil }
        values.append(RawJSON.Member(member.name, value))
      }
      return .object(values)
    case .binary, .other: return nil
    }
  }
}
