import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// Cascades: in an order that a sink can follow row by row, and in memory that does not grow with them.
@Suite struct CascadeTests {
  /// References of every policy but `void`: one and two in a row, in layers, and to rows of the same collection.
  private static let schema = """
    schema Layers
    allow everything
    collection A { id: Int @key }
    collection B {
      id: Int @key
      a: A @onDelete(cascade)
      note: Text(20)?
    }
    collection C {
      id: Int @key
      b: B @onDelete(cascade)
      a: A? @onDelete(cascade)
    }
    collection D {
      id: Int @key
      c: C @onDelete(cascade)
      b: B? @onDelete(null)
    }
    collection E {
      id: Int @key
      up: E? @onDelete(cascade)
      a: A? @onDelete(cascade)
    }
    collection F {
      id: Int @key
      up: F? @onDelete(cascade)
      b: B? @onDelete(null)
    }
    """

  private func store(heldRows: Int) throws -> Store {
    var options = Store.Options()
    options.heldRows = heldRows
    return try Store.create(
      at: nil, schema: try Schema.parse(Self.schema), as: Fixture.signer(1), suite: Fixture.suite,
      options: options)
  }

  /// The fold of all events, checked at every one of them: whatever a row refers to is there.
  private func replay(_ store: Store, _ comment: Comment) async throws -> [[Key: Row]] {
    let schema = store.schema
    let references = schema.collections.map { collection in
      collection.fields.indices.compactMap { field in
        collection.fields[field].type.referencedCollection.flatMap {
          schema.collectionIndex(named: $0)
        }.map {
          (field: field, target: $0, isMasked: collection.fields[field].onDelete == .null)
        }
      }
    }
    let transactions = try await store.read { snapshot -> [HeadwaterStream.Transaction] in
      guard
        case .transactions(let found) = try snapshot.transactions(
          after: 0, limit: .max - 1, maximumTransaction: .max)
      else { return [] }
      return found
    }
    var rows: [[Key: Row]] = schema.collections.map { _ in [:] }
    for transaction in transactions {
      for (index, change) in transaction.changes.enumerated() {
        #expect(rows[change.collection][change.key] == change.before, comment)
        rows[change.collection][change.key] = change.after
        guard let row = change.after else {
          // Nobody may refer to what goes, at this very moment, but a row that stays and refers to something else
          // at the end of the transaction: deletes come before updates, so that a unique value can move.
          for (collection, list) in references.enumerated() {
            for reference in list
            where reference.target == change.collection && !reference.isMasked {
              for (key, row) in rows[collection]
              where row.values[reference.field] == .reference(change.key) {
                let update = transaction.changes[(index + 1)...].first {
                  $0.collection == collection && $0.key == key
                }
                let isMoved = update?.after.map {
                  $0.values[reference.field] != .reference(change.key)
                }
                #expect(isMoved == true, comment)
              }
            }
          }
          continue
        }
        for reference in references[change.collection] {
          guard case .reference(let key)? = row.values[reference.field] else { continue }
          #expect(rows[reference.target][key] != nil, comment)
        }
      }
      for (collection, list) in references.enumerated() {
        for reference in list {
          for row in rows[collection].values {
            guard case .reference(let key)? = row.values[reference.field] else { continue }
            #expect(rows[reference.target][key] != nil, comment)
          }
        }
      }
    }
    return rows
  }

  @Test(arguments: 0..<120 as Range<UInt64>)
  func everyEventFindsWhatItRefersTo(seed: UInt64) async throws {
    var random = Seeded(seed)
    let store = try store(heldRows: [1, 3, 131_072].randomElement(using: &random)!)
    let collections = ["A", "B", "C", "D", "E", "F"]
    func reference(_ range: Int) -> Value {
      .reference(Key([.int(Int64.random(in: 0..<Int64(range), using: &random))]))
    }
    try await store.write(as: Fixture.signer(1)) { draft in
      for id in 0..<3 as Range<Int64> { try draft.create("A", [("id", .int(id))]) }
    }
    for _ in 0..<150 {
      var creates: [(String, [(String, Value?)])] = []
      var deletes: [(String, Int64)] = []
      for _ in 0..<[1, 1, 1, 2, 4].randomElement(using: &random)! {
        let collection = Int.random(in: 0..<6, using: &random)
        let id = Int64.random(in: 0..<[3, 5, 8, 12, 8, 8][collection], using: &random)
        if random.next() % 5 == 0 {
          deletes.append((collections[collection], id))
        } else {
          var row: [(String, Value?)] = [("id", .int(id))]
          switch collection {
          case 1: row.append(("a", reference(3)))
          case 2: row += [("b", reference(5)), ("a", random.next() % 2 == 0 ? reference(3) : nil)]
          case 3: row += [("c", reference(8)), ("b", random.next() % 2 == 0 ? reference(5) : nil)]
          case 4, 5:
            // Only to those of a smaller number: in a circle somebody has to be first.
            row.append(("up", id == 0 || random.next() % 4 == 0 ? nil : reference(Int(id))))
            let other = collection == 4 ? ("a", reference(3)) : ("b", reference(5))
            if random.next() % 2 == 0 { row.append(other) }
          default: break
          }
          creates.append((collections[collection], row))
        }
      }
      // What refers to nothing, or deletes nothing, is refused, and then nothing happens.
      let (rows, gone) = (creates, deletes)
      _ = try? await store.write(as: Fixture.signer(1)) { draft in
        for (collection, row) in rows { try draft.create(collection, row) }
        for (collection, id) in gone { try draft.delete(collection, key: Key([.int(id)])) }
      }
    }
    let folded = try await replay(store, "seed \(seed)")
    for collection in folded.indices {
      let visible = try await store.read { snapshot in
        try snapshot.rows(collection, limit: .max - 1)
      }
      #expect(Set(visible) == Set(folded[collection].values), "seed \(seed)")
    }
    #expect(try await store.verifyDeep().differences.isEmpty, "seed \(seed)")
  }

  enum Shape: CaseIterable {
    /// All refer to the row that goes.
    case star
    /// Each refers to the one before it, and only the first to the row that goes.
    case chain
    /// The same, and each to another row as well, by `cascade` or by `null`.
    case chainOfTwo, maskedChain

    /// The collection, and its row of that number.
    func row(_ id: Int64) -> (String, [(String, Value?)]) {
      let root = Value.reference(Key([.int(0)]))
      let before = id == 0 ? nil : Value.reference(Key([.int(id - 1)]))
      return switch self {
      case .star: ("B", [("id", .int(id)), ("a", root)])
      case .chain: ("E", [("id", .int(id)), ("up", before), ("a", id == 0 ? root : nil)])
      case .chainOfTwo: ("E", [("id", .int(id)), ("up", before), ("a", root)])
      case .maskedChain: ("F", [("id", .int(id)), ("up", before)])
      }
    }
  }

  /// However many rows follow, few are in memory at once.
  @Test(arguments: Shape.allCases) func rowsThatFollowAreNotAllHeld(shape: Shape) async throws {
    let held = 100
    let store = try store(heldRows: held)
    let count: Int64 = 2_000
    let writer = try #require(store.writer)
    let collection = try #require(store.schema.collectionIndex(named: shape.row(0).0))
    try await store.write(as: Fixture.signer(1)) { draft in
      try draft.create("A", [("id", .int(0))])
    }
    for first in stride(from: 0, to: count, by: 50) {
      try await store.write(as: Fixture.signer(1)) { draft in
        for id in first..<first + 50 {
          let (collection, row) = shape.row(id)
          try draft.create(collection, row)
        }
      }
    }
    // The row that the others hang on; of the masked chain it is the first.
    let (name, root) = shape == .maskedChain ? shape.row(0) : ("A", [("id", .int(0))])
    for step in 0..<2 {
      try await writer.run { $0.rows.mostHeld = 0 }
      try await store.write(as: Fixture.signer(1)) { draft in
        if step == 0 {
          try draft.delete(name, key: Key([.int(0)]))
        } else {
          try draft.create(name, root)
        }
      }
      let most = try await writer.run { $0.rows.mostHeld }
      #expect(most <= held + 8, "step \(step)")
      let there = try await store.read { try $0.count(collection) }
      #expect(there == (step == 0 ? 0 : count), "step \(step)")
    }
    _ = try await replay(store, "\(shape)")
    #expect(try await store.verifyDeep().differences.isEmpty)
  }
}
