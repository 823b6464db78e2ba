import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import Testing

/// Bytes from a peer: whatever they are, they are refused or understood, in time and memory that go with their length.
@Suite struct FuzzTests {
  private func digests(_ count: Int, _ random: inout Seeded) -> [Digest] {
    (0..<count).map { _ in digest(&random) }
  }

  private func digest(_ random: inout Seeded) -> Digest {
    Digest(bytes: (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }) ?? .zero
  }

  private func ranges(_ random: inout Seeded) -> RangeMessage {
    var ranges: [RangeMessage.Range] = []
    var height: Int64 = 0
    for _ in 0..<Int.random(in: 0...6, using: &random) {
      height += Int64.random(in: 1...1_000, using: &random)
      let content: RangeMessage.Content =
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .skip
        case 1: .fingerprint(count: Int.random(in: 0...9_999, using: &random), random.next())
        case 2: .list((0..<Int.random(in: 0...9, using: &random)).map { _ in random.next() })
        default: .offer((0..<Int.random(in: 0...9, using: &random)).map { _ in random.next() })
        }
      let id = random.happens(0.5) ? Digest.zero : digest(&random)
      ranges.append(.init(upTo: Bound(height: height, id: id), content))
    }
    if random.happens(0.5) { ranges.append(.init(upTo: .end, .fingerprint(count: 3, 5))) }
    return RangeMessage(ranges)
  }

  private func message(_ random: inout Seeded) -> SyncMessage {
    let number = UInt64.random(in: 0...(1 << 20), using: &random)
    return switch Int.random(in: 0..<14, using: &random) {
    case 0:
      .hello(
        .init(
          database: digest(&random), suite: 1, nonce: random.next(), isLive: random.happens(0.5),
          credit: number))
    case 1:
      .frontier(
        round: number, heads: digests(Int.random(in: 0...5, using: &random), &random).sorted(),
        isWhole: random.happens(0.5))
    case 2, 3: .ranges(round: number, ranges(&random))
    case 4: .ahead(round: number, count: number)
    case 5: .wantAll(round: number)
    case 6: .end(round: number)
    case 7: .want((0..<Int.random(in: 0...9, using: &random)).map { _ in random.next() })
    case 8: .wantIDs(digests(Int.random(in: 0...5, using: &random), &random))
    case 9:
      .operations(
        (0..<Int.random(in: 0...4, using: &random)).map {
          CheapReplica.encode(
            parents: [digest(&random)], author: 1, number: UInt32($0), size: 9, isGood: true)
        })
    case 10: .part(isLast: random.happens(0.5), [1, 2, 3])
    case 11: .absent([random.next()])
    case 12: .credit(number)
    default: random.happens(0.5) ? .ping : .bye(number)
    }
  }

  /// What can be read is written as the same bytes: there is one encoding.
  @Test func decodingAnything() {
    for seed in 0..<40_000 as Range<UInt64> {
      var random = Seeded(seed)
      var bytes = message(&random).encode()
      if let same = try? SyncMessage.decode(bytes) {
        #expect(same.encode() == bytes, "seed \(seed)")
      } else {
        Issue.record("seed \(seed): what we write we do not read")
      }
      for _ in 0..<3 {
        bytes = Mutator.mutate(bytes, &random)
        guard let read = try? SyncMessage.decode(bytes) else { continue }
        if case .hello(let hello) = read, hello.version != SyncLimits.version { continue }
        #expect(read.encode() == bytes, "seed \(seed)")
      }
    }
  }

  /// A peer that says anything at any time, mostly things that make sense.
  @Test func anyMessagesInAnyOrder() throws {
    for seed in 0..<1_500 as Range<UInt64> {
      var random = Seeded(seed)
      let replica = CheapReplica(author: 1, genesis: MachineTests.genesis)
      for _ in 0..<Int.random(in: 0...60, using: &random) { _ = replica.write(&random) }
      var options = Session.Options()
      options.isLive = random.happens(0.5)
      var session = Session(
        database: replica.database, suite: 1, hasher: CheapReplica.suite, plan: FetchPlan(),
        nonce: 7, now: 0, options: options)
      var batches: [Session.Batch] = []
      func perform(_ actions: [Session.Action]) {
        for case .deliver(let batch) in actions { batches.append(batch) }
      }
      (session, _) = try replica.step(session, .start, at: 0)
      let hello = SyncMessage.hello(
        .init(
          database: replica.database, suite: 1, nonce: random.next(), isLive: true,
          credit: [0, 1_000, .max].randomElement(using: &random) ?? 0))
      var time: Int64 = 0
      for turn in 0..<60 where !session.isClosed {
        time += Int64.random(in: 0...300, using: &random)
        var next = turn == 0 ? hello : message(&random)
        // Mostly of this round, and of operations that there are.
        switch next {
        case .frontier(_, let heads, let isWhole):
          let known = replica.frontier() + replica.operations.all.prefix(3).map(\.id)
          next = .frontier(
            round: session.currentRound + (random.happens(0.3) ? 1 : 0),
            heads: Set(random.happens(0.7) ? [known.randomElement(using: &random) ?? .zero] : heads)
              .sorted(), isWhole: isWhole)
        case .ranges(_, let ranges): next = .ranges(round: session.currentRound, ranges)
        case .ahead(_, let count): next = .ahead(round: session.currentRound, count: count)
        case .wantAll: next = .wantAll(round: session.currentRound)
        case .end: next = .end(round: session.currentRound)
        case .want:
          next = .want(replica.operations.all.shuffled(using: &random).prefix(4).map(\.id.prefix))
        default: break
        }
        var bytes = next.encode()
        if random.happens(0.1) { bytes = Mutator.mutate(bytes, &random) }
        let actions: [Session.Action]
        (session, actions) = try replica.step(session, .message(bytes), at: time)
        perform(actions)
        while !batches.isEmpty, random.happens(0.7) {
          let outcome = replica.deliver(batches.removeFirst(), from: 1)
          let more: [Session.Action]
          (session, more) = try replica.step(session, .delivered(outcome), at: time)
          perform(more)
        }
        let sent = actions.reduce(0) { sum, action in
          if case .send(let bytes) = action { return sum + bytes.count }
          return sum
        }
        // One message never makes a replica say more than a few messages, and what it was asked for.
        #expect(sent < 4 << 20, "seed \(seed)")
      }
    }
  }

  /// Messages as long and as hostile as may be take time in proportion to their length.
  @Test(.timeLimit(.minutes(2))) func noQuadraticTime() throws {
    var random = Seeded(1)
    var set = SortedOperations()
    for height in 0..<20_000 {
      set.insert(OperationKey(height: Int64(height), id: digest(&random)))
    }
    let reconciler = Reconciler(hasher: CheapReplica.suite, salt: [1])
    func cost(_ message: RangeMessage) throws -> Duration {
      var writer = CanonicalWriter()
      message.encode(into: &writer)
      return try ContinuousClock().measure {
        var reader = CanonicalReader(writer.bytes)
        _ = try reconciler.answer(try RangeMessage.decode(&reader), set)
      }
    }
    let full = RangeMessage(
      (1...SyncLimits.rangesPerMessage).map {
        .init(upTo: Bound(height: Int64($0) * 4), .fingerprint(count: 99, UInt64($0)))
      })
    let lists = RangeMessage(
      (1...1_000).map {
        .init(upTo: Bound(height: Int64($0) * 4), .list([random.next(), random.next()]))
      })
    let long = RangeMessage([.init(upTo: .end, .list((0..<120_000).map { _ in random.next() }))])
    for message in [full, lists, long] { #expect(try cost(message) < .seconds(8)) }
    // Depth and counts that are lies.
    for byte in [0x81, 0x9B, 0x5B, 0xBB, 0xD8] as [UInt8] {
      let bytes = [UInt8](repeating: byte, count: 1 << 20)
      #expect(throws: DecodingError.self) { try SyncMessage.decode(bytes) }
    }
  }
}
