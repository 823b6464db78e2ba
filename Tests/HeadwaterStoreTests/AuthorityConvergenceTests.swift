import Foundation
import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// Verdicts and rows over random histories of authority: consistent with rule V, the same in whatever order the
/// operations come, and on every replica the reference model's.
///
/// `HEADWATER_SEEDS=100000` in the environment tries so many more seeds.
@Suite struct AuthorityConvergenceTests {
  /// Histories are tried in blocks, each a test case.
  struct Block: CustomTestStringConvertible {
    let seeds: Range<UInt64>
    let sizes: ClosedRange<Int>

    var testDescription: String { "seeds \(seeds), \(sizes) operations" }

    /// Blocks of so many seeds.
    static func all(_ count: UInt64, from first: UInt64, each: UInt64, _ sizes: ClosedRange<Int>)
      -> [Block]
    {
      stride(from: first, to: first + count, by: Int(each)).map {
        Block(seeds: $0..<min($0 + each, first + count), sizes: sizes)
      }
    }

    func size(_ seed: UInt64) -> Int { sizes.lowerBound + Int(seed % UInt64(sizes.count)) }
  }

  static let blocks: [Block] = {
    let more = ProcessInfo.processInfo.environment["HEADWATER_SEEDS"].flatMap { UInt64($0) } ?? 0
    return Block.all(9_600, from: 0, each: 800, 6...12)
      + Block.all(400, from: 100_000, each: 100, 13...24)
      + Block.all(12, from: 200_000, each: 6, 70...100)
      + Block.all(more, from: 1_000_000, each: 1_000, 8...40)
  }()

  @Test(arguments: blocks) func everyOrderGivesTheReference(block: Block) async throws {
    for seed in block.seeds {
      let maker = try AuthorityHistoryMaker(seed: seed, count: block.size(seed))
      try await check(maker, seed, "seed \(seed), \(block.size(seed)) operations")
      // Other tests wait for moments; the threads are theirs too.
      await Task.yield()
    }
  }

  /// The same kind of history where a store is sure to judge by nothing but liveness.
  @Test func withoutRules() async throws {
    let world = try AuthorityHistoryMaker.plain.get()
    for seed in 0..<100 as Range<UInt64> {
      let maker = try AuthorityHistoryMaker(seed: seed, count: 12, world: world)
      try await check(maker, seed, "seed \(seed) without rules")
    }
  }

  private func check(_ maker: AuthorityHistoryMaker, _ seed: UInt64, _ comment: Comment)
    async throws
  {
    let model = ReferenceModel(
      operations: maker.decoded, schema: maker.schema, hasher: Fixture.suite)
    let consistency = ReferenceConsistency(
      operations: maker.decoded, schema: maker.schema, hasher: Fixture.suite,
      verdicts: model.verdicts)
    #expect(consistency.problems.isEmpty, comment)
    var random = Seeded(seed ^ 0x5EED)
    if seed % 8 == 0 {
      let other = ReferenceModel(
        operations: maker.decoded.shuffled(using: &random), schema: maker.schema,
        hasher: Fixture.suite)
      #expect(other.verdicts == model.verdicts, comment)
      #expect(other.rows == model.rows, comment)
    }
    let replicas = Replicas(
      genesis: maker.genesis, operations: maker.operations.dropFirst().map(\.signed), model: model)
    for _ in 0..<(maker.operations.count > 16 ? 3 : 1) {
      var order = replicas.operations
      switch Int.random(in: 0..<4, using: &random) {
      case 0: break
      case 1: order.reverse()
      default: order.shuffle(using: &random)
      }
      let batch = [1, 1, 2, 5, 1_000].randomElement(using: &random)!
      // With a restart after each batch, in a file.
      let folder = seed % 200 == 7 ? try TemporaryFolder() : nil
      let store = try await replicas.deliver(order, batch: batch, path: folder?.path("replica"))
      try await replicas.expectAgreement(store, isDeep: seed % 25 == 0, comment)
    }
  }

  /// The generator is worth its name only while everything happens often.
  @Test func theHistoriesProvokeEverything() throws {
    var statistics = Statistics()
    for seed in 0..<1_000 as Range<UInt64> {
      let maker = try AuthorityHistoryMaker(seed: seed, count: 6 + Int(seed % 7))
      statistics.add(
        ReferenceModel(operations: maker.decoded, schema: maker.schema, hasher: Fixture.suite))
    }
    if ProcessInfo.processInfo.environment["HEADWATER_STATISTICS"] != nil { print(statistics) }
    #expect(statistics.share(of: nil) > 0.3, "\(statistics)")
    for (reason, least) in [
      (VerdictReason.noWitness, 0.05), (.revoked, 0.05), (.overruled, 0.01), (.notLive, 0.03),
      (.dangling, 0.01), (.referenced, 0.005), (.unique, 0.005),
    ] {
      #expect(statistics.share(of: reason) > least, "\(reason): \(statistics)")
    }
    #expect(statistics.quarrels > 100 && statistics.yielded > 3, "\(statistics)")
  }

  /// How often what happens.
  private struct Statistics: CustomStringConvertible {
    var operations = 0
    var valid = 0
    var void: [VerdictReason: Int] = [:]
    /// Histories in which seniority decided something.
    var quarrels = 0
    /// The seniors that failed.
    var yielded = 0

    mutating func add(_ model: ReferenceModel) {
      var isQuarrel = false
      for (_, verdict) in model.verdicts {
        operations += 1
        switch verdict {
        case .valid: valid += 1
        case .void(let reason, let by):
          void[reason, default: 0] += 1
          guard reason == .overruled else { continue }
          isQuarrel = true
          if by.isEmpty { yielded += 1 }
        }
      }
      if isQuarrel { quarrels += 1 }
    }

    func share(of reason: VerdictReason?) -> Double {
      Double(reason.map { void[$0] ?? 0 } ?? valid) / Double(operations)
    }

    var description: String {
      let reasons = VerdictReason.allCases.compactMap { reason in
        void[reason].map { "\(reason.rawValue) \($0)" }
      }
      return
        "\(operations) operations, valid \(valid), \(reasons.joined(separator: ", ")); quarrels in \(quarrels) histories, \(yielded) seniors yielded"
    }
  }
}
