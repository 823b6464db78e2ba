// Typed values as the cells of a table of plain text, such as CSV.

extension Schema {
  /// The value that a cell holds for `field`; nil where the cell is empty and the field is optional.
  ///
  /// An empty cell is the empty text for a required `Text`. Records, JSON values and references with several
  /// key fields are JSON text; a reference with one is that field's cell. Booleans are `true`, `t`, `yes` or
  /// `1` and their opposites, in either case. Everything else is spelled as in JSON, without its quotes.
  public func value(fromCell cell: String, for field: Field) throws(ValueError) -> Value? {
    do throws(ValueError) {
      return try value(fromCell: cell, for: field.type)
    } catch {
      throw error.inside(field.name)
    }
  }

  /// As for a field of that type.
  public func value(fromCell cell: String, for type: FieldType) throws(ValueError) -> Value? {
    if cell.isEmpty, type.isOptional { return nil }
    return try value(fromCell: cell, type.wrapped, depth: 0)
  }

  private func value(fromCell cell: String, _ type: FieldType, depth: Int) throws(ValueError)
    -> Value
  {
    guard depth < Limits.depth else { throw ValueError("keys nested too deep") }
    switch type {
    case .text, .sharedText, .bytes: break
    default: if cell.isEmpty { throw ValueError("a value is required") }
    }
    switch type {
    case .bool:
      switch cell.lowercased() {
      case "true", "t", "yes", "1": return .bool(true)
      case "false", "f", "no", "0": return .bool(false)
      default: throw ValueError("expected true or false")
      }
    case .int, .counter:
      guard let value = Int64(cell) else { throw ValueError("expected an integer of 64 bits") }
      return .int(value)
    case .float:
      if cell == "Infinity" { return .float(.infinity) }
      if cell == "-Infinity" { return .float(-.infinity) }
      // The library reads more spellings than people expect: hexadecimal, “nan”, “inf”.
      guard cell.utf8.allSatisfy({ Schema.isNumeric($0) }), let value = Double(cell) else {
        throw ValueError("expected a number")
      }
      guard value.isFinite, let number = Value.number(value) else {
        throw ValueError("beyond the range of a double")
      }
      return number
    case .decimal: return try decimal(cell, type)
    case .json, .record: return try json(cell, type)
    case .reference(let name):
      guard let target = collection(named: name) else { throw ValueError("no collection \(name)") }
      // With one key field a cell that is an object can only be meant as JSON: `{"$new": 0}`.
      guard target.keyFields.count == 1, cell.utf8.first != UInt8(ascii: "{") || isText(target)
      else { return try json(cell, type) }
      let field = target.fields[target.keyFields[0]]
      return .reference(Key([try value(fromCell: cell, field.type.wrapped, depth: depth + 1)]))
    default: return try scalar(cell, type)
    }
  }

  /// Whether the one key field is of text, whose cells may begin with anything.
  private func isText(_ target: CollectionType) -> Bool {
    if case .text = target.fields[target.keyFields[0]].type { return true }
    return false
  }

  private func json(_ cell: String, _ type: FieldType) throws(ValueError) -> Value {
    let raw: RawJSON
    do throws(JSONError) {
      raw = try RawJSON(text: cell)
    } catch {
      throw ValueError("expected JSON: \(error)")
    }
    guard let value = try value(from: raw, for: type) else {
      throw ValueError("a value is required")
    }
    return value
  }

  private static func isNumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"),
      UInt8(ascii: "E"):
      true
    default: false
    }
  }

  /// The cell that holds `value`; empty where it is absent.
  ///
  /// `value(fromCell:for:)` reads it back, except the empty text or bytes in an optional field, and a
  /// reference to a row whose key is the empty text: a cell cannot tell those from an absent value.
  public func text(forCell value: Value?, for type: FieldType) -> String {
    switch value {
    case nil: return ""
    case .text(let text)?: return text
    case .reference(let key)?:
      if let name = type.referencedCollection, let target = collection(named: name),
        target.keyFields.count == 1, key.values.count == 1
      {
        return text(forCell: key.values[0], for: target.fields[target.keyFields[0]].type)
      }
      return jsonText(value, type)
    case .json(let json)?: return json.text
    case .record?, .created?: return jsonText(value, type)
    default:
      // A scalar: its JSON is a word or a string without escapes.
      let text = jsonText(value, type)
      return text.hasPrefix("\"") ? String(text.dropFirst().dropLast()) : text
    }
  }

  private func jsonText(_ value: Value?, _ type: FieldType) -> String {
    var out: [UInt8] = []
    write(value, for: type, into: &out)
    return String(decoding: out, as: UTF8.self)
  }
}
