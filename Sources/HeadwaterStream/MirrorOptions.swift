import HeadwaterModel

/// How a mirror runs. The defaults suit a store and a sink on one machine or in one data centre.
public struct MirrorOptions: Sendable {
  /// The most changes in a batch of the tail, unless a single transaction has more.
  public var maximumBatch = 5_000
  /// How many changes a batch may have while the mirror keeps up; grows to `maximumBatch` when it is behind.
  public var initialBatch = 500
  /// The most rows in a batch of a snapshot.
  public var maximumPage = 10_000
  /// How many rows the first batch of a snapshot has.
  public var initialPage = 500
  /// A batch of about more bytes than this makes the next ones smaller.
  public var batchBytes = 16 << 20
  /// Whether consecutive transactions may share a batch, in which each row appears once, as the last of them leaves it.
  ///
  /// Off for an adapter that keeps versions.
  public var mergesTransactions = true
  /// A transaction of more changes is delivered as a new generation.
  public var maximumTransaction = 100_000
  /// The shortest time between two reports to the source, except where the state changes for worse or better.
  public var reportInterval: Duration = .seconds(1)
  /// How long the mirror waits for events before it looks again on its own.
  public var idleTimeout: Duration = .seconds(10)
  /// The delays between attempts.
  public var backoff = Backoff()
  /// After how many failures in a row that ask for another attempt the mirror halts; nil: never.
  public var retryLimit: Int?
  /// How many new generations in a row an adapter may ask for before the mirror halts.
  public var rebuildLimit = 3

  /// The defaults.
  public init() {}
}

/// Exponential delays with jitter.
public struct Backoff: Sendable, Hashable {
  /// The delay before the second attempt.
  public var first: Duration = .milliseconds(100)
  /// The longest delay.
  public var longest: Duration = .seconds(30)

  /// The defaults.
  public init() {}

  /// The delay after failure number `attempt`, counted from 1: a random part, between a half and the whole,
  /// of `first` doubled with every failure, up to `longest`.
  ///
  /// - Parameter random: at least 0 and less than 1.
  public func delay(attempt: Int, random: Double) -> Duration {
    var delay = first
    for _ in 1..<max(attempt, 1) {
      delay = delay * 2
      if delay >= longest { break }
    }
    return min(delay, longest) * (0.5 + random / 2)
  }
}

/// Time and chance, so that tests decide both.
public struct MirrorEnvironment: Sendable {
  /// The time since some fixed moment; never runs backwards.
  public var now: @Sendable () -> Duration
  /// Suspends for the duration; throws `CancellationError` when the task is cancelled.
  public var sleep: @Sendable (Duration) async throws -> Void
  /// A random number, at least 0 and less than 1.
  public var random: @Sendable () -> Double

  /// An environment of the given time and chance.
  public init(
    now: @escaping @Sendable () -> Duration,
    sleep: @escaping @Sendable (Duration) async throws -> Void,
    random: @escaping @Sendable () -> Double
  ) {
    self.now = now
    self.sleep = sleep
    self.random = random
  }

  /// The continuous clock and the system's random numbers.
  public static let live: MirrorEnvironment = {
    let start = ContinuousClock.now
    return MirrorEnvironment(
      now: { ContinuousClock.now - start },
      sleep: { try await Task.sleep(for: $0) },
      random: { Double.random(in: 0..<1) })
  }()
}

/// What a mirror is doing, for whoever watches it run.
public struct MirrorProgress: Sendable, Hashable {
  /// How far a mirror is on its way to following the events.
  public enum Stage: String, Sendable, Hashable {
    /// Finding out where the sink stands.
    case starting
    /// Copying all rows into a generation that readers do not see yet.
    case filling
    /// Applying to it what changed meanwhile.
    case catchingUp
    /// Following the events.
    case following
  }

  /// Running, idle, retrying or halted.
  public let state: MirrorStatus.State
  /// How far the mirror is.
  public let stage: Stage
  /// The generation that is being filled or followed; nil while starting.
  public let generation: Int64?
  /// The position that the sink holds; nil while starting.
  public let position: Int64?
  /// The source's position when the mirror last looked; nil before.
  public let head: Int64?
  /// Changes and rows applied since the mirror was made.
  public let applied: Int
  /// Changes and rows applied per second, lately.
  public let rate: Double
  /// The last error, or why the generation was begun.
  public let note: String?
}

/// Why a mirror stopped. A person has to act before it can go on.
public struct MirrorError: Error, Sendable, CustomStringConvertible {
  /// What kind of error it is; stable, for programs.
  public struct Code: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The sink holds a mirror of another database.
    public static let foreignDatabase = Code(rawValue: "foreign-database")
    /// The sink holds a mirror of another name.
    public static let otherMirror = Code(rawValue: "other-mirror")
    /// A mirror of another replica took the sink over while this one ran.
    public static let otherReplica = Code(rawValue: "other-replica")
    /// The adapter failed; see `cause`.
    public static let adapter = Code(rawValue: "adapter")
    /// The source failed; see `cause`.
    public static let source = Code(rawValue: "source")
    /// The source broke its contract.
    public static let inconsistentSource = Code(rawValue: "inconsistent-source")
    /// The mirror is running already.
    public static let alreadyRunning = Code(rawValue: "already-running")
    /// The adapter cannot list or repair its rows.
    public static let noInventory = Code(rawValue: "no-inventory")
    /// The sink stands where it cannot be compared with the source.
    public static let notComparable = Code(rawValue: "not-comparable")
  }

  /// What kind of error it is.
  public let code: Code
  /// What happened and what to do.
  public let message: String
  /// The adapter's or the source's error, if there was one.
  public let cause: (any Error)?

  /// An error of that kind, with a message that says what to do.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  public var description: String { "\(message) (\(code))" }
}
