import HeadwaterLog
import HeadwaterModel
import HeadwaterStream

extension Engine {
  /// Takes the row's image before the operation, once.
  func capture(_ row: RowState, _ number: Int64, isFresh: Bool = false) {
    guard row.mark != number else { return }
    row.mark = number
    row.isFresh = isFresh
    row.before = row.isVisible ? visibleValues(row) : nil
    touched.append(row.number)
  }

  /// The values that readers see: defaults applied, references to what is not visible masked.
  func visibleValues(_ row: RowState) -> [Value?] {
    layout.collections[row.collection].visibleValues(
      row.values, stamps: row.stamps, masked: row.masked)
  }

  /// Notes that the operation touched its rows.
  func enter(_ arrival: Arrival) throws {
    let number = arrival.record.number
    touched.removeAll(keepingCapacity: true)
    for (storageKey, kinds) in Evidence.kinds(arrival.changes) {
      if let row = try rows.row(storageKey) {
        capture(row, number)
        try rows.addTouch(row, number, kinds)
        evidence.forget(row)
      } else {
        let row = rows.add(storageKey, creator: number)
        capture(row, number, isFresh: true)
        try rows.addTouch(row, number, kinds)
      }
    }
  }

  /// Brings the rows up to date with the operation and with the verdicts that it changed; writes the events.
  ///
  /// A revocation may flip millions of verdicts: rows that were dealt with are let go between steps, and from
  /// one step to the next only their numbers are kept.
  func apply(_ arrival: Arrival, _ flips: [Flip]) throws {
    guard arrival.record.isValid || !flips.isEmpty else {
      // Judging it may have taken more rows than memory should hold.
      return try rows.forgetSpilled()
    }
    let number = arrival.record.number
    let visibility = Visibility(engine: self, operation: number)
    // For rows that the operation itself did not change: why they changed.
    var causes = NumberMap<Flip>()
    // What the operation itself touches is folded from its history where a flip touches it too.
    var mustRefold: Set<Int64> = []
    var alone: [Effect] = []
    if !flips.isEmpty {
      let own = Set(touched)
      for flip in flips {
        for row in try changedRows(flip) {
          if own.contains(row.number) {
            mustRefold.insert(row.number)
            if !arrival.record.isValid { causes[row.number] = flip }
            continue
          }
          // By its history, in which all verdicts are already what they will be, so once is enough; and nothing
          // else ever touched a row without one.
          if row.hasTouches {
            guard !causes.contains(row.number) else { continue }
            causes[row.number] = flip
          }
          if layout.collections[row.collection].standsAlone {
            try settle(row, flip, &alone, &causes, arrival)
            continue
          }
          causes[row.number] = flip
          capture(row, number)
          let targets = try visibility.targets(of: row)
          try refold(row, flip)
          try visibility.updateReferences(row, from: targets)
        }
        try rows.relieve(number)
      }
    }
    if arrival.record.isValid || !mustRefold.isEmpty {
      var changed: [(row: RowState, targets: [Int64])] = []
      changed.reserveCapacity(arrival.changes.count)
      var seen: Set<Int64> = []
      for change in arrival.changes {
        guard let row = try rows.row(change.storageKey) else { continue }
        if row.isFresh {
          if arrival.changes.count == 1 || seen.insert(row.number).inserted {
            changed.append((row, []))
          }
        } else if seen.insert(row.number).inserted {
          changed.append((row, try visibility.targets(of: row)))
        }
        guard arrival.record.isValid else { continue }
        rows.touch(row)
        if mustRefold.contains(row.number) { continue }
        if try !fold(change, into: row, arrival) { mustRefold.insert(row.number) }
      }
      for (row, targets) in changed {
        if mustRefold.contains(row.number) { try refoldFromHistory(row) }
        try visibility.updateReferences(row, from: targets)
      }
    }
    let effects = try visibility.settle()
    try emit(effects + alone, causes, arrival)
    try events.end()
    try rows.forgetSpilled()
  }

  /// The rows that an operation changes whose verdict flipped.
  private func changedRows(_ flip: Flip) throws -> [RowState] {
    if flip.row != 0 { return [try rows.row(number: flip.row)] }
    return try evidence.rows(evidence.changes(flip.number)).map(\.row)
  }

  /// Folds a row anew that an operation changes whose verdict flipped.
  private func refold(_ row: RowState, _ flip: Flip) throws {
    if !flip.isValid, !row.hasTouches, row.creator == flip.number {
      // Nothing else ever touched it.
      row.clear()
      rows.touch(row)
    } else {
      try refoldFromHistory(row)
    }
  }

  /// Brings a row up to date that neither refers nor is referred to: that it is live makes it visible, and no
  /// other row changes with it. So where it goes, which is all that a revocation makes of most rows, its event
  /// is written at once, and the row needs no second look.
  private func settle(
    _ row: RowState, _ flip: Flip, _ alone: inout [Effect], _ causes: inout NumberMap<Flip>,
    _ arrival: Arrival
  ) throws {
    let before = row.isVisible ? visibleValues(row) : nil
    try refold(row, flip)
    row.isVisible = row.isLive
    if !row.isLive {
      guard let before else { return }
      return try write(
        EventRecord(
          collection: row.collection, before: before, after: .gone, reason: .retracted,
          verdictReason: flip.reason), arrival)
    }
    row.mark = arrival.record.number
    row.isFresh = false
    row.before = before
    causes[row.number] = flip
    alone.append(Effect(row: row.number, collection: row.collection, reason: .applied))
  }

  /// Folds one change of a valid operation into a row; false where the row must be folded from its history.
  func fold(_ change: ResolvedChange, into row: RowState, _ arrival: Arrival) throws -> Bool {
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
  func isLater(_ a: Int64, _ b: Int64, _ arrival: Arrival) throws -> Bool {
    if arrival.seesEverything, a == arrival.record.number { return a != b }
    return try log.record(b).precedes(try log.record(a))
  }

  func refoldFromHistory(_ row: RowState) throws {
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
    RowHistory(
      try rows.touches(row).map { number in
        HistoryEntry(
          record: try log.record(number), changes: try evidence.changes(number, of: row.storageKey))
      })
  }
}
