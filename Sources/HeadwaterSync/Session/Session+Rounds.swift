import HeadwaterLog
import HeadwaterModel

// Rounds: both sides say their frontiers, and compare what they have if those do not settle it.

extension Session {
  mutating func beginRound(_ view: some ReplicaView, _ out: inout [Action]) throws {
    let all = try view.frontier()
    ownHeads = Array(all.prefix(SyncLimits.heads))
    isOwnWhole = all.count <= SyncLimits.heads
    comparison = .waiting
    heads = nil
    stream = nil
    peerIsAhead = nil
    isFruitful = false
    wantsRound = false
    fruitlessMessages = 0
    needs.removeAll()
    nextNeed = 0
    report.rounds += 1
    send(.frontier(round: round, heads: ownHeads, isWhole: isOwnWhole), &out)
  }

  mutating func handle(_ message: SyncMessage, _ view: some ReplicaView, _ out: inout [Action])
    throws
  {
    guard peer != nil else {
      switch message {
      case .hello(let hello): return try greet(hello)
      case .bye(let code): return leave(code, &out)
      default: throw SyncError(.malformed, "the peer does not begin with a hello")
      }
    }
    switch message {
    case .hello: throw SyncError(.malformed, "the peer says hello again")
    case .frontier(let round, let heads, let isWhole):
      guard next == nil, round == (self.heads == nil ? self.round : self.round + 1) else {
        throw SyncError(.malformed, "the peer begins a round out of turn")
      }
      if self.heads == nil {
        self.heads = (heads, isWhole)
        try compare(view, &out)
      } else {
        next = (round, heads, isWhole)
      }
    case .ranges(let round, let message):
      guard round < self.round || round == self.round && heads != nil else {
        throw SyncError(.malformed, "the peer compares in a round that has not begun")
      }
      idleBudget -= message.ranges.count / 64
      if round == self.round, comparison == .comparing { try answer(message, view, &out) }
    case .ahead(let round, let count):
      guard count > 0, count <= UInt64(SyncLimits.operations) else {
        throw SyncError(.malformed, "the peer is ahead by more or less than can be")
      }
      if round == self.round, comparison == .settled, stream != nil {
        // Each has heard of the other's heads since it told its own: then both begin again.
        stream = nil
        wantsRound = true
        return
      }
      guard round == self.round, comparison == .comparing else {
        throw SyncError(.malformed, "the peer is ahead out of turn")
      }
      comparison = .settled
      peerIsAhead = count
    case .wantAll, .want, .wantIDs, .credit: try serve(message, view, &out)
    case .end, .operations, .witnessed, .part, .absent: try take(message, view, &out)
    case .ping: break
    case .bye(let code): leave(code, &out)
    }
  }

  private mutating func greet(_ hello: SyncMessage.Hello) throws {
    guard hello.version == SyncLimits.version else {
      throw SyncError(
        .version,
        "the peer speaks version \(hello.version) of the protocol, this program \(SyncLimits.version): use the same version on both sides"
      )
    }
    guard hello.suite == suite else {
      throw SyncError(.suite, "the peer uses the cryptographic suite \(hello.suite)")
    }
    guard hello.database == database else {
      throw SyncError(.database, "the peer has another database, \(hello.database.hex)")
    }
    guard hello.nonce != nonce else {
      throw SyncError(.malformed, "the peer sends back what it is sent")
    }
    peer = hello
    credit = Int(clamping: hello.credit)
  }

  private mutating func leave(_ code: UInt64, _ out: inout [Action]) {
    let why = SyncError.Code(rawValue: code).map { "\($0)" } ?? "code \(code)"
    let isGood = code == 0 && (report.isInSync || isLive)
    let error =
      isGood
      ? nil
      : SyncError(
        .remote,
        code == 0 ? "the peer left before the end" : "the peer ended the session: \(why)")
    guard !isClosed else { return }
    abandon()
    out.append(.close(error))
  }

  /// Both frontiers of the round are there.
  private mutating func compare(_ view: some ReplicaView, _ out: inout [Action]) throws {
    guard let heads else { return }
    if isOwnWhole, heads.isWhole, heads.ids == ownHeads {
      comparison = .settled
      fruitlessRounds = 0
      report.isInSync = true
      out.append(.inSync)
      return
    }
    report.isInSync = false
    if heads.isWhole, let missing = try view.missing(at: heads.ids), !missing.isEmpty {
      comparison = .settled
      stream = missing
      return send(.ahead(round: round, count: UInt64(missing.count)), &out)
    }
    comparison = .comparing
    // When rounds bear no fruit, somebody may have forged short ids or sums; whole ids nobody can forge.
    if fruitlessRounds > 0 { try fetch(heads.ids, view, &out) }
    if isOpener { send(.ranges(round: round, try reconciler.open(view.operations)), &out) }
  }

  private mutating func answer(
    _ message: RangeMessage, _ view: some ReplicaView, _ out: inout [Action]
  ) throws {
    guard held == nil else {
      throw SyncError(.malformed, "the peer compares without waiting for an answer")
    }
    let answer = try reconciler.answer(message, view.operations)
    let names = message.namesOperations || answer.reply?.namesOperations ?? false
    fruitlessMessages = names ? 0 : fruitlessMessages + 1
    guard fruitlessMessages <= SyncLimits.fruitlessMessages else {
      throw SyncError(.endless, "the peer compares without end")
    }
    needs += answer.needs.filter { !asked.contains($0) }
    guard let reply = answer.reply else {
      comparison = .settled
      return
    }
    held = reply
    try release(&out)
  }

  /// Sends the answer that was held back, once little enough is to be fetched.
  private mutating func release(_ out: inout [Action]) throws {
    guard let reply = held, needs.count - nextNeed <= SyncLimits.needs else { return }
    held = nil
    send(.ranges(round: round, reply), &out)
    if !reply.isQuestion { comparison = .settled }
  }

  /// Does whatever can be done by now.
  mutating func proceed(_ view: some ReplicaView, _ out: inout [Action]) throws {
    guard !isClosed, peer != nil else { return }
    try release(&out)
    allow(&out)
    try fetchMore(view, &out)
    try pump(view, &out)
    guard !isClosed, isSatisfied else { return }
    if report.isInSync, heads != nil, !wantsRound, next == nil {
      // Whoever goes on must not be cut off while it still is sent something.
      if !isLive, outbox.isEmpty { close(nil, &out) }
      return
    }
    // Everything that this round had to bring is here.
    if next != nil || stream == nil && (wantsRound || !report.isInSync) {
      try anotherRound(view, &out)
    }
  }

  private mutating func anotherRound(_ view: some ReplicaView, _ out: inout [Action]) throws {
    guard heads != nil else { return }
    fruitlessRounds = isFruitful || report.isInSync ? 0 : fruitlessRounds + 1
    guard fruitlessRounds <= SyncLimits.fruitlessRounds else {
      throw SyncError(.endless, "after \(fruitlessRounds) rounds the peer still has something else")
    }
    round += 1
    let waiting = next
    next = nil
    try beginRound(view, &out)
    if let waiting {
      heads = (waiting.heads, waiting.isWhole)
      try compare(view, &out)
    }
  }
}
