import HeadwaterLog
import HeadwaterModel
import HeadwaterStore
import HeadwaterSync
import Synchronization

/// Drives one session: between the channel, the store, and the clock. Runs once.
///
/// One loop steps the machine; beside it run a reader, which waits until what it read was handled, a writer, and one
/// who has operations admitted. What is queued is bounded by credit and by what the peer leaves unread.
final class SyncConnection: Sendable {
  private enum Event: Sendable {
    case message([UInt8])
    /// The channel ended, in good order if there is no error.
    case ended(ChannelError?)
    case sent(Int)
    /// Nothing is left to send.
    case allSent
    /// Nothing more can be sent. What the peer said before may be on its way yet, so the reader ends the session.
    case unsendable(ChannelError)
    case delivered(Session.Outcome)
    /// The same of what had waited for operations that came by another way.
    case released(Session.Outcome)
    case announce([Digest])
    case tick
    case failed(String)
    /// Whoever waits for the session wants it to end.
    case cancelled
  }

  /// What the one who looks through what came is to look at next.
  private enum Arrival: Sendable {
    case submission(Inbox.Submission, malformed: Int)
    /// These entered the store, perhaps by another way; nil where they are too many to be named, or were perhaps
    /// overlooked.
    case entered([Digest]?)
  }

  /// While more than so many bytes wait to be sent, nothing is read.
  private static let unsentBytes = 8 << 20

  /// How many ticks a peer has to take what is sent last, and to end when nothing can be sent to it any more.
  private static let ticksToSend = 10

  private let store: Store
  private let plan: FetchPlan
  private let channel: any Channel
  private let options: Session.Options
  private let clock = ContinuousClock()
  /// One for all sessions: their plan compares what one did with the time of another.
  private static let begin = ContinuousClock.now
  /// Whether what waits is to be looked for at the next tick, all of it: so that nobody can make us do that for each
  /// commit.
  private let mustLookAgain = Atomic(false)

  init(store: Store, plan: FetchPlan, channel: any Channel, options: Session.Options) {
    self.store = store
    self.plan = plan
    self.channel = channel
    self.options = options
  }

  /// In milliseconds.
  var now: Int64 {
    let (seconds, attoseconds) = Self.begin.duration(to: clock.now).components
    return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
  }

  private func seconds(since start: ContinuousClock.Instant) -> Double {
    let (seconds, attoseconds) = start.duration(to: clock.now).components
    return Double(seconds) + Double(attoseconds) / 1e18
  }

  /// Runs the session to its end. When the task is cancelled the peer is told.
  func run() async throws(SyncError) -> Session.Report {
    let (events, event) = AsyncStream.makeStream(of: Event.self)
    let session = Task { await self.run(events, event) }
    let (report, error) = await withTaskCancellationHandler {
      await session.value
    } onCancel: {
      event.yield(.cancelled)
    }
    if let error { throw error }
    return report
  }

  private func run(_ events: AsyncStream<Event>, _ event: AsyncStream<Event>.Continuation) async
    -> (Session.Report, SyncError?)
  {
    let (handled, handle) = AsyncStream.makeStream(of: Void.self)
    let (outgoing, send) = AsyncStream.makeStream(of: [UInt8].self)
    let (batches, deliver) = AsyncStream.makeStream(of: Session.Batch.self)
    let (arrivals, arrival) = AsyncStream.makeStream(of: Arrival.self)
    let nonce = store.suite.randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    let session = Session(
      database: store.database, suite: store.suite.identifier, hasher: store.suite, plan: plan,
      nonce: nonce, now: now, options: options)
    // Looked at before the session tells its frontier: what is written in between is announced, if need be for nothing.
    let last = try? await store.read { $0.lastNumber }
    return await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.read(event, handled) }
      group.addTask { await self.write(outgoing, event) }
      group.addTask { await self.admit(batches, arrivals, arrival, event) }
      group.addTask { await self.watch(event, arrival, after: last) }
      group.addTask {
        while !Task.isCancelled {
          try? await self.clock.sleep(for: .milliseconds(500))
          event.yield(.tick)
          if self.mustLookAgain.exchange(false, ordering: .relaxed) { arrival.yield(.entered(nil)) }
        }
      }
      let result = await self.loop(session, events, handle, send, deliver)
      // What is to be sent goes first; then the channel ends, and with it the reader.
      send.finish()
      deliver.finish()
      var ticks = 0
      wait: for await last in events {
        switch last {
        case .ended, .failed, .allSent: break wait
        case .tick:
          ticks += 1
          if ticks > SyncConnection.ticksToSend { break wait }
        default: break
        }
      }
      await channel.close()
      handle.finish()
      event.finish()
      group.cancelAll()
      return result
    }
  }

  // MARK: The loop

  /// The session, which takes its steps where the store is read, one after another. Handing it there and back would copy
  /// what it remembers each time.
  private final class Held: Sendable {
    private let session: Mutex<Session>

    init(_ session: Session) { self.session = Mutex(session) }

    var report: Session.Report { session.withLock { $0.report } }
    func abandon() { session.withLock { $0.abandon() } }
    func finish() -> [Session.Action] { session.withLock { $0.finish() } }

    func withLock(_ body: (inout Session) throws -> [Session.Action]) rethrows -> [Session.Action] {
      try session.withLock { try body(&$0) }
    }
  }

  private func loop(
    _ session: Session, _ events: AsyncStream<Event>, _ handled: AsyncStream<Void>.Continuation,
    _ send: AsyncStream<[UInt8]>.Continuation, _ deliver: AsyncStream<Session.Batch>.Continuation
  ) async -> (Session.Report, SyncError?) {
    let session = Held(session)
    var unsent = 0
    var isOwed = false
    var unsendable: ChannelError?
    var ticksUnsendable = 0
    func perform(_ actions: [Session.Action]) -> SyncError?? {
      for action in actions {
        switch action {
        case .send(let bytes):
          guard unsendable == nil else { continue }
          unsent += bytes.count
          send.yield(bytes)
        case .deliver(let batch): deliver.yield(batch)
        case .inSync: break
        case .close(let error): return .some(error)
        }
      }
      return nil
    }
    func step(
      _ body: @escaping @Sendable (inout Session, SnapshotView) throws -> [Session.Action]
    ) async -> SyncError?? {
      do {
        return perform(
          try await store.read { snapshot in
            try session.withLock { try body(&$0, SnapshotView(snapshot)) }
          })
      } catch {
        session.abandon()
        return .some(SyncError(.storage, "the store cannot be read: \(error)"))
      }
    }
    if let end = await step({ try $0.start($1) }) { return (session.report, end) }
    for await event in events {
      let now = now
      var end: SyncError??
      switch event {
      case .message(let bytes):
        end = await step { try $0.receive(bytes, at: now, $1) }
        isOwed = true
      case .ended(let error):
        // Where something could not be sent the channel has failed, and the peer may have been done by then.
        let isWhole =
          session.report.isInSync && (error == nil || (unsendable != nil && error?.code == .closed))
        let why = error ?? unsendable
        session.abandon()
        return (
          session.report,
          isWhole ? nil : SyncError(.remote, why?.message ?? "the peer left before the end")
        )
      case .sent(let count): unsent -= count
      case .allSent: break
      case .unsendable(let error):
        unsendable = error
        unsent = 0
      case .delivered(let outcome): end = await step { try $0.delivered(outcome, at: now, $1) }
      case .released(let outcome): end = await step { try $0.released(outcome, at: now, $1) }
      case .announce(let ids): end = await step { try $0.announce(ids, at: now, $1) }
      case .cancelled:
        _ = perform(session.finish())
        return (session.report, nil)
      case .tick:
        if let unsendable {
          ticksUnsendable += 1
          if ticksUnsendable > SyncConnection.ticksToSend {
            session.abandon()
            return (session.report, SyncError(.remote, unsendable.message))
          }
        }
        end = await step { try $0.tick(at: now, $1) }
      case .failed(let why):
        session.abandon()
        return (session.report, SyncError(.storage, why))
      }
      if let end { return (session.report, end) }
      if isOwed, unsent < SyncConnection.unsentBytes {
        isOwed = false
        handled.yield()
      }
    }
    session.abandon()
    return (session.report, SyncError(.remote, "the session was ended"))
  }

  // MARK: Beside it

  private func read(_ event: AsyncStream<Event>.Continuation, _ handled: AsyncStream<Void>) async {
    var handled = handled.makeAsyncIterator()
    do throws(ChannelError) {
      while let bytes = try await channel.receive() {
        event.yield(.message(PackedMessage.unpack(bytes)))
        guard await handled.next() != nil else { return }
      }
      event.yield(.ended(nil))
    } catch {
      event.yield(.ended(error))
    }
  }

  private func write(_ outgoing: AsyncStream<[UInt8]>, _ event: AsyncStream<Event>.Continuation)
    async
  {
    var choice = PackingChoice()
    do throws(ChannelError) {
      for await bytes in outgoing {
        var message = bytes
        if PackedMessage.mayPack(bytes), choice.next() {
          let start = clock.now
          message = PackedMessage.pack(bytes)
          choice.packed(bytes.count, to: message.count, in: seconds(since: start))
        }
        let start = clock.now
        try await channel.send(message)
        choice.sent(message.count, in: seconds(since: start))
        event.yield(.sent(bytes.count))
      }
    } catch {
      event.yield(.unsendable(error))
      for await _ in outgoing {}
    }
    event.yield(.allSent)
  }

  private func admit(
    _ batches: AsyncStream<Session.Batch>, _ arrivals: AsyncStream<Arrival>,
    _ arrival: AsyncStream<Arrival>.Continuation, _ event: AsyncStream<Event>.Continuation
  ) async {
    // Batches are verified while others are admitted, and looked through while the next ones are; how many there can be
    // is a matter of credit.
    let suite = store.suite
    let inbox = Inbox(store)
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        for await batch in batches {
          var operations: [SignedOperation] = []
          var ids: [Digest] = []
          operations.reserveCapacity(batch.operations.count)
          ids.reserveCapacity(batch.operations.count)
          for (index, encoded) in batch.operations.enumerated() {
            guard let operation = try? SignedOperation.decode(encoded) else { continue }
            operations.append(operation)
            if batch.ids.indices.contains(index) { ids.append(batch.ids[index]) }
          }
          let witnesses = batch.witnesses.compactMap { try? SignedOperation.decode($0) }
          let malformed =
            batch.operations.count - operations.count + batch.witnesses.count - witnesses.count
          let verified = await VerifiedOperations(
            operations, ids: ids.count == operations.count ? ids : [], witnesses: witnesses,
            suite: suite)
          arrival.yield(.submission(inbox.submit(verified), malformed: malformed))
        }
        arrival.finish()
      }
      do {
        for await next in arrivals {
          switch next {
          case .submission(let submission, let malformed):
            let report = try await inbox.report(submission)
            var outcome = Session.Outcome(report, missing: await inbox.wanted)
            outcome.rejected += malformed
            event.yield(.delivered(outcome))
            // What one of these waits for may have come before the room knew of it.
            if await inbox.waiting > 0 { mustLookAgain.store(true, ordering: .relaxed) }
          case .entered(let ids):
            guard await inbox.waiting > 0 else { continue }
            let report =
              if let ids { try await inbox.retry(after: ids) } else { try await inbox.retry() }
            guard !report.isEmpty else { continue }
            event.yield(.released(Session.Outcome(report, missing: await inbox.wanted)))
          }
        }
      } catch {
        event.yield(.failed("the store cannot take operations: \(error)"))
      }
      group.cancelAll()
    }
  }

  /// Tells the session what enters the store, and has offered again what may have waited for it.
  ///
  /// - Parameter first: the local number of the last operation that is known; nil where the store could not be read.
  private func watch(
    _ event: AsyncStream<Event>.Continuation, _ arrival: AsyncStream<Arrival>.Continuation,
    after first: Int64?
  ) async {
    guard var last = first else {
      event.yield(.failed("the store cannot be read"))
      return
    }
    do {
      while !Task.isCancelled {
        try await store.waitForOperations(after: last, timeout: .seconds(10))
        let seen = last
        // More than a session pushes at once are for it to find by a round: their ids are of no use.
        let (ids, next) = try await store.read { snapshot in
          let (ids, _) = try snapshot.ids(after: seen, limit: SyncLimits.pushed + 1)
          return (ids, snapshot.lastNumber)
        }
        last = next
        guard !ids.isEmpty else { continue }
        event.yield(.announce(ids))
        if ids.count > SyncLimits.pushed {
          mustLookAgain.store(true, ordering: .relaxed)
        } else {
          arrival.yield(.entered(ids))
        }
      }
    } catch {
      if !Task.isCancelled { event.yield(.failed("the store cannot be read: \(error)")) }
    }
  }
}

extension Session.Outcome {
  /// What an inbox reports, and what it waits for.
  init(_ report: Inbox.Report, missing: [Digest]) {
    self.init()
    admitted = report.admitted.map(\.id)
    known = report.known
    waiting = report.waiting
    evicted = report.evicted
    rejected = report.rejected.count
    self.missing = missing
  }
}
