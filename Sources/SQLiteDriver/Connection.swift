import CSQLite

/// One connection to a SQLite database file.
///
/// Not thread-safe and not `Sendable`: whoever owns it confines it to one executor or lock. Closes in `deinit`.
public final class Connection {
  /// How a file is opened.
  public enum Mode: Sendable {
    case readOnly
    case readWrite
    case createIfMissing
    /// A database in memory that goes with the connection.
    case memory
  }

  let handle: OpaquePointer
  private var cache: [String: Statement] = [:]
  /// The same statements by where the literal of their text stands: hashing that is cheaper than hashing the text.
  @exclusivity(unchecked) private var cacheOfLiterals: [Int: Statement] = [:]
  /// Asked before every statement; what it returns is thrown instead. For tests of what a crash leaves behind.
  @exclusivity(unchecked) package var injectedFailure: (() -> SQLiteError?)?
  /// The path that was opened; empty for a database in memory.
  public let path: String

  /// Opens the file. A file that is not a database is noticed only by the first statement.
  ///
  /// - Parameter trustsSchema: whether indices and generated columns of the file may call SQLite's functions for JSON,
  ///   which versions before 3.42 do not count among the harmless ones. Functions added here stay out of reach.
  public init(path: String, mode: Mode, trustsSchema: Bool = false) throws(SQLiteError) {
    var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    switch mode {
    case .readOnly: flags |= SQLITE_OPEN_READONLY
    case .readWrite: flags |= SQLITE_OPEN_READWRITE
    case .createIfMissing: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    case .memory: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY
    }
    self.path = path
    var opened: OpaquePointer?
    let code = sqlite3_open_v2(mode == .memory ? ":memory:" : path, &opened, flags, nil)
    guard code == SQLITE_OK, let opened else {
      let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(opened)
      throw SQLiteError(code: code, message: message, context: "open \(path)")
    }
    handle = opened
    // Not from the file: a database that we were handed cannot make us run its views or triggers' functions.
    _ = headwater_sqlite_db_config_int(
      handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, trustsSchema ? 1 : 0)
    _ = headwater_sqlite_db_config_int(handle, SQLITE_DBCONFIG_DEFENSIVE, 1)
  }

  // MARK: The write-ahead log

  /// How many pages the log had after the last commit of this connection; 0 before `stopCheckpointing`.
  @exclusivity(unchecked) public private(set) var loggedPages = 0

  /// Leaves checkpoints to the caller, and counts the pages of the log: call `checkpoint` when they are many.
  public func stopCheckpointing() {
    // SQLite's own checkpoints hang on the same hook, which this one replaces.
    sqlite3_wal_hook(
      handle,
      { context, _, _, pages in
        if let context {
          Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().loggedPages = Int(pages)
        }
        return SQLITE_OK
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Copies as much of the log into the file as nobody is reading, without waiting for anybody.
  public func checkpoint() throws(SQLiteError) {
    let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
    guard code == SQLITE_OK else { throw error(code, "checkpoint") }
  }

  deinit {
    for statement in cache.values { statement.finalize() }
    sqlite3_close_v2(handle)
  }

  /// How long a statement waits for another connection's lock, in milliseconds; 0: not at all.
  public func setBusyTimeout(milliseconds: Int32) { sqlite3_busy_timeout(handle, milliseconds) }

  /// Runs statements that yield no rows, separated by semicolons.
  public func execute(_ sql: String) throws(SQLiteError) {
    if let error = injectedFailure?() { throw error }
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, sql) }
  }

  /// A statement that is compiled once a connection and kept. Only one use at a time.
  public func cached(_ sql: StaticString) throws(SQLiteError) -> Statement {
    let place = Int(bitPattern: sql.utf8Start)
    if let statement = cacheOfLiterals[place] {
      statement.reset()
      return statement
    }
    let statement = try cached(sql.description)
    cacheOfLiterals[place] = statement
    return statement
  }

  /// The same, where the text is not a literal.
  @_disfavoredOverload
  public func cached(_ sql: String) throws(SQLiteError) -> Statement {
    if let statement = cache[sql] {
      statement.reset()
      return statement
    }
    let statement = try Statement(self, handle, sql, persistent: true)
    cache[sql] = statement
    return statement
  }

  /// A statement of its own, finalised with the last reference to it.
  public func prepare(_ sql: String) throws(SQLiteError) -> Statement {
    try Statement(self, handle, sql, persistent: false)
  }

  /// The first column of the first row as an integer; nil where there is no row or it is NULL.
  public func integer(_ sql: String) throws(SQLiteError) -> Int64? {
    let statement = try prepare(sql)
    guard try statement.step() else { return nil }
    return statement.isNull(0) ? nil : statement.int(0)
  }

  /// The first column of the first row as text; nil where there is no row or it is NULL.
  public func text(_ sql: String) throws(SQLiteError) -> String? {
    let statement = try prepare(sql)
    guard try statement.step() else { return nil }
    return statement.isNull(0) ? nil : statement.text(0)
  }

  /// Runs `body` between `BEGIN IMMEDIATE` and `COMMIT`; rolls back if it or the commit throws.
  public func transaction<R>(_ body: () throws -> R) throws -> R {
    try execute("BEGIN IMMEDIATE")
    do {
      let result = try body()
      try execute("COMMIT")
      return result
    } catch {
      rollback()
      throw error
    }
  }

  /// Runs `body` in a read transaction: everything in it sees one state of the database.
  public func readTransaction<R>(_ body: () throws -> R) throws -> R {
    try execute("BEGIN DEFERRED")
    defer { rollback() }
    return try body()
  }

  /// Rolls an open transaction back, if there is one (some errors have done so already).
  public func rollback() {
    if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
  }

  public var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }
  public var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }
  /// Rows changed by the last statement.
  public var changes: Int { Int(sqlite3_changes64(handle)) }

  /// Whether the file was renamed, deleted or replaced since it was opened, so that the connection writes to
  /// something that nobody will find again. False where the platform cannot say.
  public var fileHasMoved: Bool {
    var moved: Int32 = 0
    return sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK
      && moved != 0
  }

  /// A number that changes whenever another connection commits to the file.
  public func dataVersion() throws(SQLiteError) -> Int64 {
    let statement = try cached("PRAGMA data_version")
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : 0
  }

  /// Stops a statement that is running on this connection; may be called from another thread.
  public func interrupter() -> Interrupter { Interrupter(handle: handle) }

  func error(_ code: Int32, _ context: String) -> SQLiteError {
    SQLiteError(
      code: sqlite3_extended_errcode(handle) & 0xFF == code & 0xFF
        ? sqlite3_extended_errcode(handle) : code,
      message: String(cString: sqlite3_errmsg(handle)), context: String(context.prefix(120)))
  }
}

/// Interrupts a connection from elsewhere. Valid as long as the connection lives.
public struct Interrupter: @unchecked Sendable {
  // SQLite documents sqlite3_interrupt as safe from any thread while the connection is open.
  fileprivate let handle: OpaquePointer

  public func interrupt() { sqlite3_interrupt(handle) }
}

/// What SQLite could not do.
public struct SQLiteError: Error, Sendable, CustomStringConvertible {
  /// The extended result code.
  public let code: Int32
  public let message: String
  /// The statement, shortened; SQL of ours with parameters, so without data.
  public let context: String

  public init(code: Int32, message: String, context: String) {
    self.code = code
    self.message = message
    self.context = context
  }

  private var primary: Int32 { code & 0xFF }
  public var isBusy: Bool { primary == SQLITE_BUSY || primary == SQLITE_LOCKED }
  public var isFull: Bool { primary == SQLITE_FULL }
  public var isNotADatabase: Bool { primary == SQLITE_NOTADB }
  public var isCorrupt: Bool { primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB }
  public var isReadOnly: Bool { primary == SQLITE_READONLY }
  public var isPermission: Bool {
    primary == SQLITE_PERM || primary == SQLITE_AUTH || primary == SQLITE_READONLY
  }
  public var isCannotOpen: Bool { primary == SQLITE_CANTOPEN }
  public var isConstraint: Bool { primary == SQLITE_CONSTRAINT }
  public var isInputOutput: Bool { primary == SQLITE_IOERR }
  public var isOutOfMemory: Bool { primary == SQLITE_NOMEM }
  /// The statement does not fit the schema of the file (no such table or column) or is wrong in itself.
  public var isStatementError: Bool { primary == SQLITE_ERROR }
  /// The schema of the file changed while the statement was about to run.
  public var isSchemaChanged: Bool { primary == SQLITE_SCHEMA }
  /// A trigger refused with `RAISE`.
  public var isRaisedByTrigger: Bool { code == SQLITE_CONSTRAINT | 7 << 8 }
  public var isInterrupted: Bool { primary == SQLITE_INTERRUPT }

  public var description: String { "SQLite: \(message) [\(code)] in: \(context)" }
}
