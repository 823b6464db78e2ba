import ArgumentParser
import Headwater

struct RowsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rows", abstract: "Print the visible rows of a collection, sorted by key.",
    discussion: """
      With a key, that row alone; exit code 1 where there is none. A key is the text of its one field, or \
      JSON such as '{"country":"AT","code":"9"}'.

      Example: headwater rows shop.store Product A-1 --json
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "The collection.") var collection: String
  @Argument(help: "The key of one row.") var key: String?
  @Option(
    help: ArgumentHelp(
      "The rows as a replica had them that had seen these operations and their past, and no more.",
      valueName: "op,op"))
  var at: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let store = try Headwater.open(store, forWriting: false)
    let isFound = try await store.read { snapshot in
      let index = try snapshot.collectionIndex(collection)
      let type = snapshot.schema.collections[index]
      let key = try key.map { try snapshot.schema.key(typed: $0, of: type) }
      var printer = RowPrinter(snapshot.schema, type, json: output.json)
      var count = 0
      if let at {
        for row in try snapshot.rows(index, key: key, at: try snapshot.operations(at)) {
          try printer.print(row)
          count += 1
        }
      } else if let key {
        if let row = try snapshot.row(index, key: key) {
          try printer.print(row)
          count = 1
        }
      } else {
        var after: Key?
        while true {
          let page = try snapshot.rows(index, after: after, limit: 1_000)
          for row in page { try printer.print(row) }
          count += page.count
          guard page.count == 1_000, let last = page.last else { break }
          after = type.key(of: last)
        }
      }
      if count > 0 || key == nil { try printer.finish() }
      return count > 0 || key == nil
    }
    if !isFound {
      Output.error.say("headwater: \(collection) has no visible row with that key")
      throw ExitCode.no
    }
  }
}

/// Prints rows as a table or as JSON.
private struct RowPrinter {
  private let schema: Schema
  private let collection: CollectionType
  private var table: TextTable?

  init(_ schema: Schema, _ collection: CollectionType, json: Bool) {
    self.schema = schema
    self.collection = collection
    guard !json else { return }
    table = TextTable(
      collection.fields.map(\.name), isRight: collection.fields.map { $0.type.isNumber })
  }

  mutating func print(_ row: Row) throws {
    if table == nil {
      try Output.standard.print(RowForm.row(row, of: collection, in: schema))
    } else {
      try table?.add(
        zip(row.values, collection.fields).map { schema.text(forCell: $0, for: $1.type) })
    }
  }

  mutating func finish() throws { try table?.finish() }
}

extension FieldType {
  fileprivate var isNumber: Bool {
    switch wrapped {
    case .int, .float, .decimal, .counter: true
    default: false
    }
  }
}
