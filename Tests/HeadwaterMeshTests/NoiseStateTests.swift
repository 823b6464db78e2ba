import HeadwaterModel
import Testing

@testable import HeadwaterMesh

@Suite struct NoiseStateTests {
  /// The x-coordinates of the points of small order, with the forms that are not reduced.
  private static let lowOrder = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ]

  @Test(arguments: lowOrder) func keysOfSmallOrderAreRefused(_ hex: String) throws {
    let point = try #require([UInt8](hex: hex))
    #expect(throws: NoiseError.lowOrderKey) { try pair(1).agree(with: point) }
    // As the ephemeral key of a handshake: it is not answered.
    var responder = try HandshakeState(
      pattern: .xx, role: .responder, prologue: [], static: pair(1), ephemeral: pair(2))
    _ = try responder.read(point)
    #expect(throws: NoiseError.lowOrderKey) { _ = try responder.write(payload: []) }
  }

  @Test func agreementIsMutual() throws {
    let (a, b) = (try pair(1), try pair(2))
    #expect(try a.agree(with: b.publicKey).isEqual(to: b.agree(with: a.publicKey)))
    #expect(try !a.agree(with: b.publicKey).isEqual(to: a.agree(with: a.publicKey)))
  }

  private func key(_ byte: UInt8) throws -> Secret {
    var bytes = [UInt8](repeating: byte, count: 32)
    return try Secret(erasing: &bytes)
  }

  @Test func theLastNumberIsNeverUsed() throws {
    var last = CipherState(key: try key(1), nonce: UInt64.max - 1)
    _ = try last.seal([1])
    #expect(last.nonce == UInt64.max)
    #expect(throws: NoiseError.nonceExhausted) { _ = try last.seal([1]) }
    #expect(throws: NoiseError.nonceExhausted) {
      _ = try last.open([UInt8](repeating: 0, count: 17))
    }
  }

  @Test func aFailedDecryptionUsesNoNumber() throws {
    var sender = CipherState(key: try key(1))
    var receiver = CipherState(key: try key(1))
    let sealed = try sender.seal([1, 2, 3])
    for index in sealed.indices {
      var altered = sealed
      altered[index] ^= 1
      #expect(throws: NoiseError.decryptionFailed) { _ = try receiver.open(altered) }
    }
    #expect(throws: NoiseError.badLength) { _ = try receiver.open(Array(sealed.prefix(15))) }
    #expect(throws: NoiseError.decryptionFailed) { _ = try receiver.open(sealed.dropLast()) }
    #expect(throws: NoiseError.decryptionFailed) {
      _ = try receiver.open(sealed, additionalData: [0])
    }
    #expect(receiver.nonce == 0)
    #expect(try receiver.open(sealed) == [1, 2, 3])
    #expect(throws: NoiseError.decryptionFailed) { _ = try receiver.open(sealed) }
  }

  @Test func afterRekeyingTheOldKeyOpensNothing() throws {
    var sender = CipherState(key: try key(1))
    var receiver = CipherState(key: try key(1))
    var old = CipherState(key: try key(1))
    try sender.rekey()
    let sealed = try sender.seal([7])
    #expect(throws: NoiseError.decryptionFailed) { _ = try old.open(sealed) }
    try receiver.rekey()
    #expect(try receiver.open(sealed) == [7])
  }

  /// The first 32 bytes of ChaCha20 under the key and the number 2^64 - 1 from block 1 on, computed apart.
  @Test func rekeyingIsAsSpecified() throws {
    var cipher = CipherState(key: try key(0x42))
    try cipher.rekey()
    var next = try #require(
      [UInt8](hex: "159f5119c24b03e867f41504aecfbe0708789c2285c6577effe3de06d2f03234"))
    var expected = CipherState(key: try Secret(erasing: &next))
    let (sealed, sealedApart) = (try cipher.seal([1, 2, 3]), try expected.seal([1, 2, 3]))
    #expect(sealed == sealedApart)
  }

  @Test func messagesOutOfTurnAreRefused() throws {
    var initiator = try HandshakeState(
      pattern: .xx, role: .initiator, prologue: [], static: pair(1), ephemeral: pair(2))
    #expect(throws: NoiseError.outOfTurn) { _ = try initiator.read([]) }
    #expect(throws: NoiseError.outOfTurn) { _ = try initiator.split() }
    _ = try initiator.write(payload: [])
    #expect(throws: NoiseError.outOfTurn) { _ = try initiator.write(payload: []) }
    #expect(throws: NoiseError.badLength) { _ = try initiator.read([1, 2, 3]) }
  }

  @Test func secretsAreErasedAndNotPrinted() throws {
    var bytes: [UInt8] = [1, 2, 3]
    let secret = try Secret(erasing: &bytes)
    #expect(bytes.isEmpty)
    #expect("\(secret)" == "Secret(3 bytes)")
    var (same, other): ([UInt8], [UInt8]) = ([1, 2, 3], [1, 2, 4])
    #expect(try secret.isEqual(to: Secret(erasing: &same)))
    #expect(try !secret.isEqual(to: Secret(erasing: &other)))
  }
}
