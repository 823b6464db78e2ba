// The canonical bytes of values. The tags are documented, with test vectors, in Docs/Formats.md.

enum Tag {
  static let positiveBignum: UInt64 = 2
  static let negativeBignum: UInt64 = 3
  static let decimalFraction: UInt64 = 4
  static let uuid: UInt64 = 37
  static let date: UInt64 = 100
  static let timestamp: UInt64 = 26_740
  static let principal: UInt64 = 26_741
  static let reference: UInt64 = 26_742
  static let created: UInt64 = 26_743
  static let json: UInt64 = 26_744
  static let record: UInt64 = 26_745
}

extension CanonicalWriter {
  /// A value, or null where it is absent.
  public mutating func value(_ value: Value?) {
    guard let value else { return null() }
    switch value {
    case .bool(let value): bool(value)
    case .int(let value): int(value)
    case .float(let value): float(value)
    case .text(let value): text(value)
    case .bytes(let value): byteString(value)
    case .decimal(let value): decimal(value)
    case .date(let value):
      tag(Tag.date)
      int(Int64(value.days))
    case .timestamp(let value):
      tag(Tag.timestamp)
      int(value.microseconds)
    case .uuid(let value):
      tag(Tag.uuid)
      byteString(value.bytes)
    case .json(let value):
      tag(Tag.json)
      json(value)
    case .principal(let value):
      tag(Tag.principal)
      digest(value)
    case .record(let values):
      tag(Tag.record)
      arrayHeader(values.count)
      for value in values { self.value(value) }
    case .reference(let key):
      tag(Tag.reference)
      self.key(key)
    case .created(let index):
      tag(Tag.created)
      unsigned(UInt64(clamping: index))
    }
  }

  /// An array of the key's values.
  public mutating func key(_ key: Key) {
    arrayHeader(key.values.count)
    for value in key.values { self.value(value) }
  }

  private mutating func decimal(_ value: ExactDecimal) {
    tag(Tag.decimalFraction)
    arrayHeader(2)
    int(-Int64(value.scale))
    let coefficient = value.coefficient
    let magnitude = coefficient < 0 ? UInt128(~coefficient) : UInt128(coefficient)
    // As RFC 8949 prefers: a bignum only beyond the 64 bits of a head, which has the sign besides.
    if let small = UInt64(exactly: magnitude) { return head(coefficient < 0 ? 1 : 0, small) }
    tag(coefficient < 0 ? Tag.negativeBignum : Tag.positiveBignum)
    byteString(withUnsafeBytes(of: magnitude.bigEndian) { Array($0.drop { $0 == 0 }) })
  }

  /// A JSON value as the CBOR that says the same; the members of objects sorted by their encoded names.
  public mutating func json(_ value: JSON) {
    switch value {
    case .null: null()
    case .bool(let value): bool(value)
    case .int(let value): int(value)
    case .double(let value): float(value)
    case .string(let value): text(value)
    case .array(let values):
      arrayHeader(values.count)
      for value in values { json(value) }
    case .object(let members):
      mapHeader(members.count)
      // Encoded names sort by length first, and members are sorted by bytes already: a stable sort suffices.
      for member in members.enumerated().sorted(by: {
        ($0.element.name.utf8.count, $0.offset) < ($1.element.name.utf8.count, $1.offset)
      }) {
        text(member.element.name)
        json(member.element.value)
      }
    }
  }
}

extension CanonicalReader {
  /// A value, or nil for null.
  public mutating func value() throws(DecodingError) -> Value? { try value(depth: 0) }

  /// An array of values that are all present.
  public mutating func key() throws(DecodingError) -> Key { try key(depth: 0) }

  private mutating func key(depth: Int) throws(DecodingError) -> Key {
    let start = offset
    let count = try arrayHeader()
    guard count > 0, count <= 64 else {
      throw DecodingError("a key of \(count) values", offset: start)
    }
    var values: [Value] = []
    values.reserveCapacity(count)
    for _ in 0..<count {
      guard let value = try value(depth: depth + 1) else {
        throw fail("a key with an absent value")
      }
      values.append(value)
    }
    return Key(values)
  }

  private mutating func value(depth: Int) throws(DecodingError) -> Value? {
    guard depth <= Limits.depth else { throw fail("values nested too deep") }
    let first = try peek()
    switch first >> 5 {
    case 0, 1: return .int(try int())
    case 2: return .bytes(try byteString())
    case 3: return .text(try text())
    case 6: return try tagged(depth: depth)
    case 7:
      if null() { return nil }
      if first == 0xF4 || first == 0xF5 { return .bool(try bool()) }
      return .float(try float())
    default: throw fail("expected a value")
    }
  }

  private mutating func tagged(depth: Int) throws(DecodingError) -> Value {
    let start = offset
    switch try tag() {
    case Tag.decimalFraction: return .decimal(try decimal())
    case Tag.uuid:
      guard let uuid = UUIDBytes(bytes: try byteString()) else {
        throw DecodingError("a UUID that is not 16 bytes", offset: start)
      }
      return .uuid(uuid)
    case Tag.date:
      guard let date = CalendarDate(days: try int()) else {
        throw DecodingError("a date outside years 1 to 9999", offset: start)
      }
      return .date(date)
    case Tag.timestamp:
      guard let time = Timestamp(microseconds: try int()) else {
        throw DecodingError("a time outside years 1 to 9999", offset: start)
      }
      return .timestamp(time)
    case Tag.principal: return .principal(try digest())
    case Tag.reference: return .reference(try key(depth: depth + 1))
    case Tag.created:
      let index = try unsigned()
      guard index < UInt64(Limits.changes) else {
        throw DecodingError("a change that is not there", offset: start)
      }
      return .created(index: Int(index))
    case Tag.json: return .json(try json(depth: 0))
    case Tag.record:
      let count = try arrayHeader()
      var values: [Value?] = []
      // The count is only a claim so far, and claims can be nested: what is there decides about memory.
      values.reserveCapacity(min(count, 64))
      for _ in 0..<count { values.append(try value(depth: depth + 1)) }
      return .record(values)
    default: throw DecodingError("an unknown tag", offset: start)
    }
  }

  private mutating func decimal() throws(DecodingError) -> ExactDecimal {
    let start = offset
    guard try arrayHeader() == 2 else { throw DecodingError("expected a decimal", offset: start) }
    let exponent = try int()
    guard exponent <= 0, exponent >= -Int64(ExactDecimal.maximumDigits) else {
      throw DecodingError("a decimal of too many digits", offset: start)
    }
    let coefficient: Int128
    if try peek() >> 5 == 6 {
      let kind = try tag()
      let digits = try byteString()
      guard kind == Tag.positiveBignum || kind == Tag.negativeBignum, digits.count > 8,
        digits.count <= 16, digits[0] != 0
      else { throw DecodingError("a decimal that is not canonical", offset: start) }
      let magnitude = digits.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
      guard let signed = Int128(exactly: magnitude) else {
        throw DecodingError("a decimal of too many digits", offset: start)
      }
      coefficient = kind == Tag.positiveBignum ? signed : ~signed
    } else {
      let (major, argument) = try head()
      guard major <= 1 else { throw DecodingError("expected a decimal", offset: start) }
      coefficient = major == 0 ? Int128(argument) : ~Int128(argument)
    }
    guard let result = ExactDecimal(coefficient: coefficient, scale: Int(-exponent)),
      Int64(result.scale) == -exponent
    else { throw DecodingError("a decimal that is not in lowest terms", offset: start) }
    return result
  }

  /// A canonical JSON value.
  public mutating func json() throws(DecodingError) -> JSON { try json(depth: 0) }

  private mutating func json(depth: Int) throws(DecodingError) -> JSON {
    guard depth <= JSON.maximumDepth else { throw fail("JSON nested too deep") }
    let start = offset
    let first = try peek()
    switch first >> 5 {
    case 0, 1: return .int(try int())
    case 3: return .string(try text())
    case 4:
      let count = try arrayHeader()
      var values: [JSON] = []
      for _ in 0..<count { values.append(try json(depth: depth + 1)) }
      return .array(values)
    case 5:
      let count = try mapHeader()
      var members: [JSON.Member] = []
      for _ in 0..<count {
        let name = try text()
        if let last = members.last {
          let order =
            (last.name.utf8.count, 0) < (name.utf8.count, utf8Compare(last.name, name) < 0 ? 1 : 0)
          guard order else { throw DecodingError("members out of order", offset: start) }
        }
        members.append(JSON.Member(name, try json(depth: depth + 1)))
      }
      guard let object = JSON(members: members) else {
        throw DecodingError("a member twice", offset: start)
      }
      return object
    case 7:
      if null() { return .null }
      if first == 0xF4 || first == 0xF5 { return .bool(try bool()) }
      guard let number = JSON(number: try float()), case .double = number else {
        throw DecodingError("a number that is not canonical", offset: start)
      }
      return number
    default: throw fail("expected a JSON value")
    }
  }
}

extension Value {
  /// The canonical bytes of this value alone.
  public var canonicalBytes: [UInt8] {
    var writer = CanonicalWriter()
    writer.value(self)
    return writer.bytes
  }

  /// The value with exactly those canonical bytes.
  public init(canonicalBytes: [UInt8]) throws(DecodingError) {
    var reader = CanonicalReader(canonicalBytes)
    guard let value = try reader.value() else { throw reader.fail("an absent value") }
    try reader.finish()
    self = value
  }
}
