import Foundation
import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// Messages of operations, and which of these are proven: for other implementations of Docs/SyncProtocol.md, Signatures.
///
/// `HEADWATER_WRITE_FIXTURES=1` in the environment writes them anew.
@Suite struct SignatureVectorTests {
  private struct Vector: Codable, Equatable {
    let name: String
    /// As they travel.
    let operations: [String]
    let witnesses: [String]
    let proven: [Bool]
  }

  private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/sync/signatures.json")

  private let database = Fixture.suite.hash([1])

  private func operation(_ author: UInt8, after previous: SignedOperation?, bytes: Int = 10)
    -> SignedOperation
  {
    let last = previous.map { Fixture.suite.hash($0.body) }
    return Scenario.sign(
      Operation(
        kind: .ordinary(database: database, schema: database), parents: [last ?? database],
        author: Fixture.signer(author).principal, previous: last, time: 1,
        changes: [
          RowChange(
            kind: .create, collection: 0, key: Key([.text(String(repeating: "x", count: bytes))]),
            assignments: [])
        ]), by: Fixture.signer(author))
  }

  private func chain(_ count: Int, bytes: Int = 10) -> [SignedOperation] {
    var chain: [SignedOperation] = []
    for _ in 0..<count { chain.append(operation(2, after: chain.last, bytes: bytes)) }
    return chain
  }

  private func spoil(_ signed: SignedOperation) -> SignedOperation {
    var signature = signed.signature
    signature[0] ^= 1
    return SignedOperation(
      body: signed.body, suite: signed.suite, publicKey: signed.publicKey, signature: signature)
  }

  private func vector(
    _ name: String, _ operations: [SignedOperation], witnesses: [SignedOperation] = []
  ) async -> Vector {
    func hex(_ list: [SignedOperation]) -> [String] { list.map { hexadecimal($0.encode()) } }
    let verified = await VerifiedOperations(
      operations, witnesses: witnesses, suite: Fixture.suite)
    return Vector(
      name: name, operations: hex(operations), witnesses: hex(witnesses),
      proven: verified.items.prefix(operations.count).map { $0.problem == nil })
  }

  private func vectors() async -> [Vector] {
    let short = chain(3)
    let run = chain(18)
    let end = run[run.count - 1]
    let other = operation(3, after: short[0])
    let long = operation(2, after: short[0], bytes: 4_096)
    return [
      await vector("all well signed", short),
      await vector("the last alone is well signed", short[..<2].map(spoil) + [short[2]]),
      await vector("the last is badly signed", [short[0], spoil(short[1])]),
      await vector("children first", [short[1], spoil(short[0])]),
      await vector(
        "17 before the good one, of which the first is too far", run[..<17].map(spoil) + [end]),
      await vector("by a witness", [spoil(short[0])], witnesses: [short[1]]),
      await vector(
        "by a witness that is badly signed itself, and its own", [spoil(short[0])],
        witnesses: [spoil(short[1]), short[2]]),
      await vector("by nobody: another author's", [spoil(short[0]), other]),
      await vector("by nobody: too long to vouch", [spoil(short[0]), long]),
      await vector(
        "two bad copies, and one that vouches", [spoil(short[0]), short[1], spoil(short[0])]),
      await vector("a good and a bad copy", [short[0], spoil(short[0])]),
    ]
  }

  @Test func theSignatures() async throws {
    let made = await vectors()
    if ProcessInfo.processInfo.environment["HEADWATER_WRITE_FIXTURES"] != nil {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes, .sortedKeys]
      try (encoder.encode(made) + [10]).write(to: Self.file)
    }
    let stored = try JSONDecoder().decode([Vector].self, from: Data(contentsOf: Self.file))
    #expect(stored == made)
    // Said here too, so that no file need be believed.
    #expect(
      stored.map(\.proven) == [
        [true, true, true], [true, true, true], [true, false], [true, true],
        [false] + Array(repeating: true, count: 17), [true], [true], [false, true], [false, true],
        [true, true, true], [true, false],
      ])
  }
}
