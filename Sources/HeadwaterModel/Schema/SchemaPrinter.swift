/// Prints syntax in its one canonical form, with the comments that hang on it.
struct SchemaPrinter {
  /// A line of cases longer than this is broken, one case a line.
  static let width = 100

  private(set) var text = ""
  private var indentation = ""

  // MARK: - Lines

  mutating func line(_ content: String, _ documentation: String?, _ trivia: Trivia) {
    for comment in trivia.leading {
      text += indentation + comment.text + "\n"
      if comment.blankAfter { text += "\n" }
    }
    if let documentation {
      for line in documentation.split(separator: "\n", omittingEmptySubsequences: false) {
        text += indentation + (line.isEmpty ? "///" : "/// " + line) + "\n"
      }
    }
    text += indentation + content
    if let trailing = trivia.trailing { text += "  " + trailing }
    text += "\n"
  }

  mutating func blank() { text += "\n" }

  mutating func indented(_ body: (inout SchemaPrinter) -> Void) {
    let outer = indentation
    indentation += "  "
    body(&self)
    indentation = outer
  }

  /// The comments before the end of the text.
  mutating func end(_ trivia: Trivia) {
    guard !trivia.leading.isEmpty else { return }
    blank()
    for (index, comment) in trivia.leading.enumerated() {
      text += comment.text + "\n"
      if comment.blankAfter, index < trivia.leading.count - 1 { blank() }
    }
  }

  // MARK: - Declarations

  mutating func schema(_ schema: SchemaSyntax) {
    line("schema " + SchemaWords.spelled(schema.name.text), schema.documentation, schema.trivia)
    for item in schema.enums {
      blank()
      enumeration(item)
    }
    for item in schema.records {
      blank()
      record(item)
    }
    for item in schema.collections {
      blank()
      collection(item)
    }
    if !schema.rules.isEmpty { blank() }
    for item in schema.rules { rule(item) }
    end(schema.endTrivia)
  }

  mutating func enumeration(_ item: EnumSyntax, prefix: String = "") {
    let head = prefix + "enum " + SchemaWords.spelledType(item.name.text) + " {"
    let names = item.cases.map { SchemaWords.spelled($0.name.text) }
    let short = head + " " + names.joined(separator: ", ") + " }"
    let isPlain =
      item.trivia.trailing == nil && item.endTrivia.leading.isEmpty
      && item.cases.allSatisfy { $0.documentation == nil && $0.trivia.isEmpty }
    if isPlain, indentation.utf8.count + short.utf8.count <= SchemaPrinter.width {
      var trivia = item.trivia
      trivia.trailing = item.endTrivia.trailing
      return line(short, item.documentation, trivia)
    }
    line(head, item.documentation, item.trivia)
    indented { printer in
      for (index, item) in item.cases.enumerated() {
        printer.line(names[index] + ",", item.documentation, item.trivia)
      }
    }
    close(item.endTrivia)
  }

  mutating func record(_ item: RecordSyntax, prefix: String = "") {
    line(
      prefix + "record " + SchemaWords.spelledType(item.name.text) + " {", item.documentation,
      item.trivia)
    indented { printer in
      for field in item.fields { printer.field(field) }
    }
    close(item.endTrivia)
  }

  mutating func collection(_ item: CollectionSyntax, prefix: String = "") {
    let strictness = item.strictness.map { $0.rawValue + " " } ?? ""
    line(
      prefix + strictness + "collection " + SchemaWords.spelledType(item.name.text) + " {",
      item.documentation, item.trivia)
    indented { printer in
      for field in item.fields { printer.field(field) }
      if !item.fields.isEmpty, !item.rules.isEmpty { printer.blank() }
      for rule in item.rules { printer.rule(rule) }
    }
    close(item.endTrivia)
  }

  /// A closing brace, with the comments before it inside the body.
  mutating func close(_ trivia: Trivia) {
    indented { printer in
      for comment in trivia.leading {
        printer.text += printer.indentation + comment.text + "\n"
        if comment.blankAfter { printer.blank() }
      }
    }
    line("}", nil, Trivia(trailing: trivia.trailing))
  }

  mutating func field(_ item: FieldSyntax) {
    line(
      SchemaWords.spelled(item.name.text) + ": " + item.type.printed
        + SchemaPrinter.attributes(item.attributes), item.documentation, item.trivia)
  }

  mutating func rule(_ item: RuleSyntax) { line(item.printed, nil, item.trivia) }

  /// The attributes in their canonical order, each after a space.
  static func attributes(_ attributes: [AttributeSyntax]) -> String {
    var out = ""
    for name in SchemaWords.attributes {
      for attribute in attributes where attribute.name.text == name {
        out += " @" + name
        if let argument = attribute.argument { out += "(" + argument.printed + ")" }
      }
    }
    return out
  }
}

extension RuleSyntax {
  var printed: String {
    "allow " + actions.map { SchemaWords.spelled($0.text) }.joined(separator: ", ")
      + (condition.map { " if " + $0.printed } ?? "")
  }
}

extension TypeSyntax {
  var printed: String {
    var out: String
    if let custom {
      out = "custom " + SchemaWords.quoted(custom)
    } else {
      out = name.isQuoted ? "`\(name.text)`" : name.text
      if name.isQuoted, SchemaWords.isPlain(name.text), !SchemaWords.types.contains(name.text) {
        out = name.text
      } else if !name.isQuoted {
        out = SchemaWords.spelled(name.text)
      }
    }
    if let numbers {
      out += "(" + numbers.map { SchemaNumber.canonical($0.text) }.joined(separator: ", ") + ")"
    }
    if let parameters { out += "<" + parameters.map(\.printed).joined(separator: ", ") + ">" }
    return isOptional ? out + "?" : out
  }
}

extension ExpressionSyntax {
  /// How tightly the outermost operator binds; as the parser has it.
  private var strength: Int {
    switch kind {
    case .binary(let symbol, _, _): symbol.strength
    case .not: 3
    case .isIn: 4
    case .negate: 7
    default: 8
    }
  }

  private func printed(atLeast minimum: Int) -> String {
    strength >= minimum ? printed : "(" + printed + ")"
  }

  /// The expression with as few parentheses as it needs.
  var printed: String {
    switch kind {
    case .number(let digits): return SchemaNumber.canonical(digits)
    case .string(let text): return SchemaWords.quoted(text)
    case .bool(let value): return value ? "true" : "false"
    case .path(let names): return names.map { SchemaWords.spelled($0.text) }.joined(separator: ".")
    case .variable(let name): return "$" + SchemaWords.spelled(name)
    case .not(let inner): return "not " + inner.printed(atLeast: 3)
    case .negate(let inner): return "-" + inner.printed(atLeast: 7)
    case .binary(let symbol, let left, let right):
      // Comparisons do not chain, so both sides of one bind more tightly.
      let least = symbol.strength == 4 ? 5 : symbol.strength
      return left.printed(atLeast: least) + " " + symbol.rawValue + " "
        + right.printed(atLeast: symbol.strength + 1)
    case .isIn(let subject, let items):
      return subject.printed(atLeast: 5) + " in ["
        + items.map { $0.printed(atLeast: 5) }.joined(separator: ", ") + "]"
    case .call(let name, let arguments):
      return SchemaWords.spelled(name.text) + "("
        + arguments.map(\.printed).joined(separator: ", ") + ")"
    case .exists(let name, let matches):
      let printed = matches.map { match in
        SchemaWords.spelled(match.field.text) + ": "
          + match.operands.map { $0.printed(atLeast: 5) }.joined(separator: " or ")
      }
      return "exists " + SchemaWords.spelled(name.text) + "("
        + printed.joined(separator: ", ") + ")"
    }
  }
}

extension Expression.Operator {
  fileprivate var strength: Int {
    switch self {
    case .or: 1
    case .and: 2
    case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: 4
    case .add, .subtract: 5
    case .multiply: 6
    }
  }
}

extension Expression {
  /// The canonical spelling, for messages. The case of an enum shows as a string.
  public var text: String { SyntaxBuilder(records: [:]).expression(self, fields: []).printed }
}
