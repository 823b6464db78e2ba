import ArgumentParser
import Headwater

struct RebuildCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild", abstract: "Fill a mirror anew beside the old one, then swap them.",
    discussion: """
      Readers of the sink see the old rows until the new ones are complete.

      Example: headwater rebuild shop.store --to sqlite:shop.sqlite
      """)

  @Argument(help: "The file of the store.") var store: String
  @Option(help: ArgumentHelp("The sink, as for mirror.", valueName: "url")) var to: String
  @Option(
    help: ArgumentHelp("The name of the mirror; otherwise the one that the sink knows."))
  var name: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let url = try SinkURL(to)
    guard url != .memory else {
      throw Failure("invalid", "a mirror in memory is filled anew by every process")
    }
    let store = try Headwater.open(store, forWriting: false)
    let clock = ContinuousClock()
    let start = clock.now
    let watch = MirrorWatch(sink: url.text, isShown: Output.error.isTerminal, isAskedToFill: true)
    let mirror = try await url.mirror(of: store, name: name) { watch.note($0) }
    defer { watch.clear() }
    let checkpoint = try await mirror.rebuild()
    watch.clear()
    let seconds = (clock.now - start).seconds
    if output.json {
      var line = JSONLine()
      line.string("name", checkpoint.mirror)
      line.string("to", url.text)
      line.int("position", checkpoint.position)
      line.int("generation", checkpoint.generation)
      line.int("applied", Int64(watch.applied))
      line.double("seconds", seconds)
      try Output.standard.print(line.finish())
    } else {
      try Output.standard.print(
        "\(url.text) is rebuilt as generation \(checkpoint.generation), at position \(checkpoint.position), "
          + "in \(Figures.time(seconds))")
    }
  }
}
