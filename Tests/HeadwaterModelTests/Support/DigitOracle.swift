@testable import HeadwaterModel

/// Whole numbers as lists of decimal digits: slow, without limit, and plainly right.
struct DigitOracle: Equatable {
  /// The least significant first; without leading zeros.
  private(set) var digits: [Int]
  private(set) var isNegative: Bool

  init(_ digits: [Int], isNegative: Bool) {
    var digits = digits
    while digits.last == 0 { digits.removeLast() }
    self.digits = digits
    self.isNegative = isNegative && !digits.isEmpty
  }

  init(_ value: Int128) {
    let text = String(value)
    self.init(
      text.utf8.filter { $0 != 0x2D }.reversed().map { Int($0) - 0x30 },
      isNegative: text.hasPrefix("-"))
  }

  func timesTen(_ power: Int) -> DigitOracle {
    DigitOracle([Int](repeating: 0, count: power) + digits, isNegative: isNegative)
  }

  static func compareMagnitude(_ a: [Int], _ b: [Int]) -> Int {
    if a.count != b.count { return a.count < b.count ? -1 : 1 }
    for (x, y) in zip(a.reversed(), b.reversed()) where x != y { return x < y ? -1 : 1 }
    return 0
  }

  static func compare(_ a: DigitOracle, _ b: DigitOracle) -> Int {
    if a.isNegative != b.isNegative { return a.isNegative ? -1 : 1 }
    let order = compareMagnitude(a.digits, b.digits)
    return a.isNegative ? -order : order
  }

  static func + (a: DigitOracle, b: DigitOracle) -> DigitOracle {
    if a.isNegative != b.isNegative {
      let (large, small) = compareMagnitude(a.digits, b.digits) >= 0 ? (a, b) : (b, a)
      var out = large.digits
      var borrow = 0
      for index in out.indices {
        var digit = out[index] - borrow - (index < small.digits.count ? small.digits[index] : 0)
        borrow = digit < 0 ? 1 : 0
        digit += borrow * 10
        out[index] = digit
      }
      return DigitOracle(out, isNegative: large.isNegative)
    }
    var out: [Int] = []
    var carry = 0
    for index in 0..<max(a.digits.count, b.digits.count) {
      let sum =
        (index < a.digits.count ? a.digits[index] : 0)
        + (index < b.digits.count ? b.digits[index] : 0) + carry
      out.append(sum % 10)
      carry = sum / 10
    }
    out.append(carry)
    return DigitOracle(out, isNegative: a.isNegative)
  }

  static func * (a: DigitOracle, b: DigitOracle) -> DigitOracle {
    var out = [Int](repeating: 0, count: a.digits.count + b.digits.count + 1)
    for (i, x) in a.digits.enumerated() {
      for (j, y) in b.digits.enumerated() { out[i + j] += x * y }
    }
    for index in 0..<out.count - 1 {
      out[index + 1] += out[index] / 10
      out[index] %= 10
    }
    return DigitOracle(out, isNegative: a.isNegative != b.isNegative)
  }

  /// The decimal `self` × 10^−`scale` in plain text; nil where it needs more than 38 digits.
  func decimal(scale: Int) -> String? {
    var digits = digits
    var scale = digits.isEmpty ? 0 : scale
    while scale > 0, digits.first == 0 {
      digits.removeFirst()
      scale -= 1
    }
    if scale < 0 {
      digits = [Int](repeating: 0, count: -scale) + digits
      scale = 0
    }
    guard digits.count <= 38, scale <= 38 else { return nil }
    while digits.count <= scale { digits.append(0) }
    var text = digits.reversed().map(String.init).joined()
    if scale > 0 { text.insert(".", at: text.index(text.endIndex, offsetBy: -scale)) }
    return (isNegative ? "-" : "") + text
  }
}
