/// One value of one field. An absent value is `nil` of `Value?`.
///
/// Which cases a field accepts is its `FieldType`'s to say: `FieldType.accepts(_:in:)`.
/// Equality and hashing go by bytes: two texts that only look alike are two values.
public enum Value: Sendable {
  case bool(Bool)
  case int(Int64)
  /// Never NaN, never −0.0: build it with `Value.number(_:)`.
  case float(Double)
  case decimal(ExactDecimal)
  /// Text, or the case of an enum. Never holds U+0000.
  case text(String)
  case bytes([UInt8])
  case date(CalendarDate)
  case timestamp(Timestamp)
  case uuid(UUIDBytes)
  case json(JSON)
  /// A public key's id.
  indirect case principal(Digest)
  /// The fields of a record in the order in which the schema declares them.
  case record([Value?])
  /// The key of the row that is referred to.
  case reference(Key)
  /// Within an operation only: the row with a generated id that change `index` of the same operation creates.
  case created(index: Int)

  /// A float with −0.0 made 0.0; nil for NaN.
  public static func number(_ value: Double) -> Value? {
    value.isNaN ? nil : .float(value == 0 ? 0 : value)
  }
}

extension Value: Hashable {
  public static func == (a: Value, b: Value) -> Bool {
    switch (a, b) {
    case (.bool(let x), .bool(let y)): x == y
    case (.int(let x), .int(let y)): x == y
    case (.float(let x), .float(let y)): x == y
    case (.decimal(let x), .decimal(let y)): x == y
    case (.text(let x), .text(let y)): utf8Compare(x, y) == 0
    case (.bytes(let x), .bytes(let y)): x == y
    case (.date(let x), .date(let y)): x == y
    case (.timestamp(let x), .timestamp(let y)): x == y
    case (.uuid(let x), .uuid(let y)): x == y
    case (.json(let x), .json(let y)): x == y
    case (.principal(let x), .principal(let y)): x == y
    case (.record(let x), .record(let y)): x == y
    case (.reference(let x), .reference(let y)): x == y
    case (.created(let x), .created(let y)): x == y
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .bool(let value): hasher.combine(value)
    case .int(let value): hasher.combine(value)
    case .float(let value): hasher.combine(value)
    case .decimal(let value): hasher.combine(value)
    case .text(let value): hashUTF8(value, into: &hasher)
    case .bytes(let value): hasher.combine(value)
    case .date(let value): hasher.combine(value)
    case .timestamp(let value): hasher.combine(value)
    case .uuid(let value): hasher.combine(value)
    case .json(let value): hasher.combine(value)
    case .principal(let value): hasher.combine(value)
    case .record(let value): hasher.combine(value)
    case .reference(let value): hasher.combine(value)
    case .created(let value): hasher.combine(value)
    }
  }
}

/// The key of a row: the values of its key fields in the order in which the schema declares them.
///
/// Keys are ordered as their values are (text and bytes by their bytes, numbers by size), field by field:
/// the order of `KeyEncoding`, of snapshots, and of a mirror's inventory.
public struct Key: Sendable, Hashable, Comparable {
  public let values: [Value]

  public init(_ values: [Value]) { self.values = values }

  public static func < (a: Key, b: Key) -> Bool {
    KeyEncoding.encode(a).lexicographicallyPrecedes(KeyEncoding.encode(b))
  }
}

/// The visible values of one row, one for each field of its collection, in the schema's order.
///
/// Key fields are included. An absent value is nil.
public struct Row: Sendable, Hashable {
  public var values: [Value?]

  public init(_ values: [Value?]) { self.values = values }

  /// The value of the field with that index.
  @inlinable
  public subscript(field: Int) -> Value? {
    get { values[field] }
    set { values[field] = newValue }
  }
}
