import HeadwaterModel
import HeadwaterStream
import SQLiteDriver
import Synchronization

extension Store {
  /// The store as a source of changes for mirrors.
  public var changes: StoreSource { StoreSource(store: self) }
}

/// Reads a store's events and rows for mirrors, from the process that writes it or from any other.
public struct StoreSource: ChangeSource {
  let store: Store

  private func read<R: Sendable>(_ body: @escaping @Sendable (Snapshot) throws -> R)
    async
    throws(SourceError) -> R
  {
    do {
      return try await store.read(body)
    } catch let error as StoreError {
      throw SourceError(error.message, isTransient: error.code == .locked)
    } catch {
      throw SourceError("\(error)")
    }
  }

  public func head() async throws(SourceError) -> SourceHead { try await read { try $0.head() } }

  public func recognise(_ checkpoint: Checkpoint) async throws(SourceError) -> Recognition {
    try await read { try $0.recognise(checkpoint) }
  }

  public func transactions(after position: Int64, limit: Int, maximumTransaction: Int)
    async throws(SourceError) -> TransactionPage
  {
    try await read {
      try $0.transactions(after: position, limit: limit, maximumTransaction: maximumTransaction)
    }
  }

  public func rows(after position: RowPosition?, limit: Int) async throws(SourceError) -> RowPage {
    try await read { try $0.page(after: position, limit: limit) }
  }

  public func schema(_ hash: Digest) async throws(SourceError) -> Schema? {
    hash == store.schemaHash ? store.schema : nil
  }

  /// Writers of this process wake the wait at once; those of another are noticed within milliseconds, by polling.
  public func waitForEvents(after position: Int64, timeout: Duration) async throws(SourceError) {
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: timeout)
    var pause = Duration.milliseconds(2)
    while clock.now < deadline, !Task.isCancelled {
      let commits = store.waiters.withLock(\.commits)
      if try await read({ try $0.head().position }) > position { return }
      if store.writer != nil, !store.options.takesTurns {
        await store.waitForCommit(after: commits, until: deadline)
      } else {
        let wake = min(deadline, clock.now.advanced(by: pause))
        try? await clock.sleep(until: wake)
        pause = min(pause * 2, .milliseconds(20))
      }
    }
  }

  public func report(_ status: MirrorStatus) async throws(SourceError) {
    do {
      try await store.report(status)
    } catch {
      throw SourceError("\(error)", isTransient: true)
    }
  }
}

extension Store {
  /// Returns when this process has made more than `commits` commits, at the deadline, or when cancelled.
  func waitForCommit(after commits: UInt64, until deadline: ContinuousClock.Instant) async {
    let key = waiters.withLock { waiters in
      waiters.next += 1
      return waiters.next
    }
    let timer = Task { [weak self] in
      try? await ContinuousClock().sleep(until: deadline)
      self?.wake(key)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = waiters.withLock { waiters in
          // The timer may have fired before there was anybody to wake.
          if waiters.commits > commits || Task.isCancelled || ContinuousClock.now >= deadline {
            return true
          }
          waiters.continuations[key] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      wake(key)
    }
    timer.cancel()
  }

  private func wake(_ key: UInt64) {
    waiters.withLock { $0.continuations.removeValue(forKey: key) }?.resume()
  }

  /// Notes how a mirror is doing; from a process that only reads, over a connection of its own.
  func report(_ status: MirrorStatus) async throws {
    let now = options.clock()
    if let writer {
      try await writer.run { try Store.record(status, now: now, $0.db) }
    } else {
      let db = try Connection(path: path, mode: .readWrite)
      db.setBusyTimeout(milliseconds: 2_000)
      try Store.record(status, now: now, db)
    }
  }

  private static func record(_ status: MirrorStatus, now: Int64, _ db: Connection) throws {
    let statement = try db.cached(
      """
      INSERT INTO mirror (name, sink, state, position, rate, error, updated)
      VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (name) DO UPDATE SET sink = excluded.sink, state = excluded.state,
        position = coalesce(excluded.position, position), rate = excluded.rate,
        error = excluded.error, updated = excluded.updated
      """)
    statement.bind(1, status.name)
    statement.bind(2, status.sink)
    statement.bind(3, status.state.rawValue)
    statement.bind(4, status.position)
    statement.bind(5, status.rate)
    if let error = status.error { statement.bind(6, error) } else { statement.bindNull(6) }
    statement.bind(7, now)
    try statement.run()
  }
}
