import HeadwaterLog
import HeadwaterModel
import HeadwaterSync

/// What a side says in a handshake of who it is: its signing key, and that key's signature of this handshake.
struct PeerIdentity: Equatable, Sendable {
  let suite: UInt8
  let publicKey: [UInt8]
  let signature: [UInt8]

  /// Begins what is signed: no operation begins so, nor anything else that the key ever signs.
  static let domain = [UInt8]("Headwater channel 1 identity".utf8)

  init(suite: UInt8, publicKey: [UInt8], signature: [UInt8]) {
    self.suite = suite
    self.publicKey = publicKey
    self.signature = signature
  }

  /// What the signature is of: the domain, the signer's role, its static key, and the hash of the
  /// handshake up to and with that key. So it says nothing in any other handshake, nor from the other side.
  static func digest(
    role: NoiseRole, staticKey: [UInt8], handshake: [UInt8], suite: any CryptoSuite
  ) -> Digest {
    suite.hash(domain + [role.rawValue] + staticKey + handshake)
  }

  /// The longest encoding, in bytes.
  static func limit(of suite: any CryptoSuite) -> Int {
    // Three heads of at most nine bytes each, the number of the suite with its head, and the two strings.
    32 + suite.publicKeyByteCount + suite.signatureByteCount
  }

  /// Canonical CBOR: an array of suite, public key, signature.
  var encoded: [UInt8] {
    var writer = CanonicalWriter(reservingCapacity: 32 + publicKey.count + signature.count)
    writer.arrayHeader(3)
    writer.unsigned(UInt64(suite))
    writer.byteString(publicKey)
    writer.byteString(signature)
    return writer.bytes
  }

  /// Takes keys and signatures of exactly the lengths of `suite`, and no other suite.
  init(encoded: [UInt8], suite: any CryptoSuite) throws(ChannelError) {
    func malformed(_ what: String) -> ChannelError {
      ChannelError(.unauthenticated, "the peer did not say properly who it is: \(what)")
    }
    guard encoded.count <= PeerIdentity.limit(of: suite) else { throw malformed("too long") }
    do {
      var reader = CanonicalReader(encoded)
      guard try reader.arrayHeader() == 3 else { throw malformed("not three fields") }
      guard try reader.unsigned() == UInt64(suite.identifier) else {
        throw malformed("a signature scheme that is not this side's")
      }
      self.suite = suite.identifier
      publicKey = try reader.byteString()
      signature = try reader.byteString()
      try reader.finish()
    } catch let error as ChannelError {
      throw error
    } catch {
      throw malformed("\(error)")
    }
    guard publicKey.count == suite.publicKeyByteCount, signature.count == suite.signatureByteCount
    else { throw malformed("a key or signature of the wrong length") }
  }
}
