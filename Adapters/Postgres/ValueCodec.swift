import HeadwaterModel
import HeadwaterRelational

/// Values in PostgreSQL's binary form, and back. Exact in both directions.
enum ValueCodec {
  /// From 1970-01-01, where our days begin, to 2000-01-01, where PostgreSQL's do.
  private static let epochDays: Int32 = 10_957
  private static let epochMicroseconds: Int64 = 946_684_800_000_000

  // MARK: Writing

  /// Appends the length and the bytes of a value, or the length −1 of NULL; false where it is not of the type.
  @inline(__always)
  static func append(_ value: Value?, as form: WireForm, to buffer: WireBuffer) -> Bool {
    guard let value else {
      buffer.append(Int32(-1))
      return true
    }
    switch (value, form) {
    case (.text(let value), .text):
      var value = value
      value.withUTF8 { buffer.appendCounted(UnsafeRawBufferPointer($0)) }
    case (.int(let value), .int):
      buffer.append(Int32(8))
      buffer.append(value)
    case (.bool(let value), .bool):
      buffer.append(Int32(1))
      buffer.append(UInt8(value ? 1 : 0))
    case (.float(let value), .float):
      buffer.append(Int32(8))
      buffer.append(value.bitPattern)
    case (.decimal(let value), .decimal(let precision, let scale)):
      guard value.fits(precision: precision, scale: scale) else { return false }
      append(value, scale: scale, to: buffer)
    case (.bytes(let value), .bytes):
      value.withUnsafeBytes { buffer.appendCounted($0) }
    case (.date(let value), .date):
      buffer.append(Int32(4))
      buffer.append(value.days - epochDays)
    case (.timestamp(let value), .timestamp):
      buffer.append(Int32(8))
      buffer.append(value.microseconds - epochMicroseconds)
    case (.uuid(let value), .uuid):
      value.bytes.withUnsafeBytes { buffer.appendCounted($0) }
    case (.principal(let value), .principal):
      append(value, to: buffer)
    case (.json(let value), .json):
      // The first byte is the version of the form, the rest is text.
      var text: [UInt8] = [1]
      value.write(into: &text)
      text.withUnsafeBytes { buffer.appendCounted($0) }
    default: return false
    }
    return true
  }

  private static func append(_ digest: Digest, to buffer: WireBuffer) {
    buffer.append(Int32(64))
    digest.withUnsafeBytes { bytes in
      for byte in bytes {
        let (high, low) = (byte >> 4, byte & 15)
        buffer.append(high < 10 ? 0x30 + high : 0x57 + high)
        buffer.append(low < 10 ? 0x30 + low : 0x57 + low)
      }
    }
  }

  /// Digits to the base 10,000, grouped from the decimal point.
  private static func append(_ value: ExactDecimal, scale: Int, to buffer: WireBuffer) {
    let start = buffer.count
    buffer.append(Int32(0))
    let coefficient = value.coefficient
    // Four digits of the fraction make one; the last is filled up with zeros.
    let groups = (Int(value.scale) + 3) / 4
    var padding: UInt128 = 1
    for _ in 0..<(groups * 4 - Int(value.scale)) { padding *= 10 }
    // At most 38 digits and three zeros: more than 128 bits, so the last digit is split off first.
    let magnitude = coefficient.magnitude
    let unit = 10_000 / padding
    var rest = magnitude / unit
    var digits: [Int16] = []
    if groups > 0 {
      digits.append(Int16(truncatingIfNeeded: magnitude % unit * padding))
    } else {
      rest = magnitude
    }
    while rest > 0 {
      digits.append(Int16(truncatingIfNeeded: rest % 10_000))
      rest /= 10_000
    }
    var weight = digits.count - groups - 1
    while let last = digits.last, last == 0 {
      digits.removeLast()
      weight -= 1
    }
    var trailing = 0
    while trailing < digits.count, digits[trailing] == 0 { trailing += 1 }
    buffer.append(Int16(digits.count - trailing))
    buffer.append(Int16(digits.isEmpty ? 0 : weight))
    buffer.append(UInt16(coefficient < 0 ? 0x4000 : 0))
    buffer.append(Int16(scale))
    for digit in digits[trailing...].reversed() { buffer.append(digit) }
    buffer.patch(Int32(buffer.count - start - 4), at: start)
  }

  // MARK: Reading

  /// A value of a result column that is not NULL; nil where no mirror would have written it.
  static func read(_ bytes: UnsafeRawBufferPointer, as type: ColumnType) -> Value? {
    switch type {
    case .bool: bytes.count == 1 ? .bool(bytes[0] == 1) : nil
    case .int: integer(bytes, Int64.self).map { .int($0) }
    case .float: integer(bytes, UInt64.self).flatMap { .number(Double(bitPattern: $0)) }
    case .decimal(let precision, let scale):
      decimal(bytes).flatMap { $0.fits(precision: precision, scale: scale) ? .decimal($0) : nil }
    case .text(let limit):
      text(bytes).flatMap { text in
        text.unicodeScalars.count <= limit ?? .max ? .text(text) : nil
      }
    case .enumeration(let cases):
      text(bytes).flatMap { text in
        cases.contains { utf8Compare($0, text) == 0 } ? .text(text) : nil
      }
    case .bytes: .bytes(Array(bytes))
    case .date:
      integer(bytes, Int32.self).flatMap {
        CalendarDate(days: Int64($0) + Int64(epochDays)).map { .date($0) }
      }
    case .timestamp:
      integer(bytes, Int64.self).flatMap { value in
        let (sum, overflow) = value.addingReportingOverflow(epochMicroseconds)
        return overflow ? nil : Timestamp(microseconds: sum).map { .timestamp($0) }
      }
    case .uuid: UUIDBytes(bytes: bytes).map { .uuid($0) }
    case .principal: text(bytes).flatMap { Digest(hex: $0) }.map { .principal($0) }
    case .json: text(bytes).flatMap { json($0) }.map { .json($0) }
    }
  }

  /// A value that no column of the type has, to stand where a column holds what no mirror wrote.
  static func misfit(for type: ColumnType) -> Value {
    if case .bool = type { return .int(0) }
    return .bool(false)
  }

  private static func integer<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _: T.Type)
    -> T?
  {
    guard bytes.count == MemoryLayout<T>.size else { return nil }
    return T(bigEndian: bytes.loadUnaligned(as: T.self))
  }

  private static func text(_ bytes: UnsafeRawBufferPointer) -> String? {
    // The server has checked the encoding, but a check is cheaper than a value that is no text.
    let text = String(decoding: bytes, as: UTF8.self)
    return text.utf8.elementsEqual(bytes) ? text : nil
  }

  private static func decimal(_ bytes: UnsafeRawBufferPointer) -> ExactDecimal? {
    guard bytes.count >= 8 else { return nil }
    func word(_ index: Int) -> Int16 {
      Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 2, as: Int16.self))
    }
    let count = Int(word(0))
    let weight = Int(word(1))
    let sign = UInt16(bitPattern: word(2))
    guard sign == 0 || sign == 0x4000, count >= 0, count <= 24, bytes.count == 8 + count * 2 else {
      return nil
    }
    var magnitude: UInt128 = 0
    // Behind the last digit nothing but the zeros that fill it up: they are taken off before it is added.
    var scale = 4 * (count - 1 - weight)
    for index in 0..<count {
      var digit = UInt128(truncatingIfNeeded: word(4 + index))
      var factor: UInt128 = 10_000
      if index == count - 1 {
        while scale > 0, factor > 1, digit % 10 == 0 {
          digit /= 10
          factor /= 10
          scale -= 1
        }
      }
      let (product, overflow) = magnitude.multipliedReportingOverflow(by: factor)
      let (sum, carry) = product.addingReportingOverflow(digit)
      guard !overflow, !carry else { return nil }
      magnitude = sum
    }
    guard let value = Int128(exactly: magnitude) else { return nil }
    return ExactDecimal(coefficient: sign == 0 ? value : -value, scale: count == 0 ? 0 : scale)
  }

  /// `jsonb` writes every number out in digits, so that a double may look like an integer of 300 of them.
  private static func json(_ text: String) -> JSON? {
    (try? RawJSON(text: text)).flatMap { canonical($0) }
  }

  private static func canonical(_ raw: RawJSON) -> JSON? {
    switch raw {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .string(let text): return .string(text)
    case .number(let text):
      if let value = Int64(text) { return .int(value) }
      return Double(text).flatMap { JSON(number: $0) }
    case .array(let elements):
      var values: [JSON] = []
      values.reserveCapacity(elements.count)
      for element in elements {
        guard let value = canonical(element) else { return nil }
        values.append(value)
      }
      return .array(values)
    case .object(let members):
      var values: [JSON.Member] = []
      values.reserveCapacity(members.count)
      for member in members {
        guard let value = canonical(member.value) else { return nil }
        values.append(JSON.Member(member.name, value))
      }
      return JSON(members: values)
    }
  }
}
