/// Bytes of keys whose unsigned lexicographic order (`memcmp`) is the order of the keys.
///
/// Each value is a type byte and a body that is never a prefix of another; byte by byte in
/// `Docs/Formats.md`. Decodable without the schema.
public enum KeyEncoding {
  private enum Kind {
    static let end: UInt8 = 0x01
    static let bool: UInt8 = 0x10
    static let int: UInt8 = 0x20
    static let float: UInt8 = 0x28
    static let decimal: UInt8 = 0x30
    static let text: UInt8 = 0x40
    static let bytes: UInt8 = 0x48
    static let date: UInt8 = 0x50
    static let timestamp: UInt8 = 0x58
    static let uuid: UInt8 = 0x60
    static let principal: UInt8 = 0x68
    static let reference: UInt8 = 0x70
  }

  /// The bytes of a key.
  public static func encode(_ key: Key) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(24)
    append(key, to: &out)
    return out
  }

  /// The bytes of one value that may stand in a key.
  ///
  /// JSON values and records cannot; the checker refuses them as keys. They encode as nothing.
  public static func append(_ value: Value, to out: inout [UInt8]) {
    switch value {
    case .bool(let value):
      out.append(Kind.bool)
      out.append(value ? 1 : 0)
    case .int(let value):
      out.append(Kind.int)
      append(UInt64(bitPattern: value) ^ 1 << 63, to: &out)
    case .float(let value):
      out.append(Kind.float)
      let bits = value.bitPattern
      append(bits >> 63 == 1 ? ~bits : bits | 1 << 63, to: &out)
    case .decimal(let value):
      out.append(Kind.decimal)
      append(value, to: &out)
    case .text(let value):
      out.append(Kind.text)
      out.append(contentsOf: value.utf8)  // holds no NUL
      out.append(0)
    case .bytes(let value):
      out.append(Kind.bytes)
      for byte in value {
        out.append(byte)
        if byte == 0 { out.append(0xFF) }
      }
      out.append(0)
      out.append(0)
    case .date(let value):
      out.append(Kind.date)
      append(UInt32(bitPattern: value.days) ^ 1 << 31, to: &out)
    case .timestamp(let value):
      out.append(Kind.timestamp)
      append(UInt64(bitPattern: value.microseconds) ^ 1 << 63, to: &out)
    case .uuid(let value):
      out.append(Kind.uuid)
      out.append(contentsOf: value.bytes)
    case .principal(let value):
      out.append(Kind.principal)
      out.append(contentsOf: value.bytes)
    case .reference(let key):
      out.append(Kind.reference)
      append(key, to: &out)
      out.append(Kind.end)
    case .json, .record, .created: break
    }
  }

  private static func append(_ key: Key, to out: inout [UInt8]) {
    for value in key.values { append(value, to: &out) }
  }

  private static func append<T: FixedWidthInteger>(_ value: T, to out: inout [UInt8]) {
    withUnsafeBytes(of: value.bigEndian) { out.append(contentsOf: $0) }
  }

  /// 0x80 for zero. Otherwise the sign and the place of the first digit (the number is 0.d₁d₂… × 10^place),
  /// then the digits plus one, then 0; all but the sign's own part complemented for negative numbers.
  private static func append(_ value: ExactDecimal, to out: inout [UInt8]) {
    let coefficient = value.coefficient
    guard coefficient != 0 else { return out.append(0x80) }
    var digits = Array(String(coefficient.magnitude).utf8)
    let place = digits.count - Int(value.scale)
    while digits.last == 0x30 { digits.removeLast() }
    if coefficient > 0 {
      out.append(UInt8(0xC0 + place))
      for digit in digits { out.append(digit - 0x30 + 1) }
      out.append(0)
    } else {
      out.append(UInt8(0x40 - place))
      for digit in digits { out.append(~(digit - 0x30 + 1)) }
      out.append(0xFF)
    }
  }

  /// The key with exactly those bytes; throws for all others.
  public static func decode(_ bytes: [UInt8]) throws(DecodingError) -> Key {
    var offset = 0
    let values = try values(bytes, &offset, depth: 0)
    guard offset == bytes.count, !values.isEmpty else {
      throw DecodingError("not the bytes of a key", offset: offset)
    }
    let key = Key(values)
    guard encode(key) == bytes else { throw DecodingError("not the bytes of a key", offset: 0) }
    return key
  }

  private static func values(_ bytes: [UInt8], _ offset: inout Int, depth: Int)
    throws(DecodingError) -> [Value]
  {
    guard depth <= Limits.depth else {
      throw DecodingError("a key nested too deep", offset: offset)
    }
    var values: [Value] = []
    while offset < bytes.count, bytes[offset] != Kind.end {
      let kind = bytes[offset]
      offset += 1
      values.append(try value(kind, bytes, &offset, depth: depth))
    }
    return values
  }

  private static func value(_ kind: UInt8, _ bytes: [UInt8], _ offset: inout Int, depth: Int)
    throws(DecodingError) -> Value
  {
    let start = offset
    func take(_ count: Int) throws(DecodingError) -> ArraySlice<UInt8> {
      guard bytes.count - offset >= count else {
        throw DecodingError("a key ends early", offset: start)
      }
      defer { offset += count }
      return bytes[offset..<offset + count]
    }
    func word(_ count: Int) throws(DecodingError) -> UInt64 {
      try take(count).reduce(0) { $0 << 8 | UInt64($1) }
    }
    func refuse() -> DecodingError { DecodingError("not the bytes of a key", offset: start) }
    switch kind {
    case Kind.bool: return .bool(try word(1) == 1)
    case Kind.int: return .int(Int64(bitPattern: try word(8) ^ 1 << 63))
    case Kind.float:
      let bits = try word(8)
      let value = Double(bitPattern: bits >> 63 == 1 ? bits & ~(1 << 63) : ~bits)
      guard let number = Value.number(value) else { throw refuse() }
      return number
    case Kind.decimal: return .decimal(try decimal(bytes, &offset))
    case Kind.text:
      guard let end = bytes[offset...].firstIndex(of: 0) else { throw refuse() }
      guard
        let text = bytes[offset..<end].withUnsafeBufferPointer({
          String(utf8: $0)
        })
      else { throw refuse() }
      offset = end + 1
      return .text(text)
    case Kind.bytes:
      var out: [UInt8] = []
      while true {
        let byte = try take(1).first!
        guard byte == 0 else {
          out.append(byte)
          continue
        }
        let next = try take(1).first!
        if next == 0 { return .bytes(out) }
        guard next == 0xFF else { throw refuse() }
        out.append(0)
      }
    case Kind.date:
      let days = Int32(bitPattern: UInt32(truncatingIfNeeded: try word(4)) ^ 1 << 31)
      guard let date = CalendarDate(days: Int64(days)) else { throw refuse() }
      return .date(date)
    case Kind.timestamp:
      guard let time = Timestamp(microseconds: Int64(bitPattern: try word(8) ^ 1 << 63)) else {
        throw refuse()
      }
      return .timestamp(time)
    case Kind.uuid: return .uuid(UUIDBytes(bytes: try take(16))!)
    case Kind.principal: return .principal(Digest(bytes: try take(32))!)
    case Kind.reference:
      let inner = try values(bytes, &offset, depth: depth + 1)
      guard try take(1).first == Kind.end, !inner.isEmpty else { throw refuse() }
      return .reference(Key(inner))
    default: throw refuse()
    }
  }

  private static func decimal(_ bytes: [UInt8], _ offset: inout Int) throws(DecodingError)
    -> ExactDecimal
  {
    let start = offset
    func refuse() -> DecodingError { DecodingError("not the bytes of a key", offset: start) }
    guard offset < bytes.count else { throw refuse() }
    let first = Int(bytes[offset])
    offset += 1
    if first == 0x80 { return ExactDecimal(0) }
    let negative = first < 0x80
    let place = negative ? 0x40 - first : first - 0xC0
    var coefficient: Int128 = 0
    var count = 0
    while true {
      guard offset < bytes.count, count <= 38 else { throw refuse() }
      let byte = negative ? ~bytes[offset] : bytes[offset]
      offset += 1
      if byte == 0 { break }
      guard byte <= 10, count < 38 else { throw refuse() }
      coefficient = coefficient * 10 + Int128(byte - 1)
      count += 1
    }
    guard
      let value = ExactDecimal(
        coefficient: negative ? -coefficient : coefficient, scale: count - place)
    else { throw refuse() }
    return value
  }
}
