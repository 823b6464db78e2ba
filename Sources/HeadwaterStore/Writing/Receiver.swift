import HeadwaterLog
import HeadwaterModel

/// Admits verified operations from elsewhere, parents first.
struct Receiver {
  let engine: Engine
  let suite: any CryptoSuite

  /// What became of each, and which of the rejected no other copy can make acceptable.
  func receive(_ operations: [ReceivedOperation]) throws -> (
    answers: [Store.Reception], condemned: Set<Int>
  ) {
    let ids = operations.map(\.id)
    var answers: [Store.Reception?] = Array(repeating: nil, count: operations.count)
    // Each operation waits for one of its missing parents at a time, so it is looked at again once a parent.
    var waiting: [Digest: [Int]] = [:]
    // Those that no copy can make acceptable.
    var condemned: [Int] = []
    var queue = Array(operations.indices)
    var next = 0
    while next < queue.count {
      let index = queue[next]
      next += 1
      if case .waiting(let missing)? = answers[index] {
        let still = try missing.filter { try engine.log.number(of: $0) == nil }
        if let first = still.first {
          answers[index] = .waiting(missing: still)
          waiting[first, default: []].append(index)
          continue
        }
      }
      let (answer, isOfID) = try receive(operations[index])
      answers[index] = answer
      switch answer {
      case .waiting(let missing): waiting[missing[0], default: []].append(index)
      case .admitted, .known: queue += waiting.removeValue(forKey: ids[index]) ?? []
      case .rejected: if isOfID { condemned.append(index) }
      }
    }
    return (reject(whatWaitsFor: condemned, ids, answers.map { $0! }), Set(condemned))
  }

  /// What waits for something rejected is rejected, however far down.
  private func reject(whatWaitsFor condemned: [Int], _ ids: [Digest], _ answers: [Store.Reception])
    -> [Store.Reception]
  {
    guard !condemned.isEmpty else { return answers }
    var answers = answers
    var children: [Digest: [Int]] = [:]
    for (index, answer) in answers.enumerated() {
      guard case .waiting(let missing) = answer else { continue }
      for id in missing { children[id, default: []].append(index) }
    }
    var condemned = condemned
    while let index = condemned.popLast() {
      for child in children.removeValue(forKey: ids[index]) ?? [] {
        guard case .waiting = answers[child] else { continue }
        answers[child] = .rejected("operation \(ids[child].hex) is rejected: a parent of it is")
        condemned.append(child)
      }
    }
    return answers
  }

  /// The answer, and whether it is a rejection of the id: one that is due to the key or signature is of this copy
  /// alone, and another may follow.
  private func receive(_ received: ReceivedOperation) throws -> (Store.Reception, Bool) {
    let (signed, id) = (received.signed, received.id)
    if try engine.log.number(of: id) != nil { return (.known, false) }
    func reject(_ why: String, isOfID: Bool) -> (Store.Reception, Bool) {
      (.rejected("operation \(id.hex) is rejected: \(why)"), isOfID)
    }
    if case .refused(let why, let isOfID) = received.check { return reject(why, isOfID: isOfID) }
    let operation: Operation
    do { operation = try Operation.decode(signed.body) } catch {
      return reject("\(error)", isOfID: true)
    }
    do {
      switch try engine.admit(
        operation, id: id, body: signed.body, suite: signed.suite, publicKey: signed.publicKey,
        signature: signed.signature)
      {
      case .known: return (.known, false)
      case .admitted(let record, _):
        return (.admitted(record.reason.map { .void($0, by: record.voidedBy) } ?? .valid), false)
      case .waiting(let missing): return (.waiting(missing: missing), false)
      }
    } catch let error as StoreError where error.code == .rejected {
      return (.rejected(error.message), true)
    }
  }
}
