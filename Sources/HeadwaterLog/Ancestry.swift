/// Where an operation stands in the decomposition of the DAG into chains.
public struct Place: Sendable, Hashable {
  /// The chain, a local number from 1.
  public let chain: Int64
  /// The position in the chain, from 1.
  public let position: Int64

  public init(chain: Int64, position: Int64) {
    self.chain = chain
    self.position = position
  }
}

/// One chain: a path in the DAG, each operation a parent of the next.
public struct Chain: Sendable, Hashable {
  public let number: Int64
  /// The position of its last operation.
  public var length: Int64
  /// The operation that its first operation follows; nil for the chain of the genesis.
  public let base: Place?
  /// How many bases lie one behind another, up to one whose reach is written out.
  public let depth: Int

  public init(number: Int64, length: Int64, base: Place?, depth: Int) {
    self.number = number
    self.length = length
    self.base = base
    self.depth = depth
  }
}

/// What `Ancestry` keeps: small ordered tables, in memory or in a database.
public protocol AncestryStorage: AnyObject {
  func chain(_ number: Int64) throws -> Chain
  /// Adds a chain or changes the length of one.
  func setChain(_ chain: Chain) throws
  /// How many chains there are; they are numbered from 1.
  var chainCount: Int64 { get throws }
  /// The entry of (chain, other) at the greatest position not above `position`.
  func reach(chain: Int64, other: Int64, position: Int64) throws -> Int64?
  /// The entries of the chain with a position in `(after, upTo]`.
  func entries(chain: Int64, after: Int64, upTo: Int64) throws -> [(other: Int64, reach: Int64)]
  func addEntry(chain: Int64, other: Int64, position: Int64, reach: Int64) throws
}

/// Answers "is a in the past of b" and "what is concurrent with x" without walking the history.
///
/// The DAG is decomposed greedily into chains (H. V. Jagadish, "A compression technique to materialize
/// transitive closure", 1990): an operation extends the chain of a parent that is still the chain's last,
/// whoever the author is, so an author who equivocates is nothing special. The past of an operation is a
/// prefix of every chain; the length of that prefix is its *reach* there. Only where a chain's reach
/// changes (at merges) is an entry written, so a linear history costs nothing, and a question is one ordered
/// look-up. A chain that forks off another shares that one's entries through its base, written out every
/// `maximumDepth` forks so that no question follows more bases than that.
public struct Ancestry {
  static let maximumDepth = 16
  private let storage: any AncestryStorage

  public init(storage: any AncestryStorage) { self.storage = storage }

  /// How many chains there are.
  public var chainCount: Int64 { get throws { try storage.chainCount } }

  /// How many operations of chain `other` are in the past of the operation at `place` or are that operation.
  public func reach(of place: Place, in other: Int64) throws -> Int64 {
    var place = place
    while true {
      if place.chain == other { return place.position }
      if let reach = try storage.reach(
        chain: place.chain, other: other, position: place.position)
      {
        return reach
      }
      guard let base = try storage.chain(place.chain).base else { return 0 }
      place = base
    }
  }

  /// Whether the operation at `a` is in the past of the one at `b` (and not the same).
  public func isAncestor(_ a: Place, of b: Place) throws -> Bool {
    if a.chain == b.chain { return a.position < b.position }
    return try reach(of: b, in: a.chain) >= a.position
  }

  /// Places a new operation whose parents stand at `parents`; all of them are in the DAG.
  public func insert(parents: [Place]) throws -> Place {
    var chain: Chain
    let first: Place?
    var extended: Place?
    for parent in parents where try storage.chain(parent.chain).length == parent.position {
      extended = parent
      break
    }
    if let extended {
      first = extended
      chain = try storage.chain(extended.chain)
      chain.length += 1
    } else {
      first = parents.first
      let baseDepth = try first.map { try storage.chain($0.chain).depth } ?? 0
      let writesOut = baseDepth + 1 >= Ancestry.maximumDepth
      chain = Chain(
        number: try storage.chainCount + 1, length: 1, base: writesOut ? nil : first,
        depth: first == nil || writesOut ? 0 : baseDepth + 1)
      try storage.setChain(chain)
      if writesOut, let first {
        for (other, reach) in try clock(of: first) {
          try storage.addEntry(chain: chain.number, other: other, position: 1, reach: reach)
        }
      }
    }
    try storage.setChain(chain)
    let place = Place(chain: chain.number, position: chain.length)
    if parents.count > 1, let first {
      for (other, reach) in try gained(by: first, from: parents.filter { $0 != first })
      where other != chain.number {
        try storage.addEntry(
          chain: chain.number, other: other, position: place.position, reach: reach)
      }
    }
    return place
  }

  /// The positions, chain by chain, of everything that is concurrent with the operation at `place`.
  public func concurrent(with place: Place) throws -> [(
    chain: Int64, positions: ClosedRange<Int64>
  )] {
    var result: [(chain: Int64, positions: ClosedRange<Int64>)] = []
    let count = try storage.chainCount
    guard count > 1 else { return [] }
    for number in 1...count where number != place.chain {
      let chain = try storage.chain(number)
      let past = try reach(of: place, in: number)
      // The first position of the chain that has `place` in its past, by bisection: reach only grows.
      var low = past + 1
      var high = chain.length + 1
      while low < high {
        let middle = (low + high) / 2
        if try reach(of: Place(chain: number, position: middle), in: place.chain) >= place.position
        {
          high = middle
        } else {
          low = middle + 1
        }
      }
      if low > past + 1 { result.append((number, past + 1...low - 1)) }
    }
    return result
  }

  /// The reach of `place` in every chain where it is not zero, by ascending chain.
  private func clock(of place: Place) throws -> [(other: Int64, reach: Int64)] {
    var best: [Int64: Int64] = [:]
    var next: Place? = place
    while let place = next {
      best[place.chain] = max(best[place.chain] ?? 0, place.position)
      for (other, reach) in try storage.entries(
        chain: place.chain, after: 0, upTo: place.position)
      {
        best[other] = max(best[other] ?? 0, reach)
      }
      next = try storage.chain(place.chain).base
    }
    return best.map { ($0.key, $0.value) }.sorted { $0.other < $1.other }
  }

  /// Where the pasts of `others` reach further than that of `first`, by ascending chain.
  private func gained(by first: Place, from others: [Place]) throws -> [(
    other: Int64, reach: Int64
  )] {
    var best: [Int64: Int64] = [:]
    var known: [Int64: Int64] = [:]
    func raise(_ chain: Int64, to reach: Int64) throws {
      let before = try known[chain] ?? self.reach(of: first, in: chain)
      known[chain] = before
      if reach > before, reach > best[chain] ?? 0 { best[chain] = reach }
    }
    for other in others {
      var next: Place? = other
      while let place = next {
        try raise(place.chain, to: place.position)
        // What `first` has of this chain brought everything that the chain knew by then.
        let from = known[place.chain] ?? 0
        guard place.position > from else { break }
        for (chain, reach) in try storage.entries(
          chain: place.chain, after: from, upTo: place.position)
        {
          try raise(chain, to: reach)
        }
        next = from == 0 ? try storage.chain(place.chain).base : nil
      }
    }
    return best.map { ($0.key, $0.value) }.sorted { $0.other < $1.other }
  }
}

/// Tables of an ancestry in memory.
public final class MemoryAncestryStorage: AncestryStorage {
  private var chains: [Chain] = []
  private var byOther: [Int64: [Int64: [(position: Int64, reach: Int64)]]] = [:]
  private var byPosition: [Int64: [(position: Int64, other: Int64, reach: Int64)]] = [:]

  public init() {}

  public func chain(_ number: Int64) -> Chain { chains[Int(number) - 1] }

  public func setChain(_ chain: Chain) {
    if Int(chain.number) > chains.count {
      chains.append(chain)
    } else {
      chains[Int(chain.number) - 1] = chain
    }
  }

  public var chainCount: Int64 { Int64(chains.count) }

  public func reach(chain: Int64, other: Int64, position: Int64) -> Int64? {
    byOther[chain]?[other]?.last { $0.position <= position }?.reach
  }

  public func entries(chain: Int64, after: Int64, upTo: Int64) -> [(other: Int64, reach: Int64)] {
    (byPosition[chain] ?? []).filter { $0.position > after && $0.position <= upTo }
      .map { ($0.other, $0.reach) }
  }

  public func addEntry(chain: Int64, other: Int64, position: Int64, reach: Int64) {
    byOther[chain, default: [:]][other, default: []].append((position, reach))
    byPosition[chain, default: []].append((position, other, reach))
  }
}
