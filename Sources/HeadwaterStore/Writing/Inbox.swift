import HeadwaterLog
import HeadwaterModel
import Synchronization

/// Takes operations from one peer in any order, and keeps those whose parents have not come: so many and no more.
///
/// One for each peer, so that a peer who sends what can never be admitted crowds out nobody but himself. What is
/// evicted is reported, so that the peer can be asked for it again. May be used from anywhere, one call at a time.
public actor Inbox {
  /// What became of a delivery, and of what had waited for it.
  public struct Report: Sendable {
    /// In the order of admission, with the verdicts that they had then.
    public var admitted: [(id: Digest, verdict: Verdict)] = []
    /// Were there before.
    public var known: [Digest] = []
    /// Wait for parents now, or did so for a while.
    public var waiting: [Digest] = []
    /// With the reasons. They never enter, nor does what waits for them.
    public var rejected: [(id: Digest, reason: String)] = []
    /// Turned out to make room: offer them again after their parents.
    public var evicted: [Digest] = []

    /// Whether nothing came of it.
    public var isEmpty: Bool {
      admitted.isEmpty && known.isEmpty && waiting.isEmpty && rejected.isEmpty && evicted.isEmpty
    }
  }

  private nonisolated let store: Store
  private var room: WaitingRoom
  /// What had waited and entered lately: what was submitted before that may wait for it in vain.
  private var released: Set<Digest> = []
  private static let rememberedIDs = 16_384

  /// - Parameters:
  ///   - maximumOperations: how many operations may wait.
  ///   - maximumBytes: about how many bytes they may take.
  public init(
    _ store: Store, maximumOperations: Int = 16_384, maximumBytes: Int = 64 << 20
  ) {
    self.store = store
    room = WaitingRoom(maximumOperations: maximumOperations, maximumBytes: maximumBytes)
  }

  /// How many operations wait.
  public var waiting: Int { room.count }
  /// The parents that are waited for, sorted.
  public var missing: [Digest] { room.missing }

  /// Those of them that do not wait themselves, sorted: what to ask for.
  public var wanted: [Digest] { room.wanted }

  /// Takes operations, and with them what has waited for them.
  ///
  /// - Throws: the failures of the store's storage; then some may have been admitted and others be forgotten.
  public func receive(_ operations: [SignedOperation]) async throws -> Report {
    try await receive(VerifiedOperations(operations, suite: store.suite))
  }

  /// The same of operations that were verified before: verify some while the inbox takes others.
  public func receive(_ operations: VerifiedOperations) async throws -> Report {
    try await report(submit(operations))
  }

  /// Operations on their way into the store.
  public struct Submission: Sendable {
    let operations: VerifiedOperations
    let outcome = Outcome()
  }

  /// What became of a submission, as soon as it is known.
  final class Outcome: Sendable {
    private struct State {
      var result: Result<Receiver.Result, any Error>?
      var waiter: CheckedContinuation<Receiver.Result, any Error>?
    }
    private let state = Mutex(State())

    func finish(_ result: Result<Receiver.Result, any Error>) {
      state.withLock { state in
        state.result = result
        return state.waiter.take()
      }?.resume(with: result)
    }

    func result() async throws -> Receiver.Result {
      try await withCheckedThrowingContinuation { continuation in
        let result = state.withLock { state in
          if state.result == nil { state.waiter = continuation }
          return state.result
        }
        if let result { continuation.resume(with: result) }
      }
    }
  }

  /// Hands operations to the store, after all that were submitted before, without waiting for them: so that the store
  /// has the next ones while the report on some is made.
  public nonisolated func submit(_ operations: VerifiedOperations) -> Submission {
    let submission = Submission(operations: operations)
    // The writer is to hold the outcome alone: giving a batch back is work too.
    let outcome = submission.outcome
    store.submit(operations) { outcome.finish($0) }
    return submission
  }

  /// What became of them. Ask for the reports in the order of the submissions, each once.
  ///
  /// - Throws: as `receive`.
  public func report(_ submission: Submission) async throws -> Report {
    try await report(submission, isAgain: false)
  }

  /// - Parameter isAgain: whether these operations have waited: others may have been submitted before they enter that
  ///   wait for them.
  private func report(_ submission: Submission, isAgain: Bool) async throws -> Report {
    var report = Report()
    var isAgain = isAgain
    if released.count > Inbox.rememberedIDs { released.removeAll() }
    var batch = submission.operations
    var result = try await submission.outcome.result()
    while true {
      var next: [VerifiedOperations.Item] = []
      for (index, (item, answer)) in zip(batch.items, result.answers).enumerated() {
        let id = item.id
        switch answer {
        case .admitted(let verdict):
          report.admitted.append((id, verdict))
          if isAgain { released.insert(id) }
          next += room.release(waitingFor: id)
        case .known:
          report.known.append(id)
          next += room.release(waitingFor: id)
        case .waiting(let missing):
          var guest = item
          guest.proof = batch.proof(alone: index, store.suite)
          if missing.contains(where: { released.contains($0) }) {
            // It was submitted before that entered, and looked at after it.
            next.append(guest)
          } else {
            report.waiting.append(id)
            report.evicted += room.add(guest, missing: missing[0])
          }
        case .rejected(let reason):
          report.rejected.append((id, reason))
          if result.condemned.contains(index) { reject(whatWaitsFor: id, &report) }
        }
      }
      guard !next.isEmpty else { break }
      batch = VerifiedOperations(items: next)
      result = try await store.deliver(batch)
      isAgain = true
    }
    return report
  }

  /// Offers again what waits for operations that have come by another way. As with the reports: one call at a time.
  public func retry() async throws -> Report {
    let missing = room.missing
    guard !missing.isEmpty else { return Report() }
    let come = try await store.read { snapshot in
      // Most of them are not here, and to find that out is cheap in order only.
      let operations = try snapshot.operations()
      return try missing.filter { try operations.number(of: $0) != nil }
    }
    return try await retry(after: come)
  }

  /// Offers again what waits for these operations, which have come by another way: without looking for any others.
  public func retry(after come: [Digest]) async throws -> Report {
    let items = come.flatMap { room.release(waitingFor: $0) }
    guard !items.isEmpty else { return Report() }
    return try await report(submit(VerifiedOperations(items: items)), isAgain: true)
  }

  /// What waits for something rejected, however far down, is rejected too. A copy with a bad signature says
  /// nothing of the id: what waits for that goes on waiting for a good one.
  private func reject(whatWaitsFor id: Digest, _ report: inout Report) {
    var condemned = [id]
    while let next = condemned.popLast() {
      for child in room.release(waitingFor: next).map(\.id) {
        report.rejected.append((child, "operation \(child.hex) is rejected: a parent of it is"))
        condemned.append(child)
      }
    }
  }
}
