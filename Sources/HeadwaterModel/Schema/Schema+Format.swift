extension Schema {
  /// The canonical spelling of a schema or upgrade, with its comments.
  ///
  /// Declarations come in the order enums, records, collections, rules of the schema; each kind in the order of
  /// the text. A comment goes with what it precedes, or, on the same line, follows. Formatting what was
  /// formatted changes nothing. Throws what is wrong with the text: only what is sound is formatted.
  public static func format(_ text: [UInt8]) throws(SchemaErrors) -> String {
    if SchemaFile.isUpgrade(text) { return try SchemaUpgrade.parse(text).formatted }
    let sink = DiagnosticSink()
    guard let syntax = syntax(of: text, sink),
      let schema = SchemaChecker(syntax, sink: sink).check()
    else { throw sink.errors }
    var canonical = SyntaxBuilder(schema).schema(schema)
    canonical.takeComments(from: syntax)
    var printer = SchemaPrinter()
    printer.schema(canonical)
    return printer.text
  }

  /// The canonical spelling of a schema or upgrade, with its comments.
  public static func format(_ text: String) throws(SchemaErrors) -> String {
    try format(Array(text.utf8))
  }
}

extension SchemaSyntax {
  /// Hangs the comments of `source` on this syntax, which says the same.
  mutating func takeComments(from source: SchemaSyntax) {
    trivia = source.trivia
    endTrivia = source.endTrivia
    for (index, item) in zip(enums.indices, source.enums) {
      enums[index].trivia = item.trivia
      enums[index].endTrivia = item.endTrivia
      for (inner, item) in zip(enums[index].cases.indices, item.cases) {
        enums[index].cases[inner].trivia = item.trivia
      }
    }
    for (index, item) in zip(records.indices, source.records) {
      records[index].trivia = item.trivia
      records[index].endTrivia = item.endTrivia
      records[index].fields.takeComments(from: item.fields)
    }
    for (index, item) in zip(collections.indices, source.collections) {
      collections[index].trivia = item.trivia
      collections[index].endTrivia = item.endTrivia
      collections[index].fields.takeComments(from: item.fields)
      collections[index].rules.takeComments(from: item.rules)
    }
    rules.takeComments(from: source.rules)
  }
}

extension [FieldSyntax] {
  fileprivate mutating func takeComments(from source: [FieldSyntax]) {
    for (index, item) in zip(indices, source) { self[index].trivia = item.trivia }
  }
}

extension [RuleSyntax] {
  fileprivate mutating func takeComments(from source: [RuleSyntax]) {
    for (index, item) in zip(indices, source) { self[index].trivia = item.trivia }
  }
}

extension UpgradeSyntax {
  /// The same without comments.
  var withoutComments: UpgradeSyntax {
    var copy = self
    copy.trivia = Trivia()
    copy.endTrivia = Trivia()
    for index in copy.steps.indices {
      copy.steps[index].trivia = Trivia()
      switch copy.steps[index].action {
      case .addEnum(var item):
        item.dropComments()
        copy.steps[index].action = .addEnum(item)
      case .addRecord(var item):
        item.dropComments()
        copy.steps[index].action = .addRecord(item)
      case .addCollection(var item):
        item.dropComments()
        copy.steps[index].action = .addCollection(item)
      case .replaceRules(let owner, var rules, _):
        for rule in rules.indices { rules[rule].trivia = Trivia() }
        copy.steps[index].action = .replaceRules(owner, rules, end: Trivia())
      default: break
      }
    }
    return copy
  }
}

extension EnumSyntax {
  fileprivate mutating func dropComments() {
    trivia = Trivia()
    endTrivia = Trivia()
    for index in cases.indices { cases[index].trivia = Trivia() }
  }
}

extension RecordSyntax {
  fileprivate mutating func dropComments() {
    trivia = Trivia()
    endTrivia = Trivia()
    for index in fields.indices { fields[index].trivia = Trivia() }
  }
}

extension CollectionSyntax {
  fileprivate mutating func dropComments() {
    trivia = Trivia()
    endTrivia = Trivia()
    for index in fields.indices { fields[index].trivia = Trivia() }
    for index in rules.indices { rules[index].trivia = Trivia() }
  }
}

extension Schema {
  /// The canonical spelling of a rule's condition in a collection; nil where the rule has none.
  public func text(of rule: Rule, in collection: CollectionType) -> String? {
    rule.condition.map {
      SyntaxBuilder(self).condition($0, scope: collection, of: self).printed
    }
  }
}
