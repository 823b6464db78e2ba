extension UpgradeEditor {
  // MARK: - Types

  mutating func renameType(_ kind: DeclarationKind, _ from: NameSyntax, _ to: NameSyntax)
    throws(Failure)
  {
    let index = try index(from, of: kind)
    try requireNew(to, among: declaredNames, "a type")
    let renamed = NameSyntax(to.text, to.position, isQuoted: true)
    switch kind {
    case .enumeration: syntax.enums[index].name = to
    case .record: syntax.records[index].name = to
    case .collection: syntax.collections[index].name = to
    }
    func rename(_ type: inout TypeSyntax) {
      let isBuiltIn = !type.name.isQuoted && SchemaWords.types.contains(type.name.text)
      if !isBuiltIn, type.name.text == from.text { type.name = renamed }
      for index in (type.parameters ?? []).indices { rename(&type.parameters![index]) }
    }
    for index in syntax.records.indices {
      for field in syntax.records[index].fields.indices {
        rename(&syntax.records[index].fields[field].type)
      }
    }
    for index in syntax.collections.indices {
      for field in syntax.collections[index].fields.indices {
        rename(&syntax.collections[index].fields[field].type)
      }
    }
    editExpressions { expression, _ in
      if expression.enumeration == from.text { expression.enumeration = to.text }
      if kind == .collection, case .exists(let name, let matches) = expression.kind,
        name.text == from.text
      {
        expression.kind = .exists(NameSyntax(to.text, name.position), matches)
      }
    }
    rowSteps.append(.renameType(kind, from.text, to: to.text))
  }

  mutating func renameCase(_ enumeration: String, _ from: String, to: String) {
    editExpressions { expression, _ in
      if expression.enumeration == enumeration, case .string(from) = expression.kind {
        expression.kind = .string(to)
      }
    }
  }

  // MARK: - Fields

  mutating func renameField(_ ownerName: NameSyntax, _ from: NameSyntax, _ to: NameSyntax)
    throws(Failure)
  {
    let owner = try owner(ownerName)
    let index = try fieldIndex(from, of: owner, called: ownerName.text)
    try requireNew(to, among: fields(of: owner).map(\.name.text), "a field")
    let records = Dictionary(
      syntax.records.map { ($0.name.text, $0.fields) }, uniquingKeysWith: { first, _ in first })
    let owners = Dictionary(
      syntax.collections.map { ($0.name.text, $0.fields) }, uniquingKeysWith: { first, _ in first }
    ).merging(records, uniquingKeysWith: { first, _ in first })

    /// The path from `start` on, with the field renamed where it is this one.
    func renamed(_ path: [NameSyntax], from start: String) -> [NameSyntax] {
      var current: String? = start
      return path.map { name in
        let here = current
        let field = here.flatMap { owners[$0] }?.first { $0.name.text == name.text }
        current = field.map(\.type.name.text)
        return here == ownerName.text && name.text == from.text
          ? NameSyntax(to.text, name.position) : name
      }
    }
    editExpressions { expression, place in
      switch (expression.kind, place) {
      case (.path(let path), .check(let start)):
        expression.kind = .path(renamed(path, from: start))
      case (.path(let path), .rule(let start))
      where path.count == 2 && start == ownerName.text && path[1].text == from.text
        && (path[0].text == "new" || path[0].text == "row"):
        expression.kind = .path([path[0], NameSyntax(to.text, path[1].position)])
      case (.exists(let name, var matches), _) where name.text == ownerName.text:
        for index in matches.indices where matches[index].field.text == from.text {
          matches[index].field = NameSyntax(to.text, matches[index].field.position)
        }
        expression.kind = .exists(name, matches)
      default: break
      }
    }
    var fields = fields(of: owner)
    fields[index].name = to
    setFields(fields, of: owner)
    rowSteps.append(
      .renameField(owner: ownerName.text, field: from.text, to: to.text))
  }

  // MARK: - Expressions

  private enum Place {
    /// In a check beside the fields of that record or collection.
    case check(String)
    /// In a rule of that collection; nil for the schema.
    case rule(String?)
    /// A default, or the argument of another attribute.
    case other
  }

  /// Lets `edit` change every expression of the schema and every part of it, outermost first.
  private mutating func editExpressions(_ edit: (inout ExpressionSyntax, Place) -> Void) {
    func editFields(_ fields: inout [FieldSyntax], of owner: String) {
      for field in fields.indices {
        for attribute in fields[field].attributes.indices {
          let isCheck = fields[field].attributes[attribute].name.text == "check"
          fields[field].attributes[attribute].argument?.edit {
            edit(&$0, isCheck ? .check(owner) : .other)
          }
        }
      }
    }
    for index in syntax.records.indices {
      editFields(&syntax.records[index].fields, of: syntax.records[index].name.text)
    }
    for index in syntax.collections.indices {
      let name = syntax.collections[index].name.text
      editFields(&syntax.collections[index].fields, of: name)
      for rule in syntax.collections[index].rules.indices {
        syntax.collections[index].rules[rule].condition?.edit { edit(&$0, .rule(name)) }
      }
    }
    for rule in syntax.rules.indices {
      syntax.rules[rule].condition?.edit { edit(&$0, .rule(nil)) }
    }
  }
}

extension ExpressionSyntax {
  /// Lets `change` change this expression, then every part of what it made of it.
  fileprivate mutating func edit(_ change: (inout ExpressionSyntax) -> Void) {
    change(&self)
    func edited(_ expression: ExpressionSyntax) -> ExpressionSyntax {
      var copy = expression
      copy.edit(change)
      return copy
    }
    switch kind {
    case .number, .string, .bool, .path, .variable: break
    case .not(let inner): kind = .not(edited(inner))
    case .negate(let inner): kind = .negate(edited(inner))
    case .binary(let symbol, let left, let right):
      kind = .binary(symbol, edited(left), edited(right))
    case .isIn(let subject, let items): kind = .isIn(edited(subject), items.map { edited($0) })
    case .call(let name, let arguments): kind = .call(name, arguments.map { edited($0) })
    case .exists(let name, let matches):
      kind = .exists(
        name,
        matches.map { MatchSyntax(field: $0.field, operands: $0.operands.map { edited($0) }) })
    }
  }
}
