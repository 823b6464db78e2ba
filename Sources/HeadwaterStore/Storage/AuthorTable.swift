import HeadwaterModel
import SQLiteDriver

/// A principal whose operations the store holds.
struct AuthorRecord {
  let number: Int64
  let principal: Digest
  let suite: UInt8
  let publicKey: [UInt8]
  /// The author's operation that is canonically last.
  var highest: Int64?
}

/// The authors in a store's file, by number and by principal.
///
/// What was updated is in memory only until `flush`, and found there by both whoever else was let go of. Confined with
/// its connection.
final class AuthorTable {
  private let db: Connection
  /// How many that have nothing to be written are kept in memory.
  private let kept: Int
  private var records: [Int64: AuthorRecord] = [:]
  private var numbers: [Digest: Int64] = [:]
  /// Those whose highest operation the file does not know yet.
  private var dirty: Set<Int64> = []

  init(_ db: Connection, kept: Int = 4_096) {
    self.db = db
    self.kept = kept
  }

  /// The author with that principal, if the store has operations of his.
  func find(_ principal: Digest) throws -> AuthorRecord? {
    if let number = numbers[principal] { return try record(number) }
    let statement = try db.cached(
      "SELECT number, principal, suite, key, highest FROM author WHERE principal = ?")
    statement.bind(1, principal.bytes)
    return try read(statement)
  }

  /// The author with that number, which is known to be there.
  func record(_ number: Int64) throws -> AuthorRecord {
    if let author = records[number] { return author }
    let statement = try db.cached(
      "SELECT number, principal, suite, key, highest FROM author WHERE number = ?")
    statement.bind(1, number)
    guard let author = try read(statement) else {
      throw StoreError(.damaged, "author \(number) is missing from the store")
    }
    return author
  }

  private func read(_ statement: Statement) throws -> AuthorRecord? {
    defer { statement.reset() }
    guard try statement.step(), let principal = Digest(bytes: statement.bytes(1)) else {
      return nil
    }
    let author = AuthorRecord(
      number: statement.int(0), principal: principal,
      suite: UInt8(truncatingIfNeeded: statement.int(2)), publicKey: statement.bytes(3),
      highest: statement.isNull(4) ? nil : statement.int(4))
    if records.count > kept + dirty.count {
      // What is not written yet stays.
      let unwritten = dirty.compactMap { records[$0] }
      records.removeAll()
      numbers.removeAll()
      for author in unwritten { keep(author) }
    }
    keep(author)
    return author
  }

  private func keep(_ author: AuthorRecord) {
    records[author.number] = author
    numbers[author.principal] = author.number
  }

  func add(_ principal: Digest, suite: UInt8, publicKey: [UInt8]) throws -> AuthorRecord {
    let statement = try db.cached("INSERT INTO author (principal, suite, key) VALUES (?, ?, ?)")
    statement.bind(1, principal.bytes)
    statement.bind(2, Int64(suite))
    statement.bind(3, publicKey)
    try statement.run()
    let author = AuthorRecord(
      number: db.lastInsertedRow, principal: principal, suite: suite, publicKey: publicKey,
      highest: nil)
    keep(author)
    return author
  }

  /// Notes an author's highest operation, who may have been let go of since he was looked up.
  func update(_ author: AuthorRecord) {
    keep(author)
    dirty.insert(author.number)
  }

  /// Writes what is kept in memory until a commit; call before committing.
  func flush() throws {
    for number in dirty.sorted() {
      let statement = try db.cached("UPDATE author SET highest = ? WHERE number = ?")
      statement.bind(1, records[number]?.highest)
      statement.bind(2, number)
      try statement.run()
    }
    dirty.removeAll()
  }
}
