import HeadwaterLog
import HeadwaterModel
import Synchronization

/// Writes that are handed over one after the other without waiting for each.
///
/// They are made in the order of the calls, share commits, and each is durable when its `receipt` returns.
/// So a program that prepares the next write while the last ones are stored keeps both busy; it bounds how
/// many are under way by awaiting the oldest. May be used from anywhere.
public final class WriteSequence: Sendable {
  /// Shared with the writes under way, which must not keep the store open.
  private final class State: Sendable {
    let hasFailed = Atomic(false)
  }

  private let store: Store
  private let stopsAtFailure: Bool
  private let state = State()

  /// - Parameter stopsAtFailure: whether nothing is written after a write that failed, not even what was handed over
  ///   before it was known: those writes throw `CancellationError`.
  public init(_ store: Store, stopsAtFailure: Bool) {
    self.store = store
    self.stopsAtFailure = stopsAtFailure
  }

  /// Hands a write over (see `Store.write`).
  public func write(
    as signer: any Signer, bookmark: (name: String, value: [UInt8])? = nil,
    _ body: @escaping @Sendable (Draft) throws -> Void
  ) -> PendingWrite {
    enqueue(bookmark) { engine, time in try engine.write(as: signer, at: nil, time: time, body) }
  }

  /// Hands over an operation that creates rows which `Store.prepare` made ready.
  public func write(
    as signer: any Signer, bookmark: (name: String, value: [UInt8])? = nil,
    _ prepared: PreparedCreates
  ) -> PendingWrite {
    enqueue(bookmark) { engine, time in try engine.write(as: signer, time: time, prepared) }
  }

  private func enqueue(
    _ bookmark: (name: String, value: [UInt8])?,
    _ write: @escaping @Sendable (Engine, Int64) throws -> WriteReceipt
  ) -> PendingWrite {
    let pending = PendingWrite()
    guard let writer = store.writer else {
      pending.finish(
        .failure(StoreError(.permission, "\(store.path) was opened for reading only")))
      return pending
    }
    let time = store.options.clock()
    writer.enqueue { [state, stopsAtFailure] engine in
      if stopsAtFailure, state.hasFailed.load(ordering: .relaxed) { throw CancellationError() }
      do {
        return try Store.write(engine, bookmark: bookmark) { try write($0, time) }
      } catch {
        state.hasFailed.store(true, ordering: .relaxed)
        throw error
      }
    } _: { [state] result in
      // The commit may fail as a whole after the write in it went well.
      if case .failure = result { state.hasFailed.store(true, ordering: .relaxed) }
      pending.finish(result)
    }
    return pending
  }
}

/// A write that was handed over to a `WriteSequence`.
public final class PendingWrite: Sendable {
  private enum State {
    case open([CheckedContinuation<WriteReceipt, any Error>])
    case done(Result<WriteReceipt, any Error>)
  }

  private let state = Mutex(State.open([]))

  /// What the write became, when that is durable; throws as `Store.write` does.
  public var receipt: WriteReceipt {
    get async throws {
      try await withCheckedThrowingContinuation { continuation in
        let result: Result<WriteReceipt, any Error>? = state.withLock { state in
          switch state {
          case .done(let result): return result
          case .open(let waiting):
            state = .open(waiting + [continuation])
            return nil
          }
        }
        if let result { continuation.resume(with: result) }
      }
    }
  }

  func finish(_ result: Result<WriteReceipt, any Error>) {
    let waiting = state.withLock { state in
      defer { state = .done(result) }
      if case .open(let waiting) = state { return waiting }
      return []
    }
    for continuation in waiting { continuation.resume(with: result) }
  }
}
