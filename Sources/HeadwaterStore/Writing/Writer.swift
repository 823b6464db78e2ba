import Dispatch
import SQLiteDriver
import Synchronization

/// Runs jobs on the engine, one after another on a queue of its own, several to a commit.
///
/// Jobs that arrive while a commit is under way wait and share the next one (*group commit*). A job that
/// throws a refusal changes nothing and fails alone; if the storage fails, the whole commit is rolled back,
/// all its jobs fail, and the next one starts from a new engine.
final class Writer: @unchecked Sendable {
  // The engine and the connection are touched on `queue` only, and before the store is handed out.

  /// How many jobs share a commit at most.
  private static let jobsPerCommit = 1_024
  /// After how many nanoseconds of work a commit takes no more jobs.
  private static let nanosecondsPerCommit: UInt64 = 50_000_000

  /// After how many pages of the log it is copied into the file, beside the writer.
  private static let pagesPerCheckpoint = 6_000
  /// With so many pages the writer sees to it itself: only what is not written to meanwhile can be begun anew.
  private static let pagesPerRestart = 16_000

  private final class Job: @unchecked Sendable {
    // Touched by whoever makes it, then on `queue` only.
    private var body: (@Sendable (Engine) throws -> Void)?
    let finish: @Sendable ((any Error)?) -> Void

    init(
      _ body: @escaping @Sendable (Engine) throws -> Void,
      finish: @escaping @Sendable ((any Error)?) -> Void
    ) {
      self.body = body
      self.finish = finish
    }

    /// Once: what the body holds, a batch of operations perhaps, is let go by whoever waits for it, and not here.
    func run(_ engine: Engine) throws { try body.take()?(engine) }
  }

  private let queue = DispatchQueue(label: "headwater.store.writer")
  private let pending = Mutex<(jobs: [Job], isScheduled: Bool)>(([], false))
  private let path: String
  private var makeEngine: () throws -> Engine
  private var current: Engine?
  private var connection: Connection?
  private var lock: WriterLock?
  /// For how long to wait for the lock at each commit, in milliseconds; nil where it is kept.
  private let turns: Int?
  /// What SQLite says of the file's state after our last commit: others have written if it says something else.
  private var version: Int64?
  private let checkpoints = DispatchQueue(label: "headwater.store.checkpoint")
  /// Whether the log is being copied, and how long it was when that was begun last.
  private let checkpoint = Mutex<(isUnderWay: Bool, pages: Int)>((false, 0))
  private static let onQueue = DispatchSpecificKey<ObjectIdentifier>()
  /// Called after each commit, on the queue. Set once, before the store is handed out.
  var onCommit: @Sendable () -> Void = {}

  /// - Parameter turns: for how many milliseconds to wait for the lock before each commit, where several
  ///   processes write in turns; nil where the lock is kept.
  init(
    lock: WriterLock?, turns: Int? = nil, path: String, makeEngine: @escaping () throws -> Engine,
    db: Connection
  ) {
    self.lock = lock
    self.turns = turns
    self.path = path
    self.makeEngine = makeEngine
    connection = db
    queue.setSpecific(key: Writer.onQueue, value: ObjectIdentifier(self))
  }

  /// The connection; on the queue, or before the store is handed out.
  private func db() throws -> Connection {
    guard let connection else { throw StoreError(.closed, "the store \(path) was closed") }
    return connection
  }

  /// Closes the file and gives up the lock, after the commit that is under way.
  func close() {
    let close = {
      // The last connection that closes puts everything into the file.
      self.checkpoints.sync {}
      self.current = nil
      self.makeEngine = { throw StoreError(.closed, "the store was closed") }
      self.connection = nil
      self.lock = nil
    }
    if DispatchQueue.getSpecific(key: Writer.onQueue) == ObjectIdentifier(self) {
      close()
    } else {
      queue.sync(execute: close)
    }
  }

  /// The engine; on the queue, or before the store is handed out.
  func engine() throws -> Engine {
    if let current { return current }
    let engine = try makeEngine()
    current = engine
    return engine
  }

  /// Runs `body` in the next commit and returns when that is durable.
  func run<R: Sendable>(_ body: @escaping @Sendable (Engine) throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      enqueue(body) { continuation.resume(with: $0) }
    }
  }

  /// Runs `body` in a coming commit, after everything enqueued before; `finish` is called when that is durable
  /// or has failed, on the queue, before any later commit begins.
  func enqueue<R: Sendable>(
    _ body: @escaping @Sendable (Engine) throws -> R,
    _ finish: @escaping @Sendable (Result<R, any Error>) -> Void
  ) {
    let result = ResultBox<R>()
    let job = Job(
      { result.value = try body($0) },
      finish: { error in
        if let error { finish(.failure(error)) } else { finish(.success(result.value!)) }
      })
    let mustSchedule = pending.withLock { pending in
      pending.jobs.append(job)
      defer { pending.isScheduled = true }
      return !pending.isScheduled
    }
    if mustSchedule { queue.async { self.drain() } }
  }

  /// Runs `body` between commits, on the queue: reads of a store in memory.
  func between<R: Sendable>(_ body: @escaping @Sendable (Connection) throws -> R) async throws -> R
  {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Result { try body(self.db()) }) }
    }
  }

  private func drain() {
    while true {
      let jobs = pending.withLock { pending -> [Job] in
        let count = min(pending.jobs.count, Writer.jobsPerCommit)
        let taken = Array(pending.jobs[..<count])
        pending.jobs.removeFirst(count)
        if taken.isEmpty { pending.isScheduled = false }
        return taken
      }
      if jobs.isEmpty {
        if turns != nil { lock = nil }
        return
      }
      do { try takeTurn() } catch {
        for job in jobs { job.finish(error) }
        continue
      }
      commit(jobs[...])
    }
  }

  /// Takes the lock, where it is not kept, and forgets what is in memory if others have written meanwhile.
  private func takeTurn() throws {
    guard let turns, lock == nil, !path.isEmpty else { return }
    lock = try WriterLock(store: path, patience: turns)
    let found = try StoreError.wrap(path: path) { try db().integer("PRAGMA data_version") }
    if found != version, let engine = current {
      // What mirrors note of themselves changes nothing of what is in memory.
      let last = try StoreError.wrap(path: path) {
        try db().integer("SELECT max(number) FROM operation")
      }
      if last != engine.log.nextNumber - 1 { current = nil }
    }
    version = found
  }

  private func commit(_ jobs: ArraySlice<Job>) {
    var rest = jobs
    while !rest.isEmpty {
      var outcomes: [(job: Job, error: (any Error)?)] = []
      do {
        try StoreError.wrap(path: path) {
          try db().transaction {
            let engine = try engine()
            let start = DispatchTime.now().uptimeNanoseconds
            while let job = rest.first {
              rest.removeFirst()
              outcomes.append((job, nil))
              do {
                try job.run(engine)
              } catch let error where !engine.isHalfDone && !Writer.isFatal(error) {
                outcomes[outcomes.count - 1].error = error
              }
              if DispatchTime.now().uptimeNanoseconds - start > Writer.nanosecondsPerCommit {
                break
              }
            }
            try engine.flush()
          }
        }
        checkpointIfLong()
        onCommit()
        for outcome in outcomes { outcome.job.finish(outcome.error) }
      } catch {
        current = nil
        for outcome in outcomes { outcome.job.finish(outcome.error ?? error) }
        if outcomes.isEmpty {
          // Not even BEGIN worked: everyone who waits learns why.
          for job in rest { job.finish(error) }
          return
        }
      }
    }
  }

  /// Copies the log into the file, if it has grown. Where that fails nothing is lost, and a later commit tries again.
  private func checkpointIfLong() {
    guard let connection, !path.isEmpty else { return }
    let pages = connection.loggedPages
    if pages >= Writer.pagesPerRestart {
      try? connection.checkpoint()
      checkpoint.withLock { $0.pages = 0 }
      return
    }
    let begins = checkpoint.withLock { state in
      // It begins anew when all of it was copied.
      if pages < state.pages { state.pages = 0 }
      guard !state.isUnderWay, pages >= state.pages + Writer.pagesPerCheckpoint else {
        return false
      }
      state = (true, pages)
      return true
    }
    guard begins else { return }
    checkpoints.async {
      if let db = try? Connection(path: self.path, mode: .readWrite),
        // Only who has read something knows that there is a log.
        (try? db.integer("PRAGMA user_version")) != nil
      {
        try? db.checkpoint()
      }
      self.checkpoint.withLock { $0.isUnderWay = false }
    }
  }

  /// Whether what was done so far in the commit cannot be trusted.
  private static func isFatal(_ error: any Error) -> Bool {
    guard let error = error as? StoreError else { return error is SQLiteError }
    switch error.code {
    case .refused, .rejected, .invalid, .unsupported: return false
    default: return true
    }
  }
}

/// Carries a result from the queue to the continuation; written once, before it is read.
private final class ResultBox<R: Sendable>: @unchecked Sendable {
  var value: R?
}
