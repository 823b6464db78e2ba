extension JSON {
  /// Reads one value; throws unless `text` is exactly one in strict RFC 8259 and UTF-8.
  ///
  /// Refused as well: a member twice in an object, half a surrogate pair, U+0000, nesting beyond
  /// `maximumDepth`, a number beyond the range of a double, and an integer that neither an `Int64` nor
  /// a double holds exactly. Other numbers become the nearest double.
  public init(text: UnsafeBufferPointer<UInt8>) throws(JSONError) {
    var parser = JSONParser(text, maximumDepth: JSON.maximumDepth)
    self = try parser.document(JSON.self)
  }

  /// As `init(text:)` of a buffer.
  public init(text: [UInt8]) throws(JSONError) {
    self = try text.withUnsafeBufferPointer { (bytes) throws(JSONError) in try JSON(text: bytes) }
  }

  /// As `init(text:)` of a buffer.
  public init(text: String) throws(JSONError) { try self.init(text: Array(text.utf8)) }

  /// The canonical value of what was written; throws where a number or the nesting is refused.
  ///
  /// The offset of the error is 0: a tree does not remember places.
  public init(_ raw: RawJSON) throws(JSONError) { self = try JSON.canonical(raw, depth: 0) }

  private static func canonical(_ raw: RawJSON, depth: Int) throws(JSONError) -> JSON {
    guard depth <= maximumDepth else {
      throw JSONError("arrays and objects nested deeper than \(maximumDepth)", offset: 0)
    }
    switch raw {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .string(let text):
      try refuseNUL(text)
      return .string(text)
    case .number(let text):
      return try Array(text.utf8).withUnsafeBufferPointer { (bytes) throws(JSONError) in
        var end = 0
        let number = try JSONNumber(bytes, &end)
        guard end == bytes.count else { throw JSONError("not a number", offset: 0) }
        do throws(JSONNumber.Refusal) {
          return try number.json(bytes)
        } catch {
          throw JSONError(error.message, offset: 0)
        }
      }
    case .array(let elements):
      var values: [JSON] = []
      values.reserveCapacity(elements.count)
      for element in elements { values.append(try canonical(element, depth: depth + 1)) }
      return .array(values)
    case .object(let members):
      var values: [Member] = []
      values.reserveCapacity(members.count)
      for member in members {
        try refuseNUL(member.name)
        values.append(Member(member.name, try canonical(member.value, depth: depth + 1)))
      }
      guard let object = JSON(members: values) else {
        throw JSONError("a member twice in one object", offset: 0)
      }
      return object
    }
  }
}

extension JSON {
  /// The parser lets none through, but a tree can be made by hand.
  private static func refuseNUL(_ text: String) throws(JSONError) {
    if text.holdsNUL { throw JSONError("U+0000, which no text may hold", offset: 0) }
  }
}

extension JSON: JSONNode {
  static var nullNode: JSON { .null }
  static func node(_ value: Bool) -> JSON { .bool(value) }
  static func node(_ value: String) -> JSON { .string(value) }
  static func node(_ values: [JSON]) -> JSON { .array(values) }
  static func named(_ name: String, _ value: JSON) -> Member { Member(name, value) }
  static func name(of member: Member) -> String { member.name }
  static func node(members: [Member]) -> JSON {
    var isSorted = true
    for index in members.indices.dropFirst()
    where utf8Compare(members[index - 1].name, members[index].name) >= 0 {
      isSorted = false
      break
    }
    return .object(isSorted ? members : members.sorted { utf8Compare($0.name, $1.name) < 0 })
  }
  static func node(_ number: JSONNumber, text: UnsafeBufferPointer<UInt8>)
    throws(JSONNumber.Refusal) -> JSON
  {
    try number.json(text)
  }
}

// MARK: - Writing

extension JSON {
  /// The canonical text: no spaces, members in canonical order, the fewest escapes.
  public var text: String {
    var out: [UInt8] = []
    write(into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  /// Appends the canonical text. Reading it gives this value again.
  public func write(into out: inout [UInt8]) {
    switch self {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): JSONText.write(value, into: &out)
    case .int(let value): JSONText.write(value, into: &out)
    case .double(let value): JSONText.write(value, into: &out)
    case .string(let value): JSONText.write(value, into: &out)
    case .array(let values):
      out.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        value.write(into: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .object(let members):
      out.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        JSONText.write(member.name, into: &out)
        out.append(UInt8(ascii: ":"))
        member.value.write(into: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }

  /// Appends the text for people: an element a line, each level indented by `indent` spaces more.
  public func writePretty(into out: inout [UInt8], indent: Int = 2) {
    writePretty(into: &out, indent: max(0, indent), level: 0)
  }

  private func writePretty(into out: inout [UInt8], indent: Int, level: Int) {
    func line(_ level: Int) {
      out.append(UInt8(ascii: "\n"))
      out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * level))
    }
    switch self {
    case .array(let values) where !values.isEmpty:
      out.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        line(level + 1)
        value.writePretty(into: &out, indent: indent, level: level + 1)
      }
      line(level)
      out.append(UInt8(ascii: "]"))
    case .object(let members) where !members.isEmpty:
      out.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        line(level + 1)
        JSONText.write(member.name, into: &out)
        out.append(contentsOf: ": ".utf8)
        member.value.writePretty(into: &out, indent: indent, level: level + 1)
      }
      line(level)
      out.append(UInt8(ascii: "}"))
    default: write(into: &out)
    }
  }
}
