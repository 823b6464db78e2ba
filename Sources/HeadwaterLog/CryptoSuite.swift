import HeadwaterModel

/// The cryptography of a database: one hash, one signature scheme.
///
/// Pure apart from `randomBytes`. The default is `SodiumSuite` (BLAKE2b-256, Ed25519) of HeadwaterSodium.
public protocol CryptoSuite: Hasher256 {
  /// Names the suite in operations: 1 is BLAKE2b-256 with Ed25519.
  var identifier: UInt8 { get }
  /// The exact length of a public key, in bytes.
  var publicKeyByteCount: Int { get }
  /// The exact length of a signature, in bytes.
  var signatureByteCount: Int { get }
  /// Whether `signature` is `publicKey`'s signature of the 32 bytes of `digest`. False for malformed input too.
  func verify(_ signature: [UInt8], of digest: Digest, by publicKey: [UInt8]) -> Bool
  /// Bytes from the operating system's generator.
  func randomBytes(_ count: Int) -> [UInt8]
  /// Begins the hash of a long byte stream.
  func makeStreamingHash() -> any StreamingHash
}

extension CryptoSuite {
  /// The principal that a public key is: the hash of (suite, public key).
  public func principal(of publicKey: [UInt8]) -> Digest { hash([identifier] + publicKey) }
}

/// The hash of bytes that come in pieces. A class or value confined to its user.
public protocol StreamingHash {
  mutating func update(_ bytes: UnsafeRawBufferPointer)
  /// The hash of everything so far; more may follow.
  func digest() -> Digest
}

/// Something that signs as one principal: a key in memory, or a device that holds one.
public protocol Signer: Sendable {
  /// The suite of the key.
  var suiteIdentifier: UInt8 { get }
  var publicKey: [UInt8] { get }
  /// The hash of (suite, public key).
  var principal: Digest { get }
  /// The signature of the 32 bytes of `digest`.
  func sign(_ digest: Digest) throws -> [UInt8]
}
