import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

/// Mirrors a change stream into the tables of a PostgreSQL database.
///
/// Readers find views with stable names in a schema of the mirror's own; the tables behind them, with their keys, are
/// in a second one, and a generation that is being filled in a third. `Docs/Postgres.md` says how values are kept, how
/// to query them, and what to do about each error.
///
/// - Durability: a batch, its tables and its checkpoint are one transaction, as durable as the server's
///   `synchronous_commit` makes it. The pages of a snapshot do not wait for the disk: a server that breaks down may lose
///   the last of them, checkpoint and all, until the snapshot is complete.
/// - Isolation: an actor with a thread of its own, so that waiting for the server blocks nobody. The connection is
///   made by the first call, made again after it was lost, and closed in `deinit`.
/// - Several processes may mirror into one schema: each batch moves the checkpoint only from where it continues, so
///   of two mirrors only one gets through and the other hears `.diverged`.
public actor PostgresAdapter: Adapter, StructureRepairing, VersionKeeping {
  /// Where the mirror is.
  public nonisolated let configuration: PostgresConfiguration
  private nonisolated let executor = QueueExecutor(label: "headwater.postgres")
  private let isCutOff: (@Sendable () -> Bool)?
  private let minimumVersion: Int
  private let paths: WritePaths
  private var sink: Sink?

  /// An adapter for a schema of a database, which must exist. Nothing is connected yet.
  public init(_ configuration: PostgresConfiguration) {
    self.configuration = configuration
    isCutOff = nil
    minimumVersion = Sink.minimumVersion
    paths = WritePaths()
  }

  /// An adapter whose connection is cut where it is told to, that wants another version or takes other ways of
  /// writing, for tests.
  package init(
    _ configuration: PostgresConfiguration, minimumVersion: Int? = nil,
    paths: WritePaths = WritePaths(), isCutOff: (@Sendable () -> Bool)? = nil
  ) {
    self.configuration = configuration
    self.isCutOff = isCutOff
    self.minimumVersion = minimumVersion ?? Sink.minimumVersion
    self.paths = paths
  }

  /// Whether the mirror keeps a history, which needs every transaction by itself.
  public nonisolated var keepsVersions: Bool { configuration.keepsHistory }

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
  /// Each page is found through the primary key.
  public func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    try withSink { try $0.rows(of: collection, in: schema, after: key, limit: limit) }
  }

  /// As `rows`, read through the views that readers have.
  package func visibleRows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    try withSink {
      try $0.rows(of: collection, in: schema, after: key, limit: limit, asReader: true)
    }
  }

  public func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    try withSink { try $0.repair(changes, schema: schema, at: checkpoint) }
  }

  /// Makes dropped and altered tables, columns, constraints, indices and views again. All of it is one transaction.
  public func repairStructure(schema: Schema, at checkpoint: Checkpoint, isFinal: Bool)
    async throws(AdapterError) -> [String]
  {
    try withSink { try $0.repairStructure(schema: schema, at: checkpoint, isFinal: isFinal) }
  }

  /// Connects if need be, and makes every error one of the adapter's.
  private func withSink<R>(_ body: (Sink) throws -> R) throws(AdapterError) -> R {
    var open: Sink?
    do {
      let sink = try self.sink ?? Sink(configuration, minimumVersion: minimumVersion, paths: paths)
      self.sink = sink
      open = sink
      sink.connection.isCutOff = isCutOff
      return try body(sink)
    } catch let error as AdapterError {
      throw error
    } catch let error as ServerError {
      if error.isConnectionLost || open?.connection.isLost == true {
        sink = nil
      } else {
        open?.abandon()
      }
      throw AdapterError(error, configuration, sink)
    } catch {
      throw AdapterError(
        .misuse,
        "The mirror in \(configuration.description) failed in a way that it does not know.",
        recovery: .halt, cause: error)
    }
  }
}
