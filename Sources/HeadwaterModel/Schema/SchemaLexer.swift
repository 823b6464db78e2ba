/// The scalars of a source text, and where its lines begin.
enum SchemaSource {
  /// Stands for bytes that are not UTF-8; no Unicode scalar has this number.
  static let invalid: UInt32 = .max

  /// Every scalar of `bytes`, with `invalid` for each maximal run of bytes that is none.
  static func decode(_ bytes: [UInt8]) -> (scalars: [UInt32], isValid: Bool) {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(bytes.count)
    var isValid = true
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while true {
      switch parser.parseScalar(from: &iterator) {
      case .valid(let encoded): scalars.append(Unicode.UTF8.decode(encoded).value)
      case .error:
        scalars.append(invalid)
        isValid = false
      case .emptyInput: return (scalars, isValid)
      }
    }
  }

  /// The index of the first scalar of each line. LF, CR LF and CR end a line.
  static func lineStarts(_ scalars: [UInt32]) -> [Int] {
    var starts = [0]
    for (index, scalar) in scalars.enumerated() {
      if scalar == 0x0A
        || scalar == 0x0D && !(index + 1 < scalars.count && scalars[index + 1] == 0x0A)
      {
        starts.append(index + 1)
      }
    }
    return starts
  }
}

struct SchemaToken {
  enum Kind {
    /// A plain identifier or word; `text` is it.
    case word
    /// An identifier in backticks; `text` is what stands between them.
    case quotedName
    case number
    /// Digits and letters in one: an error, unless a hash is expected.
    case digitsAndLetters
    /// `text` is the value, without quotes and escapes.
    case string
    /// A line of a doc comment; `text` is what follows the slashes.
    case documentation
    case symbol
    case end
  }

  let kind: Kind
  let text: String
  let position: SchemaPosition
  /// Whether nothing but space stands before it on its line.
  let startsLine: Bool
}

/// A comment that is not part of the schema.
struct SchemaComment: Hashable {
  let text: String
  /// The index of the token that follows.
  let nextToken: Int
  /// Whether nothing but space stands before it on its line.
  let ownLine: Bool
  /// Whether an empty line follows.
  var blankAfter: Bool
}

/// Cuts a text into tokens. Total: whatever the bytes, it ends with an `.end` token and errors in the sink.
struct SchemaLexer {
  private let scalars: [UInt32]
  private let sink: DiagnosticSink
  private var index = 0
  private var line = 1
  private var lineStart = 0
  private var startsLine = true
  private(set) var tokens: [SchemaToken] = []
  private(set) var comments: [SchemaComment] = []

  /// The longest identifier, in bytes.
  static let identifierBytes = 128

  private static let symbolPairs: Set<String> = ["==", "!=", "<=", ">=", "&&", "||"]
  private static let symbols = Set("{}()<>[]:,.?@=$+-*/!&|;%".unicodeScalars.map(\.value))

  init(_ bytes: [UInt8], sink: DiagnosticSink) {
    self.sink = sink
    scalars = SchemaSource.decode(bytes).scalars
  }

  private var position: SchemaPosition {
    SchemaPosition(line: line, column: index - lineStart + 1)
  }

  private func peek(_ distance: Int = 0) -> UInt32? {
    index + distance < scalars.count ? scalars[index + distance] : nil
  }

  private func isControl(_ scalar: UInt32) -> Bool {
    scalar < 0x20 || scalar >= 0x7F && scalar < 0xA0
  }

  static func isIdentifierStart(_ scalar: UInt32) -> Bool {
    scalar >= 0x41 && scalar <= 0x5A || scalar >= 0x61 && scalar <= 0x7A || scalar == 0x5F
  }

  static func isDigit(_ scalar: UInt32) -> Bool { scalar >= 0x30 && scalar <= 0x39 }

  private func isIdentifierPart(_ scalar: UInt32?) -> Bool {
    guard let scalar else { return false }
    return SchemaLexer.isIdentifierStart(scalar) || SchemaLexer.isDigit(scalar)
  }

  private func text(_ range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    for scalar in scalars[range] { view.append(Unicode.Scalar(scalar) ?? "\u{FFFD}") }
    return String(view)
  }

  private mutating func add(_ kind: SchemaToken.Kind, _ text: String, at position: SchemaPosition) {
    tokens.append(
      SchemaToken(kind: kind, text: text, position: position, startsLine: startsLine))
    startsLine = false
  }

  /// Reads to the end.
  mutating func run() {
    if peek() == 0xFEFF {
      index = 1
      lineStart = 1
    }
    while let scalar = peek() {
      switch scalar {
      case 0x20, 0x09: index += 1
      case 0x0A, 0x0D: newline()
      case 0x22: string()
      case 0x60: quotedName()
      case 0x2F where peek(1) == 0x2F: comment()
      case _ where SchemaLexer.isDigit(scalar): number()
      case _ where SchemaLexer.isIdentifierStart(scalar): word()
      default: symbol(scalar)
      }
    }
    add(.end, "", at: position)
  }

  private mutating func newline() {
    if peek() == 0x0D, peek(1) == 0x0A { index += 1 }
    index += 1
    if startsLine, let last = comments.last, last.nextToken == tokens.count, !last.blankAfter,
      onlySpaceSinceLineStart()
    {
      comments[comments.count - 1].blankAfter = true
    }
    line += 1
    lineStart = index
    startsLine = true
  }

  /// Whether the line that ends before `index` is empty but for spaces.
  private func onlySpaceSinceLineStart() -> Bool {
    scalars[lineStart..<index].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
  }

  private mutating func comment() {
    let start = index
    let place = position
    while let scalar = peek(), scalar != 0x0A, scalar != 0x0D {
      if scalar == SchemaSource.invalid {
        reportInvalid()
      } else if isControl(scalar), scalar != 0x09 {
        sink.report(position, "a control character in a comment")
      }
      index += 1
    }
    var end = index
    while end > start, scalars[end - 1] == 0x20 || scalars[end - 1] == 0x09 { end -= 1 }
    // Three slashes are documentation; four or more are a ruler and no more than a comment.
    let isDocumentation =
      end - start >= 3 && scalars[start + 2] == 0x2F
      && !(end - start > 3 && scalars[start + 3] == 0x2F)
    if isDocumentation {
      var begin = start + 3
      if begin < end, scalars[begin] == 0x20 { begin += 1 }
      add(.documentation, text(begin..<end), at: place)
      return
    }
    comments.append(
      SchemaComment(
        text: text(start..<end), nextToken: tokens.count, ownLine: startsLine, blankAfter: false))
  }

  private mutating func word() {
    let start = index
    let place = position
    while isIdentifierPart(peek()) { index += 1 }
    if index - start > SchemaLexer.identifierBytes {
      sink.report(place, "a name has \(SchemaLexer.identifierBytes) bytes at most")
    }
    add(.word, text(start..<index), at: place)
  }

  private mutating func quotedName() {
    let place = position
    index += 1
    let start = index
    while let scalar = peek(), scalar != 0x60, scalar != 0x0A, scalar != 0x0D {
      if scalar == SchemaSource.invalid {
        reportInvalid()
      } else if isControl(scalar) {
        sink.report(position, "a control character in a name")
      }
      index += 1
    }
    let name = text(start..<index)
    if peek() == 0x60 {
      index += 1
    } else {
      sink.report(place, "the name in backticks does not end on its line")
    }
    if name.isEmpty { sink.report(place, "a name without characters") }
    if name.utf8.count > SchemaLexer.identifierBytes {
      sink.report(place, "a name has \(SchemaLexer.identifierBytes) bytes at most")
    }
    add(.quotedName, name, at: place)
  }

  private mutating func number() {
    let start = index
    let place = position
    while let scalar = peek(), SchemaLexer.isDigit(scalar) { index += 1 }
    if peek() == 0x2E, let next = peek(1), SchemaLexer.isDigit(next) {
      index += 1
      while let scalar = peek(), SchemaLexer.isDigit(scalar) { index += 1 }
    }
    if let scalar = peek(), scalar == 0x65 || scalar == 0x45 {
      var distance = 1
      if let sign = peek(1), sign == 0x2B || sign == 0x2D { distance = 2 }
      if let digit = peek(distance), SchemaLexer.isDigit(digit) {
        index += distance
        while let scalar = peek(), SchemaLexer.isDigit(scalar) { index += 1 }
      }
    }
    var kind = SchemaToken.Kind.number
    while isIdentifierPart(peek()) {
      kind = .digitsAndLetters
      index += 1
    }
    if index - start > SchemaLexer.identifierBytes, kind == .number {
      sink.report(place, "a number of more than \(SchemaLexer.identifierBytes) characters")
    }
    add(kind, text(start..<index), at: place)
  }

  private mutating func string() {
    let place = position
    index += 1
    var value = String.UnicodeScalarView()
    while true {
      guard let scalar = peek(), scalar != 0x0A, scalar != 0x0D else {
        sink.report(place, "the string does not end on its line", help: #"a line break is "\n""#)
        break
      }
      if scalar == 0x22 {
        index += 1
        break
      }
      if scalar == 0x5C {
        if let escaped = escape() { value.append(escaped) }
        continue
      }
      if scalar == SchemaSource.invalid {
        reportInvalid()
      } else if isControl(scalar) {
        sink.report(
          position, "a control character in a string",
          help: #"write it as an escape, "\t" or "\u{9}" for a tab"#)
      } else if let scalar = Unicode.Scalar(scalar) {
        value.append(scalar)
      }
      index += 1
    }
    add(.string, String(value), at: place)
  }

  /// Reads an escape from its backslash on; nil, and a report, where there is no such escape.
  private mutating func escape() -> Unicode.Scalar? {
    let place = position
    let letter = peek(1)
    index += letter == nil || letter == 0x0A || letter == 0x0D ? 1 : 2
    switch letter {
    case 0x22: return "\""
    case 0x5C: return "\\"
    case 0x6E: return "\n"
    case 0x72: return "\r"
    case 0x74: return "\t"
    case 0x75 where peek() == 0x7B:
      index += 1
      var digits = ""
      while isIdentifierPart(peek()), digits.utf8.count < 9, let scalar = peek() {
        digits.unicodeScalars.append(Unicode.Scalar(scalar) ?? "?")
        index += 1
      }
      if peek() == 0x7D, let number = UInt32(digits, radix: 16), digits.utf8.count <= 8,
        let scalar = Unicode.Scalar(number)
      {
        index += 1
        if scalar.value == 0 { sink.report(place, "text holds no U+0000") }
        return scalar
      }
      sink.report(place, #"an escape that is no Unicode scalar"#, help: #"write "\u{1F600}""#)
      return nil
    default:
      sink.report(
        place, "there is no such escape", help: #"there are \" \\ \n \r \t and \u{1F600}"#)
      return nil
    }
  }

  private mutating func symbol(_ scalar: UInt32) {
    let place = position
    if scalar == SchemaSource.invalid {
      reportInvalid()
      index += 1
      return
    }
    guard SchemaLexer.symbols.contains(scalar) else {
      index += 1
      if isControl(scalar) {
        let code = String(scalar, radix: 16, uppercase: true)
        let padded = String(repeating: "0", count: 4 - code.utf8.count) + code
        sink.report(place, "a control character (U+\(padded))")
      } else {
        while let next = peek(), next >= 0x80, next != SchemaSource.invalid, !isControl(next) {
          index += 1
        }
        sink.report(
          place, "a character that begins nothing",
          help: scalar >= 0x80
            ? "a name with other characters than A-Z, a-z, 0-9 and _ stands in backticks" : nil)
      }
      return
    }
    if let next = peek(1), SchemaLexer.symbols.contains(next),
      SchemaLexer.symbolPairs.contains(text(index..<index + 2))
    {
      index += 2
      return add(.symbol, text(index - 2..<index), at: place)
    }
    index += 1
    add(.symbol, text(index - 1..<index), at: place)
  }

  private func reportInvalid() { sink.report(position, "bytes that are not UTF-8") }
}
