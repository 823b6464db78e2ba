/// Turns a checked schema back into syntax, in its one canonical form.
struct SyntaxBuilder {
  let records: [String: RecordType]
  /// For editing: the case of an enum becomes a string that knows its enum, which no rename makes ambiguous.
  var marksCases = false

  func schema(_ schema: Schema) -> SchemaSyntax {
    var syntax = SchemaSyntax(documentation: schema.documentation, name: NameSyntax(schema.name))
    syntax.enums = schema.enums.map { enumeration($0) }
    syntax.records = schema.records.map { record($0) }
    syntax.collections = schema.collections.map { collection($0, of: schema) }
    if schema.allowsEverything {
      syntax.rules.append(RuleSyntax(actions: [NameSyntax("everything")]))
    }
    for (action, rules) in [("upgrade", schema.upgradeRules), ("connect", schema.connectRules)] {
      for condition in rules {
        syntax.rules.append(
          RuleSyntax(
            actions: [NameSyntax(action)],
            condition: condition.map { self.condition($0, scope: nil, of: schema) }))
      }
    }
    return syntax
  }

  func enumeration(_ item: EnumType) -> EnumSyntax {
    var syntax = EnumSyntax(documentation: item.documentation, name: NameSyntax(item.name))
    syntax.cases = item.cases.map {
      EnumSyntax.Case(documentation: $0.documentation, name: NameSyntax($0.name))
    }
    return syntax
  }

  func record(_ item: RecordType) -> RecordSyntax {
    var syntax = RecordSyntax(documentation: item.documentation, name: NameSyntax(item.name))
    syntax.fields = item.fields.map { field($0, beside: item.fields) }
    return syntax
  }

  func collection(_ item: CollectionType, of schema: Schema) -> CollectionSyntax {
    var syntax = CollectionSyntax(
      documentation: item.documentation, strictness: item.declaredStrictness,
      name: NameSyntax(item.name))
    syntax.fields = item.fields.dropFirst(item.hasGeneratedKey ? 1 : 0).map {
      field($0, beside: item.fields)
    }
    syntax.rules = item.rules.map { rule($0, scope: item, of: schema) }
    return syntax
  }

  func rule(_ rule: Rule, scope: CollectionType, of schema: Schema) -> RuleSyntax {
    RuleSyntax(
      actions: rule.actions.map { NameSyntax($0.rawValue) },
      condition: rule.condition.map { condition($0, scope: scope, of: schema) })
  }

  // MARK: - Fields

  func field(_ field: Field, beside fields: [Field]) -> FieldSyntax {
    var syntax = FieldSyntax(
      documentation: field.documentation, name: NameSyntax(field.name), type: TypeSyntax(field.type)
    )
    func add(_ name: String, _ argument: ExpressionSyntax? = nil) {
      syntax.attributes.append(AttributeSyntax(name: NameSyntax(name), argument: argument))
    }
    if field.isKey { add("key") }
    if field.isReadonly, !field.isKey { add("readonly") }
    if field.isUnique { add("unique") }
    if field.isIndexed { add("index") }
    if let value = field.defaultValue {
      add("default", literal(value, of: ScalarType(field.type), scope: []))
    }
    for check in field.checks { add("check", expression(check, fields: fields)) }
    if let policy = field.onDelete, policy != (field.type.isOptional ? .null : .cascade) {
      add("onDelete", ExpressionSyntax(.path([NameSyntax(policy.rawValue)])))
    }
    return syntax
  }

  // MARK: - Expressions

  /// The expression as written beside `fields`.
  func expression(_ expression: Expression, fields: [Field]) -> ExpressionSyntax {
    syntax(expression, fields, beside: nil)
  }

  private func syntax(_ expression: Expression, _ fields: [Field], beside type: ScalarType?)
    -> ExpressionSyntax
  {
    switch expression {
    case .literal(let value):
      return literal(value, of: type, scope: fields)
    case .field(let path): return ExpressionSyntax(.path(path.map { NameSyntax($0) }))
    case .not(let inner): return ExpressionSyntax(.not(syntax(inner, fields, beside: nil)))
    case .negate(let inner): return ExpressionSyntax(.negate(syntax(inner, fields, beside: nil)))
    case .length(let inner):
      return ExpressionSyntax(.call(NameSyntax("length"), [syntax(inner, fields, beside: nil)]))
    case .binary(let symbol, let left, let right):
      let (a, b) = (enumeration(left, fields), enumeration(right, fields))
      return ExpressionSyntax(
        .binary(symbol, syntax(left, fields, beside: b), syntax(right, fields, beside: a)))
    case .isIn(let subject, let items):
      let type = enumeration(subject, fields)
      return ExpressionSyntax(
        .isIn(syntax(subject, fields, beside: nil), items.map { syntax($0, fields, beside: type) }))
    }
  }

  /// The type of an expression that is a field of an enum's type.
  private func enumeration(_ expression: Expression, _ fields: [Field]) -> ScalarType? {
    guard case .field(let path) = expression else { return nil }
    var fields = fields
    var type: FieldType?
    for name in path {
      type = fields.first { $0.name == name }?.type
      if case .record(let record)? = type?.wrapped { fields = records[record]?.fields ?? [] }
    }
    guard let type, case .enumeration = type.wrapped else { return nil }
    return ScalarType(type)
  }

  /// A literal. The case of an enum is a plain name, unless a field beside it is called the same.
  func literal(_ value: Value, of type: ScalarType?, scope: [Field]) -> ExpressionSyntax {
    switch value {
    case .bool(let value): return ExpressionSyntax(.bool(value))
    case .int(let value): return ExpressionSyntax(.number(String(value)))
    case .float(let value): return ExpressionSyntax(.number(SchemaNumber.spelled(value)))
    case .decimal(let value): return ExpressionSyntax(.number(value.text()))
    case .text(let text):
      if marksCases, case .enumeration(let name)? = type {
        var literal = ExpressionSyntax(.string(text))
        literal.enumeration = name
        return literal
      }
      if case .enumeration? = type, !scope.contains(where: { $0.name == text }) {
        return ExpressionSyntax(.path([NameSyntax(text)]))
      }
      return ExpressionSyntax(.string(text))
    case .bytes(let bytes): return ExpressionSyntax(.string(hexadecimal(bytes)))
    case .date(let date): return ExpressionSyntax(.string(date.description))
    case .timestamp(let time): return ExpressionSyntax(.string(time.description))
    case .uuid(let uuid): return ExpressionSyntax(.string(uuid.description))
    case .principal(let digest): return ExpressionSyntax(.string(digest.hex))
    case .json(.bool(let value)): return ExpressionSyntax(.bool(value))
    case .json(.int(let value)): return ExpressionSyntax(.number(String(value)))
    case .json(.double(let value)):
      return ExpressionSyntax(.number(SchemaNumber.spelled(value)))
    case .json(.string(let text)): return ExpressionSyntax(.string(text))
    case .json, .record, .reference, .created: return ExpressionSyntax(.string(""))
    }
  }

  // MARK: - Conditions

  func condition(_ condition: Condition, scope: CollectionType?, of schema: Schema)
    -> ExpressionSyntax
  {
    switch condition {
    case .and(let a, let b):
      return ExpressionSyntax(
        .binary(
          .and, self.condition(a, scope: scope, of: schema),
          self.condition(b, scope: scope, of: schema)))
    case .or(let a, let b):
      return ExpressionSyntax(
        .binary(
          .or, self.condition(a, scope: scope, of: schema),
          self.condition(b, scope: scope, of: schema)))
    case .compare(let a, let comparison, let b):
      let type = operandType(a, scope, schema) ?? operandType(b, scope, schema)
      return ExpressionSyntax(
        .binary(
          Expression.Operator(rawValue: comparison.rawValue) ?? .equal, operand(a, type),
          operand(b, type)))
    case .isIn(let subject, let items):
      let type = operandType(subject, scope, schema)
      return ExpressionSyntax(.isIn(operand(subject, type), items.map { operand($0, type) }))
    case .exists(let name, let matches):
      let target = schema.collection(named: name)
      return ExpressionSyntax(
        .exists(
          NameSyntax(name),
          matches.map { match in
            let type = reduced(
              target?.fields.first { $0.name == match.field }?.type, of: schema)
            return MatchSyntax(
              field: NameSyntax(match.field), operands: match.operands.map { operand($0, type) })
          }))
    }
  }

  private func operand(_ operand: Condition.Operand, _ type: ScalarType?) -> ExpressionSyntax {
    switch operand {
    case .author: ExpressionSyntax(.variable("author"))
    case .peer: ExpressionSyntax(.variable("peer"))
    case .new(let field): ExpressionSyntax(.path([NameSyntax("new"), NameSyntax(field)]))
    case .row(let field): ExpressionSyntax(.path([NameSyntax("row"), NameSyntax(field)]))
    case .literal(let value): literal(value, of: type, scope: [])
    }
  }

  private func operandType(_ operand: Condition.Operand, _ scope: CollectionType?, _ schema: Schema)
    -> ScalarType?
  {
    switch operand {
    case .author, .peer, .literal: return nil
    case .new(let name), .row(let name):
      return reduced(scope?.fields.first { $0.name == name }?.type, of: schema)
    }
  }

  private func reduced(_ type: FieldType?, of schema: Schema) -> ScalarType? {
    var type = type
    for _ in 0..<SchemaChecker.keyDepth {
      guard let name = type?.referencedCollection, let target = schema.collection(named: name),
        let key = target.keyFields.first
      else { break }
      type = target.fields[key].type
    }
    return type.flatMap { ScalarType($0) }
  }
}

extension TypeSyntax {
  init(_ type: FieldType) {
    func plain(_ name: String) -> TypeSyntax { TypeSyntax(name: NameSyntax(name)) }
    func numbered(_ name: String, _ numbers: [Int]) -> TypeSyntax {
      TypeSyntax(
        name: NameSyntax(name),
        numbers: numbers.isEmpty ? nil : numbers.map { NameSyntax(String($0)) })
    }
    func generic(_ name: String, _ types: [FieldType]) -> TypeSyntax {
      TypeSyntax(name: NameSyntax(name), parameters: types.map { TypeSyntax($0) })
    }
    switch type {
    case .bool: self = plain("Bool")
    case .int: self = plain("Int")
    case .float: self = plain("Float")
    case .decimal(let precision, let scale): self = numbered("Decimal", [precision, scale])
    case .text(let limit): self = numbered("Text", limit.map { [$0] } ?? [])
    case .bytes(let limit): self = numbered("Bytes", limit.map { [$0] } ?? [])
    case .date: self = plain("Date")
    case .timestamp: self = plain("Timestamp")
    case .uuid: self = plain("UUID")
    case .json: self = plain("JSON")
    case .principal: self = plain("Principal")
    case .enumeration(let name), .record(let name), .reference(let name):
      self = plain(name)
      self.name.isQuoted = SchemaWords.types.contains(name)
    case .optional(let inner):
      self = TypeSyntax(inner)
      isOptional = true
    case .counter: self = plain("Counter")
    case .set(let element): self = generic("Set", [element])
    case .map(let key, let value): self = generic("Map", [key, value])
    case .list(let element): self = generic("List", [element])
    case .sharedText: self = plain("SharedText")
    case .multiValue(let element): self = generic("MultiValue", [element])
    case .custom(let name):
      self = plain("custom")
      custom = name
    }
  }
}
