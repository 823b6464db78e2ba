#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Two PostgreSQL servers for one run, with the settings that a server has by default: durable commits.
///
/// The programs are those of `HEADWATER_POSTGRES_BIN`, or the newest below /usr/lib/postgresql. Root runs them as the
/// user `postgres`.
struct Cluster: ~Copyable {
  let folder: String

  struct Failed: Error {
    let command: String
  }

  init() throws {
    folder = "/tmp/headwater-bench-pg-\(getpid())"
    try shell(
      """
      mkdir -p "$dir"
      if [[ $(id -u) == 0 ]]; then chown postgres "$dir"; fi
      for name in sink publisher; do
        as initdb -D "$dir/$name" -U bench -A trust -E UTF8 --locale=C > "$dir/$name.log"
        mkdir -p "$dir/$name-socket"
        if [[ $(id -u) == 0 ]]; then chown postgres "$dir/$name-socket"; fi
        printf '%s\\n' "listen_addresses = ''" "unix_socket_directories = '$dir/$name-socket'" \\
          'wal_level = logical' 'track_commit_timestamp = on' 'shared_buffers = 256MB' 'max_wal_size = 4GB' \\
          | as tee -a "$dir/$name/postgresql.conf" > /dev/null
        as pg_ctl -D "$dir/$name" -l "$dir/$name/log" -w start > /dev/null
      done
      """)
  }

  deinit {
    _ = try? shell(
      "for name in sink publisher; do as pg_ctl -D \"$dir/$name\" -m immediate stop > /dev/null; done; rm -rf \"$dir\""
    )
  }

  /// The folder of a server's socket.
  func socket(_ name: String) -> String { "\(folder)/\(name)-socket" }

  /// Runs SQL on one of the servers, through psql.
  func sql(_ server: String, _ text: String) throws {
    try shell(
      "psql -qX -v ON_ERROR_STOP=1 -h '\(socket(server))' -U bench -d postgres > /dev/null <<'END'\n\(text)\nEND"
    )
  }

  /// Runs a script of bash; in it `as PROGRAM …` runs one of the server's programs as its user.
  func shell(_ script: String) throws {
    let prelude = """
      set -eo pipefail
      dir='\(folder)'
      bin=${HEADWATER_POSTGRES_BIN:-$(printf '%s\\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}
      as() {
        local program=$1
        shift
        if [[ -x $bin/$program ]]; then program=$bin/$program; fi
        if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$program" "$@"; else "$program" "$@"; fi
      }
      PATH=$bin:$PATH
      cd /tmp

      """
    let path = "/tmp/headwater-bench-\(getpid()).sh"
    guard let file = fopen(path, "w") else { throw Failed(command: "fopen") }
    fputs(prelude + script, file)
    fclose(file)
    defer { unlink(path) }
    guard system("bash \(path)") == 0 else { throw Failed(command: script) }
  }
}
