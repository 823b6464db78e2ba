/// JSON as it was written: numbers keep their digits, members their order.
///
/// What a typed value is read from, because `0.1` means something else to a `Decimal` than to a `Float`.
/// Names within an object are unique, and no string holds U+0000.
public enum RawJSON: Sendable {
  case null
  case bool(Bool)
  /// A number in the spelling of RFC 8259.
  case number(String)
  case string(String)
  case array([RawJSON])
  case object([Member])

  /// A name and a value of an object.
  public struct Member: Sendable {
    public let name: String
    public let value: RawJSON

    public init(_ name: String, _ value: RawJSON) {
      self.name = name
      self.value = value
    }
  }

  /// The deepest nesting of arrays and objects: that of a JSON value, and of what may stand around one.
  public static let maximumDepth = JSON.maximumDepth + Limits.depth + 16

  /// Reads one value; throws unless `text` is exactly one in strict RFC 8259 and UTF-8, without a
  /// member twice, half a surrogate pair or U+0000.
  public init(text: UnsafeBufferPointer<UInt8>) throws(JSONError) {
    var parser = JSONParser(text, maximumDepth: RawJSON.maximumDepth)
    self = try parser.document(RawJSON.self)
  }

  /// As `init(text:)` of a buffer.
  public init(text: [UInt8]) throws(JSONError) {
    self = try text.withUnsafeBufferPointer { (bytes) throws(JSONError) in
      try RawJSON(text: bytes)
    }
  }

  /// As `init(text:)` of a buffer.
  public init(text: String) throws(JSONError) { try self.init(text: Array(text.utf8)) }

  /// The value of the member called `name`, if this is an object that has one.
  public subscript(name: String) -> RawJSON? {
    members?.first { utf8Compare($0.name, name) == 0 }?.value
  }

  /// The members, if this is an object.
  public var members: [Member]? {
    if case .object(let members) = self { return members }
    return nil
  }

  /// The elements, if this is an array.
  public var elements: [RawJSON]? {
    if case .array(let elements) = self { return elements }
    return nil
  }

  /// The string, if this is one.
  public var string: String? {
    if case .string(let string) = self { return string }
    return nil
  }

  /// The number, if this is one that is integral and fits: `7`, and also `7.0` and `0.7e1`.
  public var int: Int64? {
    guard case .number(let text) = self else { return nil }
    if let int = Int64(text) { return int }
    guard let exact = ExactDecimal(text), exact.scale == 0 else { return nil }
    return Int64(exactly: exact.coefficient)
  }
}

extension RawJSON: JSONNode {
  static var nullNode: RawJSON { .null }
  static func node(_ value: Bool) -> RawJSON { .bool(value) }
  static func node(_ value: String) -> RawJSON { .string(value) }
  static func node(_ values: [RawJSON]) -> RawJSON { .array(values) }
  static func node(members: [Member]) -> RawJSON { .object(members) }
  static func named(_ name: String, _ value: RawJSON) -> Member { Member(name, value) }
  static func name(of member: Member) -> String { member.name }
  static func node(_ number: JSONNumber, text: UnsafeBufferPointer<UInt8>)
    throws(JSONNumber.Refusal) -> RawJSON
  {
    .number(String(decoding: text, as: UTF8.self))
  }
}
