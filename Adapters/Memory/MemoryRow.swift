import HeadwaterModel

/// One row, with its values by name.
public struct MemoryRow: Sendable, Hashable {
  /// The collection that the row is of.
  public let collection: CollectionType
  /// The values in the schema's order.
  public let row: Row

  /// The values of the key fields.
  public var key: Key { collection.key(of: row)! }

  /// The value of the field; nil where it is absent or there is no such field.
  public subscript(field: String) -> Value? {
    collection.fieldIndex(named: field).flatMap { row[$0] }
  }

  /// The value, if it is a boolean.
  public func bool(_ field: String) -> Bool? {
    if case .bool(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is an integer.
  public func int(_ field: String) -> Int64? {
    if case .int(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a float.
  public func double(_ field: String) -> Double? {
    if case .float(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a decimal.
  public func decimal(_ field: String) -> ExactDecimal? {
    if case .decimal(let value) = self[field] { value } else { nil }
  }
  /// A text, or the case of an enum.
  public func text(_ field: String) -> String? {
    if case .text(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a byte string.
  public func bytes(_ field: String) -> [UInt8]? {
    if case .bytes(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a date.
  public func date(_ field: String) -> CalendarDate? {
    if case .date(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a timestamp.
  public func timestamp(_ field: String) -> Timestamp? {
    if case .timestamp(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a UUID.
  public func uuid(_ field: String) -> UUIDBytes? {
    if case .uuid(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a JSON value.
  public func json(_ field: String) -> JSON? {
    if case .json(let value) = self[field] { value } else { nil }
  }
  /// The value, if it is a principal.
  public func principal(_ field: String) -> Digest? {
    if case .principal(let value) = self[field] { value } else { nil }
  }
  /// The key of the row that the field refers to.
  public func reference(_ field: String) -> Key? {
    if case .reference(let value) = self[field] { value } else { nil }
  }
  /// The values of a record in the schema's order.
  public func record(_ field: String) -> [Value?]? {
    if case .record(let value) = self[field] { value } else { nil }
  }
}
