extension SchemaParser {
  private static let declarationWords = [
    "enum", "record", "collection", "strict", "lenient", "allow",
  ]

  /// The header and what follows it in a file that is no upgrade.
  mutating func declarations(into schema: inout SchemaSyntax) {
    while true {
      let trivia = beginNode()
      let start = token
      let documentation = documentation()
      if atEnd {
        refuse(documentation, at: start.position, of: "the end of the text")
        schema.endTrivia = trivia
        var rest = Trivia()
        endNode(&rest)
        schema.endTrivia.leading += rest.leading
        return
      }
      let before = index
      do {
        try declaration(trivia, documentation, start: start, into: &schema)
      } catch {
        if index == before { advance() }
        skipToDeclaration()
      }
    }
  }

  private mutating func declaration(
    _ trivia: Trivia, _ documentation: String?, start: SchemaToken, into schema: inout SchemaSyntax
  ) throws(Failure) {
    switch token.kind == .word ? token.text : "" {
    case "enum":
      schema.enums.append(try enumeration(trivia, documentation))
      limit(schema.enums.count, SchemaParser.declarations, "a schema", "enums")
    case "record":
      schema.records.append(try record(trivia, documentation))
      limit(schema.records.count, SchemaParser.declarations, "a schema", "records")
    case "collection", "strict", "lenient":
      schema.collections.append(try collection(trivia, documentation))
      limit(schema.collections.count, SchemaParser.declarations, "a schema", "collections")
    case "allow":
      refuse(documentation, at: start.position, of: "a rule")
      schema.rules.append(try rule(trivia))
    case "schema":
      throw fail("a text holds one schema", help: "remove the second 'schema'")
    default:
      let near =
        token.kind == .word ? suggestion(token.text, in: SchemaParser.declarationWords) : nil
      throw fail(
        "expected an enum, a record, a collection or a rule, found \(found)",
        help: near ?? (isSymbol("}") ? "a '}' too many, or one too early?" : nil))
    }
  }

  func limit(_ count: Int, _ most: Int, _ owner: String, _ things: String) {
    guard count == most + 1 else { return }
    sink.report(token.position, "\(owner) has \(most) \(things) at most")
  }

  // MARK: - Enums

  mutating func enumeration(_ trivia: Trivia, _ documentation: String?) throws(Failure)
    -> EnumSyntax
  {
    advance()
    var result = EnumSyntax(
      documentation: documentation, name: try typeName("the name of the enum"), trivia: trivia)
    try expect("{", "before the cases")
    endNode(&result.trivia)
    while true {
      var trivia = beginNode()
      let start = token
      let documentation = self.documentation()
      if isSymbol("}") || atEnd || looksLikeDeclaration {
        refuse(documentation, at: start.position, of: "the end of an enum")
        try closeBody(trivia, into: &result.endTrivia)
        return result
      }
      let name = try name("the name of a case")
      let comma = take(",")
      endNode(&trivia)
      result.cases.append(EnumSyntax.Case(documentation: documentation, name: name, trivia: trivia))
      limit(result.cases.count, SchemaParser.members, "an enum", "cases")
      if !comma, !isSymbol("}"), !atEnd, !looksLikeDeclaration {
        throw fail("expected ',' between the cases of an enum, found \(found)")
      }
    }
  }

  private mutating func closeBody(_ leading: Trivia, into trivia: inout Trivia) throws(Failure) {
    trivia = leading
    guard isSymbol("}") else {
      sink.report(token.position, "expected '}', found \(found)")
      return
    }
    advance()
    endNode(&trivia)
  }

  // MARK: - Records and collections

  mutating func record(_ trivia: Trivia, _ documentation: String?) throws(Failure) -> RecordSyntax {
    advance()
    var result = RecordSyntax(
      documentation: documentation, name: try typeName("the name of the record"), trivia: trivia)
    try expect("{", "before the fields")
    endNode(&result.trivia)
    let (fields, rules, end) = try body("a record")
    (result.fields, result.endTrivia) = (fields, end)
    for rule in rules {
      sink.report(
        rule.position, "a record has no rules",
        help: "write the rule in the collections that use it")
    }
    return result
  }

  mutating func collection(_ trivia: Trivia, _ documentation: String?) throws(Failure)
    -> CollectionSyntax
  {
    var strictness: CollectionType.Strictness?
    if !isWord("collection") {
      strictness = CollectionType.Strictness(rawValue: token.text)
      advance()
      guard isWord("collection") else {
        throw fail("expected 'collection' after '\(strictness?.rawValue ?? "")', found \(found)")
      }
    }
    advance()
    var result = CollectionSyntax(
      documentation: documentation, strictness: strictness,
      name: try typeName("the name of the collection"), trivia: trivia)
    if isWord("strict") || isWord("lenient") {
      sink.report(
        token.position, "'\(token.text)' stands before 'collection'",
        help: "write '\(token.text) collection \(SchemaWords.spelledType(result.name.text))'")
      advance()
    }
    try expect("{", "before the fields")
    endNode(&result.trivia)
    (result.fields, result.rules, result.endTrivia) = try body("a collection")
    return result
  }

  /// Fields and rules up to and with the closing brace.
  private mutating func body(_ owner: String) throws(Failure)
    -> (fields: [FieldSyntax], rules: [RuleSyntax], end: Trivia)
  {
    var fields: [FieldSyntax] = []
    var rules: [RuleSyntax] = []
    while true {
      let trivia = beginNode()
      let start = token
      let documentation = documentation()
      if isSymbol("}") || atEnd || looksLikeDeclaration {
        refuse(documentation, at: start.position, of: "the end of \(owner)")
        var end = Trivia()
        try closeBody(trivia, into: &end)
        return (fields, rules, end)
      }
      let before = index
      do {
        if isWord("allow"), !isField {
          refuse(documentation, at: start.position, of: "a rule")
          rules.append(try rule(trivia))
        } else {
          fields.append(try field(trivia, documentation))
          limit(fields.count, SchemaParser.members, owner, "fields")
        }
      } catch {
        if index == before { advance() }
        skipToMember()
      }
    }
  }

  // MARK: - Fields

  mutating func field(_ trivia: Trivia, _ documentation: String?) throws(Failure) -> FieldSyntax {
    if isSymbol("@") {
      throw fail("an attribute stands after the type of its field")
    }
    let name = try name("a field (name: Type), a rule or '}'")
    if !isSymbol(":") {
      throw fail(
        "expected ':' between the name of a field and its type, found \(found)",
        help: "write 'name: Type'")
    }
    advance()
    var field = FieldSyntax(
      documentation: documentation, name: name, type: try type(depth: 0), trivia: trivia)
    field.attributes = try attributes()
    if isSymbol(",") || isSymbol(";") {
      sink.report(token.position, "no '\(token.text)' between fields", help: "begin a new line")
      advance()
    }
    endNode(&field.trivia)
    return field
  }

  mutating func attributes() throws(Failure) -> [AttributeSyntax] {
    var attributes: [AttributeSyntax] = []
    while isSymbol("@") {
      advance()
      var attribute = AttributeSyntax(name: try name("the name of an attribute"))
      let known = SchemaWords.attributes
      if !known.contains(attribute.name.text) {
        sink.report(
          attribute.name.position, "there is no attribute '@\(attribute.name.text)'",
          help: nearest(attribute.name.text, in: known).map { "did you mean '@\($0)'?" })
      }
      if take("(") {
        attribute.argument = try wholeExpression()
        try expect(")", "after the argument of '@\(attribute.name.text)'")
      }
      attributes.append(attribute)
    }
    return attributes
  }

  mutating func type(depth: Int) throws(Failure) -> TypeSyntax {
    guard depth < 8 else { throw fail("types nested too deep") }
    guard isName else { throw fail("expected a type, found \(found)") }
    var type = TypeSyntax(
      name: NameSyntax(token.text, token.position, isQuoted: token.kind == .quotedName))
    advance()
    if type.name.text == "custom", !type.name.isQuoted {
      guard token.kind == .string else {
        throw fail(
          "expected the name of the custom type, found \(found)", help: #"write custom "name""#)
      }
      type.custom = token.text
      advance()
    }
    if take("(") {
      var numbers: [NameSyntax] = []
      while !isSymbol(")") {
        guard token.kind == .number else { throw fail("expected a number, found \(found)") }
        numbers.append(NameSyntax(token.text, token.position))
        advance()
        if !take(",") { break }
      }
      try expect(")", "after the numbers of '\(type.name.text)'")
      type.numbers = numbers
    }
    if take("<") {
      var parameters: [TypeSyntax] = []
      repeat {
        parameters.append(try self.type(depth: depth + 1))
      } while take(",")
      try expect(">", "after the types of '\(type.name.text)'")
      type.parameters = parameters
    }
    if take("?") {
      type.isOptional = true
      if isSymbol("?") { throw fail("one '?' says it all") }
    }
    return type
  }

  // MARK: - Rules

  /// From `allow` on.
  mutating func rule(_ trivia: Trivia) throws(Failure) -> RuleSyntax {
    var rule = RuleSyntax(actions: [], position: token.position, trivia: trivia)
    advance()
    repeat {
      rule.actions.append(try name("an action: create, update or delete"))
    } while take(",")
    if takeWord("if") { rule.condition = try wholeExpression() }
    endNode(&rule.trivia)
    return rule
  }
}
