/// What an expression comes to.
public enum ExpressionResult: Sendable, Hashable {
  case value(Value)
  /// A field that it needs is absent. A check that comes to this holds.
  case absent
  /// A number beyond 64 bits, 38 digits or the floats. A check that comes to this fails.
  case overflow

  /// Whether a check that came to this holds.
  public var holds: Bool { self == .absent || self == .value(.bool(true)) }
}

extension Expression {
  /// Computes the expression, exactly: nothing is rounded but floats.
  ///
  /// An absent operand makes the result absent, but for `and` and `or`, which know their result if the other
  /// side decides it (Kleene). `lookup` gives the value of a field by its path, nil where it is absent.
  public func evaluate(_ lookup: ([String]) -> Value?) -> ExpressionResult {
    switch self {
    case .literal(let value): return .value(value)
    case .field(let path): return lookup(path).map { .value($0) } ?? .absent
    case .not(let inner):
      let result = inner.evaluate(lookup)
      if case .value(.bool(let value)) = result { return .value(.bool(!value)) }
      return result
    case .negate(let inner):
      let result = inner.evaluate(lookup)
      guard case .value(let value) = result else { return result }
      return Expression.arithmetic(.subtract, .int(0), value)
    case .length(let inner):
      switch inner.evaluate(lookup) {
      case .value(.text(let text)): return .value(.int(Int64(text.unicodeScalars.count)))
      case .value(.bytes(let bytes)): return .value(.int(Int64(bytes.count)))
      case let other: return other
      }
    case .isIn(let subject, let items):
      let result = subject.evaluate(lookup)
      guard case .value(let value) = result else { return result }
      var undecided: ExpressionResult?
      for item in items {
        switch item.evaluate(lookup) {
        case .value(let other):
          if Value.compare(value, other) == 0 { return .value(.bool(true)) }
        case let other: undecided = undecided == .overflow ? .overflow : other
        }
      }
      return undecided ?? .value(.bool(false))
    case .binary(.and, let left, let right):
      return Expression.decide(left.evaluate(lookup), right.evaluate(lookup), by: false)
    case .binary(.or, let left, let right):
      return Expression.decide(left.evaluate(lookup), right.evaluate(lookup), by: true)
    case .binary(let symbol, let left, let right):
      let first = left.evaluate(lookup)
      let second = right.evaluate(lookup)
      guard case .value(let a) = first, case .value(let b) = second else {
        return first == .overflow || second == .overflow ? .overflow : .absent
      }
      switch symbol {
      case .add, .subtract, .multiply: return Expression.arithmetic(symbol, a, b)
      case .equal: return .value(.bool(Value.compare(a, b) == 0))
      case .notEqual: return .value(.bool(Value.compare(a, b) != 0))
      case .less: return .value(.bool(Value.compare(a, b) < 0))
      case .lessOrEqual: return .value(.bool(Value.compare(a, b) <= 0))
      case .greater: return .value(.bool(Value.compare(a, b) > 0))
      case .greaterOrEqual: return .value(.bool(Value.compare(a, b) >= 0))
      case .and, .or: return .absent
      }
    }
  }

  /// `and` if `false` decides, `or` if `true` does.
  private static func decide(_ a: ExpressionResult, _ b: ExpressionResult, by decisive: Bool)
    -> ExpressionResult
  {
    let decided = ExpressionResult.value(.bool(decisive))
    if a == decided || b == decided { return decided }
    if a == .overflow || b == .overflow { return .overflow }
    if a == .absent || b == .absent { return .absent }
    return .value(.bool(!decisive))
  }

  private static func arithmetic(_ symbol: Operator, _ a: Value, _ b: Value) -> ExpressionResult {
    switch (a, b) {
    case (.int(let x), .int(let y)):
      let (result, overflow) =
        switch symbol {
        case .subtract: x.subtractingReportingOverflow(y)
        case .multiply: x.multipliedReportingOverflow(by: y)
        default: x.addingReportingOverflow(y)
        }
      return overflow ? .overflow : .value(.int(result))
    case (.float(let x), .float(let y)): return floating(symbol, x, y)
    case (.int(0), .float(let y)): return floating(symbol, 0, y)
    default:
      guard let x = a.exactNumber, let y = b.exactNumber else { return .overflow }
      let result =
        switch symbol {
        case .subtract: ExactDecimal.add(x, y.negated)
        case .multiply: ExactDecimal.multiply(x, y)
        default: ExactDecimal.add(x, y)
        }
      return result.map { .value(.decimal($0)) } ?? .overflow
    }
  }

  private static func floating(_ symbol: Operator, _ x: Double, _ y: Double) -> ExpressionResult {
    let result =
      switch symbol {
      case .subtract: x - y
      case .multiply: x * y
      default: x + y
      }
    return Value.number(result).map { .value($0) } ?? .overflow
  }
}

extension Value {
  /// The number, if it is an integer or a decimal.
  var exactNumber: ExactDecimal? {
    switch self {
    case .int(let value): ExactDecimal(value)
    case .decimal(let value): value
    default: nil
    }
  }

  /// Negative, zero or positive as `a` comes before, is equal to or comes after `b`.
  ///
  /// For two values that the checker lets be compared: numbers by size (integers and decimals with each other,
  /// exactly), text and bytes by their bytes, times by time. Values without an order only tell whether they
  /// are equal.
  public static func compare(_ a: Value, _ b: Value) -> Int {
    func sign<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : (x == y ? 0 : 1) }
    switch (a, b) {
    case (.int(let x), .int(let y)): return sign(x, y)
    case (.float(let x), .float(let y)): return sign(x, y)
    case (.text(let x), .text(let y)): return utf8Compare(x, y)
    case (.date(let x), .date(let y)): return sign(x, y)
    case (.timestamp(let x), .timestamp(let y)): return sign(x, y)
    case (.bytes(let x), .bytes(let y)):
      return x == y ? 0 : (x.lexicographicallyPrecedes(y) ? -1 : 1)
    case (.int, .decimal), (.decimal, .int), (.decimal, .decimal):
      guard let x = a.exactNumber, let y = b.exactNumber else { return 1 }
      return ExactDecimal.compare(x, y)
    default: return a == b ? 0 : 1
    }
  }

  /// What a rule compares in place of a reference: its key, if that is a single value; otherwise the value itself.
  public var comparable: Value {
    var value = self
    while case .reference(let key) = value, key.values.count == 1 { value = key.values[0] }
    return value
  }
}

extension Condition.Comparison {
  /// Whether the comparison of a rule holds. An absent side makes it false, whatever the comparison.
  public func holds(_ a: Value?, _ b: Value?) -> Bool {
    guard let a, let b else { return false }
    let order = Value.compare(a.comparable, b.comparable)
    return switch self {
    case .equal: order == 0
    case .notEqual: order != 0
    case .less: order < 0
    case .lessOrEqual: order <= 0
    case .greater: order > 0
    case .greaterOrEqual: order >= 0
    }
  }
}
