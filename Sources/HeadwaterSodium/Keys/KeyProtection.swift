import CSodium
import HeadwaterModel

/// How much work a guess at a passphrase costs: the parameters of Argon2id, stored with the key.
public struct KeyStrength: Sendable, Hashable {
  /// How often the memory is gone over.
  public let passes: UInt64
  /// The memory that is filled, in bytes.
  public let memory: UInt64

  /// About a tenth of a second and 64 MiB.
  public static let interactive = KeyStrength(uncheckedPasses: 2, memory: 64 << 20)
  /// About half a second and 256 MiB.
  public static let moderate = KeyStrength(uncheckedPasses: 3, memory: 256 << 20)

  /// What is accepted: a file that asks for more is refused before anything is allocated.
  static let acceptedPasses: ClosedRange<UInt64> = 1...16
  static let acceptedMemory: ClosedRange<UInt64> = 8_192...(1 << 30)

  private init(uncheckedPasses passes: UInt64, memory: UInt64) {
    self.passes = passes
    self.memory = memory
  }

  /// Nil outside 1 to 16 passes and 8 KiB to 1 GiB.
  public init?(passes: UInt64, memory: UInt64) {
    guard KeyStrength.acceptedPasses.contains(passes),
      KeyStrength.acceptedMemory.contains(memory)
    else { return nil }
    self.init(uncheckedPasses: passes, memory: memory)
  }
}

/// A seed under a passphrase: Argon2id makes a key of the passphrase, XChaCha20-Poly1305 encrypts the
/// seed with it and authenticates the header of the file.
struct SealedSeed {
  static let saltByteCount = Int(crypto_pwhash_argon2id_SALTBYTES)
  static let nonceByteCount = Int(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
  static let ciphertextByteCount =
    SigningKey.seedByteCount + Int(crypto_aead_xchacha20poly1305_ietf_ABYTES)

  let strength: KeyStrength
  let salt: [UInt8]
  let nonce: [UInt8]
  let ciphertext: [UInt8]

  init(strength: KeyStrength, salt: [UInt8], nonce: [UInt8], ciphertext: [UInt8]) {
    self.strength = strength
    self.salt = salt
    self.nonce = nonce
    self.ciphertext = ciphertext
  }

  /// Encrypts the seed of `key` with a salt and a nonce of its own.
  ///
  /// - Parameter header: what is authenticated with it, given the salt and the nonce.
  init(
    _ key: SigningKey, passphrase: [UInt8], strength: KeyStrength,
    header: (_ salt: [UInt8], _ nonce: [UInt8]) -> [UInt8]
  ) throws(KeyStoreError) {
    let suite = SodiumSuite()
    let salt = suite.randomBytes(SealedSeed.saltByteCount)
    let nonce = suite.randomBytes(SealedSeed.nonceByteCount)
    let wrappingKey = try SealedSeed.wrappingKey(
      of: passphrase, salt: salt, strength: strength)
    let associated = header(salt, nonce)
    let ciphertext = [UInt8](
      unsafeUninitializedCapacity: SealedSeed.ciphertextByteCount
    ) { output, initialized in
      key.withSeed { seed in
        wrappingKey.withBytes { wrappingKey in
          _ = crypto_aead_xchacha20poly1305_ietf_encrypt(
            UnsafeMutableRawBufferPointer(output).octets, nil, seed.octets, UInt64(seed.count),
            associated, UInt64(associated.count), nil, nonce, wrappingKey.octets)
        }
      }
      initialized = SealedSeed.ciphertextByteCount
    }
    self.init(strength: strength, salt: salt, nonce: nonce, ciphertext: ciphertext)
  }

  /// The seed; nil if the passphrase, the header or the ciphertext is not what was sealed.
  func open(passphrase: [UInt8], header: [UInt8]) throws(KeyStoreError) -> SecretBytes? {
    let wrappingKey = try SealedSeed.wrappingKey(
      of: passphrase, salt: salt, strength: strength)
    var opened = false
    let seed = SecretBytes(count: SigningKey.seedByteCount) { output in
      wrappingKey.withBytes { wrappingKey in
        opened =
          crypto_aead_xchacha20poly1305_ietf_decrypt(
            output.octets, nil, nil, ciphertext, UInt64(ciphertext.count), header,
            UInt64(header.count), nonce, wrappingKey.octets) == 0
      }
    }
    return opened ? seed : nil
  }

  private static func wrappingKey(
    of passphrase: [UInt8], salt: [UInt8], strength: KeyStrength
  ) throws(KeyStoreError) -> SecretBytes {
    var derived = false
    // The C function wants an address even for an empty passphrase.
    let text = passphrase.isEmpty ? [0] : passphrase
    let key = SecretBytes(count: Int(crypto_aead_xchacha20poly1305_ietf_KEYBYTES)) { output in
      text.withUnsafeBytes { text in
        derived =
          crypto_pwhash_argon2id(
            output.octets, UInt64(output.count),
            UnsafeRawPointer(text.octets).assumingMemoryBound(to: CChar.self),
            UInt64(passphrase.count), salt, strength.passes, Int(strength.memory),
            crypto_pwhash_argon2id_ALG_ARGON2ID13) == 0
      }
    }
    guard derived else {
      throw KeyStoreError(
        .outOfMemory,
        "deriving the key from the passphrase needs \(strength.memory >> 20) MiB of memory, "
          + "which the system did not give; free some and try again")
    }
    return key
  }
}
