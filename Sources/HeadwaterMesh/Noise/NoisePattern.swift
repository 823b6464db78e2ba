/// Who sends which keys, and which are mixed, in which message: section 7 of the Noise specification.
struct NoisePattern: Sendable {
  /// What a message consists of, before its payload.
  enum Token: String, Sendable {
    case e, s, ee, es, se, ss
  }

  /// As in the name of the protocol: "XX".
  let name: String
  /// Whether the responder knows the initiator's static key before the first message, and the other way round.
  let initiatorIsKnown: Bool
  let responderIsKnown: Bool
  /// The tokens of each message. The initiator sends the first, and then they take turns.
  let messages: [[Token]]

  init(
    name: String, initiatorIsKnown: Bool = false, responderIsKnown: Bool = false,
    messages: [[Token]]
  ) {
    self.name = name
    self.initiatorIsKnown = initiatorIsKnown
    self.responderIsKnown = responderIsKnown
    self.messages = messages
  }

  /// The name of the whole protocol, with which the hash of a handshake begins.
  var protocolName: String { "Noise_\(name)_25519_ChaChaPoly_BLAKE2b" }

  /// Both sides send their static keys, encrypted: the pattern of a channel.
  static let xx = NoisePattern(
    name: "XX", messages: [[.e], [.e, .ee, .s, .es], [.s, .se]])
}

/// Who began.
enum NoiseRole: UInt8, Sendable {
  case initiator = 0
  case responder = 1
}
