/// A block of a document that shows a terminal, and can be run:
///
///     ```console
///     $ headwater key new alice
///     created key alice, principal …
///     $ cat > rows.ndjson <<'END'
///     > {"changes":[]}
///     > END
///     $ headwater verify store --to sqlite:other.db   # exits 1
///     …
///     ```
///
/// `$ ` begins a command, `> ` continues it; every other line is output. In output `…` stands for any
/// text of one line, and alone on a line for any number of lines, none included. A command must exit
/// with 0 unless its comment says otherwise. There is no way to mark a block as not to be run.
struct ConsoleBlock: Equatable {
  struct Step: Equatable {
    /// The line of the document, from 1.
    var line: Int
    var command: String
    var expectedOutput: [String]
    var expectedStatus: Int32
  }

  var line: Int
  var steps: [Step]

  struct Malformed: Error, Equatable, CustomStringConvertible {
    let line: Int
    let description: String
  }

  /// All blocks of a document in Markdown.
  static func blocks(of markdown: String) throws(Malformed) -> [ConsoleBlock] {
    var blocks: [ConsoleBlock] = []
    var open: ConsoleBlock?
    var fence: Substring?
    let lines = markdown.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      if let current = fence {
        if line == current {
          if let block = open {
            guard !block.steps.isEmpty else {
              throw Malformed(line: block.line, description: "a console block without a command")
            }
            blocks.append(block)
          }
          fence = nil
          open = nil
        } else if open != nil {
          try open?.read(line, number: index + 1)
        }
      } else if line.hasPrefix("```") {
        fence = line.prefix { $0 == "`" }
        if line.drop(while: { $0 == "`" }) == "console" {
          open = ConsoleBlock(line: index + 1, steps: [])
        }
      }
    }
    if let open { throw Malformed(line: open.line, description: "a console block without an end") }
    return blocks
  }

  private mutating func read(_ line: Substring, number: Int) throws(Malformed) {
    if line.hasPrefix("$ ") {
      let command = String(line.dropFirst(2))
      var status: Int32 = 0
      if let match = command.firstMatch(of: /#\s*exits (\d+)\s*$/) {
        status = Int32(match.1) ?? 0
      }
      steps.append(
        Step(line: number, command: command, expectedOutput: [], expectedStatus: status))
    } else if steps.isEmpty {
      throw Malformed(line: number, description: "output before the first command")
    } else if line == ">" || line.hasPrefix("> "), steps[steps.count - 1].expectedOutput.isEmpty {
      steps[steps.count - 1].command += "\n" + line.dropFirst(2)
    } else {
      steps[steps.count - 1].expectedOutput.append(String(line))
    }
  }
}

/// Compares what a program printed with what a document shows.
enum OutputPattern {
  /// Whether every line is as expected. `…` is any text of a line; alone, any number of lines.
  static func matches(_ actual: [String], _ expected: [String]) -> Bool {
    // The lines that the pattern so far may have consumed.
    var reachable: Set<Int> = [0]
    for pattern in expected {
      var next: Set<Int> = []
      for position in reachable {
        if pattern == "…" {
          next.formUnion(position...actual.count)
        } else if position < actual.count, matches(line: actual[position], pattern) {
          next.insert(position + 1)
        }
      }
      reachable = next
    }
    return reachable.contains(actual.count)
  }

  static func matches(line: String, _ pattern: String) -> Bool {
    let parts = pattern.split(separator: "…", omittingEmptySubsequences: false)
    guard let first = parts.first, let last = parts.last, parts.count > 1 else {
      return line == pattern
    }
    guard line.hasPrefix(first), line.hasSuffix(last), line.count >= first.count + last.count
    else { return false }
    var rest = line.dropFirst(first.count).dropLast(last.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let range = rest.firstRange(of: part) else { return false }
      rest = rest[range.upperBound...]
    }
    return true
  }
}
