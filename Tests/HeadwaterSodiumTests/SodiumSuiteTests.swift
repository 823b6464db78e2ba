import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterSodium

@Suite struct SodiumSuiteTests {
  let suite = SodiumSuite()

  /// RFC 7693 gives the function; these values are the ones that its implementations publish.
  @Test(arguments: [
    ("", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"),
    ("abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
    (
      "The quick brown fox jumps over the lazy dog",
      "01718cec35cd3d796dd00020e0bfecb473ad23457d063b75eff29c0ffa2e58a9"
    ),
  ])
  func hashesAsPublished(text: String, expected: String) {
    let bytes = Array(text.utf8)
    #expect(suite.hash(bytes).hex == expected)
    var streaming = suite.makeStreamingHash()
    for byte in bytes { withUnsafeBytes(of: byte) { streaming.update($0) } }
    #expect(streaming.digest().hex == expected)
  }

  @Test func streamingEqualsOneShotAndGoesOnAfterADigest() {
    let bytes = (0..<100_000).map { UInt8($0 % 251) }
    var streaming = suite.makeStreamingHash()
    var random = SystemRandomNumberGenerator()
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + Int.random(in: 0...5_000, using: &random))
      bytes[start..<end].withUnsafeBytes { streaming.update($0) }
      start = end
      #expect(streaming.digest() == suite.hash(Array(bytes[..<end])))
    }
    #expect(
      streaming.digest().hex == "916cfaa800ee55811e82095babeb88ea29c9ef8a36e8d7e20c7b772c344c9e1c")
  }

  /// RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc).
  @Test(arguments: Ed25519Vector.published)
  func signsAsPublished(vector: Ed25519Vector) throws {
    let key = SigningKey(seed: try #require([UInt8](hex: vector.seed)))
    let message = try #require([UInt8](hex: vector.message))
    #expect(hexadecimal(key.publicKey) == vector.publicKey)
    let signature = message.withUnsafeBytes { key.sign(bytes: $0) }
    #expect(hexadecimal(signature) == vector.signature)
    #expect(message.withUnsafeBytes { suite.verify(signature, ofBytes: $0, by: key.publicKey) })
  }

  @Test func everyFlippedBitOfAnInputIsNoticed() {
    let key = SigningKey(seed: (0..<32).map { UInt8($0) })
    let digest = suite.hash([1, 2, 3])
    let signature = key.sign(digest)
    #expect(suite.verify(signature, of: digest, by: key.publicKey))
    for bit in 0..<signature.count * 8 {
      #expect(!suite.verify(flipping(bit, of: signature), of: digest, by: key.publicKey))
    }
    for bit in 0..<key.publicKey.count * 8 {
      #expect(!suite.verify(signature, of: digest, by: flipping(bit, of: key.publicKey)))
    }
    #expect(!suite.verify(signature, of: suite.hash([1, 2, 4]), by: key.publicKey))
  }

  @Test func malformedInputIsFalseNotACrash() {
    let key = SigningKey.generate()
    let digest = suite.hash([])
    let signature = key.sign(digest)
    for wrong in [[], Array(signature.dropLast()), signature + [0]] {
      #expect(!suite.verify(wrong, of: digest, by: key.publicKey))
    }
    for wrong in [[], Array(key.publicKey.dropLast()), key.publicKey + [0]] {
      #expect(!suite.verify(signature, of: digest, by: wrong))
    }
    // A key of small order would let one signature hold for many messages.
    #expect(
      !suite.verify(
        [UInt8](repeating: 0, count: 64), of: digest, by: [UInt8](repeating: 0, count: 32)))
  }

  /// Adding the order of the group to the second half of a signature gives a second signature that
  /// the equation would accept; an operation must not have two.
  @Test func aSignatureHasOneForm() {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
    let key = SigningKey(seed: [UInt8](repeating: 7, count: 32))
    let digest = suite.hash([9])
    var signature = key.sign(digest)
    var carry = 0
    for (index, byte) in ([UInt8](hex: order) ?? []).enumerated() {
      let sum = Int(signature[32 + index]) + Int(byte) + carry
      signature[32 + index] = UInt8(truncatingIfNeeded: sum)
      carry = sum >> 8
    }
    #expect(!suite.verify(signature, of: digest, by: key.publicKey))
  }

  @Test func verifyAllAnswersInOrder() {
    let keys = (0..<5).map { SigningKey(seed: [UInt8](repeating: UInt8($0), count: 32)) }
    let claims = (0..<203).map { index in
      let key = keys[index % keys.count]
      let digest = suite.hash([UInt8(index)])
      let signed = index % 7 == 3 ? suite.hash([]) : digest
      return SodiumSuite.Claim(
        signature: key.sign(signed), digest: digest, publicKey: key.publicKey)
    }
    #expect(suite.verifyAll(claims) == (0..<203).map { $0 % 7 != 3 })
    #expect(suite.verifyAll([]).isEmpty)
  }

  @Test func principalIsTheHashOfSuiteAndKey() {
    let key = SigningKey.generate()
    #expect(key.principal == suite.hash([1] + key.publicKey))
    #expect(key.principal == suite.principal(of: key.publicKey))
    #expect(key.suiteIdentifier == suite.identifier)
  }

  @Test func keysAndRandomBytesDiffer() {
    #expect(SigningKey.generate().publicKey != SigningKey.generate().publicKey)
    #expect(suite.randomBytes(0).isEmpty)
    #expect(suite.randomBytes(16).count == 16)
    #expect(suite.randomBytes(16) != suite.randomBytes(16))
  }

  @Test func aKeyIsUsableFromManyTasks() async {
    let key = SigningKey.generate()
    let digest = suite.hash([5])
    let expected = key.sign(digest)
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<50 { group.addTask { key.sign(digest) == expected } }
      for await same in group { #expect(same) }
    }
  }

  private func flipping(_ bit: Int, of bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    return bytes
  }
}

struct Ed25519Vector: Sendable, CustomTestStringConvertible {
  let seed: String
  let publicKey: String
  let message: String
  let signature: String

  var testDescription: String { "message \(message.prefix(8))" }

  static let published = [
    Ed25519Vector(
      seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    Ed25519Vector(
      seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    Ed25519Vector(
      seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      message: "af82",
      signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    Ed25519Vector(
      seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
      publicKey: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
      message: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      signature: "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        + "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
  ]
}
