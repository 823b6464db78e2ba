import CSodium
import HeadwaterModel

/// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): the password never leaves the process.
struct ScramSHA256 {
  enum Failure: Error {
    /// The server answers something that is not of the protocol, or asks for too little or too much.
    case protocolViolation
    /// The server does not know the password either.
    case wrongServer
    case unsupportedPassword
  }

  private let user: String
  private let password: String
  private let nonce: String
  private var serverSignature: [UInt8] = []

  init(user: String, password: String, nonce: String? = nil) throws(Failure) {
    // SASLprep changes nothing in ASCII; beyond it, it would have to be carried out.
    guard password.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
      throw .unsupportedPassword
    }
    self.user = user
    self.password = password
    self.nonce = nonce ?? ScramSHA256.randomNonce()
  }

  private static func randomNonce() -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bytes = [UInt8](repeating: 0, count: 24)
    _ = sodium_init()
    randombytes_buf(&bytes, bytes.count)
    return String(decoding: bytes.map { alphabet[Int($0 & 63)] }, as: UTF8.self)
  }

  private var bare: String {
    var escaped = ""
    for character in user.unicodeScalars {
      switch character {
      case "=": escaped += "=3D"
      case ",": escaped += "=2C"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return "n=\(escaped),r=\(nonce)"
  }

  var clientFirst: [UInt8] { Array("n,,\(bare)".utf8) }

  /// The answer to the server's first message.
  mutating func clientFinal(_ serverFirst: [UInt8]) throws(Failure) -> [UInt8] {
    let text = String(decoding: serverFirst, as: UTF8.self)
    let parts = ScramSHA256.attributes(text)
    guard let combined = parts["r"], combined.hasPrefix(nonce), combined != nonce,
      let encoded = parts["s"], let salt = ScramSHA256.base64(encoded),
      let count = parts["i"].flatMap({ Int($0) }), count >= 4_096, count <= 1_000_000,
      !salt.isEmpty
    else { throw .protocolViolation }
    let salted = ScramSHA256.saltedPassword(Array(password.utf8), salt, iterations: count)
    let clientKey = ScramSHA256.hmac(salted, Array("Client Key".utf8))
    let storedKey = ScramSHA256.sha256(clientKey)
    let withoutProof = "c=biws,r=\(combined)"
    let message = Array("\(bare),\(text),\(withoutProof)".utf8)
    let signature = ScramSHA256.hmac(storedKey, message)
    let proof = zip(clientKey, signature).map { $0 ^ $1 }
    let serverKey = ScramSHA256.hmac(salted, Array("Server Key".utf8))
    serverSignature = ScramSHA256.hmac(serverKey, message)
    return Array("\(withoutProof),p=\(ScramSHA256.base64(proof))".utf8)
  }

  /// - Throws: `.wrongServer` where the server could not prove that it knows the password, too.
  func verify(_ serverFinal: [UInt8]) throws(Failure) {
    let parts = ScramSHA256.attributes(String(decoding: serverFinal, as: UTF8.self))
    guard let encoded = parts["v"], let signature = ScramSHA256.base64(encoded),
      signature.count == serverSignature.count,
      sodium_memcmp(signature, serverSignature, signature.count) == 0
    else { throw .wrongServer }
  }

  private static func attributes(_ text: String) -> [String: String] {
    var found: [String: String] = [:]
    for part in text.split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { found[String(pair[0])] = String(pair[1]) }
    }
    return found
  }

  // MARK: Hashing

  static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 32)
    crypto_hash_sha256(&out, bytes, UInt64(bytes.count))
    return out
  }

  static func hmac(_ key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
    var state = crypto_auth_hmacsha256_state()
    var out = [UInt8](repeating: 0, count: 32)
    crypto_auth_hmacsha256_init(&state, key, key.count)
    crypto_auth_hmacsha256_update(&state, bytes, UInt64(bytes.count))
    crypto_auth_hmacsha256_final(&state, &out)
    return out
  }

  /// PBKDF2 with HMAC-SHA-256 and one block of output.
  static func saltedPassword(_ password: [UInt8], _ salt: [UInt8], iterations: Int) -> [UInt8] {
    // The key's part of every HMAC is the same: it is computed once.
    var keyed = crypto_auth_hmacsha256_state()
    crypto_auth_hmacsha256_init(&keyed, password, password.count)
    func next(_ bytes: [UInt8]) -> [UInt8] {
      var state = keyed
      var out = [UInt8](repeating: 0, count: 32)
      crypto_auth_hmacsha256_update(&state, bytes, UInt64(bytes.count))
      crypto_auth_hmacsha256_final(&state, &out)
      return out
    }
    var block = next(salt + [0, 0, 0, 1])
    var result = block
    for _ in 1..<max(1, iterations) {
      block = next(block)
      for index in result.indices { result[index] ^= block[index] }
    }
    return result
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    Base64.write(bytes, into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  private static func base64(_ text: String) -> [UInt8]? { Base64.bytes(text.utf8) }
}
