import Headwater
import HeadwaterPostgres

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The first fill of a mirror in PostgreSQL, several times beside what the same server does with the same rows in a file.
enum PostgresSnapshot {
  static func all(_ count: Int, rounds: Int = 5) async throws {
    let cluster = try Cluster()
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let store = try Headwater.create(
      at: scratch.file("store"), schema: try Schema.parse(Rows.schema), as: signer)
    try await Ingest.fill(store, signer, from: 0, count: count)
    let socket = cluster.socket("sink")
    var ours: [Cost] = []
    var raw: [Cost] = []
    var bare: [Cost] = []
    var reading: [Cost] = []
    for round in 0..<rounds {
      let schema = "round\(round)"
      let adapter = PostgresAdapter(
        try PostgresConfiguration(url: "postgres://bench@/postgres?host=\(socket)&schema=\(schema)")
      )
      let mirror = Mirror(name: "m", sink: "s", source: store.changes, adapter: adapter)
      ours.append(try await Cost.of { _ = try await mirror.synchronise() })
      if round == 0 {
        try cluster.sql(
          "sink",
          """
          \\copy round0_tables.item TO '\(cluster.folder)/rows.csv' CSV
          \\copy round0_tables.item TO '\(cluster.folder)/rows.bin' (FORMAT binary)
          CREATE TABLE raw (LIKE round0_tables.item INCLUDING ALL);
          CREATE TABLE bare (LIKE round0_tables.item INCLUDING CONSTRAINTS);
          """)
      }
      try cluster.sql(
        "sink",
        "DROP SCHEMA \(schema) CASCADE; DROP SCHEMA \(schema)_tables CASCADE; TRUNCATE raw; "
          + "ALTER TABLE bare DROP CONSTRAINT IF EXISTS bare_pkey; TRUNCATE bare; CHECKPOINT")
      raw.append(await psql(socket, "\\\\copy raw FROM '\(cluster.folder)/rows.csv' CSV"))
      bare.append(
        await psql(
          socket, "\\\\copy bare FROM '\(cluster.folder)/rows.bin' (FORMAT binary)",
          "ALTER TABLE bare ADD PRIMARY KEY (sku)", "ANALYZE bare"))
      reading.append(
        try await Cost.of {
          var last: RowPosition?
          while true {
            let page = try await store.changes.rows(after: last, limit: 10_000)
            guard !page.isLast, let reached = page.last else { break }
            last = reached
          }
        })
    }
    let ratios = zip(raw, ours).map { $0.wall / $1.wall }.sorted()
    let limits = zip(bare, ours).map { $0.wall / $1.wall }.sorted()
    func median(_ costs: [Cost]) -> Cost { costs.sorted { $0.wall < $1.wall }[costs.count / 2] }
    let shown = ratios.map { "\(($0 * 100).rounded() / 100)" }.joined(separator: " ")
    Benchmarks.report(
      "PostgreSQL mirror, snapshot of \(count) rows, median of \(rounds) (ratios \(shown))",
      "\(median(ours).rate(count)) rows/s, \(median(ours).microseconds(count)) µs CPU a row here",
      "\(median(raw).rate(count)) rows/s, psql \\copy of CSV into the same table, its key there",
      ratios[rounds / 2])
    Benchmarks.report(
      "… beside the least that the server has to do", "",
      "\(median(bare).rate(count)) rows/s, psql \\copy of binary rows, then the key, then ANALYZE",
      limits[rounds / 2])
    Benchmarks.report(
      "… of which reading the store",
      "\(median(reading).rate(count)) rows/s, \(median(reading).microseconds(count)) µs CPU a row")
  }

  private static func psql(_ socket: String, _ commands: String...) async -> Cost {
    let arguments = commands.map { "-c \"\($0)\"" }.joined(separator: " ")
    return await Cost.of {
      _ = system("psql -qX -h '\(socket)' -U bench -d postgres \(arguments)")
    }
  }
}
