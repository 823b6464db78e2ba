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
  /// Whether an operation was being added to the DAG when something failed: what is done so far must not be committed.
  private(set) var isHalfDone = false
  /// The encoding of the operation that is being written; kept, because large buffers that come and go make
  /// the allocator tidy up all small ones each time.
  var encoding = CanonicalWriter()
  private let retention: Retention?
  /// The position up to which retention was last looked at.
  private var retainedUpTo: Int64

  init(
    _ db: Connection, suite: any CryptoSuite, info: StoreInfo, layout: SchemaPlan,
    retention: Retention? = nil
  ) throws {
    self.retention = retention
    self.db = db
    self.suite = suite
    self.layout = layout
    database = info.database
    genesis = info.database
    replica = info.replica
    log = try OperationTable(db, suite: suite, isWriter: true)
    rows = try RowTable(db, layouts: layout)
    events = try EventTable(db, suite: suite)
    evidence = Evidence(
      log: log, rows: rows, authority: AuthorityTable(db), layout: layout, suite: suite)
    frontier = []
    retainedUpTo = events.last
    let statement = try db.prepare("SELECT number FROM frontier")
    while try statement.step() { frontier.insert(statement.int(0)) }
  }

  /// With more heads than this the frontier is not noted with each event: thousands of concurrent operations
  /// would each carry all of it.
  private static let notedHeads = 64

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
  private struct Arrival {
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
  ///   - prepared: where the operation is made of rows that `Store.prepare` has checked.
  ///   - isLocal: whether it is being written here: then it is refused where its author could have known that
  ///     it is void.
  func admit(
    _ operation: Operation, id: Digest, body: [UInt8], suite suiteIdentifier: UInt8,
    publicKey: [UInt8], signature: [UInt8], prepared: PreparedCreates? = nil, isLocal: Bool = false
  ) throws -> Admission {
    if let number = try log.number(of: id) { return .known(try log.record(number)) }
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
        guard let number = try log.number(of: parent) else {
          missing.append(parent)
          continue
        }
        parents.append(try log.record(number))
      }
      guard missing.isEmpty else { return .waiting(missing: missing) }
    }
    let seesEverything = Set(parents.map(\.number)) == frontier
    if !seesEverything { try requireAntichain(parents, id) }

    var author =
      try log.author(operation.author)
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
      author = try log.addAuthor(author.principal, suite: author.suite, publicKey: author.publicKey)
    }
    let record = OperationRecord(
      number: log.nextNumber, id: id,
      height: operation.isGenesis ? 0 : (parents.map(\.height).max() ?? 0) + 1,
      author: author.number, place: try log.ancestry.insert(parents: parents.map(\.place)),
      time: operation.time, reason: nil, voidedBy: []
    ).with(verdict)
    try log.insert(
      record, body: body, signature: signature, author: &author, previous: operation.previous)
    try advanceFrontier(parents: parents, to: record.number)
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

  private func advanceFrontier(parents: [OperationRecord], to number: Int64) throws {
    let remove = try db.cached("DELETE FROM frontier WHERE number = ?")
    for parent in parents where frontier.remove(parent.number) != nil {
      remove.bind(1, parent.number)
      try remove.run()
    }
    frontier.insert(number)
    let insert = try db.cached("INSERT INTO frontier (number) VALUES (?)")
    insert.bind(1, number)
    try insert.run()
  }

  // MARK: Folding

  private var touched: [RowState] = []

  /// Takes the row's image before the operation, once.
  private func capture(_ row: RowState, _ number: Int64, isFresh: Bool = false) {
    guard row.mark != number else { return }
    row.mark = number
    row.isFresh = isFresh
    row.before = row.isVisible ? visibleValues(row) : nil
    touched.append(row)
  }

  /// The values that readers see: defaults applied, references to what is not visible masked.
  func visibleValues(_ row: RowState) -> [Value?] {
    layout.collections[row.collection].visibleValues(
      row.values, stamps: row.stamps, masked: row.masked)
  }

  /// Notes that the operation touched its rows.
  private func enter(_ arrival: Arrival) throws {
    let number = arrival.record.number
    touched.removeAll(keepingCapacity: true)
    for (storageKey, kinds) in Evidence.kinds(arrival.changes) {
      if let row = try rows.row(storageKey) {
        try capture(existing: row, number)
        try rows.addTouch(row, number, kinds)
        evidence.forget(row)
      } else {
        let row = rows.add(storageKey, creator: number)
        capture(row, number, isFresh: true)
        try rows.addTouch(row, number, kinds)
      }
    }
  }

  private func capture(existing row: RowState, _ number: Int64) throws {
    guard row.mark != number else { return }
    row.targets = try Visibility(rows: rows, layout: layout).targets(of: row)
    capture(row, number)
  }

  /// Brings the rows up to date with the operation and with the verdicts that it changed; writes the events.
  private func apply(_ arrival: Arrival, _ flips: [Flip]) throws {
    guard arrival.record.isValid || !flips.isEmpty else { return }
    let number = arrival.record.number
    var refold: [RowState] = []
    var isRefolded: Set<Int64> = []
    // For rows that the operation itself did not change: why they changed.
    var causes: [Int64: Flip] = [:]
    for flip in flips {
      for (storageKey, _) in Evidence.kinds(try evidence.changes(flip.number)) {
        guard let row = try rows.row(storageKey) else { continue }
        try capture(existing: row, number)
        if causes[row.number] == nil { causes[row.number] = flip }
        if isRefolded.insert(row.number).inserted { refold.append(row) }
      }
    }
    if arrival.record.isValid {
      for change in arrival.changes {
        guard let row = try rows.row(change.storageKey) else { continue }
        rows.touch(row)
        causes[row.number] = nil
        if isRefolded.contains(row.number) { continue }
        if try !fold(change, into: row, arrival) {
          isRefolded.insert(row.number)
          refold.append(row)
        }
      }
    }
    for row in refold { try refoldFromHistory(row) }
    // The rows that cascades reach are captured as well, so the list is copied first.
    let changed = touched
    let effects = try Visibility(rows: rows, layout: layout).settle(
      changed, capture: { self.capture($0, number) })
    try emit(effects, causes, arrival)
  }

  /// Folds one change of a valid operation into a row; false where the row must be folded from its history.
  private func fold(_ change: ResolvedChange, into row: RowState, _ arrival: Arrival) throws -> Bool
  {
    let number = arrival.record.number
    let collection = layout.collections[change.collection]
    switch change.kind {
    case .create:
      if !row.isLive {
        if !row.isFresh { row.clear() }
        row.isLive = true
        row.creates = [number]
        row.creator = number
      } else {
        if !row.creates.contains(number) { row.creates.append(number) }
        if try isLater(number, row.creator, arrival) {
          row.creator = number
          // Readonly fields come from the canonically last live create alone.
          for slot in row.values.indices where collection.readonlySlots[slot] {
            row.values[slot] = nil
            row.stamps[slot] = 0
          }
        }
      }
      for (slot, value) in zip(collection.keySlots, change.key.values)
      where row.creator == number {
        row.values[slot] = value
        row.stamps[slot] = number
      }
    case .update:
      guard row.isLive else { return true }
      if !arrival.seesEverything, !row.creates.contains(number) {
        var isBased = false
        for create in row.creates {
          let place = try log.record(create).place
          if try log.ancestry.isAncestor(place, of: arrival.record.place) {
            isBased = true
            break
          }
        }
        guard isBased else { return true }
      }
    case .delete:
      if arrival.seesEverything {
        row.clear()
        return true
      }
      var survivors = 0
      for create in row.creates where create != number {
        let place = try log.record(create).place
        if try !log.ancestry.isAncestor(place, of: arrival.record.place) { survivors += 1 }
      }
      if survivors == 0 { row.clear() }
      return survivors == 0
    }
    if row.isFresh, change.kind == .create {
      row.assign(change.assignments, stamp: number)
      return true
    }
    for assignment in change.assignments {
      if collection.readonlySlots[assignment.slot], row.creator != number { continue }
      var state = FieldState(
        value: row.values[assignment.slot], stamp: row.stamps[assignment.slot])
      try dataType.apply(
        assignment.change, stamp: number, to: &state,
        isLater: { a, b in try isLater(a, b, arrival) })
      row.values[assignment.slot] = state.value
      row.stamps[assignment.slot] = state.stamp
    }
    return true
  }

  /// Whether operation `a` is canonically later than `b`.
  private func isLater(_ a: Int64, _ b: Int64, _ arrival: Arrival) throws -> Bool {
    if arrival.seesEverything, a == arrival.record.number { return a != b }
    return try log.record(b).precedes(try log.record(a))
  }

  private func refoldFromHistory(_ row: RowState) throws {
    let collection = layout.collections[row.collection]
    let folded = try history(of: row).fold(
      slotCount: collection.slots.count, readonlySlots: collection.readonlySlots,
      dataType: dataType, isIncluded: { _ in true },
      isAncestor: { try self.log.ancestry.isAncestor($0.place, of: $1.place) })
    row.isLive = !folded.creates.isEmpty
    row.creates = folded.creates
    if let last = folded.creates.last { row.creator = last }
    row.values = folded.values
    row.stamps = folded.stamps
    if row.isLive {
      try collection.setKey(&row.values, storageKey: row.storageKey)
      for slot in collection.keySlots { row.stamps[slot] = row.creator }
    }
    rows.touch(row)
  }

  /// Everything that ever touched the row, decoded.
  func history(of row: RowState) throws -> RowHistory {
    try RowHistory.load(row, rows: rows, log: log, layout: layout, suite: suite)
  }

  // MARK: Events

  private func emit(_ effects: [Effect], _ causes: [Int64: Flip], _ arrival: Arrival) throws {
    var gone: [(row: RowState, record: EventRecord)] = []
    var come: [(row: RowState, record: EventRecord)] = []
    var changed: [EventRecord] = []
    var mustOrder = !causes.isEmpty || arrival.changes.contains { $0.kind != .create }
    for effect in effects {
      let row = effect.row
      var after = EventRecord.After.gone
      if row.isVisible {
        if let before = row.before {
          let values = visibleValues(row)
          guard values != before else { continue }
          after = .values(values)
        } else {
          after = .appeared(row, layout.collections[row.collection])
        }
      } else if row.before == nil {
        continue
      }
      var reason = effect.reason
      var verdictReason: VerdictReason?
      if reason == .applied, let flip = causes[row.number] {
        // A row that comes back because its delete became void is reinstated, like one whose create became valid.
        let comesBack = row.isVisible && (row.before == nil || flip.isValid)
        reason = comesBack ? .reinstated : .retracted
        verdictReason = flip.reason
      }
      let record = EventRecord(
        collection: row.collection, before: row.before, after: after, reason: reason,
        verdictReason: verdictReason)
      if !row.isVisible {
        gone.append((row, record))
      } else if row.before == nil {
        come.append((row, record))
        // New rows alone are in order: each refers to what was there before it.
        if !row.isFresh { mustOrder = true }
      } else {
        changed.append(record)
      }
    }
    // What refers goes first, and comes last.
    if gone.count > 1 { gone = try targetsFirst(gone).reversed() }
    if mustOrder, come.count > 1 { come = try targetsFirst(come) }
    guard !gone.isEmpty || !come.isEmpty || !changed.isEmpty else { return }
    let author = try log.author(number: arrival.record.author)
    try events.append(
      gone.map(\.record) + come.map(\.record) + changed, operations: [arrival.record.id],
      author: author.principal, time: arrival.record.time,
      frontier: frontier.count > Engine.notedHeads ? [] : try frontierIDs())
  }

  /// The same in an order in which each row follows those that it refers to, as far as cycles allow.
  private func targetsFirst(_ all: [(row: RowState, record: EventRecord)]) throws -> [(
    row: RowState, record: EventRecord
  )] {
    let indices = Dictionary(uniqueKeysWithValues: all.indices.map { (all[$0].row.number, $0) })
    var result: [(row: RowState, record: EventRecord)] = []
    result.reserveCapacity(all.count)
    var isSeen = Array(repeating: false, count: all.count)
    for start in all.indices where !isSeen[start] {
      isSeen[start] = true
      var stack = [(index: start, targets: try targets(all[start].row)[...])]
      while let top = stack.last {
        if let target = top.targets.first {
          stack[stack.count - 1].targets.removeFirst()
          guard let index = indices[target], !isSeen[index] else { continue }
          isSeen[index] = true
          stack.append((index, try targets(all[index].row)[...]))
        } else {
          result.append(all[top.index])
          stack.removeLast()
        }
      }
    }
    return result
  }

  /// The numbers of the rows that a row refers to, or did before it went.
  private func targets(_ row: RowState) throws -> [Int64] {
    let image = row.before ?? row.values
    return try layout.collections[row.collection].references.compactMap { reference in
      guard case .reference(let key)? = image[reference.slot] else { return nil }
      return try rows.row(StorageKey(reference.target, key))?.number
    }
  }

  /// Writes everything that is kept in memory; call before committing.
  func flush() throws {
    try rows.flush()
    try log.flush()
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
