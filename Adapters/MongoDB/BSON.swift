import HeadwaterModel

/// A value of BSON, as far as documents and the answers of servers need it.
indirect enum BSON: Sendable, Equatable {
  case double(Double)
  case string(String)
  case document([BSONMember])
  case array([BSON])
  case binary([UInt8])
  case bool(Bool)
  case null
  case int32(Int32)
  case int64(Int64)
  /// Of a type that nothing here looks into.
  case other(UInt8)

  /// The value of the first member of that name, if this is a document that has one.
  subscript(name: String) -> BSON? {
    guard case .document(let members) = self else { return nil }
    return members.first { utf8Compare($0.name, name) == 0 }?.value
  }

  /// The number, whatever its type, if it is whole.
  var int: Int64? {
    switch self {
    case .int32(let value): Int64(value)
    case .int64(let value): value
    case .double(let value): Int64(exactly: value)
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  var string: String? { if case .string(let text) = self { text } else { nil } }
  var binary: [UInt8]? { if case .binary(let bytes) = self { bytes } else { nil } }
  var array: [BSON]? { if case .array(let elements) = self { elements } else { nil } }

  /// Whether it says yes, as servers do: true, or a number that is not 0.
  var isTrue: Bool {
    switch self {
    case .bool(let value): value
    case .double(let value): value != 0
    default: (int ?? 0) != 0
    }
  }
}

struct BSONMember: Sendable, Equatable {
  let name: String
  let value: BSON

  init(_ name: String, _ value: BSON) {
    self.name = name
    self.value = value
  }
}

// MARK: - Writing

/// Appends BSON to bytes.
struct BSONWriter {
  var bytes: [UInt8] = []

  /// A document, or an array, whose members `body` appends.
  mutating func document(_ body: (inout BSONWriter) throws -> Void) rethrows {
    let start = bytes.count
    number(Int32(0))
    try body(&self)
    bytes.append(0)
    setLength(at: start)
  }

  /// Puts the number of bytes from `start` to the end there.
  mutating func setLength(at start: Int) {
    let count = UInt32(bytes.count - start)
    for shift in 0..<4 {
      bytes[start + shift] = UInt8(truncatingIfNeeded: count >> (8 * UInt32(shift)))
    }
  }

  mutating func number(_ value: Int32) {
    let bits = UInt32(bitPattern: value)
    for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt32(shift)))) }
  }

  mutating func number(_ value: Int64) {
    let bits = UInt64(bitPattern: value)
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt64(shift)))) }
  }

  mutating func head(_ type: UInt8, _ name: String) {
    bytes.append(type)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
  }

  mutating func string(_ name: String, _ value: String) {
    head(0x02, name)
    number(Int32(value.utf8.count + 1))
    bytes.append(contentsOf: value.utf8)
    bytes.append(0)
  }

  /// A string whose UTF-8 `body` appends.
  mutating func string(_ name: String, _ body: (inout [UInt8]) -> Bool) -> Bool {
    head(0x02, name)
    let start = bytes.count
    number(Int32(0))
    guard body(&bytes) else { return false }
    bytes.append(0)
    let count = UInt32(bytes.count - start - 4)
    for shift in 0..<4 {
      bytes[start + shift] = UInt8(truncatingIfNeeded: count >> (8 * UInt32(shift)))
    }
    return true
  }

  mutating func bool(_ name: String, _ value: Bool) {
    head(0x08, name)
    bytes.append(value ? 1 : 0)
  }

  mutating func int32(_ name: String, _ value: Int32) {
    head(0x10, name)
    number(value)
  }

  mutating func int64(_ name: String, _ value: Int64) {
    head(0x12, name)
    number(value)
  }

  mutating func double(_ name: String, _ value: Double) {
    head(0x01, name)
    number(Int64(bitPattern: value.bitPattern))
  }

  mutating func null(_ name: String) { head(0x0A, name) }

  mutating func binary(_ name: String, _ value: [UInt8], subtype: UInt8 = 0) {
    head(0x05, name)
    number(Int32(value.count))
    bytes.append(subtype)
    bytes += value
  }

  mutating func document(_ name: String, _ body: (inout BSONWriter) throws -> Void) rethrows {
    head(0x03, name)
    try document(body)
  }

  mutating func array(_ name: String, _ body: (inout BSONWriter) throws -> Void) rethrows {
    head(0x04, name)
    try document(body)
  }

  mutating func strings(_ name: String, _ values: [String]) {
    array(name) { for (index, value) in values.enumerated() { $0.string(String(index), value) } }
  }
}

// MARK: - Reading

/// Reads BSON; strict about lengths, because what a server says about them is a claim.
struct BSONReader {
  struct Malformed: Error {}

  private let bytes: UnsafeRawBufferPointer
  private var index: Int
  private static let deepest = 200

  /// The document that begins at `start`.
  static func document(_ bytes: [UInt8], at start: Int = 0) throws(Malformed) -> BSON {
    let read: Result<BSON, Malformed> = bytes.withUnsafeBytes { buffer in
      var reader = BSONReader(bytes: buffer, index: start)
      do throws(Malformed) {
        return .success(try reader.document(isArray: false, end: buffer.count, depth: 0))
      } catch {
        return .failure(error)
      }
    }
    return try read.get()
  }

  private mutating func number(_ width: Int, _ end: Int) throws(Malformed) -> UInt64 {
    guard index + width <= end else { throw Malformed() }
    var value: UInt64 = 0
    for shift in 0..<width { value |= UInt64(bytes[index + shift]) << UInt64(8 * shift) }
    index += width
    return value
  }

  private mutating func length(_ end: Int) throws(Malformed) -> Int {
    let value = Int32(truncatingIfNeeded: try number(4, end))
    guard value >= 0, index + Int(value) <= end else { throw Malformed() }
    return Int(value)
  }

  private mutating func name(_ end: Int) throws(Malformed) -> String {
    var last = index
    while last < end, bytes[last] != 0 { last += 1 }
    guard last < end,
      let name = String(
        validating: UnsafeRawBufferPointer(rebasing: bytes[index..<last]), as: UTF8.self)
    else { throw Malformed() }
    index = last + 1
    return name
  }

  private mutating func document(isArray: Bool, end: Int, depth: Int) throws(Malformed) -> BSON {
    let start = index
    let size = Int32(truncatingIfNeeded: try number(4, end))
    guard depth < BSONReader.deepest, size >= 5, start + Int(size) <= end else {
      throw Malformed()
    }
    let last = start + Int(size) - 1
    var members: [BSONMember] = []
    var elements: [BSON] = []
    while index < last {
      let type = bytes[index]
      index += 1
      let name = try name(last)
      let value = try value(type, last, depth)
      if isArray { elements.append(value) } else { members.append(BSONMember(name, value)) }
    }
    guard index == last, bytes[last] == 0 else { throw Malformed() }
    index += 1
    return isArray ? .array(elements) : .document(members)
  }

  private mutating func text(_ end: Int) throws(Malformed) -> String {
    let count = try length(end)
    guard count > 0, bytes[index + count - 1] == 0,
      let text = String(
        validating: UnsafeRawBufferPointer(rebasing: bytes[index..<index + count - 1]),
        as: UTF8.self)
    else { throw Malformed() }
    index += count
    return text
  }

  private mutating func value(_ type: UInt8, _ end: Int, _ depth: Int) throws(Malformed) -> BSON {
    switch type {
    case 0x01: return .double(Double(bitPattern: try number(8, end)))
    case 0x02: return .string(try text(end))
    case 0x03: return try document(isArray: false, end: end, depth: depth + 1)
    case 0x04: return try document(isArray: true, end: end, depth: depth + 1)
    case 0x05:
      let count = try length(end)
      guard index + 1 + count <= end else { throw Malformed() }
      let value = Array(bytes[index + 1..<index + 1 + count])
      index += 1 + count
      return .binary(value)
    case 0x08: return .bool(try number(1, end) != 0)
    case 0x0A, 0x06, 0x7F, 0xFF: return .null
    case 0x10: return .int32(Int32(truncatingIfNeeded: try number(4, end)))
    case 0x12: return .int64(Int64(bitPattern: try number(8, end)))
    case 0x07: return try skip(12, type, end)
    case 0x09, 0x11: return try skip(8, type, end)
    case 0x13: return try skip(16, type, end)
    case 0x0B:
      _ = try name(end)
      _ = try name(end)
      return .other(type)
    case 0x0D, 0x0E:
      _ = try text(end)
      return .other(type)
    default: throw Malformed()
    }
  }

  private mutating func skip(_ count: Int, _ type: UInt8, _ end: Int) throws(Malformed) -> BSON {
    guard index + count <= end else { throw Malformed() }
    index += count
    return .other(type)
  }
}
