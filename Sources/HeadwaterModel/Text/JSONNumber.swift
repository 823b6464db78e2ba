/// A number in JSON text: its spelling taken apart, nothing rounded yet.
struct JSONNumber {
  /// Why a number is not one that a JSON value may hold.
  struct Refusal: Error {
    let message: String
  }

  private(set) var isNegative = false
  /// No point and no exponent.
  private(set) var isInteger = true
  /// The first 19 digits that count, as a number.
  private var digits: UInt64 = 0
  private var digitCount = 0
  /// The number is `digits` × 10^`exponent` where no digit was dropped.
  private var exponent = 0
  private var isExact = true

  /// Reads the number at `index` and advances it to the byte after.
  init(_ bytes: UnsafeBufferPointer<UInt8>, _ index: inout Int) throws(JSONError) {
    var at = index
    defer { index = at }
    func byte() -> UInt8 { at < bytes.count ? bytes[at] : 0 }
    if byte() == UInt8(ascii: "-") {
      isNegative = true
      at += 1
    }
    if byte() == 0x30 {
      at += 1
      if byte() &- 0x30 < 10 { throw JSONError("a number with a leading zero", offset: index) }
    } else {
      guard byte() &- 0x30 < 10 else { throw JSONError("expected a digit", offset: at) }
      while byte() &- 0x30 < 10 {
        append(byte() - 0x30)
        at += 1
      }
    }
    if byte() == UInt8(ascii: ".") {
      isInteger = false
      at += 1
      guard byte() &- 0x30 < 10 else { throw JSONError("expected a digit", offset: at) }
      while byte() &- 0x30 < 10 {
        append(byte() - 0x30)
        exponent -= 1
        at += 1
      }
    }
    if byte() | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      at += 1
      var negative = false
      if byte() == UInt8(ascii: "-") || byte() == UInt8(ascii: "+") {
        negative = byte() == UInt8(ascii: "-")
        at += 1
      }
      guard byte() &- 0x30 < 10 else { throw JSONError("expected a digit", offset: at) }
      var written = 0
      while byte() &- 0x30 < 10 {
        if written < 1_000_000 { written = written * 10 + Int(byte() - 0x30) }
        at += 1
      }
      exponent += negative ? -written : written
    }
  }

  @inline(__always)
  private mutating func append(_ digit: UInt8) {
    if digitCount < 19 {
      digits = digits * 10 + UInt64(digit)
      if digits != 0 { digitCount += 1 }
    } else {
      // The text itself is read again where these digits matter.
      isExact = false
    }
  }

  /// The integer, where the number is written as one and fits.
  var int: Int64? {
    guard isInteger, isExact else { return nil }
    if digits <= UInt64(Int64.max) { return isNegative ? -Int64(digits) : Int64(digits) }
    return isNegative && digits == 1 << 63 ? Int64.min : nil
  }

  /// The nearest double; infinite where the number is beyond all doubles.
  func double(_ text: UnsafeBufferPointer<UInt8>) -> Double {
    // Both factors are exact, so the one operation rounds once (W. Clinger, 1990).
    if isExact, digits < 1 << 53, exponent >= -22, exponent <= 22 {
      let magnitude =
        exponent < 0
        ? Double(digits) / JSONNumber.powersOfTen[-exponent]
        : Double(digits) * JSONNumber.powersOfTen[exponent]
      return isNegative ? -magnitude : magnitude
    }
    if isExact, digits == 0 { return 0 }
    return Double(String(decoding: text, as: UTF8.self)) ?? .infinity
  }

  /// The canonical JSON number.
  func json(_ text: UnsafeBufferPointer<UInt8>) throws(Refusal) -> JSON {
    if let int { return .int(int) }
    let double = double(text)
    guard let number = JSON(number: double) else {
      throw Refusal(message: "a number beyond the range of a double")
    }
    if isInteger, !JSONNumber.isExactly(double, digits: text.dropFirst(isNegative ? 1 : 0)) {
      throw Refusal(
        message: "an integer that neither 64 bits nor a double hold exactly; write it as a string")
    }
    return number
  }

  private static let powersOfTen: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
  ]

  /// Whether the integer that `digits` spell is the magnitude of `double`, which is finite.
  private static func isExactly(_ double: Double, digits: Slice<UnsafeBufferPointer<UInt8>>)
    -> Bool
  {
    // 309 digits at most, or the double would be infinite; so these few words are soon filled.
    var words: [UInt32] = []
    for digit in digits {
      var carry = UInt64(digit - 0x30)
      for index in words.indices {
        let product = UInt64(words[index]) * 10 + carry
        words[index] = UInt32(truncatingIfNeeded: product)
        carry = product >> 32
      }
      if carry > 0 { words.append(UInt32(carry)) }
    }
    // The double is an integer of 53 bits, shifted left: beyond 2^63 there is nothing after its point.
    let shift = Int(double.exponent) - 52
    guard shift >= 0 else { return false }
    let bits = double.significandBitPattern | 1 << 52
    var expected = [UInt32](repeating: 0, count: shift / 32)
    var rest = UInt128(bits) << UInt128(shift % 32)
    while rest > 0 {
      expected.append(UInt32(truncatingIfNeeded: rest))
      rest >>= 32
    }
    return words == expected
  }
}
