import HeadwaterModel

/// Where changes come from: a store, or a test's stand-in for one.
///
/// All methods may be called from anywhere; each sees one consistent state of the store.
public protocol ChangeSource: Sendable {
  /// Who and where the source is now.
  func head() async throws(SourceError) -> SourceHead

  /// What the source makes of a checkpoint that a sink holds.
  func recognise(_ checkpoint: Checkpoint) async throws(SourceError) -> Recognition

  /// Whole transactions after `position`, in order, until `limit` changes are reached or passed.
  ///
  /// The first begins at `position + 1` and each where the one before ended: positions have no gaps.
  /// Empty at the head. A transaction of more than `maximumTransaction` changes is not returned: it comes as
  /// `.oversized` and is delivered as a new generation. `.trimmed` where retention has removed what follows `position`.
  func transactions(after position: Int64, limit: Int, maximumTransaction: Int)
    async throws(SourceError) -> TransactionPage

  /// Visible rows of one moment, in order of (collection, key), after `position`.
  ///
  /// Each page is of its own moment, `head`: reading the events from before the first page to the last
  /// page's head makes the pages one consistent whole.
  func rows(after position: RowPosition?, limit: Int) async throws(SourceError) -> RowPage

  /// The schema with that hash, if the source knows it.
  func schema(_ hash: Digest) async throws(SourceError) -> Schema?

  /// Returns when there may be events after `position`, at once if there are, and in `timeout` at the latest;
  /// early if the task is cancelled.
  func waitForEvents(after position: Int64, timeout: Duration) async throws(SourceError)

  /// Keeps the events after `position` from being trimmed on behalf of the mirror, and notes how it is doing.
  func report(_ status: MirrorStatus) async throws(SourceError)
}

/// The state of a source at one moment.
public struct SourceHead: Sendable, Hashable {
  public let database: Digest
  public let replica: UUIDBytes
  /// The position of the last event; 0 if there is none.
  public let position: Int64
  /// The digest of the chain of events up to `position`.
  public let digest: Digest
  /// The ids of the operations without children, sorted.
  public let frontier: [Digest]
  /// The hash of the schema in force.
  public let schema: Digest

  public init(
    database: Digest, replica: UUIDBytes, position: Int64, digest: Digest, frontier: [Digest],
    schema: Digest
  ) {
    self.database = database
    self.replica = replica
    self.position = position
    self.digest = digest
    self.frontier = frontier
    self.schema = schema
  }
}

/// What a source makes of a checkpoint.
public enum Recognition: Sendable, Hashable {
  /// It is a point of this source's stream and everything after it is there.
  case resumable
  /// It was a point of this source's stream, but what follows has been trimmed.
  case trimmed
  /// It is of this replica but not of its stream: sink or source was restored from a backup.
  case unknown
  /// It is of another replica of the same database.
  case otherReplica
  /// It is of another database.
  case foreign
}

/// One transaction of the stream.
public struct Transaction: Sendable {
  /// The position of its first event.
  public let firstPosition: Int64
  /// The head of the source just after it.
  public let head: SourceHead
  public let changes: [Change]
  /// Set where the transaction changes the schema: the schema from then on.
  public let schemaChange: Schema?

  public init(
    firstPosition: Int64, head: SourceHead, changes: [Change], schemaChange: Schema? = nil
  ) {
    self.firstPosition = firstPosition
    self.head = head
    self.changes = changes
    self.schemaChange = schemaChange
  }
}

public enum TransactionPage: Sendable {
  case transactions([Transaction])
  /// The next transaction is too large to be a batch.
  case oversized(changes: Int)
  /// What follows the position is no longer kept.
  case trimmed
}

/// A page of visible rows.
public struct RowPage: Sendable {
  /// The rows as they are gathered: as the steps of the batch that they will be, because copying ten thousand changes
  /// from one array to another costs a third of what reading them does.
  package struct Rows: Sendable {
    private(set) var steps: [ChangeBatch.Step] = []
    /// About how much memory the rows take.
    private(set) var bytes = 0
    private(set) var last: RowPosition?

    package init(capacity: Int) { steps.reserveCapacity(capacity) }

    /// - Parameter row: in the changes' form of an insert.
    package mutating func append(_ row: Change) {
      bytes += row.approximateSize
      steps.append(.change(row))
    }

    fileprivate mutating func finish() {
      guard case .change(let row)? = steps.last else { return }
      last = RowPosition(collection: row.collection, key: row.key)
    }
  }

  private let gathered: Rows
  /// Whether no rows follow.
  public let isLast: Bool
  /// The head of the source at the moment of the page.
  public let head: SourceHead

  /// - Parameter rows: each in the changes' form of an insert.
  public init(rows: [Change], isLast: Bool, head: SourceHead) {
    var gathered = Rows(capacity: rows.count)
    for row in rows { gathered.append(row) }
    self.init(gathered, isLast: isLast, head: head)
  }

  package init(_ rows: consuming Rows, isLast: Bool, head: SourceHead) {
    rows.finish()
    gathered = rows
    self.isLast = isLast
    self.head = head
  }

  /// Each with the changes' form of an insert. Linear in their number.
  public var rows: [Change] {
    gathered.steps.compactMap { if case .change(let row) = $0 { row } else { nil } }
  }

  /// Where the last row stands; nil where there is none.
  public var last: RowPosition? { gathered.last }

  /// The rows as the steps of a batch.
  var steps: [ChangeBatch.Step] { gathered.steps }

  /// About how much memory the rows take.
  var bytes: Int { gathered.bytes }
}

/// How a mirror is doing.
public struct MirrorStatus: Sendable, Hashable {
  public enum State: String, Sendable, Hashable {
    case running, idle, retrying, halted
  }

  public let name: String
  /// The sink's URL without any secret.
  public let sink: String
  public let state: State
  /// The position that the sink holds; nil before the first checkpoint.
  public let position: Int64?
  /// Changes applied per second, lately.
  public let rate: Double
  /// The last error, if the state is `retrying` or `halted`; otherwise why the generation that is being
  /// filled was begun, if there was a cause.
  public let error: String?

  public init(
    name: String, sink: String, state: State, position: Int64?, rate: Double, error: String?
  ) {
    self.name = name
    self.sink = sink
    self.state = state
    self.position = position
    self.rate = rate
    self.error = error
  }
}

/// What a source could not do.
public struct SourceError: Error, Sendable, CustomStringConvertible {
  /// What happened and what to do.
  public let message: String
  /// Whether the same call may succeed later.
  public let isTransient: Bool

  public init(_ message: String, isTransient: Bool = false) {
    self.message = message
    self.isTransient = isTransient
  }

  public var description: String { message }
}
