import HeadwaterModel
import HeadwaterStream
import Synchronization

/// What an observer of a `MemoryAdapter` sees.
public enum MemoryEvent: Sendable {
  /// Why a snapshot stands where changes might.
  public enum Reason: Sendable, Hashable {
    /// The first element of a sequence.
    case started
    /// The observer was too slow, and the changes up to the snapshot were dropped: read what you need from it.
    case overflow
    /// All rows may be others: a generation was published, the schema changed, or rows were repaired.
    case replaced
  }

  /// The rows as they are now, whatever came before.
  case snapshot(MemorySnapshot, Reason)
  /// One applied batch, whole, and the rows just after it. Never empty.
  case changes([Change], MemorySnapshot)
}

/// The changes of a `MemoryAdapter`, batch by batch. For one task: iterate it once.
///
/// Ends when the task is cancelled; otherwise never. What is not read yet is kept up to the limit that
/// `changes(of:limit:)` was given; beyond that it is dropped and one `snapshot` stands for it.
public struct MemoryChanges: AsyncSequence, Sendable {
  public typealias Element = MemoryEvent
  public typealias Failure = Never

  let observer: MemoryObserver

  public func makeAsyncIterator() -> Iterator { Iterator(observer: observer) }

  /// Reads the observer's buffer.
  public struct Iterator: AsyncIteratorProtocol {
    let observer: MemoryObserver

    public mutating func next() async -> MemoryEvent? { await observer.next() }

    public mutating func next(isolation actor: isolated (any Actor)?) async -> MemoryEvent? {
      await observer.next()
    }
  }
}

/// The buffer between the adapter and one observer.
final class MemoryObserver: Sendable {
  private struct State {
    var queue: [MemoryEvent] = []
    /// The changes in the queue.
    var count = 0
    var waiting: CheckedContinuation<MemoryEvent?, Never>?
  }

  private let collection: String?
  private let limit: Int
  private let state = Mutex(State())

  init(collection: String?, limit: Int) {
    self.collection = collection
    self.limit = limit
  }

  /// Drops what is buffered: the snapshot stands for it.
  func replace(with snapshot: MemorySnapshot, _ reason: MemoryEvent.Reason) {
    deliver { state in
      state.queue = [.snapshot(snapshot, reason)]
      state.count = 0
    }
  }

  func add(_ changes: [Change], _ snapshot: MemorySnapshot) {
    var changes = changes
    if let collection {
      let index = snapshot.schema.collectionIndex(named: collection)
      changes.removeAll { $0.collection != index }
    }
    guard !changes.isEmpty else { return }
    let event = MemoryEvent.changes(changes, snapshot)
    let count = changes.count
    deliver { state in
      if state.waiting == nil, state.count + count > limit {
        state.queue = [.snapshot(snapshot, .overflow)]
        state.count = 0
      } else {
        state.queue.append(event)
        state.count += count
      }
    }
  }

  private func deliver(_ change: (inout State) -> Void) {
    let (continuation, event) = state.withLock {
      state -> (CheckedContinuation<MemoryEvent?, Never>?, MemoryEvent?) in
      change(&state)
      guard let waiting = state.waiting else { return (nil, nil) }
      state.waiting = nil
      return (waiting, MemoryObserver.take(&state))
    }
    continuation?.resume(returning: event)
  }

  private static func take(_ state: inout State) -> MemoryEvent? {
    guard !state.queue.isEmpty else { return nil }
    let event = state.queue.removeFirst()
    if case .changes(let changes, _) = event { state.count -= changes.count }
    return event
  }

  func next() async -> MemoryEvent? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (isNow, event) = state.withLock { state -> (Bool, MemoryEvent?) in
          if let event = MemoryObserver.take(&state) { return (true, event) }
          if Task.isCancelled { return (true, nil) }
          precondition(state.waiting == nil, "a sequence of changes is for one task")
          state.waiting = continuation
          return (false, nil)
        }
        if isNow { continuation.resume(returning: event) }
      }
    } onCancel: {
      let waiting = state.withLock { state in
        defer { state.waiting = nil }
        return state.waiting
      }
      waiting?.resume(returning: nil)
    }
  }
}
