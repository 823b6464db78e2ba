import HeadwaterLog
import HeadwaterModel

/// The plain reading of Docs/Semantics.md: verdicts and visible rows computed from all operations at once.
///
/// Slow on purpose and independent of the engine: no index, no state from one operation to the next. The
/// incremental engine is tested against it, and `headwater verify --deep` runs it.
public struct ReferenceModel {
  /// The verdict on every operation.
  public private(set) var verdicts: [Digest: Verdict] = [:]
  /// The visible rows, by collection and key.
  public private(set) var rows: [RowName: Row] = [:]

  /// A collection by its index, and a key.
  public struct RowName: Sendable, Hashable {
    public let collection: Int
    public let key: Key

    public init(collection: Int, key: Key) {
      self.collection = collection
      self.key = key
    }
  }

  private let history: ReferenceHistory

  /// - Parameter operations: all operations of one database, parents included, in any order.
  public init(
    operations: [(id: Digest, operation: Operation)], schema: Schema,
    hasher: any HeadwaterModel.Hasher256
  ) {
    history = ReferenceHistory(operations, schema: schema, hasher: hasher)
    let judge = ReferenceJudge(history)
    let reasons = ReferenceReasons(
      history: history, truths: judge.truths, overruled: judge.overruled)
    for node in history.nodes.indices {
      verdicts[history.nodes[node].id] = reasons.verdict(on: node)
    }
    materialise(isValid: { judge.truths[$0] == .yes })
  }

  // MARK: Rows

  private mutating func materialise(isValid: (Int) -> Bool) {
    let schema = history.schema
    var live: [RowName: [Value?]] = [:]
    for row in history.rows {
      if let values = fold(row.name, row.points.filter({ isValid($0.node) })) {
        live[row.name] = values
      }
    }
    // The greatest set: begin with all that is live and take out what lacks a target, until nothing changes.
    var visible = Set(live.keys)
    var changed = true
    while changed {
      changed = false
      for name in visible {
        for (_, target, policy) in references(name, live[name]!) where policy != .null {
          if !visible.contains(target) {
            visible.remove(name)
            changed = true
            break
          }
        }
      }
    }
    for name in visible {
      var values = live[name]!
      for (slot, target, policy) in references(name, values) where policy == .null {
        if !visible.contains(target) { values[slot] = nil }
      }
      let collection = schema.collections[name.collection]
      rows[name] = Row(
        collection.fields.indices.map { field in
          collection.layout.assemble(field: field) { values[$0] }
        })
    }
  }

  /// The values of the slots of a row, defaults applied; nil if no create of it is live.
  private func fold(_ name: RowName, _ points: [ReferenceHistory.Point]) -> [Value?]? {
    let collection = history.schema.collections[name.collection]
    let deletes = points.filter { $0.kind == .delete }
    let creates = points.filter { create in
      create.kind == .create && !deletes.contains { history.isBefore(create, $0) }
    }
    guard let last = creates.last else { return nil }
    var values: [Value??] = Array(repeating: nil, count: collection.layout.slots.count)
    for point in points {
      let isLiveCreate = creates.contains { $0.place == point.place }
      let isBased =
        point.kind == .update && creates.contains { history.isBefore($0, point) }
      guard isLiveCreate || isBased else { continue }
      for (slot, value) in point.assignments {
        if collection.layout.slots[slot].isReadonly, point.place != last.place { continue }
        values[slot] = .some(value)
      }
    }
    for (field, value) in zip(collection.keyFields, name.key.values) {
      values[collection.layout.fieldSlots[field].lowerBound] = .some(value)
    }
    return values.enumerated().map { index, value in
      let slot = collection.layout.slots[index]
      return value ?? (slot.isPresence ? .bool(false) : slot.field.defaultValue)
    }
  }

  private func references(_ name: RowName, _ values: [Value?]) -> [(
    slot: Int, target: RowName, policy: Field.DeletePolicy
  )] {
    history.schema.collections[name.collection].layout.slots.compactMap { slot in
      guard case .reference(let key)? = values[slot.index],
        let target = slot.field.type.referencedCollection.flatMap({
          history.schema.collectionIndex(named: $0)
        })
      else { return nil }
      return (slot.index, RowName(collection: target, key: key), slot.field.onDelete ?? .cascade)
    }
  }
}
