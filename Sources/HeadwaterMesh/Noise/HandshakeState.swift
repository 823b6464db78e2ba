/// One side of a handshake: section 5.3 of the Noise specification, revision 34, with X25519.
///
/// Pure: the random bytes are in the ephemeral key pair that it is given, and messages are arrays. It
/// cannot be copied, so that no key is used for two messages.
struct HandshakeState: ~Copyable {
  private var symmetric: SymmetricState
  private let pattern: NoisePattern
  private let role: NoiseRole
  private let ownStatic: NoiseKeyPair?
  private let ownEphemeral: NoiseKeyPair
  private var peerEphemeral: [UInt8]?
  private var turn = 0

  /// The other side's static key, once it is known.
  private(set) var peerStatic: [UInt8]?

  init(
    pattern: NoisePattern, role: NoiseRole, prologue: [UInt8], static ownStatic: NoiseKeyPair?,
    ephemeral: NoiseKeyPair, peerStatic: [UInt8]? = nil
  ) throws(NoiseError) {
    let (initiator, responder) =
      role == .initiator ? (ownStatic?.publicKey, peerStatic) : (peerStatic, ownStatic?.publicKey)
    var known: [[UInt8]] = []
    for (isKnown, key) in [
      (pattern.initiatorIsKnown, initiator), (pattern.responderIsKnown, responder),
    ] where isKnown {
      guard let key else { throw NoiseError.outOfTurn }
      known.append(key)
    }
    symmetric = try SymmetricState(protocolName: pattern.protocolName)
    self.pattern = pattern
    self.role = role
    self.ownStatic = ownStatic
    ownEphemeral = ephemeral
    self.peerStatic = peerStatic
    symmetric.mixHash(prologue)
    for key in known { symmetric.mixHash(key) }
  }

  /// Whether every message of the pattern has been written or read.
  var isComplete: Bool { turn == pattern.messages.count }

  /// Whether the next message is this side's to write.
  var isToWrite: Bool { !isComplete && (turn % 2 == 0) == (role == .initiator) }

  /// The hash of everything so far: after the last message, what names this session and no other.
  var hash: [UInt8] { symmetric.hash }

  /// Writes the keys of the next message, of which the payload is still missing.
  mutating func writeKeys() throws(NoiseError) -> [UInt8] {
    guard isToWrite else { throw NoiseError.outOfTurn }
    var message: [UInt8] = []
    for token in pattern.messages[turn] {
      switch token {
      case .e:
        message += ownEphemeral.publicKey
        symmetric.mixHash(ownEphemeral.publicKey)
      case .s:
        guard let ownStatic else { throw NoiseError.outOfTurn }
        message += try symmetric.encryptAndHash(ownStatic.publicKey)
      default: try mix(token)
      }
    }
    return message
  }

  /// Encrypts the payload that ends the message which `writeKeys` began.
  mutating func writePayload(_ payload: [UInt8]) throws(NoiseError) -> [UInt8] {
    guard isToWrite else { throw NoiseError.outOfTurn }
    let bytes = try symmetric.encryptAndHash(payload)
    turn += 1
    return bytes
  }

  /// The next message whole, for those whose payload does not depend on its keys.
  mutating func write(payload: [UInt8]) throws(NoiseError) -> [UInt8] {
    let message = try writeKeys() + writePayload(payload)
    guard message.count <= CipherState.messageByteCount else { throw NoiseError.badLength }
    return message
  }

  /// What a message said, and the hash that stood before its payload, when its keys had been mixed.
  struct Received: Sendable {
    let payload: [UInt8]
    let hashBeforePayload: [UInt8]
  }

  /// Reads the next message.
  mutating func read(_ message: [UInt8]) throws(NoiseError) -> Received {
    guard !isComplete, !isToWrite else { throw NoiseError.outOfTurn }
    guard message.count <= CipherState.messageByteCount else { throw NoiseError.badLength }
    var rest = message[...]
    func take(_ count: Int) throws(NoiseError) -> [UInt8] {
      guard rest.count >= count else { throw NoiseError.badLength }
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    for token in pattern.messages[turn] {
      switch token {
      case .e:
        let key = try take(NoiseKeyPair.keyByteCount)
        peerEphemeral = key
        symmetric.mixHash(key)
      case .s:
        let tag = symmetric.hasKey ? CipherState.tagByteCount : 0
        peerStatic = try symmetric.decryptAndHash(take(NoiseKeyPair.keyByteCount + tag))
      default: try mix(token)
      }
    }
    let hashBeforePayload = symmetric.hash
    let payload = try symmetric.decryptAndHash(Array(rest))
    turn += 1
    return Received(payload: payload, hashBeforePayload: hashBeforePayload)
  }

  /// The keys of what this side sends, and of what it receives. Only when the handshake is complete.
  func split() throws(NoiseError) -> (sending: Secret, receiving: Secret) {
    guard isComplete else { throw NoiseError.outOfTurn }
    let (initiator, responder) = try symmetric.split()
    return role == .initiator ? (initiator, responder) : (responder, initiator)
  }

  private mutating func mix(_ token: NoisePattern.Token) throws(NoiseError) {
    // The first letter is the initiator's key, the second the responder's.
    let (initiatorUsesStatic, responderUsesStatic) = (
      token == .se || token == .ss, token == .es || token == .ss
    )
    let (ownIsStatic, peerIsStatic) =
      role == .initiator
      ? (initiatorUsesStatic, responderUsesStatic) : (responderUsesStatic, initiatorUsesStatic)
    guard let own = ownIsStatic ? ownStatic : ownEphemeral,
      let peer = peerIsStatic ? peerStatic : peerEphemeral
    else { throw NoiseError.outOfTurn }
    try symmetric.mixKey(try own.agree(with: peer))
  }
}
