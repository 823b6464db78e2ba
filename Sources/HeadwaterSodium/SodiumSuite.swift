import CSodium
import Dispatch
import HeadwaterLog
import HeadwaterModel

/// Suite 1, the default: BLAKE2b with 256 bits of output and without a key, and Ed25519.
///
/// It holds nothing, so making one costs nothing and it can be used from any thread.
///
/// Verification is libsodium's strict one: it refuses public keys of small order, keys that are not
/// canonically encoded, and the second form that a signature would otherwise have, so there is one
/// answer everywhere.
public struct SodiumSuite: CryptoSuite {
  /// The suite. The first one made in a process initialises libsodium.
  public init() { Sodium.initialise() }

  public var identifier: UInt8 { SodiumSuite.identifier }
  public var publicKeyByteCount: Int { Int(crypto_sign_ed25519_PUBLICKEYBYTES) }
  public var signatureByteCount: Int { Int(crypto_sign_ed25519_BYTES) }

  /// The number of this suite in operations.
  static let identifier: UInt8 = 1

  public func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
    withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) { output in
      let status = crypto_generichash(
        output.octets, output.count, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
        UInt64(bytes.count), nil, 0)
      precondition(status == 0, "BLAKE2b refused its own parameters")
      return Digest(exactly: UnsafeRawBufferPointer(output))
    }
  }

  public func verify(_ signature: [UInt8], of digest: Digest, by publicKey: [UInt8]) -> Bool {
    digest.withUnsafeBytes { verify(signature, ofBytes: $0, by: publicKey) }
  }

  /// Whether `signature` is `publicKey`'s signature of any bytes.
  func verify(
    _ signature: [UInt8], ofBytes message: UnsafeRawBufferPointer, by publicKey: [UInt8]
  ) -> Bool {
    guard signature.count == signatureByteCount, publicKey.count == publicKeyByteCount else {
      return false
    }
    let base = message.baseAddress?.assumingMemoryBound(to: UInt8.self)
    return crypto_sign_ed25519_verify_detached(
      signature, base, UInt64(message.count), publicKey) == 0
  }

  public func randomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress { randombytes_buf(base, count) }
      initialized = count
    }
  }

  public func makeStreamingHash() -> any StreamingHash { SodiumStreamingHash() }
}

extension SodiumSuite {
  /// A signature, what it is said to sign, and by whom.
  public struct Claim: Sendable {
    public let signature: [UInt8]
    public let digest: Digest
    public let publicKey: [UInt8]

    /// The claim that `signature` is `publicKey`'s signature of `digest`.
    public init(signature: [UInt8], digest: Digest, publicKey: [UInt8]) {
      self.signature = signature
      self.digest = digest
      self.publicKey = publicKey
    }
  }

  /// For each claim, in order, whether it holds.
  ///
  /// Uses all cores (a verification takes about 90 µs) and blocks until the last one is done, so call
  /// it from a thread that may block, not from the cooperative pool.
  public func verifyAll(_ claims: [Claim]) -> [Bool] {
    // A piece is large enough that handing it out costs nothing beside the work in it.
    let piece = 16
    let pieces = (claims.count + piece - 1) / piece
    return [Bool](unsafeUninitializedCapacity: claims.count) { results, initialized in
      // Each iteration writes to places of its own only.
      nonisolated(unsafe) let base = results.baseAddress
      DispatchQueue.concurrentPerform(iterations: pieces) { number in
        let start = number * piece
        for index in start..<min(start + piece, claims.count) {
          let claim = claims[index]
          let holds = verify(claim.signature, of: claim.digest, by: claim.publicKey)
          base?.advanced(by: index).initialize(to: holds)
        }
      }
      initialized = claims.count
    }
  }
}

/// What the files of this module share about the library beneath.
enum Sodium {
  private static let isReady = sodium_init() >= 0

  /// Makes libsodium usable. Safe to call from any thread, any number of times.
  static func initialise() {
    precondition(isReady, "libsodium could not be initialised: no source of random numbers")
  }
}

extension UnsafeMutableRawBufferPointer {
  /// The bytes as C functions take them. The buffer must not be empty.
  var octets: UnsafeMutablePointer<UInt8> {
    guard let baseAddress else { preconditionFailure("an empty buffer has no bytes to point at") }
    return baseAddress.assumingMemoryBound(to: UInt8.self)
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes as C functions take them. The buffer must not be empty.
  var octets: UnsafePointer<UInt8> {
    guard let baseAddress else { preconditionFailure("an empty buffer has no bytes to point at") }
    return baseAddress.assumingMemoryBound(to: UInt8.self)
  }
}

extension Digest {
  /// The digest that exactly 32 bytes are.
  init(exactly bytes: UnsafeRawBufferPointer) {
    guard let digest = Digest(bytes: bytes) else {
      preconditionFailure("a digest has \(Digest.byteCount) bytes")
    }
    self = digest
  }
}
