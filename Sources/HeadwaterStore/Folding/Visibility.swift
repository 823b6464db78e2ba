import HeadwaterModel
import HeadwaterStream

/// A row whose visible image may have changed, and why.
struct Effect {
  /// The number of the row.
  let row: Int64
  let reason: Cause.Reason
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

  /// - Parameters:
  ///   - touched: the rows that the operation changed, in order, with their images before and their references
  ///     up to date.
  ///   - capture: takes the image before of a row that is about to change.
  ///   - relieve: called where no row is held: those in memory may be let go.
  /// - Returns: the rows whose image may have changed; targets before what refers to them.
  func settle(
    _ touched: [Int64], capture: (RowState) -> Void, relieve: () throws -> Void
  ) throws -> [Effect] {
    // Up: suppose visible all that is live and not visible, and what waits for it.
    var waiting: [Int64] = []
    var queue: [Int64] = []
    for number in touched {
      let row = try rows.row(number: number)
      if row.isLive, !row.isVisible { queue.append(number) }
      try relieve()
    }
    let own = queue.count
    var index = 0
    while index < queue.count {
      let row = try rows.row(number: queue[index])
      index += 1
      guard row.isLive, !row.isVisible else { continue }
      capture(row)
      row.isVisible = true
      rows.touch(row)
      if index > own { waiting.append(row.number) }
      if layout.collections[row.collection].isReferenced, !row.isFresh {
        for referrer in try rows.referrers(of: row.number) {
          let source = try rows.row(number: referrer.source)
          if source.isLive, !source.isVisible, try policy(source, referrer.slot) != .null {
            queue.append(source.number)
          }
        }
      }
      try relieve()
    }

    // Down: take out what is not live or lacks a target.
    var lowered: [Int64] = []
    queue = touched + waiting
    index = 0
    while index < queue.count {
      let row = try rows.row(number: queue[index])
      index += 1
      guard row.isVisible, try !(row.isLive && hasTargets(row)) else {
        try relieve()
        continue
      }
      capture(row)
      row.isVisible = false
      rows.touch(row)
      lowered.append(row.number)
      if layout.collections[row.collection].isReferenced {
        for referrer in try rows.referrers(of: row.number) {
          let source = try rows.row(number: referrer.source)
          if source.isVisible, try policy(source, referrer.slot) != .null {
            queue.append(source.number)
          }
        }
      }
      try relieve()
    }

    // Mask and unmask the references whose target went or came.
    var effects: [Effect] = []
    effects.reserveCapacity(touched.count)
    for number in touched {
      try remask(rows.row(number: number))
      effects.append(Effect(row: number, reason: .applied))
      try relieve()
    }
    var seen = Set(waiting.isEmpty && lowered.isEmpty ? [] : touched)
    for number in waiting + lowered where seen.insert(number).inserted {
      try remask(rows.row(number: number))
      effects.append(Effect(row: number, reason: .cascaded))
      try relieve()
    }
    for effect in effects {
      let row = try rows.row(number: effect.row)
      guard (row.before != nil) != row.isVisible,
        layout.collections[row.collection].isReferenced, !row.isFresh
      else { continue }
      if seen.isEmpty { seen = Set(touched) }
      for referrer in try rows.referrers(of: row.number) {
        let source = try rows.row(number: referrer.source)
        guard try policy(source, referrer.slot) == .null else { continue }
        if source.isVisible { capture(source) }
        try remask(source)
        if source.isVisible, seen.insert(source.number).inserted {
          effects.append(Effect(row: source.number, reason: .cascaded))
        }
      }
      try relieve()
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
