import HeadwaterLog
import HeadwaterModel

/// An operation that touched a row, with what it did to that row, in order.
struct HistoryEntry {
  let record: OperationRecord
  let changes: [ResolvedChange]
}

/// What a row's history folds to.
struct FoldedRow {
  /// The live creates in canonical order; empty if the row is not live.
  var creates: [Int64] = []
  var values: [Value?]
  var stamps: [Int64]
}

/// Folds a row from its whole history. The store needs it only where it cannot go on from the last state:
/// a delete that left some create alive, and the past.
struct RowHistory {
  /// In canonical order.
  let entries: [HistoryEntry]

  init(_ entries: [HistoryEntry]) {
    self.entries = entries.sorted { $0.record.precedes($1.record) }
  }

  /// Whether some create is valid, in the past of what `isInPast` says, and not deleted there.
  ///
  /// - Parameters:
  ///   - isInPast: whether an operation belongs to the past that is asked about.
  ///   - isAncestor: the causal order.
  func isLive(
    isInPast: (OperationRecord) throws -> Bool,
    isAncestor: (OperationRecord, OperationRecord) throws -> Bool
  ) throws -> Bool {
    try !liveCreates(
      of: entries.filter { try isInPast($0.record) }, isAncestor: isAncestor
    ).isEmpty
  }

  /// The valid deletes among the entries in that past.
  func deletes(isInPast: (OperationRecord) throws -> Bool) throws -> [Digest] {
    try entries.filter { entry in
      try entry.record.isValid && entry.changes.contains { $0.kind == .delete }
        && isInPast(entry.record)
    }.map(\.record.id)
  }

  /// Whether any operation of that past, valid or not, creates the row.
  func hasCreate(isInPast: (OperationRecord) throws -> Bool) throws -> Bool {
    try entries.contains { entry in
      try entry.changes.contains { $0.kind == .create } && isInPast(entry.record)
    }
  }

  private func liveCreates(
    of entries: [HistoryEntry], isAncestor: (OperationRecord, OperationRecord) throws -> Bool
  ) throws -> [OperationRecord] {
    var creates: [OperationRecord] = []
    let valid = entries.filter(\.record.isValid)
    for entry in valid {
      // Of the changes of one operation only what stands after its last delete counts for its own create.
      let last = entry.changes.last { $0.kind != .update }
      if last?.kind == .create { creates.append(entry.record) }
    }
    let deletes = valid.filter { $0.changes.contains { $0.kind == .delete } }.map(\.record)
    return try creates.filter { create in
      try !deletes.contains { try isAncestor(create, $0) }
    }
  }

  /// Folds the entries for which `isIncluded` holds.
  func fold(
    slotCount: Int, readonlySlots: [Bool], dataType: any DataType,
    isIncluded: (OperationRecord) throws -> Bool,
    isAncestor: (OperationRecord, OperationRecord) throws -> Bool
  ) throws -> FoldedRow {
    let included = try entries.filter { try isIncluded($0.record) }
    let live = try liveCreates(of: included, isAncestor: isAncestor)
    var result = FoldedRow(
      values: Array(repeating: nil, count: slotCount), stamps: Array(repeating: 0, count: slotCount)
    )
    guard let creator = live.last else { return result }
    result.creates = live.map(\.number)
    for entry in included where entry.record.isValid {
      let isLiveCreate = live.contains { $0.number == entry.record.number }
      let isBased = try live.contains { try isAncestor($0, entry.record) }
      guard isLiveCreate || isBased else { continue }
      // What an operation did before its own delete of the row is gone with it, unless a create that the
      // delete had not seen keeps the row; that one cannot be in the operation's past, so it is not based.
      let start = entry.changes.lastIndex { $0.kind == .delete }.map { $0 + 1 } ?? 0
      var created = isBased
      for change in entry.changes[start...] {
        if change.kind == .create { created = true }
        guard created else { continue }
        for assignment in change.assignments {
          if readonlySlots[assignment.slot], entry.record.number != creator.number { continue }
          var state = FieldState(
            value: result.values[assignment.slot], stamp: result.stamps[assignment.slot])
          // Entries come in canonical order, so each is later than all before it.
          dataType.apply(
            assignment.change, stamp: entry.record.number, to: &state, isLater: { _, _ in true })
          result.values[assignment.slot] = state.value
          result.stamps[assignment.slot] = state.stamp
        }
      }
    }
    return result
  }
}
