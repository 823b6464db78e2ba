import HeadwaterModel

/// Folds the changes of consecutive transactions into one change for each row.
enum Coalescing {
  /// One change for each row that the transactions touch: `before` of its first change, `after` and cause of
  /// its last. Deletes stand first, then upserts, both in the order of the rows' first changes.
  ///
  /// - Parameter keepingAll: whether rows that end as they began are kept. A snapshot may have seen such a row
  ///   in between, so a generation that is being caught up needs them: as an upsert, or as a delete.
  static func coalesce(_ transactions: some Sequence<Transaction>, keepingAll: Bool) -> [Change] {
    var order: [Change] = []
    var index: [RowPosition: Int] = [:]
    for transaction in transactions {
      for change in transaction.changes {
        let row = RowPosition(collection: change.collection, key: change.key)
        if let place = index[row] {
          order[place] = Change(
            collection: change.collection, key: change.key, before: order[place].before,
            after: change.after, cause: change.cause)
        } else {
          index[row] = order.count
          order.append(change)
        }
      }
    }
    if !keepingAll { order.removeAll { $0.before == $0.after } }
    return order.filter(\.isDelete) + order.filter { !$0.isDelete }
  }
}

extension Change {
  /// About how many bytes the row after the change takes in memory.
  var approximateSize: Int {
    (after ?? before)?.values.reduce(64) { $0 + Change.size($1) } ?? 64
  }

  private static func size(_ value: Value?) -> Int {
    switch value {
    case .text(let text): 16 + text.utf8.count
    case .bytes(let bytes): 32 + bytes.count
    case .record(let values): values.reduce(32) { $0 + size($1) }
    case .json(let json): size(json)
    default: 16
    }
  }

  private static func size(_ json: JSON) -> Int {
    switch json {
    case .string(let text): 16 + text.utf8.count
    case .array(let values): values.reduce(32) { $0 + size($1) }
    case .object(let members): members.reduce(32) { $0 + 16 + $1.name.utf8.count + size($1.value) }
    default: 16
    }
  }
}
