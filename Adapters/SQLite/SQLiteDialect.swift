import HeadwaterModel
import HeadwaterRelational

/// What SQLite answers to the questions of `Dialect`.
///
/// Its tables and indices share one namespace in which A–Z and a–z are the same, as they are in column names.
/// There are five storage classes, so types are kept in the form that SQLite's own functions understand.
public struct SQLiteDialect: Dialect {
  public init() {}

  /// Decimals of no more digits than this are exact in binary64: each is the nearest double of one decimal only.
  static let exactDigits = 15

  public func quote(_ identifier: String) -> String {
    guard identifier.utf8.contains(UInt8(ascii: "\"")) else { return "\"\(identifier)\"" }
    var quoted = "\""
    for scalar in identifier.unicodeScalars {
      if scalar == "\"" { quoted.unicodeScalars.append("\"") }
      quoted.unicodeScalars.append(scalar)
    }
    return quoted + "\""
  }

  public var maximumNameBytes: Int? { nil }

  public func fold(_ identifier: String) -> String {
    String(
      decoding: identifier.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  public func isReserved(_ identifier: String) -> Bool {
    fold(identifier).utf8.starts(with: "sqlite_".utf8)
  }

  public var tableSuffix: String { " STRICT" }

  public func nativeType(_ type: ColumnType) -> String {
    switch type {
    case .bool, .int: "INTEGER"
    case .float: "REAL"
    case .decimal(let precision, _): precision <= SQLiteDialect.exactDigits ? "REAL" : "TEXT"
    case .bytes: "BLOB"
    case .text, .date, .timestamp, .uuid, .json, .principal, .enumeration: "TEXT"
    }
  }

  public func typeCheck(_ type: ColumnType, column: String) -> String? {
    switch type {
    case .bool: "\(column) IN (0, 1)"
    case .text(let limit?), .bytes(let limit?): "length(\(column)) <= \(limit)"
    case .enumeration(let cases):
      "\(column) IN (\(cases.map(SQLiteDialect.quoteText).joined(separator: ", ")))"
    default: nil
    }
  }

  static func quoteText(_ text: String) -> String {
    var quoted = "'"
    for scalar in text.unicodeScalars {
      if scalar == "'" { quoted.unicodeScalars.append("'") }
      quoted.unicodeScalars.append(scalar)
    }
    return quoted + "'"
  }

  public func literal(_ value: Value) -> String? {
    switch value {
    case .bool(let value): return value ? "1" : "0"
    // SQLite reads the magnitude first, and that of the least integer is not an integer.
    case .int(let value): return value == .min ? "(-9223372036854775807 - 1)" : String(value)
    case .float(let value):
      // SQLite's reader does not round every long literal correctly; whole numbers it does.
      guard let whole = Int64(exactly: value), whole.magnitude <= 1 << 53 else { return nil }
      return "\(whole).0"
    case .decimal(let value):
      guard value.fits(precision: SQLiteDialect.exactDigits, scale: Int(value.scale)) else {
        return nil
      }
      // Up to three digits after the point the reader is exact; then a division is, being of exact operands.
      if value.scale <= 3 { return value.text(scale: 1) }
      return "(\(value.coefficient).0 / 1\(String(repeating: "0", count: Int(value.scale))).0)"
    case .text(let value): return SQLiteDialect.quoteText(value)
    case .bytes(let value): return "x'\(hexadecimal(value))'"
    case .date(let value): return SQLiteDialect.quoteText(value.description)
    case .timestamp(let value): return SQLiteDialect.quoteText(value.description)
    case .uuid(let value): return SQLiteDialect.quoteText(value.description)
    case .principal(let value): return SQLiteDialect.quoteText(value.hex)
    case .json, .record, .reference, .created: return nil
    }
  }

  private enum Family { case number, float, text, date, timestamp, uuid, principal, bytes, bool }

  public func compares(_ left: CheckOperand, _ right: CheckOperand) -> Bool {
    guard let a = family(left), let b = family(right) else { return false }
    if a == b { return true }
    switch (a, b) {
    case (.float, .number): return isSmallWhole(right)
    case (.number, .float): return isSmallWhole(left)
    default: return false
    }
  }

  /// Whether the operand is a literal that is the same number in binary64.
  private func isSmallWhole(_ operand: CheckOperand) -> Bool {
    switch operand {
    case .literal(.int(let value)): value.magnitude <= 1 << 53
    case .literal(.decimal(let value)): value.scale == 0 && value.coefficient.magnitude <= 1 << 53
    default: false
    }
  }

  private func family(_ operand: CheckOperand) -> Family? {
    switch operand {
    case .integer: return .number
    case .decimal: return nil
    case .truth: return .bool
    case .literal(let value):
      switch value {
      case .int, .decimal: return .number
      case .float: return .float
      case .text: return .text
      case .date: return .date
      case .timestamp: return .timestamp
      case .uuid: return .uuid
      case .principal: return .principal
      case .bytes: return .bytes
      case .bool: return .bool
      case .json, .record, .reference, .created: return nil
      }
    case .column(let type):
      switch type {
      case .int: return .number
      case .decimal(let precision, _): return precision <= SQLiteDialect.exactDigits ? .number : nil
      case .float: return .float
      case .text, .enumeration: return .text
      case .date: return .date
      case .timestamp: return .timestamp
      case .uuid: return .uuid
      case .principal: return .principal
      case .bytes: return .bytes
      case .bool: return .bool
      case .json: return nil
      }
    }
  }

  /// Never: integers that overflow become doubles, and decimals are doubles already.
  public func calculates(
    _ operation: Expression.Operator, _ left: CheckOperand, _ right: CheckOperand
  ) -> Bool { false }

  public func length(_ type: ColumnType, of expression: String) -> String? {
    switch type {
    case .text, .bytes: "length(\(expression))"
    default: nil
    }
  }
}
