import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

/// Writes and deletes rows of one table: the statements, and the rows in the form that they take.
final class TableWriter {
  let table: RelationalTable
  /// The table that takes the rows, qualified and quoted.
  let target: String
  private let hasProvenance: Bool
  private let dialect = PostgresDialect()
  /// What there is to know of each column while rows are written.
  private let cells: [Cell]

  private struct Cell {
    /// The field whose value it is; nil where it is found within one.
    let field: Int?
    let form: WireForm
  }

  init(_ table: RelationalTable, in place: String, hasProvenance: Bool) {
    self.table = table
    self.hasProvenance = hasProvenance
    target = Places.qualified(place, table.name)
    cells = table.columns.map { Cell(field: $0.wholeField, form: WireForm($0.type)) }
  }

  // MARK: Statements

  /// The columns in the order in which rows are written: the table's, and those that say where a row comes from.
  private(set) lazy var columns: [(name: String, array: String, element: UInt32)] = {
    var columns = table.columns.map { column in
      let type = WireType(column.type)
      return (dialect.quote(column.name), type.array, type.element)
    }
    if hasProvenance {
      columns += [
        ("_operation", "text[]", 25), ("_author", "text[]", 25),
        ("_changed", "timestamptz[]", 1184),
      ]
    }
    return columns
  }()

  private(set) lazy var names = columns.map(\.name).joined(separator: ", ")

  private(set) lazy var copy = "COPY \(target) (\(names)) FROM STDIN (FORMAT binary)"

  private(set) lazy var upsert: String = {
    let arrays = columns.indices.map { "$\($0 + 1)::\(columns[$0].array)" }
    return
      "INSERT INTO \(target) (\(names)) SELECT * FROM unnest(\(arrays.joined(separator: ", "))) "
      + conflict
  }()

  /// Takes the row that comes, where one of that key is there.
  private(set) lazy var conflict: String = {
    let keys = Set(table.primaryKey)
    let assignments = columns.indices.filter { !keys.contains($0) }
      .map { "\(columns[$0].name) = excluded.\(columns[$0].name)" }
    return "ON CONFLICT (\(keyList)) DO "
      + (assignments.isEmpty ? "NOTHING" : "UPDATE SET " + assignments.joined(separator: ", "))
  }()

  private(set) lazy var keyList = table.columnList(table.primaryKey, dialect)

  private(set) lazy var deletion: String = {
    let arrays = table.primaryKey.enumerated().map { index, column in
      "$\(index + 1)::\(columns[column].array)"
    }
    let names = arrays.indices.map { "k\($0)" }
    let matches = zip(table.primaryKey, names).map { "t.\(columns[$0].name) = u.\($1)" }
    return "DELETE FROM \(target) AS t USING unnest(\(arrays.joined(separator: ", "))) AS u("
      + "\(names.joined(separator: ", "))) WHERE \(matches.joined(separator: " AND "))"
  }()

  // MARK: Rows

  /// Appends one row as COPY has it.
  func append(_ change: Change, to buffer: WireBuffer) throws {
    guard let row = change.after, row.values.count == table.fieldCount else { throw misfit() }
    buffer.append(Int16(cells.count + (hasProvenance ? 3 : 0)))
    for index in cells.indices {
      guard append(index, of: row, to: buffer) else { throw misfit() }
    }
    if hasProvenance { Provenance(change.cause).append(to: [buffer, buffer, buffer]) }
  }

  /// Appends the value of a column; false where it is not of the column's type.
  ///
  /// A column is not taken out of the table for it: that would count up and down each of its names for every value.
  @inline(__always)
  private func append(_ column: Int, of row: Row, to buffer: WireBuffer) -> Bool {
    let form = cells[column].form
    if let field = cells[column].field {
      return ValueCodec.append(row.values[field], as: form, to: buffer)
    }
    return ValueCodec.append(table.columns[column].value(in: row), as: form, to: buffer)
  }

  /// An array for each column, of the rows that the changes leave.
  func arrays(of changes: [Change]) throws -> [Parameter] {
    let buffers = columns.map { self.array($0.element, changes.count) }
    for change in changes {
      guard let row = change.after, row.values.count == table.fieldCount else { throw misfit() }
      for index in cells.indices {
        guard append(index, of: row, to: buffers[index]) else { throw misfit() }
      }
      if hasProvenance { Provenance(change.cause).append(to: Array(buffers.suffix(3))) }
    }
    return buffers.map { Parameter($0) }
  }

  /// An array for each column of the key.
  func keyArrays(of keys: [Key]) throws -> [Parameter] {
    let buffers = table.primaryKey.map { self.array(columns[$0].element, keys.count) }
    for key in keys {
      guard let values = table.keyValues(of: key) else { throw misfit() }
      for (index, column) in table.primaryKey.enumerated() {
        guard
          ValueCodec.append(values[index], as: cells[column].form, to: buffers[index])
        else { throw misfit() }
      }
    }
    return buffers.map { Parameter($0) }
  }

  /// Arrays of why the rows changed: the reason; or operation, author and reason.
  func causes(of changes: [Change], alone: Bool) -> [Parameter] {
    let buffers = (0..<(alone ? 3 : 1)).map { _ in array(25, changes.count) }
    let scratch = WireBuffer(capacity: 64)
    for change in changes {
      if alone {
        Provenance(change.cause).append(to: [buffers[0], buffers[1], scratch])
        scratch.reset()
      }
      let reason = change.cause.reason.rawValue
      buffers[buffers.count - 1].append(Int32(reason.utf8.count))
      buffers[buffers.count - 1].append(reason)
    }
    return buffers.map { Parameter($0) }
  }

  /// The head of an array of one dimension.
  private func array(_ element: UInt32, _ count: Int) -> WireBuffer {
    let buffer = WireBuffer(capacity: 32 + count * 16)
    buffer.append(Int32(1))
    buffer.append(Int32(1))
    buffer.append(element)
    buffer.append(Int32(count))
    buffer.append(Int32(1))
    return buffer
  }

  func misfit() -> AdapterError {
    AdapterError(
      .misuse, "A row for \(table.name) does not have the types of the schema it came with.",
      recovery: .halt)
  }
}

/// Where a row comes from, as the columns `_operation`, `_author` and `_changed` say it.
struct Provenance {
  let cause: Cause

  init(_ cause: Cause) { self.cause = cause }

  /// Appends a value to each of three buffers; NULL where the source does not know.
  func append(to buffers: [WireBuffer]) {
    let operation = cause.operations.last
    for (buffer, digest) in [
      (buffers[0], operation), (buffers[1], operation.map { _ in cause.author }),
    ] {
      _ = ValueCodec.append(digest.map { .principal($0) }, as: .principal, to: buffer)
    }
    _ = ValueCodec.append(
      operation.flatMap { _ in Timestamp(milliseconds: cause.time) }.map { .timestamp($0) },
      as: .timestamp, to: buffers[2])
  }
}

extension Timestamp {
  /// The time so many milliseconds after 1970; nil outside years 1 to 9999.
  init?(milliseconds: Int64) {
    let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
    guard !overflow else { return nil }
    self.init(microseconds: product)
  }
}
