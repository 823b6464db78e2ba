import Foundation
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver

@testable import HeadwaterModel

// MARK: Schemas

func field(
  _ name: String, _ type: FieldType, key: Bool = false, unique: Bool = false, index: Bool = false,
  checks: [HeadwaterModel.Expression] = [], documentation: String? = nil
) -> Field {
  Field(
    name: name, documentation: documentation, type: type, isKey: key, isReadonly: key || unique,
    isUnique: unique, isIndexed: index, defaultValue: nil, checks: checks,
    onDelete: type.referencedCollection == nil ? nil : type.isOptional ? .null : .cascade)
}

func collection(_ name: String, _ fields: [Field]) -> CollectionType {
  CollectionType(
    name: name, documentation: "All of \(name).", declaredStrictness: nil, isStrict: false,
    fields: fields, keyFields: fields.indices.filter { fields[$0].isKey }, hasGeneratedKey: false,
    rules: [], layout: CollectionLayout(fields: fields, records: [:]))
}

func schema(
  _ collections: [CollectionType], records: [RecordType] = [], enums: [EnumType] = []
) -> Schema {
  Schema(
    name: "Test", documentation: nil, allowsEverything: true, enums: enums, records: records,
    collections: collections, upgradeRules: [])
}

/// A shop with references, a unique field and an index.
let shop = schema([
  collection(
    "Product",
    [
      field("sku", .text(limit: 32), key: true), field("name", .text(limit: nil)),
      field("price", .decimal(precision: 12, scale: 2)),
      field("supplier", .optional(.reference("Supplier"))),
    ]),
  collection(
    "Supplier",
    [
      field("id", .int, key: true), field("vat", .optional(.text(limit: nil)), unique: true),
      field("town", .text(limit: nil), index: true),
    ]),
])

func product(_ sku: String, _ name: String, _ price: String = "1", supplier: Int64? = nil) -> Row {
  Row([
    .text(sku), .text(name), .decimal(ExactDecimal(price)!),
    supplier.map { .reference(Key([.int($0)])) },
  ])
}

func supplier(_ id: Int64, vat: String? = nil, town: String = "Ulm") -> Row {
  Row([.int(id), vat.map { .text($0) }, .text(town)])
}

// MARK: Changes and batches

let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)

func put(_ collection: Int, _ schema: Schema, _ row: Row, before: Row? = nil) -> ChangeBatch.Step {
  .change(
    Change(
      collection: collection, key: schema.collections[collection].key(of: row)!, before: before,
      after: row, cause: cause))
}

func remove(_ collection: Int, _ schema: Schema, _ row: Row) -> ChangeBatch.Step {
  .change(
    Change(
      collection: collection, key: schema.collections[collection].key(of: row)!, before: row,
      after: nil, cause: cause))
}

/// Feeds an adapter one batch after another, as a mirror would.
struct Feeder {
  let adapter: SQLiteAdapter
  var schema: Schema
  var last: Checkpoint?
  var position: Int64 = 0

  init(_ adapter: SQLiteAdapter, _ schema: Schema) {
    self.adapter = adapter
    self.schema = schema
  }

  mutating func apply(_ steps: [ChangeBatch.Step], filling: Int64) async throws {
    try await apply(steps, .snapshot(generation: filling, progress: .rows(upTo: nil)))
  }

  mutating func apply(_ steps: [ChangeBatch.Step], tail: Int64) async throws {
    try await apply(steps, .tail(generation: tail))
  }

  mutating func apply(_ steps: [ChangeBatch.Step], _ phase: Checkpoint.Phase) async throws {
    let batch = batch(steps, phase)
    try await adapter.apply(batch)
    last = batch.checkpoint
    position = batch.checkpoint.position
  }

  func batch(_ steps: [ChangeBatch.Step], _ phase: Checkpoint.Phase) -> ChangeBatch {
    ChangeBatch(
      previous: last, steps: steps,
      checkpoint: .at(position + 1, phase, mirror: "m"), schema: schema)
  }

  /// Begins, fills and publishes a generation.
  mutating func publish(_ generation: Int64, _ steps: [ChangeBatch.Step]) async throws {
    try await apply([.begin(generation: generation)], filling: generation)
    try await apply(steps, filling: generation)
    try await apply([.publish(generation: generation)], tail: generation)
  }
}

extension Checkpoint {
  static func at(
    _ position: Int64, _ phase: Phase, mirror: String = "m", database: UInt8 = 1
  ) -> Checkpoint {
    Checkpoint(
      database: Digest(bytes: [UInt8](repeating: database, count: 32))!,
      replica: UUIDBytes(bytes: [UInt8](repeating: 7, count: 16))!, mirror: mirror, phase: phase,
      position: position,
      digest: Digest(bytes: [UInt8](repeating: UInt8(position % 251), count: 32))!,
      frontier: [], schema: .zero)
  }
}

// MARK: Files

/// A folder that goes with the value.
final class Folder: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "/headwater-sqlite-" + UUID().uuidString
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var file: String { path + "/mirror.sqlite" }

  func connection() throws -> Connection { try Connection(path: file, mode: .readWrite) }
}

/// The error that `body` throws, which must be one of the adapter's.
func failure(_ body: () async throws -> Void) async throws -> AdapterError {
  do {
    try await body()
  } catch let error as AdapterError {
    return error
  }
  throw NoFailure()
}

struct NoFailure: Error {}

/// A generator that repeats from its seed.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

extension Connection {
  /// All rows of a query as text, columns separated by bars.
  func table(_ sql: String) throws -> [String] {
    let statement = try prepare(sql)
    var rows: [String] = []
    while try statement.step() {
      rows.append(
        (0..<Int32(statement.columnCount)).map {
          statement.isNull($0) ? "NULL" : statement.text($0)
        }.joined(separator: "|"))
    }
    return rows
  }
}
