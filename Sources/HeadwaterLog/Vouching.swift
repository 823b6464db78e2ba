import HeadwaterModel

/// How far a signature reaches along the chain of its author's operations.
///
/// An operation names its author's one before it by hash, so whoever signs it has said that one too: it *vouches* for
/// it. Where operations come together only some signatures of a run need be checked therefore. What is admitted on the
/// word of another can be passed on with that one as a *witness*; the limits keep what is needed for it small. They
/// are part of the sync protocol: all replicas have to have the same (Docs/SyncProtocol.md, Signatures).
public enum Vouching {
  /// How many steps back from a signature that was checked an operation may stand.
  public static let steps = 16
  /// The longest body of an operation that vouches, in bytes.
  public static let voucherBytes = 4_096
  /// The longest body of an operation that is vouched for, in bytes.
  public static let vouchedBytes = 65_536

  /// Whether `operation` may vouch for `previous`, which it names, if it is proven itself.
  public static func mayVouch(
    _ operation: Operation, ofBytes bytes: Int, for previous: Operation, ofBytes previousBytes: Int
  ) -> Bool {
    bytes <= voucherBytes && previousBytes <= vouchedBytes && !previous.isGenesis
      && operation.author == previous.author
  }

  /// Whether witnesses prove an operation: each names the one before it as its author's previous one, the first names
  /// the operation, and the last is well signed.
  public static func prove(
    _ signed: SignedOperation, _ witnesses: [SignedOperation], suite: any CryptoSuite
  ) -> Bool {
    guard !witnesses.isEmpty, witnesses.count <= steps,
      var last = try? Operation.decode(signed.body)
    else { return false }
    var lastSigned = signed
    for witness in witnesses {
      guard let next = try? Operation.decode(witness.body),
        next.previous == suite.hash(lastSigned.body),
        mayVouch(
          next, ofBytes: witness.body.count, for: last, ofBytes: lastSigned.body.count)
      else { return false }
      (last, lastSigned) = (next, witness)
    }
    return lastSigned.suite == suite.identifier
      && suite.principal(of: lastSigned.publicKey) == last.author
      && suite.verify(
        lastSigned.signature, of: suite.hash(lastSigned.body), by: lastSigned.publicKey)
  }

  /// The witnesses that operations need which travel together, each once.
  ///
  /// - Parameters:
  ///   - operations: their ids, and the operations on whose word they were taken; nil where their own signatures were
  ///     checked.
  ///   - limit: nil is returned where more bytes would be needed, unless there is one operation only.
  ///   - find: what proves the operation at an index; none where its own signature is good.
  public static func witnesses<Witness: Hashable>(
    for operations: [(id: Digest, voucher: Digest?)], atMost limit: Int,
    byteCount: (Witness) -> Int, find: (Int) throws -> [Witness]
  ) rethrows -> [Witness]? {
    guard operations.contains(where: { $0.voucher != nil }) else { return [] }
    let present = Set(operations.map(\.id))
    var witnesses: [Witness] = []
    var seen: Set<Witness> = []
    var bytes = 0
    for (index, operation) in operations.enumerated() {
      guard let voucher = operation.voucher, !present.contains(voucher) else { continue }
      for witness in try find(index) where seen.insert(witness).inserted {
        witnesses.append(witness)
        bytes += byteCount(witness)
      }
      if bytes > limit, operations.count > 1 { return nil }
    }
    return witnesses
  }
}
