extension SchemaChecker {
  /// The fields that an expression may name, and what it is for.
  private struct Scope {
    let table: FieldTable
    /// Whether this is a `@check`: then not every field may be named.
    let isCheck: Bool
  }

  /// A boolean expression over the fields of `drafts`; nil after a report.
  func checkExpression(_ syntax: ExpressionSyntax, in drafts: [Draft], position: SchemaPosition)
    -> Expression?
  {
    let scope = Scope(table: FieldTable(drafts), isCheck: true)
    guard let (expression, type) = typed(syntax, scope, expected: .bool) else { return nil }
    guard type == .bool else {
      sink.report(
        syntax.position, "a check is true or false; this is \(type.spelled)",
        help: "compare it with something: price >= 0")
      return nil
    }
    if expression.fieldPaths.isEmpty {
      sink.report(position, "a check that names no field checks nothing")
      return nil
    }
    return expression
  }

  /// An expression that computes a value of `type` from the fields of `drafts`; nil after a report.
  func computed(_ syntax: ExpressionSyntax, in drafts: [Draft], as type: ScalarType) -> Expression?
  {
    let scope = Scope(table: FieldTable(drafts), isCheck: false)
    guard let (expression, found) = typed(syntax, scope, expected: type) else { return nil }
    guard found.mixes(with: type) || found == type else {
      sink.report(syntax.position, "this is \(found.spelled), and \(type.spelled) is needed")
      return nil
    }
    return expression
  }

  // MARK: - Fields

  private enum Named {
    case field(ScalarType)
    /// Reported.
    case refused
    /// The first name is no field.
    case unknown
  }

  private func resolve(_ path: [NameSyntax], _ scope: Scope, quiet: Bool) -> Named {
    var table = scope.table
    for (index, name) in path.enumerated() {
      guard let draft = table[name.text] else {
        if index == 0 { return .unknown }
        if !quiet {
          sink.report(
            name.position, "'\(path[index - 1].text)' has no field '\(name.text)'",
            help: suggestion(name.text, in: table.drafts.map(\.name)))
        }
        return .refused
      }
      guard let type = draft.type else { return .refused }
      if scope.isCheck, let why = whyNotChecked(draft, type) {
        if !quiet { sink.report(name.position, "a check cannot name '\(name.text)': \(why)") }
        return .refused
      }
      if index == path.count - 1 {
        if let scalar = ScalarType(type) { return .field(scalar) }
        if !quiet {
          let isRecord = if case .record = type.wrapped { true } else { false }
          sink.report(
            name.position, "'\(name.text)' is no scalar, so nothing can be computed with it",
            help: isRecord ? "name a field of the record: \(name.text).field" : nil)
        }
        return .refused
      }
      guard case .record(let record) = type.wrapped, let found = lookUp(record) else {
        if !quiet { sink.report(name.position, "'\(name.text)' is no record, so it has no fields") }
        return .refused
      }
      table = recordTable(found.index)
    }
    return .unknown
  }

  private func whyNotChecked(_ draft: Draft, _ type: FieldType) -> String? {
    if !type.isRegister { return "it merges concurrent changes, which no check can refuse" }
    if draft.isKey { return "it is a key, and keys are readonly" }
    if draft.isReadonly {
      return "it is readonly, so concurrent creates could change it apart from the other fields"
    }
    // The policy by what is written: the record's own may not be settled yet.
    if type.referencedCollection != nil {
      var isNull = type.isOptional
      if case .path(let names)? = draft.attribute("onDelete")?.argument?.kind {
        isNull = names[0].text == "null"
      }
      if isNull { return "'@onDelete(null)' may make it absent at any time" }
    }
    return nil
  }

  // MARK: - Types

  /// The type that an expression has by the fields in it; nil where it has only literals. Reports nothing.
  private func anchor(_ syntax: ExpressionSyntax, _ scope: Scope) -> ScalarType? {
    switch syntax.kind {
    case .path(let names):
      if case .field(let type) = resolve(names, scope, quiet: true) { return type }
      return nil
    case .negate(let inner): return anchor(inner, scope)
    case .binary(let symbol, let left, let right):
      guard symbol == .add || symbol == .subtract || symbol == .multiply else { return .bool }
      let first = anchor(left, scope)
      guard let second = anchor(right, scope) else { return first }
      guard let first else { return second }
      return first == .decimal || second == .decimal ? .decimal : first
    case .not, .isIn, .exists: return .bool
    case .call: return .int
    case .number, .string, .bool, .variable: return nil
    }
  }

  private func typed(_ syntax: ExpressionSyntax, _ scope: Scope, expected: ScalarType?)
    -> (Expression, ScalarType)?
  {
    switch syntax.kind {
    case .number, .string, .bool: return typedLiteral(syntax, expected: expected)
    case .path(let names): return typedPath(names, syntax, scope, expected: expected)
    case .variable(let name):
      sink.report(
        syntax.position,
        name == "author"
          ? "'$author' can stand in rules only: a check depends on the row alone"
          : "there is no '$\(name)'",
        help: name == "author" ? "write 'allow … if' instead" : "in rules there is '$author'")
      return nil
    case .exists:
      sink.report(
        syntax.position, "'exists' can stand in rules only: a check depends on the row alone",
        help: "write 'allow … if exists …'")
      return nil
    case .call(let name, let arguments):
      guard name.text == "length" else {
        if !reportClock(name.text, syntax.position) {
          sink.report(
            name.position, "there is no function '\(name.text)'",
            help: suggestion(name.text, in: ["length"]))
        }
        return nil
      }
      guard arguments.count == 1 else {
        sink.report(name.position, "'length' takes one argument", help: "write 'length(name)'")
        return nil
      }
      let inner = typed(arguments[0], scope, expected: anchor(arguments[0], scope) ?? .text)
      guard let (expression, type) = inner else { return nil }
      guard type == .text || type == .bytes else {
        sink.report(name.position, "'length' is of Text or Bytes, not of \(type.spelled)")
        return nil
      }
      return (.length(expression), .int)
    case .not(let inner):
      guard let (expression, type) = typed(inner, scope, expected: .bool) else { return nil }
      guard requireBool(type, inner.position, "not") else { return nil }
      return (.not(expression), .bool)
    case .negate(let inner):
      let side = expected?.isNumber == true ? expected : anchor(inner, scope)
      let result = typed(inner, scope, expected: side)
      guard let (expression, type) = result else { return nil }
      guard type.isNumber else {
        sink.report(syntax.position, "'-' is for numbers, not for \(type.spelled)")
        return nil
      }
      return (.negate(expression), type)
    case .isIn(let subject, let items):
      return membership(subject, items, syntax.position, scope)
    case .binary(let symbol, let left, let right):
      return binary(symbol, left, right, syntax.position, scope, expected: expected)
    }
  }

  private func typedLiteral(_ syntax: ExpressionSyntax, expected: ScalarType?)
    -> (Expression, ScalarType)?
  {
    if let expected {
      // A fraction beside an Int is compared and computed exactly, as a Decimal.
      if expected == .int, let value = syntax.literal(as: .decimal), syntax.literal(as: .int) == nil
      {
        return (.literal(value), .decimal)
      }
      if case .enumeration = expected, case .string = syntax.kind {
        return literal(syntax, as: expected, "the value").map { (.literal($0), expected) }
      }
      if let value = syntax.literal(as: expected) { return (.literal(value), expected) }
      if case .string = syntax.kind, expected != .bool, !expected.isNumber {
        sink.report(syntax.position, "the value is \(expected.spelled): \(expected.literalForm)")
        return nil
      }
    }
    if let own = syntax.ownType, let value = syntax.literal(as: own) {
      return (.literal(value), own)
    }
    sink.report(syntax.position, "a number of more than 38 digits")
    return nil
  }

  private func typedPath(
    _ names: [NameSyntax], _ syntax: ExpressionSyntax, _ scope: Scope, expected: ScalarType?
  ) -> (Expression, ScalarType)? {
    switch resolve(names, scope, quiet: false) {
    case .field(let type): return (.field(names.map(\.text)), type)
    case .refused: return nil
    case .unknown: break
    }
    if case .enumeration? = expected, let expected, names.count == 1 {
      return literal(syntax, as: expected, "the value").map { (.literal($0), expected) }
    }
    if names.count > 1, names[0].text == "new" || names[0].text == "row" {
      sink.report(
        syntax.position, "'\(names[0].text).' stands in rules; a check names the field alone",
        help: "write '\(names[1].text)'")
    } else if !reportClock(names[0].text, syntax.position) {
      sink.report(
        syntax.position, "there is no field '\(names[0].text)'",
        help: suggestion(names[0].text, in: scope.table.drafts.map(\.name)))
    }
    return nil
  }

  /// Explains why there is no clock, if that is what was asked for.
  func reportClock(_ name: String, _ position: SchemaPosition) -> Bool {
    guard ["now", "today", "time", "clock"].contains(name) else { return false }
    sink.report(
      position,
      "there is no '\(name)': clocks differ and can be set at will, so replicas would disagree",
      help:
        "let somebody who may do so delete a row when its time has come, and ask whether it 'exists'"
    )
    return true
  }

  private func requireBool(_ type: ScalarType, _ position: SchemaPosition, _ symbol: String) -> Bool
  {
    if type == .bool { return true }
    sink.report(position, "'\(symbol)' joins what is true or false, and this is \(type.spelled)")
    return false
  }

  private func membership(
    _ subject: ExpressionSyntax, _ items: [ExpressionSyntax], _ position: SchemaPosition,
    _ scope: Scope
  ) -> (Expression, ScalarType)? {
    let expected = anchor(subject, scope)
    guard let (left, type) = typed(subject, scope, expected: expected) else { return nil }
    if items.isEmpty { sink.report(position, "'in' needs one value at least") }
    var list: [Expression] = []
    for item in items {
      guard let (value, found) = typed(item, scope, expected: type) else { continue }
      guard type.mixes(with: found) else {
        sink.report(
          item.position, "\(type.spelled) and \(found.spelled) cannot be compared",
          help: caseHelp(item, type))
        continue
      }
      list.append(value)
    }
    return list.count == items.count && !items.isEmpty ? (.isIn(left, list), .bool) : nil
  }

  /// How to write the case of an enum that a field hides.
  private func caseHelp(_ syntax: ExpressionSyntax, _ type: ScalarType) -> String? {
    guard case .enumeration(let name) = type, case .path(let names) = syntax.kind,
      names.count == 1, cases(of: name).contains(names[0].text)
    else { return nil }
    return "'\(names[0].text)' is a field here; write the case as a string: \"\(names[0].text)\""
  }

  private func binary(
    _ symbol: Expression.Operator, _ left: ExpressionSyntax, _ right: ExpressionSyntax,
    _ position: SchemaPosition, _ scope: Scope, expected: ScalarType?
  ) -> (Expression, ScalarType)? {
    let isLogic = symbol == .and || symbol == .or
    let isArithmetic = symbol == .add || symbol == .subtract || symbol == .multiply
    var (sideX, sideY) = (expected, expected)
    if isLogic {
      (sideX, sideY) = (.bool, .bool)
    } else if !isArithmetic || expected?.isNumber != true {
      // One type for all literals of a sum: found at its top, so that no part is looked at twice.
      let (a, b) = (anchor(left, scope), anchor(right, scope))
      (sideX, sideY) = (a ?? b, b ?? a)
    }
    let first = typed(left, scope, expected: sideX)
    let second = typed(right, scope, expected: sideY)
    guard let (x, typeX) = first, let (y, typeY) = second else { return nil }
    if isLogic {
      let fits = [
        requireBool(typeX, left.position, symbol.rawValue),
        requireBool(typeY, right.position, symbol.rawValue),
      ]
      return fits.contains(false) ? nil : (.binary(symbol, x, y), .bool)
    }
    guard typeX.mixes(with: typeY) else {
      sink.report(
        position,
        "\(typeX.spelled) and \(typeY.spelled) cannot be \(isArithmetic ? "computed" : "compared") with each other",
        help: typeX.isNumber && typeY.isNumber
          ? "a Float is not exact: use one type for both"
          : caseHelp(right, typeX) ?? caseHelp(left, typeY))
      return nil
    }
    if isArithmetic {
      guard typeX.isNumber else {
        sink.report(position, "'\(symbol.rawValue)' is for numbers, not for \(typeX.spelled)")
        return nil
      }
      return (.binary(symbol, x, y), typeX == .decimal || typeY == .decimal ? .decimal : typeX)
    }
    if symbol != .equal, symbol != .notEqual, !typeX.isOrdered {
      sink.report(
        position, "\(typeX.spelled) has no order, so there is no '\(symbol.rawValue)'",
        help: "write '==', '!=' or 'in'")
      return nil
    }
    return (.binary(symbol, x, y), .bool)
  }
}
