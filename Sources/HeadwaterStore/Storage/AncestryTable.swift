import HeadwaterLog
import SQLiteDriver

/// The tables of `Ancestry` in the store's file.
final class AncestryTable: AncestryStorage {
  private let db: Connection
  @exclusivity(unchecked) private var chains: [Int64: Chain] = [:]
  /// Chains that are new or longer than the file says, until `flush`: a chain grows with every operation, and its length is
  /// written once a commit.
  @exclusivity(unchecked) private var unwritten: [Int64: Chain] = [:]
  private var count: Int64?
  /// Pairs of chains that have no entry at all, as nearly all pairs.
  @exclusivity(unchecked) private var empty: Set<Pair> = []

  private struct Pair: Hashable {
    let chain: Int64
    let other: Int64
  }

  init(_ db: Connection) { self.db = db }

  func chain(_ number: Int64) throws -> Chain {
    if let chain = chains[number] ?? unwritten[number] { return chain }
    let statement = try db.cached(
      "SELECT length, base_chain, base_position, depth FROM chain WHERE number = ?")
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step() else {
      throw StoreError(.damaged, "chain \(number) is missing from the store")
    }
    let base = statement.isNull(1) ? nil : statement.int(1)
    // Bases come before what is based on them: so whoever follows them arrives.
    guard number > 0, base ?? 0 < number, base ?? 1 > 0, (1..<(.max)).contains(statement.int(0)),
      (0..<1_000).contains(statement.int(3))
    else { throw StoreError(.damaged, "chain \(number) is damaged in the store") }
    let chain = Chain(
      number: number, length: statement.int(0),
      base: statement.isNull(1)
        ? nil : Place(chain: statement.int(1), position: statement.int(2)),
      depth: Int(statement.int(3)))
    remember(chain)
    return chain
  }

  private func remember(_ chain: Chain) {
    if chains.count > 8_192 { chains.removeAll(keepingCapacity: true) }
    chains[chain.number] = chain
  }

  func setChain(_ chain: Chain) throws {
    // Counted from the file before any chain is missing there.
    count = max(try chainCount, chain.number)
    unwritten[chain.number] = chain
    remember(chain)
  }

  /// Writes what is kept in memory; call before committing.
  func flush() throws {
    if unwritten.isEmpty { return }
    let statement = try db.cached(
      "INSERT INTO chain (number, length, base_chain, base_position, depth) VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET length = excluded.length"
    )
    for chain in unwritten.values.sorted(by: { $0.number < $1.number }) {
      statement.bind(1, chain.number)
      statement.bind(2, chain.length)
      statement.bind(3, chain.base?.chain)
      statement.bind(4, chain.base?.position)
      statement.bind(5, chain.depth)
      try statement.run()
    }
    unwritten.removeAll(keepingCapacity: true)
  }

  var chainCount: Int64 {
    get throws {
      if let count { return count }
      let found = try StoreFile.nextNumber(db, "chain") - 1
      count = found
      return found
    }
  }

  func reach(chain: Int64, other: Int64, position: Int64) throws -> Int64? {
    let pair = Pair(chain: chain, other: other)
    if empty.contains(pair) { return nil }
    let statement = try db.cached(
      "SELECT reach FROM ancestry WHERE chain = ? AND other = ? AND position <= ? ORDER BY position DESC LIMIT 1"
    )
    statement.bind(1, chain)
    statement.bind(2, other)
    statement.bind(3, position)
    if try statement.step() {
      defer { statement.reset() }
      return statement.int(0)
    }
    statement.reset()
    let any = try db.cached("SELECT 1 FROM ancestry WHERE chain = ? AND other = ? LIMIT 1")
    any.bind(1, chain)
    any.bind(2, other)
    defer { any.reset() }
    if try !any.step() {
      if empty.count > 16_384 { empty.removeAll(keepingCapacity: true) }
      empty.insert(pair)
    }
    return nil
  }

  func entries(chain: Int64, after: Int64, upTo: Int64) throws -> [(other: Int64, reach: Int64)] {
    let statement = try db.cached(
      "SELECT other, reach FROM ancestry WHERE chain = ? AND position > ? AND position <= ? ORDER BY position, other"
    )
    statement.bind(1, chain)
    statement.bind(2, after)
    statement.bind(3, upTo)
    var result: [(other: Int64, reach: Int64)] = []
    while try statement.step() { result.append((statement.int(0), statement.int(1))) }
    return result
  }

  func addEntry(chain: Int64, other: Int64, position: Int64, reach: Int64) throws {
    empty.remove(Pair(chain: chain, other: other))
    let statement = try db.cached(
      "INSERT OR REPLACE INTO ancestry (chain, other, position, reach) VALUES (?, ?, ?, ?)")
    statement.bind(1, chain)
    statement.bind(2, other)
    statement.bind(3, position)
    statement.bind(4, reach)
    try statement.run()
  }
}
