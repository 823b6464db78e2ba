import HeadwaterModel

/// The type of one column: what is left of a `FieldType` once records, references and `?` are expanded.
public enum ColumnType: Sendable, Hashable {
  case bool
  case int
  case float
  case decimal(precision: Int, scale: Int)
  /// At most `limit` Unicode scalars, where there is a limit.
  case text(limit: Int?)
  /// At most `limit` bytes, where there is a limit.
  case bytes(limit: Int?)
  case date
  case timestamp
  case uuid
  case json
  case principal
  /// One of these cases, in the order of the schema.
  case enumeration([String])
}
