import Headwater
import HeadwaterSQLite
import SQLiteDriver

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

enum Mirroring {
  /// A SQLite mirror filled from a snapshot, and one that follows events, beside prepared upserts of the same rows.
  static func throughput(_ count: Int) async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    let follower = Mirror(
      name: "tail", sink: "sqlite", source: store.changes,
      adapter: SQLiteAdapter(path: scratch.file("tail.sqlite")))
    _ = try await follower.synchronise()
    try await Ingest.fill(store, signer, from: 0, count: count)
    let tail = try await Cost.of { _ = try await follower.synchronise() }
    let path = scratch.file("snapshot.sqlite")
    let snapshot = try await Cost.of {
      let mirror = Mirror(
        name: "snapshot", sink: "sqlite", source: store.changes,
        adapter: SQLiteAdapter(path: path))
      _ = try await mirror.synchronise()
    }
    let rawPath = scratch.file("raw.sqlite")
    let raw = try await Cost.of { try Raw.upsert(count, path: rawPath, perTransaction: 5_000) }
    Benchmarks.report(
      "SQLite mirror, snapshot of \(count) rows",
      "\(snapshot.rate(count)) rows/s, \(snapshot.microseconds(count)) µs CPU a row",
      "\(raw.rate(count)) rows/s, prepared upserts, \(raw.microseconds(count)) µs CPU a row",
      raw.wall / snapshot.wall)
    Benchmarks.report(
      "SQLite mirror, tail of \(count) new rows",
      "\(tail.rate(count)) rows/s, \(tail.microseconds(count)) µs CPU a row",
      "\(raw.rate(count)) rows/s, prepared upserts", raw.wall / tail.wall)
  }

  /// From the acknowledgement of a write until it can be read from the mirror's file, at 200 writes a second.
  static func latency() async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    let path = scratch.file("mirror.sqlite")
    let mirror = Mirror(
      name: "live", sink: "sqlite", source: store.changes, adapter: SQLiteAdapter(path: path))
    _ = try await mirror.synchronise()
    let running = Task { try await mirror.run() }
    let reader = try Connection(path: path, mode: .readOnly)
    let statement = try reader.prepare("SELECT 1 FROM \"Item\" WHERE sku = ?")
    var latencies: [Double] = []
    for index in 0..<1_000 {
      let row = Rows.row(index)
      try await store.write(as: signer) { try $0.create(collection: 0, row: row) }
      let start = Cost.now(CLOCK_MONOTONIC)
      guard case .text(let sku)? = row[0] else { continue }
      statement.bind(1, sku)
      while try !statement.step() { try await Task.sleep(for: .microseconds(100)) }
      statement.reset()
      latencies.append(Cost.now(CLOCK_MONOTONIC) - start)
      try await Task.sleep(for: .milliseconds(4))
    }
    running.cancel()
    _ = try? await running.value
    latencies.sort()
    func milliseconds(_ quantile: Double) -> Double {
      (latencies[Int(Double(latencies.count - 1) * quantile)] * 10_000).rounded() / 10
    }
    Benchmarks.report(
      "commit to visible in a SQLite mirror, 1,000 writes",
      "p50 \(milliseconds(0.5)) ms, p99 \(milliseconds(0.99)) ms")
  }
}
