import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import Testing

/// A session step by step: what it says of what is written meanwhile, and how long it waits for what it asked for,
/// whatever signs of life come.
@Suite struct SessionTests {
  /// One side of a session, and what the other says by hand.
  struct Talk {
    let replica = CheapReplica(author: 1, genesis: MachineTests.genesis)
    var session: Session
    var time: Int64 = 0
    var sent: [SyncMessage] = []
    var error: SyncError?
    var delivered: [Session.Batch] = []

    init() {
      session = Session(
        database: replica.database, suite: 1, hasher: CheapReplica.suite, plan: FetchPlan(),
        nonce: 7, now: 0)
    }

    mutating func step(_ input: Input) throws {
      let actions: [Session.Action]
      (session, actions) = try replica.step(session, input, at: time)
      for action in actions {
        switch action {
        case .send(let bytes): sent.append(try SyncMessage.decode(bytes))
        case .deliver(let batch): delivered.append(batch)
        case .close(let why): error = why
        default: break
        }
      }
    }

    mutating func hear(_ message: SyncMessage) throws { try step(.message(message.encode())) }

    /// As far as the peer has been asked for all that this side lacks.
    mutating func begin() throws {
      try step(.start)
      try hear(
        .hello(
          .init(database: replica.database, suite: 1, nonce: 9, isLive: true, credit: 1 << 20)))
      try hear(
        .frontier(round: 0, heads: [CheapReplica.suite.hash([1])], isWhole: true))
      try hear(.ahead(round: 0, count: 3))
      #expect(sent.contains { if case .wantAll = $0 { true } else { false } })
    }

    /// Seconds go by, with a message every ten of them; returns after how many the session has ended.
    mutating func wait(_ seconds: Int64, _ message: SyncMessage?) throws -> Int64? {
      for second in 1...seconds {
        time += 1_000
        if second % 10 == 0, let message { try hear(message) }
        try step(.tick)
        if session.isClosed { return second }
      }
      return nil
    }
  }

  /// What is written after this side told its frontier, and before the peer has said who it is, is told in another
  /// round: the first one ends with equal frontiers.
  @Test func whatIsWrittenBeforeTheHello() throws {
    var talk = Talk()
    try talk.step(.start)
    var random = Seeded(1)
    let before = talk.replica.frontier()
    let written = try #require(talk.replica.write(&random))
    try talk.step(.announce([written]))
    try talk.hear(
      .hello(
        .init(database: talk.replica.database, suite: 1, nonce: 9, isLive: true, credit: 1 << 20)))
    try talk.hear(.frontier(round: 0, heads: before, isWhole: true))
    #expect(talk.sent.contains(.frontier(round: 1, heads: [written], isWhole: true)))
  }

  @Test func aPeerThatOnlyPings() throws {
    var talk = Talk()
    try talk.begin()
    let end = try #require(try talk.wait(1_000, .ping))
    #expect((119...122).contains(end))
    #expect(talk.error?.code == .timeout)
    #expect("\(try #require(talk.error))".contains("nothing of what the peer was asked for"))
    // Nobody else waits for it: the next session may ask for all.
    #expect(talk.sent.last == .bye(SyncError.Code.timeout.rawValue))
  }

  @Test func aPeerThatIsSlow() throws {
    var talk = Talk()
    try talk.begin()
    for _ in 0..<10 {
      // A part of a long operation every 110 seconds, and signs of life in between.
      #expect(try talk.wait(110, .ping) == nil)
      try talk.hear(.part(isLast: false, [1, 2, 3]))
    }
    #expect(!talk.session.isClosed)
    #expect(try talk.wait(1_000, .ping) != nil)
  }

  /// What this side asks for stands in line behind what it sends: a peer that still takes that owes nothing yet.
  @Test func aPeerThatIsStillTaking() throws {
    var talk = Talk()
    var random = Seeded(3)
    talk.replica.writesLong = false
    for _ in 0..<2_000 { _ = talk.replica.write(&random) }
    try talk.step(.start)
    try talk.hear(
      .hello(
        .init(database: talk.replica.database, suite: 1, nonce: 9, isLive: true, credit: 1 << 16)))
    try talk.hear(
      .frontier(round: 0, heads: [CheapReplica.suite.hash([1])], isWhole: true))
    // The peer lacks all but the first, and has others.
    let ids = talk.replica.operations.all.map(\.id.prefix)
    try talk.hear(
      .ranges(
        round: 0,
        RangeMessage([.init(upTo: .end, .list([talk.replica.database.prefix, 77]))])))
    #expect(talk.sent.contains { if case .want = $0 { true } else { false } })
    try talk.hear(.want(Array(ids.dropFirst().prefix(1_900))))
    for _ in 0..<5 {
      #expect(try talk.wait(110, .ping) == nil)
      try talk.hear(.credit(8_192))
    }
    // Credit for what was never sent is a sign of life like any other.
    for _ in 0..<40 where !talk.session.isClosed {
      _ = try talk.wait(10, .credit(1 << 16))
    }
    #expect(talk.error?.code == .timeout)
  }

  @Test func anEmptyAnswer() throws {
    var talk = Talk()
    try talk.begin()
    try talk.hear(.absent([]))
    #expect(talk.error?.code == .malformed)
  }

  /// A store that is slow is not the peer's fault, nor is a live session in which nothing is asked for.
  @Test func nothingThatIsOwed() throws {
    var talk = Talk()
    try talk.begin()
    let operation = CheapReplica.encode(
      parents: [talk.replica.database], author: 2, number: 1, size: 9, isGood: true)
    try talk.hear(.operations([operation]))
    #expect(talk.delivered.count == 1)
    #expect(try talk.wait(1_000, .ping) == nil)
    try talk.step(.delivered(talk.replica.deliver(talk.delivered[0], from: 1)))
    try talk.hear(.end(round: 0))
    #expect(try talk.wait(1_000, .ping) == nil)
  }

  @Test func witnessesForNothing() throws {
    for message in [SyncMessage.witnessed([], by: [[1]]), .witnessed([[1]], by: [])] {
      var talk = Talk()
      try talk.begin()
      try talk.hear(message)
      #expect(talk.error?.code == .malformed)
    }
  }

  /// A replica all of whose operations were taken on the word of others, with long witnesses for some.
  private struct VouchedView: ReplicaView {
    let view: CheapReplica.View
    static func voucher(of id: Digest) -> Digest { CheapReplica.suite.hash(id.bytes) }
    var operations: SortedOperations { view.operations }
    func frontier() -> [Digest] { view.frontier() }
    func numbers(of short: ShortID) -> [Int64] { view.numbers(of: short) }
    func number(of id: Digest) -> Int64? { view.number(of: id) }
    func missing(at heads: [Digest]) -> [Int64]? { view.missing(at: heads) }
    func operation(_ number: Int64) -> OutgoingOperation {
      let operation = view.operation(number)
      // The next one vouches for every third.
      let next = number % 3 == 0 && number < operations.count ? view.operation(number + 1).id : nil
      return OutgoingOperation(
        id: operation.id, bytes: operation.bytes,
        voucher: next ?? VouchedView.voucher(of: operation.id))
    }
    func witnesses(for number: Int64) -> [[UInt8]] {
      guard number % 3 != 1 else { return [] }
      let id = view.operation(number).id
      return [VouchedView.voucher(of: id).bytes + [UInt8](repeating: 1, count: 100_000)]
    }
  }

  /// Whatever is taken on the word of an operation goes with that, or with its witnesses, and no message is too long.
  @Test func everyMessageProvesWhatItCarries() throws {
    var random = Seeded(3)
    let replica = CheapReplica(author: 1, genesis: MachineTests.genesis)
    replica.writesLong = false
    for _ in 0..<100 { _ = replica.write(&random) }
    let view = VouchedView(view: CheapReplica.View(replica: replica))
    var session = Session(
      database: replica.database, suite: 1, hasher: CheapReplica.suite, plan: FetchPlan(),
      nonce: 7, now: 0)
    _ = try session.start(view)
    var sent: [SyncMessage] = []
    for message in [
      SyncMessage.hello(
        .init(database: replica.database, suite: 1, nonce: 9, isLive: true, credit: 1 << 30)),
      .frontier(round: 0, heads: [replica.database], isWhole: true), .wantAll(round: 0),
    ] {
      for case .send(let bytes) in try session.receive(message.encode(), at: 0, view) {
        #expect(bytes.count <= ChannelLimits.messageBytes)
        sent.append(try SyncMessage.decode(bytes))
      }
    }
    var came: [Digest] = []
    var cuts = 0
    for message in sent {
      guard case .witnessed(let operations, let witnesses) = message else {
        if case .operations = message { Issue.record("operations without their witnesses") }
        continue
      }
      cuts += 1
      let ids = operations.compactMap { CheapReplica.id($0) }
      for id in ids {
        let number = try #require(view.number(of: id))
        let operation = view.operation(number)
        let isProven =
          operation.voucher.map { ids.contains($0) } ?? true
          || view.witnesses(for: number).allSatisfy { witnesses.contains($0) }
        #expect(isProven, "operation \(number)")
      }
      came += ids
    }
    #expect(came.count == 100 && cuts > 12)
    #expect(session.report.operationsSent == 100)
  }
}
