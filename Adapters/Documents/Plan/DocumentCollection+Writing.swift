import HeadwaterModel

extension DocumentCollection {
  /// Appends the document of a row: compact, in one line.
  ///
  /// - Returns: false where the row is not one of this collection.
  public func write(_ row: Row, into out: inout [UInt8]) -> Bool {
    guard row.values.count == fields.count, let key = key(of: row) else { return false }
    out.append(contentsOf: DocumentCollection.idLabel)
    guard writeID(of: key, into: &out) else { return false }
    out.append(UInt8(ascii: "\""))
    for (position, field) in fields.enumerated() {
      guard let value = row[position] else { continue }
      out.append(UInt8(ascii: ","))
      out.append(contentsOf: field.label)
      guard DocumentText.write(value, field.shape, into: &out) else { return false }
    }
    out.append(UInt8(ascii: "}"))
    return true
  }

  /// Appends the document of a row as people read it: a member a line, two spaces a level, and a line feed last.
  ///
  /// - Returns: false where the row is not one of this collection.
  public func writePretty(_ row: Row, into out: inout [UInt8]) -> Bool {
    guard row.values.count == fields.count, let key = key(of: row) else { return false }
    out.append(contentsOf: "{\n  \"_id\": \"".utf8)
    guard writeID(of: key, into: &out) else { return false }
    out.append(UInt8(ascii: "\""))
    for (position, field) in fields.enumerated() {
      guard let value = row[position] else { continue }
      out.append(UInt8(ascii: ","))
      DocumentText.line(1, into: &out)
      out.append(contentsOf: field.label)
      out.append(UInt8(ascii: " "))
      guard DocumentText.writePretty(value, field.shape, level: 1, into: &out) else {
        return false
      }
    }
    out.append(contentsOf: "\n}\n".utf8)
    return true
  }

  private static let idLabel = Array("{\"_id\":\"".utf8)
}

/// The JSON of values, by their shapes.
enum DocumentText {
  /// Compact; false where the value is not of the shape.
  static func write(_ value: Value, _ shape: DocumentShape, into out: inout [UInt8]) -> Bool {
    switch (value, shape) {
    case (.text(let value), .text), (.text(let value), .enumeration):
      JSONText.write(value, into: &out)
    case (.int(let value), .int): JSONText.write(value, into: &out)
    case (.bool(let value), .bool): JSONText.write(value, into: &out)
    case (.float(let value), .float):
      if value.isFinite {
        JSONText.write(value, into: &out)
      } else {
        out.append(contentsOf: (value < 0 ? "\"-Infinity\"" : "\"Infinity\"").utf8)
      }
    case (.decimal(let value), .decimal(_, let scale)):
      guard Int(value.scale) <= scale else { return false }
      quoted(into: &out) { decimal(value, scale: scale, into: &$0) }
    case (.bytes(let value), .bytes): quoted(into: &out) { Base64.write(value, into: &$0) }
    case (.date(let value), .date): quoted(into: &out) { value.write(into: &$0) }
    case (.timestamp(let value), .timestamp): quoted(into: &out) { value.write(into: &$0) }
    case (.uuid(let value), .uuid): quoted(into: &out) { value.write(into: &$0) }
    case (.principal(let value), .principal): quoted(into: &out) { value.write(into: &$0) }
    case (.json(let value), .json): value.write(into: &out)
    case (.record(let values), .record(_, let fields)):
      return object(values, fields, into: &out)
    case (.reference(let key), .reference(_, let fields)):
      guard key.values.count == fields.count else { return false }
      if fields.count == 1 { return write(key.values[0], fields[0].shape, into: &out) }
      return object(key.values, fields, into: &out)
    default: return false
    }
    return true
  }

  private static func object(
    _ values: [Value?], _ fields: [DocumentField], into out: inout [UInt8]
  ) -> Bool {
    guard values.count == fields.count else { return false }
    out.append(UInt8(ascii: "{"))
    var isFirst = true
    for (value, field) in zip(values, fields) {
      guard let value else { continue }
      if !isFirst { out.append(UInt8(ascii: ",")) }
      isFirst = false
      out.append(contentsOf: field.label)
      guard write(value, field.shape, into: &out) else { return false }
    }
    out.append(UInt8(ascii: "}"))
    return true
  }

  /// Over several lines where it is an object or array.
  static func writePretty(
    _ value: Value, _ shape: DocumentShape, level: Int, into out: inout [UInt8]
  ) -> Bool {
    switch (value, shape) {
    case (.json(let value), .json):
      json(value, level: level, into: &out)
      return true
    case (.record(let values), .record(_, let fields)):
      return prettyObject(values, fields, level: level, into: &out)
    case (.reference(let key), .reference(_, let fields)) where fields.count != 1:
      return prettyObject(key.values, fields, level: level, into: &out)
    case (.reference(let key), .reference(_, let fields)):
      guard key.values.count == 1 else { return false }
      return writePretty(key.values[0], fields[0].shape, level: level, into: &out)
    default: return write(value, shape, into: &out)
    }
  }

  private static func prettyObject(
    _ values: [Value?], _ fields: [DocumentField], level: Int, into out: inout [UInt8]
  ) -> Bool {
    guard values.count == fields.count else { return false }
    guard values.contains(where: { $0 != nil }) else {
      out.append(contentsOf: "{}".utf8)
      return true
    }
    out.append(UInt8(ascii: "{"))
    var isFirst = true
    for (value, field) in zip(values, fields) {
      guard let value else { continue }
      if !isFirst { out.append(UInt8(ascii: ",")) }
      isFirst = false
      line(level + 1, into: &out)
      out.append(contentsOf: field.label)
      out.append(UInt8(ascii: " "))
      guard writePretty(value, field.shape, level: level + 1, into: &out) else { return false }
    }
    line(level, into: &out)
    out.append(UInt8(ascii: "}"))
    return true
  }

  private static func json(_ value: JSON, level: Int, into out: inout [UInt8]) {
    switch value {
    case .array(let values) where !values.isEmpty:
      out.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        line(level + 1, into: &out)
        json(value, level: level + 1, into: &out)
      }
      line(level, into: &out)
      out.append(UInt8(ascii: "]"))
    case .object(let members) where !members.isEmpty:
      out.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        line(level + 1, into: &out)
        JSONText.write(member.name, into: &out)
        out.append(contentsOf: ": ".utf8)
        json(member.value, level: level + 1, into: &out)
      }
      line(level, into: &out)
      out.append(UInt8(ascii: "}"))
    default: value.write(into: &out)
    }
  }

  static func line(_ level: Int, into out: inout [UInt8]) {
    out.append(0x0A)
    for _ in 0..<level {
      out.append(0x20)
      out.append(0x20)
    }
  }

  @inline(__always)
  private static func quoted(into out: inout [UInt8], _ write: (inout [UInt8]) -> Void) {
    out.append(UInt8(ascii: "\""))
    write(&out)
    out.append(UInt8(ascii: "\""))
  }

  /// `value.text(scale:)` without a string, for those of 64 bits.
  private static func decimal(_ value: ExactDecimal, scale: Int, into out: inout [UInt8]) {
    guard let shifted = value.coefficient(atScale: scale), let small = Int64(exactly: shifted),
      scale < 19
    else { return out.append(contentsOf: value.text(scale: scale).utf8) }
    if small < 0 { out.append(UInt8(ascii: "-")) }
    var rest = small.magnitude
    let start = out.count
    var count = 0
    repeat {
      if count == scale, count > 0 { out.append(UInt8(ascii: ".")) }
      out.append(0x30 + UInt8(rest % 10))
      rest /= 10
      count += 1
    } while rest > 0 || count <= scale
    out[start...].reverse()
  }
}
