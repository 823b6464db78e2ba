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
    var seenPoint = false
    while let byte = next {
      if byte == UInt8(ascii: "."), !seenPoint {
        guard digits > 0 else { return nil }
        seenPoint = true
        digits = 0
      } else if byte >= 0x30, byte <= 0x39 {
        digits += 1
        if seenPoint { scale += 1 }
        // A long run of zeros after the point carries no digit; anything else beyond 38 is refused.
        let (tenfold, overflow) = coefficient.multipliedReportingOverflow(by: 10)
        guard !overflow, digits <= 400 else { return nil }
        let (sum, overflow2) = tenfold.addingReportingOverflow(Int128(byte - 0x30))
        guard !overflow2 else { return nil }
        coefficient = sum
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
      var exponent = 0
      var exponentDigits = 0
      while let byte = next, byte >= 0x30, byte <= 0x39 {
        exponent = exponent * 10 + Int(byte - 0x30)
        exponentDigits += 1
        guard exponentDigits <= 4 else { return nil }
        next = iterator.next()
      }
      guard exponentDigits > 0 else { return nil }
      scale += negativeExponent ? exponent : -exponent
    }
    guard next == nil else { return nil }
    self.init(coefficient: negative ? -coefficient : coefficient, scale: scale)
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
    var result = coefficient
    for _ in Int(scale)..<wanted {
      let (product, overflow) = result.multipliedReportingOverflow(by: 10)
      guard !overflow else { return nil }
      result = product
    }
    return result
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
    case (nil, _): return Int(signA)  // too large to write at that scale, so of the greater magnitude
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
    let scale = Int(max(a.scale, b.scale))
    guard let x = a.coefficient(atScale: scale), let y = b.coefficient(atScale: scale) else {
      return nil
    }
    let (sum, overflow) = x.addingReportingOverflow(y)
    return overflow ? nil : ExactDecimal(coefficient: sum, scale: scale)
  }

  /// The exact product; nil where it needs more than 38 digits.
  public static func multiply(_ a: ExactDecimal, _ b: ExactDecimal) -> ExactDecimal? {
    let (product, overflow) = a.coefficient.multipliedReportingOverflow(by: b.coefficient)
    return overflow ? nil : ExactDecimal(coefficient: product, scale: Int(a.scale) + Int(b.scale))
  }

  /// The same number with the other sign.
  public var negated: ExactDecimal { ExactDecimal(coefficient: -coefficient, scale: Int(scale))! }
}
