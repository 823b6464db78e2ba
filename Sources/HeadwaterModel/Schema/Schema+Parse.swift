extension Schema {
  /// Reads and checks the text of a schema.
  ///
  /// Throws every error that the text has, up to `SchemaErrors.limit`. Total: no bytes make it crash.
  public static func parse(_ text: [UInt8]) throws(SchemaErrors) -> Schema {
    let sink = DiagnosticSink()
    if let syntax = syntax(of: text, sink), let schema = SchemaChecker(syntax, sink: sink).check() {
      return schema
    }
    throw sink.errors
  }

  /// Reads and checks the text of a schema.
  ///
  /// Throws every error that the text has, up to `SchemaErrors.limit`.
  public static func parse(_ text: String) throws(SchemaErrors) -> Schema {
    try parse(Array(text.utf8))
  }

  /// The syntax, as far as it could be read; nil where there is nothing to check.
  static func syntax(of text: [UInt8], _ sink: DiagnosticSink) -> SchemaSyntax? {
    guard var parser = SchemaParser(text, sink: sink) else { return nil }
    guard let header = parser.header() else { return nil }
    if let from = header.from {
      sink.report(
        from.position, "this is an upgrade, not a whole schema",
        help: "remove 'from' and the hash, or apply the upgrade to its schema")
      return nil
    }
    var schema = header.schema
    parser.declarations(into: &schema)
    return schema
  }

  /// The one spelling of the schema: what `format` makes of it, without comments that are no doc comments.
  public var canonicalText: String {
    var printer = SchemaPrinter()
    printer.schema(SyntaxBuilder(self).schema(self))
    return printer.text
  }

  /// The hash of the canonical text's UTF-8: the name of the schema everywhere.
  public func hash(with hasher: some Hasher256) -> Digest {
    hasher.hash(Array(canonicalText.utf8))
  }
}

extension SyntaxBuilder {
  init(_ schema: Schema) {
    self.init(
      records: Dictionary(
        schema.records.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }))
  }
}

extension SchemaParser {
  /// `schema NAME` or `schema NAME from HASH`. Nil, and a report, where the text does not begin so.
  mutating func header() -> (schema: SchemaSyntax, from: NameSyntax?)? {
    var trivia = beginNode()
    let documentation = documentation()
    guard isWord("schema") else {
      sink.report(
        token.position, "a schema begins with 'schema' and its name, found \(found)",
        help: "write 'schema Name' first")
      return nil
    }
    advance()
    do {
      let name = try name("the name of the schema")
      var from: NameSyntax?
      if isWord("from") {
        advance()
        guard token.kind == .word || token.kind == .number || token.kind == .digitsAndLetters else {
          throw fail("expected the hash of the schema that is upgraded, found \(found)")
        }
        from = NameSyntax(token.text, token.position)
        advance()
      }
      endNode(&trivia)
      return (SchemaSyntax(documentation: documentation, name: name, trivia: trivia), from)
    } catch {
      skipToDeclaration()
      return (SchemaSyntax(name: NameSyntax("?"), trivia: trivia), nil)
    }
  }
}
