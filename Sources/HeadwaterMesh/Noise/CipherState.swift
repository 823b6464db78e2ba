import CSodium

/// A key and the number of the next message under it: section 5.1 of the Noise specification, with
/// ChaCha20-Poly1305 (RFC 8439).
///
/// It cannot be copied, so that no number is ever used twice.
struct CipherState: ~Copyable {
  /// What encryption adds, in bytes.
  static let tagByteCount = 16
  static let keyByteCount = 32
  /// The longest message of the protocol, tag included.
  static let messageByteCount = 65_535

  private var key: Secret
  /// The number of the next message. The greatest, 2^64 - 1, is kept for rekeying.
  private(set) var nonce: UInt64

  init(key: Secret, nonce: UInt64 = 0) {
    precondition(key.count == CipherState.keyByteCount, "a key of ChaCha20 has 32 bytes")
    self.key = key
    self.nonce = nonce
  }

  /// Encrypts the first `count` bytes of `buffer` where they lie and puts the tag after them.
  ///
  /// - Parameter buffer: at least `count + tagByteCount` bytes.
  mutating func encrypt(
    in buffer: UnsafeMutableRawBufferPointer, count: Int, additionalData: [UInt8] = []
  ) throws(NoiseError) {
    guard count >= 0, buffer.count >= count + CipherState.tagByteCount,
      count <= CipherState.messageByteCount - CipherState.tagByteCount
    else { throw NoiseError.badLength }
    guard nonce < UInt64.max else { throw NoiseError.nonceExhausted }
    CipherState.seal(
      buffer, count: count, additionalData: additionalData, nonce: nonce, key: key)
    nonce += 1
  }

  /// Decrypts `input`, tag included, into the start of `output`; returns the length of what was encrypted.
  ///
  /// When it fails the number stays as it was, and `output` holds nothing of use.
  mutating func decrypt(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer,
    additionalData: [UInt8] = []
  ) throws(NoiseError) -> Int {
    let count = input.count - CipherState.tagByteCount
    guard count >= 0, input.count <= CipherState.messageByteCount, output.count >= count else {
      throw NoiseError.badLength
    }
    guard nonce < UInt64.max else { throw NoiseError.nonceExhausted }
    // Null where nothing was encrypted, which the library takes.
    let room = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let status = CipherState.withBytes(ofNonce: nonce) { number in
      crypto_aead_chacha20poly1305_ietf_decrypt(
        room, nil, nil, input.octets, UInt64(input.count), additionalData,
        UInt64(additionalData.count), number, key.octets)
    }
    guard status == 0 else { throw NoiseError.decryptionFailed }
    nonce += 1
    return count
  }

  /// Replaces the key by one from which the old one cannot be computed; the numbers go on.
  mutating func rekey() throws(NoiseError) {
    let old = key
    var block = [UInt8](
      repeating: 0, count: CipherState.keyByteCount + CipherState.tagByteCount)
    defer { block.erase() }
    block.withUnsafeMutableBytes {
      CipherState.seal(
        $0, count: CipherState.keyByteCount, additionalData: [], nonce: UInt64.max, key: old)
    }
    key = try block.withBytes { bytes throws(NoiseError) in
      try Secret(copying: UnsafeRawBufferPointer(rebasing: bytes[..<CipherState.keyByteCount]))
    }
  }

  private static func seal(
    _ buffer: UnsafeMutableRawBufferPointer, count: Int, additionalData: [UInt8], nonce: UInt64,
    key: Secret
  ) {
    let octets = UnsafeMutablePointer(mutating: UnsafeRawBufferPointer(buffer).octets)
    _ = withBytes(ofNonce: nonce) { number in
      crypto_aead_chacha20poly1305_ietf_encrypt(
        octets, nil, octets, UInt64(count), additionalData, UInt64(additionalData.count), nil,
        number, key.octets)
    }
  }

  /// Four zero bytes, then the number in little-endian order.
  private static func withBytes(
    ofNonce nonce: UInt64, _ body: (UnsafePointer<UInt8>) -> Int32
  ) -> Int32 {
    let words = (
      UInt32(0), UInt32(truncatingIfNeeded: nonce).littleEndian,
      UInt32(truncatingIfNeeded: nonce >> 32).littleEndian
    )
    return withUnsafeBytes(of: words) { body($0.octets) }
  }
}
