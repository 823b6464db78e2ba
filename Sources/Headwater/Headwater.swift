@_exported import HeadwaterLog
@_exported import HeadwaterModel
@_exported import HeadwaterSodium
@_exported import HeadwaterStore
@_exported import HeadwaterStream
@_exported import HeadwaterSync

/// Opens and makes stores with the defaults wired together: BLAKE2b-256 and Ed25519 of libsodium.
public enum Headwater {
  /// Makes a new store (see `Store.create`).
  ///
  /// - Parameter path: where there is no file yet; nil for a store in memory.
  public static func create(
    at path: String?, schema: Schema, as signer: any Signer,
    options: Store.Options = Store.Options(), rows: (Draft) throws -> Void = { _ in }
  ) throws(StoreError) -> Store {
    try Store.create(
      at: path, schema: schema, as: signer, suite: SodiumSuite(), options: options, rows: rows)
  }

  /// Opens a store (see `Store.open`).
  public static func open(
    _ path: String, forWriting: Bool, options: Store.Options = Store.Options()
  ) throws(StoreError) -> Store {
    try Store.open(path, forWriting: forWriting, suite: SodiumSuite(), options: options)
  }

  /// Makes a store that is another replica of a database (see `Store.replicate`).
  public static func replicate(
    at path: String?, genesis: SignedOperation, options: Store.Options = Store.Options()
  ) throws(StoreError) -> Store {
    try Store.replicate(at: path, genesis: genesis, suite: SodiumSuite(), options: options)
  }
}
