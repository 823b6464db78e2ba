/// A place in the text of a schema. Both counts begin at 1; columns count Unicode scalars.
public struct SchemaPosition: Sendable, Hashable, Comparable {
  /// From 1.
  public let line: Int
  /// From 1, in Unicode scalars.
  public let column: Int

  /// The place in that line and column.
  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// The position of what no text spells, such as a field that an upgrade takes over unchanged.
  static let none = SchemaPosition(line: 0, column: 0)

  /// In the order of the text.
  public static func < (a: SchemaPosition, b: SchemaPosition) -> Bool {
    (a.line, a.column) < (b.line, b.column)
  }
}

/// One error in the text of a schema or upgrade.
public struct SchemaDiagnostic: Sendable, Hashable {
  /// Where the error begins.
  public let position: SchemaPosition
  /// What is wrong, and why.
  public let message: String
  /// What to write instead, where that is known.
  public let help: String?

  /// An error at that place.
  public init(position: SchemaPosition, message: String, help: String? = nil) {
    self.position = position
    self.message = message
    self.help = help
  }

  /// The line of `position`.
  public var line: Int { position.line }
  /// The column of `position`.
  public var column: Int { position.column }
}

/// All errors that were found in the text of a schema or upgrade, in the order of the text; at least one.
///
/// After `SchemaErrors.limit` errors the rest is not reported.
public struct SchemaErrors: Error, Sendable, Hashable {
  /// In the order of the text; at least one.
  public let diagnostics: [SchemaDiagnostic]

  /// The most errors that are reported at once.
  public static let limit = 100

  /// Errors that were found elsewhere, in the order of the text.
  public init(_ diagnostics: [SchemaDiagnostic]) { self.diagnostics = diagnostics }
}

extension SchemaErrors: CustomStringConvertible {
  /// A line for each error: `line:column: message`.
  public var description: String {
    diagnostics.map { error in
      let help = error.help.map { " (\($0))" } ?? ""
      return "\(error.line):\(error.column): \(error.message)\(help)"
    }.joined(separator: "\n")
  }
}

// MARK: - Rendering

extension SchemaErrors {
  /// The errors as a compiler shows them: `file:line:column: error: message`, the line, a caret, and help.
  ///
  /// `source` is the text that was parsed. Bytes that are not UTF-8 and control characters show as U+FFFD,
  /// and of a very long line only the part around the error is shown.
  public func rendered(file: String, source: [UInt8]) -> String {
    let scalars = SchemaSource.decode(source).scalars
    let starts = SchemaSource.lineStarts(scalars)
    var out = ""
    for error in diagnostics {
      out += "\(file):\(error.line):\(error.column): error: \(error.message)\n"
      if error.line >= 1, error.line <= starts.count {
        out += SchemaErrors.excerpt(scalars, from: starts[error.line - 1], column: error.column)
      }
      if let help = error.help { out += "help: \(help)\n" }
    }
    return out
  }

  /// The errors as a compiler shows them: `file:line:column: error: message`, the line, a caret, and help.
  public func rendered(file: String, source: String) -> String {
    rendered(file: file, source: Array(source.utf8))
  }

  /// The line that begins at `start` with a caret below `column`; two lines of text.
  private static func excerpt(_ scalars: [UInt32], from start: Int, column: Int) -> String {
    let width = 160
    var end = start
    while end < scalars.count, scalars[end] != 0x0A, scalars[end] != 0x0D { end += 1 }
    var first = start
    let target = start + column - 1
    if end - start > width { first = max(start, min(target - width / 2, end - width)) }
    let last = min(end, first + width)
    var line = String.UnicodeScalarView()
    var pointer = String.UnicodeScalarView()
    for index in first..<last {
      let scalar = scalars[index]
      let isControl = scalar < 0x20 && scalar != 0x09 || scalar >= 0x7F && scalar < 0xA0
      let shown = isControl ? nil : Unicode.Scalar(scalar)
      line.append(shown ?? "\u{FFFD}")
      if index < target { pointer.append(scalar == 0x09 ? "\t" : " ") }
    }
    return String(line) + "\n" + String(pointer) + "^\n"
  }
}

/// Where lexer, parser and checker put what they find.
final class DiagnosticSink {
  private(set) var diagnostics: [SchemaDiagnostic] = []

  var isFull: Bool { diagnostics.count >= SchemaErrors.limit }
  var isEmpty: Bool { diagnostics.isEmpty }

  /// `message` and `help` are made only while there is room: the search for a near name takes its time.
  func report(
    _ position: SchemaPosition, _ message: @autoclosure () -> String,
    help: @autoclosure () -> String? = nil
  ) {
    guard !isFull else { return }
    let diagnostic = SchemaDiagnostic(position: position, message: message(), help: help())
    if diagnostics.last != diagnostic { diagnostics.append(diagnostic) }
  }

  /// Everything reported, in the order of the text.
  var errors: SchemaErrors {
    SchemaErrors(
      diagnostics.enumerated().sorted {
        ($0.element.position, $0.offset) < ($1.element.position, $1.offset)
      }.map(\.element))
  }
}

/// The one of `candidates` that `name` was most likely meant to be; nil where none is near.
func nearest(_ name: String, in candidates: some Sequence<String>) -> String? {
  let wanted = Array(name.unicodeScalars.prefix(128))
  let allowed = max(1, wanted.count / 3)
  var best: (distance: Int, name: String)?
  for candidate in candidates {
    let scalars = Array(candidate.unicodeScalars.prefix(128))
    guard abs(scalars.count - wanted.count) <= allowed else { continue }
    let distance = editDistance(wanted, scalars)
    if distance <= allowed, distance < best?.distance ?? .max { best = (distance, candidate) }
  }
  return best?.name
}

/// `did you mean 'X'?`
func suggestion(_ name: String, in candidates: some Sequence<String>) -> String? {
  nearest(name, in: candidates).map { "did you mean '\($0)'?" }
}

/// Insertions, deletions, substitutions and swaps of neighbours; a change of case counts as none but breaks no tie.
private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  func folded(_ scalar: Unicode.Scalar) -> UInt32 {
    scalar.value >= 0x41 && scalar.value <= 0x5A ? scalar.value + 0x20 : scalar.value
  }
  let a = a.map(folded)
  let b = b.map(folded)
  var before: [Int] = []
  var previous = Array(0...b.count)
  for i in 0..<a.count {
    var current = [i + 1]
    current.reserveCapacity(b.count + 1)
    for j in 0..<b.count {
      var best = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
      current.append(best)
    }
    before = previous
    previous = current
  }
  return previous[b.count]
}
