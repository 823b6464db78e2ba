import Dispatch
import HeadwaterLog
import HeadwaterModel
import Synchronization

/// An operation from elsewhere, with what its hash, key and signature are worth.
struct ReceivedOperation: Sendable {
  enum Check: Sendable {
    /// Its key is its author's and its signature is good.
    case signed
    /// Not acceptable; `isOfID` if no other copy can be either.
    case refused(String, isOfID: Bool)
  }

  let signed: SignedOperation
  let id: Digest
  let check: Check
}

/// Checks hashes, keys and signatures, on all cores, before the writer is troubled.
///
/// Every operation's own signature is looked at, because every one may have to be passed on alone (decision 0043).
struct Verification {
  let suite: any CryptoSuite

  /// Like `verify`, on a queue and not on the threads of tasks.
  func verified(_ operations: [SignedOperation]) async -> [ReceivedOperation] {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: verify(operations)) }
    }
  }

  func verify(_ operations: [SignedOperation]) -> [ReceivedOperation] {
    let piece = 8
    guard operations.count > piece else { return operations.map(verify) }
    let pieces = (operations.count + piece - 1) / piece
    let results = Mutex([[ReceivedOperation]](repeating: [], count: pieces))
    DispatchQueue.concurrentPerform(iterations: pieces) { number in
      let part = operations[number * piece..<min((number + 1) * piece, operations.count)]
        .map(verify)
      results.withLock { $0[number] = part }
    }
    return results.withLock { $0.flatMap { $0 } }
  }

  private func verify(_ signed: SignedOperation) -> ReceivedOperation {
    let id = suite.hash(signed.body)
    func refused(_ why: String, isOfID: Bool = false) -> ReceivedOperation {
      ReceivedOperation(signed: signed, id: id, check: .refused(why, isOfID: isOfID))
    }
    guard signed.suite == suite.identifier, signed.publicKey.count == suite.publicKeyByteCount,
      signed.signature.count == suite.signatureByteCount
    else { return refused("its key or signature is not of the database's suite") }
    let operation: Operation
    do { operation = try Operation.decode(signed.body) } catch {
      return refused("\(error)", isOfID: true)
    }
    guard suite.principal(of: signed.publicKey) == operation.author else {
      return refused("its key is not its author's")
    }
    guard suite.verify(signed.signature, of: id, by: signed.publicKey) else {
      return refused("its signature is wrong")
    }
    return ReceivedOperation(signed: signed, id: id, check: .signed)
  }
}
