import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver
import Testing

@testable import HeadwaterStore

/// Files that were damaged: whoever reads them is told, and nothing crashes.
@Suite struct DamageTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path("store") }

  init() throws { folder = try TemporaryFolder() }

  /// Everything that reads a store; throws what it throws.
  private static func exercise(_ path: String, forWriting: Bool) async throws {
    let store = try Store.open(path, forWriting: forWriting, suite: Fixture.suite)
    var first: (any Error)?
    func attempt(_ body: () async throws -> Void) async {
      do { try await body() } catch { first = first ?? error }
    }
    await attempt {
      for index in store.schema.collections.indices {
        _ = try await store.read { try $0.rows(index, limit: 1_000) }
      }
    }
    await attempt { _ = try await store.verdicts() }
    await attempt { _ = try await store.allChanges() }
    await attempt { _ = try await store.changes.rows(after: nil, limit: 5) }
    await attempt { _ = try await store.changes.head() }
    await attempt { _ = try await store.verifyDeep() }
    await attempt {
      try await store.read { snapshot in
        _ = try snapshot.status()
        _ = try snapshot.mirrors()
        let heads = try snapshot.frontier()
        for index in snapshot.schema.collections.indices { _ = try snapshot.rows(index, at: heads) }
      }
    }
    if forWriting {
      await attempt {
        try await store.write(as: Fixture.signer(3)) { draft in
          try draft.create("Item", [("id", .text("after"))])
        }
      }
      await attempt {
        try await store.write(as: Fixture.signer(1), at: [store.database]) { draft in
          try draft.create("Item", [("id", .text("1")), ("name", .text("again"))])
        }
      }
      await attempt {
        try await store.write(as: Fixture.signer(2)) { try $0.delete("Item", key: key("3")) }
      }
      await attempt { _ = try await store.trimEvents() }
    }
    if let first { throw first }
  }

  /// A small store with some of everything, in one file.
  private func sample() async throws -> [UInt8] {
    do {
      let store = try Fixture.store(Scenario.shop, at: path)
      var heads: [Digest] = [store.database]
      for number in 0..<12 {
        let receipt = try await store.write(as: Fixture.signer(UInt8(number % 3 + 1)), at: heads) {
          draft in
          try draft.create("Item", [("id", .text("\(number)")), ("box", .record([.int(1), nil]))])
          try draft.create("Part", [("id", .text("\(number)")), ("item", reference("\(number)"))])
          try draft.create("Note", [("text", .text("n")), ("part", reference("\(number)"))])
        }
        // Two branches.
        heads = number % 4 == 1 ? heads : [receipt.operation]
      }
      try await store.write(as: Fixture.signer(1)) { draft in
        try draft.update("Item", key: key("2"), set: [("name", .text("two"))])
        try draft.delete("Item", key: key("5"))
      }
      try await store.writer!.between { try $0.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
    }
    return Array(try Data(contentsOf: URL(filePath: path)))
  }

  private func survives(_ bytes: [UInt8], _ name: String, _ comment: Comment) async throws {
    for forWriting in [false, true] {
      let damaged = folder.path(name)
      for suffix in ["-wal", "-shm", "-lock"] {
        try? FileManager.default.removeItem(atPath: damaged + suffix)
      }
      try Data(bytes).write(to: URL(filePath: damaged))
      do {
        try await Self.exercise(damaged, forWriting: forWriting)
      } catch is StoreError {
      } catch is SourceError {
      } catch {
        Issue.record("\(comment.rawValue): \(type(of: error)) \(error)")
      }
    }
  }

  @Test func truncatedAtEveryPage() async throws {
    let bytes = try await sample()
    for length in stride(from: 0, to: bytes.count, by: 4_096) {
      try await survives(Array(bytes[..<length]), "cut", "cut at \(length)")
      try await survives(Array(bytes[..<(length + 2_048)]), "cut", "cut at \(length + 2_048)")
    }
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func bytesFlipped(seed: UInt64) async throws {
    let bytes = try await sample()
    for round in 0..<40 as Range<UInt64> {
      var random = Seeded(seed &* 1_000 &+ round)
      var damaged = bytes
      for _ in 0..<[1, 3, 40][Int(round % 3)] {
        // Most of a page is empty: aim at what is not.
        for _ in 0..<20 {
          let index = Int.random(in: 0..<damaged.count, using: &random)
          guard damaged[index] != 0 else { continue }
          damaged[index] = UInt8.random(in: 0...255, using: &random)
          break
        }
      }
      try await survives(damaged, "flip", "seed \(seed), round \(round)")
    }
  }

  /// Damage that SQLite does not notice: a cell of a table with other bytes in it.
  @Test(arguments: 0..<6 as Range<UInt64>)
  func cellsReplaced(seed: UInt64) async throws {
    let bytes = try await sample()
    var random = Seeded(seed)
    let columns: [(String, [String])] = [
      ("meta", ["value"]), ("author", ["principal", "suite", "key", "highest"]),
      (
        "operation",
        [
          "id", "height", "author", "chain", "position", "time", "reason", "voided_by", "body",
          "signature",
        ]
      ),
      ("frontier", ["number"]),
      ("chain", ["number", "length", "base_chain", "base_position", "depth"]),
      ("ancestry", ["chain", "other", "position", "reach"]),
      ("row", ["number", "key", "flags", "creator", "creates", "stamps", "image", "masked"]),
      ("touch", ["row", "operation"]), ("reference", ["target", "source", "slot"]),
      ("event", ["first", "last", "begins", "digest", "frontier", "bytes"]),
    ]
    for round in 0..<40 {
      let damaged = folder.path("cell")
      try? FileManager.default.removeItem(atPath: damaged + "-wal")
      try Data(bytes).write(to: URL(filePath: damaged))
      let (table, names) = columns.randomElement(using: &random)!
      let name = names.randomElement(using: &random)!
      do {
        let db = try Connection(path: damaged, mode: .readWrite)
        let pick = Int.random(in: 0..<1_000, using: &random)
        let rowid = ["meta", "ancestry", "touch", "reference"].contains(table)
        let condition = rowid ? "1" : "rowid % 7 = \(pick % 7)"
        let number = [
          0, 1, -1, 2, 77, Int64.max, Int64.min, Int64.max - 1, 1 << 40,
        ].randomElement(using: &random)!
        let change = try db.prepare(
          "UPDATE OR IGNORE \(table) SET \(name) = CASE typeof(\(name)) WHEN 'blob' THEN ? WHEN 'text' THEN 'x' ELSE ? END WHERE \(condition)"
        )
        let old = try db.prepare("SELECT \(name) FROM \(table) WHERE \(condition) LIMIT 1")
        var blob = try old.step() ? old.bytes(0) : []
        old.reset()
        if !blob.isEmpty {
          switch pick % 4 {
          case 0: blob.removeLast(Int.random(in: 1...blob.count, using: &random))
          case 1: blob = (0..<blob.count).map { _ in UInt8.random(in: 0...255, using: &random) }
          default: blob[Int.random(in: 0..<blob.count, using: &random)] ^= UInt8(1 << (pick % 8))
          }
        }
        change.bind(1, blob)
        change.bind(2, number)
        do { try change.run() } catch { continue }
      }
      try await survives(
        Array(try Data(contentsOf: URL(filePath: damaged))), "cell2",
        "seed \(seed), round \(round): \(table).\(name)")
    }
  }
}
