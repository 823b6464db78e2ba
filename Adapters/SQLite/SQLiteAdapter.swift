import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

/// Mirrors a change stream into the tables of one SQLite file.
///
/// The file may hold other tables, views, indices and triggers beside the mirror's: they are left alone, and
/// what stands where a table of the mirror should be is reported, not dropped. `Docs/SQLiteMirror.md` says how
/// values are kept and how to query them.
///
/// - Durability: a batch and its checkpoint are one transaction, in a write-ahead log that is synchronised when it
///   is written back (`synchronous = NORMAL`). When a process dies nothing that was acknowledged is lost; when the power
///   goes, the last batches may be, each of them whole and with its checkpoint, and the mirror delivers them again.
/// - Isolation: an actor with a thread of its own, so that waiting for the file blocks nobody. The file is opened by
///   the first call and closed in `deinit`.
/// - Several processes may open one file: every batch takes SQLite's write lock first and compares the checkpoint
///   under it, so of two mirrors only one gets through and the other hears `.diverged`.
public actor SQLiteAdapter: Adapter, RowInventory {
  /// Where the file is.
  public nonisolated let path: String
  private nonisolated let executor = QueueExecutor(label: "headwater.sqlite")
  private let busyTimeout: Int32
  private let injectedFailure: (@Sendable () -> SQLiteError?)?
  private var sink: Sink?

  /// An adapter for the file, which is made if it is missing. Its folder must exist. Nothing is opened yet.
  ///
  /// - Parameter busyTimeout: how long to wait for another process's lock before a call fails with
  ///   `.unavailable`, in milliseconds.
  public init(path: String, busyTimeout: Int32 = 5_000) {
    self.path = path
    self.busyTimeout = busyTimeout
    injectedFailure = nil
  }

  /// An adapter that fails where it is told to, for tests.
  package init(path: String, injectedFailure: @escaping @Sendable () -> SQLiteError?) {
    self.path = path
    busyTimeout = 5_000
    self.injectedFailure = injectedFailure
  }

  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  public func checkpoint() async throws(AdapterError) -> Checkpoint? {
    try withSink { sink in
      guard let bytes = try sink.checkpoint() else { return nil }
      guard let checkpoint = try? Checkpoint(canonicalBytes: bytes) else {
        throw sink.unreadableCheckpoint()
      }
      return checkpoint
    }
  }

  public func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    try withSink { try $0.apply(batch) }
  }

  /// At most `limit` rows of the published generation in key order; empty while none is published.
  ///
  /// Each page is found through the primary key, unless a key column is a decimal of more than 15 digits: then
  /// each page costs a pass over the table.
  public func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    try withSink { try $0.rows(of: collection, in: schema, after: key, limit: limit) }
  }

  public func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    try withSink { try $0.repair(changes, schema: schema, at: checkpoint) }
  }

  /// Opens the file if need be, and makes every error one of the adapter's.
  private func withSink<R>(_ body: (Sink) throws -> R) throws(AdapterError) -> R {
    do {
      // A file that was deleted or replaced would go on taking writes that nobody finds again.
      if let open = sink, open.connection.fileHasMoved { sink = nil }
      let open = try sink ?? Sink(path: path, busyTimeout: busyTimeout)
      sink = open
      open.connection.injectedFailure = injectedFailure
      return try body(open)
    } catch let error as AdapterError {
      throw error
    } catch let error as SQLiteError {
      if error.isCorrupt || error.isInputOutput || error.isReadOnly { sink = nil }
      throw AdapterError(error, path: path)
    } catch {
      throw AdapterError(
        .misuse, "The SQLite mirror of \(path) failed in a way that it does not know.",
        recovery: .halt, cause: error)
    }
  }
}

extension AdapterError {
  /// What an error of SQLite means for the mirror of a file. SQLite's own messages name tables and columns, never values.
  init(_ error: SQLiteError, path: String) {
    let (code, recovery, message): (Code, Recovery, String) =
      if error.isBusy || error.isInterrupted || error.isSchemaChanged {
        (.unavailable, .retry, "Another process holds \(path) locked; trying again.")
      } else if error.isFull {
        (.full, .retry, "There is no room for \(path): free space on its volume.")
      } else if error.isOutOfMemory {
        (.unavailable, .retry, "SQLite ran out of memory while it wrote \(path); trying again.")
      } else if error.isCorrupt {
        (
          .damaged, .halt,
          "\(path) is not a SQLite database, or is damaged: delete the file, with those that end in "
            + "-wal and -shm, and mirror again."
        )
      } else if error.isPermission {
        (
          .permission, .halt,
          "\(path) may not be written: see the permissions of the file and its folder."
        )
      } else if error.isCannotOpen {
        (
          .permission, .halt,
          "\(path) cannot be opened: see whether its folder exists and may be written to."
        )
      } else if error.isInputOutput {
        (.unavailable, .retry, "Reading or writing \(path) failed: see the state of its volume.")
      } else if error.isRaisedByTrigger {
        (
          .permission, .halt,
          "A trigger in \(path) refuses what the source says: drop the trigger, or let it pass."
        )
      } else if error.isConstraint {
        (
          .damaged, .rebuild,
          "The rows of \(path) do not fit together (\(error.message)): somebody changed the mirror, "
            + "and a new generation will mend it."
        )
      } else if error.isStatementError {
        (
          .damaged, .rebuild,
          "The tables of \(path) are not as the mirror made them (\(error.message)): a new "
            + "generation will mend them."
        )
      } else {
        (.damaged, .halt, "SQLite cannot work with \(path): \(error.message).")
      }
    self.init(code, message, recovery: recovery, cause: error)
  }
}
