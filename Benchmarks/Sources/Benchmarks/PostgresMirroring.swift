import Headwater
import HeadwaterPostgres

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A mirror in PostgreSQL beside `psql \copy` and beside PostgreSQL's own logical replication, on the same servers.
enum PostgresMirroring {
  static func all(_ count: Int) async throws {
    let cluster = try Cluster()
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    let socket = cluster.socket("sink")
    func adapter(_ schema: String, _ more: String) throws -> PostgresAdapter {
      PostgresAdapter(
        try PostgresConfiguration(
          url: "postgres://bench@/postgres?host=\(socket)&schema=\(schema)\(more)"))
    }
    func mirror(_ schema: String, _ more: String = "") throws -> Mirror {
      Mirror(name: schema, sink: schema, source: store.changes, adapter: try adapter(schema, more))
    }

    let follower = try mirror("tail")
    _ = try await follower.synchronise()
    try await Ingest.fill(store, signer, from: 0, count: count)
    let tail = try await Cost.of { _ = try await follower.synchronise() }

    let snapshots = try mirror("snapshot")
    let snapshot = try await Cost.of { _ = try await snapshots.synchronise() }
    try cluster.sql("sink", "\\copy tail_tables.item TO '\(cluster.folder)/rows.csv' CSV")
    try cluster.sql(
      "sink", "CREATE SCHEMA raw; CREATE TABLE raw.item (LIKE snapshot_tables.item INCLUDING ALL)")
    let raw = try await copy(cluster.folder, socket)
    Benchmarks.report(
      "PostgreSQL mirror, snapshot of \(count) rows",
      "\(snapshot.rate(count)) rows/s, \(snapshot.microseconds(count)) µs CPU a row here",
      "\(raw.rate(count)) rows/s, psql \\copy into the same table", raw.wall / snapshot.wall)

    let replicated = try await replicate(count, cluster)
    Benchmarks.report(
      "PostgreSQL mirror, tail of \(count) new rows in transactions of 500",
      "\(tail.rate(count)) rows/s, \(tail.microseconds(count)) µs CPU a row here",
      "\(Int(Double(count) / replicated)) rows/s, logical replication", replicated / tail.wall)

    var base = 50_000_000
    for rate in [100, 1_000] {
      let theirs = try await replicationLatency(rate, cluster)
      // A subscription commits without waiting for its disk, a mirror waits where it is not told otherwise.
      for (how, options) in [
        ("", ""), (", synchronous_commit = off", "&options=-c%20synchronous_commit%3Doff"),
      ] {
        let schema = "live\(base)"
        let mine = try await latency(
          rate, from: base, store, signer, try mirror(schema, options), schema, socket)
        base += 1_000_000
        Benchmarks.report(
          "commit to visible in PostgreSQL, \(rate) operations/s\(how)",
          "p50 \(mine.p50) ms, p99 \(mine.p99) ms",
          "p50 \(theirs.p50) ms, p99 \(theirs.p99) ms, logical replication", theirs.p99 / mine.p99
        )
      }
    }
  }

  private static func copy(_ folder: String, _ socket: String) async throws -> Cost {
    await Cost.of {
      _ = system(
        "psql -qX -h '\(socket)' -U bench -d postgres -c \"\\\\copy raw.item FROM '\(folder)/rows.csv' CSV\""
      )
    }
  }

  // MARK: Logical replication

  /// The seconds that a subscription needs for the same rows in transactions of 500, written while it was away.
  private static func replicate(_ count: Int, _ cluster: borrowing Cluster) async throws -> Double {
    let socket = cluster.socket("sink")
    try cluster.shell(
      "pg_dump -h '\(socket)' -U bench -d postgres --schema-only -t raw.item > '\(cluster.folder)/item.sql'"
    )
    try cluster.sql(
      "publisher",
      """
      CREATE SCHEMA raw;
      \\i \(cluster.folder)/item.sql
      SET search_path = public;
      CREATE TABLE source (LIKE raw.item);
      ALTER TABLE source ADD COLUMN n bigserial;
      \\copy source (sku, name, price, stock, weight, active, added, note) FROM '\(cluster.folder)/rows.csv' CSV
      CREATE INDEX ON source (n);
      CREATE TABLE live (n bigserial PRIMARY KEY, name text);
      CREATE PUBLICATION bench FOR TABLE raw.item, live;
      """)
    try cluster.sql(
      "sink",
      """
      TRUNCATE raw.item;
      CREATE TABLE live (n bigint PRIMARY KEY, name text);
      CREATE SUBSCRIPTION bench CONNECTION 'host=\(cluster.socket("publisher")) user=bench dbname=postgres'
        PUBLICATION bench WITH (copy_data = false);
      """)
    sleep(3)
    try cluster.sql("sink", "ALTER SUBSCRIPTION bench DISABLE")
    sleep(1)
    try cluster.sql(
      "publisher",
      """
      DO $$ BEGIN FOR i IN 0..\((count + 499) / 500 - 1) LOOP
        INSERT INTO raw.item SELECT sku, name, price, stock, weight, active, added, note FROM source
          WHERE n > i * 500 AND n <= (i + 1) * 500;
        COMMIT;
      END LOOP; END $$
      """)
    let query = try question(socket)
    try cluster.sql("sink", "ALTER SUBSCRIPTION bench ENABLE")
    // From the first row on, so that the start of the worker does not count.
    var start: Double?
    while true {
      let found = try number("SELECT count(*) FROM raw.item", query)
      if start == nil, found > 0 { start = Cost.now(CLOCK_MONOTONIC) }
      if found >= count { break }
      usleep(5_000)
    }
    return Cost.now(CLOCK_MONOTONIC) - (start ?? 0)
  }

  private static func question(_ socket: String) throws -> PostgresQuery {
    try PostgresQuery(try PostgresConfiguration(url: "postgres://bench@/postgres?host=\(socket)"))
  }

  private static func number(_ sql: String, _ query: PostgresQuery) throws -> Int {
    var found = 0
    try query.run(sql) { _, _, row in
      if case .number(let text)? = row?.first { found = Int(text) ?? 0 }
    }
    return found
  }

  // MARK: Latency

  struct Latency {
    var p50: Double
    var p99: Double

    /// - Parameters:
    ///   - committed: when each was committed, in order.
    ///   - seen: how many were visible at which times.
    init(committed: [Double], seen: [(time: Double, count: Int)]) {
      var latencies: [Double] = []
      var index = 0
      for (number, time) in committed.enumerated() {
        while index < seen.count, seen[index].count <= number { index += 1 }
        if index < seen.count { latencies.append(max(0, seen[index].time - time)) }
      }
      latencies.sort()
      func milliseconds(_ quantile: Double) -> Double {
        guard !latencies.isEmpty else { return .nan }
        return (latencies[Int(Double(latencies.count - 1) * quantile)] * 10_000).rounded() / 10
      }
      p50 = milliseconds(0.5)
      p99 = milliseconds(0.99)
    }
  }

  /// Looks again and again how many rows there are, until there are so many or half a minute has passed.
  private static func watch(_ sql: String, _ socket: String, until count: Int) -> Task<
    [(time: Double, count: Int)], any Error
  > {
    Task.detached {
      let query = try question(socket)
      var seen: [(time: Double, count: Int)] = []
      let end = Cost.now(CLOCK_REALTIME) + 60
      while Cost.now(CLOCK_REALTIME) < end {
        let found = try number(sql, query)
        if found != seen.last?.count { seen.append((Cost.now(CLOCK_REALTIME), found)) }
        if found >= count { break }
        usleep(200)
      }
      return seen
    }
  }

  /// - Parameter base: the number of the first row, above all that were written before.
  private static func latency(
    _ rate: Int, from base: Int, _ store: Store, _ signer: SigningKey, _ mirror: Mirror,
    _ schema: String, _ socket: String
  ) async throws -> Latency {
    _ = try await mirror.synchronise()
    let running = Task { try await mirror.run() }
    let total = rate * 5
    let first = "SKU-\(String(repeating: "0", count: 9 - String(base).utf8.count))\(base)"
    let watching = watch(
      // The last row tells how many there are, since they come in order, and is found at once, however many.
      "SELECT coalesce((SELECT substr(sku, 5)::int8 - \(base - 1) FROM \(schema).item "
        + "WHERE sku >= '\(first)' AND sku < 'SKU-9' ORDER BY sku DESC LIMIT 1), 0)", socket,
      until: total)
    try await Task.sleep(for: .milliseconds(500))
    var committed: [Double] = []
    let start = Cost.now(CLOCK_REALTIME)
    for index in 0..<total {
      let due = start + Double(index) / Double(rate)
      let wait = due - Cost.now(CLOCK_REALTIME)
      if wait > 0.000_2 { try await Task.sleep(for: .microseconds(Int(wait * 1e6))) }
      let row = Rows.row(base + index)
      try await store.write(as: signer) { try $0.create(collection: 0, row: row) }
      committed.append(Cost.now(CLOCK_REALTIME))
    }
    let seen = try await watching.value
    running.cancel()
    _ = try? await running.value
    return Latency(committed: committed, seen: seen)
  }

  private static func replicationLatency(_ rate: Int, _ cluster: borrowing Cluster) async throws
    -> Latency
  {
    try cluster.sql("publisher", "TRUNCATE live RESTART IDENTITY")
    sleep(1)
    let total = rate * 5
    let watching = watch(
      "SELECT coalesce(max(n), 0) FROM live", cluster.socket("sink"), until: total)
    try cluster.shell(
      """
      echo "INSERT INTO live (name) VALUES ('An article of about the same length, as text');" > "$dir/insert.sql"
      pgbench -n -h '\(cluster.socket("publisher"))' -U bench -c 1 -R \(rate) -t \(total) -f "$dir/insert.sql" postgres > /dev/null
      """)
    let seen = try await watching.value
    var committed: [Double] = []
    try question(cluster.socket("publisher")).run(
      "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM live ORDER BY n"
    ) { _, _, row in
      if case .number(let text)? = row?.first { committed.append(Double(text) ?? 0) }
    }
    return Latency(committed: committed, seen: seen)
  }
}
