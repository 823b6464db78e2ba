/// What an expression or condition can compute with: a `FieldType` without limits and without `?`.
enum ScalarType: Hashable {
  case bool, int, float, decimal, text, bytes, date, timestamp, uuid, principal
  case enumeration(String)
  case reference(String)

  /// Nil for records, JSON values and everything that is no register.
  init?(_ type: FieldType) {
    switch type.wrapped {
    case .bool: self = .bool
    case .int: self = .int
    case .float: self = .float
    case .decimal: self = .decimal
    case .text: self = .text
    case .bytes: self = .bytes
    case .date: self = .date
    case .timestamp: self = .timestamp
    case .uuid: self = .uuid
    case .principal: self = .principal
    case .enumeration(let name): self = .enumeration(name)
    case .reference(let name): self = .reference(name)
    case .record, .json, .counter, .set, .map, .list, .sharedText, .multiValue, .custom, .optional:
      return nil
    }
  }

  var isNumber: Bool { self == .int || self == .decimal || self == .float }

  /// Whether `<` has a meaning.
  var isOrdered: Bool {
    switch self {
    case .int, .float, .decimal, .text, .bytes, .date, .timestamp: true
    case .bool, .uuid, .principal, .enumeration, .reference: false
    }
  }

  var spelled: String {
    switch self {
    case .bool: "Bool"
    case .int: "Int"
    case .float: "Float"
    case .decimal: "Decimal"
    case .text: "Text"
    case .bytes: "Bytes"
    case .date: "Date"
    case .timestamp: "Timestamp"
    case .uuid: "UUID"
    case .principal: "Principal"
    case .enumeration(let name), .reference(let name): SchemaWords.spelledType(name)
    }
  }

  /// Whether values of both can be compared and, being numbers, added.
  func mixes(with other: ScalarType) -> Bool {
    self == other || (self == .int && other == .decimal) || (self == .decimal && other == .int)
  }

  /// How a literal of the type is written, for errors.
  var literalForm: String {
    switch self {
    case .bool: "true or false"
    case .int: "a whole number of 64 bits"
    case .float: "a number"
    case .decimal: "a number of at most 38 digits"
    case .text: "a string"
    case .bytes: #"hexadecimal digits in a string: "00ff""#
    case .date: #"a string: "2024-02-29""#
    case .timestamp: #"a string with a zone: "2024-02-29T12:00:00Z""#
    case .uuid: #"a string: "123e4567-e89b-12d3-a456-426614174000""#
    case .principal: "64 hexadecimal digits in a string"
    case .enumeration(let name): "a case of \(SchemaWords.spelledType(name))"
    case .reference: "no literal: a reference is compared with another reference"
    }
  }
}

extension ExpressionSyntax {
  /// Whether it is a number, string or boolean.
  var isLiteral: Bool {
    switch kind {
    case .number, .string, .bool: true
    default: false
    }
  }

  /// The value of a literal of that type; nil where it is none. Enums and references are the checker's.
  func literal(as type: ScalarType) -> Value? {
    switch (type, kind) {
    case (.bool, .bool(let value)): return .bool(value)
    case (.int, .number(let digits)): return SchemaNumber.integer(digits).map { .int($0) }
    case (.decimal, .number(let digits)): return ExactDecimal(digits).map { .decimal($0) }
    case (.float, .number(let digits)):
      guard let number = Double(digits), number.isFinite else { return nil }
      return Value.number(number)
    case (.text, .string(let text)): return .text(text)
    case (.bytes, .string(let text)): return [UInt8](hex: text).map { .bytes($0) }
    case (.date, .string(let text)): return CalendarDate(text).map { .date($0) }
    case (.timestamp, .string(let text)): return Timestamp(text).map { .timestamp($0) }
    case (.uuid, .string(let text)): return UUIDBytes(text).map { .uuid($0) }
    case (.principal, .string(let text)): return Digest(hex: text).map { .principal($0) }
    default: return nil
    }
  }

  /// The type that a literal has where nothing beside it says: Int if it is one, else Decimal; Text; Bool.
  var ownType: ScalarType? {
    switch kind {
    case .number(let digits): SchemaNumber.integer(digits) != nil ? .int : .decimal
    case .string: .text
    case .bool: .bool
    default: nil
    }
  }
}

enum SchemaNumber {
  /// The whole number of 64 bits that the digits spell, `1`, `1.0` and `1e0` alike.
  static func integer(_ digits: String) -> Int64? {
    guard let exact = ExactDecimal(digits), exact.scale == 0 else { return nil }
    return Int64(exactly: exact.coefficient)
  }

  /// The one spelling of a number: without trailing zeros and exponents where 38 digits suffice.
  static func canonical(_ digits: String) -> String {
    if let exact = ExactDecimal(digits) { return exact.text() }
    return Double(digits).map { spelled($0) } ?? digits
  }

  /// The shortest digits that give exactly this float.
  static func spelled(_ value: Double) -> String {
    if value.magnitude < 1e15, let whole = Int64(exactly: value) { return String(whole) }
    return value.description
  }
}
