import HeadwaterModel

/// The operations that a replica holds, in canonical order: what reconciliation asks of a store.
///
/// Ranks count from 0. A set does not change while a message is answered.
public protocol OperationSet {
  /// How many operations there are.
  var count: Int { get throws }
  /// How many operations stand before `bound`.
  func rank(of bound: Bound) throws -> Int
  /// The tally of the operations with those ranks.
  func tally(_ ranks: Range<Int>) throws -> Tally
  /// The operations with those ranks, in order.
  func keys(_ ranks: Range<Int>) throws -> [OperationKey]
  /// Whether the id of some operation begins with those eight bytes.
  func contains(_ short: ShortID) throws -> Bool
}

/// The first eight bytes of an id, as one big-endian number: how operations are named while sets are compared.
///
/// Two operations with one short id can be made on purpose. Whoever is asked for a short id sends all that it
/// stands for, and what escapes all the same shows in the frontiers.
public typealias ShortID = UInt64

/// A set in memory: a sorted array, and the tallies of its beginnings.
///
/// Adding operations in ascending order takes constant time; any other order takes time in proportion to what
/// comes after.
public struct SortedOperations: OperationSet, Sendable {
  private var sorted: [OperationKey] = []
  /// `before[i]` is the tally of the first `i` operations.
  private var before: [Tally] = [.zero]
  private var shorts: [ShortID: Int] = [:]

  public init(_ keys: some Sequence<OperationKey> = []) {
    for key in keys.sorted() { insert(key) }
  }

  /// Adds an operation unless it is there.
  public mutating func insert(_ key: OperationKey) {
    let rank = lowerBound(key)
    guard rank == sorted.count || sorted[rank] != key else { return }
    sorted.insert(key, at: rank)
    shorts[key.id.prefix, default: 0] += 1
    before.removeLast(before.count - 1 - rank)
    for next in sorted[rank...] {
      var tally = before[before.count - 1]
      tally.insert(next.id)
      before.append(tally)
    }
  }

  private func lowerBound(_ key: OperationKey) -> Int {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < key { low = middle + 1 } else { high = middle }
    }
    return low
  }

  public var count: Int { sorted.count }
  public var all: [OperationKey] { sorted }
  public func rank(of bound: Bound) -> Int { lowerBound(bound.key) }
  public func tally(_ ranks: Range<Int>) -> Tally {
    before[ranks.upperBound] - before[ranks.lowerBound]
  }
  public func keys(_ ranks: Range<Int>) -> [OperationKey] { Array(sorted[ranks]) }
  public func contains(_ short: ShortID) -> Bool { shorts[short] != nil }
  public func contains(_ key: OperationKey) -> Bool {
    let rank = lowerBound(key)
    return rank < sorted.count && sorted[rank] == key
  }
}
