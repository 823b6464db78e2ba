import ArgumentParser
import Headwater
import HeadwaterDocuments

struct FindCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find", abstract: "Ask a mirror for documents; nothing is written.",
    discussion: """
      The query is JSON in the language of document databases: {"price":{"$lt":10},"spec.tags":"sale"}, with \
      $eq $ne $gt $gte $lt $lte $in $nin $exists $not $regex $size $elemMatch, $and and $or. Without --to it asks \
      the store's own mirror, STORE.mirror.docs, which is made and brought up to date first. A mirror that is named \
      is asked as it is.

      Example: headwater find shop.store Product '{"price":{"$lt":10}}' --sort -price --limit 5
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "The collection.") var collection: String
  @Argument(help: "The query; all documents without one.") var query: String = "{}"
  @Option(help: ArgumentHelp("Another mirror: documents:FILE.docs.", valueName: "url"))
  var to: String?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Order by these paths, with commas between; a minus before one turns it round.",
      valueName: "paths"))
  var sort: String?
  @Option(help: ArgumentHelp("At most so many documents.", valueName: "count")) var limit: Int?
  @Option(
    help: ArgumentHelp(
      "Only these members, by their paths, with commas between; _id is always there.",
      valueName: "paths"))
  var fields: String?
  @Flag(help: "Print the statement and how it is carried out instead of documents.")
  var explain = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let limit, limit < 0 { throw ValidationError("--limit takes a number that is not negative") }
  }

  func run() async throws {
    let query = try DocumentQuery(query)
    let options = FindOptions(
      sort: FindCommand.list(sort).map { path in
        path.hasPrefix("-")
          ? FindOptions.Sort(String(path.dropFirst()), descending: true) : FindOptions.Sort(path)
      }, limit: limit, fields: FindCommand.list(fields))
    let documents = try DocumentStore(path: try await path())
    if explain {
      let explanation = try documents.explain(collection, query, options)
      if output.json {
        var line = JSONLine()
        line.string("statement", explanation.statement)
        line.strings("plan", explanation.plan)
        return try Output.standard.print(line.finish())
      }
      try Output.standard.print(explanation.statement)
      for step in explanation.plan { try Output.standard.print("  \(step)") }
      return
    }
    try documents.find(collection, query, options) { document in
      if output.json { return try Output.standard.print(document + [0x0A]) }
      var text: [UInt8] = []
      PrettyDocument.write(try RawJSON(text: document), into: &text)
      text.append(0x0A)
      try Output.standard.print(text)
    }
  }

  private static func list(_ text: String?) -> [String] {
    text?.split(separator: ",").map { String($0) } ?? []
  }

  /// The file to ask.
  private func path() async throws -> String {
    if let to {
      guard case .documents(let given) = try SinkURL(to) else {
        throw Failure(
          "invalid",
          "\(to) cannot be asked for documents: say documents:FILE.docs, and mirror into it first")
      }
      _ = try InputFile(given)
      return given
    }
    let opened = try Headwater.open(store, forWriting: false)
    let path = store + ".mirror.docs"
    let url = SinkURL.documents(path)
    let watch = MirrorWatch(sink: url.text, isShown: Output.error.isTerminal)
    defer { watch.clear() }
    let mirror = try await url.mirror(of: opened, name: nil) { watch.note($0) }
    _ = try await mirror.synchronise()
    return path
  }
}

/// A document as people read it, its members in the order in which they stand.
enum PrettyDocument {
  static func write(_ raw: RawJSON, into out: inout [UInt8], level: Int = 0) {
    func line(_ level: Int) {
      out.append(0x0A)
      out.append(contentsOf: repeatElement(0x20, count: 2 * level))
    }
    switch raw {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): JSONText.write(value, into: &out)
    case .number(let digits): out.append(contentsOf: digits.utf8)
    case .string(let text): JSONText.write(text, into: &out)
    case .array(let elements):
      out.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        line(level + 1)
        write(element, into: &out, level: level + 1)
      }
      if !elements.isEmpty { line(level) }
      out.append(UInt8(ascii: "]"))
    case .object(let members):
      out.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        line(level + 1)
        JSONText.write(member.name, into: &out)
        out.append(contentsOf: ": ".utf8)
        write(member.value, into: &out, level: level + 1)
      }
      if !members.isEmpty { line(level) }
      out.append(UInt8(ascii: "}"))
    }
  }
}
