import AdapterContract
import HeadwaterMemory
import HeadwaterModel
import Synchronization
import Testing

@testable import HeadwaterStream

@Suite(.timeLimit(.minutes(10))) struct MirrorTests {
  private func mirror(
    _ source: ScriptedSource, _ adapter: any Adapter, options: MirrorOptions = MirrorOptions(),
    time: ManualTime? = nil, progress: (@Sendable (MirrorProgress) -> Void)? = nil
  ) -> Mirror {
    Mirror(
      name: "m", sink: "memory:", source: source, adapter: adapter, options: options,
      environment: time?.environment ?? .live, progress: progress)
  }

  private func expectEqual(_ adapter: MemoryAdapter, _ source: ScriptedSource) {
    let rows = adapter.snapshot()?["Note"]?.rows().map(\.row)
    #expect(rows == source.visibleRows(of: 0))
  }

  @Test func `retries with growing delays, and tells the source`() async throws {
    let time = ManualTime()
    let source = Fixture.source(rows: 3)
    let memory = MemoryAdapter()
    let adapter = FaultyAdapter(memory) { number, _ in
      number < 4
        ? .failBefore(AdapterError(.unavailable, "The sink restarts.", recovery: .retry)) : .none
    }
    _ = try await mirror(source, adapter, time: time).synchronise()
    #expect(time.sleeps == [50, 100, 200, 400].map { .milliseconds($0) })
    #expect(source.statuses.contains { $0.state == .retrying && $0.error == "The sink restarts." })
    #expect(source.statuses.last?.state == .idle && source.statuses.last?.position == 3)
    expectEqual(memory, source)
  }

  @Test func `halts with the adapter's error, and tells the source`() async throws {
    let source = Fixture.source(rows: 3)
    let full = AdapterError(.full, "The disk is full: make room.", recovery: .halt)
    let adapter = FaultyAdapter(MemoryAdapter()) { number, _ in
      number == 1 ? .failBefore(full) : .none
    }
    let error = await #expect(throws: MirrorError.self) {
      _ = try await mirror(source, adapter).synchronise()
    }
    #expect(error?.code == .adapter && error?.message == full.message)
    #expect(source.statuses.last?.state == .halted && source.statuses.last?.error == full.message)
  }

  @Test func `reports at most once a second, except turns`() async throws {
    let time = ManualTime()
    let source = Fixture.source()
    let mirror = mirror(source, MemoryAdapter(), time: time)
    _ = try await mirror.synchronise()
    let before = source.statuses.count
    for id in 0..<100 {
      source.commit([Fixture.put(id)])
      time.advance(by: .milliseconds(1))
    }
    _ = try await mirror.run(until: .head)
    #expect(source.statuses.count - before <= 2)
  }

  @Test func `a lost report stops nothing`() async throws {
    let source = Fixture.source(rows: 3)
    let memory = MemoryAdapter()
    let deaf = DeafSource(source)
    let mirror = Mirror(name: "m", sink: "memory:", source: deaf, adapter: memory)
    _ = try await mirror.synchronise()
    expectEqual(memory, source)
  }

  @Test func `runs until cancelled, and others wait for it to catch up`() async throws {
    let source = Fixture.source(rows: 5)
    let memory = MemoryAdapter()
    let mirror = mirror(source, memory)
    let running = Task { try await mirror.run() }
    for id in 5..<15 {
      source.commit([Fixture.put(id, "written")])
      let checkpoint = try await mirror.synchronise()
      #expect(checkpoint.position >= Int64(id) + 1)
      #expect(memory.row("Note", Fixture.key(id))?.text("text") == "written")
    }
    let rebuilt = try await mirror.rebuild()
    #expect(rebuilt.generation == 2)
    running.cancel()
    await #expect(throws: CancellationError.self) { try await running.value }
    expectEqual(memory, source)
    source.commit([Fixture.delete(3)])
    _ = try await mirror.synchronise()
    expectEqual(memory, source)
  }

  @Test func `a run begins when a task that only catches up is done`() async throws {
    let source = Fixture.source(rows: 5)
    let gate = GatedAdapter()
    let mirror = mirror(source, gate)
    let catchingUp = Task { try await mirror.synchronise() }
    await gate.reached()
    let running = Task { try await mirror.run() }
    // Far enough for the run to find the mirror taken.
    for _ in 0..<1_000 { await Task.yield() }
    await gate.open()
    _ = try await catchingUp.value
    source.commit([Fixture.put(7, "written")])
    _ = try await mirror.synchronise()
    #expect(gate.base.row("Note", Fixture.key(7))?.text("text") == "written")
    running.cancel()
    await #expect(throws: CancellationError.self) { try await running.value }
  }

  @Test func `runs once at a time`() async throws {
    let source = Fixture.source(rows: 1)
    let mirror = mirror(source, MemoryAdapter())
    let running = Task { try await mirror.run() }
    while source.statuses.isEmpty { await Task.yield() }
    let error = await #expect(throws: MirrorError.self) { try await mirror.run() }
    #expect(error?.code == .alreadyRunning)
    running.cancel()
    _ = try? await running.value
  }

  @Test func `shows its progress`() async throws {
    let stages = Mutex<[MirrorProgress.Stage]>([])
    var options = MirrorOptions()
    options.initialPage = 2
    options.maximumPage = 2
    let mirror = mirror(Fixture.source(rows: 6), MemoryAdapter(), options: options) { progress in
      stages.withLock { if $0.last != progress.stage { $0.append(progress.stage) } }
    }
    _ = try await mirror.synchronise()
    #expect(stages.withLock { $0 } == [.filling, .catchingUp, .following])
  }

  @Test func `a source that comes and goes is tried again`() async throws {
    let time = ManualTime()
    let source = Fixture.source(rows: 3)
    let memory = MemoryAdapter()
    let mirror = Mirror(
      name: "m", sink: "memory:", source: FlakySource(source), adapter: memory,
      environment: time.environment)
    _ = try await mirror.synchronise()
    #expect(!time.sleeps.isEmpty)
    expectEqual(memory, source)
  }
}

/// A source that takes no reports.
final class DeafSource: ChangeSource {
  let base: ScriptedSource
  init(_ base: ScriptedSource) { self.base = base }
  func head() async throws(SourceError) -> SourceHead { try await base.head() }
  func recognise(_ checkpoint: Checkpoint) async throws(SourceError) -> Recognition {
    try await base.recognise(checkpoint)
  }
  func transactions(after position: Int64, limit: Int, maximumTransaction: Int)
    async throws(SourceError) -> TransactionPage
  {
    try await base.transactions(
      after: position, limit: limit, maximumTransaction: maximumTransaction)
  }
  func rows(after position: RowPosition?, limit: Int) async throws(SourceError) -> RowPage {
    try await base.rows(after: position, limit: limit)
  }
  func schema(_ hash: Digest) async throws(SourceError) -> Schema? { try await base.schema(hash) }
  func waitForEvents(after position: Int64, timeout: Duration) async throws(SourceError) {
    try await base.waitForEvents(after: position, timeout: timeout)
  }
  func report(_ status: MirrorStatus) async throws(SourceError) {
    throw SourceError("Nobody listens.")
  }
}

/// An adapter in memory whose first call waits until it is let through.
actor GatedAdapter: Adapter {
  nonisolated let base = MemoryAdapter()
  private var isOpen = false
  private var isReached = false
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private var watching: [CheckedContinuation<Void, Never>] = []

  /// Returns when somebody waits at the gate.
  func reached() async {
    if !isReached { await withCheckedContinuation { watching.append($0) } }
  }

  func open() {
    isOpen = true
    for waiter in waiting { waiter.resume() }
    waiting = []
  }

  func checkpoint() async throws(AdapterError) -> Checkpoint? {
    isReached = true
    for watcher in watching { watcher.resume() }
    watching = []
    if !isOpen { await withCheckedContinuation { waiting.append($0) } }
    return try await base.checkpoint()
  }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) { try await base.apply(batch) }
}

/// A source of which every second call fails.
final class FlakySource: ChangeSource {
  let base: ScriptedSource
  private let calls = Mutex(0)
  init(_ base: ScriptedSource) { self.base = base }
  private func fail() throws(SourceError) {
    let number = calls.withLock { value in
      value += 1
      return value
    }
    if number % 2 == 0 { throw SourceError("The store is busy.", isTransient: true) }
  }
  func head() async throws(SourceError) -> SourceHead { try await base.head() }
  func recognise(_ checkpoint: Checkpoint) async throws(SourceError) -> Recognition {
    try fail()
    return try await base.recognise(checkpoint)
  }
  func transactions(after position: Int64, limit: Int, maximumTransaction: Int)
    async throws(SourceError) -> TransactionPage
  {
    try fail()
    return try await base.transactions(
      after: position, limit: limit, maximumTransaction: maximumTransaction)
  }
  func rows(after position: RowPosition?, limit: Int) async throws(SourceError) -> RowPage {
    try fail()
    return try await base.rows(after: position, limit: limit)
  }
  func schema(_ hash: Digest) async throws(SourceError) -> Schema? {
    try fail()
    return try await base.schema(hash)
  }
  func waitForEvents(after position: Int64, timeout: Duration) async throws(SourceError) {
    try await base.waitForEvents(after: position, timeout: timeout)
  }
  func report(_ status: MirrorStatus) async throws(SourceError) { try await base.report(status) }
}
