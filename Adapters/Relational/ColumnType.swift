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

extension FieldType {
  /// The type as the schema language spells it.
  var spelling: String {
    switch self {
    case .bool: "Bool"
    case .int: "Int"
    case .float: "Float"
    case .decimal(let precision, let scale): "Decimal(\(precision), \(scale))"
    case .text(let limit): limit.map { "Text(\($0))" } ?? "Text"
    case .bytes(let limit): limit.map { "Bytes(\($0))" } ?? "Bytes"
    case .date: "Date"
    case .timestamp: "Timestamp"
    case .uuid: "UUID"
    case .json: "JSON"
    case .principal: "Principal"
    case .enumeration(let name), .record(let name), .reference(let name): name
    case .optional(let type): type.spelling + "?"
    case .counter: "Counter"
    case .set(let type): "Set<\(type.spelling)>"
    case .map(let key, let value): "Map<\(key.spelling), \(value.spelling)>"
    case .list(let type): "List<\(type.spelling)>"
    case .sharedText: "SharedText"
    case .multiValue(let type): "MultiValue<\(type.spelling)>"
    case .custom(let name): "custom \"\(name)\""
    }
  }
}
