import CLibpq
import HeadwaterModel

/// What the server answered to a statement; freed with the last reference.
package final class ServerResult {
  private let handle: OpaquePointer?

  init(_ handle: OpaquePointer?) { self.handle = handle }

  deinit { PQclear(handle) }

  var status: ExecStatusType { handle == nil ? PGRES_FATAL_ERROR : PQresultStatus(handle) }
  package var rowCount: Int { Int(PQntuples(handle)) }
  package var columnCount: Int { Int(PQnfields(handle)) }
  /// How many rows the statement inserted, changed or deleted.
  package var affected: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

  package func columnName(_ column: Int) -> String {
    PQfname(handle, Int32(column)).map { String(cString: $0) } ?? ""
  }

  /// The OID of the column's type.
  package func columnType(_ column: Int) -> UInt32 { PQftype(handle, Int32(column)) }

  package func isNull(_ row: Int, _ column: Int) -> Bool {
    PQgetisnull(handle, Int32(row), Int32(column)) == 1
  }

  /// The bytes of a value, valid as long as the result is.
  package func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: PQgetvalue(handle, Int32(row), Int32(column)),
      count: Int(PQgetlength(handle, Int32(row), Int32(column))))
  }

  /// The value as text: of a result in text form, or of a text in a binary one. Empty where it is NULL.
  package func text(_ row: Int, _ column: Int) -> String {
    String(decoding: bytes(row, column), as: UTF8.self)
  }

  /// A `bigint` in binary form.
  func int(_ row: Int, _ column: Int) -> Int64 {
    let bytes = bytes(row, column)
    guard bytes.count == 8 else { return 0 }
    return Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
  }

  /// A `boolean` in binary form.
  func bool(_ row: Int, _ column: Int) -> Bool { bytes(row, column).first == 1 }

  func errorField(_ code: Int32) -> String? {
    PQresultErrorField(handle, code).map { String(cString: $0) }
  }
}

/// What the server, or the way to it, would not do.
package struct ServerError: Error, Sendable, CustomStringConvertible {
  /// The five characters of the SQL standard; nil where no server answered.
  package let sqlState: String?
  /// Never shown where it could hold data: see `safeMessage`.
  package let message: String
  package let isConnectionLost: Bool
  package var schema: String?
  package var table: String?
  package var column: String?
  package var constraint: String?

  package init(message: String, sqlState: String? = nil, isConnectionLost: Bool = false) {
    self.message = message
    self.sqlState = sqlState
    self.isConnectionLost = isConnectionLost
  }

  init(_ result: ServerResult, connection: OpaquePointer) {
    sqlState = result.errorField(headwater_pg_diag_sqlstate())
    // What libpq says of itself is trouble with the connection, even before it calls it bad.
    isConnectionLost = PQstatus(connection) == CONNECTION_BAD || sqlState == nil
    message =
      result.errorField(headwater_pg_diag_message())
      ?? ServerError.firstLine(PQerrorMessage(connection))
    schema = result.errorField(headwater_pg_diag_schema())
    table = result.errorField(headwater_pg_diag_table())
    column = result.errorField(headwater_pg_diag_column())
    constraint = result.errorField(headwater_pg_diag_constraint())
  }

  /// The error of a connection that could not be made or was lost.
  init(connection: OpaquePointer) {
    var text = ServerError.firstLine(PQerrorMessage(connection))
    // `FATAL:  28P01: password …`, whatever the language of the first word.
    var state: String?
    var index = text.startIndex
    while index < text.endIndex {
      let rest = text[index...]
      let code = rest.dropFirst(3).prefix(5)
      if rest.hasPrefix(":  "), code.utf8.count == 5, rest.dropFirst(8).hasPrefix(": "),
        code.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 || $0 >= 0x41 && $0 <= 0x5A })
      {
        state = String(code)
        text.replaceSubrange(index..<rest.index(index, offsetBy: 8), with: "")
        break
      }
      index = text.index(after: index)
    }
    // That a password was asked for and none was there is libpq's own message, without a code.
    if state == nil, PQconnectionNeedsPassword(connection) == 1 { state = "28P01" }
    sqlState = state
    message = text
    isConnectionLost = true
  }

  private static func firstLine(_ text: UnsafeMutablePointer<CChar>?) -> String {
    guard let text else { return "the connection was lost" }
    let whole = String(cString: text)
    let lines = whole.split(separator: "\n").map(String.init)
    return lines.first ?? "the connection was lost"
  }

  /// The message where that kind of message names nothing but tables, columns and roles; otherwise the code.
  package var safeMessage: String {
    guard let sqlState else { return message }
    switch sqlState.prefix(2) {
    case "08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58": return message
    default: return "SQLSTATE \(sqlState)"
    }
  }

  package var description: String { "PostgreSQL: \(safeMessage)" }
}
