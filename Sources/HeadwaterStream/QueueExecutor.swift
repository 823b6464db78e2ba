import Dispatch

/// Runs an actor's jobs one after another on a thread of Dispatch, so that blocking calls hold up nobody else.
///
/// For adapters whose drivers block: an actor returns one from `unownedExecutor` and may then wait for its sink.
public final class QueueExecutor: SerialExecutor {
  private let queue: DispatchQueue

  /// An executor with a queue of its own; the label is for debuggers.
  public init(label: String) { queue = DispatchQueue(label: label) }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }
}
