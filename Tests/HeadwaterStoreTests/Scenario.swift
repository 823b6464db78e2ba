import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// A small history, written by several authors into one store, some of it forged, and then delivered to other
/// replicas in every order.
struct Scenario {
  static let shop = """
    schema Shop
    allow everything

    record Box {
      width: Int
      height: Int?
    }

    collection Item {
      id: Text(40) @key
      name: Text?
      rank: Int @default(7)
      low: Int @default(0) @check(low <= high)
      high: Int @default(100)
      founded: Int? @readonly
      box: Box?
    }

    collection Part {
      id: Text(40) @key
      item: Item? @onDelete(cascade)
      spare: Item? @onDelete(null)
      parent: Part? @onDelete(cascade)
      like: Part? @onDelete(null)
    }

    collection Note {
      text: Text
      part: Part? @onDelete(cascade)
      reply: Note? @onDelete(null)
    }
    """

  let store: Store

  init() throws { store = try Fixture.store(Self.shop) }

  /// Writes as the author of that number; returns the operation.
  @discardableResult
  func write(
    _ author: UInt8 = 1, at frontier: [Digest]? = nil,
    _ body: @escaping @Sendable (Draft) throws -> Void
  ) async throws -> Digest {
    try await store.write(as: Fixture.signer(author), at: frontier, body).operation
  }

  /// Writes as the first author, who has seen everything.
  @discardableResult
  func write(_ body: @escaping @Sendable (Draft) throws -> Void) async throws -> Digest {
    try await write(1, body)
  }

  /// Signs an operation that no store would write.
  func forge(_ author: UInt8 = 2, at frontier: [Digest], _ changes: [RowChange]) async throws
    -> SignedOperation
  {
    let signer = Fixture.signer(author)
    let previous = try await store.read { snapshot -> Digest? in
      guard let author = try snapshot.log.authors.find(signer.principal) else { return nil }
      let parents = try frontier.map { try snapshot.log.record(snapshot.log.number(of: $0)!) }
      return try snapshot.log.highest(of: author, parents: parents, isWholeFrontier: false)?.id
    }
    return Scenario.sign(
      HeadwaterLog.Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: frontier.sorted(), author: signer.principal, previous: previous, time: 5,
        changes: changes), by: signer)
  }

  /// Admits what `forge` signed, and returns its id and verdict.
  @discardableResult
  func admit(_ signed: SignedOperation) async throws -> (id: Digest, verdict: Verdict) {
    let answer = try await store.receive([signed])[0]
    guard case .admitted(let verdict) = answer else {
      Issue.record("not admitted: \(answer)")
      throw CancellationError()
    }
    return (Fixture.suite.hash(signed.body), verdict)
  }

  static func sign(_ operation: HeadwaterLog.Operation, by signer: SigningKey) -> SignedOperation {
    let body = operation.encode()
    return SignedOperation(
      body: body, suite: 1, publicKey: signer.publicKey,
      signature: signer.sign(Fixture.suite.hash(body)))
  }

  /// A change by names; slots of records as `box.width`.
  func change(
    _ kind: RowChange.Kind, _ collection: String, _ key: Key?, _ fields: [String: Value?] = [:]
  ) -> RowChange {
    let index = store.schema.collectionIndex(named: collection)!
    let slots = store.layout.collections[index].slots
    return RowChange(
      kind: kind, collection: index, key: key,
      assignments: fields.map { name, value in
        Assignment(slot: slots.firstIndex { $0.name == name }!, change: .set(value))
      }.sorted { $0.slot < $1.slot })
  }

  func item(_ id: String) async throws -> [String: Value]? {
    try await store.row("Item", .text(id))
  }
  func part(_ id: String) async throws -> [String: Value]? {
    try await store.row("Part", .text(id))
  }

  /// The events that the operation caused, in order.
  func events(of operation: Digest) async throws -> [Change] {
    try await store.allChanges().filter { $0.cause.operations == [operation] }
  }

  /// Every order of arrival, one by one and in one batch, with and without restarts: the same verdicts and rows,
  /// which are the reference's, and events that fold to them.
  func holdsEverywhere(_ comment: Comment? = nil, location: SourceLocation = #_sourceLocation)
    async throws
  {
    let all = try await store.everything()
    let genesis = all[0]
    let rows = try await store.visibleRows()
    let verdicts = try await store.verdicts()
    let deep = try await store.verifyDeep()
    #expect(deep.differences.isEmpty, comment, sourceLocation: location)
    let reference = ReferenceModel(
      operations: try all.map {
        (Fixture.suite.hash($0.body), try HeadwaterLog.Operation.decode($0.body))
      }, schema: store.schema, hasher: Fixture.suite)
    #expect(reference.rows == rows, comment, sourceLocation: location)
    #expect(reference.verdicts == verdicts, comment, sourceLocation: location)

    for (number, order) in Scenario.orders(Array(all.dropFirst())).enumerated() {
      let inBatch = try Store.replicate(at: nil, genesis: genesis, suite: Fixture.suite)
      for answer in try await inBatch.receive(order) {
        guard case .admitted = answer else {
          Issue.record("\(answer)", sourceLocation: location)
          continue
        }
      }
      let restarts = number % 8 == 0
      let folder = try TemporaryFolder()
      let path = restarts ? folder.path("replica") : nil
      var oneByOne: Store? = try Store.replicate(at: path, genesis: genesis, suite: Fixture.suite)
      var pending = order
      while !pending.isEmpty {
        var waiting: [SignedOperation] = []
        for signed in pending {
          if case .waiting = try await oneByOne!.receive([signed])[0] { waiting.append(signed) }
          if let path {
            oneByOne = nil
            oneByOne = try Store.open(path, forWriting: true, suite: Fixture.suite)
          }
        }
        guard waiting.count < pending.count else {
          Issue.record("operations wait for ever", sourceLocation: location)
          return
        }
        pending = waiting
      }
      for replica in [inBatch, oneByOne!] {
        #expect(try await replica.visibleRows() == rows, comment, sourceLocation: location)
        #expect(try await replica.verdicts() == verdicts, comment, sourceLocation: location)
        let deep = try await replica.verifyDeep()
        #expect(deep.differences.isEmpty, comment, sourceLocation: location)
        try await Scenario.expectWholeStream(replica, location)
      }
    }
  }

  /// Positions without gaps, and transactions that each begin where the last ended.
  static func expectWholeStream(
    _ store: Store, _ location: SourceLocation = #_sourceLocation
  ) async throws {
    try await store.read { snapshot in
      guard
        case .transactions(let found) = try snapshot.transactions(
          after: 0, limit: .max, maximumTransaction: .max)
      else {
        Issue.record("trimmed", sourceLocation: location)
        return
      }
      var position: Int64 = 0
      for transaction in found {
        #expect(transaction.firstPosition == position + 1, sourceLocation: location)
        #expect(
          transaction.head.position == position + Int64(transaction.changes.count),
          sourceLocation: location)
        position = transaction.head.position
      }
      #expect(try snapshot.head().position == position, sourceLocation: location)
    }
  }

  /// All orders of up to four operations, and some of more.
  private static func orders(_ operations: [SignedOperation]) -> [[SignedOperation]] {
    if operations.count <= 4 { return permutations(operations) }
    var random = Seeded(UInt64(operations.count))
    return [operations, operations.reversed()]
      + (0..<22).map { _ in operations.shuffled(using: &random) }
  }

  private static func permutations(_ items: [SignedOperation]) -> [[SignedOperation]] {
    guard items.count > 1 else { return [items] }
    return items.indices.flatMap { index in
      var rest = items
      let first = rest.remove(at: index)
      return permutations(rest).map { [first] + $0 }
    }
  }
}

/// A folder that goes with the value.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "headwater-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  func path(_ name: String) -> String { url.appending(path: name).path }

  /// Copies a store's files, as they are at this moment.
  func copy(_ path: String, to name: String) throws -> String {
    let target = self.path(name)
    for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
      try FileManager.default.copyItem(atPath: path + suffix, toPath: target + suffix)
    }
    return target
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

/// A reference to a row with a key of one text.
func reference(_ id: String) -> Value { .reference(Key([.text(id)])) }
func key(_ id: String) -> Key { Key([.text(id)]) }

/// The store's error that `body` throws.
func storeError(
  _ location: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async -> StoreError? {
  do {
    try await body()
    Issue.record("nothing was thrown", sourceLocation: location)
  } catch let error as StoreError {
    return error
  } catch {
    Issue.record("\(error)", sourceLocation: location)
  }
  return nil
}
