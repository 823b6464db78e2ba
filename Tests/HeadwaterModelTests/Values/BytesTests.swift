import Testing

@testable import HeadwaterModel

@Suite struct DigestTests {
  @Test(arguments: UInt64(0)..<5)
  func roundTrips(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<100 {
      let a = random.bytes(32)
      var b = a
      b[random.below(32)] ^= UInt8(1 << random.below(8))
      let digest = Digest(bytes: a)!
      #expect(digest.bytes == a)
      #expect(digest.withUnsafeBytes { Array($0) } == a)
      #expect(Digest(hex: digest.hex) == digest)
      #expect(Digest(hex: digest.hex.uppercased()) == digest)
      #expect(digest.prefix == a.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
      #expect(digest != Digest(bytes: b)!)
      #expect((digest < Digest(bytes: b)!) == a.lexicographicallyPrecedes(b))
      #expect(Digest(bytes: a.dropLast()) == nil)
      #expect(Digest(bytes: a + [0]) == nil)
    }
    #expect(Digest.zero.bytes == [UInt8](repeating: 0, count: 32))
  }

  @Test(arguments: [
    "", "0", "zz", String(repeating: "0", count: 63), String(repeating: "g", count: 64),
    String(repeating: "0", count: 66),
  ])
  func refuses(text: String) { #expect(Digest(hex: text) == nil) }
}

@Suite struct UUIDTests {
  @Test(arguments: UInt64(0)..<5)
  func roundTrips(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<100 {
      let a = random.bytes(16)
      let b = random.chance(2) ? a : Array(a.prefix(10)) + random.bytes(6)
      let uuid = UUIDBytes(bytes: a)!
      #expect(uuid.bytes == a)
      #expect(UUIDBytes(uuid.description) == uuid)
      #expect(UUIDBytes(uuid.description.uppercased().filter { $0 != "-" }) == uuid)
      #expect((uuid < UUIDBytes(bytes: b)!) == a.lexicographicallyPrecedes(b))
    }
    #expect(UUIDBytes(bytes: [0]) == nil)
  }

  @Test(arguments: [
    "", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
    "00112233445566778899aabbccddeef-",
    "00112233_4455-6677-8899-aabbccddeeff", "{0112233-4455-6677-8899-aabbccddeef}",
    "0011223-34455-6677-8899-aabbccddeeff",
  ])
  func refuses(text: String) { #expect(UUIDBytes(text) == nil) }
}
