import Foundation
import Testing

/// Docs/CommandLine.md against `--help`: neither has a command or an option that the other lacks.
@Suite struct DocumentedCommandsTests {
  /// The options of each command, as the page has them: its headings, and the tables below them.
  private func documented() throws -> [String: Set<String>] {
    let page = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Docs/CommandLine.md")
    var commands: [String: Set<String>] = [:]
    var current: String?
    for line in try String(contentsOf: page, encoding: .utf8).split(separator: "\n") {
      if let heading = line.firstMatch(of: /^## `([a-z ]+)`$/) {
        current = String(heading.1)
        commands[String(heading.1)] = []
      } else if line.hasPrefix("## ") {
        current = nil
      } else if let current, let option = line.firstMatch(of: /^\| `(--[a-z-]+)/) {
        commands[current]?.insert(String(option.1))
      }
    }
    return commands
  }

  /// The options and subcommands in a help text.
  private func parse(_ help: String) -> (options: Set<String>, subcommands: [String]) {
    var options: Set<String> = []
    var subcommands: [String] = []
    var section = ""
    for line in help.split(separator: "\n") {
      if let title = line.firstMatch(of: /^([A-Z]+):/) { section = String(title.1) }
      if section == "OPTIONS", let option = line.firstMatch(of: /^  (--[a-z-]+)/) {
        options.insert(String(option.1))
      }
      if section == "SUBCOMMANDS", let name = line.firstMatch(of: /^  ([a-z]+)(\s|$)/) {
        subcommands.append(String(name.1))
      }
    }
    return (options, subcommands)
  }

  @Test func everyCommandAndOptionIsDocumentedAndNoOther() async throws {
    let bench = try Workbench()
    var found: [String: Set<String>] = [:]
    var queue: [[String]] = [[]]
    while let command = queue.popLast() {
      let help = try await bench.run(command + ["--help"])
      #expect(help.status == 0)
      // Help breaks its lines anywhere.
      let words = help.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      let example = words.range(of: "Example: ").map { words[$0.upperBound...] } ?? ""
      let name = (["headwater"] + command).joined(separator: " ")
      #expect(
        example.components(separatedBy: "USAGE:")[0].contains(name), "\(command) has no example")
      let (options, subcommands) = parse(help.output)
      queue += subcommands.map { command + [$0] }
      if !command.isEmpty { found[command.joined(separator: " ")] = options }
    }
    let documented = try documented()
    #expect(Set(found.keys) == Set(documented.keys))
    for (command, options) in found {
      #expect(options == documented[command], "\(command)")
    }
  }
}
