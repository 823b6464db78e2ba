import CSodium

/// A key pair of X25519, the `DH` functions of the Noise specification.
struct NoiseKeyPair: Sendable {
  /// The length of a public key, of a private key and of a shared secret, in bytes.
  static let keyByteCount = 32

  let publicKey: [UInt8]
  private let privateKey: Secret

  /// The pair of a private key of 32 random bytes, which are erased.
  init(erasing privateKey: inout [UInt8]) throws(NoiseError) {
    guard privateKey.count == NoiseKeyPair.keyByteCount else {
      privateKey.erase()
      throw NoiseError.badLength
    }
    let secret = try Secret(erasing: &privateKey)
    self.privateKey = secret
    publicKey = [UInt8](unsafeUninitializedCapacity: NoiseKeyPair.keyByteCount) { buffer, count in
      count = NoiseKeyPair.keyByteCount
      guard let base = buffer.baseAddress else { return }
      _ = crypto_scalarmult_curve25519_base(base, secret.octets)
    }
  }

  /// The shared secret of this pair and `other`.
  ///
  /// A public key of small order, which would make it all zeros whatever the private key, is refused.
  func agree(with other: [UInt8]) throws(NoiseError) -> Secret {
    guard other.count == NoiseKeyPair.keyByteCount else { throw NoiseError.badLength }
    return try Secret { [privateKey] output throws(NoiseError) in
      guard crypto_scalarmult_curve25519(output, privateKey.octets, other) == 0 else {
        throw NoiseError.lowOrderKey
      }
    }
  }
}
