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
  }

  func receive(_ operations: VerifiedOperations) throws -> Result {
    let count = operations.count
    let items = operations.items
    var answers: [Store.Reception?] = Array(repeating: nil, count: count)
    // Each operation waits for one of its missing parents at a time, so it is looked at again once a parent.
    var waiting: [Digest: [Int]] = [:]
    // Those that no copy can make acceptable.
    var condemned: [Int] = []
    var queue = Array(0..<count)
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
      let (answer, isOfID) = try receive(operations, index)
      answers[index] = answer
      switch answer {
      case .waiting(let missing): waiting[missing[0], default: []].append(index)
      case .admitted, .known:
        if !waiting.isEmpty { queue += waiting.removeValue(forKey: items[index].id) ?? [] }
      case .rejected: if isOfID { condemned.append(index) }
      }
    }
    let result = Result(
      answers: reject(
        whatWaitsFor: condemned, items[..<count].map(\.id), answers.map { $0! }),
      condemned: Set(condemned))
    try keepProofs(operations, result)
    return result
  }

  /// Sees to it that what was taken on the word of an operation can be proven when that very copy of it did not enter.
  private func keepProofs(_ operations: VerifiedOperations, _ result: Result) throws {
    for (index, answer) in result.answers.enumerated() {
      guard case .admitted = answer,
        case .voucher(let voucher) = operations.items[index].proof
      else { continue }
      // One that was known is in the store as another copy, whose proof is another too.
      if voucher < operations.count, case .admitted = result.answers[voucher] { continue }
      guard let number = try engine.log.number(of: operations.items[index].id) else { continue }
      if case .witnesses(let witnesses) = operations.proof(alone: index, engine.suite) {
        try engine.log.keep(witnesses, for: number)
      } else {
        try engine.log.forgetVoucher(of: number)
      }
    }
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
  private func receive(_ operations: VerifiedOperations, _ index: Int) throws -> (
    Store.Reception, Bool
  ) {
    // Field by field: copying all that an item holds is a good part of admitting it.
    let id = operations.items[index].id
    func reject(_ why: String, isOfID: Bool = false) -> (Store.Reception, Bool) {
      (.rejected("operation \(id.hex) is rejected: \(why)"), isOfID)
    }
    if let problem = operations.items[index].problem {
      if try engine.log.number(of: id) != nil { return (.known, false) }
      switch problem {
      case .suite: return reject("its key or signature is not of the database's suite")
      case .malformed(let why): return reject(why, isOfID: true)
      case .key: return reject("its key is not its author's")
      case .signature: return reject("its signature is wrong")
      }
    }
    guard let operation = operations.items[index].operation else {
      return reject("it cannot be read", isOfID: true)
    }
    var voucher: Digest?
    var witnesses: [SignedOperation] = []
    switch operations.items[index].proof {
    case .signature: break
    case .voucher(let index): voucher = operations.items[index].id
    case .witnesses(let chain):
      witnesses = chain
      voucher = chain.first.map { engine.suite.hash($0.body) }
    }
    let signed = operations.items[index].signed
    do {
      switch try engine.admit(
        operation, id: id, body: signed.body, suite: signed.suite, publicKey: signed.publicKey,
        signature: signed.signature, voucher: voucher)
      {
      case .known: return (.known, false)
      case .admitted(let record, _):
        if !witnesses.isEmpty { try engine.log.keep(witnesses, for: record.number) }
        return (.admitted(record.reason.map { .void($0, by: record.voidedBy) } ?? .valid), false)
      case .waiting(let missing): return (.waiting(missing: missing), false)
      }
    } catch let error as StoreError where error.code == .rejected {
      return (.rejected(error.message), true)
    }
  }
}
