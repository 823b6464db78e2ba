import HeadwaterLog
import HeadwaterModel
import HeadwaterSync

/// The handshake of a channel: Noise XX, in which both sides prove which principals they are.
///
/// Pure: messages are arrays, and the key pairs, made from random bytes, are given. Docs/SecureChannel.md
/// says what is in every message. The order of calls is `hello`, `answer` for the initiator and `reply`,
/// `finish` for the responder; then `keys`.
struct ChannelHandshake: ~Copyable {
  /// What both sides mix in first, so that nothing of another protocol or version is understood.
  static let prologue = [UInt8]("Headwater channel 1".utf8)
  /// The longest payload of the first message, which version 1 leaves empty and does not look at.
  static let offerByteCount = 256

  private var noise: HandshakeState
  private let role: NoiseRole
  private let ownStatic: NoiseKeyPair
  private let signer: any Signer
  private let suite: any CryptoSuite
  private let expected: Digest?
  private var peer: Digest?

  /// - Parameters:
  ///   - staticKey: of this process; it is worth nothing without `signer`.
  ///   - ephemeralKey: for this handshake only.
  ///   - expected: the only principal to talk to, if there is one.
  init(
    role: NoiseRole, signer: any Signer, suite: any CryptoSuite, staticKey: NoiseKeyPair,
    ephemeralKey: NoiseKeyPair, expected: Digest? = nil
  ) throws(ChannelError) {
    do {
      noise = try HandshakeState(
        pattern: .xx, role: role, prologue: ChannelHandshake.prologue, static: staticKey,
        ephemeral: ephemeralKey)
    } catch { throw ChannelError(error) }
    self.role = role
    ownStatic = staticKey
    self.signer = signer
    self.suite = suite
    self.expected = expected
  }

  /// The longest message of a handshake, in bytes.
  static func messageLimit(of suite: any CryptoSuite) -> Int {
    let keys = 2 * NoiseKeyPair.keyByteCount + 2 * CipherState.tagByteCount
    return keys + max(offerByteCount, PeerIdentity.limit(of: suite))
  }

  /// Initiator: the first message.
  mutating func hello() throws(ChannelError) -> [UInt8] {
    do { return try noise.write(payload: []) } catch { throw ChannelError(error) }
  }

  /// Responder: the answer to the first message. It tells the initiator, whoever that is, who this is.
  mutating func reply(to message: [UInt8]) throws(ChannelError) -> [UInt8] {
    do throws(NoiseError) {
      let offer = try noise.read(message).payload
      guard offer.count <= ChannelHandshake.offerByteCount else { throw NoiseError.badLength }
    } catch { throw ChannelError(error) }
    return try introduce()
  }

  /// Initiator: the last message, in answer to the second. Nothing leaves if that one does not hold.
  mutating func answer(to message: [UInt8]) throws(ChannelError) -> [UInt8] {
    try identify(message)
    return try introduce()
  }

  /// Responder: takes the last message.
  mutating func finish(with message: [UInt8]) throws(ChannelError) { try identify(message) }

  /// Who is there, and the keys of the two directions.
  func keys() throws(ChannelError) -> ChannelKeys {
    guard let peer, let node = noise.peerStatic else {
      throw ChannelError(NoiseError.outOfTurn)
    }
    do {
      let (sending, receiving) = try noise.split()
      return ChannelKeys(
        peer: peer, node: node, sending: sending, receiving: receiving, binding: noise.hash)
    } catch { throw ChannelError(error) }
  }

  /// Writes the next message with this side's identity in it.
  private mutating func introduce() throws(ChannelError) -> [UInt8] {
    let keys: [UInt8]
    do { keys = try noise.writeKeys() } catch { throw ChannelError(error) }
    let digest = PeerIdentity.digest(
      role: role, staticKey: ownStatic.publicKey, handshake: noise.hash, suite: suite)
    let signature: [UInt8]
    do { signature = try signer.sign(digest) } catch {
      throw ChannelError(.closed, "this side's key could not sign: \(error)")
    }
    let identity = PeerIdentity(
      suite: signer.suiteIdentifier, publicKey: signer.publicKey, signature: signature)
    do { return try keys + noise.writePayload(identity.encoded) } catch {
      throw ChannelError(error)
    }
  }

  /// Reads the next message and believes the identity in it only if it holds.
  private mutating func identify(_ message: [UInt8]) throws(ChannelError) {
    let received: HandshakeState.Received
    do { received = try noise.read(message) } catch { throw ChannelError(error) }
    guard let staticKey = noise.peerStatic else { throw ChannelError(NoiseError.outOfTurn) }
    let identity = try PeerIdentity(encoded: received.payload, suite: suite)
    let digest = PeerIdentity.digest(
      role: role == .initiator ? .responder : .initiator, staticKey: staticKey,
      handshake: received.hashBeforePayload, suite: suite)
    guard suite.verify(identity.signature, of: digest, by: identity.publicKey) else {
      throw ChannelError(
        .unauthenticated, "the peer did not prove that it holds the key it claims")
    }
    let principal = suite.principal(of: identity.publicKey)
    if let expected, principal != expected {
      throw ChannelError(
        .unauthenticated,
        "at that address answers \(principal), not the expected \(expected): check the address")
    }
    peer = principal
  }
}

/// What a handshake ends in.
struct ChannelKeys: Sendable {
  /// Who the peer has proven to be.
  let peer: Digest
  /// The peer's static key: which of the processes that hold the peer's signing key this is.
  let node: [UInt8]
  let sending: Secret
  let receiving: Secret
  /// The hash of the handshake, the same on both sides and in no other session.
  let binding: [UInt8]
}

extension ChannelError {
  /// The same, for those who know channels only.
  init(_ error: NoiseError) {
    switch error {
    case .badLength:
      self.init(.invalid, "the peer sent a message of a length that the protocol does not have")
    case .decryptionFailed:
      self.init(
        .invalid,
        "what arrived was altered, repeated, or is not of this protocol: is it a peer of this version?"
      )
    case .lowOrderKey:
      self.init(.unauthenticated, "the peer offered a key that protects nothing")
    case .nonceExhausted:
      self.init(.closed, "the channel has carried all that one handshake allows: connect again")
    case .outOfTurn:
      self.init(.invalid, "a message of the handshake came out of turn")
    case .outOfMemory:
      self.init(.closed, "there is no guarded memory left for keys")
    }
  }
}
