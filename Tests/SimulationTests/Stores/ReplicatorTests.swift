import Foundation
import Synchronization
import Testing

@testable import Headwater
@testable import HeadwaterSync

/// Two ends of a channel in memory, with little room between them.
final class PipeChannel: Channel {
  private struct Lane {
    var messages: [[UInt8]] = []
    var isClosed = false
    var readers: [CheckedContinuation<Void, Never>] = []
    var writers: [CheckedContinuation<Void, Never>] = []
  }

  private final class Line: Sendable {
    let lane = Mutex(Lane())

    func wake(_ change: (inout Lane) -> Void) {
      let woken = lane.withLock { lane in
        change(&lane)
        defer {
          lane.readers = []
          lane.writers = []
        }
        return lane.readers + lane.writers
      }
      for continuation in woken { continuation.resume() }
    }
  }

  let peer: Digest
  private let out: Line
  private let into: Line

  private init(peer: Digest, out: Line, into: Line) {
    self.peer = peer
    self.out = out
    self.into = into
  }

  static func pair(_ a: Digest, _ b: Digest) -> (PipeChannel, PipeChannel) {
    let (one, two) = (Line(), Line())
    return (PipeChannel(peer: b, out: one, into: two), PipeChannel(peer: a, out: two, into: one))
  }

  func send(_ message: [UInt8]) async throws(ChannelError) {
    while true {
      let state = out.lane.withLock { ($0.isClosed, $0.messages.count < 4) }
      if state.0 { throw ChannelError(.closed, "the channel was closed") }
      if state.1 { return out.wake { $0.messages.append(message) } }
      await withCheckedContinuation { continuation in
        let isReady = out.lane.withLock { lane in
          if lane.isClosed || lane.messages.count < 4 { return true }
          lane.writers.append(continuation)
          return false
        }
        if isReady { continuation.resume() }
      }
    }
  }

  func receive() async throws(ChannelError) -> [UInt8]? {
    while true {
      let next = into.lane.withLock { lane -> ([UInt8]?, Bool) in
        lane.messages.isEmpty ? (nil, lane.isClosed) : (lane.messages.removeFirst(), false)
      }
      if let message = next.0 {
        into.wake { _ in }
        return message
      }
      if next.1 { return nil }
      await withCheckedContinuation { continuation in
        let isReady = into.lane.withLock { lane in
          if lane.isClosed || !lane.messages.isEmpty { return true }
          lane.readers.append(continuation)
          return false
        }
        if isReady { continuation.resume() }
      }
    }
  }

  func close() async {
    out.wake { $0.isClosed = true }
    into.wake { $0.isClosed = true }
  }
}

/// A channel whose messages arrive late.
private struct LateChannel: Channel {
  let channel: PipeChannel
  let delay: Duration
  var peer: Digest { channel.peer }

  func send(_ message: [UInt8]) async throws(ChannelError) { try await channel.send(message) }
  func close() async { await channel.close() }

  func receive() async throws(ChannelError) -> [UInt8]? {
    let message = try await channel.receive()
    try? await Task.sleep(for: delay)
    return message
  }
}

/// A channel to a peer that hears nothing, and says something, and then gives signs of life for ever.
private final class DeafChannel: Channel {
  let peer: Digest
  private let rest: Mutex<[[UInt8]]>

  init(peer: Digest, saying messages: [[UInt8]]) {
    self.peer = peer
    rest = Mutex(messages)
  }

  func send(_ message: [UInt8]) async throws(ChannelError) {
    throw ChannelError(.closed, "nothing gets through")
  }

  func receive() async throws(ChannelError) -> [UInt8]? {
    if let next = rest.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return next }
    try? await Task.sleep(for: .milliseconds(100))
    return SyncMessage.ping.encode()
  }

  func close() async {}
}

/// A channel in which one operation is lost.
private struct LossyChannel: Channel {
  let channel: PipeChannel
  let lost: [UInt8]
  var peer: Digest { channel.peer }

  func send(_ message: [UInt8]) async throws(ChannelError) {
    var message = message
    if case .operations(let operations)? = try? SyncMessage.decode(message) {
      let rest = operations.filter { $0 != lost }
      if rest.isEmpty { return }
      message = SyncMessage.operations(rest).encode()
    }
    try await channel.send(message)
  }
  func receive() async throws(ChannelError) -> [UInt8]? { try await channel.receive() }
  func close() async { await channel.close() }
}

@Suite struct ReplicatorTests {
  private let a = StoreReplica.signer(1).principal
  private let b = StoreReplica.signer(2).principal

  private func stores(_ count: Int) async throws -> [Store] {
    let genesis = try await StoreReplica.genesis()
    return try (0..<count).map {
      try Store.replicate(at: nil, genesis: genesis, suite: FixedSuite(seed: UInt8($0)))
    }
  }

  private func fill(_ store: Store, _ names: [String], as number: Int = 0) async throws {
    for name in names {
      try await store.write(as: StoreReplica.signer(number)) {
        try $0.create("Topic", [("id", .text(name))])
      }
    }
  }

  /// What a store's replicator says first.
  private func hello(of store: Store) async throws -> [UInt8] {
    let (inner, outer) = PipeChannel.pair(a, b)
    let session = Task { try? await Replicator(store).sync(over: inner) }
    let first = try await outer.receive()
    await outer.close()
    _ = await session.value
    return try #require(first)
  }

  private func frontier(_ store: Store) async throws -> [Digest] {
    try await store.read { try $0.frontier() }
  }

  /// Within a while, or the test fails.
  private func expectSame(_ a: Store, _ b: Store) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: .seconds(30))
    while try await frontier(a) != frontier(b), clock.now < deadline {
      try await clock.sleep(for: .milliseconds(5))
    }
    #expect(try await frontier(a) == frontier(b))
  }

  @Test func bothWays() async throws {
    let stores = try await stores(2)
    try await fill(stores[0], ["a", "b", "c"])
    try await fill(stores[1], ["d", "e"], as: 1)
    let (left, right) = PipeChannel.pair(a, b)
    async let one = Replicator(stores[0]).sync(over: left)
    let two = try await Replicator(stores[1]).sync(over: right)
    let first = try await one
    #expect(try await frontier(stores[0]) == frontier(stores[1]))
    #expect(first.operationsSent == 3 && first.admitted == 2 && first.repeated == 0)
    #expect(two.operationsSent == 2 && two.admitted == 3 && two.isInSync)
    // Again: nothing to do, and few bytes.
    let (l, r) = PipeChannel.pair(a, b)
    async let again = Replicator(stores[0]).sync(over: l)
    _ = try await Replicator(stores[1]).sync(over: r)
    let last = try await again
    #expect(last.rounds == 1 && last.bytesSent < 200 && last.operationsSent == 0)
  }

  /// - Parameter isBehind: whether the one who fetches has nothing of his own: then one peer streams, and otherwise all
  ///   of them are asked for parts.
  @Test(.timeLimit(.minutes(2)), arguments: [300, 6_000], [true, false])
  func severalPeersAtOnceFetchNothingTwice(count: Int, isBehind: Bool) async throws {
    let stores = try await stores(4)
    if !isBehind { try await fill(stores[0], ["own"], as: 1) }
    try await fill(stores[1], (0..<count).map { "\($0)" })
    let everything = try await stores[1].read { snapshot in
      try snapshot.operationIDs().dropFirst().map { try snapshot.signed($0)! }
    }
    for store in stores[2...] { _ = try await store.receive(everything) }
    // Each has one of its own, too.
    for (index, store) in stores[1...].enumerated() { try await fill(store, ["x\(index)"], as: 2) }
    let pairs = (1...3).map { _ in PipeChannel.pair(a, b) }
    async let served: Void = withThrowingTaskGroup(of: Void.self) { group in
      for (store, pair) in zip(stores[1...], pairs) {
        group.addTask { _ = try await Replicator(store).sync(over: pair.1) }
      }
      try await group.waitForAll()
    }
    let results = await Replicator(stores[0]).sync(over: pairs.map { (b, $0.0) })
    try await served
    let reports = try results.map { try $0.get() }
    #expect(reports.reduce(0) { $0 + $1.operationsReceived } == count + 3)
    #expect(reports.reduce(0) { $0 + $1.admitted } == count + 3)
    #expect(reports.reduce(0) { $0 + $1.repeated } == 0)
  }

  /// What a peer said before it closed counts, even when something could not be sent to it any more.
  @Test(.timeLimit(.minutes(2))) func whatCannotBeSentToAPeerThatIsDoneDoesNoHarm() async throws {
    let stores = try await stores(2)
    try await fill(stores[1], ["a"])
    let (left, right) = PipeChannel.pair(a, b)
    async let other = Replicator(stores[1]).sync(over: right)
    var options = Session.Options()
    // A sign of life is due before the last message of the peer, who has closed, arrives.
    options.pingInterval = 1
    let report = try await Replicator(stores[0], options: options).sync(
      over: LateChannel(channel: left, delay: .milliseconds(700)))
    #expect(report.isInSync && report.admitted == 1)
    #expect(try await other.isInSync)
  }

  /// But who cannot be reached does not hold a session for ever by talking.
  @Test(.timeLimit(.minutes(1))) func aPeerThatHearsNothingIsLeft() async throws {
    let stores = try await stores(2)
    let channel = DeafChannel(peer: b, saying: [try await hello(of: stores[1])])
    let error = await #expect(throws: SyncError.self) {
      try await Replicator(stores[0]).sync(over: channel)
    }
    #expect(error?.code == .remote)
  }

  @Test(.timeLimit(.minutes(2))) func liveUntilOneLeaves() async throws {
    let stores = try await stores(2)
    let (left, right) = PipeChannel.pair(a, b)
    let one = Task { try await Replicator(stores[0]).sync(over: left, isLive: true) }
    let two = Task { try await Replicator(stores[1]).sync(over: right, isLive: true) }
    for round in 0..<5 {
      try await fill(stores[round % 2], ["r\(round)"])
      try await expectSame(stores[0], stores[1])
    }
    one.cancel()
    let report = try await one.value
    _ = try await two.value
    #expect(report.operationsSent == 3 && report.admitted == 2)
  }

  /// What one peer sent enters as soon as its parent has come from another, and not when they next compare.
  @Test(.timeLimit(.minutes(1))) func whatWaitsForAnotherPeerEntersWhenThatHasSent() async throws {
    let stores = try await stores(2)
    try await fill(stores[1], ["one", "two"])
    let all = try await stores[1].read { snapshot in
      try snapshot.operationIDs().dropFirst().map { try snapshot.signed($0)! }
    }
    let (left, right) = PipeChannel.pair(a, b)
    let one = Task { try await Replicator(stores[0]).sync(over: left, isLive: true) }
    let two = Task {
      try await Replicator(stores[1]).sync(
        over: LossyChannel(channel: right, lost: all[0].encode()), isLive: true)
    }
    // Time enough for the second to come, and to wait.
    try await Task.sleep(for: .seconds(1))
    #expect(try await frontier(stores[0]) != frontier(stores[1]))
    _ = try await stores[0].receive([all[0]])
    try await expectSame(stores[0], stores[1])
    one.cancel()
    #expect(try await one.value.admitted == 1)
    _ = try? await two.value
  }

  /// A session that began long ago and one that began now tell the same time, or each would take the other for idle.
  @Test func allSessionsHaveOneClock() async throws {
    let store = try await stores(1)[0]
    func connection() -> SyncConnection {
      SyncConnection(
        store: store, plan: FetchPlan(), channel: PipeChannel.pair(a, b).0,
        options: Session.Options())
    }
    let old = connection()
    try await Task.sleep(for: .milliseconds(50))
    let new = connection()
    let before = old.now
    let between = new.now
    #expect(before <= between && between <= old.now)
  }

  @Test(.timeLimit(.minutes(2))) func anotherDatabaseAndAnotherPeer() async throws {
    let store = try await stores(1)[0]
    let other = try Headwater.create(
      at: nil, schema: try Schema.parse(StoreReplica.schema), as: StoreReplica.signer(0))
    let (left, right) = PipeChannel.pair(a, b)
    async let one = Replicator(store).sync(over: left)
    await #expect(throws: SyncError.self) { try await Replicator(other).sync(over: right) }
    do {
      _ = try await one
      Issue.record("it took another database")
    } catch let error as SyncError {
      #expect(error.code == .database || error.code == .remote)
    }
    let (l, _) = PipeChannel.pair(a, b)
    let refused = await Replicator(store).sync(over: [(a, l)])
    #expect(throws: SyncError.self) { try refused[0].get() }
  }

  /// An operation that is longer than a message, and a cut in the middle of many.
  @Test(.timeLimit(.minutes(2))) func longOperationsAndCuts() async throws {
    let stores = try await stores(2)
    let text = String(repeating: "x", count: 3_000_000)
    try await fill(stores[0], ["a"])
    try await stores[0].write(as: StoreReplica.signer(0)) {
      try $0.update("Topic", key: Key([.text("a")]), set: [("title", .text(text))])
    }
    try await fill(stores[0], (0..<200).map { "\($0)" })
    let (left, right) = PipeChannel.pair(a, b)
    let one = Task { try await Replicator(stores[0]).sync(over: left) }
    let two = Task { try await Replicator(stores[1]).sync(over: right) }
    await left.close()
    _ = await one.result
    _ = await two.result
    let (l, r) = PipeChannel.pair(a, b)
    async let again = Replicator(stores[0]).sync(over: l)
    _ = try await Replicator(stores[1]).sync(over: r)
    _ = try await again
    #expect(try await frontier(stores[0]) == frontier(stores[1]))
  }

  /// Messages are packed where the line is slower than that takes, and that is looked at again and again.
  @Test func whetherToPack() {
    func packed(secondsToPack: Double, ratio: Double, secondsToSend: (Int) -> Double) -> [Bool] {
      var choice = PackingChoice()
      return (0..<400).map { index in
        var bytes = 250_000
        let packs = choice.next()
        if packs {
          choice.packed(bytes, to: Int(Double(bytes) * ratio), in: secondsToPack)
          bytes = Int(Double(bytes) * ratio)
        }
        choice.sent(bytes, in: secondsToSend(index) * Double(bytes) / 250_000)
        return packs
      }
    }
    // A line of 100 Mbit/s, and one that is faster than packing; and where it gains nothing.
    let slow = packed(secondsToPack: 0.003, ratio: 0.5) { _ in 0.02 }
    #expect(slow.allSatisfy { $0 })
    let fast = packed(secondsToPack: 0.003, ratio: 0.5) { _ in 0.0003 }
    #expect(fast[0] && fast.count(where: { $0 }) < 40)
    let useless = packed(secondsToPack: 0.003, ratio: 1) { _ in 0.02 }
    #expect(useless.count(where: { $0 }) < 40)
    // It becomes slow, and fast again.
    let changing = packed(secondsToPack: 0.003, ratio: 0.5) {
      (100..<200).contains($0) ? 0.02 : 0.0003
    }
    #expect(changing[150..<200].allSatisfy { $0 })
    #expect(changing[300...].count(where: { $0 }) < 20)
  }

  @Test func packing() {
    let encoded = (0..<200).map {
      CheapReplica.encode(
        parents: [CheapReplica.suite.hash([UInt8($0)])], author: 1, number: UInt32($0), size: 90,
        isGood: true)
    }
    let message = SyncMessage.operations(encoded).encode()
    let packed = PackedMessage.pack(message)
    #expect(packed.count < message.count && PackedMessage.unpack(packed) == message)
    // What carries no operations, or gains nothing, stays as it is.
    let heads = SyncMessage.wantIDs((0..<200).map { CheapReplica.suite.hash([UInt8($0)]) }).encode()
    #expect(PackedMessage.pack(heads) == heads && PackedMessage.unpack(heads) == heads)
    // What cannot be unpacked, or claims too much, is left for the session to refuse.
    for seed in 0..<3_000 as Range<UInt64> {
      var random = Seeded(seed)
      let bytes = Mutator.mutate(packed, &random)
      let result = PackedMessage.unpack(bytes)
      #expect(result.count <= ChannelLimits.messageBytes)
      if result == bytes, result != message, bytes.first == 0x83 {
        #expect(throws: DecodingError.self, "seed \(seed)") { try SyncMessage.decode(result) }
      }
    }
    var writer = CanonicalWriter()
    writer.arrayHeader(3)
    writer.unsigned(14)
    writer.unsigned(1 << 40)
    writer.byteString([1, 2, 3])
    #expect(PackedMessage.unpack(writer.bytes) == writer.bytes)
  }

  /// A peer that says hello, or nothing, and from then on gives signs of life only.
  @Test(.timeLimit(.minutes(1)), arguments: [true, false])
  func cloningFromAPeerThatNeverAnswersEnds(saysHello: Bool) async throws {
    let (left, right) = PipeChannel.pair(a, b)
    let hello = try await hello(of: stores(1)[0])
    let peer = Task {
      if saysHello { try await right.send(hello) }
      while true {
        try await right.send(SyncMessage.ping.encode())
        try await Task.sleep(for: .milliseconds(10))
      }
    }
    let error = await #expect(throws: SyncError.self) {
      try await Replicator.genesis(
        over: left, suite: FixedSuite(seed: 1), limit: .milliseconds(300))
    }
    #expect(error?.code == (saysHello ? .timeout : .malformed))
    peer.cancel()
    _ = await peer.result
  }

  /// A peer of which nothing comes at all.
  @Test(.timeLimit(.minutes(1))) func cloningFromASilentPeerEnds() async throws {
    let (left, _) = PipeChannel.pair(a, b)
    let error = await #expect(throws: SyncError.self) {
      try await Replicator.genesis(
        over: left, suite: FixedSuite(seed: 1), limit: .milliseconds(100))
    }
    #expect(error?.code == .timeout)
  }
}
