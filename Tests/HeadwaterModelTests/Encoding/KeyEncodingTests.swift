import Testing

@testable import HeadwaterModel

@Suite struct KeyEncodingTests {
  /// How two values of one type are ordered, said plainly.
  private func precedes(_ a: Value, _ b: Value) -> Bool {
    switch (a, b) {
    case (.bool(let x), .bool(let y)): !x && y
    case (.int(let x), .int(let y)): x < y
    case (.float(let x), .float(let y)): x < y
    case (.decimal(let x), .decimal(let y)): x < y
    case (.text(let x), .text(let y)): x.utf8.lexicographicallyPrecedes(y.utf8)
    case (.bytes(let x), .bytes(let y)): x.lexicographicallyPrecedes(y)
    case (.date(let x), .date(let y)): x < y
    case (.timestamp(let x), .timestamp(let y)): x < y
    case (.uuid(let x), .uuid(let y)): x.bytes.lexicographicallyPrecedes(y.bytes)
    case (.principal(let x), .principal(let y)): x.bytes.lexicographicallyPrecedes(y.bytes)
    case (.reference(let x), .reference(let y)): precedes(x, y)
    default: false
    }
  }

  private func precedes(_ a: Key, _ b: Key) -> Bool {
    for (x, y) in zip(a.values, b.values) where x != y { return precedes(x, y) }
    return a.values.count < b.values.count
  }

  private func near(_ value: Value, _ random: inout SeededGenerator) -> Value? {
    switch value {
    case .int(let value): .int(random.chance(2) ? value &+ 1 : 0 &- value)
    case .float(let value): Value.number(random.chance(2) ? value.nextUp : -value)
    case .decimal(let value):
      ExactDecimal(coefficient: value.coefficient + 1, scale: Int(value.scale)).map { .decimal($0) }
    case .text(let value): .text(value + random.text(2))
    case .bytes(let value): .bytes(value + (random.chance(2) ? [0] : [0, 255, 0]))
    default: nil
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func keepsTheOrder(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let types: [FieldType] = [
      .bool, .int, .float, .decimal(precision: 38, scale: 0), .text(limit: 4), .bytes(limit: 4),
      .date,
      .timestamp, .uuid, .principal, .reference("Shelf"), .reference("Holding"), .reference("Many"),
    ]
    for type in types {
      for _ in 0..<60 {
        var a = random.value(type)!
        var b = random.value(type)!
        if case .decimal = type {
          a = .decimal(random.decimal(precision: 1 + random.below(38)))
          b = .decimal(random.decimal(precision: 1 + random.below(6), scale: random.below(5)))
        }
        if random.chance(3) { b = near(a, &random) ?? b }
        if random.chance(10) { b = a }
        let x = Key([a, .int(1)])
        let y = Key([b, .int(random.chance(2) ? 1 : 0)])
        let left = KeyEncoding.encode(x)
        let right = KeyEncoding.encode(y)
        #expect(left.lexicographicallyPrecedes(right) == precedes(x, y))
        #expect(right.lexicographicallyPrecedes(left) == precedes(y, x))
        #expect((left == right) == (x == y))
        #expect((x < y) == precedes(x, y))
        #expect(try KeyEncoding.decode(left) == x)
        // No encoding of a value is a prefix of another's.
        var one: [UInt8] = []
        var two: [UInt8] = []
        KeyEncoding.append(a, to: &one)
        KeyEncoding.append(b, to: &two)
        #expect(a == b || !two.starts(with: one))
      }
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func survivesMutations(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let heads: [UInt8] = [
      0x00, 0x01, 0x10, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x58, 0x60, 0x68, 0x70, 0x7F, 0x80,
      0x9B, 0xC0, 0xE6, 0xE7, 0xFF, 0x1A, 0x65,
    ]
    for _ in 0..<1000 {
      let collection = SampleSchema.collection(
        random.pick(["Shelf", "Holding", "Many", "Product"]))
      var bytes = random.chance(4) ? [] : KeyEncoding.encode(random.key(of: collection))
      if bytes.isEmpty { bytes = (0..<random.below(16)).map { _ in random.pick(heads) } }
      for _ in 0..<random.below(3) where !bytes.isEmpty {
        let at = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[at] ^= UInt8(1 << random.below(8))
        case 1: bytes[at] = random.pick(heads)
        case 2: bytes.remove(at: at)
        default: bytes.insert(random.pick(heads), at: at)
        }
      }
      guard let key = try? KeyEncoding.decode(bytes) else { continue }
      #expect(KeyEncoding.encode(key) == bytes)
    }
  }

  @Test func decimalsOfEverySizeKeepTheOrder() throws {
    var all: [ExactDecimal] = [ExactDecimal(0)]
    for place in 0...38 {
      for digits in ["1", "12", "2", "9"] {
        for sign in ["", "-"] {
          if let small = ExactDecimal("\(sign)\(digits)e-\(place)") { all.append(small) }
          if let large = ExactDecimal("\(sign)\(digits)e\(place)") { all.append(large) }
        }
      }
    }
    let keys = all.sorted().map { KeyEncoding.encode(Key([.decimal($0)])) }
    for (a, b) in zip(keys, keys.dropFirst()) { #expect(a == b || a.lexicographicallyPrecedes(b)) }
    for value in all {
      let key = Key([.decimal(value)])
      #expect(try KeyEncoding.decode(KeyEncoding.encode(key)) == key)
    }
    #expect(throws: DecodingError.self) {
      try KeyEncoding.decode([0x30, 0xFF] + [UInt8](repeating: 10, count: 200) + [0])
    }
  }

  @Test(arguments: [
    "", "01", "00", "10", "1002", "20", "2000", "30", "3080 00", "30c0", "30c000", "30c0010000",
    "30c10b00", "30ff0200", "4061", "40ff00",
    "406100 01", "48", "4800", "480001", "48000000", "50ffffffff", "5800", "70", "7001",
    "702080000000000000", "28ffffffffffffffff",
    "287fffffffffffffff", "ff",
  ])
  func refuses(hex: String) {
    let bytes = [UInt8](hex: hex.filter { $0 != " " })!
    #expect(throws: DecodingError.self) { try KeyEncoding.decode(bytes) }
  }

  @Test func boundsTheNesting() {
    let deep =
      [UInt8](repeating: 0x70, count: 100_000) + [0x10, 0x01]
      + [UInt8](repeating: 1, count: 100_000)
    #expect(throws: DecodingError.self) { try KeyEncoding.decode(deep) }
  }
}
