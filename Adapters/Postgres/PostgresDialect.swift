import HeadwaterModel
import HeadwaterRelational

/// What PostgreSQL answers to the questions of `Dialect`.
///
/// Names are kept in lower case, because that is what PostgreSQL makes of a name without quotes: `Product` in a
/// schema is found by `SELECT … FROM Product`.
public struct PostgresDialect: Dialect {
  /// Whether each table has a table of its rows' history beside it.
  let keepsHistory: Bool

  public init() { keepsHistory = false }

  init(keepsHistory: Bool) { self.keepsHistory = keepsHistory }

  public func quote(_ identifier: String) -> String { PostgresDialect.quote(identifier) }

  static func quote(_ identifier: String) -> String { quote(identifier, "\"") }

  /// The text as a literal, whatever `standard_conforming_strings` is.
  static func literal(_ text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "\\")) else { return quote(text, "'") }
    var escaped = ""
    for scalar in text.unicodeScalars {
      if scalar == "\\" { escaped.unicodeScalars.append("\\") }
      escaped.unicodeScalars.append(scalar)
    }
    return "E" + quote(escaped, "'")
  }

  private static func quote(_ text: String, _ mark: Unicode.Scalar) -> String {
    var quoted = String(mark)
    for scalar in text.unicodeScalars {
      if scalar == mark { quoted.unicodeScalars.append(mark) }
      quoted.unicodeScalars.append(scalar)
    }
    quoted.unicodeScalars.append(mark)
    return quoted
  }

  /// Longer names would be cut, not refused.
  public var maximumNameBytes: Int? { 63 }

  public func fold(_ identifier: String) -> String { identifier }

  /// In lower case where it is A–Z, as PostgreSQL folds names without quotes.
  public func preferred(_ identifier: String) -> String {
    String(
      decoding: identifier.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  /// The view that says how the mirror is doing stands among the others.
  public func isReserved(_ identifier: String) -> Bool {
    identifier.utf8.elementsEqual("status".utf8)
  }

  /// The columns that every table of PostgreSQL has, and those that a mirror may add.
  public func isReservedColumn(_ identifier: String) -> Bool {
    PostgresDialect.ownColumns.contains { identifier.utf8.elementsEqual($0.utf8) }
  }

  private static let ownColumns = [
    "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "_operation", "_author", "_changed",
    "_reason", "_from", "_until", "_from_position", "_until_position", "_end_operation",
    "_end_author", "_end_reason",
  ]

  public var companionSuffix: String? { keepsHistory ? "_history" : nil }

  public var tableSuffix: String { "" }

  public func nativeType(_ type: ColumnType) -> String {
    switch type {
    case .bool: "boolean"
    case .int: "bigint"
    case .float: "double precision"
    case .decimal(let precision, let scale): "numeric(\(precision),\(scale))"
    case .bytes: "bytea"
    case .date: "date"
    case .timestamp: "timestamp with time zone"
    case .uuid: "uuid"
    case .json: "jsonb"
    // The order of bytes is the order of the schema's texts, and of keys.
    case .text, .principal, .enumeration: "text COLLATE pg_catalog.\"C\""
    }
  }

  public func typeCheck(_ type: ColumnType, column: String) -> String? {
    switch type {
    case .text(let limit?): "char_length(\(column)) <= \(limit)"
    case .bytes(let limit?): "octet_length(\(column)) <= \(limit)"
    case .principal: "\(column) ~ '^[0-9a-f]{64}$'"
    case .enumeration(let cases):
      "\(column) IN (\(cases.map(PostgresDialect.literal).joined(separator: ", ")))"
    default: nil
    }
  }

  // A check that came with an upgrade does not bind the rows from before, and PostgreSQL has no session that writes
  // past a check. So the checks of a schema are not declared: a mirror would halt on a row that is right.

  public func literal(_ value: Value) -> String? { nil }

  public func compares(_ left: CheckOperand, _ right: CheckOperand) -> Bool { false }

  public func calculates(
    _ operation: Expression.Operator, _ left: CheckOperand, _ right: CheckOperand
  ) -> Bool { false }

  public func length(_ type: ColumnType, of expression: String) -> String? { nil }
}

/// The types of PostgreSQL's protocol that columns have.
struct WireType {
  let element: UInt32
  /// What an array parameter is cast to.
  let array: String

  init(_ type: ColumnType) {
    (element, array) =
      switch type {
      case .bool: (16, "bool[]")
      case .bytes: (17, "bytea[]")
      case .int: (20, "int8[]")
      case .text, .principal, .enumeration: (25, "text[]")
      case .float: (701, "float8[]")
      case .date: (1082, "date[]")
      case .timestamp: (1184, "timestamptz[]")
      case .decimal: (1700, "numeric[]")
      case .uuid: (2950, "uuid[]")
      case .json: (3802, "jsonb[]")
      }
  }
}

/// How the values of a column are written. Unlike its type this refers to nothing, so it costs nothing to pass on.
enum WireForm {
  case bool, int, float, text, bytes, date, timestamp, uuid, json, principal
  case decimal(precision: Int, scale: Int)

  init(_ type: ColumnType) {
    self =
      switch type {
      case .bool: .bool
      case .int: .int
      case .float: .float
      case .decimal(let precision, let scale): .decimal(precision: precision, scale: scale)
      case .text, .enumeration: .text
      case .bytes: .bytes
      case .date: .date
      case .timestamp: .timestamp
      case .uuid: .uuid
      case .json: .json
      case .principal: .principal
      }
  }
}
