import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import Testing

// MARK: Schemas and rows

/// A schema with every type that documents carry.
let museumText = """
  schema Museum
  allow everything

  enum Kind { painting, `Sculpture`, `with "quotes"` }

  record Size {
    width: Decimal(8, 2)
    height: Decimal(8, 2)?
    note: JSON?
  }

  /// Where things hang.
  collection Room {
    floor: Int             @key
    name: Text(40)         @key
    open: Bool
  }

  collection Work {
    code: Text(32)         @key
    /// What it is called.
    title: Text(200)       @index
    kind: Kind             @index
    price: Decimal(12, 2)  @index
    insured: Decimal(38, 6)?
    weight: Float?
    year: Int?             @index
    number: Int            @readonly @unique
    acquired: Date?
    seen: Timestamp?
    photo: Bytes(64)?
    serial: UUID?
    owner: Principal?
    extra: JSON?
    size: Size?
    room: Room?
    twin: Work?
    `$odd.name`: Text?
    `_id`: Text?
  }
  """

func museum() throws -> Schema { try Schema.parse(museumText) }

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

extension Seeded {
  mutating func maybe<T>(_ value: T) -> T? { Bool.random(using: &self) ? value : nil }

  mutating func pick<T>(_ values: [T]) -> T {
    values[Int.random(in: 0..<values.count, using: &self)]
  }

  mutating func text() -> String {
    pick([
      "", "a", "A", "Ab", "é", "e\u{301}", "x y", "\"q\"", "line\n", "🜚", "-", ".", "_x", "con",
    ])
      + pick(["", "1", "zz", "Z"])
  }

  mutating func json(_ depth: Int = 0) -> JSON {
    switch Int.random(in: 0..<(depth < 3 ? 8 : 6), using: &self) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &self))
    case 2: return .int(Int64.random(in: -5...5, using: &self))
    case 3: return .double(pick([0.5, -1.25, 1e300]))
    case 4, 5: return .string(text())
    case 6: return .array((0..<Int.random(in: 0..<4, using: &self)).map { _ in json(depth + 1) })
    default:
      let names = ["a", "b", "c.d", "$e", ""].filter { _ in Bool.random(using: &self) }
      return JSON(members: names.map { JSON.Member($0, json(depth + 1)) })!
    }
  }

  mutating func room() -> Row {
    Row([
      .int(Int64.random(in: -3...3, using: &self)), .text(text()),
      .bool(Bool.random(using: &self)),
    ])
  }

  mutating func work(_ code: String, number: Int64) -> Row {
    let size = Value.record([
      .decimal(ExactDecimal("\(Int.random(in: -9...99, using: &self)).5")!),
      maybe(.decimal(ExactDecimal("7")!)), maybe(.json(json())),
    ])
    let room = Value.reference(Key([.int(1), .text(text())]))
    return Row([
      .text(code), .text(text()), .text(pick(["painting", "Sculpture", "with \"quotes\""])),
      .decimal(
        ExactDecimal("\(Int.random(in: -9...999, using: &self)).\(pick(["5", "05", "99"]))")!),
      maybe(
        .decimal(ExactDecimal(pick(["-0.000001", "99999999999999999999999999999999.5", "7"]))!)),
      maybe(.float(pick([0.1, -3, 1e21, .infinity, -.infinity, .leastNonzeroMagnitude]))),
      maybe(.int(Int64.random(in: 1400...2020, using: &self))), .int(number),
      maybe(.date(CalendarDate("1999-12-31")!)),
      maybe(.timestamp(Timestamp("2024-02-29T12:34:56.789Z")!)),
      maybe(.bytes([0, 255, UInt8.random(in: 0...255, using: &self)])),
      maybe(.uuid(UUIDBytes("00112233-4455-6677-8899-aabbccddeeff")!)),
      maybe(.principal(Digest(bytes: [UInt8](repeating: 0xAB, count: 32))!)),
      maybe(.json(json())), maybe(size), maybe(room), maybe(.reference(Key([.text(text())]))),
      maybe(.text(text())), maybe(.text(text())),
    ])
  }
}

// MARK: Files and processes

/// A folder that goes with the value.
final class Folder: Sendable {
  let path: String

  init() {
    // In memory where the system has such a folder: batches wait for the disk, and these tests make thousands.
    let shared = "/dev/shm"
    let base =
      FileManager.default.isWritableFile(atPath: shared) ? shared : NSTemporaryDirectory()
    path = base + "/headwater-documents-" + UUID().uuidString
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Runs a program to its end.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: output, as: UTF8.self))
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

// MARK: Feeding

func change(_ collection: Int, _ row: Row, in schema: Schema) -> ChangeBatch.Step {
  .change(
    Change(
      collection: collection, key: schema.collections[collection].key(of: row)!, before: nil,
      after: row, cause: cause))
}

func deletion(_ collection: Int, _ key: Key) -> ChangeBatch.Step {
  .change(Change(collection: collection, key: key, before: nil, after: nil, cause: cause))
}

private let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)

/// Feeds an adapter one batch after another, as a mirror would.
struct Feeder {
  let adapter: any Adapter
  var schema: Schema
  var last: Checkpoint?

  init(_ adapter: any Adapter, _ schema: Schema) {
    self.adapter = adapter
    self.schema = schema
  }

  mutating func apply(_ steps: [ChangeBatch.Step], filling: Int64) async throws {
    try await apply(steps, .snapshot(generation: filling, progress: .rows(upTo: nil)))
  }

  mutating func apply(_ steps: [ChangeBatch.Step], tail: Int64 = 0) async throws {
    try await apply(steps, .tail(generation: tail))
  }

  mutating func apply(_ steps: [ChangeBatch.Step], _ phase: Checkpoint.Phase) async throws {
    let batch = batch(steps, phase)
    try await adapter.apply(batch)
    last = batch.checkpoint
  }

  func batch(_ steps: [ChangeBatch.Step], _ phase: Checkpoint.Phase) -> ChangeBatch {
    let position = (last?.position ?? 0) + 1
    return ChangeBatch(
      previous: last, steps: steps,
      checkpoint: Checkpoint(
        database: Digest(bytes: [UInt8](repeating: 1, count: 32))!,
        replica: UUIDBytes(bytes: [UInt8](repeating: 7, count: 16))!, mirror: "m", phase: phase,
        position: position,
        digest: Digest(bytes: [UInt8](repeating: UInt8(position % 251), count: 32))!,
        frontier: [], schema: .zero), schema: schema)
  }

  /// Begins, fills and publishes a generation.
  mutating func publish(_ steps: [ChangeBatch.Step], generation: Int64 = 0) async throws {
    try await apply([.begin(generation: generation)], filling: generation)
    try await apply(steps, filling: generation)
    try await apply([.publish(generation: generation)], tail: generation)
  }
}
