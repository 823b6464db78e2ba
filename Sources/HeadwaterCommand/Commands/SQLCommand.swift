import ArgumentParser
import Headwater
import SQLiteDriver

struct SQLCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sql", abstract: "Ask a mirror in SQL; nothing is written.",
    discussion: """
      Without --to it asks the store's own mirror, STORE.mirror.sqlite, which is made and brought up to date \
      first. A mirror that is named is asked as it is.

      Example: headwater sql shop.store 'SELECT name, price FROM Product ORDER BY price DESC LIMIT 5'
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "One SELECT.") var query: String
  @Option(help: ArgumentHelp("Another mirror: sqlite:PATH or postgres://….", valueName: "url"))
  var to: String?
  @Flag(help: "Print CSV with a header.") var csv = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if csv, output.json { throw ValidationError("--csv and --json contradict each other") }
  }

  func run() async throws {
    let form: SQLQuery.Form = csv ? .csv : output.json ? .json : .table
    switch try to.map({ try SinkURL($0) }) {
    case .postgres(let configuration)?:
      try PostgresRows(form: form).print(query, from: configuration)
    case .memory?, .folder?, .documents?, .server?:
      throw Failure(
        "invalid",
        "that mirror cannot be asked in SQL: say sqlite:PATH or postgres://…, or ask documents with `headwater find`"
      )
    case .sqlite(let path)?: try SQLQuery(query).print(from: path, as: form)
    case nil:
      let parsed = try SQLQuery(query)
      try parsed.print(from: try await SQLCommand.ownMirror(of: store), as: form)
    }
  }

  /// The path of the store's own mirror, brought up to date.
  static func ownMirror(of file: String) async throws -> String {
    let store = try Headwater.open(file, forWriting: false)
    let path = file + ".mirror.sqlite"
    let url = SinkURL.sqlite(path)
    let watch = MirrorWatch(sink: url.text, isShown: Output.error.isTerminal)
    defer { watch.clear() }
    let mirror = try await url.mirror(of: store, name: nil) { watch.note($0) }
    _ = try await mirror.synchronise()
    return path
  }
}

/// One read-only statement, and how its rows are printed.
struct SQLQuery {
  enum Form { case table, csv, json }

  private let text: String

  /// Throws where there is more than one statement: only the first would be run.
  init(_ text: String) throws {
    guard SQLQuery.statementCount(text) == 1 else {
      throw Failure("invalid", "give one statement")
    }
    self.text = text
  }

  func print(from path: String, as form: Form) throws {
    _ = try InputFile(path)
    do {
      let connection = try Connection(path: path, mode: .readOnly)
      connection.setBusyTimeout(milliseconds: 5_000)
      try connection.execute("PRAGMA query_only = 1")
      let statement = try connection.prepare(text)
      guard statement.isReadOnly, statement.columnCount > 0 else {
        throw Failure(
          "invalid", "that is no query: a mirror is read, and written by its store alone")
      }
      switch form {
      case .table: try table(statement)
      case .csv: try csv(statement)
      case .json: try json(statement)
      }
    } catch let error as SQLiteError {
      if error.isNotADatabase { throw Failure("sqlite", "\(path) is not a SQLite database") }
      throw Failure("sqlite", error.message)
    }
  }

  private func names(_ statement: Statement) -> [String] {
    (0..<statement.columnCount).map { statement.columnName(Int32($0)) }
  }

  private func cells(_ statement: Statement) -> [String] {
    (0..<Int32(statement.columnCount)).map { column in
      statement.type(column) == .blob
        ? "x'\(hexadecimal(statement.bytes(column)))'" : statement.text(column)
    }
  }

  private func table(_ statement: Statement) throws {
    var first: [String]?
    var isRight = Array(repeating: true, count: statement.columnCount)
    if try statement.step() {
      first = cells(statement)
      for column in isRight.indices {
        let type = statement.type(Int32(column))
        isRight[column] = type == .integer || type == .float
      }
    }
    var table = TextTable(names(statement), isRight: isRight)
    if let first {
      try table.add(first)
      while try statement.step() { try table.add(cells(statement)) }
    }
    try table.finish()
  }

  private func csv(_ statement: Statement) throws {
    try Output.standard.print(names(statement).map(SQLQuery.quoted).joined(separator: ","))
    while try statement.step() {
      try Output.standard.print(cells(statement).map(SQLQuery.quoted).joined(separator: ","))
    }
  }

  static func quoted(_ cell: String) -> String {
    let isPlain = cell.utf8.allSatisfy { $0 != 0x22 && $0 != 0x2C && $0 != 0x0A && $0 != 0x0D }
    if isPlain { return cell }
    return "\""
      + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }

  private func json(_ statement: Statement) throws {
    let names = names(statement)
    while try statement.step() {
      var line = JSONLine()
      for (index, name) in names.enumerated() {
        let column = Int32(index)
        switch statement.type(column) {
        case .null: line.null(name)
        case .integer: line.int(name, statement.int(column))
        case .float: line.double(name, statement.double(column))
        case .text: line.string(name, statement.text(column))
        case .blob: line.string(name, hexadecimal(statement.bytes(column)))
        }
      }
      try Output.standard.print(line.finish())
    }
  }

  /// How many statements the text holds, comments and empty ones not counted.
  static func statementCount(_ text: String) -> Int {
    let bytes = Array(text.utf8)
    var count = 0
    var isInside = false
    var index = 0
    func skip(past end: [UInt8]) {
      while index < bytes.count, !bytes[index...].starts(with: end) { index += 1 }
      index += end.count
    }
    while index < bytes.count {
      let rest = bytes[index...]
      if rest.starts(with: Array("--".utf8)) {
        skip(past: [0x0A])
        continue
      }
      if rest.starts(with: Array("/*".utf8)) {
        index += 2
        skip(past: Array("*/".utf8))
        continue
      }
      let byte = bytes[index]
      index += 1
      switch byte {
      case 0x09, 0x0A, 0x0C, 0x0D, 0x20: continue
      case UInt8(ascii: ";"):
        isInside = false
        continue
      case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
        if !isInside { count += 1 }
        isInside = true
        // A doubled quote ends one quotation and begins the next.
        skip(past: [byte])
      case UInt8(ascii: "["):
        if !isInside { count += 1 }
        isInside = true
        skip(past: [UInt8(ascii: "]")])
      default:
        if !isInside { count += 1 }
        isInside = true
      }
    }
    return count
  }
}
