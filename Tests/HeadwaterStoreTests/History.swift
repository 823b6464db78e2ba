import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium

@testable import HeadwaterStore

/// Makes random histories of one database, as several authors on several frontiers would: valid operations,
/// operations on rows that are gone (forged: a store would refuse to write them), and forks of one author.
struct HistoryMaker {
  let genesis: SignedOperation
  let genesisID: Digest
  let schema: Schema
  private(set) var operations: [(id: Digest, signed: SignedOperation)] = []
  private var nodes: [Digest: Node] = [:]
  private var random: Seeded
  private let signers: [SigningKey]

  private struct Node {
    let past: Set<Digest>
    let height: Int
    let author: Digest
  }

  init(seed: UInt64, authors: Int, schema: Schema, genesis: SignedOperation) throws {
    random = Seeded(seed)
    self.schema = schema
    self.genesis = genesis
    genesisID = Fixture.suite.hash(genesis.body)
    signers = (1...UInt8(authors)).map { Fixture.signer($0) }
    let author = try Operation.decode(genesis.body).author
    nodes[genesisID] = Node(past: [], height: 0, author: author)
    operations.append((genesisID, genesis))
  }

  /// Adds operations; each on a random frontier, mostly of recent operations.
  mutating func grow(_ count: Int, reachBack: Int) throws {
    for _ in 0..<count {
      var parents: Set<Digest> = []
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let low = max(0, operations.count - reachBack)
        parents.insert(operations[Int.random(in: low..<operations.count, using: &random)].id)
      }
      parents = parents.filter { a in !parents.contains { nodes[$0]!.past.contains(a) } }
      let past = parents.reduce(into: Set<Digest>()) { $0.formUnion(nodes[$1]!.past.union([$1])) }
      let signer = signers.randomElement(using: &random)!
      let previous = past.filter { nodes[$0]!.author == signer.principal }
        .max { (nodes[$0]!.height, $0) < (nodes[$1]!.height, $1) }
      let changes = self.changes(past: past)
      guard !changes.isEmpty else { continue }
      let operation = Operation(
        kind: .ordinary(database: genesisID, schema: genesisID), parents: parents.sorted(),
        author: signer.principal, previous: previous, time: Int64(operations.count),
        changes: changes)
      let body = operation.encode()
      let id = Fixture.suite.hash(body)
      guard nodes[id] == nil else { continue }
      operations.append(
        (
          id,
          SignedOperation(
            body: body, suite: 1, publicKey: signer.publicKey, signature: signer.sign(id))
        ))
      nodes[id] = Node(
        past: past, height: parents.map { nodes[$0]!.height }.max()! + 1, author: signer.principal)
      for (index, change) in changes.enumerated() where change.kind == .create {
        let key = change.key ?? ChangeResolver.generatedKey(id, index, suite: Fixture.suite)
        created[change.collection, default: []].append((key, id))
      }
    }
  }

  /// Every create so far, with the operation that made it.
  private var created: [Int: [(key: Key, by: Digest)]] = [:]

  private mutating func known(_ collection: Int, _ past: Set<Digest>) -> Key? {
    (created[collection] ?? []).filter { past.contains($0.by) }.randomElement(using: &random)?.key
  }

  private mutating func changes(past: Set<Digest>) -> [RowChange] {
    var changes: [RowChange] = []
    var creates: Set<Key> = []
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let collection = Int.random(in: 0..<3, using: &random)
      let layout = schema.collections[collection].layout
      func slot(_ name: String) -> Int {
        layout.fieldSlots[schema.collections[collection].fieldIndex(named: name)!].lowerBound
      }
      func set(_ name: String, _ value: Value?) -> Assignment {
        Assignment(slot: slot(name), change: .set(value))
      }
      let kind = [RowChange.Kind.create, .create, .update, .update, .update, .delete]
        .randomElement(using: &random)!
      var assignments: [Assignment] = []
      var key: Key?
      let number = Int64.random(in: 0...50, using: &random)
      let flip = Bool.random(using: &random)
      switch collection {
      case 0:
        key = Key([.text(["A", "B", "C"].randomElement(using: &random)!)])
        if kind == .create || flip { assignments.append(set("name", .text("n\(number)"))) }
        if !flip {
          assignments.append(set("low", .int(number)))
          assignments.append(set("high", .int(number + 10)))
          assignments.append(set("rank", .int(number)))
        }
        if kind == .create || number < 20 {
          assignments.append(Assignment(slot: slot("size"), change: .set(.int(number))))
        }
        if number > 40 {
          let box = slot("box")
          assignments.append(Assignment(slot: box, change: .set(.bool(flip))))
          assignments.append(Assignment(slot: box + 1, change: .set(flip ? .int(number) : nil)))
          assignments.append(Assignment(slot: box + 2, change: .set(nil)))
        }
        if kind == .create, flip { assignments.append(set("founded", .int(number))) }
      case 1:
        guard let country = known(0, past) else { continue }
        key = Key([.reference(country), .text(["x", "y"].randomElement(using: &random)!)])
        if flip { assignments.append(set("name", .text("c\(number)"))) }
        if number % 3 == 0 {
          assignments.append(set("twin", known(1, past).map { .reference($0) }))
          assignments.append(set("mayor", known(2, past).map { .reference($0) }))
        }
        if number % 4 == 0 {
          assignments.append(set("parent", known(1, past).map { .reference($0) }))
        }
      default:
        if kind != .create {
          guard let some = known(2, past) else { continue }
          key = some
        }
        if kind == .create || flip { assignments.append(set("name", .text("p\(number)"))) }
        if number % 2 == 0 {
          assignments.append(set("home", known(1, past).map { .reference($0) }))
        }
        if number % 3 == 0 {
          assignments.append(set("boss", known(2, past).map { .reference($0) }))
        }
        if number % 5 == 0, kind == .update {
          assignments.append(set("note", .json(.array([.int(number)]))))
        }
      }
      if kind == .delete { assignments = [] }
      if kind == .update, assignments.isEmpty { continue }
      if kind == .create, let key, !creates.insert(key).inserted { continue }
      changes.append(
        RowChange(
          kind: kind, collection: collection, key: key,
          assignments: assignments.sorted { $0.slot < $1.slot }))
    }
    return changes
  }
}
