import HeadwaterLog
import HeadwaterModel

/// Takes operations from one peer in any order, and keeps those whose parents have not come: so many and no more.
///
/// One for each peer, so that a peer who sends what can never be admitted crowds out nobody but himself. What is
/// evicted is reported, so that the peer can be asked for it again. May be used from anywhere, one call at a time.
public actor Inbox {
  /// What became of a delivery, and of what had waited for it.
  public struct Report: Sendable {
    /// In the order of admission, with the verdicts that they had then.
    public var admitted: [(id: Digest, verdict: Verdict)] = []
    /// With the reasons. They never enter, nor does what waits for them.
    public var rejected: [(id: Digest, reason: String)] = []
    /// Turned out to make room: offer them again after their parents.
    public var evicted: [Digest] = []
  }

  private let store: Store
  private var room: WaitingRoom
  /// Copies whose signature is wrong, of operations that a later one of their author may prove: whoever sent them
  /// may have checked no more than that one.
  private var unproven: [Digest: SignedOperation] = [:]
  private var unprovenBytes = 0
  private let maximumUnproven: (operations: Int, bytes: Int)

  /// - Parameters:
  ///   - maximumOperations: how many operations may wait.
  ///   - maximumBytes: about how many bytes they may take.
  public init(
    _ store: Store, maximumOperations: Int = 16_384, maximumBytes: Int = 64 << 20
  ) {
    self.store = store
    room = WaitingRoom(maximumOperations: maximumOperations, maximumBytes: maximumBytes)
    maximumUnproven = (min(1_024, maximumOperations), min(16 << 20, maximumBytes))
  }

  /// How many operations wait.
  public var waiting: Int { room.count + unproven.count }
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
    var report = Report()
    var batch = operations
    while batch.count > 0 {
      // What is proven may prove others in turn.
      while let proven = provenBy(batch) {
        batch = await VerifiedOperations(
          proven + batch.items.map(\.signed), suite: store.suite)
      }
      let result = try await store.deliver(batch)
      var next: [SignedOperation] = []
      for (index, (item, answer)) in zip(batch.items, result.answers).enumerated() {
        let id = item.id
        switch answer {
        case .admitted(let verdict):
          report.admitted.append((id, verdict))
          next += release(waitingFor: id)
        case .known: next += release(waitingFor: id)
        case .waiting(let missing):
          report.evicted += room.add(item.signed, id: id, missing: missing[0])
        case .rejected(let reason):
          if result.unproven.contains(index), keep(item) {
            next += provers(of: item)
            continue
          }
          report.rejected.append((id, reason))
          if result.condemned.contains(index) {
            forget(copyOf: id)
            reject(whatWaitsFor: id, &report)
          }
        }
      }
      guard !next.isEmpty else { break }
      batch = await VerifiedOperations(next, suite: store.suite)
    }
    return report
  }

  private func forget(copyOf id: Digest) {
    if let copy = unproven.removeValue(forKey: id) { unprovenBytes -= copy.body.count }
  }

  private func release(waitingFor id: Digest) -> [SignedOperation] {
    forget(copyOf: id)
    return room.release(waitingFor: id).map(\.operation)
  }

  /// Keeps a copy that may still be proven; false where there is no room.
  private func keep(_ item: VerifiedOperations.Item) -> Bool {
    guard unproven[item.id] == nil, unproven.count < maximumUnproven.operations,
      unprovenBytes + item.signed.body.count <= maximumUnproven.bytes
    else { return unproven[item.id] != nil }
    unproven[item.id] = item.signed
    unprovenBytes += item.signed.body.count
    return true
  }

  /// The copy with what waits for it, if something that does may prove it; otherwise nothing.
  private func provers(of item: VerifiedOperations.Item) -> [SignedOperation] {
    let waiting = room.release(waitingFor: item.id)
    let isProver = waiting.contains { _, signed in
      guard let operation = try? Operation.decode(signed.body) else { return false }
      return operation.previous == item.id && operation.author == item.operation?.author
    }
    if isProver, let copy = unproven.removeValue(forKey: item.id) {
      unprovenBytes -= copy.body.count
      return [copy] + waiting.map(\.operation)
    }
    for (id, operation) in waiting { _ = room.add(operation, id: id, missing: item.id) }
    return []
  }

  /// The copies that the operations may prove; nil if there are none, as nearly always.
  private func provenBy(_ operations: VerifiedOperations) -> [SignedOperation]? {
    guard !unproven.isEmpty else { return nil }
    let suite = store.suite
    var found: [SignedOperation] = []
    for item in operations.items where item.problem == nil {
      var previous = item.operation?.previous
      // By whom else it is named proves nothing, and changes nothing.
      while let id = previous, let copy = unproven[id],
        suite.principal(of: copy.publicKey) == item.operation?.author
      {
        unproven[id] = nil
        unprovenBytes -= copy.body.count
        found.append(copy)
        previous = (try? Operation.decode(copy.body))?.previous
      }
    }
    return found.isEmpty ? nil : found
  }

  /// Offers again what waits for operations that have come by another way.
  public func retry() async throws -> Report {
    let missing = room.missing
    let come = try await store.read { snapshot in
      try missing.filter { try snapshot.log.number(of: $0) != nil }
    }
    return try await receive(come.flatMap { release(waitingFor: $0) })
  }

  /// What waits for something rejected, however far down, is rejected too. A copy with a bad signature says
  /// nothing of the id: what waits for that goes on waiting for a good one.
  private func reject(whatWaitsFor id: Digest, _ report: inout Report) {
    var condemned = [id]
    while let next = condemned.popLast() {
      for (child, _) in room.release(waitingFor: next) {
        report.rejected.append((child, "operation \(child.hex) is rejected: a parent of it is"))
        condemned.append(child)
      }
    }
  }
}
