import ArgumentParser
import Headwater

struct MirrorsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mirrors", abstract: "List every mirror that ever ran, as it last reported.",
    discussion: """
      A mirror that was killed still says “running”: see when it last reported.

      Example: headwater mirrors shop.store
      """)

  @Argument(help: "The file of the store.") var store: String
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let store = try Headwater.open(store, forWriting: false)
    let now = systemMilliseconds()
    let mirrors = try await store.read { snapshot in
      let head = try snapshot.status().position
      return try snapshot.mirrors().map { record in
        let position = record.status.position
        let lag = position.map { max(0, head - $0) }
        var seconds: Int64?
        if let position, lag ?? 0 > 0,
          case .transactions(let next) = try snapshot.transactions(
            after: position, limit: 1, maximumTransaction: .max),
          let time = next.first?.changes.first?.cause.time
        {
          seconds = max(0, (now - time) / 1_000)
        }
        return (record: record, lag: lag, seconds: lag == 0 ? 0 : seconds)
      }
    }
    if output.json {
      for mirror in mirrors {
        let status = mirror.record.status
        var line = JSONLine()
        line.string("name", status.name)
        line.string("to", status.sink)
        line.string("state", status.state.rawValue)
        line.int("position", status.position)
        line.int("lag", mirror.lag)
        line.int("lagSeconds", mirror.seconds)
        line.double("rate", status.rate)
        line.string("reported", RowForm.time(mirror.record.updated))
        line.string("error", status.error)
        try Output.standard.print(line.finish())
      }
      return
    }
    var table = TextTable(
      ["name", "state", "position", "lag", "behind", "reported", "to", "error"],
      isRight: [false, false, true, true, true, false, false, false])
    for mirror in mirrors {
      let status = mirror.record.status
      try table.add([
        status.name, status.state.rawValue, status.position.map { Figures.count($0) } ?? "",
        mirror.lag.map { Figures.count($0) } ?? "", mirror.seconds.map { "\($0) s" } ?? "",
        RowForm.time(mirror.record.updated), status.sink, status.error ?? "",
      ])
    }
    try table.finish()
  }
}
