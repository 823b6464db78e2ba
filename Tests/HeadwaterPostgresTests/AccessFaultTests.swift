import Foundation
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

/// Who may come in, and who else is there: passwords, limits, locks and isolation, on a real server.
@Suite struct AccessFaultTests {
  private func failure(_ configuration: PostgresConfiguration) async throws -> AdapterError {
    do throws(AdapterError) {
      _ = try await PostgresAdapter(configuration).checkpoint()
    } catch {
      return error
    }
    try #require(Bool(false), "the server let us in")
    throw CancellationError()
  }

  @Test func passwords() async throws {
    let server = try await TestServer()
    let look = try server.connection()
    _ = try look.execute(
      "SET password_encryption = 'scram-sha-256'; CREATE ROLE ann LOGIN PASSWORD 'right-secret'; "
        + "CREATE ROLE bob LOGIN; GRANT CREATE ON DATABASE postgres TO ann; CREATE ROLE eve LOGIN; "
        + "CREATE ROLE nologin")
    try await server.shell(
      """
      cd "$1/data"
      printf '%s\\n' 'local all ann,bob scram-sha-256' 'local all eve reject' 'local all all trust' > pg_hba.conf
      """, [server.folder], asOwner: true)
    _ = try look.execute("SELECT pg_reload_conf()")
    try await wait("the new rules hold") {
      try look.table("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'reject'") == ["1"]
    }
    let base = "@/postgres?host=\(server.folder)&schema=s"
    func configuration(_ user: String) throws -> PostgresConfiguration {
      try PostgresConfiguration(url: "postgres://\(user)\(base)")
    }
    // The rules are read when the next connection is made, by a server that has heard of them.
    try await wait("the server asks for a password") {
      (try? server.connection(user: "ann")) == nil
    }
    // A wrong password, none, one for a role that has none, and a rule that lets nobody in.
    for (user, text) in [
      ("ann:wrong-secret", "password authentication failed"), ("ann", "password"),
      ("bob:right-secret", "password authentication failed"), ("eve", "pg_hba.conf"),
      ("nologin", "not permitted to log in"),
    ] {
      let error = try await failure(configuration(user))
      #expect(error.code == .permission, "\(user): \(error)")
      #expect(error.recovery == .halt)
      #expect(error.message.contains(text), "\(user): \(error)")
      #expect(error.message.contains("PGPASSWORD"))
      #expect(!"\(error) \(String(describing: error.cause))".contains("secret"))
    }
    var feeder = Feeder(try configuration("ann:right-secret"))
    try await feeder.publish(1, [put(1, supplier(1))])
    #expect(try look.table("SELECT id FROM s.supplier") == ["1"])
    // The password changes while the mirror runs: it goes on until its connection is lost.
    _ = try look.execute("ALTER ROLE ann PASSWORD 'other-secret'")
    try await feeder.apply([put(1, supplier(2))], tail: 1)
    _ = try look.execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ann'")
    #expect(
      try await feeder.failure([put(1, supplier(3))], .tail(generation: 1)).recovery == .retry)
    let error = try await feeder.failure([put(1, supplier(3))], .tail(generation: 1))
    #expect(error.code == .permission, "\(error)")
    #expect(error.recovery == .halt)
  }

  @Test func tooManyConnections() async throws {
    let place = try await Place()
    let role = uniqueName("limited")
    _ = try place.look.execute("CREATE ROLE \(role) LOGIN CONNECTION LIMIT 0")
    let error = try await failure(place.server.configuration(schema: place.schema, user: role))
    #expect(error.code == .unavailable, "\(error)")
    #expect(error.recovery == .retry)
    #expect(error.message.contains("short of something"), "\(error)")
  }

  /// Batches are READ COMMITTED whatever the role's default is, so nothing that others commit meanwhile makes them
  /// fail: they wait for the row, and write it as the source has it.
  @Test func serializationFailuresCannotOccur() async throws {
    let place = try await Place()
    var feeder = try place.feeder(
      more: "&options=-c%20default_transaction_isolation%3Dserializable")
    try await feeder.publish(1, [put(1, supplier(1)), put(1, supplier(2))])
    let table = "\(place.schema)_tables.supplier"
    let other = try place.server.connection()
    for number in 0..<4 {
      // Another transaction that reads what ours writes and writes what ours reads, as SERIALIZABLE forbids.
      _ = try place.look.execute(
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM \(table); "
          + "SELECT checkpoint FROM \(place.schema).headwater_checkpoint; "
          + "UPDATE \(table) SET town = 'theirs \(number)' WHERE id = 1")
      let steps = [
        put(1, supplier(1, town: "ours \(number)"), before: supplier(1)),
        put(1, supplier(2, town: "ours \(number)"), before: supplier(2)),
        put(1, supplier(Int64(10 + number))),
      ]
      var copy = feeder
      async let applied = { () async throws -> Feeder in
        try await copy.apply(steps, tail: 1)
        return copy
      }()
      try await wait("the mirror waits for the row") {
        try other.table(
          "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "
            + "'%\(place.schema)%' AND pid <> pg_backend_pid()") == ["1"]
      }
      // What READ COMMITTED takes in its stride and REPEATABLE READ does not: the row that it waits for changes.
      _ = try place.look.execute("COMMIT")
      feeder = try await applied
      #expect(
        try other.table("SELECT DISTINCT town FROM \(table) WHERE id < 10") == ["ours \(number)"])
    }
  }

  @Test(arguments: [WritePaths(), .staged])
  func anAnalystWhoLocksRows(_ paths: WritePaths) async throws {
    let place = try await Place()
    var configuration = try place.server.configuration(schema: place.schema)
    configuration.lockTimeout = 400
    var feeder = Feeder(configuration)
    feeder.adapter = PostgresAdapter(configuration, paths: paths)
    try await feeder.publish(1, [put(1, supplier(1))])
    let step = put(1, supplier(1, town: "x"), before: supplier(1))
    for lock in [
      "SELECT FROM @ WHERE id = 1 FOR SHARE", "LOCK TABLE @ IN SHARE MODE",
      "UPDATE @ SET town = 'y'", "LOCK TABLE @ IN ACCESS EXCLUSIVE MODE",
    ] {
      _ = try place.look.execute(
        "SET application_name = 'notebook'; BEGIN; "
          + lock.replacing("@", with: "\(place.schema)_tables.supplier"))
      let error = try await feeder.failure([step], .tail(generation: 1))
      #expect(error.code == .unavailable, "\(lock): \(error)")
      #expect(error.recovery == .retry)
      #expect(error.message.contains("pg_cancel_backend(\(place.look.processID))"), "\(error)")
      #expect(error.message.contains("notebook"))
      _ = try place.look.execute("ROLLBACK")
    }
    try await feeder.apply([step], tail: 1)
    #expect(try place.look.table("SELECT town FROM \(place.schema).supplier") == ["x"])
  }

  @Test(arguments: [WritePaths.arrays, .staged])
  func aTransactionThatWasIdleForTooLong(_ paths: WritePaths) async throws {
    let place = try await Place()
    let slow = Countdown(.max)
    // What comes before and after has all the time that it needs.
    var feeder = try place.feeder()
    try await feeder.publish(1, [put(1, supplier(1))])
    let patient = feeder.adapter.configuration
    let hasty = try place.feeder(
      more: "&options=-c%20idle_in_transaction_session_timeout%3D100"
    ).adapter.configuration
    feeder.adapter = PostgresAdapter(hasty, paths: paths) {
      // As a process that is stopped for a while, by a debugger or for want of memory.
      usleep(300_000)
      return slow.isOver()
    }
    let step = put(1, supplier(2))
    let error = try await feeder.failure([step], .tail(generation: 1))
    #expect(error.code == .unavailable, "\(error)")
    #expect(error.recovery == .retry)
    #expect(try place.look.table("SELECT id FROM \(place.schema).supplier") == ["1"])
    feeder.adapter = PostgresAdapter(patient, paths: paths)
    try await feeder.apply([step], tail: 1)
  }

  @Test(arguments: [WritePaths.arrays, .staged])
  func aLargeBatchThatTakesTooLong(_ paths: WritePaths) async throws {
    let place = try await Place()
    var feeder = try place.feeder(more: "&options=-c%20statement_timeout%3D300")
    feeder.adapter = PostgresAdapter(feeder.adapter.configuration, paths: paths)
    try await feeder.publish(1, [put(1, supplier(1))])
    _ = try place.look.execute(
      "BEGIN; SELECT FROM \(place.schema)_tables.supplier WHERE id = 1 FOR UPDATE")
    let step = put(1, supplier(1, town: "x"), before: supplier(1))
    let error = try await feeder.failure([step], .tail(generation: 1))
    #expect(error.code == .unavailable, "\(error)")
    #expect(error.recovery == .retry)
    #expect(error.message.contains("statement_timeout"))
    _ = try place.look.execute("ROLLBACK")
    try await feeder.apply([step], tail: 1)
  }
}
