import HeadwaterModel
import HeadwaterStream

/// A row whose visible image may have changed, and why.
struct Effect {
  enum Change {
    /// What its image before and after say.
    case compared
    /// It was visible and is not, or the other way round, and nothing else of it changed.
    case gone, come
  }

  /// The number of the row.
  let row: Int64
  let collection: Int
  let reason: Cause.Reason
  var change = Change.compared
}

/// Brings the visible rows up to date after some rows were folded.
///
/// The visible rows are the greatest set of live rows whose `cascade` and `void` targets are visible. So a row
/// that comes to life is supposed visible together with everything that waits for it, and then whatever lacks
/// a target is taken out again until nothing changes: iterative, and linear in what is affected.
///
/// Rows are kept by number from step to step, because there may be more of them than memory should hold.
struct Visibility {
  let rows: RowTable
  let layout: SchemaPlan
  /// For each collection whether some reference to it is absent while its target is.
  private let isMasking: [Bool]

  init(rows: RowTable, layout: SchemaPlan) {
    self.rows = rows
    self.layout = layout
    var isMasking = Array(repeating: false, count: layout.collections.count)
    for collection in layout.collections {
      for reference in collection.references where reference.policy == .null {
        isMasking[reference.target] = true
      }
    }
    self.isMasking = isMasking
  }

  /// - Parameters:
  ///   - touched: the rows that the operation changed, in order, with their images before and their references
  ///     up to date.
  ///   - isTouched: whether a row is one of these, or was captured since.
  ///   - capture: takes the image before of a row that is about to change.
  ///   - relieve: called where no row is held: those in memory may be let go.
  /// - Returns: the rows whose image may have changed; targets before what refers to them.
  func settle(
    _ touched: [Int64], isTouched: (RowState) -> Bool, capture: (RowState) -> Void,
    relieve: () throws -> Void
  ) throws -> [Effect] {
    // Rows that only follow others have no image taken, unless a reference of theirs comes or goes with it.
    func isCaptured(_ row: RowState) -> Bool {
      isTouched(row) || layout.collections[row.collection].hasNullReferences
    }
    // Up: suppose visible all that is live and not visible, and what waits for it.
    var queue: [Int64] = []
    for number in touched {
      let row = try rows.row(number: number)
      if row.isLive, !row.isVisible { queue.append(number) }
      try relieve()
    }
    let own = queue.count
    /// The rows that came up because others did, with their collections.
    var waiting: [(row: Int64, collection: Int)] = []
    /// Those of them that were not captured and are up still.
    var raised = NumberMap<Void>()
    var index = 0
    while index < queue.count {
      let row = try rows.row(number: queue[index])
      index += 1
      guard row.isLive, !row.isVisible else {
        try relieve()
        continue
      }
      if index > own {
        waiting.append((row.number, row.collection))
        if !isCaptured(row) { raised[row.number] = () }
      }
      if isCaptured(row) { capture(row) }
      row.isVisible = true
      rows.touch(row)
      // Whoever refers is looked at when its turn comes: there may be more than memory should hold.
      if layout.collections[row.collection].isReferenced, !row.isFresh || !isTouched(row) {
        for referrer in try rows.referrers(of: row.number) { queue.append(referrer.source) }
      }
      try relieve()
    }

    // Down: take out what is not live or lacks a target.
    /// The rows that went, with their collections, and whether they were captured.
    var lowered: [(row: Int64, collection: Int, isCaptured: Bool)] = []
    queue = touched + waiting.map(\.row)
    index = 0
    while index < queue.count {
      let row = try rows.row(number: queue[index])
      index += 1
      guard row.isVisible, try !(row.isLive && hasTargets(row)) else {
        try relieve()
        continue
      }
      let isCaptured = isCaptured(row)
      if isCaptured { capture(row) }
      row.isVisible = false
      rows.touch(row)
      if isCaptured || !raised.contains(row.number) {
        lowered.append((row.number, row.collection, isCaptured))
      }
      raised.remove(row.number)
      if layout.collections[row.collection].isReferenced {
        for referrer in try rows.referrers(of: row.number) { queue.append(referrer.source) }
      }
      try relieve()
    }

    // Mask and unmask the references whose target went or came.
    var effects: [Effect] = []
    effects.reserveCapacity(touched.count + waiting.count + lowered.count)
    for number in touched {
      let row = try rows.row(number: number)
      try remask(row)
      effects.append(Effect(row: number, collection: row.collection, reason: .applied))
      try relieve()
    }
    var seen = NumberMap<Void>()
    if !waiting.isEmpty || !lowered.isEmpty { for number in touched { seen[number] = () } }
    for (number, collection) in waiting {
      if raised.contains(number) {
        effects.append(
          Effect(row: number, collection: collection, reason: .cascaded, change: .come))
      } else if layout.collections[collection].hasNullReferences, seen.update(number, ()) == nil {
        try remask(rows.row(number: number))
        effects.append(Effect(row: number, collection: collection, reason: .cascaded))
        try relieve()
      }
    }
    for (number, collection, isCaptured) in lowered {
      if !isCaptured {
        effects.append(
          Effect(row: number, collection: collection, reason: .cascaded, change: .gone))
      } else if seen.update(number, ()) == nil {
        try remask(rows.row(number: number))
        effects.append(Effect(row: number, collection: collection, reason: .cascaded))
        try relieve()
      }
    }
    index = 0
    while index < effects.count {
      let effect = effects[index]
      index += 1
      guard isMasking[effect.collection] else { continue }
      if effect.change == .compared {
        let row = try rows.row(number: effect.row)
        guard (row.before != nil) != row.isVisible, !row.isFresh else { continue }
      }
      if seen.isEmpty { for number in touched { seen[number] = () } }
      for referrer in try rows.referrers(of: effect.row) {
        let source = try rows.row(number: referrer.source)
        if try policy(source, referrer.slot) == .null {
          if source.isVisible { capture(source) }
          try remask(source)
          if source.isVisible, seen.update(source.number, ()) == nil {
            effects.append(
              Effect(row: source.number, collection: source.collection, reason: .cascaded))
          }
        }
        try relieve()
      }
    }
    return effects
  }

  private func policy(_ row: RowState, _ slot: Int) throws -> Field.DeletePolicy {
    guard row.values.indices.contains(slot) else {
      throw StoreError(
        .damaged,
        "the references of row \(row.number) are damaged in the store: restore it from a backup")
    }
    return layout.collections[row.collection].policy(ofSlot: slot)
  }

  private func hasTargets(_ row: RowState) throws -> Bool {
    for reference in layout.collections[row.collection].references where reference.policy != .null {
      guard case .reference(let key)? = row.values[reference.slot] else { continue }
      guard try rows.row(StorageKey(reference.target, key))?.isVisible ?? false else {
        return false
      }
    }
    return true
  }

  private func remask(_ row: RowState) throws {
    guard !layout.collections[row.collection].references.isEmpty else { return }
    var masked: [Int] = []
    if row.isLive {
      for reference in layout.collections[row.collection].references where reference.policy == .null
      {
        guard case .reference(let key)? = row.values[reference.slot] else { continue }
        if try !(rows.row(StorageKey(reference.target, key))?.isVisible ?? false) {
          masked.append(reference.slot)
        }
      }
    }
    if masked != row.masked {
      row.masked = masked
      rows.touch(row)
    }
  }

  /// The rows that the row's references refer to now, 0 for none: what the table of references has of it.
  func targets(of row: RowState) throws -> [Int64] {
    try layout.collections[row.collection].references.map { reference in
      guard row.isLive, case .reference(let key)? = row.values[reference.slot] else { return 0 }
      return try rows.row(StorageKey(reference.target, key))?.number ?? 0
    }
  }

  /// Makes the table of references agree with the row's folded values.
  ///
  /// - Parameter old: what `targets` gave before the row was folded; empty for a new row.
  func updateReferences(_ row: RowState, from old: [Int64]) throws {
    let references = layout.collections[row.collection].references
    guard !references.isEmpty else { return }
    for (index, target) in try targets(of: row).enumerated() {
      let before = old.isEmpty ? 0 : old[index]
      guard before != target else { continue }
      let slot = references[index].slot
      if before != 0 { try rows.removeReference(target: before, source: row.number, slot: slot) }
      if target != 0 { try rows.addReference(target: target, source: row.number, slot: slot) }
    }
  }
}
