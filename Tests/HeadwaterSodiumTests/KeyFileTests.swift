import HeadwaterModel
import Testing

@testable import HeadwaterSodium

/// The text itself: what is written, and that nothing else is read.
@Suite struct KeyFileTests {
  private let key = SigningKey(seed: (0..<32).map { UInt8($0) })
  private let passphrase = Array("pass".utf8)

  /// The example of Docs/KeyFiles.md. A change here is a change of the format: it needs a new version.
  @Test func thePlainForm() throws {
    let file = try file(passphrase: nil)
    #expect(
      String(decoding: file.encoded(), as: UTF8.self) == """
        headwater key 1
        suite 1
        principal a9bbb71c2715f89dfed0d940c53cbbed8d5952e9bc8d0ea407662fb6ba3454a4
        public 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
        created 2026-01-02T03:04:05.000000Z
        protection none
        secret 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
        checksum a91b0a2c422fe3d1328280ab989cf7ae

        """)
  }

  /// A file of version 1 as it was written once: later programs must go on opening it.
  @Test func anOldSealedFileOpens() throws {
    let text = """
      headwater key 1
      suite 1
      principal a9bbb71c2715f89dfed0d940c53cbbed8d5952e9bc8d0ea407662fb6ba3454a4
      public 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
      created 2026-01-02T03:04:05.000000Z
      protection argon2id-xchacha20poly1305 passes=1 memory=8192
      salt 000102030405060708090a0b0c0d0e0f
      nonce 000102030405060708090a0b0c0d0e0f1011121314151617
      secret 2125f29701392a30296f1b79818580bbf8c07e7eefc68c8c\
      613af775c486dce02f62d411af9b372d37871a94fc22859f
      checksum d52907be5fc716fac4c4a282cadfaa20

      """
    let file = try KeyFile(decoding: Array(text.utf8), source: "old")
    #expect(try file.key(passphrase: passphrase, source: "old").publicKey == key.publicKey)
  }

  @Test func theSealedFormComesBack() throws {
    let bytes = try file(passphrase: passphrase).encoded()
    let again = try KeyFile(decoding: bytes, source: "k")
    #expect(again.encoded() == bytes)
    #expect(try again.key(passphrase: passphrase, source: "k").publicKey == key.publicKey)
    #expect(try file(passphrase: passphrase).encoded() != bytes, "salt and nonce are new each time")
  }

  @Test(arguments: [false, true])
  func everyTruncationAndEveryFlippedBitIsDamage(sealed: Bool) throws {
    let bytes = try file(passphrase: sealed ? passphrase : nil).encoded()
    for count in 0..<bytes.count {
      #expect(code { try KeyFile(decoding: Array(bytes[..<count]), source: "k") } == .damaged)
    }
    for bit in 0..<bytes.count * 8 {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      let code = code { try KeyFile(decoding: flipped, source: "k") }
      // The number of the version stands before everything that a version decides.
      #expect(code == .damaged || (code == .unsupported && bit / 8 < 16), "bit \(bit)")
    }
    for extra in ["\n", "x", "headwater key 1\n"] {
      #expect(code { try KeyFile(decoding: bytes + Array(extra.utf8), source: "k") } == .damaged)
    }
  }

  @Test func garbageIsDamage() {
    var random = SplitMix64(state: 20_260_101)
    for _ in 0..<2_000 {
      let count = Int.random(in: 0...5_000, using: &random)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      if Bool.random(using: &random) { bytes = Array("headwater key 1\n".utf8) + bytes }
      #expect(code { try KeyFile(decoding: bytes, source: "k") } == .damaged)
    }
  }

  /// Whoever can write the file can also make its checksum right.
  @Test func aChangedHeaderWithARightChecksumDoesNotOpen() throws {
    let bytes = try file(passphrase: passphrase).encoded()
    let other = hexadecimal(SigningKey(seed: [UInt8](repeating: 9, count: 32)).publicKey)
    let changes = [
      ("created 2026", "created 2025"), ("passes=1", "passes=2"), ("memory=8192", "memory=16384"),
      ("salt ", "salt 00"), ("nonce ", "nonce 00"),
      ("public \(hexadecimal(key.publicKey))", "public \(other)"),
    ]
    for (from, to) in changes {
      let forged = forging(bytes) { text in
        var lines = text.replacing(from, with: to).split(separator: "\n").map(String.init)
        for index in lines.indices where lines[index].hasPrefix(to) && to.hasSuffix(" 00") {
          lines[index].removeLast(2)
        }
        return lines.joined(separator: "\n") + "\n"
      }
      #expect(forged != bytes)
      let code = code {
        try KeyFile(decoding: forged, source: "k").key(passphrase: passphrase, source: "k")
      }
      #expect(code == .wrongPassphrase || code == .damaged, "\(from)")
    }
  }

  @Test(arguments: [
    "passes=1 memory=107374182400", "passes=17 memory=8192", "passes=0 memory=8192",
    "passes=1 memory=0", "passes=1 memory=8191", "passes=1 memory=18446744073709551615",
  ])
  func aFileThatAsksForTooMuchIsRefusedAtOnce(limits: String) throws {
    let bytes = try file(passphrase: passphrase).encoded()
    let forged = forging(bytes) { $0.replacing("passes=1 memory=8192", with: limits) }
    #expect(code { try KeyFile(decoding: forged, source: "k") } == .unsupported)
  }

  @Test func otherVersionsSuitesAndProtectionsAreNamed() throws {
    let bytes = try file(passphrase: passphrase).encoded()
    for (from, to) in [
      ("key 1", "key 2"), ("suite 1", "suite 2"), ("argon2id-", "argon3-"),
    ] {
      let forged = forging(bytes) { $0.replacing(from, with: to) }
      #expect(code { try KeyFile(decoding: forged, source: "k") } == .unsupported)
    }
  }

  @Test func aSecretOfAnotherKeyIsNoticed() throws {
    let bytes = try file(passphrase: nil).encoded()
    let forged = forging(bytes) { $0.replacing("secret 00", with: "secret 01") }
    let code = code {
      try KeyFile(decoding: forged, source: "k").key(passphrase: nil, source: "k")
    }
    #expect(code == .damaged)
  }

  private func file(passphrase: [UInt8]?) throws -> KeyFile {
    try KeyFile(
      key, created: try #require(Timestamp("2026-01-02T03:04:05Z")), passphrase: passphrase,
      strength: try #require(KeyStrength(passes: 1, memory: 8_192)))
  }

  /// The file with its text changed and its checksum made right again.
  private func forging(_ bytes: [UInt8], _ change: (String) -> String) -> [UInt8] {
    var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropLast()
    lines.append("")
    let text = Array(change(lines.joined(separator: "\n")).utf8)
    let checksum = hexadecimal(SodiumSuite().hash(text).bytes[..<16])
    return text + Array("checksum \(checksum)\n".utf8)
  }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
