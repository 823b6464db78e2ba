import HeadwaterLog
import HeadwaterModel
import SQLiteDriver

/// The operations of a store in canonical order, as far as memory holds them: the spans without their keys, and the
/// operations that are in no span yet.
///
/// A value. Operations are only ever added, so it is brought up to date by reading what is new.
struct OperationOrder: Sendable {
  /// A run of operations.
  struct Bucket: Sendable {
    /// The span that holds the beginning of it; nil if all of it is in `added`.
    let span: SpanTable.Entry?
    let first: OperationKey
    /// Those that no span has yet, in order.
    var added: [OperationKey] = []
    var tally: Tally
  }

  private(set) var buckets: [Bucket] = []
  /// The tallies of the first buckets.
  private(set) var before: [Tally] = [.zero]
  /// The greatest key of the last bucket.
  private var last: OperationKey?
  /// The operations that no span has, by short id.
  private var numbers: [ShortID: Int64] = [:]
  /// Those of which another has the same short id.
  private var twins: [(short: ShortID, number: Int64)] = []
  /// Operations up to this number are in spans.
  private(set) var indexedUpTo: Int64 = 0
  /// The last operation that is in here.
  private(set) var lastNumber: Int64 = 0

  var count: Int { before[before.count - 1].count }

  init() {}

  /// Reads what is new. An order that knows more than the connection sees is no use: begin with an empty one.
  mutating func refresh(_ db: Connection) throws {
    let indexed =
      try StoreFile.meta(db, "locator").map { $0.reduce(0) { $0 << 8 | Int64($1) } } ?? 0
    let newest = try StoreFile.nextNumber(db, "operation") - 1
    if indexed != indexedUpTo || newest < lastNumber { try load(db, indexedUpTo: indexed) }
    guard newest > lastNumber else { return }
    var added: [OperationKey] = []
    let statement = try db.cached("SELECT number, height, id FROM operation WHERE number > ?")
    defer { statement.reset() }
    statement.bind(1, lastNumber)
    while try statement.step() {
      guard let id = statement.withBytes(2, { Digest(bytes: $0) }), statement.int(1) >= 0 else {
        throw StoreError(
          .damaged,
          "operation \(statement.int(0)) is damaged in the store: restore it from a backup")
      }
      added.append(OperationKey(height: statement.int(1), id: id))
      if let other = numbers.updateValue(statement.int(0), forKey: id.prefix) {
        twins.append((id.prefix, other))
      }
    }
    lastNumber = newest
    add(added.sorted())
  }

  private mutating func load(_ db: Connection, indexedUpTo: Int64) throws {
    self = OperationOrder()
    self.indexedUpTo = indexedUpTo
    lastNumber = indexedUpTo
    let table = SpanTable(db)
    buckets = try table.entries().map { Bucket(span: $0, first: $0.first, tally: $0.tally) }
    last = try buckets.last?.span.flatMap { try table.keys($0).last }
    sum(from: 0)
  }

  /// Adds operations, in order.
  private mutating func add(_ keys: [OperationKey]) {
    var changed = buckets.count
    for key in keys {
      if last.map({ $0 < key }) ?? true {
        // After everything else; a new bucket when the last one is long.
        if buckets.last.map({ $0.tally.count >= SpanTable.maximumKeys / 2 }) ?? true {
          buckets.append(Bucket(span: nil, first: key, tally: .zero))
        }
        last = key
        changed = min(changed, buckets.count - 1)
        buckets[buckets.count - 1].added.append(key)
        buckets[buckets.count - 1].tally.insert(key.id)
      } else {
        let index = bucket(of: key)
        changed = min(changed, index)
        let place = OperationOrder.lowerBound(key, in: buckets[index].added)
        buckets[index].added.insert(key, at: place)
        buckets[index].tally.insert(key.id)
      }
    }
    sum(from: changed)
  }

  private mutating func sum(from index: Int) {
    before.removeLast(before.count - 1 - min(index, before.count - 1))
    for bucket in buckets[(before.count - 1)...] {
      var tally = before[before.count - 1]
      tally += bucket.tally
      before.append(tally)
    }
  }

  /// The last bucket that does not begin after the key, or the first.
  func bucket(of key: OperationKey) -> Int {
    var low = 0
    var high = buckets.count
    while low < high {
      let middle = (low + high) / 2
      if buckets[middle].first <= key { low = middle + 1 } else { high = middle }
    }
    return max(0, low - 1)
  }

  /// The bucket that holds the operation with that rank.
  func bucket(at rank: Int) -> Int {
    var low = 0
    var high = buckets.count
    while low < high {
      let middle = (low + high) / 2
      if before[middle + 1].count <= rank { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Operations with that short id that are in no span yet.
  func numbers(of short: ShortID) -> [Int64] {
    guard let number = numbers[short] else { return [] }
    guard !twins.isEmpty else { return [number] }
    return twins.filter { $0.short == short }.map(\.number) + [number]
  }

  static func lowerBound(_ key: OperationKey, in keys: [OperationKey]) -> Int {
    var low = 0
    var high = keys.count
    while low < high {
      let middle = (low + high) / 2
      if keys[middle] < key { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
