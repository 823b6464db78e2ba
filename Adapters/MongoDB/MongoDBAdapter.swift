import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream

/// Mirrors a change stream into a database of a MongoDB server, or of one that speaks its protocol.
///
/// Each collection of the schema is a collection of documents, of the form that `DocumentPlan` gives them; the
/// collection `headwater` says how far the mirror is. `Docs/Documents.md` describes all of it.
///
/// - Atomicity: a batch and its checkpoint are one transaction, durable on a majority of the replica set when `apply`
///   returns; so the server must be a replica set, if only of one. A generation is filled under other names, and each
///   of its collections takes the place of the published one in one step; where a crash comes between those steps, the
///   next call of any method does the rest.
/// - Isolation: an actor with a thread of its own. The connection is opened by the first call, opened anew after an
///   error, and closed in `deinit`.
/// - Several processes may work on one database: every batch replaces the checkpoint that it continues first, and the
///   server lets only one of two such transactions through.
/// - The connection is not encrypted; SCRAM-SHA-256 keeps the password secret, and nothing keeps the rows.
public actor MongoDBAdapter: Adapter, RowInventory {
  /// Where the server is.
  public nonisolated let url: MongoURL
  private nonisolated let executor = QueueExecutor(label: "headwater.mongodb")
  private let timeout: Int
  private let beforeCommand: (@Sendable () throws -> Void)?
  private var sink: MongoSink?

  /// An adapter for the database. Nothing is opened yet.
  ///
  /// - Parameter timeout: how long to wait for the connection and for each answer, in seconds.
  public init(url: MongoURL, timeout: Int = 90) {
    self.url = url
    self.timeout = timeout
    beforeCommand = nil
  }

  /// An adapter that stops before a command where it is told to, for tests.
  package init(url: MongoURL, beforeCommand: @escaping @Sendable () throws -> Void) {
    self.url = url
    timeout = 90
    self.beforeCommand = beforeCommand
  }

  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  public func checkpoint() async throws(AdapterError) -> Checkpoint? {
    try withSink { sink in
      guard let bytes = try sink.state()?.checkpoint else { return nil }
      guard let checkpoint = try? Checkpoint(canonicalBytes: bytes) else {
        throw SinkErrors.unreadableCheckpoint(url.text)
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

  private func withSink<R>(_ body: (MongoSink) throws -> R) throws(AdapterError) -> R {
    do {
      let open = try sink ?? MongoSink(url, timeout: timeout)
      sink = open
      open.client.beforeCommand = beforeCommand
      return try body(open)
    } catch let error as AdapterError {
      throw error
    } catch let error as MongoError {
      // Whatever is under way on the connection, a new one knows nothing of it.
      sink = nil
      throw AdapterError(error, url: url)
    } catch {
      sink = nil
      throw AdapterError(
        .unavailable, "The mirror in \(url.text) was interrupted.", recovery: .retry, cause: error)
    }
  }
}

extension AdapterError {
  /// What an error of a server means for the mirror. Servers put values into their messages, so only codes are shown.
  init(_ error: MongoError, url: MongoURL) {
    let place = url.text
    let (code, recovery, message): (Code, Recovery, String)
    switch error {
    case .unreachable(let reason):
      (code, recovery, message) = (
        .unavailable, .retry, "\(place) cannot be reached (\(reason)); trying again."
      )
    case .malformed:
      (code, recovery, message) = (
        .unavailable, .retry, "\(place) sent what is no message of its protocol; trying again."
      )
    case .authentication(let reason):
      (code, recovery, message) = (
        .permission, .halt,
        "\(place) did not let the mirror in: \(reason). The password comes from the URL or from "
          + "HEADWATER_MONGODB_PASSWORD."
      )
    case .unsupported(let reason):
      (code, recovery, message) = (.unsupported, .halt, "\(place) cannot take a mirror: \(reason).")
    case .command(let number, let name, let labels):
      let shown = "\(number) \(name)"
      if labels.contains("TransientTransactionError")
        || [6, 7, 89, 91, 112, 189, 225, 244, 251, 262, 9001, 10107, 11600, 11602, 13435, 13436]
          .contains(number)
      {
        (code, recovery, message) = (
          .unavailable, .retry,
          "\(place) could not take a batch for now (\(shown)); trying again."
        )
      } else if [13, 18].contains(number) {
        (code, recovery, message) = (
          .permission, .halt,
          "\(place) does not let the mirror write (\(shown)): give its user the role readWrite on the database."
        )
      } else if [20, 263].contains(number) {
        (code, recovery, message) = (
          .unsupported, .halt,
          "\(place) has no transactions (\(shown)): start it as a replica set, if only of one member."
        )
      } else if [2, 17420, 10334, 17419].contains(number) {
        (code, recovery, message) = (
          .unsupported, .halt,
          "\(place) does not take a document (\(shown)): MongoDB's limit is 16 MB and 100 levels."
        )
      } else if [14031].contains(number) {
        (code, recovery, message) = (.full, .retry, "\(place) has no room left (\(shown)).")
      } else {
        (code, recovery, message) = (
          .damaged, .rebuild,
          "\(place) refuses what the mirror asks for (\(shown)): a new generation may mend it."
        )
      }
    }
    self.init(code, message, recovery: recovery, cause: error)
  }
}
