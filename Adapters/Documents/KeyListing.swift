import HeadwaterModel

/// The ids of a collection in the order of their keys, for sinks that do not keep that order themselves.
///
/// Made for the first page of a comparison and kept for the following ones, as long as the sink does not move.
package struct KeyListing {
  private var checkpoint: [UInt8] = []
  private var collection = -1
  private(set) var entries: [(order: [UInt8], id: String)] = []

  /// Whether the list is that of the collection at the checkpoint.
  package func isOf(_ collection: Int, at checkpoint: [UInt8]) -> Bool {
    self.collection == collection && self.checkpoint == checkpoint
  }

  package init() {}

  /// - Returns: nil where one of the ids is none.
  package init?(_ ids: [String], of collection: DocumentCollection, at checkpoint: [UInt8]) {
    self.checkpoint = checkpoint
    self.collection = collection.index
    entries.reserveCapacity(ids.count)
    for id in ids {
      guard let key = collection.key(ofID: id) else { return nil }
      entries.append((KeyEncoding.encode(key), id))
    }
    entries.sort { $0.order.lexicographicallyPrecedes($1.order) }
  }

  /// At most `limit` ids whose keys follow `key`.
  package func ids(after key: Key?, limit: Int) -> [String] {
    var start = 0
    if let key {
      let order = KeyEncoding.encode(key)
      var end = entries.count
      while start < end {
        let middle = (start + end) / 2
        if order.lexicographicallyPrecedes(entries[middle].order) {
          end = middle
        } else {
          start = middle + 1
        }
      }
    }
    return entries[start...].prefix(max(0, limit)).map(\.id)
  }
}
