import HeadwaterStream

extension AdapterError {
  /// What an error of the server, or of the way to it, means for the mirror.
  ///
  /// - Parameter sink: the connection, if it still is one: it is asked who stands in the way.
  init(_ error: ServerError, _ configuration: PostgresConfiguration, _ sink: Sink?) {
    let place = configuration.description
    let table =
      error.table.map { table in
        " (see \(error.constraint.map { "the constraint \($0) of " } ?? "")the table \(table))"
      } ?? ""
    let state = error.sqlState ?? ""
    let (code, recovery, message): (Code, Recovery, String) =
      switch (state.prefix(2), state) {
      case ("", _):
        (.unavailable, .retry, "\(place) is out of reach: \(error.message).")
      case ("28", _):
        (
          .permission, .halt,
          "\(place) does not let us in: \(error.message). Give the password in PGPASSWORD or ~/.pgpass, and see "
            + "pg_hba.conf on the server."
        )
      case (_, "3D000"):
        (.permission, .halt, "\(place): \(error.message). Make it with createdb, or name another.")
      case ("08", _), (_, "57P01"), (_, "57P02"), (_, "57P03"), (_, "57P05"), (_, "25P03"),
        (_, "25P04"):
        (.unavailable, .retry, "\(place) ended the connection, or is starting: \(error.message).")
      case (_, "53100"):
        (
          .full, .retry,
          "The server of \(place) has no room left on its disk: free space there. Nothing of the batch was written."
        )
      case ("53", _), ("58", _):
        (.unavailable, .retry, "The server of \(place) is short of something: \(error.message).")
      case ("40", _):
        (
          .unavailable, .retry,
          "Another transaction on \(place) stood in the way (\(error.message)); trying again."
        )
      case (_, "55P03"):
        (
          .unavailable, .retry,
          "Somebody holds a lock on the mirror's tables in \(place)"
            + "\(sink.flatMap { $0.lockHolders() }.map { ": \($0)" } ?? "")."
        )
      case (_, "57014"):
        (
          .unavailable, .retry,
          "The server of \(place) cancelled a statement of the mirror (\(error.message)). If this repeats, allow more time: "
            + "ALTER ROLE … SET statement_timeout = 0."
        )
      case (_, "25006"):
        (
          .permission, .halt,
          "\(place) takes no writes: it is a standby, or read-only by default. Name the primary, or all servers with "
            + "target_session_attrs=read-write."
        )
      case (_, "42501"):
        (
          .permission, .halt,
          "\(place): \(error.message). "
            + (sink.flatMap { $0.missingGrants() }
              ?? "Let the mirror's role own its schemas, or run as the role that made them.")
        )
      case (_, "P0001"), ("09", _):
        (
          .permission, .halt,
          "A trigger on the mirror's tables in \(place) refuses what the source says\(table): drop the trigger, or let it pass."
        )
      case ("23", _):
        (
          .damaged, .rebuild,
          "The rows in \(place) do not fit together\(table): somebody changed the mirror, and a new generation will "
            + "mend it."
        )
      case (_, "42P06"), (_, "42P07"), (_, "42710"):
        (
          .occupied, .halt,
          "\(place) has something of the name of one of the mirror's tables: \(error.message). Rename it, or name another "
            + "schema (…?schema=NAME)."
        )
      case ("42", _), (_, "3F000"), (_, "26000"):
        (
          .damaged, .rebuild,
          "The tables in \(place) are not as the mirror made them (\(error.message)): a new generation will mend them."
        )
      case (_, "2BP01"):
        (
          .occupied, .halt,
          "Something depends on the mirror's tables in \(place): \(error.message)."
        )
      case ("0A", _), ("54", _):
        (
          .unsupported, .halt,
          "\(place) cannot carry what the source holds: \(error.message)\(table)."
        )
      case ("22", _):
        (
          .unsupported, .halt,
          "\(place) refuses a value of the source (SQLSTATE \(state))\(table): please report this."
        )
      case ("XX", _):
        (
          .damaged, .halt,
          "The server of \(place) is damaged (SQLSTATE \(state)): see its log; restore it, and run the mirror again."
        )
      default:
        (.damaged, .halt, "\(place) cannot be worked with: \(error.safeMessage).")
      }
    self.init(code, message, recovery: recovery, cause: error)
  }
}

extension Sink {
  /// Who holds locks on the mirror's tables or views, for people; nil where nobody does any more.
  func lockHolders() -> String? {
    let found = try? connection.run(
      "SELECT DISTINCT a.pid::text, a.usename::text, a.application_name, "
        + "extract(epoch FROM clock_timestamp() - a.xact_start)::int8::text FROM pg_locks AS l "
        + "JOIN pg_stat_activity AS a ON a.pid = l.pid JOIN pg_class AS c ON c.oid = l.relation "
        + "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE l.granted AND l.pid <> pg_backend_pid() "
        + "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        + "AND n.nspname IN ($1::text, $2::text, $3::text) LIMIT 3",
      [.text(places.own), .text(places.tables), .text(places.filling)])
    guard let found, found.rowCount > 0 else { return nil }
    return (0..<found.rowCount).map { row in
      "the process \(found.text(row, 0)) of \(found.text(row, 1))"
        + (found.text(row, 2).isEmpty ? "" : " (\(found.text(row, 2)))")
        + ", whose transaction began \(found.text(row, 3)) seconds ago: SELECT pg_cancel_backend(\(found.text(row, 0)))"
    }.joined(separator: "; ")
  }

  /// What to run so that the mirror may do what it was refused; nil where nothing is missing that is known here.
  func missingGrants() -> String? {
    let found = try? connection.run(
      "SELECT has_database_privilege(current_database(), 'CREATE'), coalesce((SELECT "
        + "string_agg(DISTINCT quote_ident(pg_get_userbyid(n.nspowner)), ', ') FROM pg_namespace AS n WHERE n.nspname "
        + "IN ($1::text, $2::text, $3::text) AND NOT pg_has_role(n.nspowner, 'USAGE')), ''), "
        + "has_database_privilege(current_database(), 'TEMPORARY')",
      [.text(places.own), .text(places.tables), .text(places.filling)])
    guard let found, found.rowCount == 1 else { return nil }
    let user = PostgresDialect.quote(connection.user)
    if !found.text(0, 1).isEmpty {
      return
        "The mirror's schemas belong to \(found.text(0, 1)): run as that role, or GRANT \(found.text(0, 1)) TO \(user);"
    }
    if !found.bool(0, 0) {
      return "As the owner of the database, run: GRANT CREATE ON DATABASE "
        + "\(PostgresDialect.quote(connection.database)) TO \(user);"
    }
    // Large batches go by way of a temporary table.
    if !found.bool(0, 2) {
      return "As the owner of the database, run: GRANT TEMPORARY ON DATABASE "
        + "\(PostgresDialect.quote(connection.database)) TO \(user);"
    }
    return nil
  }
}
