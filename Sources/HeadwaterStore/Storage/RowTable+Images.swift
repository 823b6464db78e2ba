import HeadwaterModel
import SQLiteDriver

extension RowTable {
  /// Calls `body` with visible rows in storage order after a key: the collection, what the slots show, and the last
  /// operation that wrote one of them. Whether there are more than `limit`.
  ///
  /// For snapshots, where all rows pass: nothing is made but the values.
  func visibleImages(
    after storageKey: StorageKey?, limit: Int,
    _ body: (_ collection: Int, _ values: [Value?], _ operation: Int64) throws -> Void
  ) throws -> Bool {
    let statement = try db.cached(
      "SELECT \(RowTable.columns) FROM row WHERE key > ? AND key < ? AND flags & 2 ORDER BY key LIMIT ?"
    )
    statement.bind(1, storageKey?.bytes ?? [])
    // No collection has the index 65,535, so this is above every key.
    statement.bind(2, [0xFF, 0xFF])
    statement.bind(3, limit + 1)
    var count = 0
    while try statement.step() {
      count += 1
      if count > limit {
        statement.reset()
        return true
      }
      let number = statement.int(0)
      let found = statement.withBytes(1) { $0.count > 2 ? Int($0[0]) << 8 | Int($0[1]) : .max }
      guard found < layouts.collections.count else { throw RowTable.damaged(number) }
      let (values, operation) = try image(statement, number, layouts.collections[found])
      try body(found, values, operation)
    }
    return false
  }

  private func image(_ statement: Statement, _ number: Int64, _ plan: CollectionPlan) throws -> (
    values: [Value?], operation: Int64
  ) {
    let slots = plan.slots
    do {
      let stamps: [Int64]? = statement.isNull(5) ? nil : try numbers(statement.bytes(5))
      guard statement.int(2) & Flag.live != 0, stamps == nil || stamps?.count == slots.count else {
        throw RowTable.damaged(number)
      }
      var reader = CanonicalReader(statement.bytes(6))
      var values: [Value?] = []
      values.reserveCapacity(slots.count)
      for slot in slots.indices {
        let isAssigned = !reader.undefined()
        let value = isAssigned ? try reader.value() : nil
        // What nobody assigned shows its default.
        let isStamped = stamps.map { $0[slot] != 0 } ?? isAssigned
        values.append(isStamped ? value : slots[slot].defaultValue)
        if slots[slot].isKey, !isStamped || value == nil { throw RowTable.damaged(number) }
      }
      try reader.finish()
      if !statement.isNull(7) {
        for slot in try numbers(statement.bytes(7)) {
          guard let slot = Int(exactly: slot), slots.indices.contains(slot), !slots[slot].isKey
          else { throw RowTable.damaged(number) }
          values[slot] = nil
        }
      }
      // The row's last writer stands for how it came about.
      let creator = statement.int(3)
      return (values, stamps?.max() ?? creator)
    } catch is DecodingError {
      throw RowTable.damaged(number)
    }
  }
}
