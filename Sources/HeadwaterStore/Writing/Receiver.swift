import HeadwaterLog
import HeadwaterModel

/// Admits verified operations from elsewhere, parents first.
struct Receiver {
  let engine: Engine

  /// What became of operations.
  struct Result {
    /// In the order in which they were given.
    var answers: [Store.Reception]
    /// Which of the rejected no other copy can make acceptable.
    var condemned: Set<Int>
    /// Which of the rejected a later operation of their author's could still prove.
    var unproven: Set<Int>
  }

  func receive(_ operations: VerifiedOperations) throws -> Result {
    let items = operations.items
    var answers: [Store.Reception?] = Array(repeating: nil, count: items.count)
    // Each operation waits for one of its missing parents at a time, so it is looked at again once a parent.
    var waiting: [Digest: [Int]] = [:]
    // Those that no copy can make acceptable.
    var condemned: [Int] = []
    var unproven: Set<Int> = []
    var queue = Array(items.indices)
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
      let (answer, blame) = try receive(items[index])
      answers[index] = answer
      switch answer {
      case .waiting(let missing): waiting[missing[0], default: []].append(index)
      case .admitted, .known: queue += waiting.removeValue(forKey: items[index].id) ?? []
      case .rejected:
        if blame == .id { condemned.append(index) }
        if blame == .signature { unproven.insert(index) }
      }
    }
    return Result(
      answers: reject(whatWaitsFor: condemned, items.map(\.id), answers.map { $0! }),
      condemned: Set(condemned), unproven: unproven)
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

  /// What a rejection is due to: something of this copy alone, after which another may follow, or the bytes.
  private enum Blame {
    case none, copy, signature, id
  }

  private func receive(_ item: VerifiedOperations.Item) throws -> (Store.Reception, Blame) {
    let (signed, id) = (item.signed, item.id)
    if try engine.log.number(of: id) != nil { return (.known, .none) }
    func reject(_ why: String, _ blame: Blame) -> (Store.Reception, Blame) {
      (.rejected("operation \(id.hex) is rejected: \(why)"), blame)
    }
    switch item.problem {
    case .suite: return reject("its key or signature is not of the database's suite", .copy)
    case .malformed(let why): return reject(why, .id)
    case .key: return reject("its key is not its author's", .copy)
    case .unproven: return reject("its signature is wrong", .signature)
    case nil: break
    }
    guard let operation = item.operation else { return reject("it cannot be read", .id) }
    do {
      switch try engine.admit(
        operation, id: id, body: signed.body, suite: signed.suite, publicKey: signed.publicKey,
        signature: signed.signature)
      {
      case .known: return (.known, .none)
      case .admitted(let record, _):
        return (.admitted(record.reason.map { .void($0, by: record.voidedBy) } ?? .valid), .none)
      case .waiting(let missing): return (.waiting(missing: missing), .none)
      }
    } catch let error as StoreError where error.code == .rejected {
      return (.rejected(error.message), .id)
    }
  }
}
