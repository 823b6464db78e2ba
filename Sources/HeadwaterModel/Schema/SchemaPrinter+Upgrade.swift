extension SchemaPrinter {
  mutating func upgrade(_ upgrade: UpgradeSyntax) {
    line(
      "schema " + SchemaWords.spelled(upgrade.name.text) + " from " + upgrade.from.text,
      upgrade.documentation, upgrade.trivia)
    if !upgrade.steps.isEmpty { blank() }
    for step in upgrade.steps { self.step(step) }
    end(upgrade.endTrivia)
  }

  mutating func step(_ step: StepSyntax) {
    // Comments inside a declaration hang on its parts; those around the step hang on the step.
    func outer(_ inner: Trivia) -> Trivia {
      Trivia(leading: step.trivia.leading + inner.leading, trailing: inner.trailing)
    }
    func last(_ inner: Trivia) -> Trivia {
      Trivia(leading: inner.leading, trailing: inner.trailing ?? step.trivia.trailing)
    }
    switch step.action {
    case .addEnum(var item):
      item.trivia = outer(item.trivia)
      item.endTrivia = last(item.endTrivia)
      enumeration(item, prefix: "add ")
    case .addRecord(var item):
      item.trivia = outer(item.trivia)
      item.endTrivia = last(item.endTrivia)
      record(item, prefix: "add ")
    case .addCollection(var item):
      item.trivia = outer(item.trivia)
      item.endTrivia = last(item.endTrivia)
      collection(item, prefix: "add ")
    case .replaceRules(let owner, let rules, let end):
      line(
        "replace rules of " + (owner.map { SchemaWords.spelledOwner($0.text) } ?? "schema") + " {",
        nil, step.trivia)
      indented { printer in
        for rule in rules { printer.rule(rule) }
      }
      close(end)
    default: line(step.printed, step.documentation, step.trivia)
    }
  }
}

extension SchemaWords {
  /// The name of a collection, record or enum where the word `schema` would mean the schema.
  static func spelledOwner(_ name: String) -> String {
    name == "schema" ? "`schema`" : spelledType(name)
  }
}

extension StepSyntax {
  private func member(_ owner: NameSyntax, _ name: NameSyntax) -> String {
    SchemaWords.spelledType(owner.text) + "." + SchemaWords.spelled(name.text)
  }

  /// The step on one line; of a step with a body, its head.
  var printed: String {
    switch action {
    case .renameField(let owner, let field, let to):
      "rename \(member(owner, field)) to \(member(owner, to))"
    case .renameType(let kind, let from, let to):
      "rename \(kind.rawValue) \(SchemaWords.spelledType(from.text)) to \(SchemaWords.spelledType(to.text))"
    case .renameCase(let owner, let name, let to):
      "rename case \(member(owner, name)) to \(member(owner, to))"
    case .addField(let owner, let field, let image):
      "add \(member(owner, field.name)): \(field.type.printed)"
        + SchemaPrinter.attributes(field.attributes) + image.printed
    case .addEnum(let item): "add enum \(SchemaWords.spelledType(item.name.text))"
    case .addRecord(let item): "add record \(SchemaWords.spelledType(item.name.text))"
    case .addCollection(let item): "add collection \(SchemaWords.spelledType(item.name.text))"
    case .addCase(let owner, let name): "add case \(member(owner, name))"
    case .retypeField(let owner, let field, let type, let image):
      "retype \(member(owner, field)): \(type.printed)\(image.printed)"
    case .dropField(let owner, let field): "drop \(member(owner, field))"
    case .dropType(let kind, let name):
      "drop \(kind.rawValue) \(SchemaWords.spelledType(name.text))"
    case .dropCase(let owner, let name, let otherwise):
      "drop case \(member(owner, name))" + (otherwise.map { " else \(member(owner, $0))" } ?? "")
    case .alterField(let owner, let field, let attributes):
      "alter \(member(owner, field))" + SchemaPrinter.attributes(attributes)
    case .alterType(let kind, let name, let strictness):
      "alter " + (strictness.map { $0.rawValue + " " } ?? "")
        + "\(kind.rawValue) \(SchemaWords.spelledType(name.text))"
    case .alterCase(let owner, let name): "alter case \(member(owner, name))"
    case .alterSchema: "alter schema"
    case .replaceRules(let owner, _, _):
      "replace rules of \(owner.map { SchemaWords.spelledOwner($0.text) } ?? "schema")"
    case .order(let owner, let names):
      "order \(owner.map { SchemaWords.spelledOwner($0.text) } ?? "schema") { "
        + names.map { SchemaWords.spelled($0.text) }.joined(separator: ", ") + " }"
    }
  }
}

extension ImageSyntax {
  var printed: String {
    (expression.map { " = " + $0.printed } ?? "") + (otherwise.map { " else " + $0.printed } ?? "")
  }
}
