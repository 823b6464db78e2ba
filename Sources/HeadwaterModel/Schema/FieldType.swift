/// The type of a field, as the schema language spells it.
public indirect enum FieldType: Sendable, Hashable {
  case bool
  case int
  case float
  case decimal(precision: Int, scale: Int)
  case text(limit: Int?)
  case bytes(limit: Int?)
  case date
  case timestamp
  case uuid
  case json
  case principal
  /// The name of an enum of the schema.
  case enumeration(String)
  /// The name of a record of the schema.
  case record(String)
  /// The name of a collection of the schema.
  case reference(String)
  /// Absent or a value of the wrapped type, which is not itself optional.
  case optional(FieldType)
  case counter
  case set(FieldType)
  case map(FieldType, FieldType)
  case list(FieldType)
  case sharedText
  case multiValue(FieldType)
  /// A data type that the operator registers under that name.
  case custom(String)

  /// The type without `?`.
  public var wrapped: FieldType {
    if case .optional(let type) = self { return type }
    return self
  }

  /// Whether the type is written with `?`.
  public var isOptional: Bool {
    if case .optional = self { return true }
    return false
  }

  /// The collection referred to, if this is a reference, optional or not.
  public var referencedCollection: String? {
    if case .reference(let name) = wrapped { return name }
    return nil
  }

  /// Whether a *register* carries the type: a scalar, an enum, a record, a JSON value or a reference.
  public var isRegister: Bool {
    switch wrapped {
    case .counter, .set, .map, .list, .sharedText, .multiValue, .custom: false
    default: true
    }
  }
}
