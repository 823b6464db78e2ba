import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// The one that writes: admits operations to the DAG, judges them, folds rows, appends events.
///
/// No clock, randomness or threads in it: it is driven by `Store`, which owns its connection, opens and
/// commits the transactions around it, and throws the whole engine away after a failed one.
final class Engine {
  let db: Connection
  let suite: any CryptoSuite
  let database: Digest
  let replica: UUIDBytes
  let genesis: Digest
  let layout: SchemaPlan
  let log: OperationTable
  let rows: RowTable
  let events: EventTable
  let dataType: any DataType = RegisterType()
  let evidence: Evidence
  /// The operations without children, by number.
  private(set) var frontier: Set<Int64>
  /// The same by id: what has one of them for a parent is new, and its parents need not be looked for.
  private var heads: [Digest: Int64] = [:]
  /// What came into it and what left it since the last commit, in which the file learns of it.
  private var newHeads: Set<Int64> = []
  private var goneHeads: [Int64] = []
  /// Whether an operation was being added to the DAG when something failed: what is done so far must not be committed.
  private(set) var isHalfDone = false
  /// The numbers of the rows whose image before the operation was taken, in order.
  var touched: [Int64] = []
  /// The encoding of the operation that is being written; kept, because large buffers that come and go make
  /// the allocator tidy up all small ones each time.
  var encoding = CanonicalWriter()
  private let retention: Retention?
  /// The position up to which retention was last looked at.
  private var retainedUpTo: Int64

  init(
    _ db: Connection, suite: any CryptoSuite, info: StoreInfo, layout: SchemaPlan,
    retention: Retention? = nil, heldRows: Int = RowTable.heldRows
  ) throws {
    self.retention = retention
    self.db = db
    self.suite = suite
    self.layout = layout
    database = info.database
    genesis = info.database
    replica = info.replica
    log = try OperationTable(db, suite: suite, isWriter: true)
    rows = try RowTable(db, layouts: layout, heldRows: heldRows)
    events = try EventTable(db, suite: suite)
    evidence = Evidence(
      log: log, rows: rows, authority: AuthorityTable(db), layout: layout, suite: suite)
    frontier = []
    retainedUpTo = events.last
    let statement = try db.prepare("SELECT number FROM frontier")
    while try statement.step() { frontier.insert(statement.int(0)) }
    for number in frontier { heads[try log.record(number).id] = number }
  }

  /// With more heads than this the frontier is not noted with each event: thousands of concurrent operations
  /// would each carry all of it.
  static let notedHeads = 64

  /// The ids of the operations without children, sorted.
  func frontierIDs() throws -> [Digest] { try frontier.map { try log.record($0).id }.sorted() }

  // MARK: Admission

  /// What became of an operation that was offered.
  enum Admission {
    case known(OperationRecord)
    /// In the DAG now.
    case admitted(OperationRecord, [ResolvedChange])
    /// Parents, or its schema's operation, are not here yet.
    case waiting(missing: [Digest])
  }

  /// An operation that enters the DAG, with what its admission needs at hand.
  struct Arrival {
    let operation: Operation
    var record: OperationRecord
    let changes: [ResolvedChange]
    /// Whether everything that is known is in its past.
    let seesEverything: Bool
  }

  /// Judges and folds an operation whose body, id and signature belong together.
  ///
  /// Throws `.rejected` and changes nothing if the operation is not acceptable.
  ///
  /// - Parameters:
  ///   - voucher: the operation that has shown that the author signed it, where its own signature was not checked.
  ///   - prepared: where the operation is made of rows that `Store.prepare` has checked.
  ///   - isLocal: whether it is being written here: then it is refused where its author could have known that
  ///     it is void.
  func admit(
    _ operation: Operation, id: Digest, body: [UInt8], suite suiteIdentifier: UInt8,
    publicKey: [UInt8], signature: [UInt8], voucher: Digest? = nil,
    prepared: PreparedCreates? = nil,
    isLocal: Bool = false
  ) throws -> Admission {
    // An operation that is here is the child of its parents, so none of them is a head.
    if !operation.parents.contains(where: { heads[$0] != nil }), let number = try log.number(of: id)
    {
      return .known(try log.record(number))
    }
    var parents: [OperationRecord] = []
    switch operation.kind {
    case .genesis:
      guard id == genesis, frontier.isEmpty else {
        throw rejected(id, "it is the genesis of another database")
      }
    case .ordinary(let database, let schema):
      guard database == self.database else {
        throw rejected(id, "it belongs to another database, \(database.hex)")
      }
      guard schema == genesis else {
        guard try log.number(of: schema) != nil else { return .waiting(missing: [schema]) }
        throw rejected(id, "the operation that it names as its schema brings none")
      }
      var missing: [Digest] = []
      for parent in operation.parents {
        guard let number = try heads[parent] ?? log.number(of: parent) else {
          missing.append(parent)
          continue
        }
        parents.append(try log.record(number))
      }
      guard missing.isEmpty else { return .waiting(missing: missing) }
    }
    let seesEverything = isFrontier(parents)
    if !seesEverything { try requireAntichain(parents, id) }

    var author =
      try log.authors.find(operation.author)
      ?? AuthorRecord(
        number: 0, principal: operation.author, suite: suiteIdentifier, publicKey: publicKey,
        highest: nil)
    let previous = try log.highest(
      of: author, parents: parents, isWholeFrontier: seesEverything)
    guard previous?.id == operation.previous else {
      throw rejected(
        id, "its `previous` is not the author's highest operation in the past of its parents")
    }
    let changes = ChangeResolver.resolve(
      operation, id: id, layout: layout, suite: suite, storageKeys: prepared?.storageKeys)
    let past = Past(
      engine: self, parents: parents, seesEverything: seesEverything)
    let check = StaticCheck(layout: layout, past: past)
    if let problem = try prepared == nil
      ? check.problem(operation, changes) : check.problem(prepared: changes)
    {
      throw rejected(id, problem)
    }

    // What is concurrent with the operation may matter, and it to that.
    let isContestable = !seesEverything && !layout.rules.isTrivial
    let viewpoint = Viewpoint(
      parents: parents, seesEverything: seesEverything, author: operation.author, id: id, log: log,
      world: isContestable && isLocal
        ? { try self.log.isInPast($0, ofOrAmong: parents) } : nil)
    let asks = operation.isGenesis ? [] : try evidence.asks(changes, at: viewpoint)
    var verdict = Verdict.void(.noWitness, by: [])
    if operation.isGenesis {
      verdict = .valid
    } else if !isContestable {
      let isValid = seesEverything ? try evidence.holdsAtPresent(asks, changes) : nil
      verdict =
        isValid == true ? .valid : try evidence.verdict(changes, at: viewpoint, evidence.settled)
    }
    if isLocal {
      let own =
        isContestable ? try Judge(evidence).verdictInPast(changes, at: viewpoint) : verdict
      if case .void(let reason, let by) = own {
        throw try refusal(reason, by, changes, asks, viewpoint)
      }
    }

    // From here on the operation is in the DAG.
    isHalfDone = true
    if author.number == 0 {
      author = try log.authors.add(
        author.principal, suite: author.suite, publicKey: author.publicKey)
    }
    let record = OperationRecord(
      number: log.nextNumber, id: id,
      height: operation.isGenesis ? 0 : (parents.map(\.height).max() ?? 0) + 1,
      author: author.number, place: try log.ancestry.insert(parents: parents.map(\.place)),
      time: operation.time, reason: nil, voidedBy: []
    ).with(verdict)
    try log.insert(
      record, body: body, signature: signature, voucher: voucher, author: &author,
      previous: operation.previous)
    advanceFrontier(parents: parents, to: record)
    var arrival = Arrival(
      operation: operation, record: record, changes: changes, seesEverything: seesEverything)
    try enter(arrival)
    try evidence.register(record, changes, asks)
    var flips: [Flip] = []
    if isContestable {
      flips = try Judge(evidence).settle(
        record.number, changes, asks, evidence.viewpoint(record.number))
      arrival.record = try log.record(record.number)
    }
    try apply(arrival, flips)
    isHalfDone = false
    return .admitted(arrival.record, changes)
  }

  /// Whether these, all different, are the operations without children.
  func isFrontier(_ parents: [OperationRecord]) -> Bool {
    parents.count == frontier.count && parents.allSatisfy { frontier.contains($0.number) }
  }

  private func rejected(_ id: Digest, _ why: String) -> StoreError {
    StoreError(.rejected, "operation \(id.hex) is rejected: \(why)")
  }

  private func requireAntichain(_ parents: [OperationRecord], _ id: Digest) throws {
    for a in parents {
      for b in parents where a.number < b.number {
        if try log.ancestry.isAncestor(a.place, of: b.place) {
          throw rejected(id, "one of its parents is in the past of another")
        }
      }
    }
  }

  private func advanceFrontier(parents: [OperationRecord], to record: OperationRecord) {
    for parent in parents where frontier.remove(parent.number) != nil {
      heads[parent.id] = nil
      if newHeads.remove(parent.number) == nil { goneHeads.append(parent.number) }
    }
    frontier.insert(record.number)
    heads[record.id] = record.number
    newHeads.insert(record.number)
  }

  private func flushFrontier() throws {
    let remove = try db.cached("DELETE FROM frontier WHERE number = ?")
    for number in goneHeads.sorted() {
      remove.bind(1, number)
      try remove.run()
    }
    let insert = try db.cached("INSERT INTO frontier (number) VALUES (?)")
    for number in newHeads.sorted() {
      insert.bind(1, number)
      try insert.run()
    }
    goneHeads.removeAll(keepingCapacity: true)
    newHeads.removeAll(keepingCapacity: true)
  }

  /// Writes everything that is kept in memory; call before committing.
  func flush() throws {
    try rows.flush()
    try log.flush()
    try events.flush()
    try flushFrontier()
    // Now and then what no reader needs goes, in the commit that is being made anyway.
    if let retention, events.last - retainedUpTo >= retention.interval {
      retainedUpTo = events.last
      _ = try retention.trim(self)
    }
  }
}

/// What a store is, from its table `meta`.
struct StoreInfo {
  let database: Digest
  let replica: UUIDBytes
  let suite: UInt8
}
