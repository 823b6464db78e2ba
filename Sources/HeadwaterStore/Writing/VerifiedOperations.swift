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
/// say, and whether their authors stand by them.
///
/// A signature costs some 90 µs to check, several times what admitting the operation costs. `previous` makes each
/// author's operations a hash chain: a signature that is right authenticates the operation before it as well,
/// and so on back. So of each run of an author's in a batch only the last signature is checked, and the others
/// only where that one is wrong. All cores take part.
public struct VerifiedOperations: Sendable {
  /// What is wrong with an operation, whatever the store holds.
  enum Problem: Sendable {
    /// Of another suite, or of the wrong lengths.
    case suite
    /// No copy of these bytes can be accepted.
    case malformed(String)
    case key
    /// Neither its own signature nor one of a later operation of its author in the batch proves it.
    case unproven
  }

  struct Item: Sendable {
    let signed: SignedOperation
    let id: Digest
    let operation: Operation?
    var problem: Problem?
  }

  private(set) var items: [Item]

  /// How many operations there are.
  public var count: Int { items.count }
  /// How many signatures were checked for them.
  public private(set) var checkedSignatures = 0

  /// Checks operations on the threads of the process's pool.
  public init(_ operations: [SignedOperation], suite: any CryptoSuite) async {
    items = await VerifiedOperations.map(operations, chunk: 32) { signed in
      let id = suite.hash(signed.body)
      func item(_ operation: Operation?, _ problem: Problem?) -> Item {
        Item(signed: signed, id: id, operation: operation, problem: problem)
      }
      guard signed.suite == suite.identifier, signed.publicKey.count == suite.publicKeyByteCount,
        signed.signature.count == suite.signatureByteCount
      else { return item(nil, .suite) }
      do {
        let operation = try Operation.decode(signed.body)
        let isAuthors = suite.principal(of: signed.publicKey) == operation.author
        return item(operation, isAuthors ? nil : .key)
      } catch {
        return item(nil, .malformed("\(error)"))
      }
    }
    await prove(suite)
  }

  /// Finds out which operations their authors stand by.
  private mutating func prove(_ suite: any CryptoSuite) async {
    var copies: [Digest: [Int]] = [:]
    for index in items.indices where items[index].problem == nil {
      copies[items[index].id, default: []].append(index)
    }
    /// For each operation the operations before it in its author's chain, as far as they are here.
    let before: [[Int]] = items.map { item in
      guard item.problem == nil, let operation = item.operation, let previous = operation.previous
      else { return [] }
      return (copies[previous] ?? []).filter { items[$0].operation?.author == operation.author }
    }
    /// How many operations there are that may still vouch for it.
    var vouchers = [Int](repeating: 0, count: items.count)
    for list in before { for index in list { vouchers[index] += 1 } }
    var isDecided = items.map { $0.problem != nil }
    var tips = items.indices.filter { !isDecided[$0] && vouchers[$0] == 0 }
    while !tips.isEmpty {
      checkedSignatures += tips.count
      let candidates = tips.map { items[$0] }
      let results = await VerifiedOperations.map(candidates, chunk: 4) { item in
        suite.verify(item.signed.signature, of: item.id, by: item.signed.publicKey)
      }
      var next: [Int] = []
      for (tip, isRight) in zip(tips, results) where !isDecided[tip] {
        isDecided[tip] = true
        if isRight {
          var proven = before[tip]
          while let index = proven.popLast() {
            guard !isDecided[index] else { continue }
            isDecided[index] = true
            proven += before[index]
          }
        } else {
          items[tip].problem = .unproven
          for index in before[tip] {
            vouchers[index] -= 1
            if vouchers[index] == 0 { next.append(index) }
          }
        }
      }
      tips = next.filter { !isDecided[$0] }
    }
  }

  /// The results for all elements, in order, worked out on all cores.
  private static func map<Element: Sendable, Result: Sendable>(
    _ elements: [Element], chunk: Int, _ body: @escaping @Sendable (Element) -> Result
  ) async -> [Result] {
    let cores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    guard cores > 1, elements.count > chunk else { return elements.map(body) }
    let size = max(chunk, (elements.count + cores - 1) / cores)
    return await withTaskGroup(of: (Int, [Result]).self) { group in
      for start in stride(from: 0, to: elements.count, by: size) {
        let part = elements[start..<min(start + size, elements.count)]
        group.addTask { (start, part.map(body)) }
      }
      var parts: [(start: Int, results: [Result])] = []
      for await part in group { parts.append(part) }
      parts.sort { $0.start < $1.start }
      return parts.flatMap(\.results)
    }
  }
}
