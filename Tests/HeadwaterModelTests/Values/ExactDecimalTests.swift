import Testing

@testable import HeadwaterModel

@Suite struct ExactDecimalTests {
  static let nines = String(repeating: "9", count: 38)

  @Test(arguments: [
    ("0", "0"), ("-0", "0"), ("0.00", "0"), ("1", "1"), ("+1", "1"), ("007", "7"), ("1.50", "1.5"),
    ("-0.05", "-0.05"),
    ("1e3", "1000"), ("1.5E-3", "0.0015"), ("100e-2", "1"), ("0e9999", "0"), ("0e-9999", "0"),
    ("1e37", "1" + String(repeating: "0", count: 37)),
    ("1e-38", "0." + String(repeating: "0", count: 37) + "1"), (nines, nines),
    ("-" + nines, "-" + nines),
    ("0." + nines, "0." + nines), ("1." + String(repeating: "0", count: 100), "1"),
    ("1.5" + String(repeating: "0", count: 100), "1.5"),
    ("0." + String(repeating: "0", count: 60), "0"),
    (String(repeating: "0", count: 100) + "5", "5"), ("1e00001", "10"),
    ("1" + String(repeating: "0", count: 50) + "e-50", "1"),
    ("0." + String(repeating: "0", count: 50) + "1e51", "1"),
  ])
  func reads(text: String, canonical: String) {
    #expect(ExactDecimal(text)?.description == canonical)
    #expect(ExactDecimal(canonical) == ExactDecimal(text))
  }

  @Test(arguments: [
    "", "-", "+", ".", "1.", ".5", "1e", "1e+", "e5", "1.2.3", "1 ", " 1", "--1", "1_000", "1,5",
    "0x1", "nan", "1e38", "1e-39",
    nines + "1", "0." + nines + "1", "1e99999999999999999999", "1e-99999999999999999999",
    "1" + String(repeating: "0", count: 38),
    "170141183460469231731687303715884105728", "-170141183460469231731687303715884105728",
  ])
  func refuses(text: String) { #expect(ExactDecimal(text) == nil) }

  @Test func refusesCoefficientsBeyond38Digits() {
    #expect(ExactDecimal(coefficient: .max, scale: 0) == nil)
    #expect(ExactDecimal(coefficient: .min, scale: 0) == nil)
    #expect(ExactDecimal(coefficient: .min, scale: 1) == nil)
    #expect(ExactDecimal(coefficient: 1, scale: .max) == nil)
    #expect(ExactDecimal(coefficient: 1, scale: .min) == nil)
    #expect(ExactDecimal(coefficient: 0, scale: .min) == ExactDecimal(0))
    #expect(ExactDecimal(coefficient: 0, scale: .max) == ExactDecimal(0))
    #expect(ExactDecimal(.min).description == "-9223372036854775808")
  }

  @Test func knowsWhatFits() {
    let value = ExactDecimal("-123.45")!
    #expect(value.fits(precision: 5, scale: 2))
    #expect(value.fits(precision: 6, scale: 3))
    #expect(!value.fits(precision: 5, scale: 3))
    #expect(!value.fits(precision: 5, scale: 1))
    #expect(ExactDecimal("0.05")!.fits(precision: 2, scale: 2))
    #expect(ExactDecimal(0).fits(precision: 1, scale: 1))
    #expect(value.text(scale: 4) == "-123.4500")
    #expect(value.text(scale: 1) == "-123.45")
    #expect(ExactDecimal("0.5")!.text(scale: 2) == "0.50")
    #expect(ExactDecimal(0).text(scale: 2) == "0.00")
  }

  @Test func sumsAndProductsThatFitAreNotMissed() {
    // The way there needs more digits than 128 bits hold; the result does not.
    let large = ExactDecimal("18000000000000000000.0000000000000000001")
    #expect(large == nil)
    let a = ExactDecimal("18000000000000000000")!
    let b = ExactDecimal("-9999999999999999999.0000000000000000001")!
    #expect(ExactDecimal.add(a, b)?.description == "8000000000000000000.9999999999999999999")
    let c = ExactDecimal("-0.99999999999999999999999999999999999995")!
    #expect(ExactDecimal.add(c, c)?.description == "-1.9999999999999999999999999999999999999")
    #expect(ExactDecimal.add(ExactDecimal(Self.nines)!, ExactDecimal(Self.nines)!) == nil)
    let power = ExactDecimal("1267650600228229401496703205376")!
    let inverse = ExactDecimal("0.00000000000363797880709171295166015625")!
    #expect(ExactDecimal.multiply(power, inverse)?.description == "4611686018427387904")
  }

  @Test(arguments: UInt64(0)..<20)
  func agreesWithTheOracle(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      let a = random.decimal(precision: 1 + random.below(38))
      var b = random.decimal(precision: 1 + random.below(38))
      if random.chance(8) { b = random.chance(2) ? a : a.negated }
      let scale = Int(max(a.scale, b.scale))
      let x = DigitOracle(a.coefficient).timesTen(scale - Int(a.scale))
      let y = DigitOracle(b.coefficient).timesTen(scale - Int(b.scale))
      #expect(ExactDecimal.compare(a, b) == DigitOracle.compare(x, y))
      #expect((a < b) == (DigitOracle.compare(x, y) < 0))
      #expect((a == b) == (x == y))
      #expect(ExactDecimal.add(a, b)?.description == (x + y).decimal(scale: scale))
      let product = DigitOracle(a.coefficient) * DigitOracle(b.coefficient)
      #expect(
        ExactDecimal.multiply(a, b)?.description
          == product.decimal(scale: Int(a.scale) + Int(b.scale)))
      #expect(ExactDecimal(a.description) == a)
      #expect(a.description == DigitOracle(a.coefficient).decimal(scale: Int(a.scale)))
      #expect(ExactDecimal.add(a, a.negated) == ExactDecimal(0))
    }
  }

  @Test(arguments: UInt64(0)..<10)
  func survivesAnyText(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pool = Array("0123456789000000000.eE+-".utf8)
    for _ in 0..<1000 {
      let text = (0..<random.below(60)).map { _ in random.pick(pool) }
      guard let value = ExactDecimal(String(decoding: text, as: UTF8.self)) else { continue }
      #expect(ExactDecimal(value.description) == value)
    }
  }
}
