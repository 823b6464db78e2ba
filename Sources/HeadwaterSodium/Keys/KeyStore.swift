import HeadwaterModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Signing keys in files of one directory, each under a name, encrypted if it has a passphrase.
///
/// A key is written once: whole, durable, never over another one, readable by its owner only. Calls
/// block on files, and on about half a second of computing where a passphrase is involved. Any number
/// of processes and threads may use one directory.
///
/// A passphrase is bytes, taken as they are: whoever reads it from a person decides on its encoding
/// and may erase it afterwards. Keys without a passphrase pass through ordinary memory when they are
/// read or written; encrypted ones do not.
public struct KeyStore: Sendable {
  /// Where the files are.
  public var directory: String { files.path }

  private let files: KeyDirectory

  /// The store in `directory`, which is made when the first key is.
  public init(directory: String) {
    var path = directory[...]
    while path.count > 1, path.last == "/" { path.removeLast() }
    files = KeyDirectory(path: path.isEmpty ? "." : String(path))
  }

  /// Where keys are kept unless somebody says otherwise: `$HEADWATER_HOME/keys`, or else
  /// `$XDG_CONFIG_HOME/headwater/keys`, or else `$HOME/.config/headwater/keys`.
  ///
  /// Nil if none of these variables is set. Relative paths in them are ignored, as XDG wants it, but
  /// for `HEADWATER_HOME`.
  public static func defaultDirectory(
    variable: (String) -> String? = { getenv($0).map { String(cString: $0) } }
  ) -> String? {
    if let home = variable("HEADWATER_HOME"), !home.isEmpty { return home + "/keys" }
    if let home = variable("XDG_CONFIG_HOME"), home.hasPrefix("/") {
      return home + "/headwater/keys"
    }
    if let home = variable("HOME"), home.hasPrefix("/") {
      return home + "/.config/headwater/keys"
    }
    return nil
  }

  /// Makes a new key and keeps it under `name`.
  ///
  /// - Parameters:
  ///   - passphrase: encrypts the file; nil leaves it to the file's permissions.
  ///   - strength: what a guess at the passphrase costs, and every use of the key as well.
  public func create(
    _ name: String, passphrase: [UInt8]? = nil, strength: KeyStrength = .moderate
  ) throws(KeyStoreError) -> SigningKey {
    let key = SigningKey.generate()
    try add(key, as: name, passphrase: passphrase, strength: strength)
    return key
  }

  /// Keeps a key under `name`.
  public func add(
    _ key: SigningKey, as name: String, passphrase: [UInt8]? = nil,
    strength: KeyStrength = .moderate
  ) throws(KeyStoreError) {
    let fileName = try KeyStore.fileName(name)
    let file = try KeyFile(
      key, created: KeyStore.now(), passphrase: passphrase, strength: strength)
    var bytes = file.encoded()
    defer { bytes.erase() }
    try files.create(fileName, bytes: bytes)
  }

  /// The key called `name`, ready to sign.
  ///
  /// - Parameter passphrase: not looked at if the key is not encrypted.
  public func open(_ name: String, passphrase: [UInt8]? = nil) throws(KeyStoreError) -> SigningKey {
    try read(name).key(passphrase: passphrase, source: "the key '\(name)'")
  }

  /// What can be said of the key called `name` without its passphrase.
  public func describe(_ name: String) throws(KeyStoreError) -> KeyDescription {
    KeyDescription(name: name, file: try read(name))
  }

  /// Every key, in the order of the names' bytes; a file that cannot be read is listed with the reason.
  public func list() throws(KeyStoreError) -> [Listing] {
    var listings: [Listing] = []
    for fileName in try files.names() where fileName.hasSuffix(KeyStore.suffix) {
      let name = String(fileName.dropLast(KeyStore.suffix.count))
      guard KeyStore.isValid(name) else { continue }
      do throws(KeyStoreError) {
        listings.append(Listing(name: name, content: .success(try describe(name))))
      } catch {
        listings.append(Listing(name: name, content: .failure(error)))
      }
    }
    return listings
  }

  /// The key as a text with a checksum, encrypted exactly as it is in the store.
  public func export(_ name: String) throws(KeyStoreError) -> String {
    String(decoding: try read(name).encoded(), as: UTF8.self)
  }

  /// Keeps an exported key under `name`, with the passphrase that it has.
  ///
  /// Blank space around the text and carriage returns, as mail and clipboards add them, do not matter.
  /// The passphrase of an encrypted text is not checked: that takes `open`.
  public func `import`(_ text: String, as name: String) throws(KeyStoreError) -> KeyDescription {
    let fileName = try KeyStore.fileName(name)
    guard text.utf8.count <= 2 * KeyFile.maximumByteCount else {
      throw KeyStoreError(.damaged, "the text is too long for a key")
    }
    let blank: Set<UInt8> = [0x09, 0x0A, 0x20]
    var bytes = text.utf8.filter { $0 != 0x0D }
    bytes.removeFirst(bytes.prefix { blank.contains($0) }.count)
    bytes.removeLast(bytes.reversed().prefix { blank.contains($0) }.count)
    bytes.append(0x0A)
    defer { bytes.erase() }
    let file = try KeyFile(decoding: bytes, source: "the text")
    if file.strength == nil { _ = try file.key(passphrase: nil, source: "the text") }
    try files.create(fileName, bytes: bytes)
    return KeyDescription(name: name, file: file)
  }

  // MARK: - Names and files

  private static let suffix = ".key"

  private static func isValid(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 64 && !name.hasPrefix(".")
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
      }
  }

  private static func fileName(_ name: String) throws(KeyStoreError) -> String {
    guard isValid(name) else {
      throw KeyStoreError(
        .invalidName,
        "a key cannot be called '\(name)': a name is 1 to 64 of the characters A-Z a-z 0-9 . _ - "
          + "and does not begin with a dot")
    }
    return name + suffix
  }

  private func read(_ name: String) throws(KeyStoreError) -> KeyFile {
    let fileName = try KeyStore.fileName(name)
    var bytes: [UInt8]
    do throws(KeyStoreError) {
      bytes = try files.contents(of: fileName, limit: KeyFile.maximumByteCount)
    } catch  where error.code == .missing {
      throw KeyStoreError(
        .missing,
        "there is no key '\(name)' in \(directory); make it with: headwater key new \(name)")
    }
    defer { bytes.erase() }
    return try KeyFile(decoding: bytes, source: "\(directory)/\(fileName)")
  }

  private static func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    // Nobody needs to know the microsecond.
    return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000) ?? .minimum
  }
}

/// What can be said of a key in the store without its passphrase.
public struct KeyDescription: Sendable {
  public let name: String
  public let principal: Digest
  public let publicKey: [UInt8]
  public let created: Timestamp
  /// What a guess at the passphrase costs; nil if the key is not encrypted.
  public let strength: KeyStrength?
  /// Whether the key has a passphrase.
  public var isEncrypted: Bool { strength != nil }

  init(name: String, file: KeyFile) {
    self.name = name
    principal = file.principal
    publicKey = file.publicKey
    created = file.created
    strength = file.strength
  }
}

extension KeyStore {
  /// A file of the directory, and what it holds or why that cannot be said.
  public struct Listing: Sendable {
    public let name: String
    public let content: Result<KeyDescription, KeyStoreError>
  }
}
