import Foundation

/// The files of the package, read from where this file was compiled.
enum SourceTree {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The paths below `folder` with that suffix, relative to the root and sorted; nothing hidden.
  static func files(below folder: String, suffix: String) -> [String] {
    guard
      let enumerator = FileManager.default.enumerator(
        at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil,
        options: [.skipsHiddenFiles])
    else { return [] }
    let prefix = root.standardizedFileURL.path + "/"
    return enumerator.compactMap { ($0 as? URL)?.standardizedFileURL.path }
      .filter { $0.hasSuffix(suffix) && $0.hasPrefix(prefix) }
      .map { String($0.dropFirst(prefix.count)) }
      .sorted()
  }

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
  }

  /// Every Swift file of the sources and adapters.
  static let sources =
    files(below: "Sources", suffix: ".swift")
    + files(below: "Adapters", suffix: ".swift")

  /// The module that a file of the sources or adapters belongs to.
  static func module(of path: String) -> String {
    let parts = path.split(separator: "/").map(String.init)
    guard parts.count > 2 else { return path }
    if parts[0] == "Adapters" && parts[1] != "AdapterContract" { return "Headwater" + parts[1] }
    return parts[1]
  }
}

/// Swift source without its comments and the contents of its strings, line for line.
struct SwiftCode {
  let lines: [String]

  init(_ text: String) {
    var out = ""
    var rest = text[...]
    var commentDepth = 0
    // The quotes that end the string we are in.
    var closing: String?
    while let character = rest.first {
      if commentDepth > 0 {
        if rest.hasPrefix("/*") {
          commentDepth += 1
          rest = rest.dropFirst(2)
        } else if rest.hasPrefix("*/") {
          commentDepth -= 1
          rest = rest.dropFirst(2)
        } else {
          if character.isNewline { out.append("\n") }
          rest = rest.dropFirst()
        }
      } else if let quotes = closing {
        if rest.hasPrefix(quotes) {
          closing = nil
          out += "\""
          rest = rest.dropFirst(quotes.count)
        } else if character == "\\" && !quotes.hasSuffix("#") {
          rest = rest.dropFirst(rest.dropFirst().first?.isNewline == true ? 1 : 2)
        } else {
          if character.isNewline {
            out.append("\n")
            // Only strings of several lines go on; anything else was a quote in a regex, say.
            if !quotes.contains("\"\"\"") { closing = nil }
          }
          rest = rest.dropFirst()
        }
      } else if rest.hasPrefix("//") {
        rest = rest.drop { !$0.isNewline }
      } else if rest.hasPrefix("/*") {
        commentDepth = 1
        rest = rest.dropFirst(2)
      } else if let opening = ["#\"\"\"", "\"\"\"", "#\"", "\""].first(where: rest.hasPrefix) {
        closing = String(opening.reversed())
        out += "\""
        rest = rest.dropFirst(opening.count)
      } else {
        out.append(character)
        rest = rest.dropFirst()
      }
    }
    lines = out.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  /// The modules that are imported, each with its line, which counts from 1.
  var imports: [(module: String, line: Int)] {
    let pattern =
      /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias|actor)\s+)?([A-Za-z_]\w*)/
    return lines.enumerated().compactMap { index, line in
      (try? pattern.firstMatch(in: line)).flatMap { $0 }.map { (String($0.1), index + 1) }
    }
  }
}
