import Headwater
import HeadwaterSync

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What finding the differences of two replicas costs: bytes and one-way messages, without the operations.
enum Sync {
  /// Figures of an established implementation of range-based reconciliation: round trips and bytes.
  private static let targets: [(common: Int, recent: Int, trips: Double, bytes: Int)] = [
    (100_000, 0, 1, 321), (100_000, 1, 2, 1_701), (100_000, 100, 2, 3_277),
    (100_000, 1_000, 2, 17_605), (1_000_000, 1_000, 3, 34_307),
  ]

  static func reconciliation() throws {
    for target in targets {
      let half = target.recent / 2
      var sides = [("the opener", target.recent, 0), ("the other", 0, target.recent)]
      if target.recent == 0 { sides = [("nobody", 0, 0)] }
      if target.recent > 1 { sides.append(("each half of them", target.recent - half, half)) }
      for (who, left, right) in sides {
        for width in [1, 1_000] {
          let (a, b) = sets(target.common, left, right, width: width)
          let run = try exchange(a, b)
          report(
            "\(target.common) common, \(target.recent) recent that \(who) has, \(width == 1 ? "one a height" : "\(width) a height")",
            "\(Double(run.messages) / 2) round trips, \(run.bytes) B; \(run.bytes + run.asked) B with what is asked for; \(run.microseconds) µs CPU",
            "\(target.trips) round trips, \(target.bytes) B",
            Double(target.bytes) / Double(run.bytes + run.asked))
        }
      }
    }
  }

  private static func report(_ what: String, _ measured: String, _ raw: String, _ ratio: Double) {
    Benchmarks.report(what, measured, raw, ratio)
  }

  /// Common operations with so many on a height, and recent ones on top.
  private static func sets(_ common: Int, _ left: Int, _ right: Int, width: Int) -> (
    SortedOperations, SortedOperations
  ) {
    var state: UInt64 = 1
    func id() -> Digest {
      let words = (0..<4).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
      }
      return SodiumSuite().hash(words.flatMap { word in withUnsafeBytes(of: word) { Array($0) } })
    }
    func keys(_ count: Int, from height: Int) -> [OperationKey] {
      (0..<count).map { OperationKey(height: Int64(height + $0 / width), id: id()) }
    }
    let shared = keys(common, from: 0)
    let top = common / width
    return (
      SortedOperations(shared + keys(left, from: top)),
      SortedOperations(shared + keys(right, from: top))
    )
  }

  private struct Run {
    var messages = 0
    var bytes = 0
    /// Eight bytes for each operation that somebody lacks.
    var asked = 0
    var microseconds = 0
  }

  private static func exchange(_ left: SortedOperations, _ right: SortedOperations) throws -> Run {
    let reconciler = Reconciler(hasher: SodiumSuite(), salt: Array(repeating: 7, count: 16))
    var run = Run()
    let start = Cost.now(CLOCK_PROCESS_CPUTIME_ID)
    var message: RangeMessage? = try reconciler.open(left)
    var isRight = true
    while let next = message {
      var writer = CanonicalWriter()
      next.encode(into: &writer)
      run.messages += 1
      run.bytes += writer.bytes.count
      let answer = try reconciler.answer(next, isRight ? right : left)
      run.asked += 8 * answer.needs.count
      message = answer.reply
      isRight.toggle()
    }
    run.microseconds = Int((Cost.now(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6)
    return run
  }

  /// The same from stores: what a message takes when the sets are in files.
  static func stored(_ count: Int) async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    try await Ingest.writeSingles(store, signer, count: count)
    let reconciler = Reconciler(hasher: SodiumSuite(), salt: Array(repeating: 7, count: 16))
    let first = try await Cost.of {
      _ = try await store.read { try reconciler.open(try $0.operations()) }
    }
    let next = try await Cost.of {
      for _ in 0..<100 { _ = try await store.read { try reconciler.open(try $0.operations()) } }
    }
    Benchmarks.report(
      "the first message from a store of \(count) operations",
      "\(Int(first.cpu * 1e6)) µs CPU after opening, \(Int(next.cpu * 1e4)) µs from then on")
  }
}
