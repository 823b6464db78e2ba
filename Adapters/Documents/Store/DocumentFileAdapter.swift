import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// Mirrors a change stream into one file of documents, a SQLite database: a table for each collection with `_id` and the
/// document, and indices over what the schema marks `@index` and `@unique`. `DocumentStore` asks it.
///
/// - Durability: a batch and its checkpoint are one transaction, in a write-ahead log that is synchronised when it is
///   written back (`synchronous = NORMAL`). When a process dies nothing that was acknowledged is lost; when the power
///   goes, the last batches may be, each of them whole and with its checkpoint.
/// - Isolation: an actor with a thread of its own. The file is opened by the first call and closed in `deinit`.
/// - Several processes may open one file: every batch takes the write lock first and compares the checkpoint under it.
public actor DocumentFileAdapter: Adapter, RowInventory {
  /// Where the file is.
  public nonisolated let path: String
  private nonisolated let executor = QueueExecutor(label: "headwater.documents")
  private let busyTimeout: Int32
  private let injectedFailure: (@Sendable () -> SQLiteError?)?
  private var sink: DocumentFileSink?

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
        throw SinkErrors.unreadableCheckpoint(path)
      }
      return checkpoint
    }
  }

  public func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    try withSink { try $0.apply(batch) }
  }

  /// At most `limit` rows of the published generation in key order; empty while none is published.
  ///
  /// The first page lists all ids of the collection, which takes memory for them; the following pages use the list.
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

  private func withSink<R>(_ body: (DocumentFileSink) throws -> R) throws(AdapterError) -> R {
    do {
      // A file that was deleted or replaced would go on taking writes that nobody finds again.
      if let open = sink, open.connection.fileHasMoved { sink = nil }
      let open = try sink ?? DocumentFileSink(path: path, busyTimeout: busyTimeout)
      sink = open
      open.connection.injectedFailure = injectedFailure
      return try body(open)
    } catch let error as AdapterError {
      throw error
    } catch let error as SQLiteError {
      if error.isCorrupt || error.isInputOutput || error.isReadOnly { sink = nil }
      throw AdapterError(error, documents: path)
    } catch {
      throw AdapterError(
        .misuse, "The mirror in \(path) failed in a way that it does not know.", recovery: .halt,
        cause: error)
    }
  }
}

extension AdapterError {
  /// What an error of SQLite means for a file of documents. SQLite's own messages name tables, never values.
  init(_ error: SQLiteError, documents path: String) {
    let (code, recovery, message): (Code, Recovery, String) =
      if error.isBusy || error.isInterrupted || error.isSchemaChanged {
        (.unavailable, .retry, "Another process holds \(path) locked; trying again.")
      } else if error.isFull {
        (.full, .retry, "There is no room for \(path): free space on its volume.")
      } else if error.isOutOfMemory || error.isInputOutput {
        (.unavailable, .retry, "Reading or writing \(path) failed: see the state of its volume.")
      } else if error.isCorrupt {
        (
          .damaged, .halt,
          "\(path) is not a SQLite database, or is damaged: delete the file, with those that end in "
            + "-wal and -shm, and mirror again."
        )
      } else if error.isPermission || error.isCannotOpen {
        (
          .permission, .halt,
          "\(path) cannot be opened for writing: see whether its folder exists, and the permissions."
        )
      } else if error.isConstraint || error.isStatementError {
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
