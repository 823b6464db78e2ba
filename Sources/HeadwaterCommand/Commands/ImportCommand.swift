import ArgumentParser
import Headwater

struct ImportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Import rows from CSV, NDJSON or a table of a SQLite database.",
    discussion: """
      What a file is follows from its name: .csv, .tsv, .ndjson or .jsonl, or FILE.sqlite:TABLE (also .db, \
      .sqlite3). Columns are found by the names in the header. Rows are created, or assigned where their \
      keys are there already.

      A bad row is named by line and column; nothing of its operation is written, earlier ones stay. How far \
      each file is imported is kept in the store: the same command goes on after the last row that was \
      written, however the one before ended, as long as that part of the file has not changed.

      Example: headwater import shop.store --as alice Supplier=suppliers.csv Product=old.sqlite:products
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case csv, tsv, ndjson, sqlite
  }

  @Argument(help: "The file of the store.") var store: String
  @OptionGroup var signer: SignerOptions
  @Argument(help: ArgumentHelp("What to import.", valueName: "collection=file"))
  var files: [String]
  @Option(help: "What the files are, whatever their names say.") var format: Format?
  @Option(help: ArgumentHelp("Rows in an operation.", valueName: "rows")) var batch = 500
  @Flag(help: "Import the files from their start, whatever was imported before.") var restart =
    false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (1...Limits.changes).contains(batch) else {
      throw ValidationError("--batch is 1 to \(Limits.changes)")
    }
    guard !files.isEmpty else { throw ValidationError("what is to be imported? COLLECTION=FILE …") }
    for file in files {
      let parts = file.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
        throw ValidationError("'\(file)' is not COLLECTION=FILE")
      }
    }
  }

  func run() async throws {
    let key = try signer.signer()
    let store = try Headwater.open(store, forWriting: true, options: .patient)
    // All of them are looked at before any is read.
    var jobs: [(collection: Int, source: any ImportSource)] = []
    for file in files {
      guard let equals = file.firstIndex(of: "=") else { continue }
      let collection = try store.schema.requireCollection(String(file[..<equals]))
      let path = String(file[file.index(after: equals)...])
      jobs.append((collection, try source(path, store.schema, collection)))
    }
    for var job in jobs {
      let name = store.schema.collections[job.collection].name
      let importer = Importer(
        store: store, key: key, collection: job.collection, batch: batch, restarts: restart)
      var progress = ProgressLine()
      defer { progress.clear() }
      let outcome = try await importer.run(&job.source) { outcome in
        progress.show(
          "\(name)  \(Figures.count(outcome.rows)) rows  "
            + "\(Figures.rate(outcome.rows, outcome.seconds)) rows/s")
      }
      progress.clear()
      try report(outcome, name, job.source.name)
      try Output.standard.flush()
    }
  }

  private func source(_ path: String, _ schema: Schema, _ collection: Int) throws
    -> any ImportSource
  {
    let type = schema.collections[collection]
    switch try kind(path) {
    case .csv:
      return try CSVRows(path, separator: UInt8(ascii: ","), schema: schema, collection: type)
    case .tsv:
      return try CSVRows(path, separator: UInt8(ascii: "\t"), schema: schema, collection: type)
    case .ndjson: return try NDJSONRows(path, schema: schema, collection: type)
    case .sqlite:
      guard let colon = path.lastIndex(of: ":"), colon != path.startIndex,
        path.index(after: colon) != path.endIndex
      else {
        throw Failure("invalid", "which table of \(path)? Say \(path):TABLE")
      }
      return try TableRows(
        String(path[..<colon]), table: String(path[path.index(after: colon)...]), schema: schema,
        collection: type)
    }
  }

  private func kind(_ path: String) throws -> Format {
    if let format { return format }
    let lower = path.lowercased()
    func ends(_ suffixes: String...) -> Bool { suffixes.contains { lower.hasSuffix($0) } }
    if ends(".csv") { return .csv }
    if ends(".tsv", ".tab") { return .tsv }
    if ends(".ndjson", ".jsonl") { return .ndjson }
    if ends(".sqlite", ".sqlite3", ".db") { return .sqlite }
    if let colon = lower.lastIndex(of: ":") {
      let file = lower[..<colon]
      if [".sqlite", ".sqlite3", ".db"].contains(where: { file.hasSuffix($0) }) { return .sqlite }
    }
    throw Failure(
      "invalid",
      "what is \(path)? Its name ends in none of .csv, .tsv, .ndjson, .jsonl and .sqlite:TABLE; say --format"
    )
  }

  private func report(_ outcome: Importer.Outcome, _ collection: String, _ file: String) throws {
    let isUnchanged = outcome.rows == 0 && outcome.earlier > 0
    guard !output.json else {
      var line = JSONLine()
      line.string("collection", collection)
      line.string("file", file)
      line.string("state", isUnchanged ? "unchanged" : "imported")
      line.int("rows", Int64(outcome.rows))
      line.int("earlier", Int64(outcome.earlier))
      line.int("operations", Int64(outcome.operations))
      line.double("seconds", outcome.seconds)
      return try Output.standard.print(line.finish())
    }
    if isUnchanged {
      return try Output.standard.print(
        "\(collection): \(file) is imported already, \(Figures.rows(outcome.earlier)); nothing to do"
      )
    }
    var text = "\(collection): \(Figures.rows(outcome.rows)) from \(file) in "
    text += "\(outcome.operations) \(outcome.operations == 1 ? "operation" : "operations")"
    text +=
      ", \(Figures.time(outcome.seconds)), \(Figures.rate(outcome.rows, outcome.seconds)) rows/s"
    if outcome.earlier > 0 {
      text += " (after \(Figures.count(outcome.earlier)) that were imported before)"
    }
    try Output.standard.print(text)
  }
}
