import HeadwaterStream
import Synchronization

/// Passes calls on to an adapter, and fails where a test wants it to.
///
/// It also keeps what was asked of it. Safe to use from anywhere.
public final class FaultyAdapter: Adapter {
  /// What happens to one call of `apply`.
  public enum Fault: Sendable {
    case none
    /// The process dies before the batch reaches the adapter; every later call fails too.
    case crashBefore
    /// The process dies after the batch was applied; every later call fails too.
    case crashAfter
    /// The call fails, and the adapter never sees it.
    case failBefore(AdapterError)
    /// The adapter applies the batch, and the answer is lost.
    case failAfter(AdapterError)
  }

  /// How a simulated crash shows.
  public static let crash = AdapterError(
    AdapterError.Code(rawValue: "crash"), "The process died, as the test asked.", recovery: .halt)

  private struct State {
    var isDead = false
    var batches: [ChangeBatch] = []
  }

  private let base: any Adapter
  private let plan: @Sendable (Int, ChangeBatch) -> Fault
  private let state = Mutex(State())

  /// - Parameter plan: what happens to call number `n` of `apply`, counted from 0.
  public init(
    _ base: any Adapter,
    plan: @escaping @Sendable (Int, ChangeBatch) -> Fault = { _, _ in .none }
  ) {
    self.base = base
    self.plan = plan
  }

  /// The batches of all calls of `apply`, also of those that failed.
  public var batches: [ChangeBatch] { state.withLock { $0.batches } }

  public func checkpoint() async throws(AdapterError) -> Checkpoint? {
    if state.withLock({ $0.isDead }) { throw FaultyAdapter.crash }
    return try await base.checkpoint()
  }

  public func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    if state.withLock({ $0.isDead }) { throw FaultyAdapter.crash }
    let number = state.withLock { state in
      state.batches.append(batch)
      return state.batches.count - 1
    }
    switch plan(number, batch) {
    case .none: try await base.apply(batch)
    case .crashBefore:
      state.withLock { $0.isDead = true }
      throw FaultyAdapter.crash
    case .crashAfter:
      try await base.apply(batch)
      state.withLock { $0.isDead = true }
      throw FaultyAdapter.crash
    case .failBefore(let error): throw error
    case .failAfter(let error):
      try await base.apply(batch)
      throw error
    }
  }
}
