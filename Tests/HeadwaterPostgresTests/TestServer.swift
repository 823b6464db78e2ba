import Foundation
import HeadwaterPostgres
import Testing

/// A PostgreSQL server of the tests' own, which goes with the process: a cluster in a temporary folder, on a Unix socket.
///
/// The binaries are those of `HEADWATER_POSTGRES_BIN`, or the newest that the system has. A server refuses to run as
/// root, so root runs it as the user `postgres` or `nobody`. Tests that need a server fail where there is none.
final class TestServer: Sendable {
  /// The folder with the socket and the data.
  let folder: String
  let binaries: String
  /// A shell that stops the server when this process has gone, or the file `stop` is there.
  private let keeper: Process

  /// The server that most tests share, each in schemas or databases of its own.
  static var shared: TestServer {
    get async throws { try await sharedTask.value }
  }

  private static let sharedTask = Task { try await TestServer() }

  struct Missing: Error, CustomStringConvertible {
    let description: String
  }

  /// The folder of `initdb` and `postgres`.
  static let binaries: String? = {
    let files = FileManager.default
    if let given = ProcessInfo.processInfo.environment["HEADWATER_POSTGRES_BIN"] { return given }
    let roots = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
    for root in roots {
      let versions = ((try? files.contentsOfDirectory(atPath: root)) ?? [])
        .filter { $0.hasPrefix("postgresql") || Int($0) != nil }
        .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
      for version in versions {
        let folder = "\(root)/\(version)/bin"
        if files.isExecutableFile(atPath: folder + "/initdb") { return folder }
      }
    }
    return nil
  }()

  /// Makes a cluster and starts it.
  ///
  /// - Parameter settings: lines of `postgresql.conf`.
  init(settings: [String] = []) async throws {
    guard let binaries = TestServer.binaries else {
      throw Missing(
        description:
          "There is no PostgreSQL server: install postgresql (scripts/bootstrap.sh does), or name the "
          + "folder of initdb in HEADWATER_POSTGRES_BIN.")
    }
    self.binaries = binaries
    folder = "/tmp/headwater-pg-" + UUID().uuidString.prefix(13)
    let files = FileManager.default
    try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var arguments = [
      "bash", "-c", TestServer.script, "keeper", binaries, folder, "\(getpid())",
    ]
    if getuid() == 0 {
      let user = getpwnam("postgres") != nil ? "postgres" : "nobody"
      guard let entry = getpwnam(user) else {
        throw Missing(description: "There is no user postgres or nobody to run the server as.")
      }
      chown(folder, entry.pointee.pw_uid, entry.pointee.pw_gid)
      arguments = ["runuser", "-u", user, "--"] + arguments
    }
    keeper = Process()
    keeper.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    keeper.arguments = arguments
    keeper.currentDirectoryURL = URL(fileURLWithPath: folder)
    keeper.standardInput = FileHandle.nullDevice
    keeper.standardOutput = FileHandle.nullDevice
    keeper.standardError = FileHandle.nullDevice
    var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PG") }
    environment["HEADWATER_SETTINGS"] = (TestServer.settings + settings).joined(separator: "\n")
    keeper.environment = environment
    try keeper.run()
    for _ in 0..<6_000 {
      if files.fileExists(atPath: folder + "/ready") { return }
      if !keeper.isRunning { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    let log = (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "no log"
    throw Missing(description: "The server did not start: \(log.suffix(2_000))")
  }

  deinit { _ = FileManager.default.createFile(atPath: folder + "/stop", contents: nil) }

  /// Settings that a mirror must not depend on, and no waiting for disks.
  private static let settings = [
    "listen_addresses = ''", "fsync = off", "max_connections = 400", "shared_buffers = 64MB",
    "timezone = 'Asia/Kathmandu'", "datestyle = 'German'", "bytea_output = 'escape'",
    "extra_float_digits = 0", "intervalstyle = 'iso_8601'", "wal_level = logical",
    "max_locks_per_transaction = 256", "deadlock_timeout = 100ms", "log_min_messages = warning",
  ]

  /// Closes all files but the first three: Foundation knows that a process ended by a file that its children inherit,
  /// and a server outlives the shell that started it.
  private static let closing =
    "for fd in $(ls /dev/fd); do [[ $fd -gt 2 ]] && eval \"exec $fd>&-\"; done 2> /dev/null;"

  /// Stops the server as a crash would.
  func stop() async throws {
    try await run(
      "pg_ctl", ["-D", folder + "/data", "-m", "immediate", "-w", "stop"], asOwner: true)
  }

  /// Starts it again.
  func start() async throws {
    try await shell(
      "(\(TestServer.closing) exec \"$1/pg_ctl\" -D \"$2/data\" -l \"$2/log\" -w start)",
      [binaries, folder], asOwner: true)
  }

  /// Runs until the process that started it is gone.
  ///
  /// Not until a pipe is closed: whatever else the tests start would inherit its other end.
  private static let script = """
    bin=$1; dir=$2; parent=$3; data=$dir/data
    init() { "$bin/initdb" -D "$data" -U headwater -A trust -E UTF8 --no-sync "$@" >> "$dir/log" 2>&1; }
    # A collation that is not that of bytes, where the server has it.
    init --locale=C --locale-provider=icu --icu-locale=en-US || { rm -rf "$data"; init --locale=C; } || exit 1
    printf '%s\\n' "$HEADWATER_SETTINGS" "unix_socket_directories = '$dir'" >> "$data/postgresql.conf"
    start() { \(TestServer.closing) "$bin/pg_ctl" -D "$data" -l "$dir/log" -w start > /dev/null 2>&1 < /dev/null; }
    (start) || exit 1
    touch "$dir/ready"
    while [[ ! -e $dir/stop ]] && ps -p "$parent" > /dev/null 2>&1; do sleep 0.3; done
    "$bin/pg_ctl" -D "$data" -m immediate -w stop >> "$dir/log" 2>&1
    rm -rf "$dir"
    """

  /// The URL of a mirror in a database of this server.
  func url(
    database: String = "postgres", schema: String = "headwater", user: String = "headwater",
    more: String = ""
  ) -> String {
    "postgres://\(user)@/\(database)?host=\(folder)&schema=\(schema)\(more)"
  }

  func configuration(
    database: String = "postgres", schema: String = "headwater", user: String = "headwater",
    more: String = ""
  ) throws -> PostgresConfiguration {
    try PostgresConfiguration(
      url: url(database: database, schema: schema, user: user, more: more))
  }

  /// A connection to look around with, past the adapter.
  func connection(database: String = "postgres", user: String = "headwater") throws
    -> ServerConnection
  {
    try ServerConnection([("host", folder), ("dbname", database), ("user", user)])
  }

  /// Runs one of the server's programs, and returns what it printed; throws where it fails.
  @discardableResult
  func run(_ program: String, _ arguments: [String], asOwner: Bool = false) async throws -> String {
    try await shell(
      "exec \"$@\"", ["\(binaries)/\(program)"] + arguments, asOwner: asOwner)
  }

  /// Runs a script of bash with arguments, as the user that the server runs as where that is asked for.
  @discardableResult
  func shell(_ script: String, _ arguments: [String], asOwner: Bool = false) async throws -> String
  {
    let process = Process()
    // A file, not a pipe: what the script leaves running would hold the pipe open.
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(
      "headwater-pg-output-" + UUID().uuidString)
    try Data().write(to: file)
    let output = try FileHandle(forWritingTo: file)
    defer {
      try? output.close()
      try? FileManager.default.removeItem(at: file)
    }
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let isRoot = getuid() == 0
    let prefix =
      asOwner && isRoot
      ? ["runuser", "-u", getpwnam("postgres") != nil ? "postgres" : "nobody", "--"] : []
    process.arguments = prefix + ["bash", "-c", script, "bash"] + arguments
    var environment = ProcessInfo.processInfo.environment
    environment["PGHOST"] = folder
    environment["PGUSER"] = "headwater"
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in ended.resume() }
      do { try process.run() } catch {
        process.terminationHandler = nil
        ended.resume(throwing: error)
      }
    }
    let text = try String(contentsOf: file, encoding: .utf8)
    guard process.terminationStatus == 0 else {
      throw Missing(description: "\(arguments.first ?? script) failed: \(text.suffix(2_000))")
    }
    return text
  }
}

/// Names that no other test takes.
func uniqueName(_ stem: String) -> String {
  stem + "_" + UUID().uuidString.prefix(8).lowercased() + String(UInt16.random(in: 0 ... .max))
}

extension ServerConnection {
  /// All rows of a query as text, columns separated by bars.
  func table(_ sql: String) throws -> [String] {
    let result = try execute(sql)
    return (0..<result.rowCount).map { row in
      (0..<result.columnCount).map {
        result.isNull(row, $0) ? "NULL" : result.text(row, $0)
      }.joined(separator: "|")
    }
  }
}
