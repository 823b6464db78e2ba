import HeadwaterLog
import HeadwaterModel

/// Who depends on whom, whatever the verdicts are.
extension Evidence {
  /// Files what an operation that has entered the DAG, with its rows, means for verdicts.
  func register(_ record: OperationRecord, _ changes: [ResolvedChange], _ asks: [Ask]) throws {
    guard !rules.isTrivial else { return }
    for (index, change) in changes.enumerated() where change.kind != .delete {
      let collection = change.collection
      let references = rules.voidReferences[collection]
      let isFiled = !rules.atomsOfCollection[collection].isEmpty
      let claims = !rules.uniqueSlots[collection].isEmpty
      guard !references.isEmpty || change.kind == .create && (isFiled || claims),
        let row = try rows.row(change.storageKey)
      else { continue }
      for reference in references {
        guard case .reference(let key)? = assigned(reference.slot, by: change),
          let target = try rows.row(StorageKey(reference.target, key))
        else { continue }
        try authority.addBond(
          target: target.number, source: row.number, slot: reference.slot,
          operation: record.number)
      }
      guard change.kind == .create else { continue }
      let grant = AuthorityTable.Grant(operation: record.number, index: index, row: row.number)
      let isDeleted = changes[(index + 1)...].contains {
        $0.kind == .delete && $0.storageKey == change.storageKey
      }
      if !isDeleted {
        for atom in rules.atomsOfCollection[collection] {
          guard let filing = rules.atoms[atom].filing({ value($0, givenBy: change) }) else {
            continue
          }
          try authority.addGrant(grant, atom: atom, tuple: filing.tuple, loose: filing.loose)
        }
      }
      for slot in rules.uniqueSlots[collection] {
        if let value = uniqueValue(slot, givenBy: change) {
          try authority.addClaim(grant, slot: slot, collection: collection, value: value)
        }
      }
    }
    for ask in asks {
      guard case .rule(let formula) = ask.kind else { continue }
      try Evidence.forEachQuestion(formula) {
        try authority.addReliance($0, operation: record.number)
      }
    }
  }

  // MARK: Dependencies

  /// Every operation on which the validity of this one may depend.
  func dependencies(_ number: Int64) throws -> Set<Int64> {
    let record = try log.record(number)
    guard record.height > 0 else { return [] }
    return try dependencies(try changes(number), at: try viewpoint(number))
  }

  func dependencies(_ changes: [ResolvedChange], at viewpoint: Viewpoint) throws -> Set<Int64> {
    var found: Set<Int64> = []
    func addLife(_ row: RowState, reachesConcurrent: Bool, creates: Bool) throws {
      for event in try lifecycle(row) where event.number != viewpoint.number {
        if try viewpoint.sees(event.record) {
          if creates || event.isDelete { found.insert(event.number) }
        } else if reachesConcurrent, event.isDelete, try viewpoint.isConcurrent(event.record) {
          found.insert(event.number)
        }
      }
    }
    for ask in try asks(changes, at: viewpoint) {
      switch ask.kind {
      case .rule(let formula):
        try Evidence.forEachQuestion(formula) { question in
          let isStrict = rules.isStrict[rules.atoms[question.atom].collection]
          for (grant, _) in try grants(question, at: viewpoint) {
            found.insert(grant.operation)
            try addLife(
              rows.row(number: grant.row), reachesConcurrent: isStrict, creates: false)
          }
        }
      case .subject(let key, nil):
        if let row = try rows.row(key) { try addLife(row, reachesConcurrent: false, creates: true) }
      case .target(let key, _, nil):
        if let row = try rows.row(key) { try addLife(row, reachesConcurrent: true, creates: true) }
      case .subject, .target: break
      case .unreferenced(let key):
        guard let row = try rows.row(key) else { break }
        for source in Set(try authority.sources(of: row.number).map(\.row)) {
          for touch in try rows.touches(rows.row(number: source)) where touch != viewpoint.number {
            if try viewpoint.sees(log.record(touch)) { found.insert(touch) }
          }
        }
      case .unique(let slot, let value):
        let change = changes[ask.change]
        let row = try rows.row(change.storageKey)?.number ?? 0
        for rival in try authority.rivals(
          row, slot: slot, collection: change.collection, value: value)
        where rival.operation != viewpoint.number {
          let record = try log.record(rival.operation)
          if try viewpoint.sees(record) {
            found.insert(rival.operation)
            try addLife(rows.row(number: rival.row), reachesConcurrent: false, creates: false)
          } else if viewpoint.follows(record), try viewpoint.isConcurrent(record) {
            found.insert(rival.operation)
          }
        }
      }
    }
    return found
  }

  /// The operations concurrent with this one on which it depends: where a cycle may lead back from.
  func concurrentDependencies(_ changes: [ResolvedChange], _ asks: [Ask], at viewpoint: Viewpoint)
    throws -> Set<Int64>
  {
    var found: Set<Int64> = []
    let known = try authority.contestedOperations()
    func addEnds(_ row: RowState) throws {
      for event in try lifecycle(row)
      where event.isDelete && event.number != viewpoint.number && !known.contains(event.number) {
        if try viewpoint.isConcurrent(event.record) { found.insert(event.number) }
      }
    }
    for ask in asks {
      switch ask.kind {
      case .rule(let formula):
        try Evidence.forEachQuestion(formula) { question in
          guard rules.isStrict[rules.atoms[question.atom].collection] else { return }
          for (grant, _) in try grants(question, at: viewpoint) {
            try addEnds(rows.row(number: grant.row))
          }
        }
      case .target(let key, _, nil): if let row = try rows.row(key) { try addEnds(row) }
      case .unique(let slot, let value):
        let change = changes[ask.change]
        let row = try rows.row(change.storageKey)?.number ?? 0
        for rival in try authority.rivals(
          row, slot: slot, collection: change.collection, value: value)
        where rival.operation != viewpoint.number && !known.contains(rival.operation) {
          let record = try log.record(rival.operation)
          if viewpoint.follows(record), try viewpoint.isConcurrent(record) {
            found.insert(rival.operation)
          }
        }
      case .subject, .target, .unreferenced: break
      }
    }
    return found
  }

  // MARK: Dependents

  /// Operations with their canonical positions, in the order in which they were found.
  struct Dependents {
    private(set) var all: [(number: Int64, point: CanonicalPoint)] = []
    private var numbers = NumberMap<Void>()
    var isEmpty: Bool { all.isEmpty }

    func contains(_ number: Int64) -> Bool { numbers.contains(number) }

    fileprivate mutating func reserveCapacity(_ count: Int) {
      all.reserveCapacity(count)
      numbers.reserveCapacity(count)
    }

    fileprivate mutating func append(_ number: Int64, _ point: CanonicalPoint) {
      numbers[number] = ()
      all.append((number, point))
    }
  }

  /// The rows that an operation of the DAG changes, and what it does to each.
  func rows(_ changes: [ResolvedChange]) throws -> [(row: RowState, kinds: TouchKinds)] {
    try Evidence.kinds(changes).compactMap { key, kinds in
      try rows.row(key).map { ($0, kinds) }
    }
  }

  /// Every operation whose validity may depend on this one, with its canonical position.
  ///
  /// - Parameter changed: the rows that it changes.
  func dependents(_ number: Int64, _ changed: [(row: RowState, kinds: TouchKinds)]) throws
    -> Dependents
  {
    var found = Dependents()
    guard !rules.isTrivial else { return found }
    let own = try log.record(number)
    // Nearly always nothing depends on an operation, and then nobody looks from it.
    var place: Viewpoint?
    /// Those that `fetch` gives that may be concurrent with this one or come after it.
    func relevant(
      reachesConcurrent: Bool, _ fetch: (_ from: Int64, _ limit: Int) throws -> [Int64]
    ) throws -> [Int64] {
      guard reachesConcurrent else { return try fetch(number + 1, .max) }
      // A few are looked at one by one; of many it pays to find out where the concurrent ones begin.
      let chains = Int(clamping: try log.ancestry.chainCount)
      let few = chains + 256
      let first = try fetch(0, few)
      if first.count < few || chains > 1_024 {
        return first.count < few ? first : try fetch(0, .max)
      }
      return try fetch(firstConcurrent(with: own), .max)
    }
    func add(_ numbers: [Int64], concurrent: (OperationRecord) -> Bool) throws {
      guard !numbers.isEmpty else { return }
      let viewpoint = try place ?? self.viewpoint(number)
      place = viewpoint
      if found.isEmpty { found.reserveCapacity(numbers.count) }
      for other in numbers where other != number && !found.contains(other) {
        // So many would only drive each other out of memory before they are looked at again.
        let record = numbers.count > 2_048 ? try log.readRecord(other) : try log.record(other)
        guard try !viewpoint.sees(record) else { continue }
        if try viewpoint.isSeen(by: record) || concurrent(record) {
          found.append(other, CanonicalPoint(height: record.height, id: record.id))
        }
      }
    }
    for (row, kinds) in changed {
      let collection = row.collection
      let deletes = kinds.contains(.delete)
      if deletes || kinds.contains(.create) {
        if !rules.atomsOfCollection[collection].isEmpty {
          let reaches = deletes && rules.isStrict[collection]
          try add(
            relevant(reachesConcurrent: reaches) {
              try authority.reliants(on: row.number, from: $0, limit: $1)
            },
            concurrent: { _ in reaches })
        }
        try add(rows.touches(row, from: number + 1), concurrent: { _ in false })
        if rules.isVoidTarget[collection] {
          try add(
            relevant(reachesConcurrent: deletes) {
              try authority.binders(of: row.number, from: $0, limit: $1)
            },
            concurrent: { _ in deletes })
        }
        if !rules.uniqueSlots[collection].isEmpty {
          let claims = kinds.contains(.create)
          try add(
            authority.rivals(of: row.number),
            concurrent: { claims && own.precedes($0) })
        }
      }
      if !rules.voidReferences[collection].isEmpty {
        for target in try authority.targets(of: row.number) where target != row.number {
          let life = try lifecycle(rows.row(number: target))
          try add(
            life.filter { $0.isDelete && $0.number > number }.map(\.number),
            concurrent: { _ in false })
        }
      }
    }
    return found
  }

  /// What an operation does to each row, in the order in which it first names them.
  static func kinds(_ changes: [ResolvedChange]) -> [(key: StorageKey, kinds: TouchKinds)] {
    if changes.count == 1 {
      var kinds: TouchKinds = []
      kinds.add(changes[0].kind)
      return [(changes[0].storageKey, kinds)]
    }
    var result: [(key: StorageKey, kinds: TouchKinds)] = []
    result.reserveCapacity(changes.count)
    var places: [StorageKey: Int] = [:]
    for change in changes {
      if let place = places[change.storageKey] {
        result[place].kinds.add(change.kind)
      } else {
        places[change.storageKey] = result.count
        var kinds: TouchKinds = []
        kinds.add(change.kind)
        result.append((change.storageKey, kinds))
      }
    }
    return result
  }

  /// A number below which every operation is in the past of this one.
  private func firstConcurrent(with record: OperationRecord) throws -> Int64 {
    var first = record.number + 1
    for (chain, positions) in try log.ancestry.concurrent(with: record.place) {
      if let number = try log.number(at: Place(chain: chain, position: positions.lowerBound)) {
        first = min(first, number)
      }
    }
    return first
  }
}
