import HeadwaterModel

/// The SQL that stands for the value at a path of a document, and the SQL of comparisons with it.
///
/// Indices are made of the same expressions, so that SQLite knows them again.
struct DocumentExpression {
  /// What is at the path.
  let shape: DocumentShape
  /// The names along the path, as documents have them.
  let path: [String]

  /// Decimals of no more digits than this differ as binary64 where they differ.
  private static let exactDigits = 15

  init(_ shape: DocumentShape, _ path: [String]) {
    // A reference to a key of one field is the value of that field.
    var shape = shape
    while case .reference(_, let fields) = shape, fields.count == 1 { shape = fields[0].shape }
    self.shape = shape
    self.path = path
  }

  /// `'$."size"."width"'`
  static func literalPath(_ names: [String]) -> String {
    "'$" + names.map { ".\"" + $0.replacing("'", with: "''") + "\"" }.joined() + "'"
  }

  private var text: String { "json_extract(document, \(DocumentExpression.literalPath(path)))" }

  /// Whether the value at the path is a single one, not an object or array.
  var isScalar: Bool {
    switch shape {
    case .json, .record, .reference: false
    default: true
    }
  }

  /// What is compared and indexed.
  var sql: String {
    switch shape {
    case .float:
      "CAST(CASE \(text) WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999 "
        + "ELSE \(text) END AS REAL)"
    case .decimal(let precision, _) where precision <= DocumentExpression.exactDigits:
      "CAST(\(text) AS REAL)"
    default: text
    }
  }

  /// Whether an index over `sql` serves comparisons.
  var isIndexable: Bool {
    if case .json = shape { return false }
    return true
  }

  /// Whether two values are the same where `sql` is: an index over it may be a unique one.
  var isExact: Bool {
    switch shape {
    case .json, .float: false
    // Decimals of so few digits differ as binary64 by more than SQLite's reader of numbers errs.
    default: true
    }
  }

  /// What orders documents by the value, absent ones first.
  func order(descending: Bool) -> [String] {
    let suffix = descending ? " DESC" : ""
    if case .decimal(let precision, _) = shape, precision > DocumentExpression.exactDigits {
      let column = sql
      return [
        DocumentExpression.signedLength(column) + suffix,
        "CASE WHEN \(column) >= '0' THEN \(column) END" + suffix,
        column + (descending ? "" : " DESC"),
      ]
    }
    return [sql + suffix]
  }

  /// Texts of one number of digits after the point are ordered by sign, length and digits.
  private static func signedLength(_ column: String) -> String {
    "CASE WHEN \(column) < '0' THEN -length(\(column)) ELSE length(\(column)) END"
  }

  // MARK: Comparing

  /// The condition that the value, which is a single one, compares so with `literal`.
  func compare(
    _ comparison: DocumentQuery.Comparison, _ literal: RawJSON, _ schema: Schema,
    _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    if case .null = literal {
      guard comparison == .equal else { throw mismatch("null has no order") }
      return "\(sql) IS NULL"
    }
    switch shape {
    case .decimal(let precision, let scale):
      return try compareDecimal(comparison, literal, precision, scale, &builder)
    case .int: return try compareInt(comparison, literal, &builder)
    case .bytes where comparison != .equal, .uuid where comparison != .equal,
      .bool where comparison != .equal, .principal where comparison != .equal:
      throw mismatch("its values have no order")
    case .record where comparison != .equal, .reference where comparison != .equal:
      throw mismatch("objects have no order")
    default: break
    }
    let value: Value
    do throws(ValueError) {
      value = try DocumentReading.value(literal, shape, schema)
    } catch {
      throw mismatch(error.description)
    }
    switch value {
    case .bool(let flag): return "\(sql) = \(flag ? 1 : 0)"
    case .float(let number):
      if number.isInfinite {
        return "\(sql) \(comparison.rawValue) \(number < 0 ? "-9e999" : "9e999")"
      }
      // Through the reader that reads the documents, so that equal texts are equal numbers.
      return
        "\(sql) \(comparison.rawValue) CAST(\(builder.bind(.text(number.description))) AS REAL)"
    default:
      var out: [UInt8] = []
      guard DocumentText.write(value, shape, into: &out) else { throw mismatch("another type") }
      let json = String(decoding: out, as: UTF8.self)
      guard isScalar else { return "\(sql) = \(builder.bind(.text(json)))" }
      // Of a string in quotes, what it stands for.
      let text = (try? RawJSON(text: out))?.string ?? json
      return "\(sql) \(comparison.rawValue) \(builder.bind(.text(text)))"
    }
  }

  private func mismatch(_ reason: String) -> QueryError {
    QueryError("\(path.joined(separator: ".")): \(reason)")
  }

  /// The number that a literal is.
  private func number(_ literal: RawJSON) throws(QueryError) -> ExactDecimal {
    let text: String
    switch literal {
    case .number(let digits), .string(let digits): text = digits
    default: throw mismatch("expected a number")
    }
    if let exact = ExactDecimal(text) { return exact }
    // Beyond 38 digits: as good as the nearest number that has so many, for what compares with fewer.
    guard let double = Double(text), double.isFinite else { throw mismatch("expected a number") }
    if double.magnitude < 1 { return ExactDecimal(coefficient: double < 0 ? -1 : 1, scale: 38)! }
    throw mismatch("a number of at most 38 digits is expected")
  }

  /// The greatest multiple of 10^−scale that is not above the number, and whether it is the number.
  private static func floor(_ number: ExactDecimal, scale: Int) -> (ExactDecimal, isExact: Bool) {
    guard Int(number.scale) > scale else { return (number, true) }
    var divisor: Int128 = 1
    for _ in 0..<(Int(number.scale) - scale) { divisor *= 10 }
    var quotient = number.coefficient / divisor
    if number.coefficient < 0 { quotient -= 1 }
    return (ExactDecimal(coefficient: quotient, scale: scale) ?? number, false)
  }

  /// How `value <comparison> number` reads with the number's floor instead; nil where it never holds.
  private static func onGrid(_ comparison: DocumentQuery.Comparison, isExact: Bool)
    -> DocumentQuery.Comparison?
  {
    if isExact { return comparison }
    switch comparison {
    case .equal: return nil
    case .less, .lessOrEqual: return .lessOrEqual
    case .greater, .greaterOrEqual: return .greater
    }
  }

  private func compareInt(
    _ comparison: DocumentQuery.Comparison, _ literal: RawJSON, _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    guard case .number = literal else { throw mismatch("expected a number") }
    let (floor, isExact) = DocumentExpression.floor(try number(literal), scale: 0)
    guard let comparison = DocumentExpression.onGrid(comparison, isExact: isExact) else {
      return "0"
    }
    if let whole = Int64(exactly: floor.coefficient) {
      return "\(sql) \(comparison.rawValue) \(builder.bind(.int(whole)))"
    }
    return beyond(comparison, isAbove: floor.coefficient > 0)
  }

  /// A comparison with a number above or below all that the type has.
  private func beyond(_ comparison: DocumentQuery.Comparison, isAbove: Bool) -> String {
    let holds =
      switch comparison {
      case .equal: false
      case .less, .lessOrEqual: isAbove
      case .greater, .greaterOrEqual: !isAbove
      }
    return holds ? "\(sql) IS NOT NULL" : "0"
  }

  private func compareDecimal(
    _ comparison: DocumentQuery.Comparison, _ literal: RawJSON, _ precision: Int, _ scale: Int,
    _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    let (floor, isExact) = DocumentExpression.floor(try number(literal), scale: scale)
    guard let comparison = DocumentExpression.onGrid(comparison, isExact: isExact) else {
      return "0"
    }
    guard floor.fits(precision: precision, scale: scale) else {
      return beyond(comparison, isAbove: floor.coefficient > 0)
    }
    let text = floor.text(scale: scale)
    if precision <= DocumentExpression.exactDigits {
      return "\(sql) \(comparison.rawValue) CAST(\(builder.bind(.text(text))) AS REAL)"
    }
    let parameter = builder.bind(.text(text))
    if comparison == .equal { return "\(sql) = \(parameter)" }
    let (a, b) = (
      DocumentExpression.signedLength(sql), DocumentExpression.signedLength(parameter)
    )
    let sign = comparison == .less || comparison == .lessOrEqual ? "<" : ">"
    let digits =
      "CASE WHEN \(sql) < '0' THEN \(parameter) \(comparison.rawValue) \(sql) "
      + "ELSE \(sql) \(comparison.rawValue) \(parameter) END"
    return "(\(a) \(sign) \(b) OR (\(a) = \(b) AND \(digits)))"
  }
}

extension String {
  /// The text with every `piece` replaced.
  fileprivate func replacing(_ piece: Character, with other: String) -> String {
    var out = ""
    for character in unicodeScalars {
      if Character(character) == piece {
        out += other
      } else {
        out.unicodeScalars.append(character)
      }
    }
    return out
  }
}

/// The parameters of a statement in the making, and names that are used once.
struct SQLBuilder {
  enum Parameter: Sendable, Equatable {
    case text(String)
    case int(Int64)
    case double(Double)
    case bytes([UInt8])
  }

  private(set) var parameters: [Parameter] = []
  private var aliases = 0

  /// `?1`: a placeholder for the value.
  mutating func bind(_ value: Parameter) -> String {
    parameters.append(value)
    return "?\(parameters.count)"
  }

  /// A name for a table that no other has.
  mutating func alias() -> String {
    aliases += 1
    return "v\(aliases)"
  }
}
