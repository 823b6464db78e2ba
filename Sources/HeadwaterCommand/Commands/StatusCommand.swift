import ArgumentParser
import Headwater

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Say what a store is and holds.",
    discussion: "Example: headwater status shop.store --json")

  @Argument(help: "The file of the store.") var store: String
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let store = try Headwater.open(store, forWriting: false)
    let (status, heads, counts) = try await store.read { snapshot in
      (
        try snapshot.status(), try snapshot.frontier(),
        try snapshot.schema.collections.indices.map { try snapshot.count($0) }
      )
    }
    if output.json {
      try Output.standard.print(StatusCommand.form(store, status, heads, counts))
    } else {
      try StatusCommand.show(store, status, heads, counts)
    }
  }

  private static func form(
    _ store: Store, _ status: Snapshot.Status, _ heads: [Digest], _ counts: [Int64]
  ) -> [UInt8] {
    var line = JSONLine()
    line.string("store", store.path)
    line.string("schema", store.schema.name)
    line.string("schemaHash", store.schemaHash.hex)
    line.string("database", store.database.hex)
    line.string("replica", "\(store.replica)")
    line.int("operations", status.operations)
    line.int("void", status.voidOperations)
    line.int("authors", status.authors)
    line.int("height", status.height)
    line.strings("frontier", heads.map(\.hex))
    line.int("position", status.position)
    line.int("firstPosition", status.firstPosition)
    line.int("bytes", status.bytes)
    line.object("rows") { rows in
      for (collection, count) in zip(store.schema.collections, counts) {
        rows.int(collection.name, count)
      }
    }
    line.array("equivocations", status.equivocations) { found, bytes in
      var inner = JSONLine()
      inner.string("author", found.author.hex)
      inner.string("operation", found.operation.hex)
      bytes += inner.closed()
    }
    return line.finish()
  }

  private static func show(
    _ store: Store, _ status: Snapshot.Status, _ heads: [Digest], _ counts: [Int64]
  ) throws {
    let out = Output.standard
    try out.print("store       \(store.path), \(Figures.bytes(status.bytes))")
    try out.print("schema      \(store.schema.name), \(store.schemaHash.hex)")
    try out.print("database    \(store.database.hex)")
    try out.print("replica     \(store.replica)")
    try out.print(
      "operations  \(Figures.count(status.operations)), \(Figures.count(status.voidOperations)) void, "
        + "by \(status.authors) \(status.authors == 1 ? "author" : "authors"), height \(status.height)"
    )
    try out.print("frontier    " + heads.map { String($0.hex.prefix(12)) }.joined(separator: " "))
    if status.position == 0 {
      try out.print("events      none")
    } else {
      try out.print("events      \(status.firstPosition) to \(status.position)")
    }
    for (index, collection) in store.schema.collections.enumerated() {
      let label = index == 0 ? "rows        " : "            "
      try out.print("\(label)\(collection.name) \(Figures.count(counts[index]))")
    }
    for found in status.equivocations {
      try out.print(
        "forked      author \(found.author.hex) wrote \(found.operation.hex) beside an operation of its own"
      )
    }
  }
}
