import HeadwaterLog
import HeadwaterModel

/// Verifies operations from elsewhere and admits them, parents first.
struct Receiver {
  let engine: Engine
  let suite: any CryptoSuite

  func receive(_ operations: [SignedOperation]) throws -> [Store.Reception] {
    var answers: [Store.Reception?] = Array(repeating: nil, count: operations.count)
    var waiting: [Digest: [Int]] = [:]
    var ids: [Digest] = []
    var indices: [Digest: [Int]] = [:]
    for (index, signed) in operations.enumerated() {
      let id = suite.hash(signed.body)
      ids.append(id)
      indices[id, default: []].append(index)
    }
    var queue = Array(operations.indices)
    var next = 0
    while next < queue.count {
      let index = queue[next]
      next += 1
      if let answer = answers[index] {
        guard case .waiting = answer else { continue }
      }
      let answer = try receive(operations[index], id: ids[index])
      answers[index] = answer
      switch answer {
      case .waiting(let missing):
        for id in missing { waiting[id, default: []].append(index) }
      case .admitted, .known:
        queue += waiting.removeValue(forKey: ids[index]) ?? []
      case .rejected: break
      }
    }
    // What waits for something rejected is rejected, however far down.
    var refused = operations.indices.filter {
      if case .rejected = answers[$0]! { true } else { false }
    }
    while let index = refused.popLast() {
      for child in waiting.removeValue(forKey: ids[index]) ?? [] {
        guard case .waiting? = answers[child] else { continue }
        // Another copy of the parent may have been fine.
        guard try engine.log.number(of: ids[index]) == nil else { continue }
        answers[child] = .rejected("operation \(ids[child].hex) is rejected: a parent of it is")
        refused.append(child)
      }
    }
    return answers.map { $0! }
  }

  private func receive(_ signed: SignedOperation, id: Digest) throws -> Store.Reception {
    if try engine.log.number(of: id) != nil { return .known }
    func reject(_ why: String) -> Store.Reception {
      .rejected("operation \(id.hex) is rejected: \(why)")
    }
    guard signed.suite == suite.identifier, signed.publicKey.count == suite.publicKeyByteCount,
      signed.signature.count == suite.signatureByteCount
    else { return reject("its key or signature is not of the database's suite") }
    let operation: Operation
    do { operation = try Operation.decode(signed.body) } catch { return reject("\(error)") }
    guard suite.principal(of: signed.publicKey) == operation.author else {
      return reject("its key is not its author's")
    }
    guard suite.verify(signed.signature, of: id, by: signed.publicKey) else {
      return reject("its signature is wrong")
    }
    do {
      switch try engine.admit(
        operation, id: id, body: signed.body, suite: signed.suite, publicKey: signed.publicKey,
        signature: signed.signature)
      {
      case .known: return .known
      case .admitted(let record, _):
        return .admitted(record.reason.map { .void($0, by: record.voidedBy) } ?? .valid)
      case .waiting(let missing): return .waiting(missing: missing)
      }
    } catch let error as StoreError where error.code == .rejected {
      return .rejected(error.message)
    }
  }
}
