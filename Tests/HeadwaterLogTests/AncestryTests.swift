import HeadwaterLog
import Testing

@Suite struct AncestryTests {
  /// A random DAG, its ancestry by brute force, and the index over it.
  private struct Random: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  @Test(arguments: 0..<60) func agreesWithBruteForce(seed: UInt64) throws {
    var random = Random(seed: seed + 1)
    let ancestry = Ancestry(storage: MemoryAncestryStorage())
    var places: [Place] = [try ancestry.insert(parents: [])]
    var pasts: [Set<Int>] = [[]]
    // Seeds differ in how wide the DAG is and in how far back a writer may stand.
    let width = Int.random(in: 1...6, using: &random)
    let reachBack = [3, 10, 200].randomElement(using: &random)!
    for index in 1..<160 {
      var parents: Set<Int> = []
      for _ in 0..<Int.random(in: 1...width, using: &random) {
        parents.insert(Int.random(in: max(0, index - reachBack)..<index, using: &random))
      }
      // An antichain: none in the past of another.
      parents = parents.filter { a in !parents.contains { pasts[$0].contains(a) } }
      let sorted = parents.sorted().shuffled(using: &random)
      places.append(try ancestry.insert(parents: sorted.map { places[$0] }))
      pasts.append(sorted.reduce(into: []) { $0.formUnion(pasts[$1].union([$1])) })
    }
    for a in places.indices {
      for b in places.indices {
        let expected = pasts[b].contains(a)
        #expect(
          try ancestry.isAncestor(places[a], of: places[b]) == expected, "seed \(seed): \(a) < \(b)"
        )
      }
      var concurrent: Set<Place> = []
      for (chain, positions) in try ancestry.concurrent(with: places[a]) {
        for position in positions { concurrent.insert(Place(chain: chain, position: position)) }
      }
      let expected = Set(
        places.indices.filter { $0 != a && !pasts[a].contains($0) && !pasts[$0].contains(a) }
          .map { places[$0] })
      #expect(concurrent == expected, "seed \(seed): what is concurrent with \(a)")
    }
  }

  /// Each operation forks off the one before, whose chain has gone on: bases must not pile up.
  @Test func aStaircaseOfForksStaysShallow() throws {
    let storage = MemoryAncestryStorage()
    let ancestry = Ancestry(storage: storage)
    var step = try ancestry.insert(parents: [])
    let root = step
    for _ in 0..<500 {
      _ = try ancestry.insert(parents: [step])
      step = try ancestry.insert(parents: [step])
    }
    #expect(try ancestry.isAncestor(root, of: step))
    for number in 1...storage.chainCount { #expect(storage.chain(number).depth <= 16) }
  }
}
