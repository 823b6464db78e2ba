import HeadwaterLog
import HeadwaterModel

/// Rows that were checked and encoded ahead of the operation that creates them.
///
/// What depends on the schema alone is done by whoever prepares, on a thread of his; the store's writer has
/// less to do for each row. Made by `Store.prepare`.
public struct PreparedCreates: Sendable {
  /// The hash of the schema that the rows were checked against.
  let schema: Digest
  let collection: Int
  /// Where the rows cannot be made ready without the store's state: the rows as they came.
  let rows: [Row]?
  let changes: [RowChange]
  /// For each change the key under which its row is stored; nil where the key is generated.
  let storageKeys: [StorageKey?]
  /// The canonical bytes of `changes`.
  let encoded: [UInt8]

  /// A row that cannot be created.
  public struct RowError: Error, Sendable {
    /// The index of the row.
    public let index: Int
    public let error: StoreError
  }
}

extension Store {
  /// Makes rows ready to be created by one operation: values in the order of the collection's fields, as for
  /// `Draft.create(collection:row:)`. May be called from anywhere, beside all writes.
  ///
  /// - Throws: the first row that does not fit the schema.
  public func prepare(collection index: Int, rows: [Row]) throws(PreparedCreates.RowError)
    -> PreparedCreates
  {
    guard layout.collections.indices.contains(index) else {
      throw PreparedCreates.RowError(
        index: 0, error: StoreError(.invalid, "the schema has no collection \(index)"))
    }
    let plan = layout.collections[index]
    let refersToDraft = rows.contains { row in
      row.values.contains { if case .created? = $0 { true } else { false } }
    }
    // Units that merge take what a row has already into account, which the writer alone knows.
    guard plan.isPlain, plan.isFlat, !refersToDraft else {
      return PreparedCreates(
        schema: schemaHash, collection: index, rows: rows, changes: [], storageKeys: [], encoded: []
      )
    }
    let draft = Draft(layout: layout, past: nil)
    var storageKeys: [StorageKey?] = []
    storageKeys.reserveCapacity(rows.count)
    for (number, row) in rows.enumerated() {
      do throws(StoreError) {
        let created = try draft.create(collection: index, row: row)
        let storageKey = created.key.map { StorageKey(index, $0) }
        if let problem = problem(with: draft.changes[created.index], storageKey, plan) {
          throw StoreError(.invalid, problem)
        }
        storageKeys.append(storageKey)
      } catch {
        throw PreparedCreates.RowError(index: number, error: error)
      }
    }
    return PreparedCreates(
      schema: schemaHash, collection: index, rows: nil, changes: draft.changes,
      storageKeys: storageKeys,
      encoded: Operation.encode(draft.changes))
  }

  private func problem(
    with change: RowChange, _ storageKey: StorageKey?, _ plan: CollectionPlan
  ) -> String? {
    if let key = change.key, let storageKey {
      for (slot, value) in zip(plan.keySlots, key.values) {
        let field = plan.slots[slot].field
        if let problem = schema.problem(with: value, for: field) {
          return "\(field.name): \(problem)"
        }
      }
      guard storageKey.bytes.count - 2 <= Limits.keyBytes else {
        return "its key is longer than \(Limits.keyBytes) bytes"
      }
    }
    for assignment in change.assignments {
      let slot = plan.slots[assignment.slot]
      if let problem = RegisterType().problem(
        with: assignment.change, for: slot.field, in: schema)
      {
        return "\(slot.name): \(problem)"
      }
    }
    return StaticCheck.plainProblem(change, plan)
  }
}
