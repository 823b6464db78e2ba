import HeadwaterModel

/// Spells a check of the schema as a condition of the engine, if that is exact.
///
/// Absent values need no care: the schema's `and`, `or`, `not` and `in` know three truths, as SQL's do, and a check
/// that comes to none of true and false holds in both.
struct CheckSpelling {
  let dialect: any Dialect
  /// The column behind the path of a field; nil where the path names no scalar.
  let column: ([String]) -> RelationalTable.Column?

  /// The condition; nil where the engine cannot express it exactly.
  func condition(_ check: Expression) -> String? {
    guard let (text, kind) = spell(check) else { return nil }
    switch kind {
    case .truth, .column(.bool): return text
    default: return nil
    }
  }

  private func isOperand(_ expression: Expression) -> Bool {
    switch expression {
    case .literal, .field, .length: true
    default: false
    }
  }

  private func spell(_ expression: Expression) -> (String, CheckOperand)? {
    switch expression {
    case .literal(let value):
      return dialect.literal(value).map { ($0, .literal(value)) }
    case .field(let path):
      guard let column = column(path) else { return nil }
      return (dialect.quote(column.name), .column(column.type))
    case .not(let inner):
      guard let (text, kind) = spell(inner), kind.isTruth else { return nil }
      return ("NOT (\(text))", .truth)
    case .negate(let inner):
      if case .literal(let value) = inner, let negated = value.negated {
        return spell(.literal(negated))
      }
      // 0 − x, because that is where an engine may overflow or round.
      return spell(.binary(.subtract, .literal(.int(0)), inner))
    case .length(let inner):
      guard let (text, kind) = spell(inner), case .column(let type) = kind,
        let length = dialect.length(type, of: text)
      else { return nil }
      return (length, .integer)
    case .isIn(let subject, let list):
      guard let (text, kind) = spell(subject) else { return nil }
      var items: [String] = []
      for item in list {
        guard let (itemText, itemKind) = spell(item), dialect.compares(kind, itemKind) else {
          return nil
        }
        items.append(itemText)
      }
      guard !items.isEmpty else { return nil }
      return ("\(text) IN (\(items.joined(separator: ", ")))", .truth)
    case .binary(let operation, let left, let right):
      guard let (a, kindA) = spell(left), let (b, kindB) = spell(right) else { return nil }
      switch operation {
      case .and, .or:
        guard kindA.isTruth, kindB.isTruth else { return nil }
        return ("(\(a)) \(operation == .and ? "AND" : "OR") (\(b))", .truth)
      case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
        guard dialect.compares(kindA, kindB) else { return nil }
        return ("\(parenthesised(left, a)) \(operation.sql) \(parenthesised(right, b))", .truth)
      case .add, .subtract, .multiply:
        guard dialect.calculates(operation, kindA, kindB) else { return nil }
        let text = "\(parenthesised(left, a)) \(operation.sql) \(parenthesised(right, b))"
        return (text, kindA.isInteger && kindB.isInteger ? .integer : .decimal)
      }
    }
  }

  private func parenthesised(_ expression: Expression, _ text: String) -> String {
    isOperand(expression) ? text : "(\(text))"
  }
}

extension CheckOperand {
  fileprivate var isTruth: Bool {
    switch self {
    case .truth, .column(.bool), .literal(.bool): true
    default: false
    }
  }

  fileprivate var isInteger: Bool {
    switch self {
    case .integer, .column(.int), .literal(.int): true
    default: false
    }
  }
}

extension Value {
  fileprivate var negated: Value? {
    switch self {
    case .int(let value) where value != .min: .int(-value)
    case .float(let value): .number(-value)
    case .decimal(let value): .decimal(value.negated)
    default: nil
    }
  }
}

extension Expression.Operator {
  fileprivate var sql: String {
    switch self {
    case .equal: "="
    case .notEqual: "<>"
    case .or: "OR"
    case .and: "AND"
    default: rawValue
    }
  }
}
