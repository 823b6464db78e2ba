import ArgumentParser
import Headwater
import Synchronization

struct MirrorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mirror",
    abstract: "Materialise the rows in other databases, and keep them in step.",
    discussion: """
      Ends when each sink holds what the store held at the start; with --follow it goes on until it is \
      interrupted, which is exit code 0. Progress is kept in the sink: a mirror that was killed goes on \
      where the sink stands. Mirrors are independent: one that halts stops no other, and the exit code is 2.

      A password of PostgreSQL comes from PGPASSWORD, ~/.pgpass or a service file, and is never shown.

      A configuration is NDJSON, a sink a line: {"to":"sqlite:shop.sqlite","name":"shop"}

      Example: headwater mirror shop.store --to sqlite:shop.sqlite --follow
      """)

  @Argument(help: "The file of the store.") var store: String
  @Option(
    help: ArgumentHelp(
      "The sink: sqlite:PATH, postgres://USER@HOST/DATABASE?schema=NAME, documents:FOLDER, documents:FILE.docs, mongodb://HOST/DATABASE, or memory: to try. May be given several times.",
      valueName: "url"))
  var to: [String] = []
  @Option(
    help: ArgumentHelp(
      "The name of the mirror; otherwise the one that the sink knows, or its URL.",
      valueName: "name"))
  var name: String?
  @Option(help: ArgumentHelp("A file that names sinks.", valueName: "file")) var config: String?
  @Flag(help: "Keep the sinks in step until interrupted.") var follow = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !to.isEmpty || config != nil else {
      throw ValidationError("where to? Give --to URL or --config FILE")
    }
    guard name == nil || (to.count == 1 && config == nil) else {
      throw ValidationError("--name is for a single sink; a configuration names each")
    }
  }

  func run() async throws {
    var sinks: [MirrorSink] = []
    for url in to { sinks.append(MirrorSink(url: try SinkURL(url), name: name)) }
    if let config { sinks += try MirrorSink.all(in: config) }
    let files = sinks.map(\.url).filter { $0 != .memory }.map(\.text)
    guard Set(files).count == files.count else {
      throw Failure("invalid", "one sink is named twice")
    }
    let store = try Headwater.open(store, forWriting: false)
    let jobs = sinks
    let run: @Sendable () async throws -> Void = {
      // One that halts stops no other: each says itself what went wrong.
      let halted = try await withThrowingTaskGroup(of: Bool.self) { group in
        for sink in jobs {
          group.addTask { try await self.mirror(store, into: sink, isAlone: jobs.count == 1) }
        }
        return try await group.reduce(0) { $0 + ($1 ? 0 : 1) }
      }
      if halted > 0 { throw ExitCode.badInput }
    }
    if follow { try await Signals.untilInterrupted(run) } else { try await run() }
  }

  /// Runs one mirror; false if it halted, which is reported.
  private func mirror(_ store: Store, into sink: MirrorSink, isAlone: Bool) async throws -> Bool {
    let clock = ContinuousClock()
    let start = clock.now
    let watch = MirrorWatch(sink: sink.url.text, isShown: isAlone && Output.error.isTerminal)
    do {
      let mirror = try await sink.url.mirror(of: store, name: sink.name) { watch.note($0) }
      // Without --follow there is an end to wait for; with it, too: from there on it follows.
      let checkpoint = try await mirror.synchronise()
      watch.clear()
      try report(checkpoint, sink, watch.applied, (clock.now - start).seconds)
      if follow { try await mirror.run(until: .forever) }
      return true
    } catch let error as OutputClosed {
      throw error
    } catch is CancellationError {
      watch.clear()
      throw CancellationError()
    } catch {
      watch.clear()
      guard let failure = Failure(describing: error) else { throw error }
      Failure(failure.code, "\(sink.url.text): \(failure.message)").report()
      return false
    }
  }

  private func report(
    _ checkpoint: Checkpoint, _ sink: MirrorSink, _ applied: Int, _ seconds: Double
  ) throws {
    if output.json {
      var line = JSONLine()
      line.string("name", checkpoint.mirror)
      line.string("to", sink.url.text)
      line.int("position", checkpoint.position)
      line.int("generation", checkpoint.generation)
      line.int("applied", Int64(applied))
      line.double("seconds", seconds)
      try Output.standard.print(line.finish())
    } else {
      try Output.standard.print(
        "\(sink.url.text) is at position \(checkpoint.position): \(Figures.count(applied)) changes in "
          + "\(Figures.time(seconds))" + (follow ? "; following" : ""))
    }
    try Output.standard.flush()
  }
}

/// A sink of a configuration.
struct MirrorSink: Sendable {
  let url: SinkURL
  let name: String?

  /// The sinks that the file names.
  static func all(in file: String) throws -> [MirrorSink] {
    let input = try InputFile(file)
    var reader = NDJSONReader()
    reader.append(try input.all(limit: 1 << 20))
    reader.finish()
    var sinks: [MirrorSink] = []
    while let record = try next(&reader, input.name) {
      func invalid(_ message: String) -> Failure {
        Failure("invalid", "\(input.name), line \(record.line): \(message)")
      }
      guard let members = record.value.members, let to = record.value["to"]?.string else {
        throw invalid("a sink is {\"to\":URL,\"name\":NAME}")
      }
      for member in members where !["to", "name"].contains(member.name) {
        throw invalid("a sink has “to” and “name”, not “\(member.name)”")
      }
      if let name = record.value["name"], name.string == nil { throw invalid("a name is a string") }
      do {
        sinks.append(
          MirrorSink(url: try SinkURL(to), name: record.value["name"]?.string))
      } catch let failure as Failure {
        throw invalid(failure.message)
      }
    }
    guard !sinks.isEmpty else { throw Failure("invalid", "\(input.name) names no sink") }
    return sinks
  }

  private static func next(_ reader: inout NDJSONReader, _ name: String) throws -> NDJSONRecord? {
    do {
      return try reader.next()
    } catch {
      throw Failure("invalid", "\(name), \(error)")
    }
  }
}

/// Watches a mirror run: shows how far it is, and says when it has to try again, and why it fills a sink anew.
final class MirrorWatch: Sendable {
  private let sink: String
  private let isShown: Bool
  private let isAskedToFill: Bool
  private let state = Mutex<(line: ProgressLine, applied: Int, note: String?)>(
    (ProgressLine(), 0, nil))

  /// - Parameter isAskedToFill: whether somebody wants the sink filled anew, and need not be told why it is.
  init(sink: String, isShown: Bool, isAskedToFill: Bool = false) {
    self.sink = sink
    self.isShown = isShown
    self.isAskedToFill = isAskedToFill
  }

  /// Changes and rows applied so far.
  var applied: Int { state.withLock(\.applied) }

  func note(_ progress: MirrorProgress) {
    state.withLock { state in
      state.applied = progress.applied
      let isFilling = progress.stage == .filling && !isAskedToFill
      let note = progress.state == .retrying || isFilling ? progress.note : nil
      if let note, note != state.note {
        state.line.clear()
        Output.error.say(
          progress.state == .retrying
            ? "headwater: \(sink): \(note); trying again"
            : "headwater: \(sink): filling it anew beside what readers see: \(note)")
      }
      state.note = note
      guard isShown else { return }
      var text = "\(progress.stage.rawValue)  \(Figures.count(progress.applied)) changes"
      text += "  \(Figures.count(Int(progress.rate)))/s"
      if let position = progress.position, let head = progress.head {
        text += "  position \(Figures.count(position)) of \(Figures.count(head))"
      }
      state.line.show(text)
    }
  }

  func clear() { state.withLock { $0.line.clear() } }
}
