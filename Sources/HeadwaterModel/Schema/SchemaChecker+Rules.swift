extension SchemaChecker {
  /// Where a condition stands: what `new` and `row` mean there.
  struct RuleScope {
    /// Nil for rules of upgrades and of connecting.
    let collection: Int?
    let actions: [Rule.Action]
    /// Whether it says who may connect: then there is a peer, and no author.
    var isConnect = false

    /// The only variable there is.
    var variable: String { isConnect ? "peer" : "author" }
  }

  // MARK: - Rules

  func collectionRules(_ index: Int) -> [Rule] {
    let opensAll = syntax.rules.contains { $0.actions.contains { $0.text == "everything" } }
    var rules: [Rule] = []
    for rule in syntax.collections[index].rules {
      if opensAll {
        sink.report(
          rule.position, "'allow everything' at the top leaves no rule a meaning",
          help: "remove the one or the other")
      }
      var actions: [Rule.Action] = []
      for name in rule.actions {
        guard let action = Rule.Action(rawValue: name.text) else {
          let isTop = ["everything", "upgrade", "connect"].contains(name.text)
          sink.report(
            name.position,
            isTop
              ? "'allow \(name.text)' stands at the top of the schema, outside of collections"
              : "there is no action '\(name.text)'",
            help: isTop
              ? nil
              : suggestion(name.text, in: Rule.Action.allCases.map(\.rawValue))
                ?? "the actions are create, update and delete")
          continue
        }
        if actions.contains(action) {
          sink.report(name.position, "'\(name.text)' stands here twice")
        } else {
          actions.append(action)
        }
      }
      let scope = RuleScope(collection: index, actions: actions)
      let condition = rule.condition.flatMap { self.condition($0, scope) }
      if rule.condition != nil, condition == nil { continue }
      rules.append(
        Rule(actions: Rule.Action.allCases.filter { actions.contains($0) }, condition: condition))
    }
    return rules
  }

  /// What the rules outside of collections say.
  struct TopRules {
    var allowsEverything = false
    var upgrade: [Condition?] = []
    var connect: [Condition?] = []
  }

  func topRules() -> TopRules {
    var result = TopRules()
    var everything: RuleSyntax?
    for rule in syntax.rules {
      for name in rule.actions where !["upgrade", "everything", "connect"].contains(name.text) {
        let isAction = Rule.Action(rawValue: name.text) != nil
        sink.report(
          name.position,
          isAction
            ? "'allow \(name.text)' stands in a collection" : "there is no action '\(name.text)'",
          help: isAction
            ? nil
            : suggestion(name.text, in: ["upgrade", "everything", "connect"])
              ?? "at the top there are 'allow upgrade', 'allow connect' and 'allow everything'")
      }
      let isEverything = rule.actions.contains { $0.text == "everything" }
      if isEverything {
        if everything != nil { sink.report(rule.position, "'allow everything' stands here twice") }
        if rule.actions.count > 1 || rule.condition != nil {
          sink.report(
            rule.position, "'allow everything' has no condition and no other action",
            help: "write rules in each collection instead")
        }
        everything = rule
      } else if rule.actions.count > 1 {
        sink.report(rule.position, "'allow \(rule.actions[0].text)' stands alone")
      }
      let isConnect = rule.actions.contains { $0.text == "connect" }
      let scope = RuleScope(collection: nil, actions: [], isConnect: isConnect)
      let condition = rule.condition.flatMap { self.condition($0, scope) }
      guard !isEverything, rule.condition == nil || condition != nil else { continue }
      if isConnect { result.connect.append(condition) } else { result.upgrade.append(condition) }
    }
    if let everything, !result.upgrade.isEmpty || !result.connect.isEmpty {
      let (what, word) =
        result.upgrade.isEmpty ? ("connecting", "connect") : ("upgrades", "upgrade")
      sink.report(
        everything.position, "'allow everything' allows \(what) too",
        help: "remove 'allow everything' or 'allow \(word)'")
    }
    result.allowsEverything = everything != nil
    return result
  }

  // MARK: - Conditions

  private static let noNegation =
    "a rule has no 'not': an operation that has not arrived yet could make it false, so replicas would disagree"

  /// The condition; nil after a report.
  func condition(_ syntax: ExpressionSyntax, _ scope: RuleScope) -> Condition? {
    switch syntax.kind {
    case .binary(.and, let left, let right):
      let (a, b) = (condition(left, scope), condition(right, scope))
      guard let a, let b else { return nil }
      return .and(a, b)
    case .binary(.or, let left, let right):
      let (a, b) = (condition(left, scope), condition(right, scope))
      guard let a, let b else { return nil }
      return .or(a, b)
    case .binary(let symbol, let left, let right):
      guard let comparison = Condition.Comparison(rawValue: symbol.rawValue) else {
        sink.report(
          syntax.position, "a rule does not compute",
          help: "compare fields and literals, or write a '@check'")
        return nil
      }
      return compare(left, comparison, right, syntax.position, scope)
    case .isIn(let subject, let items): return membership(subject, items, syntax.position, scope)
    case .exists(let collection, let matches):
      return existence(collection, matches, scope)
    case .not(let inner):
      if case .exists = inner.kind {
        sink.report(
          syntax.position, SchemaChecker.noNegation,
          help: "ask for a row that grants it, which is deleted to take it away")
      } else {
        sink.report(
          syntax.position, SchemaChecker.noNegation,
          help: "write the opposite comparison, such as '!='")
      }
      return nil
    case .bool(let value):
      sink.report(
        syntax.position, "a condition that is always \(value)",
        help: value ? "write 'allow' without 'if'" : "leave the rule out: without one nobody may")
      return nil
    case .path(let names) where names.count == 2:
      sink.report(
        syntax.position, "a condition compares",
        help: "write '\(names[0].text).\(names[1].text) == true'")
      return nil
    case .path(let names):
      if !reportClock(names[0].text, syntax.position) {
        sink.report(syntax.position, "expected a condition: a comparison or 'exists C(…)'")
      }
      return nil
    case .call(let name, _):
      if !reportClock(name.text, syntax.position) {
        sink.report(syntax.position, "a rule calls no functions")
      }
      return nil
    case .number, .string, .variable, .negate:
      sink.report(syntax.position, "expected a condition: a comparison or 'exists C(…)'")
      return nil
    }
  }

  private enum Side {
    case typed(Condition.Operand, ScalarType)
    /// A literal or the case of an enum, which the other side gives a type.
    case constant(ExpressionSyntax)
  }

  private func compare(
    _ left: ExpressionSyntax, _ comparison: Condition.Comparison, _ right: ExpressionSyntax,
    _ position: SchemaPosition, _ scope: RuleScope
  ) -> Condition? {
    let (a, b) = (side(left, scope), side(right, scope))
    guard let a, let b else { return nil }
    let first: Condition.Operand
    let second: Condition.Operand
    let type: ScalarType
    switch (a, b) {
    case (.typed(let x, let typeX), .typed(let y, let typeY)):
      guard let common = common(typeX, typeY, position) else { return nil }
      (first, second, type) = (x, y, common)
    case (.typed(let x, let typeX), .constant(let literal)):
      guard let reduced = reduced(typeX, position), let y = operand(literal, as: reduced) else {
        return nil
      }
      (first, second, type) = (x, y, reduced)
    case (.constant(let literal), .typed(let y, let typeY)):
      guard let reduced = reduced(typeY, position), let x = operand(literal, as: reduced) else {
        return nil
      }
      (first, second, type) = (x, y, reduced)
    case (.constant, .constant):
      sink.report(
        position, "this compares two constants", help: "name a field as new.field or row.field")
      return nil
    }
    if comparison != .equal, comparison != .notEqual, !type.isOrdered {
      sink.report(
        position, "\(type.spelled) has no order, so there is no '\(comparison.rawValue)'",
        help: "write '==', '!=' or 'in'")
      return nil
    }
    return .compare(first, comparison, second)
  }

  private func membership(
    _ subject: ExpressionSyntax, _ items: [ExpressionSyntax], _ position: SchemaPosition,
    _ scope: RuleScope
  ) -> Condition? {
    guard let left = side(subject, scope) else { return nil }
    guard case .typed(let operand, let type) = left else {
      sink.report(subject.position, "a constant before 'in'", help: "name a field before 'in'")
      return nil
    }
    if items.isEmpty { sink.report(position, "'in' needs one value at least") }
    let operands = items.map { self.operand($0, against: type, scope) }
    let known = operands.compactMap { $0 }
    return known.count == operands.count && !known.isEmpty ? .isIn(operand, known) : nil
  }

  private func existence(_ name: NameSyntax, _ matches: [MatchSyntax], _ scope: RuleScope)
    -> Condition?
  {
    guard let target = collectionIndex(name) else { return nil }
    // Who may connect is no matter of verdicts, so it makes no collection strict.
    if !scope.isConnect { lookedInto.insert(syntax.collections[target].name.text) }
    var seen: Set<String> = []
    var result: [Condition.Match] = []
    for match in matches {
      if !seen.insert(match.field.text).inserted {
        sink.report(
          match.field.position, "'\(match.field.text)' stands here twice",
          help: "write 'field: one or other'")
      }
      guard let type = ruleField(match.field, of: target, "a rule may look at") else { continue }
      let operands = match.operands.map { operand($0, against: type, scope) }
      let known = operands.compactMap { $0 }
      guard known.count == operands.count else { continue }
      result.append(Condition.Match(field: match.field.text, operands: known))
    }
    guard result.count == matches.count else { return nil }
    return .exists(collection: syntax.collections[target].name.text, matches: result)
  }

  // MARK: - Operands

  private func operand(_ syntax: ExpressionSyntax, against type: ScalarType, _ scope: RuleScope)
    -> Condition.Operand?
  {
    guard let side = side(syntax, scope) else { return nil }
    switch side {
    case .typed(let operand, let found):
      return common(type, found, syntax.position) == nil ? nil : operand
    case .constant(let literal):
      return reduced(type, syntax.position).flatMap { operand(literal, as: $0) }
    }
  }

  private func operand(_ syntax: ExpressionSyntax, as type: ScalarType) -> Condition.Operand? {
    if case .path(let names) = syntax.kind {
      guard case .enumeration = type else {
        if !reportClock(names[0].text, syntax.position) {
          sink.report(
            syntax.position, "'\(names[0].text)' names nothing here",
            help: "write new.\(names[0].text) or row.\(names[0].text) for a field, quotes for text")
        }
        return nil
      }
    }
    return literal(syntax, as: type, "the value").map { .literal($0) }
  }

  private func side(_ syntax: ExpressionSyntax, _ scope: RuleScope) -> Side? {
    switch syntax.kind {
    case .number, .string, .bool: return .constant(syntax)
    case .variable(let name):
      guard name == scope.variable else {
        if !reportClock(name, syntax.position) {
          sink.report(
            syntax.position,
            name == "peer"
              ? "'$peer' stands in 'allow connect' only"
              : name == "author"
                ? "whoever connects writes nothing, so there is no '$author'"
                : "there is no '$\(name)'",
            help: "there is '$\(scope.variable)'")
        }
        return nil
      }
      return .typed(scope.isConnect ? .peer : .author, .principal)
    case .path(let names) where names.count == 1: return .constant(syntax)
    case .path(let names) where names.count == 2 && names[0].text == "new":
      return newField(names[1], syntax.position, scope)
    case .path(let names) where names.count == 2 && names[0].text == "row":
      return rowField(names[1], syntax.position, scope)
    case .path(let names):
      let isRow = names[0].text == "new" || names[0].text == "row"
      sink.report(
        syntax.position,
        isRow
          ? "a rule names fields of the row, not fields of a record in it"
          : "'\(names[0].text).' is nothing that a rule can look at",
        help: isRow ? nil : "there are $author, new.field, row.field and 'exists C(field: …)'")
      return nil
    case .call(let name, _):
      if !reportClock(name.text, syntax.position) {
        sink.report(syntax.position, "a rule calls no functions")
      }
      return nil
    case .not:
      sink.report(syntax.position, SchemaChecker.noNegation)
      return nil
    case .negate, .binary, .isIn, .exists:
      sink.report(
        syntax.position, "expected $author, new.field, row.field or a literal",
        help: "a rule compares single values; use parentheses around 'and' and 'or'")
      return nil
    }
  }

  private func newField(_ name: NameSyntax, _ position: SchemaPosition, _ scope: RuleScope) -> Side?
  {
    guard let collection = scope.collection else {
      sink.report(
        position,
        "\(scope.isConnect ? "connecting" : "an upgrade") creates no row, so there is no 'new'")
      return nil
    }
    if let other = scope.actions.first(where: { $0 != .create }) {
      sink.report(
        position, "'new' is the row that a create writes; '\(other.rawValue)' has none",
        help: "write a rule for 'create' apart, and one for '\(other.rawValue)' with 'row'")
      return nil
    }
    if hasGeneratedKey(collection), name.text == "id" {
      sink.report(
        name.position, "the generated 'id' is not known while its operation is written")
      return nil
    }
    guard let type = ruleField(name, of: collection, "a rule may look at") else { return nil }
    return .typed(.new(name.text), type)
  }

  private func rowField(_ name: NameSyntax, _ position: SchemaPosition, _ scope: RuleScope) -> Side?
  {
    guard let collection = scope.collection else {
      sink.report(
        position,
        "\(scope.isConnect ? "connecting" : "an upgrade") concerns no row, so there is no 'row'")
      return nil
    }
    if scope.actions.contains(.create) {
      sink.report(
        position, "'row' is the row as it was; a create has none",
        help: "write a rule for 'create' apart, with 'new.\(SchemaWords.spelled(name.text))'")
      return nil
    }
    guard let type = ruleField(name, of: collection, "a rule may look at") else { return nil }
    if !hasGeneratedKey(collection),
      draft(name.text, in: collectionDrafts[collection])?.isKey == false
    {
      sink.report(
        name.position,
        "'row.\(name.text)' is no key field: whoever creates the key again could answer for it",
        help: "add it to the key, or leave the key to be generated by removing '@key'")
      return nil
    }
    return .typed(.row(name.text), type)
  }

  /// The type of a readonly scalar field; nil after a report.
  private func ruleField(_ name: NameSyntax, of collection: Int, _ what: String) -> ScalarType? {
    let drafts = collectionDrafts[collection]
    let owner = syntax.collections[collection].name.text
    guard let draft = draft(name.text, in: drafts) else {
      if hasGeneratedKey(collection), name.text == "id" { return .uuid }
      sink.report(
        name.position, "'\(owner)' has no field '\(name.text)'",
        help: suggestion(name.text, in: drafts.map(\.name)))
      return nil
    }
    guard let type = draft.type else { return nil }
    guard draft.isReadonly else {
      sink.report(
        name.position,
        "'\(name.text)' can change, so replicas would disagree; \(what) readonly fields only",
        help:
          "write '@readonly' at '\(owner).\(name.text)', and delete and create rows to change it")
      return nil
    }
    guard let scalar = ScalarType(type) else {
      sink.report(name.position, "'\(name.text)' is no scalar, so a rule cannot compare it")
      return nil
    }
    return scalar
  }

  // MARK: - References

  /// The type that a reference compares as: its single-field key; nil after a report.
  private func reduced(_ type: ScalarType, _ position: SchemaPosition) -> ScalarType? {
    var type = type
    var steps = 0
    while case .reference(let name) = type {
      guard let found = lookUp(name), steps < SchemaChecker.keyDepth else { return nil }
      steps += 1
      if hasGeneratedKey(found.index) { return .uuid }
      let keys = collectionDrafts[found.index].filter { $0.isKey }
      guard keys.count == 1 else {
        sink.report(
          position,
          "'\(name)' has a key of \(keys.count) fields, so a reference to it is no single value",
          help: "compare it with another reference to '\(name)'")
        return nil
      }
      guard let keyType = keys[0].type, let scalar = ScalarType(keyType) else { return nil }
      type = scalar
    }
    return type
  }

  private func common(_ a: ScalarType, _ b: ScalarType, _ position: SchemaPosition) -> ScalarType? {
    if a == b { return a }
    guard let x = reduced(a, position), let y = reduced(b, position) else { return nil }
    guard x.mixes(with: y) else {
      sink.report(position, "\(a.spelled) and \(b.spelled) cannot be compared")
      return nil
    }
    return x
  }
}
