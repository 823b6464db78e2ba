import Foundation
import HeadwaterPostgres
import Testing

/// The tool, on a server.
@Suite struct CommandTests {
  /// Runs the tool in a folder of its own; the first argument of `script` is the tool.
  private func run(
    _ script: String, _ arguments: [String], in folder: String, on server: TestServer
  )
    async throws -> String
  {
    let tool = try #require(CommandTests.tool, "the tool headwater is not built")
    let prelude =
      "set -euo pipefail; cd '\(folder)'; export HEADWATER_HOME=$PWD/home SWIFT_BACKTRACE=enable=no;"
      + " hw() { '\(tool.path)' \"$@\"; };"
    return try await server.shell(prelude + script, arguments)
  }

  private static let tool: URL? = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent()
    var candidates: [URL] = []
    for _ in 0..<5 {
      candidates.append(folder.appendingPathComponent("headwater"))
      folder.deleteLastPathComponent()
    }
    candidates.append(
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent(".build/debug/headwater"))
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }()

  private func folder() throws -> String {
    let path = NSTemporaryDirectory() + "/" + uniqueName("headwater-pg-command")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private static let shop = """
    cat > shop.schema <<'END'
    schema Shop
    allow everything
    collection Product {
      sku: Text(32) @key
      name: Text(200)
      price: Decimal(12, 2) @check(price >= 0)
      tags: JSON?
      supplier: Supplier?
    }
    collection Supplier { name: Text(120) }
    END
    hw key new ann --no-passphrase > /dev/null
    hw init shop.hw --schema shop.schema --as ann > /dev/null
    hw write shop.hw --as ann > /dev/null <<'END'
    {"changes":[{"create":"Supplier","row":{"name":"Acme"}},{"create":"Product","row":{"sku":"A-1","name":"Widget","price":"9.90","tags":{"a":[1,2.5]},"supplier":{"$new":0}}}]}
    {"changes":[{"create":"Product","row":{"sku":"B-2","name":"Gadget","price":"12.50"}}]}
    END

    """

  @Test func aMirrorIsMadeAskedComparedMendedAndRebuilt() async throws {
    let server = try await TestServer.shared
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let url = server.url(schema: uniqueName("shop"))
    let output = try await run(
      CommandTests.shop + """
        hw mirror shop.hw --to "$1" | sed 's/.* is at/is at/; s/ in .*//'
        hw mirrors shop.hw --json | grep -o '"state":"[a-z]*"'
        hw sql shop.hw --to "$1" 'SELECT sku, price, tags, supplier IS NULL AS lone FROM Product ORDER BY sku' --json
        hw sql shop.hw --to "$1" 'SELECT name, price FROM Product ORDER BY sku'
        hw sql shop.hw --to "$1" 'SELECT sku, tags FROM Product ORDER BY sku' --csv
        hw verify shop.hw --to "$1"
        psql="$2/psql"
        "$psql" -qd postgres -c "UPDATE $3.product SET price = 1 WHERE sku = 'A-1'"
        hw verify shop.hw --to "$1" && exit 9
        hw verify shop.hw --to "$1" --repair && exit 9
        hw verify shop.hw --to "$1"
        hw rebuild shop.hw --to "$1" | sed 's/.* is rebuilt/is rebuilt/; s/ in .*//'
        hw verify shop.hw --to "$1"
        """,
      [url, server.binaries, url.components(separatedBy: "schema=")[1] + "_tables"], in: folder,
      on: server)
    #expect(
      output == """
        is at position 3: 5 changes
        "state":"idle"
        {"sku":"A-1","price":9.90,"tags":{"a": [1, 2.5]},"lone":false}
        {"sku":"B-2","price":12.50,"tags":null,"lone":true}
        name    price
        ------  -----
        Widget   9.90
        Gadget  12.50
        sku,tags
        A-1,"{""a"": [1, 2.5]}"
        B-2,
        equal: 3 rows at position 3
        differs: 0 missing, 0 extra, 1 different, of 3 rows at position 3
          different  Product {"sku":"A-1"}
        differed, and is mended: 0 missing, 0 extra, 1 different, of 3 rows at position 3
          different  Product {"sku":"A-1"}
        equal: 3 rows at position 3
        is rebuilt as generation 2, at position 3,
        equal: 3 rows at position 3

        """)
  }

  @Test func nothingIsWrittenByAQuery() async throws {
    let server = try await TestServer.shared
    let query = try PostgresQuery(try server.configuration())
    for statement in [
      "CREATE TABLE public.made (x int)", "SELECT 1; SELECT 2", "DELETE FROM pg_class",
      "SET default_transaction_read_only = off", "COPY pg_class TO STDOUT", "",
      "SELECT * FROM nowhere",
    ] {
      let query = try PostgresQuery(try server.configuration())
      #expect(throws: (any Error).self, "\(statement)") { try query.run(statement) { _, _, _ in } }
    }
    var rows: [[PostgresQuery.Cell]] = []
    try query.run("SELECT 1, 1.50::numeric, true, 'x', NULL, '{\"a\":1}'::jsonb, 'NaN'::float8") {
      if let row = $2 { rows.append(row) }
    }
    #expect(
      rows == [
        [
          .number("1"), .number("1.50"), .bool(true), .text("x"), .null, .json("{\"a\": 1}"),
          .text("NaN"),
        ]
      ])
  }

  @Test func aPasswordIsNeverShown() async throws {
    let server = try await TestServer.shared
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let output = try await run(
      CommandTests.shop + """
        hw mirror shop.hw --to "postgres://ann:hush@localhost:1/db?schema=x&connect_timeout=2" 2>&1 || true
        hw mirror shop.hw --to "postgres://ann@localhost:1/db?password=hush" --json 2>&1 || true
        hw mirror shop.hw --to "postgres://ann:hu?sh@localhost:1/db" 2>&1 || true
        hw mirror shop.hw --to "postgres://ann:hush@localhost:one/db" 2>&1 || true
        hw mirror shop.hw --to "postgers://ann:hush@localhost/db" 2>&1 || true
        hw mirror shop.hw --to "$1" --name secret | tail -c 12
        hw mirrors shop.hw
        """,
      [server.url(schema: uniqueName("shop")).replacing("headwater@", with: "headwater:hush@")],
      in: folder, on: server)
    #expect(!output.contains("hush"), "\(output)")
    #expect(output.contains("postgres://ann@localhost:1/db?schema=x"))
    #expect(output.contains("out of reach"))
  }

  /// Three replicas as processes on loopback, each with a mirror of another kind: written at once, one cut off, one
  /// killed, and in the end all the same.
  @Test(.timeLimit(.minutes(10))) func threeReplicasWithThreeMirrorsConverge() async throws {
    let server = try await TestServer.shared
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let url = server.url(schema: uniqueName("three"))
    let tool = try #require(CommandTests.tool).path
    let output = try await run(
      #"""
      cat > shop.schema <<'END'
      schema Shop
      allow connect if exists Member(principal: $peer)
      collection Member {
        principal: Principal @key
        role: Text(10) @readonly
        allow create, delete if exists Member(principal: $author, role: "owner")
      }
      collection Product {
        sku: Text(32) @key
        count: Int
        allow create, update, delete if exists Member(principal: $author)
      }
      END
      for name in ann bob cat; do hw key new $name --no-passphrase > /dev/null; done
      member() { hw key show $1 --json | sed 's/.*"principal":"\([0-9a-f]*\)".*/\1/'; }
      echo '{"create":"Member","row":{"principal":"$author","role":"owner"}}' > first
      hw init ann.store --schema shop.schema --as ann --rows first > /dev/null
      for name in bob cat; do
        echo '{"changes":[{"create":"Member","row":{"principal":"'$(member $name)'","role":"editor"}}]}' \
          | hw write ann.store --as ann > /dev/null
      done
      declare -A pid
      serve() {
        name=$1; shift
        : > $name.log
        '\#(tool)' serve $name.store --as $name --json "$@" > $name.log 2>&1 &
        pid[$name]=$!
      }
      # A name and what to run until it succeeds, for a minute at most.
      until_true() {
        for i in $(seq 600); do if "${@:2}"; then return 0; fi; sleep 0.1; done
        echo "waited in vain: $1"; tail -n 5 *.log; return 1
      }
      # Interrupts one, which has to end well and within a minute.
      stop() {
        kill -INT ${pid[$1]}
        timeout 60 tail --pid=${pid[$1]} -f /dev/null || { echo "$1 does not end"; return 1; }
        wait ${pid[$1]}
      }
      trap 'kill -9 ${pid[@]} 2> /dev/null || true; wait' EXIT
      serve ann --listen 127.0.0.1:0 --to sqlite:ann.sqlite
      until_true 'ann listens' grep -q '"listening"' ann.log
      address=$(sed -n 's/.*"listening","address":"\([^"]*\)".*/\1/p' ann.log | head -n 1)
      for name in bob cat; do hw clone $address $name.store --as $name > /dev/null; done
      serve bob --peer $address --to "$1"
      serve cat --peer $address --to documents:cat.docs
      # A shell has its background processes ignore interrupts until they ask for them.
      for name in bob cat; do until_true "$name serves" grep -q '"connected"' $name.log; done
      # All three are written at once, in turns with the processes that serve them.
      writing() {
        for i in $(seq 15); do
          echo '{"changes":[{"create":"Product","row":{"sku":"'$1-$2-$i'","count":'$i'}},{"create":"Product","row":{"sku":"shared-'$i'","count":'$i'}}]}'
        done | hw write $1.store --as $1 > /dev/null
      }
      writing ann 1 & one=$!; writing bob 1 & two=$!; writing cat 1 & three=$!
      wait $one $two $three
      # Bob is killed, cat is cut off, and all are written meanwhile.
      kill -9 ${pid[bob]}; wait ${pid[bob]} 2> /dev/null || true
      stop cat
      writing ann 2 & one=$!; writing bob 2 & two=$!; writing cat 2 & three=$!
      wait $one $two $three
      serve bob --peer $address --to "$1"
      serve cat --peer $address --to documents:cat.docs
      frontier() { hw status $1.store --json | sed 's/.*"frontier":\(\[[^]]*\]\).*/\1/'; }
      operations() { hw status $1.store --json | sed 's/.*"operations":\([0-9]*\).*/\1/'; }
      same() {
        [[ $(operations ann) == 93 && $(frontier ann) == "$(frontier bob)" && $(frontier ann) == "$(frontier cat)" ]]
      }
      until_true 'all have the same' same
      until_true 'SQLite' hw verify ann.store --to sqlite:ann.sqlite > /dev/null
      until_true 'PostgreSQL' hw verify bob.store --to "$1" > /dev/null
      until_true 'documents' hw verify cat.store --to documents:cat.docs > /dev/null
      for name in ann bob cat; do hw rows $name.store Product --json > $name.rows; done
      cmp ann.rows bob.rows; cmp ann.rows cat.rows
      wc -l < ann.rows
      for name in ann bob cat; do hw verify $name.store --deep > /dev/null; done
      for name in bob cat ann; do stop $name; done
      hw verify ann.store --to sqlite:ann.sqlite | sed 's/ at position.*//'
      hw verify bob.store --to "$1" | sed 's/ at position.*//'
      hw verify cat.store --to documents:cat.docs | sed 's/ at position.*//'
      """#, [url], in: folder, on: server)
    #expect(
      output == """
        105
        equal: 108 rows
        equal: 108 rows
        equal: 108 rows

        """)
  }
}
