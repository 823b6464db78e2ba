import Foundation
import Testing

@testable import HeadwaterModel

/// Checks the tables of test vectors in `Docs/Formats.md`.
@Suite struct FormatsVectorTests {
  @Test func valuesAreAsDocumented() throws {
    let rows = try vectors(section: "Values", heading: "| value | bytes |")
    #expect(rows.count > 60)
    for row in rows {
      let values = try ValueNotation.values(row.notation)
      let bytes = try #require([UInt8](hex: row.hex), "\(row)")
      try #require(values.count == 1, "\(row)")
      var writer = CanonicalWriter()
      writer.value(values[0])
      #expect(hexadecimal(writer.bytes) == row.hex, "\(row.notation)")
      var reader = CanonicalReader(bytes)
      #expect(try reader.value() == values[0], "\(row.notation)")
      try reader.finish()
    }
  }

  @Test func keysAreAsDocumented() throws {
    let rows = try vectors(section: "Keys", heading: "| key | bytes |")
    #expect(rows.count > 25)
    for row in rows {
      let key = Key(try ValueNotation.values(row.notation).compactMap { $0 })
      #expect(hexadecimal(KeyEncoding.encode(key)) == row.hex, "\(row.notation)")
      let bytes = try #require([UInt8](hex: row.hex), "\(row)")
      #expect(try KeyEncoding.decode(bytes) == key, "\(row.notation)")
    }
    // Within a type the table goes upwards, as an example of the order.
    for (a, b) in zip(rows, rows.dropFirst()) where a.hex.prefix(2) == b.hex.prefix(2) {
      #expect(a.hex < b.hex)
    }
  }

  private func vectors(section: String, heading: String) throws -> [(notation: String, hex: String)]
  {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "Docs/Formats.md"), encoding: .utf8)
    var rows: [(notation: String, hex: String)] = []
    var isInSection = false
    var isInTable = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("## ") { isInSection = line == "## \(section)" }
      if line == heading { isInTable = isInSection }
      if line.isEmpty { isInTable = false }
      guard isInTable, line.hasPrefix("| `") else { continue }
      let parts = line.components(separatedBy: "` | `")
      try #require(parts.count == 2, "\(line)")
      rows.append((String(parts[0].dropFirst(3)), String(parts[1].dropLast(3))))
    }
    return rows
  }
}

/// Values as `Docs/Formats.md` spells them: `int 1`, `text "a"`, `record(int 1, absent)`.
enum ValueNotation {
  struct Unreadable: Error {
    let text: String
  }

  /// The values in a list that commas separate.
  static func values(_ text: String) throws -> [Value?] {
    var parts: [String] = []
    var depth = 0
    var isQuoted = false
    var isEscaped = false
    var part = ""
    for character in text {
      if !isEscaped, character == "\"" { isQuoted.toggle() }
      isEscaped = character == "\\" && !isEscaped
      if !isQuoted, "([{".contains(character) { depth += 1 }
      if !isQuoted, ")]}".contains(character) { depth -= 1 }
      if character == ",", depth == 0, !isQuoted {
        parts.append(part)
        part = ""
      } else {
        part.append(character)
      }
    }
    parts.append(part)
    return try parts.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
      .map { try value($0) }
  }

  private static func value(_ text: String) throws -> Value? {
    if text == "absent" { return nil }
    if text.hasSuffix(")"), let open = text.firstIndex(of: "(") {
      let inner = try values(String(text[text.index(after: open)...].dropLast()))
      switch text[..<open] {
      case "record": return .record(inner)
      case "reference": return .reference(Key(inner.compactMap { $0 }))
      default: throw Unreadable(text: text)
      }
    }
    let parts = text.split(separator: " ", maxSplits: 1)
    let rest = parts.count > 1 ? String(parts[1]) : ""
    let value: Value? =
      switch parts[0] {
      case "bool": .bool(rest == "true")
      case "int": Int64(rest).map { .int($0) }
      case "float": Double(rest).flatMap { Value.number($0) }
      case "text": try RawJSON(text: rest).string.map { .text($0) }
      case "bytes": [UInt8](hex: rest).map { .bytes($0) }
      case "decimal": ExactDecimal(rest).map { .decimal($0) }
      case "date": CalendarDate(rest).map { .date($0) }
      case "timestamp": Timestamp(rest).map { .timestamp($0) }
      case "uuid": UUIDBytes(rest).map { .uuid($0) }
      case "principal": Digest(hex: rest).map { .principal($0) }
      case "created": Int(rest).map { .created(index: $0) }
      case "json": .json(try JSON(text: rest))
      default: nil
      }
    guard let value else { throw Unreadable(text: text) }
    return value
  }
}
