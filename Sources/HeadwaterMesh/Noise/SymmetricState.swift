/// The chaining key, the running hash and the cipher of a handshake: section 5.2 of the Noise
/// specification, with BLAKE2b and ChaCha20-Poly1305.
struct SymmetricState: ~Copyable {
  private var chainingKey: Secret
  private var cipher: CipherState?
  /// The hash of all that both sides have said and known so far.
  private(set) var hash: [UInt8]

  /// InitializeSymmetric.
  init(protocolName: String) throws(NoiseError) {
    let name = [UInt8](protocolName.utf8)
    if name.count <= NoiseHash.byteCount {
      hash = name + [UInt8](repeating: 0, count: NoiseHash.byteCount - name.count)
    } else {
      hash = NoiseHash.hash(name)
    }
    chainingKey = try hash.withBytes { bytes throws(NoiseError) in
      try Secret(copying: bytes)
    }
    cipher = nil
  }

  /// Whether what follows is encrypted.
  var hasKey: Bool {
    switch cipher {
    case .some: true
    case .none: false
    }
  }

  mutating func mixKey(_ input: Secret) throws(NoiseError) {
    let (next, key) = try NoiseHash.derive(
      chainingKey: chainingKey, input: input, secondByteCount: CipherState.keyByteCount)
    chainingKey = next
    cipher = CipherState(key: key)
  }

  mutating func mixHash(_ data: [UInt8]) { hash = NoiseHash.hash(hash, data) }

  mutating func encryptAndHash(_ plaintext: [UInt8]) throws(NoiseError) -> [UInt8] {
    guard hasKey else {
      mixHash(plaintext)
      return plaintext
    }
    var bytes = plaintext + [UInt8](repeating: 0, count: CipherState.tagByteCount)
    let associated = hash
    try bytes.withMutableBytes { buffer throws(NoiseError) in
      try cipher?.encrypt(in: buffer, count: plaintext.count, additionalData: associated)
    }
    mixHash(bytes)
    return bytes
  }

  mutating func decryptAndHash(_ bytes: [UInt8]) throws(NoiseError) -> [UInt8] {
    guard hasKey else {
      mixHash(bytes)
      return bytes
    }
    guard bytes.count >= CipherState.tagByteCount else { throw NoiseError.badLength }
    var plaintext = [UInt8](repeating: 0, count: bytes.count - CipherState.tagByteCount)
    let associated = hash
    try plaintext.withMutableBytes { output throws(NoiseError) in
      try bytes.withBytes { input throws(NoiseError) in
        _ = try cipher?.decrypt(input, into: output, additionalData: associated)
      }
    }
    mixHash(bytes)
    return plaintext
  }

  /// Split: the keys of what the initiator sends, and of what the responder sends.
  func split() throws(NoiseError) -> (Secret, Secret) {
    let (first, second) = try NoiseHash.derive(
      chainingKey: chainingKey, input: nil, secondByteCount: CipherState.keyByteCount)
    let bytes = UnsafeRawBufferPointer(start: first.octets, count: CipherState.keyByteCount)
    return (try Secret(copying: bytes), second)
  }
}
