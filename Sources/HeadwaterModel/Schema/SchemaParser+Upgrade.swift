extension SchemaParser {
  /// The most steps of an upgrade.
  static let steps = 10_000

  private static let stepWords = ["rename", "add", "retype", "drop", "alter", "replace", "order"]

  private var looksLikeStep: Bool {
    token.kind == .word && token.startsLine && SchemaParser.stepWords.contains(token.text)
      && (next.kind == .word || next.kind == .quotedName)
  }

  /// The steps of an upgrade, to the end of the text.
  mutating func steps(into upgrade: inout UpgradeSyntax) {
    while true {
      var trivia = beginNode()
      let start = token
      let documentation = documentation()
      if atEnd {
        refuse(documentation, at: start.position, of: "the end of the text")
        upgrade.endTrivia = trivia
        return
      }
      let position = token.position
      let before = index
      do {
        let action = try step(documentation, &trivia)
        endNode(&trivia)
        switch action {
        case .addField, .addEnum, .addRecord, .addCollection, .addCase, .alterField, .alterType,
          .alterCase, .alterSchema:
          break
        default: refuse(documentation, at: start.position, of: "this step")
        }
        upgrade.steps.append(
          StepSyntax(
            action: action, documentation: documentation, position: position, trivia: trivia))
        limit(upgrade.steps.count, SchemaParser.steps, "an upgrade", "steps")
      } catch {
        if index == before { advance() }
        while !atEnd, !looksLikeStep { advance() }
      }
    }
  }

  private mutating func step(_ documentation: String?, _ trivia: inout Trivia) throws(Failure)
    -> StepSyntax.Action
  {
    let word = token.kind == .word ? token.text : ""
    guard SchemaParser.stepWords.contains(word) else {
      throw fail(
        "expected a step (\(SchemaParser.stepWords.joined(separator: ", "))), found \(found)",
        help: suggestion(word, in: SchemaParser.stepWords))
    }
    advance()
    switch word {
    case "rename": return try rename()
    case "add": return try add(documentation)
    case "retype": return try retype()
    case "drop": return try drop()
    case "alter": return try alter()
    case "order": return try order()
    default: return try replace(&trivia)
    }
  }

  /// `collection`, `record` or `enum`, unless that is the name of an owner: `record.field`.
  private mutating func kind() -> DeclarationKind? {
    guard token.kind == .word, let kind = DeclarationKind(rawValue: token.text), next.text != "."
    else { return nil }
    advance()
    return kind
  }

  /// Whether `case E.a` comes next.
  private mutating func takeCase() -> Bool {
    guard isWord("case"), next.text != "." else { return false }
    advance()
    return true
  }

  private mutating func member(_ what: String) throws(Failure) -> (NameSyntax, NameSyntax) {
    let owner = try name("the name of a collection, record or enum")
    try expect(".", "before the name of \(what)")
    return (owner, try name("the name of \(what)"))
  }

  private mutating func rename() throws(Failure) -> StepSyntax.Action {
    if let kind = kind() {
      let from = try name("a name")
      try expectWord("to")
      return .renameType(kind, from, to: try typeName("the new name"))
    }
    let isCase = takeCase()
    let (owner, from) = try member(isCase ? "a case" : "a field")
    try expectWord("to")
    var to = try name("the new name")
    if take(".") {
      if to.text != owner.text {
        sink.report(to.position, "what is renamed stays in '\(owner.text)'")
      }
      to = try name("the new name")
    }
    return isCase
      ? .renameCase(owner, from, to: to) : .renameField(owner: owner, field: from, to: to)
  }

  private mutating func expectWord(_ word: String) throws(Failure) {
    guard takeWord(word) else { throw fail("expected '\(word)', found \(found)") }
  }

  private mutating func add(_ documentation: String?) throws(Failure) -> StepSyntax.Action {
    if next.text != "." {
      switch token.kind == .word ? token.text : "" {
      case "enum": return .addEnum(try enumeration(Trivia(), documentation))
      case "record": return .addRecord(try record(Trivia(), documentation))
      case "collection", "strict", "lenient":
        return .addCollection(try collection(Trivia(), documentation))
      case "case":
        advance()
        let (owner, name) = try member("a case")
        return .addCase(owner, name)
      default: break
      }
    }
    let (owner, name) = try member("a field")
    try expect(":", "between the name of a field and its type")
    var field = FieldSyntax(
      documentation: documentation, name: name, type: try type(depth: 0))
    field.attributes = try attributes()
    return .addField(owner: owner, field, try image())
  }

  /// `[= expression] [else literal]`
  private mutating func image() throws(Failure) -> ImageSyntax {
    var image = ImageSyntax()
    if take("=") { image.expression = try wholeExpression() }
    if takeWord("else") { image.otherwise = try wholeExpression() }
    return image
  }

  private mutating func retype() throws(Failure) -> StepSyntax.Action {
    let (owner, name) = try member("a field")
    try expect(":", "before the new type")
    let type = try type(depth: 0)
    return .retypeField(owner: owner, field: name, type, try image())
  }

  private mutating func drop() throws(Failure) -> StepSyntax.Action {
    if let kind = kind() { return .dropType(kind, try name("a name")) }
    if takeCase() {
      let (owner, name) = try member("a case")
      var otherwise: NameSyntax?
      if takeWord("else") {
        otherwise = try self.name("the case that stands in")
        if take(".") { otherwise = try self.name("the case that stands in") }
      }
      return .dropCase(owner, name, otherwise: otherwise)
    }
    let (owner, name) = try member("a field")
    return .dropField(owner: owner, field: name)
  }

  private mutating func alter() throws(Failure) -> StepSyntax.Action {
    if isWord("schema"), next.text != "." {
      advance()
      return .alterSchema
    }
    var strictness: CollectionType.Strictness?
    if next.text == "collection", isWord("strict") || isWord("lenient") {
      strictness = CollectionType.Strictness(rawValue: token.text)
      advance()
    }
    if let kind = kind() { return .alterType(kind, try name("a name"), strictness) }
    if takeCase() {
      let (owner, name) = try member("a case")
      return .alterCase(owner, name)
    }
    let (owner, name) = try member("a field")
    return .alterField(owner: owner, field: name, try attributes())
  }

  private mutating func order() throws(Failure) -> StepSyntax.Action {
    var owner: NameSyntax?
    if isWord("schema") { advance() } else { owner = try name("a name or 'schema'") }
    try expect("{", "before the names")
    var names: [NameSyntax] = []
    while !isSymbol("}") {
      names.append(try name("a name"))
      if !take(",") { break }
    }
    try expect("}", "after the names")
    return .order(owner, names)
  }

  private mutating func replace(_ trivia: inout Trivia) throws(Failure) -> StepSyntax.Action {
    try expectWord("rules")
    try expectWord("of")
    var owner: NameSyntax?
    if isWord("schema") { advance() } else { owner = try name("a collection or 'schema'") }
    try expect("{", "before the rules")
    endNode(&trivia)
    var rules: [RuleSyntax] = []
    while true {
      var inner = beginNode()
      if isSymbol("}") {
        advance()
        endNode(&inner)
        return .replaceRules(owner, rules, end: inner)
      }
      guard isWord("allow") else { throw fail("expected a rule or '}', found \(found)") }
      rules.append(try rule(inner))
    }
  }
}
