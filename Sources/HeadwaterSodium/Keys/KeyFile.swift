import HeadwaterModel

/// The text of a key, on disk and when exported. `Docs/KeyFiles.md` describes it line by line.
///
/// Reading accepts exactly what writing produces: one key has one text, apart from the random salt
/// and nonce.
struct KeyFile {
  /// No file of this version is longer, in bytes.
  static let maximumByteCount = 4_096
  private static let checksumByteCount = 16

  let publicKey: [UInt8]
  let created: Timestamp
  let content: Content

  enum Content {
    case plain(seed: [UInt8])
    case sealed(SealedSeed)
  }

  var principal: Digest { SodiumSuite().principal(of: publicKey) }

  var strength: KeyStrength? {
    guard case .sealed(let sealed) = content else { return nil }
    return sealed.strength
  }
}

// MARK: - Writing

extension KeyFile {
  /// The file of a key, encrypted if there is a passphrase.
  init(
    _ key: SigningKey, created: Timestamp, passphrase: [UInt8]?, strength: KeyStrength
  ) throws(KeyStoreError) {
    publicKey = key.publicKey
    self.created = created
    guard let passphrase else {
      content = .plain(seed: key.withSeed { [UInt8]($0) })
      return
    }
    guard !passphrase.isEmpty else {
      throw KeyStoreError(
        .emptyPassphrase, "an empty passphrase protects nothing: give one, or none at all")
    }
    let publicKey = publicKey
    content = .sealed(
      try SealedSeed(key, passphrase: passphrase, strength: strength) { salt, nonce in
        KeyFile.header(
          publicKey: publicKey, created: created, strength: strength, salt: salt, nonce: nonce)
      })
  }

  /// Every line before the secret, for a sealed key: what its encryption authenticates.
  private static func header(
    publicKey: [UInt8], created: Timestamp, strength: KeyStrength, salt: [UInt8], nonce: [UInt8]
  ) -> [UInt8] {
    [UInt8](
      """
      \(commonHeader(publicKey: publicKey, created: created))
      protection argon2id-xchacha20poly1305 passes=\(strength.passes) memory=\(strength.memory)
      salt \(hexadecimal(salt))
      nonce \(hexadecimal(nonce))

      """.utf8)
  }

  private static func commonHeader(publicKey: [UInt8], created: Timestamp) -> String {
    """
    headwater key 1
    suite \(SodiumSuite.identifier)
    principal \(SodiumSuite().principal(of: publicKey).hex)
    public \(hexadecimal(publicKey))
    created \(created)
    """
  }

  private var header: [UInt8] {
    switch content {
    case .plain:
      [UInt8](
        (KeyFile.commonHeader(publicKey: publicKey, created: created) + "\nprotection none\n").utf8)
    case .sealed(let sealed):
      KeyFile.header(
        publicKey: publicKey, created: created, strength: sealed.strength, salt: sealed.salt,
        nonce: sealed.nonce)
    }
  }

  /// The bytes of the file.
  func encoded() -> [UInt8] {
    let secret =
      switch content {
      case .plain(let seed): seed
      case .sealed(let sealed): sealed.ciphertext
      }
    var text = header
    text += "secret \(hexadecimal(secret))\n".utf8
    text += "checksum \(KeyFile.checksum(of: text))\n".utf8
    return text
  }

  private static func checksum(of text: some Collection<UInt8>) -> String {
    hexadecimal(SodiumSuite().hash(Array(text)).bytes[..<checksumByteCount])
  }
}

// MARK: - Reading

extension KeyFile {
  /// Reads the bytes of a file.
  ///
  /// - Parameter source: what to call the file in an error.
  init(decoding bytes: [UInt8], source: String) throws(KeyStoreError) {
    func damaged(_ what: String) -> KeyStoreError {
      KeyStoreError(
        .damaged, "\(source) is damaged: \(what). Restore it from a backup or an exported copy")
    }
    guard bytes.count <= KeyFile.maximumByteCount else { throw damaged("it is too long for a key") }
    guard let text = String(validating: bytes, as: UTF8.self),
      text.utf8.starts(with: "headwater key ".utf8)
    else { throw damaged("it does not begin like a key") }
    // The empty last piece stands for the line feed at the end.
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
    guard lines.count > 2, lines.popLast() == "", let checksum = lines.popLast(),
      checksum.hasPrefix("checksum ")
    else { throw damaged("it is cut short, or something follows its end") }
    guard lines.popFirst() == "headwater key 1" else {
      throw KeyStoreError(
        .unsupported, "\(source) is a key of a version that this program does not know: update it")
    }
    // Before anything else is believed, so that what is wrong below was not damaged by accident.
    guard checksum.dropFirst(9) == KeyFile.checksum(of: bytes.dropLast(checksum.utf8.count + 1))
    else { throw damaged("its checksum is not that of its content") }
    func value(of name: String) throws(KeyStoreError) -> Substring {
      guard let line = lines.popFirst(), line.hasPrefix(name + " ") else {
        throw damaged("the line '\(name)' is missing where it should be")
      }
      return line.dropFirst(name.count + 1)
    }
    func octets(of name: String, count: Int) throws(KeyStoreError) -> [UInt8] {
      guard let value = [UInt8](hex: try value(of: name)), value.count == count else {
        throw damaged("the line '\(name)' does not hold \(count) bytes")
      }
      return value
    }
    guard try value(of: "suite") == "\(SodiumSuite.identifier)" else {
      throw KeyStoreError(
        .unsupported, "\(source) is for a signature suite that this program does not know")
    }
    _ = try octets(of: "principal", count: Digest.byteCount)
    publicKey = try octets(of: "public", count: SodiumSuite().publicKeyByteCount)
    guard let created = Timestamp(try value(of: "created")) else {
      throw damaged("the line 'created' holds no time")
    }
    self.created = created
    let protection = try value(of: "protection")
    if protection == "none" {
      content = .plain(seed: try octets(of: "secret", count: SigningKey.seedByteCount))
    } else {
      let strength = try KeyFile.strength(protection, source: source)
      content = .sealed(
        SealedSeed(
          strength: strength, salt: try octets(of: "salt", count: SealedSeed.saltByteCount),
          nonce: try octets(of: "nonce", count: SealedSeed.nonceByteCount),
          ciphertext: try octets(of: "secret", count: SealedSeed.ciphertextByteCount)))
    }
    // Writing it again excludes every other spelling, and a principal that is not the key's.
    guard encoded() == bytes else { throw damaged("it is not written as a key is") }
  }

  private static func strength(
    _ protection: Substring, source: String
  ) throws(KeyStoreError) -> KeyStrength {
    let words = protection.split(separator: " ", omittingEmptySubsequences: false)
    func number(_ index: Int, _ name: String) -> UInt64? {
      guard words.count == 3, words[index].hasPrefix(name) else { return nil }
      return UInt64(words[index].dropFirst(name.count))
    }
    guard words.first == "argon2id-xchacha20poly1305", let passes = number(1, "passes="),
      let memory = number(2, "memory=")
    else {
      throw KeyStoreError(
        .unsupported, "\(source) is protected in a way that this program does not know")
    }
    guard let strength = KeyStrength(passes: passes, memory: memory) else {
      throw KeyStoreError(
        .unsupported,
        "\(source) asks for \(passes) passes over \(memory) bytes to open it; "
          + "at most \(KeyStrength.acceptedPasses.upperBound) passes over "
          + "\(KeyStrength.acceptedMemory.upperBound) bytes are granted")
    }
    return strength
  }

  /// The key itself.
  ///
  /// - Parameters:
  ///   - passphrase: not looked at if the key is not encrypted.
  ///   - source: what to call the file in an error.
  func key(passphrase: [UInt8]?, source: String) throws(KeyStoreError) -> SigningKey {
    let key: SigningKey
    switch content {
    case .plain(let seed):
      key = SigningKey(seed: seed)
    case .sealed(let sealed):
      guard let passphrase else {
        throw KeyStoreError(.passphraseRequired, "\(source) is encrypted: give its passphrase")
      }
      // The checksum was right, so damage by accident is all but excluded: it is the passphrase.
      guard let seed = try sealed.open(passphrase: passphrase, header: header) else {
        throw KeyStoreError(.wrongPassphrase, "that is not the passphrase of \(source)")
      }
      key = SigningKey(seed: seed)
    }
    guard key.publicKey == publicKey else {
      throw KeyStoreError(
        .damaged, "\(source) is damaged: its secret is not that of its public key")
    }
    return key
  }
}
