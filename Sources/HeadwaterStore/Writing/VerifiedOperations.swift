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
/// A signature costs some 90 µs to check, several times what admitting the operation costs, so all cores take part,
/// and operations can be verified while others are admitted. Every signature is checked: see decision 0043.
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

  struct Item: Sendable {
    let signed: SignedOperation
    let id: Digest
    let operation: Operation?
    let problem: Problem?
  }

  let items: [Item]

  /// How many operations there are.
  public var count: Int { items.count }

  /// Checks operations on the threads of the process's pool.
  public init(_ operations: [SignedOperation], suite: any CryptoSuite) async {
    items = await VerifiedOperations.map(operations, chunk: 8) { signed in
      let id = suite.hash(signed.body)
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
      guard suite.principal(of: signed.publicKey) == operation.author else {
        return item(operation, .key)
      }
      let isSigned = suite.verify(signed.signature, of: id, by: signed.publicKey)
      return item(operation, isSigned ? nil : .signature)
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
