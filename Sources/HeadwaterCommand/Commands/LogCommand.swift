import ArgumentParser
import Headwater

struct LogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Print operations in canonical order with their verdicts.",
    discussion: """
      With a collection only operations that touch it, and of those only the changes that do; with a key \
      likewise one row.

      Example: headwater log shop.store Product A-1
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "Only this collection.") var collection: String?
  @Argument(help: "Only the row with this key.") var key: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let store = try Headwater.open(store, forWriting: false)
    try await store.read { snapshot in
      let schema = snapshot.schema
      let index = try collection.map { try snapshot.collectionIndex($0) }
      var row: Key?
      if let key, let index { row = try schema.key(typed: key, of: schema.collections[index]) }
      try snapshot.log(collection: index, key: row) { entry in
        if output.json {
          try Output.standard.print(RowForm.operation(entry, in: schema))
        } else {
          try LogCommand.show(entry, schema)
        }
        return true
      }
    }
  }

  /// An operation for people: enough digits of the ids to name them.
  private static func show(_ entry: Snapshot.LoggedOperation, _ schema: Schema) throws {
    var verdict = "valid"
    if case .void(let reason, let by) = entry.verdict {
      verdict = "void: \(reason.rawValue)"
      if !by.isEmpty { verdict += " by " + by.map { short($0) }.joined(separator: ", ") }
    }
    let parents = entry.operation.parents.map { short($0) }.joined(separator: ", ")
    try Output.standard.print(
      "operation \(entry.id.hex)\n  height \(entry.height)  author \(short(entry.author))  "
        + "\(RowForm.time(entry.operation.time))  \(verdict)"
        + (parents.isEmpty ? "" : "\n  after \(parents)"))
    for change in entry.changes {
      let collection = schema.collections[change.collection]
      var text = "    \(RowForm.verb(change.kind)) \(collection.name) "
      text += change.key.values.enumerated().map { position, value in
        schema.text(
          forCell: value, for: collection.fields[collection.keyFields[position]].type)
      }.joined(separator: " / ")
      for field in RowForm.fields(of: change) {
        var bytes: [UInt8] = []
        if let type = field.type {
          schema.write(field.value, for: type, into: &bytes)
        } else {
          bytes += (field.value == nil ? "null" : "{}").utf8
        }
        text += "  \(field.name)=\(String(decoding: bytes, as: UTF8.self))"
      }
      try Output.standard.print(text)
    }
  }

  private static func short(_ id: Digest) -> String { String(id.hex.prefix(12)) }
}
