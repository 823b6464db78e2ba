import HeadwaterModel

/// Materialises a change stream in some storage system, and remembers how far it got.
///
/// The lifecycle is `init` and `deinit`, which closes handles synchronously and flushes nothing. An adapter
/// does not log, retry or measure: `Mirror` does that around it. `Mirror` calls one method at a time.
public protocol Adapter: Sendable {
  /// The checkpoint that was committed with the last applied batch; nil if nothing ever was.
  ///
  /// First completes or undoes what a crash left half done, where the sink needs that.
  func checkpoint() async throws(AdapterError) -> Checkpoint?

  /// Performs every step in order and records `batch.checkpoint`: all of it, or none of it.
  ///
  /// *Fencing*: if the stored checkpoint equals `batch.checkpoint`, there is nothing to do (the
  /// acknowledgement was lost). If it equals `batch.previous`, apply. Otherwise throw `.diverged` and touch
  /// nothing; this holds for a batch with `.begin` too.
  func apply(_ batch: ChangeBatch) async throws(AdapterError)
}

/// Steps that are applied together, and the checkpoint that is committed with them.
public struct ChangeBatch: Sendable {
  /// The checkpoint that the sink must hold for the batch to apply; nil for an empty sink.
  public let previous: Checkpoint?
  public let steps: [Step]
  public let checkpoint: Checkpoint
  /// The schema that the rows of the steps have.
  public let schema: Schema

  public init(previous: Checkpoint?, steps: [Step], checkpoint: Checkpoint, schema: Schema) {
    self.previous = previous
    self.steps = steps
    self.checkpoint = checkpoint
    self.schema = schema
  }

  /// One step of a batch.
  public enum Step: Sendable {
    /// Opens a new, empty generation beside the published one. An unpublished older one is discarded.
    case begin(generation: Int64)
    /// Makes the open generation the one that readers see, with its indices and foreign keys; drops the one before.
    case publish(generation: Int64)
    /// Brings the tables of the current generation from one schema to the next.
    case migrate(from: Schema, to: Schema)
    /// A row of the generation being filled if one is open, otherwise of the published one.
    ///
    /// Within a batch each row appears at most once; deletes stand before upserts. While a generation is
    /// being filled its rows may be newer than the checkpoint: what the sink holds may differ from `before`,
    /// a delete may find no row, a value of a unique field may stand in two rows and a reference may point
    /// nowhere, until `publish`.
    case change(Change)
  }
}

/// What an adapter could not do, and what is to be done about it. Never holds the data itself.
public struct AdapterError: Error, Sendable, CustomStringConvertible {
  public struct Code: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The sink's checkpoint is neither the one the batch continues nor its own.
    public static let diverged = Code(rawValue: "diverged")
    /// The sink is locked, restarting or out of reach for now.
    public static let unavailable = Code(rawValue: "unavailable")
    /// The sink has no room left.
    public static let full = Code(rawValue: "full")
    /// The sink does not let us.
    public static let permission = Code(rawValue: "permission")
    /// The sink holds something else where ours should be.
    public static let occupied = Code(rawValue: "occupied")
    /// The sink is damaged, or was changed by somebody else.
    public static let damaged = Code(rawValue: "damaged")
    /// The sink or the adapter cannot carry this schema or value.
    public static let unsupported = Code(rawValue: "unsupported")
    /// The adapter was called against its contract.
    public static let misuse = Code(rawValue: "misuse")
  }

  public enum Recovery: String, Sendable, Hashable {
    /// The same call may succeed later: the mirror tries again with growing delays.
    case retry
    /// A new generation mends it: the mirror starts one.
    case rebuild
    /// A person has to act first.
    case halt
  }

  public let code: Code
  /// What happened, where, and what to do.
  public let message: String
  public let recovery: Recovery
  /// The driver's error, if there was one.
  public let cause: (any Error)?

  public init(_ code: Code, _ message: String, recovery: Recovery, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.recovery = recovery
    self.cause = cause
  }

  public var description: String { "\(message) (\(code))" }
}

/// An adapter that may keep every version of a row, and then needs each transaction in a batch of its own.
public protocol VersionKeeping: Adapter {
  /// Whether it does; the same for as long as the adapter lives.
  var keepsVersions: Bool { get }
}

/// An adapter that can mend the tables of its published generation themselves, where somebody altered them.
public protocol StructureRepairing: RowInventory {
  /// Makes the published tables what the adapter made, without the source and without moving the checkpoint; rows stay
  /// where that is possible.
  ///
  /// Called before rows are compared, and again after those that differ were repaired. Until then rows that lost
  /// something are listed so that they differ, or not at all, and what only right rows allow (unique values, references,
  /// values that must be there) may wait.
  ///
  /// - Parameters:
  ///   - checkpoint: what the sink must hold; otherwise `.diverged`.
  ///   - isFinal: whether the rows are right now.
  /// - Returns: what was wrong, a clause each for people; empty where nothing was.
  /// - Throws: an error with the recovery `.rebuild` where only a new generation mends it.
  func repairStructure(schema: Schema, at checkpoint: Checkpoint, isFinal: Bool)
    async throws(AdapterError) -> [String]
}

/// An adapter that can list what its published generation holds.
public protocol RowInventory: Adapter {
  /// At most `limit` rows of the collection in key order, beginning after `key`; fewer only at the end.
  ///
  /// - Parameter schema: the schema of the published generation, which the caller knows from the checkpoint.
  func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  /// Makes the given rows of the published generation what they should be, without moving the checkpoint:
  /// `after` is written where it is present, the row is removed where it is absent.
  ///
  /// - Parameter checkpoint: what the sink must hold; otherwise `.diverged`.
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
}
