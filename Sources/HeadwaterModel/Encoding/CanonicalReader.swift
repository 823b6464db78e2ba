/// Why bytes are not a canonical encoding.
public struct DecodingError: Error, Sendable, CustomStringConvertible {
  /// What is wrong, without any of the data.
  public let message: String
  /// Where, in bytes from the start.
  public let offset: Int

  public init(_ message: String, offset: Int) {
    self.message = message
    self.offset = offset
  }

  public var description: String { "\(message) at byte \(offset)" }
}

/// Reads what `CanonicalWriter` writes and refuses everything else: one value has one encoding.
///
/// Never traps, whatever the bytes; lengths are checked against what is there before anything is allocated.
public struct CanonicalReader: Sendable {
  private let bytes: [UInt8]
  private let end: Int
  /// The next byte to be read.
  public private(set) var offset: Int

  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
    offset = 0
    end = bytes.count
  }

  /// Reads a part of `bytes`; offsets count from the start of `bytes`.
  public init(_ bytes: [UInt8], range: Range<Int>) {
    self.bytes = bytes
    offset = max(0, range.lowerBound)
    end = min(bytes.count, range.upperBound)
  }

  public var isAtEnd: Bool { offset >= end }

  func fail(_ message: String) -> DecodingError { DecodingError(message, offset: offset) }

  /// Fails unless everything was read.
  public func finish() throws(DecodingError) {
    if offset != end { throw fail("more bytes than the value has") }
  }

  /// The next byte, not consumed.
  public func peek() throws(DecodingError) -> UInt8 {
    guard offset < end else { throw fail("the bytes end early") }
    return bytes[offset]
  }

  mutating func byte() throws(DecodingError) -> UInt8 {
    let value = try peek()
    offset += 1
    return value
  }

  private mutating func bigEndian(_ count: Int) throws(DecodingError) -> UInt64 {
    guard end - offset >= count else { throw fail("the bytes end early") }
    var value: UInt64 = 0
    for index in offset..<offset + count { value = value << 8 | UInt64(bytes[index]) }
    offset += count
    return value
  }

  mutating func head() throws(DecodingError) -> (major: UInt8, argument: UInt64) {
    let start = offset
    let first = try byte()
    let low = first & 31
    let argument: UInt64
    let least: UInt64
    switch low {
    case 0..<24: return (first >> 5, UInt64(low))
    case 24: (argument, least) = (try bigEndian(1), 24)
    case 25: (argument, least) = (try bigEndian(2), 0x100)
    case 26: (argument, least) = (try bigEndian(4), 0x1_0000)
    case 27: (argument, least) = (try bigEndian(8), 0x1_0000_0000)
    default: throw DecodingError("a length that is not definite", offset: start)
    }
    guard argument >= least else {
      throw DecodingError("a number that is not in its shortest form", offset: start)
    }
    return (first >> 5, argument)
  }

  private mutating func head(_ major: UInt8, _ what: String) throws(DecodingError) -> UInt64 {
    let start = offset
    guard try peek() >> 5 == major else { throw DecodingError("expected \(what)", offset: start) }
    return try head().argument
  }

  private mutating func count(_ major: UInt8, _ what: String) throws(DecodingError) -> Int {
    let start = offset
    let value = try head(major, what)
    // Every element takes a byte at least, so a count beyond what is left is a lie.
    guard value <= UInt64(end - offset) else {
      throw DecodingError("a length beyond the end", offset: start)
    }
    return Int(value)
  }

  /// Consumes a null if one is next.
  public mutating func null() -> Bool {
    guard offset < end, bytes[offset] == 0xF6 else { return false }
    offset += 1
    return true
  }

  /// Consumes an undefined if one is next.
  public mutating func undefined() -> Bool {
    guard offset < end, bytes[offset] == 0xF7 else { return false }
    offset += 1
    return true
  }

  public mutating func bool() throws(DecodingError) -> Bool {
    switch try byte() {
    case 0xF4: return false
    case 0xF5: return true
    default:
      offset -= 1
      throw fail("expected a boolean")
    }
  }

  public mutating func unsigned() throws(DecodingError) -> UInt64 { try head(0, "a number") }

  public mutating func int() throws(DecodingError) -> Int64 {
    let start = offset
    let (major, argument) = try head()
    guard argument <= UInt64(Int64.max) else {
      throw DecodingError("an integer beyond 64 bits", offset: start)
    }
    switch major {
    case 0: return Int64(argument)
    case 1: return ~Int64(argument)
    default: throw DecodingError("expected an integer", offset: start)
    }
  }

  public mutating func arrayHeader() throws(DecodingError) -> Int { try count(4, "an array") }
  public mutating func mapHeader() throws(DecodingError) -> Int { try count(5, "a map") }
  public mutating func tag() throws(DecodingError) -> UInt64 { try head(6, "a tag") }

  public mutating func byteString() throws(DecodingError) -> [UInt8] {
    let length = try count(2, "bytes")
    defer { offset += length }
    return Array(bytes[offset..<offset + length])
  }

  /// Where the next byte string lies, without a copy.
  public mutating func byteStringRange() throws(DecodingError) -> Range<Int> {
    let length = try count(2, "bytes")
    defer { offset += length }
    return offset..<offset + length
  }

  public mutating func digest() throws(DecodingError) -> Digest {
    let range = try byteStringRange()
    guard let digest = Digest(bytes: bytes[range]) else {
      throw DecodingError("expected 32 bytes", offset: range.lowerBound)
    }
    return digest
  }

  /// Valid UTF-8 without U+0000.
  public mutating func text() throws(DecodingError) -> String {
    let start = offset
    let length = try count(3, "text")
    let range = offset..<offset + length
    let decoded = bytes.withUnsafeBufferPointer { all -> String? in
      let text = UnsafeBufferPointer(rebasing: all[range])
      return containsZero(text) ? nil : String(utf8: text)
    }
    guard let decoded else {
      throw DecodingError("text that is not UTF-8 without NUL", offset: start)
    }
    offset += length
    return decoded
  }

  public mutating func float() throws(DecodingError) -> Double {
    let start = offset
    let first = try byte()
    let value: Double
    switch first {
    case 0xF9: value = Double(HalfFloat.value(of: UInt16(try bigEndian(2))))
    case 0xFA:
      let single = Float(bitPattern: UInt32(try bigEndian(4)))
      guard HalfFloat.bits(of: single) == nil else {
        throw DecodingError("a float that is not in its shortest form", offset: start)
      }
      value = Double(single)
    case 0xFB:
      value = Double(bitPattern: try bigEndian(8))
      guard Double(Float(value)) != value else {
        throw DecodingError("a float that is not in its shortest form", offset: start)
      }
    default: throw DecodingError("expected a float", offset: start)
    }
    guard !value.isNaN, value != 0 || value.sign == .plus else {
      throw DecodingError("NaN or negative zero", offset: start)
    }
    return value
  }

  /// The bytes read since `start`.
  public func slice(from start: Int) -> [UInt8] { Array(bytes[start..<offset]) }
}
