/// What may come from a file or a peer has a size; these are the sizes.
public enum Limits {
  /// The longest text or byte string of one value, in bytes.
  public static let valueBytes = 8 << 20
  /// The longest cell of a CSV file, in bytes: a value of `valueBytes` in base64.
  public static let cellBytes = 12 << 20
  /// The longest record of a CSV file, and the longest line of an NDJSON file, in bytes.
  public static let recordBytes = 32 << 20
  /// The longest canonical encoding of one operation, in bytes.
  public static let operationBytes = 16 << 20
  /// The most changes in one operation.
  public static let changes = 65_536
  /// The most parents of one operation.
  public static let parents = 1_024
  /// The longest text of a schema, in bytes.
  public static let schemaBytes = 1 << 20
  /// All key fields of a row together (likewise the fields of a `@unique`), in bytes of their encoding.
  public static let keyBytes = 1_024
  /// How deep records and JSON values may nest.
  public static let depth = 64
}
