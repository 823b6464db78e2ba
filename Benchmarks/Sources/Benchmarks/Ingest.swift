import Headwater
import SQLiteDriver

enum Ingest {
  /// Rows in operations of 500, as an import writes them, beside prepared upserts of the same rows.
  static func rows(_ count: Int) async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    let cost = try await Cost.of { try await fill(store, signer, from: 0, count: count) }
    let path = scratch.file("raw.sqlite")
    let raw = try await Cost.of { try Raw.upsert(count, path: path, perTransaction: 5_000) }
    Benchmarks.report(
      "import, \(count) rows of 8 columns in operations of 500",
      "\(cost.rate(count)) rows/s, \(cost.microseconds(count)) µs CPU a row, peak \(peakMegabytes()) MB",
      "\(raw.rate(count)) rows/s, prepared upserts", raw.wall / cost.wall)
  }

  static func fill(_ store: Store, _ signer: SigningKey, from first: Int, count: Int) async throws {
    let sequence = WriteSequence(store, stopsAtFailure: true)
    var pending: [PendingWrite] = []
    for start in stride(from: first, to: first + count, by: 500) {
      let rows = (start..<min(start + 500, first + count)).map(Rows.row)
      pending.append(
        sequence.write(as: signer, try store.prepare(collection: 0, rows: rows)))
      if pending.count >= 12 { _ = try await pending.removeFirst().receipt }
    }
    for write in pending { _ = try await write.receipt }
  }

  /// Signed operations of one row, from 256 writers at once, beside the signatures alone.
  static func singles(_ count: Int) async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    let cost = try await Cost.of { try await writeSingles(store, signer, count: count) }
    let suite = SodiumSuite()
    let raw = await Cost.of {
      for index in 0..<count { _ = signer.sign(suite.hash(Array("message \(index)".utf8))) }
    }
    Benchmarks.report(
      "\(count) signed operations of one row, 256 at once",
      "\(cost.rate(count)) operations/s, \(cost.microseconds(count)) µs CPU each",
      "\(raw.rate(count))/s, Ed25519 signatures alone, one core", raw.wall / cost.wall)
  }

  static func writeSingles(_ store: Store, _ signer: SigningKey, count: Int) async throws {
    let sequence = WriteSequence(store, stopsAtFailure: true)
    var pending: [PendingWrite] = []
    var next = 0
    for index in 0..<count {
      let row = Rows.row(index)
      pending.append(sequence.write(as: signer) { try $0.create(collection: 0, row: row) })
      if pending.count - next >= 256 {
        _ = try await pending[next].receipt
        next += 1
        if next == 4_096 {
          pending.removeFirst(next)
          next = 0
        }
      }
    }
    for write in pending[next...] { _ = try await write.receipt }
  }

  /// How long it takes to open a store of many operations for writing and read its head.
  static func opening(_ count: Int) async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let path = scratch.file("store")
    do {
      let store = try Headwater.create(
        at: path, schema: try Schema.parse(Rows.schema), as: signer)
      try await writeSingles(store, signer, count: count)
    }
    let cost = try await Cost.of {
      let store = try Headwater.open(path, forWriting: true)
      _ = try await store.changes.head()
    }
    Benchmarks.report(
      "opening a store of \(count) operations (\(size(of: path) >> 20) MB)",
      "\(Int(cost.wall * 1_000)) ms")
  }
}

extension Cost {
  func rate(_ count: Int) -> Int { Int(Double(count) / wall) }
  func microseconds(_ count: Int) -> Double {
    (cpu / Double(count) * 1e7).rounded() / 10
  }
}
