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
  let engine: Engine
  /// The operation that the rows are brought up to date with.
  let operation: Int64
  private var rows: RowTable { engine.rows }
  private var layout: SchemaPlan { engine.layout }

  /// The rows that come or go because others do, and have no image taken; each list with targets before what refers
  /// to them.
  private struct Followers {
    typealias Row = (number: Int64, collection: Int)
    /// Supposed visible.
    var waiting: [Row] = []
    /// Those of `waiting` that are visible still.
    var raised = NumberMap<Void>()
    /// Taken out; without those that were only supposed visible.
    var lowered: [Row] = []
  }

  /// Settles the rows that the operation touched, which are captured and have their references up to date, and what
  /// follows them.
  ///
  /// - Returns: the rows whose image may have changed.
  func settle() throws -> [Effect] {
    let own = engine.touched.count
    if own == 1 {
      let row = try rows.row(number: engine.touched[0])
      // Nothing follows a row that the operation made, and that follows nothing.
      if row.isFresh, row.isLive, layout.collections[row.collection].references.isEmpty {
        row.isVisible = true
        rows.touch(row)
        return [Effect(row: row.number, collection: row.collection, reason: .applied)]
      }
    }
    var followers = try raise()
    try lower(&followers)
    var effects = try effects(own, followers)
    try maskReferrers(&effects)
    return effects
  }

  /// Takes the row's image before, if more of it may differ than that it is there.
  ///
  /// - Returns: whether there is one; then the row is among those touched.
  private func capture(_ row: RowState) -> Bool {
    guard row.mark != operation else { return true }
    guard layout.collections[row.collection].hasNullReferences else { return false }
    engine.capture(row, operation)
    return true
  }

  /// Supposes visible all that is live and not visible, and what waits for it.
  private func raise() throws -> Followers {
    var followers = Followers()
    var queue: [Int64] = []
    for number in engine.touched {
      let row = try rows.row(number: number)
      if row.isLive, !row.isVisible { queue.append(number) }
      try rows.relieve(operation)
    }
    var index = 0
    while index < queue.count {
      let row = try rows.row(number: queue[index])
      index += 1
      if row.isLive, !row.isVisible {
        // Nobody refers to a row that the operation made.
        let isNew = row.isFresh && row.mark == operation
        if !capture(row) {
          followers.waiting.append((row.number, row.collection))
          followers.raised[row.number] = ()
        }
        row.isVisible = true
        rows.touch(row)
        // Whoever refers is looked at when its turn comes: there may be more than memory should hold.
        if layout.collections[row.collection].isReferenced, !isNew {
          for referrer in try rows.referrers(of: row.number) { queue.append(referrer.source) }
        }
      }
      try rows.relieve(operation)
    }
    return followers
  }

  /// Takes out what is not live or lacks a target.
  private func lower(_ followers: inout Followers) throws {
    var queue = engine.touched + followers.waiting.map(\.number)
    var index = 0
    while index < queue.count {
      let row = try rows.row(number: queue[index])
      index += 1
      if row.isVisible, try !(row.isLive && hasTargets(row)) {
        if !capture(row) {
          if followers.raised.contains(row.number) {
            followers.raised.remove(row.number)
          } else {
            followers.lowered.append((row.number, row.collection))
          }
        }
        row.isVisible = false
        rows.touch(row)
        if layout.collections[row.collection].isReferenced {
          for referrer in try rows.referrers(of: row.number) { queue.append(referrer.source) }
        }
      }
      try rows.relieve(operation)
    }
  }

  /// The effects on the rows that were captured, whose own references are masked as they must be, and on those that
  /// only follow.
  ///
  /// - Parameter own: how many of the captured rows are the operation's own.
  private func effects(_ own: Int, _ followers: Followers) throws -> [Effect] {
    var effects: [Effect] = []
    effects.reserveCapacity(
      engine.touched.count + followers.waiting.count + followers.lowered.count)
    for (index, number) in engine.touched.enumerated() {
      let row = try rows.row(number: number)
      try remask(row)
      effects.append(
        Effect(
          row: number, collection: row.collection, reason: index < own ? .applied : .cascaded))
      try rows.relieve(operation)
    }
    for (number, collection) in followers.waiting where followers.raised.contains(number) {
      effects.append(
        Effect(row: number, collection: collection, reason: .cascaded, change: .come))
    }
    for (number, collection) in followers.lowered {
      effects.append(
        Effect(row: number, collection: collection, reason: .cascaded, change: .gone))
    }
    return effects
  }

  /// Masks and unmasks the references by `null` to rows that went or came.
  private func maskReferrers(_ effects: inout [Effect]) throws {
    for index in effects.indices {
      let effect = effects[index]
      guard layout.collections[effect.collection].isReferencedByNull else { continue }
      if effect.change == .compared {
        let row = try rows.row(number: effect.row)
        guard (row.before != nil) != row.isVisible, !row.isFresh else { continue }
      }
      for referrer in try rows.referrers(of: effect.row) {
        let source = try rows.row(number: referrer.source)
        if try policy(source, referrer.slot) == .null {
          // What was captured before has its effect.
          if source.isVisible, source.mark != operation {
            engine.capture(source, operation)
            effects.append(
              Effect(row: source.number, collection: source.collection, reason: .cascaded))
          }
          try remask(source)
        }
        try rows.relieve(operation)
      }
    }
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
