import CSodium
import HeadwaterLog
import HeadwaterModel

/// An Ed25519 key in memory: signs as one principal, from any thread.
///
/// The secret lives in guarded memory, is never printed, and is zeroed when the key is released.
public final class SigningKey: Signer {
  /// The number of bytes of a seed, from which all of a key follows.
  public static let seedByteCount = Int(crypto_sign_ed25519_SEEDBYTES)

  public let publicKey: [UInt8]
  public let principal: Digest
  public var suiteIdentifier: UInt8 { SodiumSuite.identifier }

  // The seed, then the public key: the library's own form of a secret key.
  private let secret: SecretBytes

  private init(filledBy fill: (UnsafeMutablePointer<UInt8>, inout [UInt8]) -> Void) {
    var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_ed25519_PUBLICKEYBYTES))
    secret = SecretBytes(count: Int(crypto_sign_ed25519_SECRETKEYBYTES)) { memory in
      fill(memory.octets, &publicKey)
    }
    self.publicKey = publicKey
    principal = SodiumSuite().principal(of: publicKey)
  }

  /// A new key from the operating system's random numbers.
  public static func generate() -> SigningKey {
    SigningKey { secret, publicKey in
      crypto_sign_ed25519_keypair(&publicKey, secret)
    }
  }

  /// The key that follows from a seed, which must have exactly 32 bytes and is the caller's to erase.
  public convenience init(seed: [UInt8]) {
    self.init(seed: SecretBytes(copying: seed))
  }

  convenience init(seed: SecretBytes) {
    precondition(seed.count == SigningKey.seedByteCount, "a seed has 32 bytes")
    self.init { secret, publicKey in
      seed.withBytes { seed in
        _ = crypto_sign_ed25519_seed_keypair(&publicKey, secret, seed.octets)
      }
    }
  }

  public func sign(_ digest: Digest) -> [UInt8] { digest.withUnsafeBytes { sign(bytes: $0) } }

  /// The signature of any bytes.
  func sign(bytes message: UnsafeRawBufferPointer) -> [UInt8] {
    let count = Int(crypto_sign_ed25519_BYTES)
    return [UInt8](unsafeUninitializedCapacity: count) { signature, initialized in
      secret.withBytes { secret in
        _ = crypto_sign_ed25519_detached(
          UnsafeMutableRawBufferPointer(signature).octets, nil,
          message.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(message.count),
          secret.octets)
      }
      initialized = count
    }
  }

  /// Calls `body` with the 32 bytes from which the whole key follows, valid only during the call.
  func withSeed<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try secret.withBytes { bytes in
      try body(UnsafeRawBufferPointer(rebasing: bytes[..<SigningKey.seedByteCount]))
    }
  }
}

extension SigningKey: CustomStringConvertible {
  /// The principal; never the secret.
  public var description: String { "SigningKey(\(principal.hex))" }
}
