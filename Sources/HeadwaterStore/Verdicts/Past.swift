import HeadwaterLog
import HeadwaterModel

/// The past of an operation that is being written or admitted: what its author had seen.
///
/// Where the author had seen everything (the usual case) the folded rows answer; otherwise the creates that
/// are alive, by the ancestry index; only where those do not settle it, the row's history.
struct Past {
  let engine: Engine
  let parents: [OperationRecord]
  let seesEverything: Bool

  func contains(_ record: OperationRecord) throws -> Bool {
    if seesEverything { return true }
    return try engine.log.isInPast(record, ofOrAmong: parents)
  }

  private func isAncestor(_ a: OperationRecord, _ b: OperationRecord) throws -> Bool {
    try engine.log.ancestry.isAncestor(a.place, of: b.place)
  }

  /// Whether the row is live there.
  func isLive(_ row: RowState) throws -> Bool {
    if seesEverything { return row.isLive }
    // A live create that is in this past has no valid delete after it anywhere, so none here.
    for create in row.creates where try contains(engine.log.record(create)) { return true }
    return try engine.history(of: row).isLive(isInPast: contains, isAncestor: isAncestor)
  }

  /// Whether some operation there creates the row, valid or not.
  func hasCreate(_ row: RowState) throws -> Bool {
    if row.isLive {
      if seesEverything { return true }
      for create in row.creates where try contains(engine.log.record(create)) { return true }
    }
    return try engine.history(of: row).hasCreate(isInPast: contains)
  }

  /// The row's values there; nil if it is not live.
  func values(_ row: RowState) throws -> [Value?]? {
    let collection = engine.layout.collections[row.collection]
    if seesEverything {
      return row.isLive
        ? collection.visibleValues(row.values, stamps: row.stamps, masked: []) : nil
    }
    let folded = try engine.history(of: row).fold(
      slotCount: collection.slots.count, readonlySlots: collection.readonlySlots,
      dataType: engine.dataType, isIncluded: contains, isAncestor: isAncestor)
    guard !folded.creates.isEmpty else { return nil }
    var values = collection.visibleValues(folded.values, stamps: folded.stamps, masked: [])
    try collection.setKey(&values, storageKey: row.storageKey)
    return values
  }
}
