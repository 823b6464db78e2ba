import HeadwaterLog
import HeadwaterModel
import SQLiteDriver
import Synchronization

/// The operations of a store as sync sees them: in canonical order, with tallies, by short id.
///
/// Valid during the closure of `Store.read`; not `Sendable`. Get it from `Snapshot.operations`.
public final class StoredOperations: OperationSet {
  private let db: Connection
  private let log: OperationTable
  private let order: OperationOrder
  /// The keys of the buckets that were looked into lately.
  private var keys: [(bucket: Int, keys: [OperationKey])] = []
  private static let keptBuckets = 32

  init(_ db: Connection, log: OperationTable, order: OperationOrder) {
    self.db = db
    self.log = log
    self.order = order
  }

  private func keys(ofBucket index: Int) throws -> [OperationKey] {
    if let kept = keys.last(where: { $0.bucket == index }) { return kept.keys }
    let bucket = order.buckets[index]
    var found: [OperationKey] = []
    if let span = bucket.span { found = try SpanTable(db).keys(span) }
    found = SpanTable.merge(found, bucket.added)
    if keys.count == StoredOperations.keptBuckets { keys.removeFirst() }
    keys.append((index, found))
    return found
  }

  public var count: Int { order.count }

  public func rank(of bound: Bound) throws -> Int {
    guard bound < .end else { return order.count }
    guard !order.buckets.isEmpty else { return 0 }
    let index = order.bucket(of: bound.key)
    return order.before[index].count
      + OperationOrder.lowerBound(bound.key, in: try keys(ofBucket: index))
  }

  public func tally(_ ranks: Range<Int>) throws -> Tally {
    try tally(upTo: ranks.upperBound) - tally(upTo: ranks.lowerBound)
  }

  private func tally(upTo rank: Int) throws -> Tally {
    let index = order.bucket(at: rank)
    var tally = order.before[index]
    guard tally.count < rank else { return tally }
    for key in try keys(ofBucket: index).prefix(rank - tally.count) { tally.insert(key.id) }
    return tally
  }

  public func keys(_ ranks: Range<Int>) throws -> [OperationKey] {
    guard !ranks.isEmpty else { return [] }
    var found: [OperationKey] = []
    found.reserveCapacity(ranks.count)
    var index = order.bucket(at: ranks.lowerBound)
    while found.count < ranks.count, index < order.buckets.count {
      let start = order.before[index].count
      let keys = try keys(ofBucket: index)
      let low = max(0, ranks.lowerBound - start)
      found += keys[min(low, keys.count)..<min(keys.count, ranks.upperBound - start)]
      index += 1
    }
    return found
  }

  public func contains(_ short: ShortID) throws -> Bool { try !numbers(of: short).isEmpty }

  /// The local numbers of the operations whose ids begin with those bytes, ascending: that is parents first.
  public func numbers(of short: ShortID) throws -> [Int64] {
    (try log.indexed(short) + order.numbers(of: short)).sorted()
  }

  /// The local number of the operation with that id.
  public func number(of id: Digest) throws -> Int64? {
    try numbers(of: id.prefix).first { try log.record($0).id == id }
  }

  /// How many questions `missing` may ask at most.
  static let maximumQuestions = 50_000

  /// The local numbers, ascending, of all operations that a replica lacks which has exactly the operations `heads`
  /// and their past.
  ///
  /// Nil if this store lacks one of the heads, or if the history is so branched that answering takes long: then
  /// the sets have to be compared.
  public func missing(at heads: [Digest]) throws -> [Int64]? {
    let chains = try log.ancestry.chainCount
    guard chains * Int64(max(1, heads.count)) <= StoredOperations.maximumQuestions else {
      return nil
    }
    var places: [Place] = []
    for head in heads {
      guard let number = try number(of: head) else { return nil }
      places.append(try log.record(number).place)
    }
    guard chains > 0 else { return [] }
    var found: [Int64] = []
    for chain in 1...chains {
      let reach = try places.reduce(0) { max($0, try log.ancestry.reach(of: $1, in: chain)) }
      found += try log.numbers(chain: chain, after: reach)
    }
    return found.sorted()
  }
}

/// The order of a store's operations that was read last, for the next reader.
final class OrderCache: Sendable {
  private let order = Mutex(OperationOrder())

  /// The order as the connection sees it.
  func order(_ db: Connection) throws -> OperationOrder {
    var current = order.withLock { $0 }
    try current.refresh(db)
    let refreshed = current
    order.withLock { if $0.lastNumber <= refreshed.lastNumber { $0 = refreshed } }
    return refreshed
  }
}
