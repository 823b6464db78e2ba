import CSQLite

/// A compiled statement: bind from 1, step, read columns from 0, reset.
///
/// Confined like its connection, which it keeps alive.
public final class Statement {
  private let connection: Connection?
  private unowned let owner: Connection
  private var handle: OpaquePointer?
  private let sql: String

  init(_ connection: Connection, _ database: OpaquePointer, _ sql: String, persistent: Bool)
    throws(SQLiteError)
  {
    // A cached statement is owned by its connection, so it must not own the connection.
    self.connection = persistent ? nil : connection
    owner = connection
    self.sql = sql
    var compiled: OpaquePointer?
    let flags = persistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
    let code = sqlite3_prepare_v3(database, sql, -1, flags, &compiled, nil)
    guard code == SQLITE_OK else { throw connection.error(code, sql) }
    guard compiled != nil else {
      throw SQLiteError(code: SQLITE_MISUSE, message: "empty statement", context: sql)
    }
    handle = compiled
  }

  deinit { finalize() }

  func finalize() {
    sqlite3_finalize(handle)
    handle = nil
  }

  // MARK: Binding

  public func bindNull(_ index: Int32) { sqlite3_bind_null(handle, index) }
  public func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(handle, index, value) }
  public func bind(_ index: Int32, _ value: Int) { sqlite3_bind_int64(handle, index, Int64(value)) }
  public func bind(_ index: Int32, _ value: Double) { sqlite3_bind_double(handle, index, value) }

  public func bind(_ index: Int32, _ value: Int64?) {
    if let value { bind(index, value) } else { bindNull(index) }
  }

  public func bind(_ index: Int32, _ value: String) {
    var value = value
    value.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        // An empty text has no base address, and a null pointer would bind NULL.
        if let base = characters.baseAddress {
          _ = sqlite3_bind_text64(
            handle, index, base, UInt64(characters.count), headwater_sqlite_transient(),
            UInt8(SQLITE_UTF8))
        } else {
          _ = sqlite3_bind_text64(
            handle, index, "", 0, headwater_sqlite_static(), UInt8(SQLITE_UTF8))
        }
      }
    }
  }

  public func bind(_ index: Int32, _ value: [UInt8]) {
    value.withUnsafeBytes { bind(index, $0) }
  }

  public func bind(_ index: Int32, _ value: [UInt8]?) {
    if let value { bind(index, value) } else { bindNull(index) }
  }

  public func bind(_ index: Int32, _ value: UnsafeRawBufferPointer) {
    if let base = value.baseAddress, value.count > 0 {
      sqlite3_bind_blob64(
        handle, index, base, UInt64(value.count), headwater_sqlite_transient())
    } else {
      sqlite3_bind_zeroblob(handle, index, 0)
    }
  }

  /// Binds text without a copy: the UTF-8 must stay where it is until the statement was reset or the
  /// parameter bound again.
  public func bindText(_ index: Int32, borrowing utf8: UnsafeRawBufferPointer) {
    guard let base = utf8.baseAddress, utf8.count > 0 else { return bind(index, "") }
    sqlite3_bind_text64(
      handle, index, base.assumingMemoryBound(to: CChar.self), UInt64(utf8.count),
      headwater_sqlite_static(), UInt8(SQLITE_UTF8))
  }

  /// Binds bytes without a copy: they must stay where they are until the statement was reset or the
  /// parameter bound again.
  public func bindBytes(_ index: Int32, borrowing bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return bind(index, bytes) }
    sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), headwater_sqlite_static())
  }

  /// Makes all parameters NULL.
  public func clearBindings() { sqlite3_clear_bindings(handle) }

  // MARK: Running

  /// Runs to the next row; false at the end, when the statement is reset.
  @discardableResult
  public func step() throws(SQLiteError) -> Bool {
    if let error = owner.injectedFailure?() { throw error }
    let code = sqlite3_step(handle)
    if code == SQLITE_ROW { return true }
    if code == SQLITE_DONE {
      sqlite3_reset(handle)
      return false
    }
    let error = owner.error(code, sql)
    sqlite3_reset(handle)
    throw error
  }

  /// Runs a statement that yields no row.
  public func run() throws(SQLiteError) {
    while try step() {}
  }

  /// Ends the current run; bindings stay.
  public func reset() { sqlite3_reset(handle) }

  /// Whether the statement leaves the file of its database as it is.
  public var isReadOnly: Bool { sqlite3_stmt_readonly(handle) != 0 }

  // MARK: Columns

  public var columnCount: Int { Int(sqlite3_column_count(handle)) }
  public func columnName(_ index: Int32) -> String {
    String(cString: sqlite3_column_name(handle, index))
  }

  public enum ColumnType: Sendable { case null, integer, float, text, blob }

  public func type(_ index: Int32) -> ColumnType {
    switch sqlite3_column_type(handle, index) {
    case SQLITE_INTEGER: .integer
    case SQLITE_FLOAT: .float
    case SQLITE_TEXT: .text
    case SQLITE_BLOB: .blob
    default: .null
    }
  }

  public func isNull(_ index: Int32) -> Bool { sqlite3_column_type(handle, index) == SQLITE_NULL }
  public func int(_ index: Int32) -> Int64 { sqlite3_column_int64(handle, index) }
  public func double(_ index: Int32) -> Double { sqlite3_column_double(handle, index) }

  /// The column as text; ill-formed UTF-8 is repaired, so compare bytes where that matters.
  public func text(_ index: Int32) -> String {
    guard let start = sqlite3_column_text(handle, index) else { return "" }
    let count = Int(sqlite3_column_bytes(handle, index))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  /// The column as text; nil where its bytes are not UTF-8.
  public func validText(_ index: Int32) -> String? {
    guard let start = sqlite3_column_text(handle, index) else { return "" }
    let count = Int(sqlite3_column_bytes(handle, index))
    return String(validating: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  public func bytes(_ index: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(handle, index) else { return [] }
    return Array(
      UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, index))))
  }

  /// Calls `body` with the column's bytes, which are valid only during the call.
  public func withBytes<R>(_ index: Int32, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows
    -> R
  {
    let start = sqlite3_column_blob(handle, index)
    return try body(
      UnsafeRawBufferPointer(
        start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(handle, index))))
  }
}
