import Foundation
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

/// What goes wrong with a server, on a real one: each is told apart, and says what to do.
@Suite struct FaultTests {
  @Test func aServerThatRestarts() async throws {
    let place = try await Place(TestServer())
    var feeder = try place.feeder()
    try await feeder.publish(1, [put(1, supplier(1))])
    try await place.server.stop()
    for _ in 0..<2 {
      let error = try await feeder.failure([put(1, supplier(2))], .tail(generation: 1))
      #expect(error.code == .unavailable, "\(error)")
      #expect(error.recovery == .retry)
    }
    try await place.server.start()
    #expect(try await feeder.adapter.checkpoint() == feeder.last)
    try await feeder.apply([put(1, supplier(2))], tail: 1)
    #expect(
      try place.server.connection().table("SELECT id FROM \(place.schema).supplier ORDER BY 1")
        == ["1", "2"])
  }

  /// Pages of a snapshot do not wait for the disk: a server that breaks down may lose the last of them, with their
  /// checkpoints, and nothing else.
  @Test func aServerThatBreaksDownWhileItIsFilled() async throws {
    let place = try await Place(TestServer(settings: ["wal_writer_delay = 10s"]))
    var feeder = try place.feeder()
    try await feeder.apply([.begin(generation: 1)], filling: 1)
    // How many rows are there at each checkpoint.
    var rows: [(checkpoint: Checkpoint, count: Int64)] = [(try #require(feeder.last), 0)]
    let pages: Int64 = 6
    for breakdown in 1...pages {
      var count = rows.last!.count
      // As many pages as a breakdown before this one has left to be copied, and one more.
      while count < breakdown {
        count += 1
        try await feeder.apply([put(1, supplier(count))], filling: 1)
        rows.append((try #require(feeder.last), count))
      }
      try await place.server.stop()
      let error = try await feeder.failure([put(1, supplier(count + 1))], .tail(generation: 1))
      #expect(error.recovery == .retry)
      try await place.server.start()
      let stored = try await feeder.adapter.checkpoint()
      let known = try #require(rows.lastIndex { $0.checkpoint == stored }, "an old checkpoint")
      rows.removeSubrange((known + 1)...)
      feeder.last = stored
      let found = try place.server.connection().table(
        "SELECT id FROM \(place.schema)_filling.supplier ORDER BY 1")
      #expect(found == (0..<rows[known].count).map { "\($0 + 1)" }, "breakdown \(breakdown)")
    }
    var count = rows.last!.count
    while count < pages {
      count += 1
      try await feeder.apply([put(1, supplier(count))], filling: 1)
    }
    try await feeder.apply([.publish(generation: 1)], tail: 1)
    try await place.server.stop()
    try await place.server.start()
    // What is published is there, whatever came before it was waited for or not.
    let adapter = try place.feeder().adapter
    #expect(try await adapter.checkpoint() == feeder.last)
    #expect(
      try place.server.connection().table("SELECT id FROM \(place.schema).supplier ORDER BY 1")
        == (1...pages).map { "\($0)" })
  }

  @Test func aConnectionThatIsCut() async throws {
    let place = try await Place()
    var feeder = try place.feeder(more: "&application_name=\(place.schema)")
    try await feeder.publish(1, [put(1, supplier(1))])
    _ = try place.look.execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
        + "'\(place.schema)'")
    let error = try await feeder.failure([put(1, supplier(2))], .tail(generation: 1))
    #expect(error.code == .unavailable)
    #expect(error.recovery == .retry)
    try await feeder.apply([put(1, supplier(2))], tail: 1)
  }

  @Test func aDeadlock() async throws {
    let place = try await Place()
    var feeder = try place.feeder(more: "&options=-c%20deadlock_timeout%3D1s")
    try await feeder.publish(1, [put(1, supplier(1)), put(1, supplier(2))])
    let tables = place.schema + "_tables"
    _ = try place.look.execute(
      "SET deadlock_timeout = '60s'; BEGIN; SELECT FROM \(tables).supplier WHERE id = 2 FOR UPDATE")
    let steps = [
      put(1, supplier(1, town: "a"), before: supplier(1)),
      put(1, supplier(2, town: "b"), before: supplier(2)),
    ]
    let blocked = feeder
    async let failed = blocked.failure(steps, .tail(generation: 1))
    let other = try place.server.connection()
    try await wait("the mirror waits") {
      try other.table("SELECT count(*) FROM pg_locks WHERE NOT granted") != ["0"]
        && other.table(
          "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "
            + "'%\(tables)%'") == ["1"]
    }
    _ = try place.look.execute(
      "UPDATE \(tables).supplier SET town = 'c' WHERE id = 1; ROLLBACK")
    let error = try await failed
    #expect(error.code == .unavailable, "\(error)")
    #expect(error.recovery == .retry)
    #expect(error.message.contains("deadlock"))
    try await feeder.apply(steps, tail: 1)
  }

  /// What a trigger raises is what a server of serializable transactions would.
  @Test func aSerializationFailure() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    try await feeder.publish(1, [put(1, supplier(1))])
    let function = "public.\(place.schema)_raise"
    let trigger =
      "CREATE TRIGGER watch BEFORE INSERT ON \(place.schema)_tables.supplier "
      + "FOR EACH ROW EXECUTE FUNCTION \(function)()"
    func raise(_ code: String) -> String {
      "CREATE OR REPLACE FUNCTION \(function)() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        + "RAISE EXCEPTION 'secret %', NEW.town USING ERRCODE = '\(code)'; END $$"
    }
    _ = try place.look.execute("\(raise("40001")); \(trigger)")
    var error = try await feeder.failure([put(1, supplier(2, town: "hush"))], .tail(generation: 1))
    #expect(error.code == .unavailable)
    #expect(error.recovery == .retry)
    _ = try place.look.execute(raise("P0001"))
    error = try await feeder.failure([put(1, supplier(2, town: "hush"))], .tail(generation: 1))
    #expect(error.code == .permission)
    #expect(error.recovery == .halt)
    #expect(error.message.contains("trigger"))
    #expect(!error.message.contains("hush"))
    _ = try place.look.execute("DROP FUNCTION \(function) CASCADE")
    try await feeder.apply([put(1, supplier(2))], tail: 1)
  }

  @Test func aStatementThatTakesTooLong() async throws {
    let place = try await Place()
    var feeder = try place.feeder(more: "&options=-c%20statement_timeout%3D300")
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

  @Test(.enabled(if: getuid() == 0, "only root mounts a small volume"))
  func aDiskThatIsFull() async throws {
    let place = try await Place(TestServer())
    let volume = place.server.folder + "/small"
    try await place.server.shell(
      "mkdir -p \"$1\" && mount -t tmpfs -o size=4m tmpfs \"$1\" && mkdir \"$1/x\" && chown -R \"$2\" \"$1\" && chmod 700 \"$1/x\"",
      [volume, getpwnam("postgres") != nil ? "postgres" : "nobody"])
    var feeder = try place.feeder(more: "&options=-c%20default_tablespace%3Dsmall")
    do {
      _ = try place.look.execute("CREATE TABLESPACE small LOCATION '\(volume)/x'")
      try await feeder.publish(1, [put(1, supplier(1))])
      // Bytes that do not compress.
      var generator = SystemRandomNumberGenerator()
      let rows = (0..<6_000).map { number in
        supplier(
          Int64(number + 10),
          town: (0..<100).map { _ in
            String(UInt64.random(in: 0 ... .max, using: &generator), radix: 36)
          }
          .joined())
      }
      let error = try await feeder.failure(rows.map { put(1, $0) }, .tail(generation: 1))
      #expect(error.code == .full, "\(error)")
      #expect(error.recovery == .retry)
      #expect(try await feeder.adapter.checkpoint() == feeder.last)
      // There is room again, or the batch is smaller.
      try await feeder.apply([put(1, supplier(2))], tail: 1)
    } catch {
      Issue.record(error)
    }
    feeder = try place.feeder()
    try await place.server.stop()
    try await place.server.shell("umount -l \"$1\"", [volume])
  }

  @Test func anAnalystWhoHoldsALock() async throws {
    let place = try await Place()
    let look = place.look
    var configuration = try place.server.configuration(schema: place.schema)
    configuration.lockTimeout = 1_000
    var feeder = Feeder(configuration)
    try await feeder.publish(1, [put(1, supplier(1))])
    _ = try look.execute(
      "SET application_name = 'notebook'; BEGIN; SELECT * FROM \(place.schema).supplier")
    // Changes do not mind.
    try await feeder.apply([put(1, supplier(2))], tail: 1)
    try await feeder.apply([.begin(generation: 2), put(1, supplier(1))], filling: 2)
    let error = try await feeder.failure([.publish(generation: 2)], .tail(generation: 2))
    #expect(error.code == .unavailable, "\(error)")
    #expect(error.recovery == .retry)
    #expect(error.message.contains("pg_cancel_backend(\(look.processID))"), "\(error)")
    #expect(error.message.contains("notebook"))
    #expect(try look.table("SELECT count(*) FROM \(place.schema).supplier") == ["2"])
    _ = try look.execute("COMMIT")
    try await feeder.apply([.publish(generation: 2)], tail: 2)
    #expect(try look.table("SELECT count(*) FROM \(place.schema).supplier") == ["1"])
  }

  @Test func somebodyElsesTablesAreInTheWay() async throws {
    for taken in [
      "CREATE SCHEMA @; CREATE TABLE @.product (x int)", "CREATE SCHEMA @_tables",
      "CREATE SCHEMA @; CREATE TABLE @.headwater_checkpoint (x int)", "CREATE SCHEMA @_filling",
      "CREATE SCHEMA @; CREATE VIEW @.status AS SELECT 1 AS x",
      "CREATE SCHEMA @; CREATE TABLE @.headwater_names (x int)",
    ] {
      let place = try await Place()
      _ = try place.look.execute(taken.replacing("@", with: place.schema))
      let feeder = try place.feeder()
      let count =
        "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('\(place.schema)')"
      let before = try place.look.table(count)
      let error = try await feeder.failure(
        [.begin(generation: 1)], .snapshot(generation: 1, progress: .rows(upTo: nil)))
      #expect(error.code == .occupied, "\(taken): \(error)")
      #expect(error.recovery == .halt)
      #expect(error.message.contains("schema"))
      #expect(try place.look.table(count) == before)
    }
  }

  @Test func permissionsThatAreMissing() async throws {
    let place = try await Place()
    let role = uniqueName("weak")
    let other = uniqueName("other")
    _ = try place.look.execute("CREATE ROLE \(role) LOGIN; CREATE ROLE \(other) LOGIN")
    let begin: [ChangeBatch.Step] = [.begin(generation: 1)]
    let filling = Checkpoint.Phase.snapshot(generation: 1, progress: .rows(upTo: nil))
    var weak = try place.feeder(user: role)
    var error = try await weak.failure(begin, filling)
    #expect(error.code == .permission)
    #expect(error.recovery == .halt)
    #expect(
      error.message.contains("GRANT CREATE ON DATABASE \"postgres\" TO \"\(role)\";"), "\(error)")
    _ = try place.look.execute("GRANT CREATE ON DATABASE postgres TO \(role), \(other)")
    try await weak.publish(1, [put(1, supplier(1))])
    // As another role, which does not own what the first made.
    var stranger = try place.feeder(user: other)
    stranger.last = weak.last
    stranger.position = weak.position
    do throws(AdapterError) {
      _ = try await stranger.adapter.checkpoint()
      Issue.record("a stranger reads the checkpoint")
    } catch {
      #expect(error.code == .permission)
      #expect(error.message.contains("GRANT \(role) TO \"\(other)\""), "\(error)")
    }
    _ = try place.look.execute("GRANT \(role) TO \(other)")
    _ = try await stranger.adapter.checkpoint()
    // A reader that is not there, and may not be made.
    weak = try place.feeder(more: "&reader=\(role)_reader", user: role)
    weak.last = stranger.last
    weak.position = stranger.position
    try await weak.apply([.begin(generation: 2)], filling: 2)
    error = try await weak.failure([.publish(generation: 2)], .tail(generation: 2))
    #expect(error.code == .permission)
    #expect(error.message.contains("CREATE ROLE \"\(role)_reader\";"), "\(error)")
  }

  @Test func serversThatWillNotDo() async throws {
    let server = try await TestServer.shared
    let old = PostgresAdapter(try server.configuration(), minimumVersion: 990_000)
    await expect(.unsupported, .halt, "99 or later") { _ = try await old.checkpoint() }
    let look = try server.connection()
    let ascii = uniqueName("ascii")
    _ = try look.execute(
      "CREATE DATABASE \(ascii) ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    let bytes = PostgresAdapter(try server.configuration(database: ascii))
    await expect(.unsupported, .halt, "ENCODING 'UTF8'") { _ = try await bytes.checkpoint() }
    let missing = PostgresAdapter(try server.configuration(database: "nowhere"))
    await expect(.permission, .halt, "createdb") { _ = try await missing.checkpoint() }
    let nobody = PostgresAdapter(try server.configuration(user: "no_such_role"))
    await expect(.permission, .halt, "PGPASSWORD") { _ = try await nobody.checkpoint() }
    let away = PostgresAdapter(
      try PostgresConfiguration(url: "postgres://a@/b?host=\(server.folder)/none&schema=x"))
    await expect(.unavailable, .retry, "out of reach") { _ = try await away.checkpoint() }
    let place = try await Place()
    let reading = try place.feeder(more: "&options=-c%20default_transaction_read_only%3Don")
    let error = try await reading.failure(
      [.begin(generation: 1)], .snapshot(generation: 1, progress: .rows(upTo: nil)))
    #expect(error.code == .permission)
    #expect(error.message.contains("target_session_attrs"))
  }

  private func expect(
    _ code: AdapterError.Code, _ recovery: AdapterError.Recovery, _ text: String,
    _ body: () async throws -> Void, location: SourceLocation = #_sourceLocation
  ) async {
    do {
      try await body()
      Issue.record("nothing was thrown", sourceLocation: location)
    } catch let error as AdapterError {
      #expect(error.code == code, "\(error)", sourceLocation: location)
      #expect(error.recovery == recovery, "\(error)", sourceLocation: location)
      #expect(error.message.contains(text), "\(error)", sourceLocation: location)
    } catch {
      Issue.record(error, sourceLocation: location)
    }
  }

  @Test func tablesThatWereAlteredAreRebuilt() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    var generation: Int64 = 1
    let tables = place.schema + "_tables"
    try await feeder.publish(generation, [put(1, supplier(1))])
    for vandalism in [
      "ALTER TABLE \(tables).supplier RENAME COLUMN town TO city",
      "ALTER TABLE \(tables).supplier ADD COLUMN more int NOT NULL DEFAULT 1",
      "DROP TABLE \(tables).product CASCADE",
      "ALTER TABLE \(tables).supplier ALTER COLUMN town DROP NOT NULL",
      "ALTER TABLE \(tables).supplier DROP CONSTRAINT supplier_pkey CASCADE",
    ] {
      _ = try place.look.execute(vandalism)
      // A new process notices before it writes; one that runs, at the latest when a statement fails.
      feeder.adapter = PostgresAdapter(feeder.adapter.configuration)
      let error = try await feeder.failure([put(1, supplier(2))], .tail(generation: generation))
      #expect(error.code == .damaged, "\(vandalism): \(error)")
      #expect(error.recovery == .rebuild)
      generation += 1
      try await feeder.publish(generation, [put(1, supplier(1))])
    }
    #expect(try place.look.table("SELECT id, town FROM \(place.schema).supplier") == ["1|Ulm"])
  }

  @Test func aDanglingReferenceIsNotPublished() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    try await feeder.apply(
      [.begin(generation: 1), put(0, product("a", "secret", supplier: 5))], filling: 1)
    let error = try await feeder.failure([.publish(generation: 1)], .tail(generation: 1))
    #expect(error.code == .damaged)
    #expect(error.recovery == .rebuild)
    #expect(!error.message.contains("secret"))
    try await feeder.apply(
      [put(1, supplier(5))], .snapshot(generation: 1, progress: .catchingUp(until: 1)))
    try await feeder.apply([.publish(generation: 1)], tail: 1)
  }

  @Test func anOldMirrorCannotCommit() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    try await feeder.publish(1, [put(1, supplier(1))])
    // It has seen this state, and knows of nothing that comes after it.
    var zombie = feeder
    zombie.adapter = PostgresAdapter(feeder.adapter.configuration)
    try await zombie.apply([put(1, supplier(2))], tail: 1)
    feeder.last = zombie.last
    feeder.position = zombie.position
    try await feeder.apply([put(1, supplier(3))], tail: 1)
    try await feeder.apply([], tail: 1)
    let error = try await zombie.failure(
      [remove(1, supplier(1)), put(1, supplier(4))], .tail(generation: 1))
    #expect(error.code == .diverged)
    #expect(
      try place.look.table("SELECT id FROM \(place.schema).supplier ORDER BY 1") == ["1", "2", "3"])
  }
}
