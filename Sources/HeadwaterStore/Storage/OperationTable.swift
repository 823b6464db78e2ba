import HeadwaterLog
import HeadwaterModel
import SQLiteDriver

/// What the store knows of an operation without decoding its body.
struct OperationRecord {
  /// Local, ascending in order of arrival; a parent's is below its children's.
  let number: Int64
  let id: Digest
  let height: Int64
  let author: Int64
  let place: Place
  let time: Int64
  /// Nil for a valid operation.
  let reason: VerdictReason?
  let voidedBy: [Digest]

  var isValid: Bool { reason == nil }
  var verdict: Verdict { reason.map { .void($0, by: voidedBy) } ?? .valid }

  /// The same operation with another verdict.
  func with(_ verdict: Verdict) -> OperationRecord {
    var reason: VerdictReason?
    var by: [Digest] = []
    if case .void(let why, let who) = verdict { (reason, by) = (why, who) }
    return OperationRecord(
      number: number, id: id, height: height, author: author, place: place, time: time,
      reason: reason, voidedBy: by)
  }

  /// Canonical order: ascending (height, id).
  func precedes(_ other: OperationRecord) -> Bool {
    height != other.height ? height < other.height : id < other.id
  }
}

/// The operations in a store's file, by local number, id, or place in the DAG.
///
/// Reads through small caches; a writer's additions are visible to it at once. Confined with its connection.
final class OperationTable {
  /// How many of the newest operations may be missing from the tables `locator` and `span`. They are found through a
  /// dictionary that is filled on opening; the tables are extended in bulk, sorted, because an insert of a
  /// random key for every operation costs more than all the rest of it.
  static let locatorTail = 16_384

  let db: Connection
  let suite: any CryptoSuite
  /// Records read lately, each at the place that its number's last bits give; made when first used.
  @exclusivity(unchecked) private var records: [OperationRecord?] = []
  private let keptRecords: Int
  let authors: AuthorTable
  /// The numbers of operations that `locator` does not have yet, by the prefix of their ids.
  private var tail: [UInt64: Int64] = [:]
  /// Those of which another has the same prefix.
  private var tailTwins: [(prefix: UInt64, number: Int64)] = []
  /// The same operations, for `span`.
  private var tailKeys: [OperationKey] = []
  private var indexedUpTo: Int64 = 0
  private(set) var nextNumber: Int64 = 1
  let ancestry: Ancestry
  private let ancestryTable: AncestryTable
  private let additions: BatchInsert

  init(_ db: Connection, suite: any CryptoSuite, isWriter: Bool) throws {
    self.db = db
    self.suite = suite
    additions = BatchInsert(
      db, into: "operation",
      columns: [
        "number", "id", "height", "author", "chain", "position", "time", "reason", "voided_by",
        "body", "signature", "voucher",
      ])
    authors = AuthorTable(db)
    ancestryTable = AncestryTable(db)
    ancestry = Ancestry(storage: ancestryTable)
    keptRecords = isWriter ? 8_192 : 1_024
    if let stored = try StoreFile.meta(db, "locator") {
      indexedUpTo = stored.reduce(0) { $0 << 8 | Int64($1) }
    }
    nextNumber = try StoreFile.nextNumber(db, "operation")
    if isWriter { try loadTail() }
  }

  private func loadTail() throws {
    let statement = try db.cached("SELECT number, id, height FROM operation WHERE number > ?")
    statement.bind(1, indexedUpTo)
    while try statement.step() {
      guard let id = statement.withBytes(1, { Digest(bytes: $0) }) else { continue }
      addToTail(id, statement.int(0))
      tailKeys.append(OperationKey(height: statement.int(2), id: id))
    }
  }

  private func addToTail(_ id: Digest, _ number: Int64) {
    if let other = tail.updateValue(number, forKey: id.prefix) {
      tailTwins.append((id.prefix, other))
    }
  }

  // MARK: Looking up

  /// A statement about operations: sees all that were added.
  func statement(_ sql: StaticString) throws -> Statement {
    try additions.flush()
    return try db.cached(sql)
  }

  /// The local number of the operation with that id.
  func number(of id: Digest) throws -> Int64? {
    if let number = tail[id.prefix] {
      if try record(number).id == id { return number }
      for twin in tailTwins where twin.prefix == id.prefix {
        if try record(twin.number).id == id { return twin.number }
      }
    }
    for number in try indexed(id.prefix) where try record(number).id == id { return number }
    if tailKeys.isEmpty {
      // A reader has no tail in memory.
      let scan = try self.statement("SELECT number FROM operation WHERE number > ? AND id = ?")
      scan.bind(1, indexedUpTo)
      scan.bind(2, id.bytes)
      defer { scan.reset() }
      if try scan.step() { return scan.int(0) }
    }
    return nil
  }

  /// The numbers of the operations in `locator` whose ids begin with those bytes.
  func indexed(_ short: ShortID) throws -> [Int64] {
    let statement = try db.cached("SELECT number FROM locator WHERE prefix = ?")
    statement.bind(1, Int64(bitPattern: short))
    defer { statement.reset() }
    var numbers: [Int64] = []
    while try statement.step() { numbers.append(statement.int(0)) }
    return numbers
  }

  /// The numbers of the operations of a chain behind that position.
  func numbers(chain: Int64, after position: Int64) throws -> [Int64] {
    let statement = try self.statement(
      "SELECT number FROM operation WHERE chain = ? AND position > ?")
    statement.bind(1, chain)
    statement.bind(2, position)
    defer { statement.reset() }
    var numbers: [Int64] = []
    while try statement.step() { numbers.append(statement.int(0)) }
    return numbers
  }

  /// The numbers of all operations whose id begins with those hexadecimal digits; at most two.
  func numbers(withPrefix digits: String) throws -> [Int64] {
    guard !digits.isEmpty, digits.utf8.count <= 64 else { return [] }
    if digits.utf8.count == 64 {
      return try Digest(hex: digits).flatMap { try number(of: $0) }.map { [$0] } ?? []
    }
    guard
      let low = Digest(hex: digits + String(repeating: "0", count: 64 - digits.utf8.count)),
      let high = Digest(hex: digits + String(repeating: "f", count: 64 - digits.utf8.count))
    else { return [] }
    try additions.flush()
    let statement = try db.prepare("SELECT number FROM operation WHERE id BETWEEN ? AND ? LIMIT 2")
    statement.bind(1, low.bytes)
    statement.bind(2, high.bytes)
    var found: [Int64] = []
    while try statement.step() { found.append(statement.int(0)) }
    return found
  }

  /// What stands in the columns number, id, height, author, chain, position, time, reason, voided_by.
  private func read(_ statement: Statement) throws -> OperationRecord {
    // The columns stand first; what else was asked for comes after them.
    guard let id = statement.withBytes(1, { Digest(bytes: $0) }),
      (0..<(.max)).contains(statement.int(2))
    else {
      throw StoreError(
        .damaged,
        "operation \(statement.int(0)) is damaged in the store: restore it from a backup")
    }
    var reason: VerdictReason?
    var voidedBy: [Digest] = []
    if !statement.isNull(7) {
      reason = VerdictReason(rawValue: statement.text(7)) ?? .notLive
      voidedBy = Digest.list(statement.bytes(8))
    }
    return OperationRecord(
      number: statement.int(0), id: id, height: statement.int(2), author: statement.int(3),
      place: Place(chain: statement.int(4), position: statement.int(5)), time: statement.int(6),
      reason: reason, voidedBy: voidedBy)
  }

  /// The record of an operation that is known to be there.
  func record(_ number: Int64) throws -> OperationRecord {
    if !records.isEmpty, let record = records[Int(truncatingIfNeeded: number) & (keptRecords - 1)],
      record.number == number
    {
      return record
    }
    let record = try readRecord(number)
    remember(record)
    return record
  }

  /// The same, read from the file, and not kept in memory.
  func readRecord(_ number: Int64) throws -> OperationRecord {
    let statement = try self.statement(
      "SELECT number, id, height, author, chain, position, time, reason, voided_by FROM operation WHERE number = ?"
    )
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step() else {
      throw StoreError(
        .damaged, "operation \(number) is missing from the store: restore it from a backup")
    }
    return try read(statement)
  }

  /// The number of the operation at a place.
  func number(at place: Place) throws -> Int64? {
    let statement = try self.statement(
      "SELECT number FROM operation WHERE chain = ? AND position = ?")
    statement.bind(1, place.chain)
    statement.bind(2, place.position)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : nil
  }

  private func remember(_ record: OperationRecord) {
    if records.isEmpty { records = Array(repeating: nil, count: keptRecords) }
    records[Int(truncatingIfNeeded: record.number) & (keptRecords - 1)] = record
  }

  /// Changes what the store says of an operation.
  func setVerdict(_ verdict: Verdict, of number: Int64) throws {
    let record = try record(number).with(verdict)
    let statement = try self.statement(
      "UPDATE operation SET reason = ?, voided_by = ? WHERE number = ?")
    if let reason = record.reason {
      statement.bind(1, reason.rawValue)
      statement.bind(2, Digest.bytes(record.voidedBy))
    } else {
      statement.bindNull(1)
      statement.bindNull(2)
    }
    statement.bind(3, number)
    try statement.run()
    remember(record)
  }

  /// The canonical bytes of an operation.
  func body(_ number: Int64) throws -> [UInt8] {
    let statement = try self.statement("SELECT body FROM operation WHERE number = ?")
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step() else {
      throw StoreError(
        .damaged, "operation \(number) is missing from the store: restore it from a backup")
    }
    return statement.bytes(0)
  }

  /// An operation, decoded. What does not have the hash that it came with is never looked into.
  func operation(_ number: Int64) throws -> Operation { try identified(number).operation }

  /// An operation, decoded, with its id.
  func identified(_ number: Int64) throws -> (id: Digest, operation: Operation) {
    let statement = try self.statement(
      "SELECT number, id, height, author, chain, position, time, reason, voided_by, body FROM operation WHERE number = ?"
    )
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step() else {
      throw StoreError(
        .damaged, "operation \(number) is missing from the store: restore it from a backup")
    }
    let record = try read(statement)
    let id = record.id
    let body = statement.bytes(9)
    guard suite.hash(body) == id else {
      throw StoreError(
        .damaged,
        "operation \(number) does not have its hash in the store: restore it from a backup")
    }
    // Whoever looks into an operation mostly asks for its record next.
    remember(record)
    do {
      return (id, try Operation.decode(body))
    } catch {
      throw StoreError(
        .damaged, "operation \(number) is damaged in the store (\(error)): restore it from a backup"
      )
    }
  }

  // MARK: Authors

  /// The author's highest operation in the past of, or among, `parents`.
  func highest(of author: AuthorRecord, parents: [OperationRecord], isWholeFrontier: Bool) throws
    -> OperationRecord?
  {
    guard let last = author.highest else { return nil }
    let candidate = try record(last)
    if isWholeFrontier { return candidate }
    if try isInPast(candidate, ofOrAmong: parents) { return candidate }
    // Chain by chain: in each, the past of the parents is a prefix.
    var best: OperationRecord?
    var chain: Int64 = 0
    while let next = try nextChain(of: author.number, after: chain) {
      chain = next
      var reach: Int64 = 0
      for parent in parents { reach = max(reach, try ancestry.reach(of: parent.place, in: chain)) }
      let statement = try self.statement(
        "SELECT number FROM operation WHERE author = ? AND chain = ? AND position <= ? ORDER BY position DESC LIMIT 1"
      )
      statement.bind(1, author.number)
      statement.bind(2, chain)
      statement.bind(3, reach)
      let found = try statement.step() ? statement.int(0) : nil
      statement.reset()
      if let found {
        let record = try record(found)
        if best.map({ $0.precedes(record) }) ?? true { best = record }
      }
    }
    return best
  }

  private func nextChain(of author: Int64, after chain: Int64) throws -> Int64? {
    let statement = try self.statement(
      "SELECT chain FROM operation WHERE author = ? AND chain > ? ORDER BY chain LIMIT 1")
    statement.bind(1, author)
    statement.bind(2, chain)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : nil
  }

  func isInPast(_ record: OperationRecord, ofOrAmong others: [OperationRecord]) throws -> Bool {
    for other in others {
      if other.number == record.number { return true }
      if try ancestry.isAncestor(record.place, of: other.place) { return true }
    }
    return false
  }

  // MARK: Adding

  /// Adds an operation and reports whether its author has equivocated with it.
  func insert(
    _ record: OperationRecord, body: [UInt8], signature: [UInt8], voucher: Digest?,
    author: inout AuthorRecord, previous: Digest?
  ) throws {
    additions.add(record.number)
    record.id.withUnsafeBytes { additions.add($0) }
    additions.add(record.height)
    additions.add(record.author)
    additions.add(record.place.chain)
    additions.add(record.place.position)
    additions.add(record.time)
    if let reason = record.reason {
      additions.add(reason.rawValue)
      additions.add(Digest.bytes(record.voidedBy))
    } else {
      additions.addNull()
      additions.addNull()
    }
    additions.add(body)
    additions.add(signature)
    if let voucher {
      voucher.withUnsafeBytes { additions.add($0) }
    } else {
      additions.addNull()
    }
    try additions.endRow()
    nextNumber = record.number + 1
    remember(record)
    addToTail(record.id, record.number)
    tailKeys.append(OperationKey(height: record.height, id: record.id))

    if let highest = author.highest {
      let last = try self.record(highest)
      if last.id != previous {
        // Something of the author's is neither in this operation's past nor after it.
        let fork = try db.cached(
          "INSERT OR IGNORE INTO equivocation (number, author) VALUES (?, ?)")
        fork.bind(1, record.number)
        fork.bind(2, author.number)
        try fork.run()
      }
      if last.precedes(record) { author.highest = record.number }
    } else {
      author.highest = record.number
    }
    authors.update(author)
  }

  /// Writes what is kept in memory until a commit; call before committing.
  func flush() throws {
    try additions.flush()
    try ancestryTable.flush()
    try authors.flush()
    guard tailKeys.count >= OperationTable.locatorTail else { return }
    let locator = BatchInsert(db, into: "locator", columns: ["prefix", "number"], ignoring: true)
    let found = tail.map { (Int64(bitPattern: $0), $1) }
    let twins = tailTwins.map { (Int64(bitPattern: $0.prefix), $0.number) }
    for (prefix, number) in (found + twins).sorted(by: { $0 < $1 }) {
      locator.add(prefix)
      locator.add(number)
      try locator.endRow()
    }
    try locator.flush()
    try SpanTable(db).insert(tailKeys.sorted())
    indexedUpTo = nextNumber - 1
    try StoreFile.setMeta(
      db, "locator", withUnsafeBytes(of: indexedUpTo.bigEndian) { Array($0) })
    tail.removeAll(keepingCapacity: true)
    tailTwins.removeAll()
    tailKeys.removeAll(keepingCapacity: true)
  }
}

extension Digest {
  /// Digests one after another.
  static func bytes(_ digests: [Digest]) -> [UInt8] { digests.flatMap(\.bytes) }

  static func list(_ bytes: [UInt8]) -> [Digest] {
    stride(from: 0, to: bytes.count - 31, by: 32).compactMap { Digest(bytes: bytes[$0..<$0 + 32]) }
  }
}
