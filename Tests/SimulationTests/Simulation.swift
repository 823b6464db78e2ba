import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync

/// Replicas on a network of one process: a seed decides everything, time included.
///
/// Connections are made between random replicas, deliver in order after random delays, and are cut: sometimes both
/// sides notice, sometimes one goes on waiting. Replicas write, admit what comes after a while, and die and come back
/// with what is on their disk. After `calm` nobody writes, dies or is cut off any more.
final class Simulation {
  struct Settings {
    var replicas = 4
    var duration: Int64 = 60_000
    var writesPerSecond = 1.0
    /// How long a message takes at least and at most, in milliseconds.
    var delay: ClosedRange<Int64> = 1...200
    var cutsPerSecond = 0.1
    var deathsPerSecond = 0.02
    /// How many peers each replica connects to.
    var degree = 2
    /// Whether connections go on when both sides have the same.
    var isLive = true
    /// Whether connections are given up now and then for others, and some replicas are slow.
    var rotates = true
    var slows = true
    /// Nobody writes before that; what is counted begins then.
    var settles: Int64 = 0
    /// Seconds for which the replicas are in two halves that do not reach each other.
    var partition: Range<Int64>?
  }

  /// What somebody does who does not keep to the protocol.
  enum Malice: CaseIterable {
    case silent, garbage, mutates, wrongDatabase, floods, endlessRanges, badSignatures, repeats,
      withholds, forgesParents, equivocates, asksForEver, signsBadly
  }

  /// One end of a connection.
  private final class End {
    let replica: Int
    let peer: Int
    var session: Session
    weak var other: End?
    var isOpen = true
    var malice: Malice?
    /// When the last message that is on the way arrives.
    var arrives: Int64 = 0
    var pendingBatches: [Session.Batch] = []
    var isDelivering = false
    var error: SyncError?
    var messages = 0

    init(replica: Int, peer: Int, session: Session) {
      self.replica = replica
      self.peer = peer
      self.session = session
    }
  }

  private enum Event {
    case input(End, Input)
    case admit(End)
    case cut(End)
    case connect(Int)
    case write
    case failure
    case death
    case mischief(End)
    case tick
  }

  private struct Scheduled {
    let time: Int64
    let sequence: Int
    let event: Event
  }

  let settings: Settings
  let replicas: [any Replica]
  private var random: Seeded
  private var queue: [Scheduled] = []
  private var sequence = 0
  private(set) var now: Int64 = 0
  private var ends: [[End]]
  private var plans: [FetchPlan]
  private var malice: [Int: Malice]
  private var isCalm = false

  // What is measured.
  private(set) var messages = 0
  private(set) var bytes = 0
  private(set) var messagesWhileWriting = 0
  private(set) var bytesWhileWriting = 0
  /// Operations that were sent, each as often as it was.
  private(set) var operationsPushed = 0
  private(set) var written: [Digest: Int64] = [:]
  private(set) var operationsSent = 0
  private(set) var repeated = 0
  private(set) var admitted = 0
  /// Errors of honest ends, by whether the peer was honest.
  private(set) var blamed: [(honestPeer: Bool, error: SyncError)] = []
  private(set) var connections = 0
  /// Operations that an attacker made up and sent.
  private(set) var forged = 0
  /// How many replicas admitted an operation from a peer, and when the last of them did.
  private(set) var arrivals: [Digest: (count: Int, last: Int64)] = [:]

  init(
    seed: UInt64, _ settings: Settings, replicas: [any Replica], malice: [Int: Malice] = [:]
  ) {
    random = Seeded(seed)
    self.settings = settings
    self.replicas = replicas
    self.malice = malice
    ends = replicas.map { _ in [] }
    plans = replicas.map { _ in FetchPlan() }
  }

  var honest: [Int] { replicas.indices.filter { malice[$0] == nil } }

  /// In how many parts the replicas are that no open connections join: in one, if all can hear of everything.
  var parts: Int {
    var rest = Set(replicas.indices)
    var parts = 0
    while let first = rest.popFirst() {
      parts += 1
      var queue = [first]
      while let next = queue.popLast() {
        for end in ends[next] where end.isOpen && rest.remove(end.peer) != nil {
          queue.append(end.peer)
        }
      }
    }
    return parts
  }

  // MARK: Time

  private func schedule(_ event: Event, in delay: Int64) { schedule(event, at: now + delay) }

  private func schedule(_ event: Event, at time: Int64) {
    sequence += 1
    queue.append(Scheduled(time: time, sequence: sequence, event: event))
    var child = queue.count - 1
    while child > 0, before(queue[child], queue[(child - 1) / 2]) {
      queue.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private func before(_ a: Scheduled, _ b: Scheduled) -> Bool {
    a.time != b.time ? a.time < b.time : a.sequence < b.sequence
  }

  private func next() -> Scheduled? {
    guard let first = queue.first else { return nil }
    let last = queue.removeLast()
    guard !queue.isEmpty else { return first }
    queue[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < queue.count && before(queue[child], queue[least]) {
        least = child
      }
      guard least != parent else { return first }
      queue.swapAt(parent, least)
      parent = least
    }
  }

  private func interval(_ perSecond: Double) -> Int64 {
    max(1, Int64(Double.random(in: 0.1..<2, using: &random) * 1_000 / perSecond))
  }

  /// Runs until all honest replicas have the same and nothing is under way; false if that takes too long.
  func run() async throws -> Bool {
    for replica in replicas.indices { schedule(.connect(replica), in: Int64(replica)) }
    schedule(.tick, in: 500)
    if settings.writesPerSecond > 0 { schedule(.write, in: settings.settles + 1) }
    if settings.cutsPerSecond > 0 { schedule(.failure, in: interval(settings.cutsPerSecond)) }
    if settings.deathsPerSecond > 0 { schedule(.death, in: interval(settings.deathsPerSecond)) }
    let limit = settings.duration + 400_000
    while let event = next() {
      now = event.time
      if now > settings.duration { isCalm = true }
      guard now < limit else { return false }
      try await handle(event.event)
      if isCalm, case .tick = event.event, try await isConverged() { return true }
    }
    return false
  }

  private func isConverged() async throws -> Bool {
    var first: [Digest]?
    for index in honest {
      let frontier = try await replicas[index].frontier()
      if let first, first != frontier { return false }
      first = frontier
    }
    return true
  }

  // MARK: Connections

  private func connect(_ replica: Int) async throws {
    schedule(.connect(replica), in: Int64.random(in: 500...3_000, using: &random))
    guard replicas.count > 1 else { return }
    let open = ends[replica].filter(\.isOpen)
    if open.count >= settings.degree {
      // Now and then somebody else has a turn, or two halves of a network might never meet.
      guard settings.rotates, random.happens(0.1), let end = open.randomElement(using: &random)
      else { return }
      return await perform(end.session.finish(), end)
    }
    var peer = Int.random(in: 0..<replicas.count - 1, using: &random)
    if peer >= replica { peer += 1 }
    // Connected already, or cut off.
    guard !ends[replica].contains(where: { $0.isOpen && $0.peer == peer }) else { return }
    if let partition = settings.partition, partition.contains(now / 1_000), !isCalm,
      replica % 2 != peer % 2
    {
      return
    }
    connections += 1
    func end(_ replica: Int, _ peer: Int) -> End {
      var options = Session.Options()
      options.isLive = settings.isLive
      options.timeout = 20_000
      options.pingInterval = 5_000
      let isWrong = malice[replica] == .wrongDatabase
      let end = End(
        replica: replica, peer: peer,
        session: Session(
          database: isWrong ? CheapReplica.suite.hash([9]) : replicas[replica].database, suite: 1,
          hasher: CheapReplica.suite, plan: plans[replica], nonce: random.next(), now: now,
          options: options))
      end.malice = malice[replica]
      ends[replica].removeAll { !$0.isOpen }
      ends[replica].append(end)
      return end
    }
    let a = end(replica, peer)
    let b = end(peer, replica)
    a.other = b
    b.other = a
    for end in [a, b] {
      schedule(.input(end, .start), in: 1)
      if end.malice != nil { schedule(.mischief(end), in: interval(5)) }
    }
  }

  private func close(_ end: End) async {
    guard end.isOpen else { return }
    end.isOpen = false
    end.session.abandon()
    operationsSent += end.session.report.operationsSent
    repeated += end.session.report.repeated
    admitted += end.session.report.admitted
    await replicas[end.replica].forget(end.session.number)
  }

  private func send(_ bytes: [UInt8], from end: End) {
    messages += 1
    self.bytes += bytes.count
    if now > settings.settles, !isCalm {
      messagesWhileWriting += 1
      bytesWhileWriting += bytes.count
      if case .operations(let operations)? = try? SyncMessage.decode(bytes) {
        operationsPushed += operations.count
      }
    }
    guard let other = end.other else { return }
    var delay = Int64.random(in: settings.delay, using: &random)
    // Some replicas are slow.
    if settings.slows, !isCalm, end.replica % 5 == 3 { delay *= 5 }
    other.arrives = max(other.arrives, now + delay)
    schedule(.input(other, .message(bytes)), at: other.arrives)
  }

  private func perform(_ actions: [Session.Action], _ end: End) async {
    for action in actions {
      switch action {
      case .send(let bytes): corrupt(bytes, end)
      case .deliver(let batch):
        end.pendingBatches.append(batch)
        if !end.isDelivering {
          end.isDelivering = true
          schedule(.admit(end), in: Int64.random(in: 1...50, using: &random))
        }
      case .inSync: break
      case .close(let error):
        if end.malice == nil, let error {
          end.error = error
          blamed.append((malice[end.peer] == nil, error))
        }
        if let other = end.other {
          other.arrives = max(other.arrives, now + settings.delay.upperBound)
          schedule(.cut(other), at: other.arrives)
        }
        await close(end)
      }
    }
  }

  private func handle(_ event: Event) async throws {
    switch event {
    case .input(let end, let input):
      guard end.isOpen else { return }
      if end.malice == .silent, case .message = input { return }
      let (session, actions) = try await replicas[end.replica].step(end.session, input, at: now)
      end.session = session
      await perform(actions, end)
    case .admit(let end):
      guard end.isOpen, !end.pendingBatches.isEmpty else {
        end.isDelivering = false
        return
      }
      let batch = end.pendingBatches.removeFirst()
      let outcome = try await replicas[end.replica].deliver(batch, from: end.session.number)
      try await handle(.input(end, .delivered(outcome)))
      try await note(outcome.admitted, at: end.replica)
      end.isDelivering = end.isOpen && !end.pendingBatches.isEmpty
      if end.isDelivering { schedule(.admit(end), in: Int64.random(in: 1...50, using: &random)) }
    case .cut(let end): await close(end)
    case .connect(let replica): try await connect(replica)
    case .write:
      guard !isCalm else { return }
      schedule(.write, in: interval(settings.writesPerSecond))
      let replica = Int.random(in: 0..<replicas.count, using: &random)
      if let id = try await replicas[replica].write(&random) {
        if malice[replica] == nil { written[id] = now }
        try await announce([id], at: replica)
      }
    case .failure:
      guard !isCalm else { return }
      schedule(.failure, in: interval(settings.cutsPerSecond))
      guard let end = ends.flatMap({ $0 }).filter(\.isOpen).randomElement(using: &random) else {
        return
      }
      let other = end.other
      // What is on the way is lost. The other side may not notice.
      await close(end)
      if let other, random.happens(0.7) {
        schedule(.cut(other), in: Int64.random(in: 0...2_000, using: &random))
      }
    case .death:
      guard !isCalm else { return }
      schedule(.death, in: interval(settings.deathsPerSecond))
      let replica = Int.random(in: 0..<replicas.count, using: &random)
      for end in ends[replica] where end.isOpen {
        await close(end)
        if let other = end.other, random.happens(0.5) { schedule(.cut(other), in: 100) }
      }
      plans[replica] = FetchPlan()
      try await replicas[replica].restart()
    case .mischief(let end): try await mischief(end)
    case .tick:
      schedule(.tick, in: 500)
      for end in ends.flatMap({ $0 }) where end.isOpen { try await handle(.input(end, .tick)) }
    }
  }

  private func announce(_ ids: [Digest], at replica: Int) async throws {
    guard !ids.isEmpty else { return }
    for end in ends[replica] where end.isOpen { try await handle(.input(end, .announce(ids))) }
    // What others have sent may have waited for these.
    for end in ends[replica] where end.isOpen {
      guard let outcome = try await replicas[replica].retry(end.session.number) else { continue }
      try await handle(.input(end, .released(outcome)))
      try await note(outcome.admitted, at: replica)
    }
  }

  private func note(_ admitted: [Digest], at replica: Int) async throws {
    for id in admitted { arrivals[id] = ((arrivals[id]?.count ?? 0) + 1, now) }
    try await announce(admitted, at: replica)
  }

  // MARK: Malice

  private func corrupt(_ bytes: [UInt8], _ end: End) {
    end.messages += 1
    if end.malice == .withholds, case .operations? = try? SyncMessage.decode(bytes) { return }
    guard end.malice == .mutates, end.messages > 2, random.happens(0.3) else {
      if end.malice == .repeats, random.happens(0.2) { send(bytes, from: end) }
      return send(bytes, from: end)
    }
    send(Mutator.mutate(bytes, &random), from: end)
  }

  private func mischief(_ end: End) async throws {
    guard end.isOpen, let malice = end.malice else { return }
    schedule(.mischief(end), in: interval(5))
    switch malice {
    case .garbage:
      send(
        (0..<Int.random(in: 0...99, using: &random)).map { _ in .random(in: 0...255, using: &random)
        }, from: end)
    case .floods:
      for _ in 0..<500 { send(SyncMessage.ping.encode(), from: end) }
    case .endlessRanges:
      for _ in 0..<20 {
        send(
          SyncMessage.ranges(
            round: end.session.currentRound,
            RangeMessage([.init(upTo: .end, .fingerprint(count: 1 << 30, random.next()))])
          ).encode(), from: end)
      }
    case .badSignatures: try await sendForged(.badSignature, from: end)
    case .forgesParents: try await sendForged(.parents, from: end)
    case .equivocates:
      // Two operations of one author, neither of which knows the other: some peers get this one, some that.
      guard random.happens(0.2), !isCalm else { return }
      try await sendForged(.equivocation, from: end)
    case .signsBadly:
      guard random.happens(0.2), !isCalm else { return }
      try await sendForged(.vouched, from: end)
    case .asksForEver:
      send(SyncMessage.wantIDs([replicas[end.replica].database]).encode(), from: end)
    case .silent, .mutates, .wrongDatabase, .repeats, .withholds: break
    }
  }

  private func sendForged(_ forgery: Forgery, from end: End) async throws {
    guard let batch = try await replicas[end.replica].forge(forgery, &random) else { return }
    forged += 1
    let message =
      batch.witnesses.isEmpty
      ? SyncMessage.operations(batch.operations)
      : .witnessed(batch.operations, by: batch.witnesses)
    send(message.encode(), from: end)
  }
}

/// Changes bytes as an attacker or a bad line would.
enum Mutator {
  static func mutate(_ bytes: [UInt8], _ random: inout Seeded) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      guard !bytes.isEmpty else { return [UInt8.random(in: 0...255, using: &random)] }
      let at = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<7, using: &random) {
      case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2:
        bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...9, using: &random)))
      case 3:
        bytes.insert(
          contentsOf: (0..<Int.random(in: 1...9, using: &random)).map { _ in
            .random(in: 0...255, using: &random)
          }, at: at)
      case 4: bytes.removeLast(bytes.count - at)
      case 5:
        // A length or number of the largest kind.
        bytes.replaceSubrange(
          at..<at + 1,
          with: [[0x1B, 0x3B, 0x5B, 0x7B, 0x9B, 0xBB].randomElement(using: &random) ?? 0x1B]
            + [UInt8](repeating: [0, 0x7F, 0xFF].randomElement(using: &random) ?? 0, count: 8))
      default:
        let other = Int.random(in: 0..<bytes.count, using: &random)
        let length = min(Int.random(in: 1...16, using: &random), bytes.count - max(at, other))
        let piece = Array(bytes[at..<at + length])
        bytes.replaceSubrange(other..<other + length, with: piece)
      }
    }
    return bytes
  }
}
