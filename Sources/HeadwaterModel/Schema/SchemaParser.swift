/// Reads tokens into syntax. Reports every error and goes on at the next member or declaration.
///
/// Nothing recurses deeper than `Limits.depth`, whatever the text.
struct SchemaParser {
  /// Thrown after the error was reported, and caught where reading can go on.
  struct Failure: Error {}

  let tokens: [SchemaToken]
  let comments: [SchemaComment]
  let sink: DiagnosticSink
  var index = 0
  private var nextComment = 0
  /// Operators and operands of the expression that is being read.
  var expressionSize = 0

  /// The most collections, and likewise records and enums, of a schema.
  static let declarations = 1_000
  /// The most fields of a collection or record, and likewise cases of an enum.
  static let members = 1_000
  /// The most operators and operands of one expression.
  static let expressionSize = 256

  /// A parser of the whole text; nil, and a report, for a text that is too long.
  init?(_ bytes: [UInt8], sink: DiagnosticSink) {
    guard bytes.count <= Limits.schemaBytes else {
      sink.report(
        SchemaPosition(line: 1, column: 1),
        "the text has \(bytes.count) bytes; a schema has \(Limits.schemaBytes) at most")
      return nil
    }
    var lexer = SchemaLexer(bytes, sink: sink)
    lexer.run()
    tokens = lexer.tokens
    comments = lexer.comments
    self.sink = sink
  }

  // MARK: - Tokens

  var token: SchemaToken { tokens[index] }
  var next: SchemaToken { tokens[min(index + 1, tokens.count - 1)] }
  var atEnd: Bool { token.kind == .end }

  mutating func advance() { if index < tokens.count - 1 { index += 1 } }

  func isSymbol(_ text: String) -> Bool { token.kind == .symbol && token.text == text }
  func isWord(_ text: String) -> Bool { token.kind == .word && token.text == text }
  var isName: Bool { token.kind == .word || token.kind == .quotedName }
  /// Whether `name:` comes next.
  var isField: Bool { isName && next.kind == .symbol && next.text == ":" }

  /// Consumes the symbol if it is next.
  mutating func take(_ symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    advance()
    return true
  }

  /// Consumes the word if it is next.
  mutating func takeWord(_ word: String) -> Bool {
    guard isWord(word) else { return false }
    advance()
    return true
  }

  /// The next token as an error names it.
  var found: String {
    switch token.kind {
    case .end: "the end of the text"
    case .string: "a string"
    case .documentation: "a doc comment"
    case .quotedName: "`\(token.text)`"
    case .word, .number, .digitsAndLetters, .symbol:
      "'\(String(token.text.unicodeScalars.prefix(40)))'"
    }
  }

  func fail(_ message: String, help: String? = nil) -> Failure {
    sink.report(token.position, message, help: help)
    return Failure()
  }

  mutating func expect(_ symbol: String, _ why: String) throws(Failure) {
    guard take(symbol) else { throw fail("expected '\(symbol)' \(why), found \(found)") }
  }

  mutating func name(_ what: String) throws(Failure) -> NameSyntax {
    guard isName else { throw fail("expected \(what), found \(found)") }
    let name = NameSyntax(token.text, token.position, isQuoted: token.kind == .quotedName)
    if !name.isQuoted, SchemaWords.reserved.contains(name.text) {
      throw fail(
        "'\(name.text)' is a word of the language, expected \(what)",
        help: "write it in backticks: `\(name.text)`")
    }
    advance()
    return name
  }

  /// The name that a declaration gives to a type.
  mutating func typeName(_ what: String) throws(Failure) -> NameSyntax {
    let name = try name(what)
    if !name.isQuoted, SchemaWords.types.contains(name.text) {
      sink.report(
        name.position, "'\(name.text)' is a type of the language, expected \(what)",
        help: "write it in backticks: `\(name.text)`")
    }
    return name
  }

  // MARK: - Comments

  /// The comments before the next token; the beginning of a line of the canonical form.
  mutating func beginNode() -> Trivia {
    var trivia = Trivia()
    takeComments(upTo: index, into: &trivia)
    return trivia
  }

  /// Adds the comments inside the node that was just read, and the one after it on its line.
  mutating func endNode(_ trivia: inout Trivia) {
    takeComments(upTo: index - 1, into: &trivia)
    if nextComment < comments.count, comments[nextComment].nextToken == index,
      !comments[nextComment].ownLine
    {
      trivia.trailing = comments[nextComment].text
      nextComment += 1
    }
  }

  private mutating func takeComments(upTo token: Int, into trivia: inout Trivia) {
    while nextComment < comments.count, comments[nextComment].nextToken <= token {
      let comment = comments[nextComment]
      trivia.leading.append(Trivia.Line(text: comment.text, blankAfter: comment.blankAfter))
      nextComment += 1
    }
  }

  /// The doc comment before a declaration or member, if there is one.
  mutating func documentation() -> String? {
    var lines: [String] = []
    while token.kind == .documentation {
      if !token.startsLine {
        sink.report(
          token.position, "a doc comment stands on a line of its own, before what it describes",
          help: "put it above, or write // for a comment that is no part of the schema")
      }
      lines.append(token.text)
      advance()
    }
    guard let first = lines.firstIndex(where: { !$0.isEmpty }),
      let last = lines.lastIndex(where: { !$0.isEmpty })
    else { return nil }
    return lines[first...last].joined(separator: "\n")
  }

  /// Reports a doc comment before what has none.
  func refuse(_ documentation: String?, at position: SchemaPosition, of what: String) {
    guard documentation != nil else { return }
    sink.report(position, "\(what) has no doc comment", help: "write // instead of ///")
  }

  // MARK: - Recovery

  /// Whether a declaration seems to begin here.
  var looksLikeDeclaration: Bool {
    guard token.kind == .word, token.startsLine, !isField else { return false }
    switch token.text {
    case "enum", "record", "collection", "schema", "strict", "lenient":
      return next.kind == .word || next.kind == .quotedName
    default: return false
    }
  }

  /// Skips to where the next member of a body may begin, or to the end of the body.
  mutating func skipToMember() {
    while !atEnd, !isSymbol("}"), !looksLikeDeclaration {
      if token.startsLine,
        token.kind == .documentation || isField || isWord("allow")
      {
        return
      }
      advance()
    }
  }

  /// Skips to where the next declaration may begin.
  mutating func skipToDeclaration() {
    while !atEnd, !looksLikeDeclaration {
      if token.startsLine, token.kind == .documentation {
        let start = index
        while token.kind == .documentation { advance() }
        if looksLikeDeclaration {
          index = start
          return
        }
        continue
      }
      if token.startsLine, isWord("allow"),
        ["everything", "upgrade", "connect"].contains(next.text)
      {
        return
      }
      advance()
    }
  }
}
