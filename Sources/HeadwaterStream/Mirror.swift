import HeadwaterModel
import Synchronization

/// Keeps one sink in step with a source, through one adapter.
///
/// All progress is in the sink: a mirror may be stopped, killed and made anew at any time, and goes on where
/// the sink stands. Mirrors are independent of each other; one that halts stops nobody else. A mirror calls
/// its adapter from one task at a time.
public actor Mirror {
  /// How long `run(until:)` runs.
  public enum Goal: Sendable, Hashable {
    /// Until the sink holds everything that the source held when the run began.
    case head
    /// Until the task is cancelled.
    case forever
  }

  /// The name under which the sink's checkpoint is kept: a sink belongs to one mirror.
  public nonisolated let name: String
  /// The sink's URL, as reports show it.
  public nonisolated let sink: String
  let source: any ChangeSource
  let adapter: any Adapter
  let options: MirrorOptions
  private let environment: MirrorEnvironment
  private let progress: (@Sendable (MirrorProgress) -> Void)?

  private var machine: MirrorMachine
  private var isRunning = false
  /// Whether what runs only brings the sink up to date for a caller, who did not ask for a run.
  private var isCatchingUp = false
  /// The next page of a snapshot, read while the one before it was applied.
  private var ahead: ReadAhead?
  /// The batch of the last page, to be let go while the next one is applied.
  private let spent = Spent()
  private var waiters: [Int: Waiter] = [:]
  private var nextWaiter = 0
  private var idling: Task<SourceError?, Never>?

  private var state = MirrorStatus.State.running
  private var reported: MirrorStatus?
  private var reportedAt: Duration?
  private var appliedAtReport = 0
  private var applied = 0
  private var rate = 0.0
  private var head: Int64?

  private struct ReadAhead {
    let after: RowPosition?
    let limit: Int
    let page: MirrorMachine.Event
  }

  /// A batch to be let go by whoever has the time: its rows are some ten thousand small objects.
  private final class Spent: Sendable {
    private let batch = Mutex<ChangeBatch?>(nil)

    func keep(_ new: ChangeBatch) { batch.withLock { $0 = new } }

    func letGo() {
      // Out of the lock, because this is what takes the time.
      _ = batch.withLock { $0.take() }
    }
  }

  private struct Waiter {
    let target: Target
    let continuation: CheckedContinuation<Bool, Never>
  }

  private enum Target {
    case position(Int64)
    case rebuilt
    case never
  }

  /// A mirror that does nothing yet.
  ///
  /// - Parameters:
  ///   - sink: the sink's URL without any secret, for reports.
  ///   - progress: called after every batch and change of state, on the mirror's executor: return at once.
  public init(
    name: String, sink: String, source: any ChangeSource, adapter: any Adapter,
    options: MirrorOptions = MirrorOptions(), environment: MirrorEnvironment = .live,
    progress: (@Sendable (MirrorProgress) -> Void)? = nil
  ) {
    self.name = name
    self.sink = sink
    self.source = source
    self.adapter = adapter
    var options = options
    if let keeping = adapter as? any VersionKeeping, keeping.keepsVersions {
      options.mergesTransactions = false
    }
    self.options = options
    self.environment = environment
    self.progress = progress
    machine = MirrorMachine(name: name, options: options)
  }

  /// What the sink is known to hold; nil until the mirror has looked.
  public var checkpoint: Checkpoint? { machine.checkpoint }

  /// Mirrors until the goal is reached.
  ///
  /// Begins when a `synchronise()` or `rebuild()` that is under way in another task is done.
  ///
  /// - Throws: `MirrorError` where a person has to act; `CancellationError` when the task is cancelled, with the
  ///   batch under way finished or undone, as its adapter does it.
  public func run(until goal: Goal = .forever) async throws {
    let target: Target =
      switch goal {
      case .forever: .never
      case .head: .position(try await currentHead().position)
      }
    while isCatchingUp {
      await waitForRun(to: .never)
      try Task.checkCancellation()
    }
    try await drive(to: target)
  }

  /// Brings the sink to where the source is now, and returns what it then holds.
  ///
  /// While the mirror runs in another task this only waits for that run to come so far, so it is the way to
  /// read one's own writes in a sink.
  ///
  /// - Throws: as `run(until:)`.
  public func synchronise() async throws -> Checkpoint {
    try await reach(.position(try await currentHead().position))
  }

  /// Fills a new generation from the source's rows, beside the published one, and publishes it.
  ///
  /// - Returns: what the sink then holds.
  /// - Throws: as `run(until:)`.
  public func rebuild() async throws -> Checkpoint {
    machine.requestRebuild()
    idling?.cancel()
    return try await reach(.rebuilt)
  }

  // MARK: - Running

  private func currentHead() async throws -> SourceHead {
    do throws(SourceError) {
      let head = try await source.head()
      self.head = head.position
      return head
    } catch {
      throw MirrorError(.source, error.message, cause: error)
    }
  }

  private func reach(_ target: Target) async throws -> Checkpoint {
    while true {
      if isRunning {
        if !isReached(target) { await waitForRun(to: target) }
      } else {
        isCatchingUp = true
        defer { isCatchingUp = false }
        try await drive(to: target)
      }
      try Task.checkCancellation()
      if isReached(target), let checkpoint = machine.standing { return checkpoint }
    }
  }

  private func isReached(_ target: Target) -> Bool {
    guard let standing = machine.standing, standing.isPublished, !machine.mustRebuild else {
      return false
    }
    switch target {
    case .position(let position): return standing.position >= position
    case .rebuilt: return true
    case .never: return false
    }
  }

  /// Returns when the run in another task reaches the target or ends, or this task is cancelled.
  private func waitForRun(to target: Target) async {
    let id = nextWaiter
    nextWaiter += 1
    _ = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if Task.isCancelled {
          continuation.resume(returning: false)
        } else {
          waiters[id] = Waiter(target: target, continuation: continuation)
        }
      }
    } onCancel: {
      Task { await self.wake(id) }
    }
  }

  private func wake(_ id: Int) {
    waiters.removeValue(forKey: id)?.continuation.resume(returning: false)
  }

  private func wakeWaiters(all: Bool) {
    for (id, waiter) in waiters where all || isReached(waiter.target) {
      waiters[id] = nil
      waiter.continuation.resume(returning: true)
    }
  }

  private func drive(to target: Target) async throws {
    try begin()
    defer { end() }
    machine.restart()
    ahead = nil
    do {
      while true {
        try Task.checkCancellation()
        if isReached(target) { break }
        try await perform(machine.next())
      }
    } catch let error as MirrorError {
      await report(.halted, force: true)
      throw error
    } catch {
      await report(.idle, force: true)
      throw error
    }
    await report(.idle, force: true)
  }

  /// Takes the adapter for one task. Balance with `end()`.
  func begin() throws {
    guard !isRunning else {
      throw MirrorError(
        .alreadyRunning,
        "The mirror \"\(name)\" is running in another task: wait for it, or cancel it.")
    }
    isRunning = true
  }

  func end() {
    isRunning = false
    spent.letGo()
    wakeWaiters(all: true)
  }

  private func perform(_ action: MirrorMachine.Action) async throws {
    switch action {
    case .readCheckpoint:
      await askAdapter { adapter throws(AdapterError) in .checkpoint(try await adapter.checkpoint())
      }
    case .recognise(let checkpoint):
      await askSource { source throws(SourceError) in
        .recognised(try await source.recognise(checkpoint))
      }
    case .readHead:
      await askSource { source throws(SourceError) in .head(try await source.head()) }
    case .readSchema(let hash):
      await askSource { source throws(SourceError) in .schema(try await source.schema(hash)) }
    case .readRows(let position, let limit):
      let early = ahead
      ahead = nil
      if let early, early.after == position, early.limit == limit {
        machine.receive(early.page)
      } else {
        machine.receive(await Mirror.page(of: source, after: position, limit: limit))
      }
    case .readTransactions(let position, let limit):
      let most = options.maximumTransaction
      await askSource { source throws(SourceError) in
        .transactions(
          try await source.transactions(after: position, limit: limit, maximumTransaction: most))
      }
    case .apply(let batch): await apply(batch)
    case .idle(let position): try await idle(after: position)
    case .pause(let attempt):
      await report(.retrying)
      try await environment.sleep(
        options.backoff.delay(attempt: attempt, random: environment.random()))
      machine.receive(.woken)
    case .halt(let error): throw error
    }
  }

  private func askAdapter(
    _ body: (any Adapter) async throws(AdapterError) -> MirrorMachine.Event
  ) async {
    do throws(AdapterError) {
      machine.receive(try await body(adapter))
    } catch {
      machine.receive(.adapterFailed(error))
    }
  }

  private func askSource(
    _ body: (any ChangeSource) async throws(SourceError) -> MirrorMachine.Event
  ) async {
    do throws(SourceError) {
      machine.receive(try await body(source))
    } catch {
      machine.receive(.sourceFailed(error))
    }
  }

  private static func page(
    of source: any ChangeSource, after position: RowPosition?, limit: Int, spent: Spent? = nil
  ) async -> MirrorMachine.Event {
    spent?.letGo()
    do throws(SourceError) {
      return .rows(try await source.rows(after: position, limit: limit))
    } catch {
      return .sourceFailed(error)
    }
  }

  private func apply(_ batch: ChangeBatch) async {
    let failure: AdapterError?
    if let (position, limit) = machine.nextRows {
      // Source and sink work at the same time.
      async let page = Mirror.page(of: source, after: position, limit: limit, spent: spent)
      failure = await Mirror.failure(of: batch, on: adapter)
      ahead = ReadAhead(after: position, limit: limit, page: await page)
      spent.keep(batch)
    } else {
      spent.letGo()
      failure = await Mirror.failure(of: batch, on: adapter)
    }
    if let failure {
      ahead = nil
      return machine.receive(.adapterFailed(failure))
    }
    applied += batch.steps.count
    machine.receive(.applied)
    wakeWaiters(all: false)
    // A new generation moves what the source has to keep, so it hears of that at once.
    let isTurn = batch.previous?.isPublished != batch.checkpoint.isPublished
    await report(.running, force: isTurn)
  }

  private static func failure(of batch: ChangeBatch, on adapter: any Adapter) async
    -> AdapterError?
  {
    do throws(AdapterError) {
      try await adapter.apply(batch)
      return nil
    } catch {
      return error
    }
  }

  private func idle(after position: Int64) async throws {
    wakeWaiters(all: false)
    let isTold = await report(.idle)
    if machine.mustRebuild { return machine.receive(.woken) }
    // A state that could not be reported yet is reported as soon as that is allowed.
    let timeout = isTold ? options.idleTimeout : min(options.reportInterval, options.idleTimeout)
    let source = self.source
    let waiting = Task { () -> SourceError? in
      do throws(SourceError) {
        try await source.waitForEvents(after: position, timeout: timeout)
        return nil
      } catch {
        return error
      }
    }
    idling = waiting
    let error = await withTaskCancellationHandler {
      await waiting.value
    } onCancel: {
      waiting.cancel()
    }
    idling = nil
    try Task.checkCancellation()
    if let error { machine.receive(.sourceFailed(error)) } else { machine.receive(.woken) }
  }

  // MARK: - Reporting

  /// Tells whoever watches, and, if it is time, the source. A report that is lost stops nothing.
  ///
  /// - Returns: whether the source knows of the state.
  @discardableResult
  private func report(_ newState: MirrorStatus.State, force: Bool = false) async -> Bool {
    let isNews =
      newState != state && (newState == .retrying || newState == .halted || state == .retrying)
    state = newState
    let checkpoint = machine.checkpoint
    head = max(machine.headPosition ?? 0, head ?? 0)
    let now = environment.now()
    let isDue = reportedAt.map { now - $0 >= options.reportInterval } ?? true
    if force || isNews || isDue {
      if let since = reportedAt {
        let seconds = (now - since) / .seconds(1)
        if seconds >= 0.05 {
          rate = Double(applied - appliedAtReport) / seconds
          appliedAtReport = applied
        }
      }
      reportedAt = now
      let status = MirrorStatus(
        name: name, sink: sink, state: newState, position: checkpoint?.position, rate: rate,
        error: machine.note)
      do throws(SourceError) {
        try await source.report(status)
        reported = status
        head = try await source.head().position
      } catch {
        // The next report tells more.
      }
    }
    progress?(
      MirrorProgress(
        state: newState, stage: stage(of: checkpoint), generation: checkpoint?.generation,
        position: checkpoint?.position, head: head, applied: applied, rate: rate,
        note: machine.note))
    return reported?.state == newState && reported?.position == checkpoint?.position
  }

  private func stage(of checkpoint: Checkpoint?) -> MirrorProgress.Stage {
    switch checkpoint?.phase {
    case nil: .starting
    case .snapshot(_, .rows): .filling
    case .snapshot(_, .catchingUp): .catchingUp
    case .tail: .following
    }
  }
}
