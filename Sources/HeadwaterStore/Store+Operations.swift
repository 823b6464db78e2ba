import HeadwaterLog
import HeadwaterModel

extension Snapshot {
  /// The local number of the operation that came last; 0 where there is none.
  public var lastNumber: Int64 { log.nextNumber - 1 }

  /// The ids of at most `limit` operations that came after the one with that local number, with the number of the
  /// last of them; in order of arrival.
  public func ids(after number: Int64, limit: Int) throws -> (ids: [Digest], last: Int64) {
    let last = min(lastNumber, number.addingReportingOverflow(Int64(limit)).0)
    guard last > number else { return ([], number) }
    return (try (number + 1...last).map { try log.record($0).id }, last)
  }

  /// The operation with that local number, its id, and the operation on whose word it was taken; nil where its own
  /// signature was checked.
  public func travelling(_ number: Int64) throws -> (
    id: Digest, signed: SignedOperation, voucher: Digest?
  ) {
    try log.travelling(number)
  }

  /// The operations that prove the one with that number (`Vouching.prove`); none where its own signature is good.
  public func witnesses(for number: Int64) throws -> [SignedOperation] {
    try log.witnesses(for: number)
  }
}

extension Store {
  /// Returns when the store has operations after the one with that local number, at the end of `timeout`, or when the
  /// task is cancelled. Writers of this process wake it at once; those of another are noticed within 20 ms.
  public func waitForOperations(after number: Int64, timeout: Duration) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: timeout)
    while clock.now < deadline, !Task.isCancelled {
      let commits = waiters.withLock(\.commits)
      if try await read({ $0.lastNumber }) > number { return }
      if writer != nil, !options.takesTurns {
        await waitForCommit(after: commits, until: deadline)
      } else {
        try? await clock.sleep(for: .milliseconds(20))
      }
    }
  }
}
