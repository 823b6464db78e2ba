import Headwater
import HeadwaterSQLite
import SQLiteDriver

/// `Benchmarks [--rows N] [--singles N] [--open N] [--dependants N] [--megabytes N] [name …]`: each figure beside the raw thing, measured in the same run.
@main struct Benchmarks {
  static let names = [
    "import", "single", "mirror", "latency", "documents", "server", "postgres", "snapshot", "open",
    "verdicts", "revocation", "cascade", "sync", "transfer", "channel", "receive",
    "bulk",
  ]

  static func main() async throws {
    if let first = CommandLine.arguments.dropFirst().first,
      [Bulk.fill, Bulk.source].contains(first)
    {
      return try await Bulk.child(Array(CommandLine.arguments.dropFirst()))
    }
    var rows = 200_000
    var singles = 20_000
    var operations = 200_000
    var dependants = 100_000
    var megabytes = 1_024
    var chosen: [String] = []
    var arguments = CommandLine.arguments.dropFirst()[...]
    while let argument = arguments.popFirst() {
      switch argument {
      case "--rows": rows = Int(arguments.popFirst() ?? "") ?? rows
      case "--singles": singles = Int(arguments.popFirst() ?? "") ?? singles
      case "--open": operations = Int(arguments.popFirst() ?? "") ?? operations
      case "--dependants": dependants = Int(arguments.popFirst() ?? "") ?? dependants
      case "--megabytes": megabytes = Int(arguments.popFirst() ?? "") ?? megabytes
      case let name where names.contains(name): chosen.append(name)
      default:
        print(
          "usage: Benchmarks [--rows N] [--singles N] [--open N] [--dependants N] [--megabytes N] [\(names.joined(separator: "|"))]"
        )
        return
      }
    }
    if chosen.isEmpty { chosen = names }
    print("| what | measured | raw | ratio |\n| --- | --- | --- | --- |")
    for name in chosen {
      switch name {
      case "import": try await Ingest.rows(rows)
      case "single": try await Ingest.singles(singles)
      case "mirror": try await Mirroring.throughput(rows)
      case "latency": try await Mirroring.latency()
      case "revocation": try await Verdicts.revocation([dependants])
      case "cascade": try await Verdicts.cascade([dependants])
      case "verdicts":
        try await Verdicts.fastPath(singles)
        try await Verdicts.delegation([1, 10, 100, 1_000, 10_000])
        try await Verdicts.revocation([10, 1_000, dependants])
        try await Verdicts.quarrel([10, 100, 1_000])
      case "sync":
        try Sync.reconciliation()
        try await Sync.stored(operations)
        try await Sync.transfer(operations)
      case "transfer": try await Sync.transfer(operations)
      case "channel": try await Channels.run(megabytes: megabytes)
      case "bulk": try await Bulk.run(operations)
      case "receive": try await Receiving.run(operations)
      case "documents": try await Documents.run(rows)
      case "postgres": try await PostgresMirroring.all(rows)
      case "server": try await Documents.run(rows, serverOnly: true)
      case "snapshot": try await PostgresSnapshot.all(rows)
      default: try await Ingest.opening(operations)
      }
    }
  }

  /// A line of the table.
  static func report(_ what: String, _ measured: String, _ raw: String = "", _ ratio: Double? = nil)
  {
    let shown = ratio.map { String(Int(($0 * 100).rounded())) }.map {
      let padded = String(repeating: "0", count: max(0, 3 - $0.utf8.count)) + $0
      return padded.dropLast(2) + "." + padded.suffix(2)
    }
    print("| \(what) | \(measured) | \(raw) | \(shown ?? "") |")
  }
}
