import HeadwaterLog
import HeadwaterModel

/// One replica's side of a session with one peer: what to send, and what to do with what comes.
///
/// A value and a pure machine: bytes, times and the state of the replica go in, actions come out. Whoever drives it
/// sends the messages in order over a `Channel`, hands over operations to be admitted one batch after another, and
/// tells what became of them. After an error it does nothing more.
public struct Session: Sendable {
  /// What is to be done.
  public enum Action: Sendable, Hashable {
    /// Send these bytes to the peer.
    case send([UInt8])
    /// Verify and admit these, encoded as they travel, and call `delivered`. Batches in order.
    case deliver(Batch)
    /// Both sides have the same operations now. May come again.
    case inSync
    /// The session is over: send what there is to send and close the channel. Nil when all is well.
    case close(SyncError?)
  }

  /// Operations that came together, as they travel.
  public struct Batch: Sendable, Hashable {
    public var operations: [[UInt8]]
    /// The ids of the operations, which are the hashes of their bodies; empty where nobody has worked them out yet.
    public var ids: [Digest]
    /// What came with them as proof only.
    public var witnesses: [[UInt8]]

    public init(_ operations: [[UInt8]], ids: [Digest] = [], witnesses: [[UInt8]] = []) {
      self.operations = operations
      self.ids = ids
      self.witnesses = witnesses
    }
  }

  /// What became of operations that were offered to the replica.
  public struct Outcome: Sendable {
    /// The ids of those that are in the replica now and were not before.
    public var admitted: [Digest] = []
    /// Of those that were there before.
    public var known: [Digest] = []
    /// Of those that wait for parents now.
    public var waiting: [Digest] = []
    /// Of those that had waited, and were let go of to make room.
    public var evicted: [Digest] = []
    /// How many no copy of which can ever be admitted, or were badly signed.
    public var rejected = 0
    /// The parents that operations of this peer wait for.
    public var missing: [Digest] = []

    public init() {}
  }

  /// What a session did so far.
  public struct Report: Sendable, Hashable {
    /// Operations sent and received, and the bytes of them.
    public var operationsSent = 0
    public var operationsReceived = 0
    public var operationBytesSent = 0
    public var operationBytesReceived = 0
    /// Of the received those that were new, and those that were here already.
    public var admitted = 0
    public var repeated = 0
    public var rejected = 0
    /// All messages and bytes of them.
    public var messagesSent = 0
    public var messagesReceived = 0
    public var bytesSent = 0
    public var bytesReceived = 0
    /// How often the two were compared.
    public var rounds = 0
    /// Whether both had the same at the end of the last round.
    public var isInSync = false

    public init() {}
  }

  public struct Options: Sendable {
    /// Whether to go on when both sides have the same.
    public var isLive = false
    /// How many bytes of operations may be on the way from the peer.
    public var window = SyncLimits.window
    public var timeout = SyncLimits.timeout
    public var pingInterval = SyncLimits.pingInterval

    public init() {}
  }

  // What it is.
  let database: Digest
  let suite: UInt8
  let hasher: any Hasher256
  let options: Options
  let plan: FetchPlan
  /// What the plan knows this session by.
  public let number: Int
  let nonce: UInt64
  public internal(set) var report = Report()

  // How far it is.
  var peer: SyncMessage.Hello?
  public internal(set) var isClosed = false
  /// The number of the comparison that is going on.
  public var currentRound: UInt64 { round }
  var now: Int64
  var lastReceived: Int64
  var lastSent: Int64
  /// Since when nothing has come of what was asked for, seen at a tick; nil while nothing is owed.
  var owedSince: Int64?
  /// Bytes of operations that were sent and that the peer has not allowed again: it may not have heard of anything behind
  /// them.
  var uncredited = 0
  var idleBudget = SyncLimits.idleMessages
  var budgetAt: Int64

  // The round.
  var round: UInt64 = 0
  /// What was sent as the frontier of this round.
  var ownHeads: [Digest] = []
  var isOwnWhole = true
  /// The peer's frontier of this round; nil while it is waited for.
  var heads: (ids: [Digest], isWhole: Bool)?
  /// The peer's frontier of the next round, while this one is not finished here.
  var next: (round: UInt64, heads: [Digest], isWhole: Bool)?
  enum Comparison: Sendable { case waiting, comparing, settled }
  var comparison = Comparison.waiting
  /// An answer that waits until some of what is needed has come.
  var held: RangeMessage?
  var fruitlessMessages = 0
  var fruitlessRounds = 0
  /// Whether anything came or went in this round.
  var isFruitful = false
  /// Whether the next comparison should not wait for anything.
  var wantsRound = false

  // What is fetched.
  /// How many operations the peer is ahead by, while they are not asked for.
  var peerIsAhead: UInt64?
  var isStreaming = false
  /// Whether nobody else may be asked for anything, because what the peer streamed is not all admitted.
  var holdsStream = false
  /// Short ids that are needed, from `nextNeed` on.
  var needs: [ShortID] = []
  var nextNeed = 0
  var asked: Set<ShortID> = []
  var askedIDs: Set<Digest> = []
  /// Bytes of operations that the peer may still send, and that are to be allowed again.
  var allowance: Int
  var toAllow = 0
  var partial: [UInt8] = []
  /// Batches that were handed over and are not admitted yet: their operations, their bytes, and which of them were
  /// asked for by short id: nobody else is asked for those until then.
  var delivering: [(count: Int, bytes: Int, claimed: [ShortID])] = []
  /// What this peer has sent and waits for its parents: nobody is asked for it again meanwhile.
  var waiting: Set<ShortID> = []
  /// Parents that are waited for.
  var missing: [Digest] = []
  var absences = 0

  // What is served.
  var credit = 0
  /// Local numbers, from `nextNumber` on.
  var outbox: [Int64] = []
  var nextNumber = 0
  /// What the peer lacks, if it asks for all of it in this round.
  var stream: [Int64]?
  /// The round whose stream is in the outbox; its end is to be told.
  var streaming: UInt64?
  /// How many operations the next message carries at most: fewer while they need many witnesses.
  var mostPerMessage = SyncLimits.wanted
  /// Pieces of an operation that is too long for one message.
  var pieces: [(isLast: Bool, bytes: [UInt8])] = []
  /// What the peer is known to have, of late.
  var known = RecentSet<Digest>(keeping: 8_192)

  /// - Parameters:
  ///   - nonce: drawn for this session.
  ///   - plan: the replica's.
  ///   - now: milliseconds of a clock that does not go backwards, the same for all sessions of the plan.
  public init(
    database: Digest, suite: UInt8, hasher: any Hasher256, plan: FetchPlan, nonce: UInt64,
    now: Int64, options: Options = Options()
  ) {
    self.database = database
    self.suite = suite
    self.hasher = hasher
    self.plan = plan
    self.nonce = nonce
    self.options = options
    number = plan.makeSession()
    self.now = now
    lastReceived = now
    lastSent = now
    budgetAt = now
    allowance = options.window
  }

  /// Whether this side says the first word in a comparison.
  var isOpener: Bool { nonce > peer?.nonce ?? 0 }
  var reconciler: Reconciler {
    let mine = ShortIDs.bytes([nonce])
    let theirs = ShortIDs.bytes([peer?.nonce ?? 0])
    return Reconciler(hasher: hasher, salt: isOpener ? mine + theirs : theirs + mine)
  }
  var isLive: Bool { options.isLive && peer?.isLive ?? false }
  /// Whether there is nothing more to come of this round.
  var isSatisfied: Bool {
    comparison == .settled && peerIsAhead == nil && !isStreaming && nextNeed == needs.count
      && asked.isEmpty && askedIDs.isEmpty && delivering.isEmpty && held == nil && partial.isEmpty
  }

  // MARK: Inputs

  /// Begins the session. Call once, first.
  public mutating func start(_ view: some ReplicaView) throws -> [Action] {
    var out: [Action] = []
    send(
      .hello(
        SyncMessage.Hello(
          database: database, suite: suite, nonce: nonce, isLive: options.isLive,
          credit: UInt64(options.window))), &out)
    try beginRound(view, &out)
    return out
  }

  /// A message came from the peer.
  public mutating func receive(_ bytes: [UInt8], at time: Int64, _ view: some ReplicaView) throws
    -> [Action]
  {
    guard !isClosed else { return [] }
    var out: [Action] = []
    advance(to: time)
    lastReceived = now
    report.messagesReceived += 1
    report.bytesReceived += bytes.count
    do {
      idleBudget -= 1
      guard idleBudget >= 0 else {
        throw SyncError(.flood, "the peer sends too many messages that are good for nothing")
      }
      let message: SyncMessage
      do { message = try SyncMessage.decode(bytes) } catch {
        throw SyncError(.malformed, "what came from the peer is no message: \(error)")
      }
      try handle(message, view, &out)
      try proceed(view, &out)
    } catch let error as SyncError {
      close(error, &out)
    }
    return out
  }

  /// A batch was verified and offered to the replica.
  public mutating func delivered(_ outcome: Outcome, at time: Int64, _ view: some ReplicaView)
    throws -> [Action]
  {
    guard !isClosed, !delivering.isEmpty else { return [] }
    let batch = delivering.removeFirst()
    note(outcome)
    plan.release(batch.claimed.filter { !waiting.contains($0) }, of: number)
    toAllow += batch.bytes
    return try go(on: outcome, at: time, view)
  }

  /// Operations of the peer that had waited for others were offered again, because those have come by another way.
  public mutating func released(_ outcome: Outcome, at time: Int64, _ view: some ReplicaView)
    throws -> [Action]
  {
    guard !isClosed else { return [] }
    note(outcome)
    return try go(on: outcome, at: time, view)
  }

  private mutating func note(_ outcome: Outcome) {
    waiting.formUnion(outcome.waiting.map(\.prefix))
    let entered = (outcome.admitted + outcome.known).map(\.prefix)
    let evicted = outcome.evicted.map(\.prefix)
    if !waiting.isEmpty { waiting.subtract(entered + evicted) }
    plan.entered(entered)
    plan.release(evicted, of: number)
    report.admitted += outcome.admitted.count
    report.repeated += outcome.known.count
    report.rejected += outcome.rejected
    missing = outcome.missing
  }

  private mutating func go(on outcome: Outcome, at time: Int64, _ view: some ReplicaView) throws
    -> [Action]
  {
    var out: [Action] = []
    advance(to: time)
    if !outcome.admitted.isEmpty {
      isFruitful = true
      idleBudget = SyncLimits.idleMessages
      for id in outcome.admitted { known.insert(id) }
    }
    do {
      guard outcome.rejected == 0 else {
        throw SyncError(
          .rejected,
          "the peer sent \(outcome.rejected) operations that it should have refused itself")
      }
      try proceed(view, &out)
    } catch let error as SyncError {
      close(error, &out)
    }
    return out
  }

  /// Operations entered the replica, by a local write or from another peer. Those that came from this peer do no harm.
  public mutating func announce(_ ids: [Digest], at time: Int64, _ view: some ReplicaView) throws
    -> [Action]
  {
    guard !isClosed else { return [] }
    guard peer != nil else {
      // The frontier that was told with the hello may lack them, and be all that the peer has.
      wantsRound = true
      return []
    }
    var out: [Action] = []
    advance(to: time)
    do {
      try push(ids, view, &out)
      try proceed(view, &out)
    } catch let error as SyncError {
      close(error, &out)
    }
    return out
  }

  /// Time went by, or another session has released what it had asked for. Call every second or so.
  public mutating func tick(at time: Int64, _ view: some ReplicaView) throws -> [Action] {
    guard !isClosed else { return [] }
    var out: [Action] = []
    advance(to: time)
    do {
      guard now - lastReceived < options.timeout else {
        throw SyncError(.timeout, "nothing came from the peer in \(options.timeout / 1_000) s")
      }
      try expectWhatIsOwed()
      try proceed(view, &out)
    } catch let error as SyncError {
      close(error, &out)
    }
    if !isClosed, now - lastSent >= options.pingInterval { send(.ping, &out) }
    return out
  }

  /// The channel ended, or the driver's side failed: lets go of what was claimed.
  public mutating func abandon() {
    isClosed = true
    plan.remove(number)
  }

  /// Ends the session in good order.
  public mutating func finish() -> [Action] {
    guard !isClosed else { return [] }
    var out: [Action] = []
    close(nil, &out)
    return out
  }

  // MARK: Common

  mutating func send(_ message: SyncMessage, _ out: inout [Action]) {
    let bytes = message.encode()
    report.messagesSent += 1
    report.bytesSent += bytes.count
    lastSent = now
    out.append(.send(bytes))
  }

  mutating func close(_ error: SyncError?, _ out: inout [Action]) {
    guard !isClosed else { return }
    if error?.code != .remote { send(.bye(error?.code.rawValue ?? 0), &out) }
    abandon()
    out.append(.close(error))
  }

  /// Ends the session with a peer that gives signs of life, and nothing of what it was asked for and may send.
  ///
  /// Only operations are owed at once. An answer in a comparison may have to wait for what the peer fetches from others.
  private mutating func expectWhatIsOwed() throws(SyncError) {
    let isOwed =
      (!asked.isEmpty || !askedIDs.isEmpty || isStreaming) && allowance > 0 && delivering.isEmpty
    guard isOwed else {
      owedSince = nil
      return
    }
    let since = owedSince ?? now
    owedSince = since
    guard now - since < 2 * options.timeout else {
      throw SyncError(
        .timeout,
        "nothing of what the peer was asked for came in \(2 * options.timeout / 1_000) s")
    }
  }

  private mutating func advance(to time: Int64) {
    now = max(now, time)
    let seconds = (now - budgetAt) / 1_000
    guard seconds > 0 else { return }
    budgetAt += seconds * 1_000
    idleBudget = min(
      SyncLimits.idleMessages,
      idleBudget + SyncLimits.idleMessagesPerSecond * Int(min(seconds, 1_000)))
  }
}
