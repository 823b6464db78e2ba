import HeadwaterLog
import HeadwaterModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Operations from elsewhere, with everything found out about them that needs no store: their ids, what they
/// say, and whether their authors signed them.
///
/// A signature costs some 50 µs to check, several times what admitting the operation costs. So of a run of an author's
/// operations that came together only some are checked, which vouch for the others (`Vouching`, decision 0050); all
/// cores take part; and operations can be verified while others are admitted.
public struct VerifiedOperations: Sendable {
  /// What is wrong with an operation, whatever the store holds.
  enum Problem: Sendable {
    /// Of another suite, or of the wrong lengths.
    case suite
    /// No copy of these bytes can be accepted.
    case malformed(String)
    case key
    case signature
  }

  /// What shows that an operation is its author's.
  enum Proof: Sendable {
    /// Its own signature.
    case signature
    /// The operation at that index, among those that came with it, which is proven itself.
    case voucher(Int)
    /// Its own signature is wrong, and these operations, which are not in the store, are its witnesses (`Vouching.prove`).
    case witnesses([SignedOperation])
  }

  struct Item: Sendable {
    let signed: SignedOperation
    let id: Digest
    let operation: Operation?
    var problem: Problem?
    var proof = Proof.signature
  }

  /// The operations, and then those that only came as witnesses for them.
  let items: [Item]

  /// How many operations there are, without the witnesses.
  public let count: Int

  init(items: [Item]) {
    self.items = items
    count = items.count
  }

  /// Checks operations on the threads of the process's pool.
  ///
  /// - Parameters:
  ///   - operations: that came together: in one message, or in one group of a bundle.
  ///   - ids: the hashes of their bodies, if they are at hand; otherwise none.
  ///   - witnesses: what came with them as proof only.
  public init(
    _ operations: [SignedOperation], ids: [Digest] = [], witnesses: [SignedOperation] = [],
    suite: any CryptoSuite
  ) async {
    count = operations.count
    let all = operations + witnesses
    var items = await VerifiedOperations.map(count: all.count, chunk: 64) { range in
      var examiner = Examiner(suite: suite)
      return range.map { index in
        examiner.examine(all[index], id: ids.indices.contains(index) ? ids[index] : nil)
      }
    }
    let runs = SignatureRuns(
      items.map { item in
        guard item.problem == nil, let operation = item.operation else { return nil }
        return SignatureRuns.Member(
          id: item.id, operation: operation, byteCount: item.signed.body.count)
      })
    func check(_ indices: [Int]) async -> (good: [Int], bad: [Int]) {
      let some = indices.map { (items[$0].signed, items[$0].id) }
      let results = await VerifiedOperations.map(count: some.count, chunk: 8) { range in
        range.map { index in
          let (signed, id) = some[index]
          return suite.verify(signed.signature, of: id, by: signed.publicKey)
        }
      }
      let pairs = zip(indices, results)
      return (pairs.filter(\.1).map(\.0), pairs.filter { !$0.1 }.map(\.0))
    }
    let ends = runs.ends()
    var (good, bad) = await check(ends)
    if !bad.isEmpty {
      // Somebody signs badly: then every signature of theirs counts.
      good += await check(runs.others(ofAuthorsOf: bad, except: ends)).good
    }
    for (index, proof) in runs.proofs(good).enumerated() where items[index].problem == nil {
      switch proof {
      case nil: items[index].problem = .signature
      case let proof?: items[index].proof = proof.voucher.map { .voucher($0) } ?? .signature
      }
    }
    self.items = items
  }

  /// Finds out everything but whether the signature is good.
  private struct Examiner {
    let suite: any CryptoSuite
    /// The key that was looked at last, and whose it is: the next operation is mostly by the same author.
    private var last: (key: [UInt8], principal: Digest)?

    init(suite: any CryptoSuite) { self.suite = suite }

    mutating func examine(_ signed: SignedOperation, id: Digest?) -> Item {
      let id = id ?? suite.hash(signed.body)
      func item(_ operation: Operation?, _ problem: Problem?) -> Item {
        Item(signed: signed, id: id, operation: operation, problem: problem)
      }
      guard signed.suite == suite.identifier, signed.publicKey.count == suite.publicKeyByteCount,
        signed.signature.count == suite.signatureByteCount
      else { return item(nil, .suite) }
      let operation: Operation
      do { operation = try Operation.decode(signed.body) } catch {
        return item(nil, .malformed("\(error)"))
      }
      return item(operation, principal(of: signed.publicKey) == operation.author ? nil : .key)
    }

    private mutating func principal(of key: [UInt8]) -> Digest {
      if let last, last.key == key { return last.principal }
      let principal = suite.principal(of: key)
      last = (key, principal)
      return principal
    }
  }

  /// The operations that prove the one at an index, as far as they came with it: not itself.
  func witnesses(of index: Int) -> [SignedOperation] {
    var witnesses: [SignedOperation] = []
    var current = index
    while case .voucher(let next) = items[current].proof {
      witnesses.append(items[next].signed)
      current = next
    }
    if case .witnesses(let rest) = items[current].proof { witnesses += rest }
    return witnesses
  }

  /// What proves an operation without those that came with it.
  func proof(alone index: Int, _ suite: any CryptoSuite) -> Proof {
    let item = items[index]
    guard case .voucher = item.proof else { return item.proof }
    return suite.verify(item.signed.signature, of: item.id, by: item.signed.publicKey)
      ? .signature : .witnesses(witnesses(of: index))
  }

  /// The results for all indices below `count`, in order, worked out on all cores: `body` has those of a range.
  private static func map<Result: Sendable>(
    count: Int, chunk: Int, _ body: @escaping @Sendable (Range<Int>) -> [Result]
  ) async -> [Result] {
    let cores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    guard cores > 1, count > chunk else { return body(0..<count) }
    let size = max(chunk, (count + cores - 1) / cores)
    return await withTaskGroup(of: (Int, [Result]).self) { group in
      for start in stride(from: 0, to: count, by: size) {
        group.addTask { (start, body(start..<min(start + size, count))) }
      }
      var parts: [(start: Int, results: [Result])] = []
      for await part in group { parts.append(part) }
      parts.sort { $0.start < $1.start }
      return parts.flatMap(\.results)
    }
  }
}
