import ArgumentParser
import Headwater

struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a new database: a store is one file.",
    discussion: """
      First rows are NDJSON, {"create":"Member","row":{"principal":"$author",…}} a line; in the place \
      of a principal "$author" is the key that signs. They are part of the database's first operation, \
      which no rule judges.

      Example: headwater init shop.store --schema shop.schema --as alice
      """)

  @Argument(help: "The file to make.") var store: String
  @Option(help: ArgumentHelp("The file of the schema.", valueName: "file")) var schema: String
  @OptionGroup var signer: SignerOptions
  @Option(help: ArgumentHelp("First rows: a file of NDJSON; - is stdin.", valueName: "file"))
  var rows: String?
  @OptionGroup var output: OutputOptions

  func run() throws {
    let schema = try SchemaText(schema).schema()
    let key = try signer.signer()
    let first = try rows.map { try read($0, schema, key.principal) } ?? []
    let made = try Headwater.create(at: store, schema: schema, as: key) { draft in
      for row in first {
        do throws(StoreError) {
          try row.change.apply(to: draft)
        } catch {
          throw StoreError(
            error.code, "\(rows ?? ""), line \(row.line): \(error.message)", reason: error.reason)
        }
      }
    }
    if output.json {
      var line = JSONLine()
      line.string("database", made.database.hex)
      line.string("replica", "\(made.replica)")
      line.string("schema", made.schemaHash.hex)
      line.string("author", key.principal.hex)
      line.int("rows", Int64(first.count))
      try Output.standard.print(line.finish())
    } else {
      try Output.standard.print(
        "made \(store): database \(made.database.hex), schema \(schema.name)"
          + (first.isEmpty ? "" : ", \(first.count) first \(first.count == 1 ? "row" : "rows")"))
    }
  }

  private func read(_ file: String, _ schema: Schema, _ author: Digest) throws
    -> [(line: Int, change: ChangeForm)]
  {
    let input = try InputFile(file)
    let changes = ChangeReader(schema: schema, author: author)
    var reader = NDJSONReader()
    var rows: [(line: Int, change: ChangeForm)] = []
    var isAtEnd = false
    while !isAtEnd {
      let bytes = try input.read(1 << 16)
      if bytes.isEmpty {
        isAtEnd = true
        reader.finish()
      } else {
        reader.append(bytes)
      }
      do {
        while let record = try reader.next() {
          do {
            let change = try changes.firstRow(record.value)
            guard case .create = change else {
              throw Failure("invalid", "a first row is created; nothing is there to change yet")
            }
            rows.append((record.line, change))
          } catch {
            let failure = Failure(describing: error) ?? Failure("invalid", "\(error)")
            throw Failure(failure.code, "\(input.name), line \(record.line): \(failure.message)")
          }
        }
      } catch let error as RecordError {
        throw Failure("invalid", "\(input.name), \(error)")
      }
    }
    return rows
  }
}
