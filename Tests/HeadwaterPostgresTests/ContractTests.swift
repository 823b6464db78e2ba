import AdapterContract
import Foundation
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

struct PostgresSubject: ContractSubject {
  var more = ""
  var paths = WritePaths()

  struct Sink: ContractSink {
    let server: TestServer
    let database: String
    let schema: String
    let more: String
    let paths: WritePaths

    private var configuration: PostgresConfiguration {
      get throws { try server.configuration(database: database, schema: schema, more: more) }
    }

    func open() async throws -> any Adapter {
      PostgresAdapter(try configuration, paths: paths)
    }

    /// Through the views, as readers read.
    func rows(of collection: Int, in schema: Schema) async throws -> [Row] {
      let adapter = PostgresAdapter(try configuration)
      var rows: [Row] = []
      var last: Key?
      while true {
        let page = try await adapter.visibleRows(
          of: collection, in: schema, after: last, limit: 1_000)
        rows += page
        guard page.count == 1_000, let row = page.last else { return rows }
        last = schema.collections[collection].key(of: row)
      }
    }

    /// What restoring a dump gives.
    func copy() async throws -> (any ContractSink)? {
      let copy = uniqueName("copy")
      try await server.shell(
        """
        set -eo pipefail
        "$1/createdb" "$3"
        "$1/pg_dump" --schema "$4" --schema "$4_tables" --schema "$4_filling" "$2" \
          | "$1/psql" --quiet --set ON_ERROR_STOP=1 "$3" > /dev/null
        """, [server.binaries, database, copy, schema])
      return Sink(server: server, database: copy, schema: schema, more: more, paths: paths)
    }

    func openCrashing(at point: Int) async throws -> (any Adapter)? {
      CrashingAdapter(try configuration, point: point, paths: paths)
    }

    func discard() async {
      guard let connection = try? server.connection(database: database) else { return }
      for suffix in ["", "_tables", "_filling", "_history"] {
        _ = try? connection.execute("DROP SCHEMA IF EXISTS \"\(schema)\(suffix)\" CASCADE")
      }
    }
  }

  func makeSink() async throws -> any ContractSink {
    Sink(
      server: try await TestServer.shared, database: "postgres", schema: uniqueName("c"),
      more: more, paths: paths)
  }
}

/// Dies before one statement of `apply`, or before its answer: its connection is gone then, as that of a killed
/// process.
private actor CrashingAdapter: Adapter {
  private var adapter: PostgresAdapter?
  private let countdown: Countdown

  init(_ configuration: PostgresConfiguration, point: Int, paths: WritePaths) {
    let countdown = Countdown(point)
    self.countdown = countdown
    adapter = PostgresAdapter(configuration, paths: paths) { countdown.isOver() }
  }

  func checkpoint() async throws(AdapterError) -> Checkpoint? {
    try await living().checkpoint()
  }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    let adapter = try living()
    countdown.arm()
    do {
      try await adapter.apply(batch)
    } catch {
      self.adapter = nil
      throw AdapterError(.unavailable, error.message, recovery: .halt)
    }
  }

  private func living() throws(AdapterError) -> PostgresAdapter {
    guard let adapter else {
      throw AdapterError(.unavailable, "The process was killed.", recovery: .halt)
    }
    return adapter
  }
}

final class Countdown: Sendable {
  private let lock = NSLock()
  private nonisolated(unsafe) var left: Int
  private nonisolated(unsafe) var isArmed = false

  init(_ count: Int) { left = count }

  func arm() { lock.withLock { isArmed = true } }

  func isOver() -> Bool {
    lock.withLock {
      guard isArmed else { return false }
      left -= 1
      return left < 0
    }
  }
}

@Suite struct ContractTests {
  @Test(arguments: AdapterContract.cases)
  func `the PostgreSQL adapter keeps the contract`(_ item: AdapterContract.Case) async throws {
    let outcome = try await item.run(on: PostgresSubject())
    #expect(outcome == .passed)
  }

  /// The cases that are about what is written, with few rows on each of the ways that otherwise only many take.
  private static func cases(_ names: [String]) -> [AdapterContract.Case] {
    AdapterContract.cases.filter { item in names.contains { item.name.hasPrefix($0) } }
  }

  @Test(
    arguments: cases(
      ["rows.", "values.", "keys.", "text.", "random.1", "large.", "fence.crash", "fence.lost"]))
  func `so it does with every change staged`(_ item: AdapterContract.Case) async throws {
    #expect(try await item.run(on: PostgresSubject(paths: .staged)) == .passed)
  }

  @Test(arguments: cases(["rows.", "values.text", "text.", "large."]))
  func `so it does with new rows copied and others staged`(_ item: AdapterContract.Case)
    async throws
  {
    #expect(try await item.run(on: PostgresSubject(paths: .copied)) == .passed)
  }
}
