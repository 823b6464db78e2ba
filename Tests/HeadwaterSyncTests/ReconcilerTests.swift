import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import Testing

@Suite struct ReconcilerTests {
  private func expectComplete(_ pair: Pair, _ run: Run, _ comment: Comment) {
    let left = Set(pair.left.all.map(\.id.prefix))
    let right = Set(pair.right.all.map(\.id.prefix))
    #expect(run.leftNeeds == right.subtracting(left), comment)
    #expect(run.rightNeeds == left.subtracting(right), comment)
  }

  /// Whatever the sets look like, and however small the messages: each side learns exactly what it lacks.
  @Test func bothSidesLearnWhatTheyLack() throws {
    for seed in 0..<600 as Range<UInt64> {
      var random = Seeded(seed)
      let pair: Pair
      switch seed % 4 {
      case 0:
        pair = .recent(
          Int.random(in: 1...3_000, using: &random), left: Int.random(in: 0...300, using: &random),
          right: Int.random(in: 0...300, using: &random), seed: seed)
      default:
        pair = .random(
          Int.random(in: 0...3_000, using: &random),
          heights: [1, 2, 50, 3_000, 1 << 40].randomElement(using: &random) ?? 1,
          differing: [0, 0.001, 0.02, 0.5, 1].randomElement(using: &random) ?? 0, seed: seed)
      }
      let limit = [1_024, 2_000, 65_536].randomElement(using: &random) ?? 1_024
      let run = try Run.of(pair, limit: limit)
      expectComplete(pair, run, "seed \(seed), limit \(limit)")
      #expect(run.largest <= limit, "seed \(seed): a message of \(run.largest) bytes")
    }
  }

  struct Case: CustomTestStringConvertible {
    let left: Int
    let right: Int
    /// Bytes both ways, with what the side that lacks operations says to ask for them.
    let bytes: Int
    /// One-way messages, until all that is missing was asked for.
    let messages: Int

    var testDescription: String { "\(left) and \(right) more" }
  }

  /// What an established implementation takes, and twice the half of it.
  @Test(arguments: [
    Case(left: 0, right: 0, bytes: 321, messages: 2),
    Case(left: 1, right: 0, bytes: 1_701, messages: 4),
    Case(left: 0, right: 1, bytes: 1_701, messages: 4),
    Case(left: 100, right: 0, bytes: 3_277, messages: 4),
    Case(left: 0, right: 100, bytes: 3_277, messages: 4),
    Case(left: 50, right: 50, bytes: 3_277, messages: 4),
    Case(left: 1_000, right: 0, bytes: 17_605, messages: 4),
    Case(left: 0, right: 1_000, bytes: 17_605, messages: 4),
    Case(left: 500, right: 500, bytes: 17_605, messages: 4),
  ]) func noDearerThanTheTargets(_ test: Case) throws {
    let pair = Pair.recent(20_000, left: test.left, right: test.right)
    let run = try Run.of(pair)
    let asked = 8 * (run.leftNeeds.count + run.rightNeeds.count)
    #expect(run.bytes + asked <= test.bytes)
    #expect(run.messages <= test.messages)
    expectComplete(pair, run, "\(test.testDescription)")
  }

  /// The depth of the search grows with the logarithm, and its messages with the differences, not the sets.
  @Test func aFewDifferencesAnywhere() throws {
    for seed in 0..<20 as Range<UInt64> {
      let pair = Pair.random(20_000, heights: 20_000, differing: 0.0002, seed: seed)
      let run = try Run.of(pair)
      let differences = run.leftNeeds.count + run.rightNeeds.count
      #expect(run.messages <= 8, "seed \(seed)")
      #expect(run.bytes <= 1_000 + 1_000 * differences, "seed \(seed)")
      expectComplete(pair, run, "seed \(seed)")
    }
  }

  /// A set that is filled from what was found so far, while the reconciliation goes on.
  @Test func setsThatGrowMeanwhile() throws {
    for seed in 0..<40 as Range<UInt64> {
      var pair = Pair.random(600, heights: 100, differing: 0.7, seed: seed)
      let all = pair.left.all + pair.right.all
      let union = SortedOperations(all)
      let byShort = Dictionary(all.map { ($0.id.prefix, $0) }) { a, _ in a }
      let reconciler = Reconciler(hasher: suite, salt: [1, 2, 3], limit: 1_500)
      var message: RangeMessage? = try reconciler.open(pair.left)
      var isRight = true
      var rounds = 0
      while let next = message, rounds < 1_000 {
        rounds += 1
        let answer = try reconciler.answer(next, isRight ? pair.right : pair.left)
        for need in answer.needs {
          guard let key = byShort[need] else { continue }
          if isRight { pair.right.insert(key) } else { pair.left.insert(key) }
        }
        message = answer.reply
        isRight.toggle()
      }
      #expect(pair.left.all == union.all && pair.right.all == union.all, "seed \(seed)")
      #expect(rounds < 200, "seed \(seed)")
    }
  }

  @Test func sumsOfTallies() {
    var random = Seeded(3)
    let ids = (0..<200).map { _ in random.digest() }
    var whole = Tally.zero
    for id in ids { whole.insert(id) }
    var part = Tally.zero
    for id in ids[..<77] { part.insert(id) }
    var rest = Tally.zero
    for id in ids[77...].shuffled(using: &random) { rest.insert(id) }
    #expect(whole - part == rest)
    #expect(Tally(count: rest.count, sum: rest.sum) == rest)
    part += rest
    #expect(part == whole)
    let top = Digest(bytes: [UInt8](repeating: 255, count: 32)) ?? .zero
    var carried = Tally(top)
    carried.insert(Digest(bytes: [UInt8](repeating: 0, count: 31) + [1]) ?? .zero)
    #expect(carried.sum == [UInt8](repeating: 0, count: 32) && carried.count == 2)
  }

  @Test func boundsBetweenNeighbours() {
    var random = Seeded(5)
    for _ in 0..<1_000 {
      var bytes = random.digest().bytes
      let a = OperationKey(height: 3, id: Digest(bytes: bytes) ?? .zero)
      bytes[Int.random(in: 0..<32, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
      let b = OperationKey(height: 3, id: Digest(bytes: bytes) ?? .zero)
      let bound = Bound(between: min(a, b), and: max(a, b))
      #expect(min(a, b) < bound.key && bound.key <= max(a, b))
    }
    let last = OperationKey(height: 2, id: random.digest())
    let next = OperationKey(height: 9, id: random.digest())
    #expect(Bound(between: last, and: next) == Bound(height: 9))
    #expect(Bound(between: last, and: next).prefix == [])
  }
}
