import ArgumentParser
import Headwater

struct BundleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bundle",
    abstract: "Operations as a file: to sync without a network, and to back up.",
    discussion: "Example: headwater bundle create shop.store shop.bundle",
    subcommands: [BundleCreateCommand.self, BundleApplyCommand.self])
}

struct BundleCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Write a store's operations to a file.",
    discussion: """
      A bundle holds the operations, signed as they are, so whoever takes them trusts nobody for it. It \
      says nothing of keys, mirrors or events. With --without, operations that the other side is known \
      to have are left out, with all that came before them.

      Example: headwater bundle create shop.store shop.bundle

      Example: headwater bundle create shop.store - | ssh host headwater bundle apply shop.store -
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "The file to make; - is stdout.") var file: String
  @Option(
    help: ArgumentHelp(
      "Leave out these operations and what came before them.", valueName: "op[,op]"))
  var without: String?
  @Flag(help: "Replace the file if it is there.") var replace = false
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let opened = try Headwater.open(store, forWriting: false)
    let (file, without, replace) = (file, without, replace)
    // One state of the store, whatever is written meanwhile.
    let (count, bytes) = try await opened.read { snapshot in
      let known = try without.map { try snapshot.operations($0, option: "--without") } ?? []
      var writer = BundleWriter(database: opened.database, suite: SodiumSuite())
      var (count, bytes) = (0, 0 as Int64)
      var progress = ProgressLine()
      func fill(_ append: ([UInt8]) throws -> Void) throws {
        try snapshot.groups(ofOperationsNotIn: known) { group in
          writer.add(group)
          count += group.operations.count
          if writer.pending.count >= 1 << 20 {
            bytes += Int64(writer.pending.count)
            try append(writer.take())
            progress.show("\(Figures.count(count)) operations, \(Figures.bytes(bytes))")
          }
          return true
        }
        writer.finish()
        bytes += Int64(writer.pending.count)
        try append(writer.take())
      }
      defer { progress.clear() }
      if file == "-" {
        try fill { try Output.standard.print($0) }
      } else {
        try OutputFile.write(file, replaces: replace, fill)
      }
      return (count, bytes)
    }
    let text = "\(Figures.count(count)) \(count == 1 ? "operation" : "operations")"
    if file == "-" {
      Output.error.say("\(text), \(Figures.bytes(bytes))")
    } else if output.json {
      var line = JSONLine()
      line.string("bundle", file)
      line.string("database", opened.database.hex)
      line.int("operations", Int64(count))
      line.int("bytes", bytes)
      try Output.standard.print(line.finish())
    } else {
      try Output.standard.print("made \(file): \(text), \(Figures.bytes(bytes))")
    }
  }
}

struct BundleApplyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Take operations from a file.",
    discussion: """
      Where there is no store yet, a bundle of the whole database makes one: another replica. Operations \
      that are there already do nothing, so a bundle may be applied twice. Every operation is checked to \
      be signed by its author.

      Example: headwater bundle apply copy.store shop.bundle
      """)

  @Argument(help: "The file of the store; it is made if it is not there.") var store: String
  @Argument(help: "The file of the bundle; - is stdin.") var file: String
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let input = try InputFile(file)
    var application = Application(path: store, input: input)
    do { try await application.run() } catch let error as BundleError {
      let taken = application.admitted + application.known
      throw Failure(
        "bundle",
        "\(input.name): \(error.message)"
          + (taken > 0
            ? "; \(Figures.count(taken)) operations before that are in \(store), and are good" : "")
      )
    }
    try report(application)
    if application.rejected > 0 || application.waiting > 0 { throw ExitCode.no }
  }

  private func report(_ result: Application) throws {
    if output.json {
      var line = JSONLine()
      line.string("store", store)
      line.string("database", result.database?.hex ?? "")
      line.bool("made", result.isNew)
      line.int("admitted", Int64(result.admitted))
      line.int("void", Int64(result.void))
      line.int("known", Int64(result.known))
      line.int("waiting", Int64(result.waiting))
      line.int("rejected", Int64(result.rejected))
      try Output.standard.print(line.finish())
    } else {
      var text = "\(Figures.count(result.admitted)) new"
      if result.void > 0 { text += " (\(Figures.count(result.void)) of them void)" }
      text += ", \(Figures.count(result.known)) known"
      try Output.standard.print((result.isNew ? "made \(store): " : "") + text)
    }
    if result.waiting > 0 {
      Output.error.say(
        "headwater: \(Figures.count(result.waiting)) operations were not taken, because operations that came "
          + "before them are neither in the store nor in the bundle: apply the bundle that has those first"
      )
    }
    if let reason = result.firstRejection {
      Output.error.say(
        "headwater: \(Figures.count(result.rejected)) rejected; the first: \(reason)")
    }
  }

  /// A bundle on its way into a store.
  private struct Application {
    let path: String
    let input: InputFile
    var database: Digest?
    var isNew = false
    var (admitted, void, known, waiting, rejected) = (0, 0, 0, 0, 0)
    var firstRejection: String?
    private var inbox: Inbox?
    private var (offered, evicted) = (0, 0)

    init(path: String, input: InputFile) {
      self.path = path
      self.input = input
    }

    mutating func run() async throws {
      var reader = BundleReader(suite: SodiumSuite())
      var read: Int64 = 0
      var progress = ProgressLine()
      defer { progress.clear() }
      while !reader.isComplete {
        let more = try input.read(1 << 16)
        guard !more.isEmpty else {
          try reader.finish()
          break
        }
        read += Int64(more.count)
        reader.append(more)
        while let group = try reader.next() {
          if inbox == nil { try open(reader.database, group.operations.first) }
          try await take(group)
          progress.show(
            "\(Figures.count(offered)) operations, \(Figures.bytes(read))"
              + (input.size.map { " of \(Figures.bytes($0))" } ?? ""))
        }
      }
      if inbox == nil { try open(reader.database, nil) }
      database = reader.database
      waiting = (await inbox?.waiting ?? 0) + evicted
    }

    private mutating func open(_ database: Digest?, _ first: SignedOperation?) throws {
      let store: Store
      if access(path, F_OK) == 0 {
        store = try Headwater.open(path, forWriting: true, options: .patient)
        guard store.database == database else {
          throw Failure(
            "invalid",
            "\(path) is of another database than the bundle: it has database \(store.database.hex)")
        }
      } else {
        guard let first, SodiumSuite().hash(first.body) == database else {
          throw Failure(
            "missing",
            "there is no store \(path), and the bundle does not begin with the database's first operation: "
              + "apply one that was made without --without")
        }
        store = try Headwater.replicate(at: path, genesis: first)
        isNew = true
        admitted += 1
      }
      inbox = Inbox(store)
    }

    private mutating func take(_ group: OperationGroup) async throws {
      guard let inbox else { return }
      let before = await inbox.waiting
      let report = try await inbox.receive(
        VerifiedOperations(
          group.operations, witnesses: group.witnesses, suite: SodiumSuite()))
      let count = group.operations.count
      let isFirst = offered == 0
      offered += count
      admitted += report.admitted.count
      void += report.admitted.count { !$0.verdict.isValid }
      rejected += report.rejected.count
      evicted += report.evicted.count
      if firstRejection == nil { firstRejection = report.rejected.first?.reason }
      let after = await inbox.waiting
      // What neither entered, nor was refused, nor waits was known.
      known +=
        before + count - after - report.admitted.count - report.rejected.count
        - report.evicted.count
      if isNew, isFirst { known -= 1 }
    }
  }
}
