import HeadwaterModel
import SQLiteDriver

/// The tables of a store, and how its file is opened. Documented table by table in Docs/Formats.md.
enum StoreFile {
  /// "HdWt", so that `file` and SQLite know whose the database is.
  static let applicationID: Int64 = 0x4864_5774
  static let formatVersion: Int64 = 1

  private static let tables = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE author (
      number INTEGER PRIMARY KEY, principal BLOB NOT NULL UNIQUE, suite INTEGER NOT NULL,
      key BLOB NOT NULL, highest INTEGER) STRICT;
    CREATE TABLE operation (
      number INTEGER PRIMARY KEY, id BLOB NOT NULL, height INTEGER NOT NULL,
      author INTEGER NOT NULL, chain INTEGER NOT NULL, position INTEGER NOT NULL,
      time INTEGER NOT NULL, reason TEXT, voided_by BLOB, body BLOB NOT NULL,
      signature BLOB NOT NULL) STRICT;
    CREATE INDEX operation_place ON operation (chain, position);
    CREATE INDEX operation_author ON operation (author, chain, position);
    CREATE TABLE locator (prefix INTEGER NOT NULL, number INTEGER NOT NULL,
      PRIMARY KEY (prefix, number)) STRICT, WITHOUT ROWID;
    CREATE TABLE frontier (number INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE equivocation (number INTEGER PRIMARY KEY, author INTEGER NOT NULL) STRICT;
    CREATE TABLE chain (
      number INTEGER PRIMARY KEY, length INTEGER NOT NULL, base_chain INTEGER,
      base_position INTEGER, depth INTEGER NOT NULL) STRICT;
    CREATE TABLE ancestry (
      chain INTEGER NOT NULL, other INTEGER NOT NULL, position INTEGER NOT NULL,
      reach INTEGER NOT NULL, PRIMARY KEY (chain, other, position)) STRICT, WITHOUT ROWID;
    CREATE INDEX ancestry_position ON ancestry (chain, position);
    CREATE TABLE row (
      number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, flags INTEGER NOT NULL,
      creator INTEGER NOT NULL, creates BLOB, stamps BLOB, image BLOB, masked BLOB) STRICT;
    CREATE TABLE touch (row INTEGER NOT NULL, operation INTEGER NOT NULL,
      PRIMARY KEY (row, operation)) STRICT, WITHOUT ROWID;
    CREATE TABLE reference (
      target INTEGER NOT NULL, source INTEGER NOT NULL, slot INTEGER NOT NULL,
      PRIMARY KEY (target, source, slot)) STRICT, WITHOUT ROWID;
    CREATE TABLE event (
      first INTEGER PRIMARY KEY, last INTEGER NOT NULL, begins INTEGER NOT NULL,
      digest BLOB, frontier BLOB, bytes BLOB NOT NULL) STRICT;
    CREATE TABLE mirror (
      name TEXT PRIMARY KEY, sink TEXT NOT NULL, state TEXT NOT NULL, position INTEGER,
      rate REAL NOT NULL, error TEXT, updated INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE bookmark (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    """

  /// Makes the tables in a new file, in one transaction with whatever `body` adds.
  static func create(_ db: Connection, _ body: () throws -> Void) throws {
    try db.transaction {
      try db.execute("PRAGMA application_id = \(applicationID)")
      try db.execute("PRAGMA user_version = \(formatVersion)")
      try db.execute(tables)
      try body()
    }
  }

  /// Throws unless the file is a store of a version that this program knows.
  static func validate(_ db: Connection, path: String) throws {
    guard try db.integer("PRAGMA application_id") == applicationID else {
      throw StoreError(
        .notAStore,
        "\(path) is not a Headwater store: make one with `headwater init`, or check the path")
    }
    let version = try db.integer("PRAGMA user_version") ?? 0
    guard version == formatVersion else {
      throw StoreError(
        .notAStore,
        "\(path) has store format \(version), and this program knows format \(formatVersion): use the version of headwater that wrote it, or a newer one"
      )
    }
  }

  /// Settings of every connection to a store.
  static func configure(_ db: Connection, writer: Bool, durability: Durability) throws {
    db.setBusyTimeout(milliseconds: 10_000)
    if writer {
      _ = try db.text("PRAGMA journal_mode = WAL")
      try db.execute("PRAGMA synchronous = \(durability == .full ? "FULL" : "NORMAL")")
      try db.execute("PRAGMA wal_autocheckpoint = 4000")
      try db.execute("PRAGMA cache_size = -65536")
    } else {
      try db.execute("PRAGMA query_only = 1")
      try db.execute("PRAGMA cache_size = -16384")
    }
    try db.execute("PRAGMA temp_store = MEMORY")
  }

  /// The number of the next row of a table that numbers its rows.
  static func nextNumber(_ db: Connection, _ table: String) throws -> Int64 {
    let last = try db.integer("SELECT max(number) FROM \(table)") ?? 0
    guard (0..<(.max)).contains(last) else {
      throw StoreError(
        .damaged, "the table \(table) of the store is damaged: restore it from a backup")
    }
    return last + 1
  }

  // MARK: Meta

  static func setMeta(_ db: Connection, _ name: String, _ value: [UInt8]) throws(SQLiteError) {
    let statement = try db.cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")
    statement.bind(1, name)
    statement.bind(2, value)
    try statement.run()
  }

  static func meta(_ db: Connection, _ name: String) throws(SQLiteError) -> [UInt8]? {
    let statement = try db.cached("SELECT value FROM meta WHERE name = ?")
    statement.bind(1, name)
    defer { statement.reset() }
    return try statement.step() ? statement.bytes(0) : nil
  }
}

/// How durable an acknowledged write is.
public enum Durability: String, Sendable, CaseIterable {
  /// Survives the death of the process and the loss of power.
  case full
  /// Survives the death of the process; a loss of power may take the last writes, never consistency.
  case process
}
