import Headwater
import SQLiteDriver

/// The rows of a table or view of a SQLite database, columns found by their names.
struct TableRows: ImportSource {
  private static let batchBytes = 4 << 20

  let name: String
  let identity: String?
  let unit = "row"
  private let schema: Schema
  private let collection: CollectionType
  private let connection: Connection
  private let statement: Statement
  private let fields: [Int]
  private var hash = SodiumSuite().makeStreamingHash()
  private var rows = 0
  private var isAtEnd = false

  init(_ path: String, table: String, schema: Schema, collection: CollectionType) throws {
    name = "\(path):\(table)"
    identity = InputFile.absolutePath(path) + ":" + table
    self.schema = schema
    self.collection = collection
    // Makes for a better error than SQLite's where there is no file.
    _ = try InputFile(path)
    let statement: Statement
    do {
      connection = try Connection(path: path, mode: .readOnly)
      connection.setBusyTimeout(milliseconds: 5_000)
      let quoted =
        "\""
        + table.split(separator: "\"", omittingEmptySubsequences: false)
        .joined(separator: "\"\"") + "\""
      statement = try connection.prepare("SELECT * FROM \(quoted)")
    } catch {
      throw Failure(
        "input",
        error.isNotADatabase
          ? "\(path) is not a SQLite database" : "cannot read \(name): \(error.message)")
    }
    self.statement = statement
    let names = (0..<statement.columnCount).map { statement.columnName(Int32($0)) }
    fields = try ColumnMap.fields(
      named: names, schema: schema, collection: collection, source: name)
  }

  mutating func resume(at bookmark: ImportBookmark) throws {
    while rows < bookmark.rows {
      guard try step() else { throw changed(bookmark) }
      _ = update()
    }
    guard hash.digest() == bookmark.digest else { throw changed(bookmark) }
  }

  private mutating func step() throws -> Bool {
    // A step behind the end would begin again.
    guard !isAtEnd else { return false }
    do {
      isAtEnd = try !statement.step()
      if !isAtEnd { rows += 1 }
      return !isAtEnd
    } catch {
      throw Failure("input", "cannot read \(name): \(error.message)")
    }
  }

  /// Hashes the row that was stepped to; gives its size.
  private mutating func update() -> Int {
    var size = 0
    for column in 0..<Int32(fields.count) {
      var head: [UInt8]
      switch statement.type(column) {
      case .null: head = [0]
      case .integer:
        head = [1]
        withUnsafeBytes(of: statement.int(column).bigEndian) { head += $0 }
      case .float:
        head = [2]
        withUnsafeBytes(of: statement.double(column).bitPattern.bigEndian) { head += $0 }
      case .text: head = [3]
      case .blob: head = [4]
      }
      if head[0] >= 3 {
        statement.withBytes(column) { bytes in
          withUnsafeBytes(of: UInt64(bytes.count).bigEndian) { head += $0 }
          head.withUnsafeBytes { hash.update($0) }
          hash.update(bytes)
          size += bytes.count
        }
      } else {
        head.withUnsafeBytes { hash.update($0) }
      }
      size += head.count
    }
    return size
  }

  mutating func next(limit: Int) throws -> ImportBatch? {
    var batch = ImportBatch(
      bookmark: ImportBookmark(rows: rows, place: .start, digest: .zero))
    var size = 0
    while batch.rows.count < limit, size < TableRows.batchBytes, try step() {
      size += update()
      var row = Row(Array(repeating: nil, count: collection.fields.count))
      for (column, field) in fields.enumerated() {
        do throws(ValueError) {
          row[field] = try value(Int32(column), collection.fields[field].type)
        } catch {
          throw failure(rows, "column “\(statement.columnName(Int32(column)))”: \(error)")
        }
      }
      batch.rows.append(row)
      batch.lines.append(rows)
    }
    guard !batch.rows.isEmpty else { return nil }
    batch.bookmark.rows = rows
    batch.bookmark.digest = hash.digest()
    return batch
  }

  /// The column as a value of the type; what SQLite keeps in another storage class is read as its text.
  private func value(_ column: Int32, _ type: FieldType) throws(ValueError) -> Value? {
    switch (statement.type(column), type.wrapped) {
    case (.null, _):
      if type.isOptional { return nil }
      throw ValueError("a value is required")
    case (.integer, .int): return .int(statement.int(column))
    case (.integer, .bool):
      switch statement.int(column) {
      case 0: return .bool(false)
      case 1: return .bool(true)
      default: throw ValueError("expected 0 or 1")
      }
    case (.integer, .float), (.float, .float):
      guard let number = Value.number(statement.double(column)) else {
        throw ValueError("expected a number")
      }
      return number
    case (.float, .int):
      guard let whole = Int64(exactly: statement.double(column)) else {
        throw ValueError("expected an integer of 64 bits")
      }
      return .int(whole)
    case (.blob, .bytes(let limit)):
      let bytes = statement.bytes(column)
      guard bytes.count <= min(limit ?? .max, Limits.valueBytes) else {
        throw ValueError("longer than \(min(limit ?? .max, Limits.valueBytes)) bytes")
      }
      return .bytes(bytes)
    case (.blob, .uuid):
      guard let id = UUIDBytes(bytes: statement.bytes(column)) else {
        throw ValueError("expected 16 bytes")
      }
      return .uuid(id)
    case (.blob, .principal):
      guard let id = Digest(bytes: statement.bytes(column)) else {
        throw ValueError("expected 32 bytes")
      }
      return .principal(id)
    case (.blob, _): throw ValueError("expected text or a number, not a BLOB")
    case (.text, .text), (.text, .sharedText):
      // An empty text is a value here: what is absent is NULL.
      return try schema.value(fromCell: try text(column), for: type.wrapped)
    case (.text, _): return try schema.value(fromCell: try text(column), for: type)
    case (.float, .decimal):
      // The digits that people see.
      return try schema.value(fromCell: statement.double(column).description, for: type)
    case (.integer, _): return try schema.value(fromCell: String(statement.int(column)), for: type)
    case (.float, _): return try schema.value(fromCell: statement.text(column), for: type)
    }
  }

  private func text(_ column: Int32) throws(ValueError) -> String {
    let text = statement.withBytes(column) { String(validating: $0, as: UTF8.self) }
    guard let text else { throw ValueError("text that is not UTF-8") }
    return text
  }
}
