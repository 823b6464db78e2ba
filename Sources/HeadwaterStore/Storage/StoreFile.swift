import HeadwaterModel
import SQLiteDriver

/// The tables of a store, and how its file is opened. Documented table by table in Docs/Formats.md.
enum StoreFile {
  /// "HdWt", so that `file` and SQLite know whose the database is.
  static let applicationID: Int64 = 0x4864_5774
  static let formatVersion: Int64 = 4

  private static let tables = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE author (
      number INTEGER PRIMARY KEY, principal BLOB NOT NULL UNIQUE, suite INTEGER NOT NULL,
      key BLOB NOT NULL, highest INTEGER) STRICT;
    CREATE TABLE operation (
      number INTEGER PRIMARY KEY, id BLOB NOT NULL, height INTEGER NOT NULL,
      author INTEGER NOT NULL, chain INTEGER NOT NULL, position INTEGER NOT NULL,
      time INTEGER NOT NULL, reason TEXT, voided_by BLOB, body BLOB NOT NULL,
      signature BLOB NOT NULL, voucher BLOB) STRICT;
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
      kinds INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (row, operation)) STRICT, WITHOUT ROWID;
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

  /// The tables of verdicts, which format 1 did not have.
  private static let verdictTables = """
    CREATE INDEX touch_life ON touch (row, operation, kinds) WHERE kinds <> 2;
    CREATE TABLE authority (
      atom INTEGER NOT NULL, tuple BLOB NOT NULL, operation INTEGER NOT NULL,
      change INTEGER NOT NULL, row INTEGER NOT NULL, loose BLOB NOT NULL,
      PRIMARY KEY (atom, tuple, operation, change)) STRICT, WITHOUT ROWID;
    CREATE INDEX authority_row ON authority (row);
    CREATE TABLE question (
      number INTEGER PRIMARY KEY, atom INTEGER NOT NULL, tuple BLOB NOT NULL, loose BLOB NOT NULL,
      UNIQUE (atom, tuple, loose)) STRICT;
    CREATE TABLE reliance (question INTEGER NOT NULL, operation INTEGER NOT NULL,
      PRIMARY KEY (question, operation)) STRICT, WITHOUT ROWID;
    CREATE TABLE bond (
      target INTEGER NOT NULL, operation INTEGER NOT NULL, source INTEGER NOT NULL,
      slot INTEGER NOT NULL, PRIMARY KEY (target, operation, source, slot)) STRICT, WITHOUT ROWID;
    CREATE INDEX bond_source ON bond (source);
    CREATE TABLE claim (
      collection INTEGER NOT NULL, slot INTEGER NOT NULL, value BLOB NOT NULL,
      operation INTEGER NOT NULL, change INTEGER NOT NULL, row INTEGER NOT NULL,
      PRIMARY KEY (collection, slot, value, operation, change)) STRICT, WITHOUT ROWID;
    CREATE INDEX claim_row ON claim (row);
    CREATE TABLE spill (row INTEGER PRIMARY KEY, fresh INTEGER NOT NULL, image BLOB) STRICT;
    CREATE TABLE contest (operation INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE quarrel (operation INTEGER PRIMARY KEY, quarrel INTEGER NOT NULL) STRICT;
    CREATE INDEX quarrel_number ON quarrel (quarrel);
    """

  /// The operations in canonical order, which formats 1 and 2 did not have.
  private static let orderTables = """
    CREATE TABLE span (
      number INTEGER PRIMARY KEY, height INTEGER NOT NULL, id BLOB NOT NULL,
      count INTEGER NOT NULL, sum BLOB NOT NULL) STRICT;
    CREATE TABLE span_keys (span INTEGER PRIMARY KEY, keys BLOB NOT NULL) STRICT;
    """

  /// What proves operations that came with wrong signatures, which formats before 4 did not have.
  private static let testimonyTable = """
    CREATE TABLE testimony (number INTEGER PRIMARY KEY, witnesses BLOB NOT NULL) STRICT;
    """

  /// Makes the tables in a new file, in one transaction with whatever `body` adds.
  static func create(_ db: Connection, _ body: () throws -> Void) throws {
    try db.transaction {
      try db.execute("PRAGMA application_id = \(applicationID)")
      try db.execute("PRAGMA user_version = \(formatVersion)")
      try db.execute(tables)
      try db.execute(verdictTables)
      try db.execute(orderTables)
      try db.execute(testimonyTable)
      try body()
    }
  }

  /// Brings a file of an older format up to date, in one transaction.
  ///
  /// Format 1 knew no verdicts but those of subjects, so there is nothing to fill the new tables with; what
  /// kinds of changes its operations made is read from the operations themselves (`kinds` 0). Formats 1 and 2 did
  /// not keep the operations in canonical order: they are sorted once. Before format 4 every signature was checked, so
  /// there are no vouchers to fill in.
  static func migrate(_ db: Connection) throws {
    guard let version = try db.integer("PRAGMA user_version"), version < formatVersion else {
      return
    }
    try db.transaction {
      if version < 2 {
        try db.execute("ALTER TABLE touch ADD COLUMN kinds INTEGER NOT NULL DEFAULT 0")
        try db.execute(verdictTables)
      }
      if version < 3 {
        try db.execute(orderTables)
        try SpanTable(db).fill()
      }
      try db.execute("ALTER TABLE operation ADD COLUMN voucher BLOB")
      try db.execute(testimonyTable)
      try db.execute("PRAGMA user_version = \(formatVersion)")
    }
  }

  /// Throws unless the file is a store of a version that this program knows.
  ///
  /// - Parameter forWriting: whoever writes may bring an older file up to date; whoever reads cannot.
  static func validate(_ db: Connection, path: String, forWriting: Bool) throws {
    guard try db.integer("PRAGMA application_id") == applicationID else {
      throw StoreError(
        .notAStore,
        "\(path) is not a Headwater store: make one with `headwater init`, or check the path")
    }
    let version = try db.integer("PRAGMA user_version") ?? 0
    if (1..<formatVersion).contains(version) {
      guard !forWriting else { return }
      throw StoreError(
        .notAStore,
        "\(path) has store format \(version), of an older version of headwater: a command that writes, such as `headwater write` without operations, brings it up to date"
      )
    }
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
      db.stopCheckpointing()
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
