import HeadwaterModel
import SQLiteDriver

/// What verdicts are looked up in, in a store's file: which creates may answer which questions, which
/// operations asked them, who refers by `void`, who claims which unique value, and which operations quarrel.
///
/// Everything in it follows from the operations alone, valid or void: verdicts are with the operations.
/// Confined with its connection.
final class AuthorityTable {
  /// A create that may be a witness: the operation, the index of the change in it, and the row.
  struct Grant: Hashable {
    let operation: Int64
    let index: Int
    let row: Int64
  }

  /// What an `exists` asks for with the values that its operands have.
  struct Question: Hashable {
    let atom: Int
    let tuple: [UInt8]
    /// For each loose slot the encoded values of which one must be the row's.
    let loose: [[[UInt8]]]
  }

  private struct Filing: Hashable {
    let atom: Int
    let tuple: [UInt8]
  }

  private struct FiledGrant {
    let grant: Grant
    let loose: [UInt8]
  }

  private let db: Connection
  @exclusivity(unchecked) private var grants: [Filing: [FiledGrant]] = [:]
  private var questions: [Question: Int64] = [:]
  @exclusivity(unchecked) private var contested: Set<Int64>?
  /// For each operation in a quarrel the quarrel's name. Few operations are.
  @exclusivity(unchecked) private var quarrels: [Int64: Int64]?

  init(_ db: Connection) { self.db = db }

  // MARK: Grants

  func addGrant(_ grant: Grant, atom: Int, tuple: [UInt8], loose: [UInt8]) throws {
    let statement = try db.cached(
      "INSERT OR IGNORE INTO authority (atom, tuple, operation, change, row, loose) VALUES (?, ?, ?, ?, ?, ?)"
    )
    statement.bind(1, atom)
    statement.bind(2, tuple)
    statement.bind(3, grant.operation)
    statement.bind(4, grant.index)
    statement.bind(5, grant.row)
    statement.bind(6, loose)
    try statement.run()
    grants[Filing(atom: atom, tuple: tuple)]?.append(FiledGrant(grant: grant, loose: loose))
  }

  /// The creates that may answer the question, in order of arrival, whatever has become of them.
  func grants(for question: Question) throws -> [Grant] {
    let filing = Filing(atom: question.atom, tuple: question.tuple)
    let filed: [FiledGrant]
    if let known = grants[filing] {
      filed = known
    } else {
      let statement = try db.cached(
        "SELECT operation, change, row, loose FROM authority WHERE atom = ? AND tuple = ? ORDER BY operation, change"
      )
      statement.bind(1, question.atom)
      statement.bind(2, question.tuple)
      var found: [FiledGrant] = []
      while try statement.step() {
        found.append(
          FiledGrant(
            grant: Grant(
              operation: statement.int(0), index: Int(clamping: statement.int(1)),
              row: statement.int(2)),
            loose: statement.bytes(3)))
      }
      if grants.count > 16_384 { grants.removeAll(keepingCapacity: true) }
      grants[filing] = found
      filed = found
    }
    if question.loose.isEmpty { return filed.map(\.grant) }
    do {
      return try filed.filter { try RulePlan.Atom.matches($0.loose, question.loose) }.map(\.grant)
    } catch is DecodingError {
      throw StoreError(
        .damaged, "the table of authority is damaged in the store: restore it from a backup")
    }
  }

  // MARK: Reliance

  /// Notes that the operation asks the question.
  func addReliance(_ question: Question, operation: Int64) throws {
    let number = try self.number(of: question)
    let statement = try db.cached(
      "INSERT OR IGNORE INTO reliance (question, operation) VALUES (?, ?)")
    statement.bind(1, number)
    statement.bind(2, operation)
    try statement.run()
  }

  private func number(of question: Question) throws -> Int64 {
    if let number = questions[question] { return number }
    var writer = CanonicalWriter()
    for alternatives in question.loose {
      writer.arrayHeader(alternatives.count)
      for part in alternatives { writer.byteString(part) }
    }
    let insert = try db.cached(
      "INSERT OR IGNORE INTO question (atom, tuple, loose) VALUES (?, ?, ?)")
    insert.bind(1, question.atom)
    insert.bind(2, question.tuple)
    insert.bind(3, writer.bytes)
    try insert.run()
    let select = try db.cached(
      "SELECT number FROM question WHERE atom = ? AND tuple = ? AND loose = ?")
    select.bind(1, question.atom)
    select.bind(2, question.tuple)
    select.bind(3, writer.bytes)
    defer { select.reset() }
    guard try select.step() else {
      throw StoreError(.storage, "a question could not be noted; please report this")
    }
    if questions.count > 16_384 { questions.removeAll(keepingCapacity: true) }
    questions[question] = select.int(0)
    return select.int(0)
  }

  /// The operations, from number `first` on, that asked what a create of the row may answer; so many at most.
  func reliants(on row: Int64, from first: Int64, limit: Int) throws -> [Int64] {
    let statement = try db.cached(
      "SELECT r.operation FROM reliance r WHERE r.operation >= ? AND r.question IN (SELECT q.number FROM question q, authority a WHERE a.row = ? AND q.atom = a.atom AND q.tuple = a.tuple) LIMIT ?"
    )
    statement.bind(1, first)
    statement.bind(2, row)
    statement.bind(3, limit)
    return try numbers(statement)
  }

  // MARK: References with the policy `void`

  /// Notes that an operation makes a row refer to another by `void`.
  func addBond(target: Int64, source: Int64, slot: Int, operation: Int64) throws {
    let statement = try db.cached(
      "INSERT OR IGNORE INTO bond (target, operation, source, slot) VALUES (?, ?, ?, ?)")
    statement.bind(1, target)
    statement.bind(2, operation)
    statement.bind(3, source)
    statement.bind(4, slot)
    try statement.run()
  }

  /// The operations, from number `first` on, that made some row refer to `target` by `void`; so many at most.
  func binders(of target: Int64, from first: Int64, limit: Int) throws -> [Int64] {
    let statement = try db.cached(
      "SELECT DISTINCT operation FROM bond WHERE target = ? AND operation >= ? LIMIT ?")
    statement.bind(1, target)
    statement.bind(2, first)
    statement.bind(3, limit)
    return try numbers(statement)
  }

  /// The rows that ever referred to `target` by `void`, with the slots in which they did.
  func sources(of target: Int64) throws -> [(row: Int64, slot: Int)] {
    let statement = try db.cached(
      "SELECT DISTINCT source, slot FROM bond WHERE target = ? ORDER BY source, slot")
    statement.bind(1, target)
    var result: [(row: Int64, slot: Int)] = []
    while try statement.step() {
      result.append((statement.int(0), Int(clamping: statement.int(1))))
    }
    return result
  }

  /// The rows that `source` ever referred to by `void`.
  func targets(of source: Int64) throws -> [Int64] {
    let statement = try db.cached(
      "SELECT DISTINCT target FROM bond WHERE source = ? ORDER BY target")
    statement.bind(1, source)
    return try numbers(statement)
  }

  // MARK: Unique values

  func addClaim(_ grant: Grant, slot: Int, collection: Int, value: [UInt8]) throws {
    let statement = try db.cached(
      "INSERT OR IGNORE INTO claim (collection, slot, value, operation, change, row) VALUES (?, ?, ?, ?, ?, ?)"
    )
    statement.bind(1, collection)
    statement.bind(2, slot)
    statement.bind(3, value)
    statement.bind(4, grant.operation)
    statement.bind(5, grant.index)
    statement.bind(6, grant.row)
    try statement.run()
  }

  /// The creates that ever claimed the value, other than those of the row.
  func rivals(_ row: Int64, slot: Int, collection: Int, value: [UInt8]) throws -> [Grant] {
    let statement = try db.cached(
      "SELECT operation, change, row FROM claim WHERE collection = ? AND slot = ? AND value = ? AND row <> ? ORDER BY operation, change"
    )
    statement.bind(1, collection)
    statement.bind(2, slot)
    statement.bind(3, value)
    statement.bind(4, row)
    var result: [Grant] = []
    while try statement.step() {
      result.append(
        Grant(
          operation: statement.int(0), index: Int(clamping: statement.int(1)),
          row: statement.int(2)))
    }
    return result
  }

  /// The operations that claim a value which the row ever claimed, for other rows.
  func rivals(of row: Int64) throws -> [Int64] {
    let statement = try db.cached(
      "SELECT DISTINCT b.operation FROM claim a, claim b WHERE a.row = ? AND b.collection = a.collection AND b.slot = a.slot AND b.value = a.value AND b.row <> a.row"
    )
    statement.bind(1, row)
    return try numbers(statement)
  }

  // MARK: Contests and quarrels

  /// Notes that something concurrent depends on the operation: only then can there be a cycle.
  func addContested(_ operation: Int64) throws {
    _ = try contestedOperations()
    // In place: a copy of the set for each would cost more than all the rest.
    guard contested?.insert(operation).inserted ?? false else { return }
    let statement = try db.cached("INSERT OR IGNORE INTO contest (operation) VALUES (?)")
    statement.bind(1, operation)
    try statement.run()
  }

  func contestedOperations() throws -> Set<Int64> {
    if let contested { return contested }
    let found = Set(try numbers(db.cached("SELECT operation FROM contest")))
    contested = found
    return found
  }

  /// The quarrel that the operation is in: operations that depend on each other in a cycle; nil if in none.
  func quarrel(of operation: Int64) throws -> Int64? {
    if let quarrels { return quarrels[operation] }
    var found: [Int64: Int64] = [:]
    let statement = try db.cached("SELECT operation, quarrel FROM quarrel")
    while try statement.step() { found[statement.int(0)] = statement.int(1) }
    quarrels = found
    return found[operation]
  }

  func members(ofQuarrel number: Int64) throws -> [Int64] {
    let statement = try db.cached(
      "SELECT operation FROM quarrel WHERE quarrel = ? ORDER BY operation")
    statement.bind(1, number)
    return try numbers(statement)
  }

  /// Makes one quarrel of the operations and of all quarrels that they were in, named by its first operation.
  func join(_ operations: [Int64]) throws {
    var all = Set(operations)
    for operation in operations {
      if let old = try quarrel(of: operation) { all.formUnion(try members(ofQuarrel: old)) }
    }
    guard let name = all.min() else { return }
    let statement = try db.cached(
      "INSERT OR REPLACE INTO quarrel (operation, quarrel) VALUES (?, ?)")
    for operation in all.sorted() {
      statement.bind(1, operation)
      statement.bind(2, name)
      try statement.run()
      quarrels?[operation] = name
    }
  }

  private func numbers(_ statement: Statement) throws -> [Int64] {
    var result: [Int64] = []
    while try statement.step() { result.append(statement.int(0)) }
    return result
  }
}
