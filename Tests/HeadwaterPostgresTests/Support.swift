import Foundation
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

// MARK: A schema and its rows

/// A shop with references, a unique field, an index and documentation.
let shop: Schema = {
  do {
    return try Schema.parse(
      """
      schema Shop
      allow everything

      enum Kind { ware, service }

      /// Something we sell; it's "good".
      collection Product {
        /// The number on the label.
        sku: Text(32) @key
        name: Text
        price: Decimal(12, 2) @check(price >= 0)
        supplier: Supplier?
        kind: Kind?
      }

      collection Supplier {
        id: Int @key
        vat: Text(40)? @readonly @unique
        town: Text @index
      }
      """)
  } catch {
    preconditionFailure("the schema of the tests: \(error)")
  }
}()

let productIndex = 0
let supplierIndex = 1

func product(_ sku: String, _ name: String, _ price: String = "1", supplier: Int64? = nil) -> Row {
  Row([
    .text(sku), .text(name), .decimal(ExactDecimal(price)!),
    supplier.map { .reference(Key([.int($0)])) }, nil,
  ])
}

func supplier(_ id: Int64, vat: String? = nil, town: String = "Ulm") -> Row {
  Row([.int(id), vat.map { .text($0) }, .text(town)])
}

// MARK: Changes and batches

func cause(_ number: UInt8 = 1, reason: Cause.Reason = .applied) -> Cause {
  Cause(
    operations: [Digest(bytes: [UInt8](repeating: number, count: 32))!],
    author: Digest(bytes: [UInt8](repeating: 0xA0 + number, count: 32))!,
    time: 1_700_000_000_000 + Int64(number) * 1_000, reason: reason)
}

func put(
  _ collection: Int, _ row: Row, before: Row? = nil, schema: Schema = shop, cause: Cause = cause()
) -> ChangeBatch.Step {
  .change(
    Change(
      collection: collection, key: schema.collections[collection].key(of: row)!, before: before,
      after: row, cause: cause))
}

func remove(_ collection: Int, _ row: Row, schema: Schema = shop, cause: Cause = cause())
  -> ChangeBatch.Step
{
  .change(
    Change(
      collection: collection, key: schema.collections[collection].key(of: row)!, before: row,
      after: nil, cause: cause))
}

/// Feeds an adapter one batch after another, as a mirror would.
struct Feeder: Sendable {
  var adapter: PostgresAdapter
  var schema: Schema
  var last: Checkpoint?
  var position: Int64 = 0

  init(_ configuration: PostgresConfiguration, _ schema: Schema = shop) {
    adapter = PostgresAdapter(configuration)
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
      previous: last, steps: steps, checkpoint: .at(position + 1, phase), schema: schema)
  }

  /// The error with which the adapter refuses the steps, which must be there.
  func failure(
    _ steps: [ChangeBatch.Step], _ phase: Checkpoint.Phase,
    location: SourceLocation = #_sourceLocation
  ) async throws -> AdapterError {
    do throws(AdapterError) {
      try await adapter.apply(batch(steps, phase))
    } catch {
      return error
    }
    try #require(Bool(false), "the batch was applied", sourceLocation: location)
    throw CancellationError()
  }

  /// Begins, fills and publishes a generation.
  mutating func publish(_ generation: Int64, _ steps: [ChangeBatch.Step]) async throws {
    try await apply([.begin(generation: generation)], filling: generation)
    if !steps.isEmpty { try await apply(steps, filling: generation) }
    try await apply([.publish(generation: generation)], tail: generation)
  }
}

extension Checkpoint {
  static func at(_ position: Int64, _ phase: Phase) -> Checkpoint {
    Checkpoint(
      database: Digest(bytes: [UInt8](repeating: 1, count: 32))!,
      replica: UUIDBytes(bytes: [UInt8](repeating: 7, count: 16))!, mirror: "m", phase: phase,
      position: position,
      digest: Digest(bytes: [UInt8](repeating: UInt8(position % 251), count: 32))!,
      frontier: [], schema: .zero)
  }
}

/// A mirror's place on the shared server, and a connection to look at it.
struct Place {
  let server: TestServer
  let schema: String
  let database: String
  let look: ServerConnection

  init(_ server: TestServer? = nil, database: String = "postgres") async throws {
    if let server { self.server = server } else { self.server = try await TestServer.shared }
    schema = uniqueName("s")
    self.database = database
    look = try self.server.connection(database: database)
  }

  func feeder(more: String = "", user: String = "headwater", schema definition: Schema = shop)
    throws -> Feeder
  {
    Feeder(
      try server.configuration(database: database, schema: schema, user: user, more: more),
      definition)
  }
}

/// Waits until the condition holds; fails after twenty seconds.
func wait(_ what: Comment, for condition: () async throws -> Bool) async throws {
  for _ in 0..<2_000 {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(10))
  }
  try #require(Bool(false), what)
}
