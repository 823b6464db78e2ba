import HeadwaterLog
import HeadwaterModel

extension Snapshot {
  /// The visible rows of a collection as a replica had them that had seen the operations `ids` and their past
  /// and no more, in key order; with `key`, that row alone.
  ///
  /// Every row of the collection, and of those that its references lead to, is folded from its history:
  /// this takes time in proportion to that.
  public func rows(_ collection: Int, key: Key? = nil, at ids: [Digest]) throws -> [Row] {
    guard layout.collections.indices.contains(collection) else {
      throw StoreError(.invalid, "the schema has no collection \(collection)")
    }
    var heads: [OperationRecord] = []
    for id in ids {
      guard let number = try log.number(of: id) else {
        throw StoreError(.invalid, "the store has no operation \(id.hex)")
      }
      heads.append(try log.record(number))
    }
    let past = PastRows(snapshot: self, heads: heads)
    let shape = layout.collections[collection]
    if let key {
      return try past.visible(StorageKey(collection, key)).map { [shape.row($0)] } ?? []
    }
    var result: [Row] = []
    let bounds = StorageKey.bounds(collection)
    var after = bounds.start
    while true {
      let page = try rows.all(after: after, upTo: bounds.end, limit: 1_000)
      for row in page {
        if let values = try past.visible(row.storageKey) { result.append(shape.row(values)) }
      }
      guard let last = page.last, page.count == 1_000 else { return result }
      after = last.storageKey
    }
  }
}

/// Rows as of a frontier, folded on demand.
private final class PastRows {
  private let snapshot: Snapshot
  private let heads: [OperationRecord]
  private var folded: [StorageKey: [Value?]?] = [:]
  private var isIncluded: [Int64: Bool] = [:]
  private var visibility: [StorageKey: Bool] = [:]

  init(snapshot: Snapshot, heads: [OperationRecord]) {
    self.snapshot = snapshot
    self.heads = heads
  }

  private func contains(_ record: OperationRecord) throws -> Bool {
    if let known = isIncluded[record.number] { return known }
    let result = try snapshot.log.isInPast(record, ofOrAmong: heads)
    isIncluded[record.number] = result
    return result
  }

  /// The folded values, defaults applied; nil if the row is not live.
  private func values(_ storageKey: StorageKey) throws -> [Value?]? {
    if let known = folded[storageKey] { return known }
    var result: [Value?]?
    if let row = try snapshot.rows.row(storageKey) {
      let shape = snapshot.layout.collections[row.collection]
      let history = try RowHistory.load(
        row, rows: snapshot.rows, log: snapshot.log, layout: snapshot.layout,
        suite: snapshot.suite)
      let fold = try history.fold(
        slotCount: shape.slots.count, readonlySlots: shape.readonlySlots,
        dataType: RegisterType(), isIncluded: contains,
        isAncestor: { try self.snapshot.log.ancestry.isAncestor($0.place, of: $1.place) })
      if !fold.creates.isEmpty {
        var values = shape.visibleValues(fold.values, stamps: fold.stamps, masked: [])
        try shape.setKey(&values, storageKey: storageKey)
        result = values
      }
    }
    folded[storageKey] = .some(result)
    return result
  }

  private func targets(
    _ storageKey: StorageKey, _ values: [Value?], _ policies: Set<Field.DeletePolicy>
  )
    -> [(slot: Int, storageKey: StorageKey)]
  {
    let shape = snapshot.layout.collections[storageKey.collection]
    return shape.references.compactMap { reference in
      guard policies.contains(reference.policy), case .reference(let key)? = values[reference.slot]
      else { return nil }
      return (reference.slot, StorageKey(reference.target, key))
    }
  }

  /// Whether the row is in the greatest set of live rows whose `cascade` and `void` targets are in it:
  /// everything that can be reached from it must be live.
  private func isVisible(_ storageKey: StorageKey) throws -> Bool {
    if let known = visibility[storageKey] { return known }
    var seen: Set<StorageKey> = [storageKey]
    var queue = [storageKey]
    var result = true
    while result, let next = queue.popLast() {
      if let known = visibility[next] {
        result = known
        continue
      }
      guard let values = try values(next) else {
        result = false
        break
      }
      for target in targets(next, values, [.cascade, .void])
      where seen.insert(target.storageKey).inserted {
        queue.append(target.storageKey)
      }
    }
    // If all that it leads to is live, all of that is visible too; otherwise only this row is known not to be.
    if result { for key in seen { visibility[key] = true } } else { visibility[storageKey] = false }
    return result
  }

  /// The values that readers of that past saw; nil if the row was not visible.
  func visible(_ storageKey: StorageKey) throws -> [Value?]? {
    guard try isVisible(storageKey), var values = try values(storageKey) else { return nil }
    for target in targets(storageKey, values, [.null]) where try !isVisible(target.storageKey) {
      values[target.slot] = nil
    }
    return values
  }
}
