/// Why a handshake or a transport message cannot go on. Whoever meets one gives the session up.
enum NoiseError: Error, Equatable, Sendable {
  /// A message that is shorter than its pattern demands, or longer than 65,535 bytes.
  case badLength
  /// Altered on the way, replayed, out of order, or encrypted under another key.
  case decryptionFailed
  /// A public key of small order, with which any secret gives the same shared key.
  case lowOrderKey
  /// As many messages as one key may encrypt.
  case nonceExhausted
  /// Called out of turn, or without a key that the pattern needs.
  case outOfTurn
  /// No guarded memory for a key.
  case outOfMemory
}
