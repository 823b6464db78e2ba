import HeadwaterLog
import HeadwaterModel

extension Evidence {
  typealias Status = (Int64) throws -> Certainty

  /// What the verdicts of the store say of an operation.
  func settled(_ number: Int64) throws -> Certainty { Certainty(try log.record(number).isValid) }

  /// What is left to decide of an operation when `status` is what is known of others.
  func makeCase(
    _ changes: [ResolvedChange], _ asks: [Ask], at viewpoint: Viewpoint, _ status: Status
  ) throws -> Case {
    var requirements: [Case.Requirement] = []
    for ask in asks {
      let requirement: Case.Requirement
      switch ask.kind {
      case .rule(let formula): requirement = .rule(try rule(formula, viewpoint, status))
      case .subject(let key, let own):
        requirement = try witness(key, own, viewpoint, reachesConcurrent: false, status)
      case .target(let key, _, let own):
        requirement = try witness(key, own, viewpoint, reachesConcurrent: true, status)
      case .unreferenced(let key):
        requirement = .unreferenced(try holders(key, changes, ask.change, viewpoint, status))
      case .unique(let slot, let value):
        requirement = .unique(try rivals(changes, ask.change, slot, value, viewpoint, status))
      }
      requirements.append(requirement)
    }
    return Case(
      operation: viewpoint.number, point: viewpoint.point, author: viewpoint.author,
      isStrictDelete: changes.contains {
        $0.kind == .delete && (rules.isStrict[$0.collection] || rules.isVoidTarget[$0.collection])
      },
      requirements: requirements)
  }

  private func rule(_ formula: Ask.Formula, _ viewpoint: Viewpoint, _ status: Status) throws
    -> Case.Formula
  {
    switch formula {
    case .fact(let value): return .fact(value)
    case .all(let parts): return .all(try parts.map { try rule($0, viewpoint, status) })
    case .any(let parts): return .any(try parts.map { try rule($0, viewpoint, status) })
    case .question(let question):
      let isStrict = rules.isStrict[rules.atoms[question.atom].collection]
      return .witness(
        try grants(question, at: viewpoint).compactMap { grant, record in
          try candidate(
            record, index: grant.index, in: try lifecycle(rows.row(number: grant.row)),
            at: viewpoint, reachesConcurrent: isStrict, status)
        })
    }
  }

  private func witness(
    _ key: StorageKey, _ own: Bool?, _ viewpoint: Viewpoint, reachesConcurrent: Bool,
    _ status: Status
  ) throws -> Case.Requirement {
    if let own { return .rule(.fact(own)) }
    guard let row = try rows.row(key) else { return .witness([]) }
    let life = try lifecycle(row)
    return .witness(
      try creates(of: life, at: viewpoint).compactMap { create in
        try candidate(
          create.record, index: 0, in: life, at: viewpoint, reachesConcurrent: reachesConcurrent,
          status)
      })
  }

  // MARK: Unique

  /// The creates of other rows with the value that this one must reckon with.
  func rivals(
    _ changes: [ResolvedChange], _ index: Int, _ slot: Int, _ value: [UInt8],
    _ viewpoint: Viewpoint, _ status: Status
  ) throws -> [Case.Rival] {
    let change = changes[index]
    let row = try rows.row(change.storageKey)?.number ?? 0
    var result: [Case.Rival] = []
    for rival in try authority.rivals(
      row, slot: slot, collection: change.collection, value: value)
    where rival.operation != viewpoint.number {
      let record = try log.record(rival.operation)
      guard try status(rival.operation) != .no else { continue }
      if try viewpoint.sees(record) {
        let other = try rows.row(number: rival.row)
        // What this operation deleted before is out of the way.
        if changes[..<index].contains(where: {
          $0.kind == .delete && $0.storageKey == other.storageKey
        }) {
          continue
        }
        var excuses: [Int64] = []
        var isExcused = false
        for event in try lifecycle(other) where event.isDelete {
          let isOwn = event.number == rival.operation && !event.isSurvivingCreate
          guard try isOwn || isBefore(record, event.record), try viewpoint.sees(event.record)
          else { continue }
          switch try status(event.number) {
          case .no: break
          case .unknown: excuses.append(event.number)
          case .yes: isExcused = true
          }
          if isExcused { break }
        }
        if !isExcused { result.append(Case.Rival(create: rival.operation, excuses: excuses)) }
      } else if viewpoint.follows(record), try viewpoint.isConcurrent(record) {
        result.append(Case.Rival(create: rival.operation, excuses: []))
      }
    }
    return result
  }

  // MARK: Referenced

  /// One operation's part in the history of a row that refers.
  struct Entry {
    /// 0 for the operation that is judged.
    let number: Int64
    let record: OperationRecord?
    let isSurvivingCreate: Bool
    let hasDelete: Bool
    /// The changes of the row after the operation's last delete of it.
    let counted: [ResolvedChange]

    init(number: Int64, record: OperationRecord?, changes: [ResolvedChange]) {
      self.number = number
      self.record = record
      var kinds: TouchKinds = []
      for change in changes { kinds.add(change.kind) }
      isSurvivingCreate = kinds.contains(.survivingCreate)
      hasDelete = kinds.contains(.delete)
      let start = changes.lastIndex { $0.kind == .delete }.map { $0 + 1 } ?? 0
      counted = Array(changes[start...])
    }
  }

  /// The operations that make other rows refer by `void` to the row that change `index` deletes.
  func holders(
    _ key: StorageKey, _ changes: [ResolvedChange], _ index: Int, _ viewpoint: Viewpoint,
    _ status: Status
  ) throws -> [Case.Holder] {
    guard let target = try rows.row(key) else { return [] }
    var sources = try authority.sources(of: target.number).map { ($0.row, $0.slot) }
    // An operation that is not in the DAG yet has left nothing in the table.
    for change in changes[..<index] where change.kind != .delete {
      for reference in rules.voidReferences[change.collection] {
        guard case .reference(let other)? = assigned(reference.slot, by: change),
          StorageKey(reference.target, other) == key,
          let row = try rows.row(change.storageKey)?.number,
          !sources.contains(where: { $0.0 == row && $0.1 == reference.slot })
        else { continue }
        sources.append((row, reference.slot))
      }
    }
    var result: [Case.Holder] = []
    var entries: [Entry] = []
    var loaded: Int64 = 0
    for (source, slot) in sources.sorted(by: <) where source != target.number {
      if loaded != source {
        loaded = source
        entries = try self.entries(
          of: rows.row(number: source), changes[..<index], viewpoint)
      }
      result += try holders(
        key, entries, slot, collection: rows.row(number: source).collection, status)
    }
    // Rows that this very operation creates and has refer: they are in no table before it is in the DAG.
    result += try newHolders(key, changes[..<index])
    return result
  }

  private func newHolders(_ key: StorageKey, _ changes: ArraySlice<ResolvedChange>) throws
    -> [Case.Holder]
  {
    var seen: Set<StorageKey> = []
    var result: [Case.Holder] = []
    for change in changes
    where change.storageKey != key && seen.insert(change.storageKey).inserted {
      guard try rows.row(change.storageKey) == nil else { continue }
      let entry = Entry(
        number: 0, record: nil,
        changes: changes.filter { $0.storageKey == change.storageKey })
      for reference in rules.voidReferences[change.collection] {
        result += try holders(
          key, [entry], reference.slot, collection: change.collection, { _ in .yes })
      }
    }
    return result
  }

  /// The history of a row as the viewpoint has seen it, in canonical order, its own changes last.
  private func entries(
    of row: RowState, _ own: ArraySlice<ResolvedChange>, _ viewpoint: Viewpoint
  ) throws -> [Entry] {
    var entries: [Entry] = []
    for number in try rows.touches(row) where number != viewpoint.number {
      let record = try log.record(number)
      guard try viewpoint.sees(record) else { continue }
      entries.append(
        Entry(
          number: number, record: record,
          changes: try changes(number, of: row.storageKey)))
    }
    entries.sort { $0.record!.precedes($1.record!) }
    let mine = own.filter { $0.storageKey == row.storageKey }
    if !mine.isEmpty { entries.append(Entry(number: 0, record: nil, changes: Array(mine))) }
    return entries
  }

  private func holders(
    _ key: StorageKey, _ entries: [Entry], _ slot: Int, collection: Int, _ status: Status
  ) throws -> [Case.Holder] {
    let plan = layout.collections[collection]
    let isKey = plan.keySlots.contains(slot)
    let isReadonly = plan.readonlySlots[slot]
    guard let target = plan.references.first(where: { $0.slot == slot })?.target else { return [] }
    let bases = try entries.map { try self.bases($0, entries, status) }
    func known(_ entry: Entry) throws -> Certainty {
      entry.number == 0 ? .yes : try status(entry.number)
    }
    /// The value that the entry gives the slot; nil where it says nothing of it.
    func value(_ entry: Entry) -> Value?? {
      if isReadonly {
        guard let create = entry.counted.last(where: { $0.kind == .create }) else { return nil }
        return .some(self.value(slot, givenBy: create))
      }
      var result: Value??
      for change in entry.counted {
        for assignment in change.assignments where assignment.slot == slot {
          if case .set(let value) = assignment.change { result = .some(value) }
        }
      }
      return result
    }
    var result: [Case.Holder] = []
    for (position, entry) in entries.enumerated() {
      guard case .some(.some(.reference(let other))) = value(entry),
        StorageKey(target, other) == key, try known(entry) != .no, !bases[position].isEmpty
      else { continue }
      var later: [(operation: Int64, bases: [Case.Base])] = []
      var isOver = false
      if !isKey {
        for next in entries.indices where next > position {
          guard value(entries[next]) != nil, !bases[next].isEmpty else { continue }
          let truth = min(try known(entries[next]), try truth(bases[next], status))
          if truth == .no { continue }
          if truth == .yes {
            isOver = true
            break
          }
          later.append((entries[next].number, bases[next]))
        }
      }
      if !isOver {
        result.append(
          Case.Holder(operation: entry.number, bases: bases[position], later: later))
      }
    }
    return result
  }

  /// Whether one of the bases holds, of which none is known to fail.
  private func truth(_ bases: [Case.Base], _ status: Status) throws -> Certainty {
    for base in bases where base.ends.isEmpty {
      guard let create = base.create else { return .yes }
      if try status(create) == .yes { return .yes }
    }
    return bases.isEmpty ? .no : .unknown
  }

  /// What keeps the changes of an entry in the row; empty where nothing does.
  private func bases(_ entry: Entry, _ entries: [Entry], _ status: Status) throws -> [Case.Base] {
    func isBefore(_ a: Entry, _ b: Entry) throws -> Bool {
      guard let first = a.record else { return false }
      guard let second = b.record else { return true }
      return try self.isBefore(first, second)
    }
    /// The deletes after an entry that are not known to be void; nil if one is known to be valid.
    func ends(after create: Entry) throws -> [Int64]? {
      var open: [Int64] = []
      for other in entries where other.hasDelete && other.number != create.number {
        guard try isBefore(create, other) else { continue }
        switch other.number == 0 ? .yes : try status(other.number) {
        case .no: break
        case .unknown: open.append(other.number)
        case .yes: return nil
        }
      }
      return open
    }
    if entry.isSurvivingCreate {
      return try ends(after: entry).map { [Case.Base(create: nil, ends: $0)] } ?? []
    }
    guard !entry.counted.isEmpty else { return [] }
    var result: [Case.Base] = []
    for create in entries where create.isSurvivingCreate {
      guard try isBefore(create, entry), try status(create.number) != .no else { continue }
      if let ends = try ends(after: create) {
        result.append(Case.Base(create: create.number, ends: ends))
      }
    }
    return result
  }
}
