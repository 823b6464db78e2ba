import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import Testing

@testable import HeadwaterStore

/// The authors of small histories, by the numbers of their keys.
enum Author: UInt8 {
  case ann = 1
  case bob, cid, dan, eve, fay, zed

  var signer: SigningKey { Fixture.signer(rawValue) }
  var principal: Value { .principal(signer.principal) }
}

/// A small history built by hand: signed operations on any frontier, among them those that no store would write.
///
/// It says nothing about verdicts by itself; `expectEverywhere` does. What is not named there is valid.
struct DAG {
  let schema: Schema
  let genesis: SignedOperation
  let root: Digest
  /// Parents first, the genesis before all.
  private(set) var operations: [(id: Digest, signed: SignedOperation)] = []
  private var nodes: [Digest: Node] = [:]
  private var heads: Set<Digest> = []

  private struct Node {
    let past: Set<Digest>
    let height: Int
    let author: Digest
    let operation: HeadwaterLog.Operation
  }

  /// Begins with a genesis by `author` that holds the rows that `rows` makes of it.
  init(
    _ text: String, by author: Author = .ann, nonce: UInt8 = 7,
    _ rows: (DAG) -> [RowChange] = { _ in [] }
  ) throws {
    let schema = try Schema.parse(text)
    self.init(schema, by: author, nonce, rows(DAG(schema, by: author, nonce, [])))
  }

  private init(_ schema: Schema, by author: Author, _ nonce: UInt8, _ rows: [RowChange]) {
    self.schema = schema
    let operation = HeadwaterLog.Operation(
      kind: .genesis(
        nonce: Array(repeating: nonce, count: 16), schemaHash: schema.hash(with: Fixture.suite),
        schemaText: schema.canonicalText),
      parents: [], author: author.signer.principal, previous: nil, time: 0, changes: rows)
    genesis = Scenario.sign(operation, by: author.signer)
    root = Fixture.suite.hash(genesis.body)
    operations = [(root, genesis)]
    nodes[root] = Node(
      past: [], height: 0, author: author.signer.principal, operation: operation)
    heads = [root]
  }

  // MARK: Operations

  /// Adds an operation; without `parents`, by an author who has seen everything.
  @discardableResult
  mutating func op(_ author: Author, at parents: [Digest]? = nil, _ changes: RowChange...)
    -> Digest
  {
    op(author, at: parents, changes)
  }

  @discardableResult
  mutating func op(
    _ author: Author, at parents: [Digest]? = nil, time: Int64? = nil, _ changes: [RowChange]
  ) -> Digest {
    let parents = parents.map { Set($0) } ?? heads
    let operation = self.operation(author, at: parents.sorted(), time: time, changes)
    let signed = Scenario.sign(operation, by: author.signer)
    let id = Fixture.suite.hash(signed.body)
    operations.append((id, signed))
    nodes[id] = Node(
      past: past(of: parents), height: (parents.map { nodes[$0]!.height }.max() ?? 0) + 1,
      author: author.signer.principal, operation: operation)
    heads = heads.subtracting(parents).union([id])
    return id
  }

  /// An operation that is not added.
  func operation(
    _ author: Author, at parents: [Digest], time: Int64? = nil, _ changes: [RowChange]
  ) -> HeadwaterLog.Operation {
    let previous = past(of: Set(parents)).filter { nodes[$0]!.author == author.signer.principal }
      .max(by: precedes)
    return HeadwaterLog.Operation(
      kind: .ordinary(database: root, schema: root), parents: parents.sorted(),
      author: author.signer.principal, previous: previous, time: time ?? Int64(operations.count),
      changes: changes)
  }

  func past(of parents: Set<Digest>) -> Set<Digest> {
    parents.reduce(into: parents) { $0.formUnion(nodes[$1]!.past) }
  }

  /// Canonical order.
  func precedes(_ a: Digest, _ b: Digest) -> Bool {
    (nodes[a]!.height, a) < (nodes[b]!.height, b)
  }

  func height(_ id: Digest) -> Int { nodes[id]!.height }
  func operation(_ id: Digest) -> HeadwaterLog.Operation { nodes[id]!.operation }
  func past(of id: Digest) -> Set<Digest> { nodes[id]!.past }

  // MARK: Changes

  func create(_ collection: String, _ key: Value..., set fields: [String: Value?] = [:])
    -> RowChange
  {
    change(.create, collection, key.isEmpty ? nil : Key(key), fields)
  }

  func update(_ collection: String, _ key: Value..., set fields: [String: Value?]) -> RowChange {
    change(.update, collection, Key(key), fields)
  }

  func delete(_ collection: String, _ key: Value...) -> RowChange {
    change(.delete, collection, Key(key), [:])
  }

  private func change(
    _ kind: RowChange.Kind, _ collection: String, _ key: Key?, _ fields: [String: Value?]
  ) -> RowChange {
    let index = schema.collectionIndex(named: collection)!
    let type = schema.collections[index]
    return RowChange(
      kind: kind, collection: index, key: key,
      assignments: fields.map { name, value in
        Assignment(
          slot: type.layout.fieldSlots[type.fieldIndex(named: name)!].lowerBound,
          change: .set(value))
      }.sorted { $0.slot < $1.slot })
  }

  /// The generated key of the row that a change of an operation creates.
  func generated(_ id: Digest, _ index: Int = 0) -> Value {
    ChangeResolver.generatedKey(id, index, suite: Fixture.suite).values[0]
  }

  // MARK: Expectations

  var decoded: [(id: Digest, operation: HeadwaterLog.Operation)] {
    operations.map { ($0.id, nodes[$0.id]!.operation) }
  }

  func reference() -> ReferenceModel {
    ReferenceModel(operations: decoded, schema: schema, hasher: Fixture.suite)
  }

  /// The verdicts: void are those that are named, by reason and by whom; all others are valid.
  func verdicts(void: [Digest: (VerdictReason, [Digest])]) -> [Digest: Verdict] {
    var result: [Digest: Verdict] = [:]
    for (id, _) in operations {
      result[id] =
        void[id].map { .void($0.0, by: $0.1.sorted(by: precedes)) } ?? Verdict.valid
    }
    return result
  }

  /// Checks the reference model against the verdicts expected, and, where a store can hold the schema, every
  /// order of arrival against the reference model.
  ///
  /// - Parameter void: the operations that are void, with the reason and the operations responsible.
  @discardableResult
  func expectEverywhere(
    void: [Digest: (VerdictReason, [Digest])] = [:], _ comment: Comment? = nil,
    location: SourceLocation = #_sourceLocation
  ) async throws -> ReferenceModel {
    let model = reference()
    let expected = verdicts(void: void)
    for (number, (id, _)) in operations.enumerated() where model.verdicts[id] != expected[id] {
      Issue.record(
        "operation \(number): \(name(model.verdicts[id])), expected \(name(expected[id])). \(comment?.rawValue ?? "")",
        sourceLocation: location)
    }
    expectConsistent(model, location)
    let replicas = Replicas(
      genesis: genesis, operations: operations.dropFirst().map(\.signed), model: model)
    try await replicas.agreeInEveryOrder(location)
    return model
  }

  func expectConsistent(_ model: ReferenceModel, _ location: SourceLocation = #_sourceLocation) {
    let consistency = ReferenceConsistency(
      operations: decoded, schema: schema, hasher: Fixture.suite, verdicts: model.verdicts)
    #expect(consistency.problems.isEmpty, sourceLocation: location)
  }

  /// For people: the reason, and the numbers of the operations responsible.
  private func name(_ verdict: Verdict?) -> String {
    switch verdict {
    case nil: "without a verdict"
    case .valid: "valid"
    case .void(let reason, let by):
      "void (\(reason.rawValue) by \(by.map { id in operations.firstIndex { $0.id == id } ?? -1 }))"
    }
  }

  /// A store that holds those operations, which come with their pasts; nil, and an issue, where it does not take them.
  func store(
    holding isHeld: (Digest) -> Bool = { _ in true }, location: SourceLocation = #_sourceLocation
  ) async throws -> Store? {
    let store = try Store.replicate(at: nil, genesis: genesis, suite: Fixture.suite)
    let held = operations.filter { $0.id != root && isHeld($0.id) }
    for answer in try await store.receive(held.map(\.signed)) {
      guard case .admitted = answer else {
        Issue.record("\(answer)", sourceLocation: location)
        return nil
      }
    }
    return store
  }

  /// Whether a store that holds what the author had seen refuses to write the operation, with that reason.
  ///
  /// - Parameter knowsAll: whether the store holds all that does not follow the operation as well: asked to write
  ///   on the author's frontier, it does, and says that the operation is void.
  func expectRefusedLocally(
    _ id: Digest, _ reason: VerdictReason, knowsAll: Bool = false,
    location: SourceLocation = #_sourceLocation
  ) async throws {
    let store = try await store(
      holding: {
        knowsAll ? $0 != id && !nodes[$0]!.past.contains(id) : nodes[id]!.past.contains($0)
      }, location: location)
    guard let store else { return }
    let count = try await store.read { try $0.operationIDs().count }
    let operation = operation(id)
    let author = Author.allCases.first { $0.signer.principal == operation.author }!
    let schema = schema
    let write = {
      try await store.write(as: author.signer, at: operation.parents) { draft in
        for change in operation.changes { try draft.repeat(change, of: schema) }
      }
    }
    if knowsAll {
      let receipt = try await write()
      #expect(receipt.verdict.reason == reason, sourceLocation: location)
      #expect(receipt.message?.isEmpty == false, sourceLocation: location)
      return
    }
    let error = await storeError(location) { _ = try await write() }
    #expect(error?.code == .refused, sourceLocation: location)
    #expect(error?.reason == reason.rawValue, sourceLocation: location)
    #expect(
      try await store.read { try $0.operationIDs().count } == count, sourceLocation: location)
  }
}

extension Author: CaseIterable {}

extension Draft {
  /// Drafts a change that was made by hand, of fields that are one slot each.
  func `repeat`(_ change: RowChange, of schema: Schema) throws {
    let collection = schema.collections[change.collection]
    var fields = change.assignments.map { assignment -> (String, Value?) in
      let slot = collection.layout.slots[assignment.slot]
      guard case .set(let value) = assignment.change else { return (slot.field.name, nil) }
      return (slot.field.name, value)
    }
    switch change.kind {
    case .create:
      for (field, value) in zip(collection.keyFields, change.key?.values ?? []) {
        fields.append((collection.fields[field].name, value))
      }
      try create(collection.name, fields)
    case .update: try update(collection.name, key: change.key!, set: fields)
    case .delete: try delete(collection.name, key: change.key!)
    }
  }
}

extension ReferenceModel {
  /// The visible row by the names of its fields, absent ones left out; nil if it is not visible.
  func row(_ schema: Schema, _ collection: String, _ key: Value...) -> [String: Value]? {
    let index = schema.collectionIndex(named: collection)!
    return rows[RowName(collection: index, key: Key(key))].map { row in
      var fields: [String: Value] = [:]
      for (field, value) in zip(schema.collections[index].fields, row.values) {
        fields[field.name] = value
      }
      return fields
    }
  }
}
