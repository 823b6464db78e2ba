import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync

/// A generator whose run a seed repeats.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
  mutating func digest() -> Digest {
    Digest(bytes: (0..<4).flatMap { _ in withUnsafeBytes(of: next().bigEndian) { Array($0) } })
      ?? .zero
  }
}

let suite = SodiumSuite()

/// Two sets that differ, and how.
struct Pair {
  var left = SortedOperations()
  var right = SortedOperations()

  /// So many common operations, then so many of one side only, on the same heights: two authors who had seen the
  /// common ones.
  static func recent(_ common: Int, left: Int, right: Int, seed: UInt64 = 1) -> Pair {
    var random = Seeded(seed)
    var pair = Pair()
    for height in 0..<common {
      let key = OperationKey(height: Int64(height), id: random.digest())
      pair.left.insert(key)
      pair.right.insert(key)
    }
    for height in 0..<left {
      pair.left.insert(OperationKey(height: Int64(common + height), id: random.digest()))
    }
    for height in 0..<right {
      pair.right.insert(OperationKey(height: Int64(common + height), id: random.digest()))
    }
    return pair
  }

  /// Operations on random heights below `heights`; of each hundred `both` common, the rest of one side.
  static func random(_ count: Int, heights: Int, differing: Double, seed: UInt64) -> Pair {
    var random = Seeded(seed)
    var pair = Pair()
    var keys: [(OperationKey, Int)] = []
    for _ in 0..<count {
      let key = OperationKey(
        height: Int64.random(in: 0..<Int64(heights), using: &random), id: random.digest())
      let side =
        Double.random(in: 0..<1, using: &random) < differing
        ? Int.random(in: 1...2, using: &random) : 3
      keys.append((key, side))
    }
    for (key, side) in keys.sorted(by: { $0.0 < $1.0 }) {
      if side & 1 != 0 { pair.left.insert(key) }
      if side & 2 != 0 { pair.right.insert(key) }
    }
    return pair
  }
}

/// What a reconciliation took.
struct Run {
  var messages = 0
  var bytes = 0
  var leftNeeds: Set<ShortID> = []
  var rightNeeds: Set<ShortID> = []
  var largest = 0

  /// Reconciles; the left one opens.
  static func of(
    _ pair: Pair, limit: Int = SyncLimits.rangeMessageBytes, maximum: Int = 10_000,
    observe: (RangeMessage) -> Void = { _ in }
  ) throws -> Run {
    let reconciler = Reconciler(hasher: suite, salt: Array("0123456789abcdef".utf8), limit: limit)
    var run = Run()
    var message: RangeMessage? = try reconciler.open(pair.left)
    var isRight = true
    while let next = message {
      observe(next)
      var writer = CanonicalWriter()
      next.encode(into: &writer)
      run.messages += 1
      run.bytes += writer.bytes.count
      run.largest = max(run.largest, writer.bytes.count)
      var reader = CanonicalReader(writer.bytes)
      let received = try RangeMessage.decode(&reader)
      try reader.finish()
      guard received == next, run.messages < maximum else { break }
      let answer = try reconciler.answer(received, isRight ? pair.right : pair.left)
      if isRight {
        run.rightNeeds.formUnion(answer.needs)
      } else {
        run.leftNeeds.formUnion(answer.needs)
      }
      message = answer.reply
      isRight.toggle()
    }
    return run
  }
}
