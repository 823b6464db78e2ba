/// What the key store could not do, and what is to be done about it. Never holds a secret.
public struct KeyStoreError: Error, Sendable, CustomStringConvertible {
  /// What went wrong, for programs.
  public struct Code: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The name is not one that a key can have.
    public static let invalidName = Code(rawValue: "invalid-name")
    /// There is no key of that name.
    public static let missing = Code(rawValue: "missing")
    /// There is a key of that name already; keys are never overwritten.
    public static let exists = Code(rawValue: "exists")
    /// Others could read or replace the key, or the system does not let us.
    public static let permission = Code(rawValue: "permission")
    /// The key is encrypted, and no passphrase was given.
    public static let passphraseRequired = Code(rawValue: "passphrase-required")
    /// The passphrase is not the one that the key was encrypted with.
    public static let wrongPassphrase = Code(rawValue: "wrong-passphrase")
    /// An empty passphrase was given to protect a key.
    public static let emptyPassphrase = Code(rawValue: "empty-passphrase")
    /// The file is not a key, is cut short, or was changed.
    public static let damaged = Code(rawValue: "damaged")
    /// The file is of a later version, or asks for more than this one grants.
    public static let unsupported = Code(rawValue: "unsupported")
    /// The system failed to read or write.
    public static let inputOutput = Code(rawValue: "input-output")
    /// Deriving the key from the passphrase needs more memory than there is.
    public static let outOfMemory = Code(rawValue: "out-of-memory")
  }

  public let code: Code
  /// What happened, where, and what to do.
  public let message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { "\(message) (\(code))" }
}
