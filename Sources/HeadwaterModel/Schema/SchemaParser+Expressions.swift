extension SchemaParser {
  private static let additive = 5

  /// An expression from its first token to its last.
  mutating func wholeExpression() throws(Failure) -> ExpressionSyntax {
    expressionSize = 0
    return try expression(1, depth: 0)
  }

  /// The operator that comes next, and how tightly it binds.
  private func binaryOperator() -> (Expression.Operator, Int)? {
    if token.kind == .word {
      switch token.text {
      case "or": return (.or, 1)
      case "and": return (.and, 2)
      default: return nil
      }
    }
    guard token.kind == .symbol else { return nil }
    switch token.text {
    case "||": return (.or, 1)
    case "&&": return (.and, 2)
    case "=", "==": return (.equal, 4)
    case "!=": return (.notEqual, 4)
    case "<": return (.less, 4)
    case "<=": return (.lessOrEqual, 4)
    case ">": return (.greater, 4)
    case ">=": return (.greaterOrEqual, 4)
    case "+": return (.add, 5)
    case "-": return (.subtract, 5)
    case "*": return (.multiply, 6)
    default: return nil
    }
  }

  private mutating func grow() throws(Failure) {
    expressionSize += 1
    guard expressionSize <= SchemaParser.expressionSize else {
      throw fail("an expression of more than \(SchemaParser.expressionSize) parts")
    }
  }

  /// An expression of operators that bind at least as tightly as `minimum`.
  private mutating func expression(_ minimum: Int, depth: Int) throws(Failure) -> ExpressionSyntax {
    guard depth < Limits.depth else { throw fail("expressions nested too deep") }
    var left = try prefixed(depth: depth)
    var compared = false
    while true {
      let position = token.position
      if minimum <= 4, isWord("in") {
        guard !compared else {
          throw fail("comparisons do not chain", help: "join them with 'and'")
        }
        advance()
        try grow()
        left = ExpressionSyntax(.isIn(left, try list(depth: depth + 1)), position)
        compared = true
        continue
      }
      if token.kind == .symbol, token.text == "/" || token.text == "%" {
        throw fail("there is no division: it is not exact", help: "multiply the other side")
      }
      guard let (symbol, strength) = binaryOperator(), strength >= minimum else { return left }
      if strength == 4, compared {
        throw fail("comparisons do not chain", help: "join them with 'and'")
      }
      if token.text != symbol.rawValue {
        sink.report(position, "there is no '\(token.text)'", help: "write '\(symbol.rawValue)'")
      }
      advance()
      try grow()
      let right = try expression(strength + 1, depth: depth + 1)
      left = ExpressionSyntax(.binary(symbol, left, right), position)
      compared = strength == 4
    }
  }

  private mutating func prefixed(depth: Int) throws(Failure) -> ExpressionSyntax {
    let position = token.position
    try grow()
    if isWord("not") || isSymbol("!") {
      if isSymbol("!") { sink.report(position, "there is no '!'", help: "write 'not'") }
      advance()
      return ExpressionSyntax(.not(try expression(3, depth: depth + 1)), position)
    }
    if take("-") {
      let inner = try expression(7, depth: depth + 1)
      if case .number(let digits) = inner.kind {
        let negated = digits.hasPrefix("-") ? String(digits.dropFirst()) : "-" + digits
        return ExpressionSyntax(.number(negated), position)
      }
      return ExpressionSyntax(.negate(inner), position)
    }
    return try primary(depth: depth)
  }

  private mutating func primary(depth: Int) throws(Failure) -> ExpressionSyntax {
    let position = token.position
    switch token.kind {
    case .number:
      let digits = token.text
      advance()
      return ExpressionSyntax(.number(digits), position)
    case .digitsAndLetters:
      throw fail("\(found) is neither a number nor a name")
    case .string:
      let text = token.text
      advance()
      return ExpressionSyntax(.string(text), position)
    case .word where token.text == "true" || token.text == "false":
      let value = token.text == "true"
      advance()
      return ExpressionSyntax(.bool(value), position)
    case .word where token.text == "exists":
      advance()
      return try existence(position, depth: depth)
    case .word, .quotedName:
      return try path(position, depth: depth)
    case .symbol where token.text == "$":
      advance()
      let variable = try name("'author' or 'peer' after '$'")
      return ExpressionSyntax(.variable(variable.text), position)
    case .symbol where token.text == "(":
      advance()
      let inner = try expression(1, depth: depth + 1)
      try expect(")", "to close the parenthesis")
      return inner
    default:
      throw fail("expected a value, a name or '(', found \(found)")
    }
  }

  private mutating func path(_ position: SchemaPosition, depth: Int) throws(Failure)
    -> ExpressionSyntax
  {
    let first = try name("a name")
    if isSymbol("("), !first.isQuoted {
      advance()
      var arguments: [ExpressionSyntax] = []
      if !isSymbol(")") {
        repeat {
          arguments.append(try expression(1, depth: depth + 1))
        } while take(",")
      }
      try expect(")", "after the arguments of '\(first.text)'")
      return ExpressionSyntax(.call(first, arguments), position)
    }
    var names = [first]
    while take(".") {
      try grow()
      guard names.count < Limits.depth else { throw fail("a path too long") }
      names.append(try name("the name of a field after '.'"))
    }
    return ExpressionSyntax(.path(names), position)
  }

  /// `[a, b]`
  private mutating func list(depth: Int) throws(Failure) -> [ExpressionSyntax] {
    try expect("[", "before the values after 'in'")
    var items: [ExpressionSyntax] = []
    while !isSymbol("]") {
      items.append(try expression(SchemaParser.additive, depth: depth))
      if !take(",") { break }
    }
    try expect("]", "after the values")
    return items
  }

  /// `C(field: operand or operand, …)`, after `exists`.
  private mutating func existence(_ position: SchemaPosition, depth: Int) throws(Failure)
    -> ExpressionSyntax
  {
    let collection = try name("the name of a collection after 'exists'")
    try expect("(", "after the name of the collection")
    var matches: [MatchSyntax] = []
    while !isSymbol(")") {
      var match = MatchSyntax(field: try name("the name of a field"), operands: [])
      if isSymbol("=") || isSymbol("==") {
        sink.report(token.position, "expected ':' after the field", help: "write 'field: value'")
        advance()
      } else {
        try expect(":", "after the field")
      }
      repeat {
        try grow()
        match.operands.append(try expression(SchemaParser.additive, depth: depth + 1))
      } while takeWord("or")
      if isWord("and") {
        throw fail("'and' cannot stand here", help: "a comma between matches says 'and'")
      }
      matches.append(match)
      if !take(",") { break }
    }
    try expect(")", "after the matches")
    return ExpressionSyntax(.exists(collection, matches), position)
  }
}
