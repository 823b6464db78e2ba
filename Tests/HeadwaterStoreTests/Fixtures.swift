import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// A generator whose run a seed repeats.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

enum Fixture {
  static let suite = SodiumSuite()

  static func signer(_ number: UInt8) -> SigningKey {
    SigningKey(seed: [UInt8](repeating: number, count: 32))
  }

  /// A schema with everything that the store honours: natural and generated keys, a reference in a key, both
  /// policies, self-references, records, optional records, merge units, defaults.
  static let world = """
    schema World
    allow everything

    enum Color { red, green, blue }

    record Size {
      width: Int @check(width >= 0)
      height: Int?
    }

    collection Country {
      code: Text(4) @key
      name: Text
      rank: Int @default(7)
      low: Int @default(0) @check(low <= high)
      high: Int @default(100)
      color: Color?
      size: Size
      box: Size?
      founded: Int? @readonly
    }

    collection City {
      country: Country @key
      code: Text(4) @key
      name: Text?
      twin: City?
      mayor: Person?
      parent: City? @onDelete(cascade)
    }

    collection Person {
      name: Text
      home: City? @onDelete(cascade)
      boss: Person?
      note: JSON?
    }
    """

  static func schema(_ text: String = world) throws -> Schema { try Schema.parse(text) }

  static func store(
    _ text: String = world, at path: String? = nil, as signer: any Signer = signer(1),
    options: Store.Options = Store.Options(), rows: (Draft) throws -> Void = { _ in }
  ) throws -> Store {
    try Store.create(
      at: path, schema: try schema(text), as: signer, suite: suite, options: options, rows: rows)
  }
}

extension Store {
  /// Every operation, parents first, as it travels.
  func everything() async throws -> [SignedOperation] {
    try await read { snapshot in
      try snapshot.operationIDs().map { try snapshot.signed($0)! }
    }
  }

  /// All visible rows.
  func visibleRows() async throws -> [ReferenceModel.RowName: Row] {
    try await read { snapshot in
      var result: [ReferenceModel.RowName: Row] = [:]
      for (index, collection) in snapshot.schema.collections.enumerated() {
        for row in try snapshot.rows(index, limit: .max - 1) {
          let key = try #require(collection.key(of: row), "a row without its key: \(row)")
          result[.init(collection: index, key: key)] = row
        }
      }
      return result
    }
  }

  /// The verdict on every operation.
  func verdicts() async throws -> [Digest: Verdict] {
    try await read { snapshot in
      var result: [Digest: Verdict] = [:]
      try snapshot.log { entry in
        result[entry.id] = entry.verdict
        return true
      }
      return result
    }
  }

  /// All changes of the stream.
  func allChanges(after position: Int64 = 0) async throws -> [Change] {
    try await read { snapshot in
      guard
        case .transactions(let found) = try snapshot.transactions(
          after: position, limit: .max, maximumTransaction: .max)
      else { return [] }
      return found.flatMap(\.changes)
    }
  }

  func row(_ collection: String, _ key: Value...) async throws -> [String: Value]? {
    let index = schema.collectionIndex(named: collection)!
    return try await read { snapshot in
      try snapshot.row(index, key: Key(key)).map { row in
        var fields: [String: Value] = [:]
        for (field, value) in zip(snapshot.schema.collections[index].fields, row.values) {
          fields[field.name] = value
        }
        return fields
      }
    }
  }
}
