import HeadwaterLog
import HeadwaterModel

/// Reads from the tables of a store what the validity of an operation depends on.
///
/// Confined with its connection. Remembers what it has read of rows until `forget`.
final class Evidence {
  let log: OperationTable
  let rows: RowTable
  let authority: AuthorityTable
  let layout: SchemaPlan
  let suite: any CryptoSuite
  var rules: RulePlan { layout.rules }
  @exclusivity(unchecked) private var lifecycles = NumberMap<[LifeEvent]>()
  @exclusivity(unchecked) private var order: [Int64: [Int64: Bool]] = [:]
  /// What was asked last: of a revocation's dependants all ask the same.
  @exclusivity(unchecked) private var lastOrder: (a: Int64, b: Int64, isBefore: Bool)?
  /// Operations of many changes that were decoded lately, by row.
  private var large: [(number: Int64, changes: [StorageKey: [ResolvedChange]])] = []

  /// An operation that created or deleted a row.
  struct LifeEvent {
    let record: OperationRecord
    let kinds: TouchKinds

    var number: Int64 { record.number }
    var isSurvivingCreate: Bool { kinds.contains(.survivingCreate) }
    var isDelete: Bool { kinds.contains(.delete) }
  }

  init(
    log: OperationTable, rows: RowTable, authority: AuthorityTable, layout: SchemaPlan,
    suite: any CryptoSuite
  ) {
    self.log = log
    self.rows = rows
    self.authority = authority
    self.layout = layout
    self.suite = suite
  }

  /// Forgets what was read of a row; call when an operation touches it.
  func forget(_ row: RowState) { lifecycles[row.number] = nil }

  // MARK: Operations

  /// The changes of an operation in the DAG.
  func changes(_ number: Int64) throws -> [ResolvedChange] {
    let (id, operation) = try log.identified(number)
    return ChangeResolver.resolve(operation, id: id, layout: layout, suite: suite)
  }

  /// The changes that an operation of the DAG makes to one row.
  ///
  /// An operation may make thousands of changes, and be asked for the row of each: the last few such are kept.
  func changes(_ number: Int64, of key: StorageKey) throws -> [ResolvedChange] {
    if let known = large.first(where: { $0.number == number }) { return known.changes[key] ?? [] }
    let changes = try changes(number)
    guard changes.count >= 16 else { return changes.filter { $0.storageKey == key } }
    let byRow = Dictionary(grouping: changes, by: \.storageKey)
    if large.count >= 4 { large.removeFirst() }
    large.append((number, byRow))
    return byRow[key] ?? []
  }

  func viewpoint(_ number: Int64, world: ((OperationRecord) throws -> Bool)? = nil) throws
    -> Viewpoint
  {
    let record = try log.record(number)
    return Viewpoint(
      record, author: try log.authors.record(record.author).principal, log: log, world: world)
  }

  func point(_ number: Int64, index: Int = 0) throws -> CanonicalPoint {
    let record = try log.record(number)
    return CanonicalPoint(height: record.height, id: record.id, index: index)
  }

  /// Whether operation `a` is in the past of `b`.
  func isBefore(_ a: OperationRecord, _ b: OperationRecord) throws -> Bool {
    if let last = lastOrder, last.a == a.number, last.b == b.number { return last.isBefore }
    if let known = order[a.number]?[b.number] {
      lastOrder = (a.number, b.number, known)
      return known
    }
    let result = try log.ancestry.isAncestor(a.place, of: b.place)
    if order.count > 4_096 { order.removeAll(keepingCapacity: true) }
    order[a.number, default: [:]][b.number] = result
    return result
  }

  // MARK: Rows

  /// The operations that created or deleted the row, in order of arrival. Verdicts in the records may be old.
  func lifecycle(_ row: RowState) throws -> [LifeEvent] {
    if let known = lifecycles[row.number] { return known }
    let events = try rows.lifecycle(row).map { operation, kinds in
      LifeEvent(
        record: try log.record(operation),
        kinds: kinds.isEmpty ? try self.kinds(operation, row) : kinds)
    }
    if lifecycles.count > 4_096 { lifecycles.removeAll(keepingCapacity: true) }
    lifecycles[row.number] = events
    return events
  }

  /// What an operation did to a row, read from the operation: for files that did not note it.
  private func kinds(_ operation: Int64, _ row: RowState) throws -> TouchKinds {
    var kinds: TouchKinds = []
    for change in try changes(operation) where change.storageKey == row.storageKey {
      kinds.add(change.kind)
    }
    return kinds
  }

  /// The value that a create gives a slot: what it assigns, else the default.
  func value(_ slot: Int, givenBy create: ResolvedChange) -> Value? {
    let collection = layout.collections[create.collection]
    if let position = collection.keySlots.firstIndex(of: slot) {
      return create.key.values[position]
    }
    for assignment in create.assignments where assignment.slot == slot {
      if case .set(let value) = assignment.change { return value }
    }
    return collection.slots[slot].defaultValue
  }

  // MARK: Candidates

  /// The creates of a row that stand in the past.
  func creates(of life: [LifeEvent], at viewpoint: Viewpoint) throws -> [LifeEvent] {
    try life.filter { event in
      try event.isSurvivingCreate && event.number != viewpoint.number
        && viewpoint.sees(event.record)
    }
  }

  /// Calls `visit` with the deletes that end a create for the viewpoint, until it returns false.
  ///
  /// - Parameter reachesConcurrent: whether deletes count that the viewpoint has not seen.
  func forEachEnd(
    of create: OperationRecord, in life: [LifeEvent], at viewpoint: Viewpoint,
    reachesConcurrent: Bool, _ visit: (LifeEvent) throws -> Bool
  ) throws {
    // A delete that has the create in its past arrived after it.
    var low = 0
    var high = life.count
    while low < high {
      let middle = (low + high) / 2
      if life[middle].number > create.number { high = middle } else { low = middle + 1 }
    }
    for end in life[low...] where end.isDelete && end.number != viewpoint.number {
      guard try isBefore(create, end.record) else { continue }
      if try viewpoint.sees(end.record) {
        guard try visit(end) else { return }
      } else if reachesConcurrent, try viewpoint.isConcurrent(end.record) {
        guard try visit(end) else { return }
      }
    }
  }

  /// A create in the past as a candidate; nil if it is known to be void or ended.
  func candidate(
    _ create: OperationRecord, index: Int, in life: [LifeEvent], at viewpoint: Viewpoint,
    reachesConcurrent: Bool, _ status: (Int64) throws -> Certainty
  ) throws -> Case.Candidate? {
    guard try status(create.number) != .no else { return nil }
    var open: [Int64] = []
    var isEnded = false
    try forEachEnd(
      of: create, in: life, at: viewpoint, reachesConcurrent: reachesConcurrent
    ) { end in
      switch try status(end.number) {
      case .no: break
      case .unknown: open.append(end.number)
      case .yes: isEnded = true
      }
      return !isEnded
    }
    guard !isEnded else { return nil }
    return Case.Candidate(
      create: create.number,
      point: CanonicalPoint(height: create.height, id: create.id, index: index), ends: open)
  }

  /// The creates that may answer a question, as far as the viewpoint has them in its past.
  func grants(_ question: AuthorityTable.Question, at viewpoint: Viewpoint) throws -> [(
    grant: AuthorityTable.Grant, record: OperationRecord
  )] {
    try authority.grants(for: question).compactMap { grant in
      let record = try log.record(grant.operation)
      guard grant.operation != viewpoint.number, try viewpoint.sees(record) else { return nil }
      return (grant, record)
    }
  }
}
