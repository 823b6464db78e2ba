import Testing

@testable import HeadwaterModel

@Suite struct CanonicalTests {
  /// Encodings that another CBOR library might write, or a liar; each stands for no value.
  @Test(arguments: [
    // Nothing, and heads that are cut off.
    "", "18", "19 01", "1a 010203", "1b 01020304050607", "61", "42 00", "f9 3c", "fa 3f8000",
    "fb 3ff0",
    // Numbers and lengths that are not in the shortest form.
    "18 00", "18 17", "19 0000", "19 00ff", "1a 0000ffff", "1b 00000000ffffffff", "38 17",
    "58 01 00", "78 01 61",
    "d818 00", "d9 0064 00", "d8 1e 00",
    // Integers beyond 64 bits signed.
    "1b 8000000000000000", "3b 8000000000000000",
    // Indefinite lengths and reserved heads.
    "5f 41 00 ff", "7f 61 61 ff", "9f 00 ff", "bf ff", "ff", "1c", "1d", "1e", "3f", "fc",
    // Floats: NaN, negative zero, not the shortest.
    "f9 7e00", "f9 7c01", "f9 8000", "fa 7fc00000", "fa 80000000", "fa 3f800000", "fa 7f800000",
    "fa 33800000", "fb 7ff8000000000000",
    "fb 8000000000000000", "fb 3ff0000000000000", "fb 3ff8000000000000", "fb 47efffffe0000000",
    "fb 7ff0000000000000",
    "fb 3e70000000000000",
    // Other simple values, null at the top, arrays and maps without a tag.
    "f7", "f8 14", "f8 ff", "e0", "f6", "80", "81 00", "a0",
    // Bytes after the value.
    "00 00", "60 00", "f5 f6",
    // Text: not UTF-8, NUL, a surrogate.
    "61 80", "61 00", "63 eda080", "62 c080", "64 f4908080",
    // Lengths beyond the end.
    "5b 7fffffffffffffff", "7b ffffffffffffffff", "d9 6879 9b 00000000ffffffff",
    "d9 6879 9a 7fffffff",
    // Decimals: not in lowest terms, an exponent above zero or out of range, too many digits, bignums that fit or begin with zero.
    "c4 82 20 0a", "c4 82 20 00", "c4 82 01 01", "c4 82 38 26 01", "c4 82 00", "c4 81 00",
    "c4 83 00 00 00", "c4 82 1b 7fffffffffffffff 01",
    "c4 82 3b 7fffffffffffffff 01", "c4 82 00 c2 41 01", "c4 82 00 c2 48 7fffffffffffffff",
    "c4 82 00 c2 48 8000000000000000",
    "c4 82 00 c3 48 ffffffffffffffff", "c4 82 00 c2 49 00ffffffffffffffff",
    "c4 82 00 c2 50 7fffffffffffffffffffffffffffffff",
    "c4 82 00 c2 50 ffffffffffffffffffffffffffffffff",
    "c4 82 00 c2 51 0100000000000000000000000000000000",
    "c4 82 00 c2 50 4b3b4ca85a86c47a098a224000000000", "c4 82 00 c4 82 00 01", "c4 82 00 f5",
    "c4 00", "c2 49 010000000000000000",
    // Dates, times, ids of the wrong size or range, unknown tags.
    "d8 64 1a 002cc0a1", "d8 64 3a 000af93a", "d8 64 60", "d9 6874 1b 7fffffffffffffff",
    "d8 25 4f 000000000000000000000000000000",
    "d8 25 51 0000000000000000000000000000000000", "d9 6875 41 00", "c0 60", "d8 20 60",
    "d9 ffff 00", "d9 6877 1a 00010000", "d9 6877 20",
    // References: no value, an absent one.
    "d9 6876 80", "d9 6876 81 f6", "d9 6876 00",
    // JSON: integral doubles, infinities, members out of order or twice, names that are no text.
    "d9 6878 f9 3c00", "d9 6878 f9 7c00", "d9 6878 a2 61 62 00 61 61 00",
    "d9 6878 a2 61 61 00 61 61 00", "d9 6878 a2 62 6161 00 61 62 00",
    "d9 6878 a1 00 00", "d9 6878 40", "d9 6878 d8 64 00", "d9 6878",
    // Records.
    "d9 6879 00", "d9 6879 81 80", "d9 6879",
  ])
  func refuses(hex: String) {
    let bytes = [UInt8](hex: hex.filter { $0 != " " })!
    #expect(throws: DecodingError.self) { try Value(canonicalBytes: bytes) }
  }

  @Test(arguments: UInt64(0)..<20)
  func readsWhatItWrites(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let value = random.anyValue()
      let bytes = value.canonicalBytes
      let read = try Value(canonicalBytes: bytes)
      #expect(read == value)
      #expect(read.hashValue == value.hashValue)
      #expect(read.canonicalBytes == bytes)
      for end in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 20) {
        #expect(throws: DecodingError.self) { try Value(canonicalBytes: Array(bytes[..<end])) }
      }
    }
  }

  /// One value has one encoding: what is read is written the same, and nothing crashes.
  @Test(arguments: UInt64(0)..<20)
  func survivesMutations(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let heads: [UInt8] = [
      0x00, 0x17, 0x18, 0x1B, 0x20, 0x3B, 0x40, 0x5B, 0x60, 0x7B, 0x80, 0x9B, 0xA0, 0xBB, 0xC2,
      0xC3, 0xC4, 0xD8, 0xD9, 0x64, 0x25, 0x68,
      0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0xF4, 0xF6, 0xF9, 0xFA, 0xFB, 0xFF, 0x7F,
    ]
    for _ in 0..<1000 {
      var bytes = random.chance(4) ? [] : random.anyValue().canonicalBytes
      if bytes.isEmpty { bytes = (0..<random.below(24)).map { _ in random.pick(heads) } }
      for _ in 0..<random.below(4) where !bytes.isEmpty {
        let at = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[at] ^= UInt8(1 << random.below(8))
        case 1: bytes[at] = random.pick(heads)
        case 2: bytes.remove(at: at)
        default: bytes.insert(random.pick(heads), at: at)
        }
      }
      guard let value = try? Value(canonicalBytes: bytes) else { continue }
      #expect(value.canonicalBytes == bytes)
    }
  }

  @Test(arguments: UInt64(0)..<5)
  func floatsTakeTheShortestExactForm(seed: UInt64) throws {
    for bits in UInt16.min...UInt16.max {
      let value = HalfFloat.value(of: bits)
      if value.isNaN { continue }
      #expect(HalfFloat.bits(of: value) == bits)
    }
    var random = SeededGenerator(seed: seed)
    for _ in 0..<1000 {
      let single = Float(bitPattern: UInt32(truncatingIfNeeded: random.next())).finite
      let size = Value.float(Double(single)).canonicalBytes.count
      #expect(size == (HalfFloat.bits(of: single) == nil ? 5 : 3))
      let double = Double(bitPattern: random.next())
      if double.isNaN || double == 0 { continue }
      #expect(try Value(canonicalBytes: Value.float(double).canonicalBytes) == .float(double))
    }
  }

  @Test func boundsNestingAndMemory() {
    // A tower of records, each of which claims as many fields as bytes are left.
    var tower: [UInt8] = []
    for level in 0..<64 {
      tower += [0xD9, 0x68, 0x79, 0x9A]
      let claim = UInt32(4 << 20) - UInt32(level * 8)
      tower += withUnsafeBytes(of: claim.bigEndian) { Array($0) }
    }
    tower += [UInt8](repeating: 0xF6, count: 4 << 20)
    #expect(throws: DecodingError.self) { try Value(canonicalBytes: tower) }
    let record: [UInt8] = [0xD9, 0x68, 0x79, 0x81]
    let reference: [UInt8] = [0xD9, 0x68, 0x76, 0x81]
    for head in [record, reference] {
      let deep = Array(repeatElement(head, count: 100_000).joined()) + [0x00]
      #expect(throws: DecodingError.self) { try Value(canonicalBytes: deep) }
    }
    let arrays: [UInt8] = [0xD9, 0x68, 0x78] + [UInt8](repeating: 0x81, count: 1_000_000) + [0x00]
    #expect(throws: DecodingError.self) { try Value(canonicalBytes: arrays) }
  }

  @Test func readsPartsOfABuffer() throws {
    var reader = CanonicalReader([0xFF, 0x61, 0x61, 0xFF], range: 1..<3)
    #expect(try reader.value() == .text("a"))
    #expect(reader.isAtEnd)
    try reader.finish()
    for range in [5..<9, 0..<0, 4..<4, -5..<(-2)] {
      var outside = CanonicalReader([0x00, 0x61], range: range)
      #expect(throws: DecodingError.self) { try outside.value() }
      #expect(throws: DecodingError.self) { try outside.byteString() }
      let isNull = outside.null()
      #expect(!isNull)
    }
  }
}
