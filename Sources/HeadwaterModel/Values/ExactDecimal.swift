/// An exact decimal number: `coefficient` × 10^−`scale`, with at most 38 digits.
///
/// Always in lowest terms (no trailing zero after the point; zero is 0 × 10^0), so equal numbers have
/// equal fields and one byte string. Nothing here ever rounds.
public struct ExactDecimal: Sendable, Hashable, Comparable {
  private var high: Int64
  private var low: UInt64
  /// How many digits stand after the point: 0 to 38.
  public let scale: UInt8

  /// The most digits that a decimal may have, before and after the point together.
  public static let maximumDigits = 38

  /// The number without its point.
  public var coefficient: Int128 { Int128(high) << 64 | Int128(low) }

  /// `coefficient` × 10^−`scale` in lowest terms; nil where that needs more than 38 digits.
  public init?(coefficient: Int128, scale: Int) {
    var coefficient = coefficient
    var scale = scale
    if coefficient == 0 { scale = 0 }
    while scale > 0, coefficient % 10 == 0 {
      coefficient /= 10
      scale -= 1
    }
    while scale < 0 {
      let (product, overflow) = coefficient.multipliedReportingOverflow(by: 10)
      guard !overflow else { return nil }
      coefficient = product
      scale += 1
    }
    guard scale <= ExactDecimal.maximumDigits, ExactDecimal.digitCount(coefficient) <= 38 else {
      return nil
    }
    self.high = Int64(truncatingIfNeeded: coefficient >> 64)
    self.low = UInt64(truncatingIfNeeded: coefficient)
    self.scale = UInt8(scale)
  }

  /// The whole number `value`.
  public init(_ value: Int64) {
    high = value < 0 ? -1 : 0
    low = UInt64(bitPattern: value)
    scale = 0
  }

  /// Reads `[-+]digits[.digits][e[-+]digits]`; nil for anything else, and where 38 digits do not suffice.
  public init?(_ text: some StringProtocol) {
    var iterator = text.utf8.makeIterator()
    var next = iterator.next()
    var negative = false
    if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") {
      negative = next == UInt8(ascii: "-")
      next = iterator.next()
    }
    var coefficient: Int128 = 0
    var scale = 0
    var digits = 0
    // Zeros behind the last digit that counts: they may turn out to be the end of the number.
    var zeros = 0
    var seenPoint = false
    while let byte = next {
      if byte == UInt8(ascii: "."), !seenPoint {
        guard digits > 0 else { return nil }
        seenPoint = true
        digits = 0
      } else if byte >= 0x30, byte <= 0x39 {
        digits += 1
        if seenPoint { scale += 1 }
        if byte == 0x30 {
          zeros += coefficient == 0 ? 0 : 1
        } else {
          guard
            let shifted = ExactDecimal.shift(coefficient, coefficient == 0 ? 0 : zeros + 1),
            case (let sum, let overflow) = shifted.addingReportingOverflow(Int128(byte - 0x30)),
            !overflow
          else { return nil }
          coefficient = sum
          zeros = 0
        }
      } else {
        break
      }
      next = iterator.next()
    }
    guard digits > 0 else { return nil }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      next = iterator.next()
      var negativeExponent = false
      if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") {
        negativeExponent = next == UInt8(ascii: "-")
        next = iterator.next()
      }
      guard let first = next, first >= 0x30, first <= 0x39 else { return nil }
      var exponent = 0
      while let byte = next, byte >= 0x30, byte <= 0x39 {
        // Beyond this no text is long enough to bring the number back among 38 digits.
        if exponent < 1 << 40 { exponent = exponent * 10 + Int(byte - 0x30) }
        next = iterator.next()
      }
      scale += negativeExponent ? exponent : -exponent
    }
    guard next == nil else { return nil }
    self.init(coefficient: negative ? -coefficient : coefficient, scale: scale - zeros)
  }

  /// `coefficient` × 10^`places`; nil where 128 bits do not hold it.
  private static func shift(_ coefficient: Int128, _ places: Int) -> Int128? {
    guard places <= maximumDigits else { return nil }
    var result = coefficient
    for _ in 0..<places {
      let (product, overflow) = result.multipliedReportingOverflow(by: 10)
      guard !overflow else { return nil }
      result = product
    }
    return result
  }

  /// How many decimal digits `value` has; 1 for zero.
  static func digitCount(_ value: Int128) -> Int {
    var rest = value.magnitude
    var count = 1
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    return count
  }

  /// Whether the number fits `Decimal(precision, scale)` exactly.
  public func fits(precision: Int, scale limit: Int) -> Bool {
    guard Int(scale) <= limit else { return false }
    if coefficient == 0 { return true }
    let integerDigits = ExactDecimal.digitCount(coefficient) - Int(scale)
    return max(integerDigits, 0) <= precision - limit
  }

  /// The coefficient that the number has with `scale` digits after the point; nil where it does not fit.
  public func coefficient(atScale wanted: Int) -> Int128? {
    guard wanted >= Int(scale) else { return nil }
    return coefficient == 0 ? 0 : ExactDecimal.shift(coefficient, wanted - Int(scale))
  }

  /// The number with exactly `digits` digits after the point, or as many as it needs if that is more.
  public func text(scale digits: Int = 0) -> String {
    var number = String(coefficient.magnitude)
    let wanted = max(digits, Int(scale))
    number += String(repeating: "0", count: wanted - Int(scale))
    if wanted > 0 {
      if number.utf8.count <= wanted {
        number = String(repeating: "0", count: wanted + 1 - number.utf8.count) + number
      }
      let point = number.index(number.endIndex, offsetBy: -wanted)
      number = number[..<point] + "." + number[point...]
    }
    return coefficient < 0 ? "-" + number : number
  }

  public static func < (a: ExactDecimal, b: ExactDecimal) -> Bool {
    compare(a, b) < 0
  }

  /// Negative, zero or positive as `a` is less than, equal to or greater than `b`.
  public static func compare(_ a: ExactDecimal, _ b: ExactDecimal) -> Int {
    if a.scale == b.scale {
      return a.coefficient < b.coefficient ? -1 : (a.coefficient > b.coefficient ? 1 : 0)
    }
    let signA = a.coefficient.signum()
    let signB = b.coefficient.signum()
    if signA != signB { return signA < signB ? -1 : 1 }
    let scale = Int(max(a.scale, b.scale))
    switch (a.coefficient(atScale: scale), b.coefficient(atScale: scale)) {
    case (let x?, let y?): return x < y ? -1 : (x > y ? 1 : 0)
    // Too large to write at that scale, so of the greater magnitude.
    case (nil, _): return Int(signA)
    case (_, nil): return -Int(signA)
    }
  }
}

extension ExactDecimal: CustomStringConvertible {
  public var description: String { text() }
}

// MARK: - Exact arithmetic

extension ExactDecimal {
  /// The exact sum; nil where it needs more than 38 digits.
  public static func add(_ a: ExactDecimal, _ b: ExactDecimal) -> ExactDecimal? {
    let (long, short) = a.scale >= b.scale ? (a, b) : (b, a)
    let scale = Int(long.scale)
    if let shifted = short.coefficient(atScale: scale) {
      let (sum, overflow) = shifted.addingReportingOverflow(long.coefficient)
      if !overflow { return ExactDecimal(coefficient: sum, scale: scale) }
      // Of one sign, so below 2^128; it fits if it ends in a zero behind the point.
      let magnitude = shifted.magnitude + long.coefficient.magnitude
      guard scale > 0, magnitude % 10 == 0 else { return nil }
      let tenth = Int128(magnitude / 10)
      return ExactDecimal(coefficient: shifted < 0 ? -tenth : tenth, scale: scale - 1)
    }
    // One operand is beyond 128 bits at that scale; only if the other cancels enough of it does the sum fit.
    guard (short.coefficient < 0) != (long.coefficient < 0),
      let power = shift(1, scale - Int(short.scale))
    else { return nil }
    let wide = short.coefficient.magnitude.multipliedFullWidth(by: power.magnitude)
    let (low, borrow) = wide.low.subtractingReportingOverflow(long.coefficient.magnitude)
    guard wide.high == (borrow ? 1 : 0), let magnitude = Int128(exactly: low) else { return nil }
    return ExactDecimal(
      coefficient: short.coefficient < 0 ? -magnitude : magnitude, scale: scale)
  }

  /// The exact product; nil where it needs more than 38 digits.
  public static func multiply(_ a: ExactDecimal, _ b: ExactDecimal) -> ExactDecimal? {
    var (high, low) = a.coefficient.magnitude.multipliedFullWidth(by: b.coefficient.magnitude)
    var scale = Int(a.scale) + Int(b.scale)
    // Trailing zeros go first, as the product of 76 digits may have fewer than 38 without them.
    while high > 0, scale > 0 {
      let upper = high.quotientAndRemainder(dividingBy: 10)
      let lower = UInt128(10).dividingFullWidth((upper.remainder, low))
      guard lower.remainder == 0 else { return nil }
      (high, low) = (upper.quotient, lower.quotient)
      scale -= 1
    }
    guard high == 0, let magnitude = Int128(exactly: low) else { return nil }
    let isNegative = (a.coefficient < 0) != (b.coefficient < 0)
    return ExactDecimal(coefficient: isNegative ? -magnitude : magnitude, scale: scale)
  }

  /// The same number with the other sign.
  public var negated: ExactDecimal { ExactDecimal(coefficient: -coefficient, scale: Int(scale))! }
}
