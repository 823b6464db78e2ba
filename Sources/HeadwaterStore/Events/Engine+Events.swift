import HeadwaterLog
import HeadwaterModel
import HeadwaterStream

extension Engine {
  /// An event that is to be written: of which row, and why.
  private struct Outgoing {
    let row: Int64
    let collection: Int
    var reason: Cause.Reason
    var verdictReason: VerdictReason?
    /// Whether only its visibility changed: then it has no image before.
    let isFollowing: Bool
  }

  /// Writes the differences of the rows as one transaction of the stream.
  func emit(_ effects: [Effect], _ causes: NumberMap<Flip>, _ arrival: Arrival) throws {
    let number = arrival.record.number
    var gone: [Outgoing] = []
    var come: [Outgoing] = []
    var changed: [Outgoing] = []
    var mustOrder = !causes.isEmpty || arrival.changes.contains { $0.kind != .create }
    for effect in effects {
      var event = Outgoing(
        row: effect.row, collection: effect.collection, reason: effect.reason,
        isFollowing: effect.change != .compared)
      if event.isFollowing {
        if effect.change == .gone { gone.append(event) } else { come.append(event) }
        mustOrder = true
        continue
      }
      try rows.relieve(number)
      let row = try rows.row(number: effect.row)
      if row.isVisible {
        if let before = row.before, visibleValues(row) == before { continue }
      } else if row.before == nil {
        continue
      }
      if effect.reason == .applied, let flip = causes[row.number] {
        // A row that comes back because its delete became void is reinstated, like one whose create became valid.
        let comesBack = row.isVisible && (row.before == nil || flip.isValid)
        event.reason = comesBack ? .reinstated : .retracted
        event.verdictReason = flip.reason
      }
      if !row.isVisible {
        gone.append(event)
      } else if row.before == nil {
        come.append(event)
        // New rows alone are in order: each refers to what was there before it.
        if !row.isFresh { mustOrder = true }
      } else {
        changed.append(event)
      }
    }
    // What refers goes first, and comes last.
    if gone.count > 1 { gone = try targetsFirst(gone, number).reversed() }
    if mustOrder, come.count > 1 { come = try targetsFirst(come, number) }
    for list in [gone, come, changed] {
      for event in list {
        try write(record(event), arrival)
        try rows.relieve(number)
      }
    }
  }

  /// Writes an event of the operation's transaction, which begins with the first.
  func write(_ event: EventRecord, _ arrival: Arrival) throws {
    if !events.isOpen {
      events.begin(
        operations: [arrival.record.id],
        author: try log.authors.record(arrival.record.author).principal,
        time: arrival.record.time,
        frontier: try notedFrontier(arrival))
    }
    try events.append(event)
  }

  private func notedFrontier(_ arrival: Arrival) throws -> [Digest] {
    switch frontier.count {
    // The operation is one of the heads.
    case 1: [arrival.record.id]
    case ...Engine.notedHeads: try frontierIDs()
    default: []
    }
  }

  private func record(_ event: Outgoing) throws -> EventRecord {
    let row = try rows.row(number: event.row)
    let collection = layout.collections[row.collection]
    let before =
      event.isFollowing ? (row.isVisible ? nil : visibleValues(row)) : row.before
    let after: EventRecord.After =
      !row.isVisible
      ? .gone : before == nil ? .appeared(row, collection) : .values(visibleValues(row))
    return EventRecord(
      collection: row.collection, before: before, after: after, reason: event.reason,
      verdictReason: event.verdictReason)
  }

  /// The same in an order in which each row follows those that it refers to, as far as cycles allow.
  private func targetsFirst(_ all: [Outgoing], _ number: Int64) throws -> [Outgoing] {
    // Rows that refer to nothing need no look: the rest is ordered among themselves, after them.
    func refers(_ event: Outgoing) -> Bool {
      !layout.collections[event.collection].references.isEmpty
    }
    let referring = all.filter(refers)
    var result = all.filter { !refers($0) }
    // Rows that follow a single other one stand after it already.
    if referring.allSatisfy({
      $0.isFollowing && layout.collections[$0.collection].references.count == 1
    }) {
      return result + referring
    }
    guard referring.count > 1 else { return result + referring }
    var indices = NumberMap<Int>()
    for (index, event) in referring.enumerated() { indices[event.row] = index }
    var isSeen = Array(repeating: false, count: referring.count)
    for start in referring.indices where !isSeen[start] {
      isSeen[start] = true
      var stack = [(index: start, targets: try targets(referring[start])[...])]
      while let top = stack.last {
        if let target = top.targets.first {
          stack[stack.count - 1].targets.removeFirst()
          guard let index = indices[target], !isSeen[index] else { continue }
          isSeen[index] = true
          stack.append((index, try targets(referring[index])[...]))
          try rows.relieve(number)
        } else {
          result.append(referring[top.index])
          stack.removeLast()
          try rows.relieve(number)
        }
      }
    }
    return result
  }

  /// The numbers of the rows that a row refers to, or did before it went.
  private func targets(_ event: Outgoing) throws -> [Int64] {
    let row = try rows.row(number: event.row)
    let image = event.isFollowing ? row.values : row.before ?? row.values
    return try layout.collections[row.collection].references.compactMap { reference in
      guard case .reference(let key)? = image[reference.slot] else { return nil }
      return try rows.row(StorageKey(reference.target, key))?.number
    }
  }
}
