import ArgumentParser
import Headwater

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Compare a mirror with its store, row by row.",
    discussion: """
      Exit code 1 where they differ, also after a repair. A mirror that lags is compared with the store as \
      it was at the mirror's position.

      Example: headwater verify shop.store --to sqlite:shop.sqlite
      """)

  @Argument(help: "The file of the store.") var store: String
  @Option(help: ArgumentHelp("The sink, as for mirror.", valueName: "url")) var to: String?
  @Option(
    help: ArgumentHelp("The name of the mirror; otherwise the one that the sink knows."))
  var name: String?
  @Flag(help: "Bring the mirror up to date and mend what differs.") var repair = false
  @Flag(help: "Compare the store itself with all its operations, folded from the start.")
  var deep = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard to != nil || deep else { throw ValidationError("with what? Give --to URL or --deep") }
    guard to != nil || (!repair && name == nil) else {
      throw ValidationError("--repair and --name are for a mirror: give --to URL")
    }
  }

  func run() async throws {
    let url = try to.map { try SinkURL($0) }
    let store = try Headwater.open(store, forWriting: false)
    var isEqual = true
    if deep {
      isEqual = try await verifyDeep(store)
    }
    if let url { isEqual = try await verify(store, url) && isEqual }
    if !isEqual { throw ExitCode.no }
  }

  private func verify(_ store: Store, _ url: SinkURL) async throws -> Bool {
    switch url {
    case .memory:
      throw Failure("invalid", "a mirror in memory went with the process that filled it")
    case .sqlite(let path), .documents(let path):
      // Looking at a mirror that is not there must not make one.
      _ = try InputFile(path)
    case .folder(let path): _ = try InputFile(path + "/headwater.json")
    case .server, .postgres: break
    }
    let mirror = try await url.mirror(of: store, name: name)
    let found = repair ? try await mirror.repair() : try await mirror.verify()
    if output.json {
      try Output.standard.print(VerifyCommand.form(found, repaired: repair))
    } else {
      try show(found, url)
    }
    return found.isEqual
  }

  /// Compares the store with the plain reading of all its operations.
  private func verifyDeep(_ store: Store) async throws -> Bool {
    let isTold = Output.error.isTerminal
    let found = try await store.verifyDeep { if isTold { Output.error.say($0) } }
    let isEqual = found.differences.isEmpty
    if output.json {
      var line = JSONLine()
      line.bool("equal", isEqual)
      line.int("operations", Int64(found.operations))
      line.int("rows", Int64(found.rows))
      line.strings("differences", found.differences)
      try Output.standard.print(line.finish())
    } else if isEqual {
      try Output.standard.print(
        "the store is what its operations say: \(Figures.count(found.operations)) operations, "
          + Figures.rows(found.rows))
    } else {
      try Output.standard.print("the store is not what its operations say:")
      for difference in found.differences { try Output.standard.print("  \(difference)") }
    }
    return isEqual
  }

  private static func form(_ found: Verification, repaired: Bool) -> [UInt8] {
    var line = JSONLine()
    line.bool("equal", found.isEqual)
    line.int("rows", Int64(found.rows))
    line.int("position", found.position)
    line.int("missing", Int64(found.missing))
    line.int("extra", Int64(found.extra))
    line.int("different", Int64(found.different))
    if let damage = found.damage { line.string("damage", damage) }
    if !found.mended.isEmpty { line.strings("mended", found.mended) }
    if repaired { line.bool("repaired", !found.isEqual) }
    line.array("differences", found.differences) { difference, bytes in
      let collection = found.schema.collections[difference.collection]
      var inner = JSONLine()
      inner.string("collection", collection.name)
      inner.raw("key") { found.schema.writeKey(difference.key, of: collection, into: &$0) }
      inner.string("kind", difference.kind.rawValue)
      bytes += inner.closed()
    }
    return line.finish()
  }

  private func show(_ found: Verification, _ url: SinkURL) throws {
    let out = Output.standard
    if found.isEqual {
      return try out.print(
        "equal: \(Figures.count(found.rows)) rows at position \(found.position)")
    }
    try out.print(
      "\(repair ? "differed, and is mended" : "differs"): \(Figures.count(found.missing)) missing, "
        + "\(Figures.count(found.extra)) extra, \(Figures.count(found.different)) different, of "
        + "\(Figures.count(found.rows)) rows at position \(found.position)")
    if let damage = found.damage { try out.print("  \(damage)") }
    for flaw in found.mended { try out.print("  \(flaw)") }
    for difference in found.differences.prefix(20) {
      let collection = found.schema.collections[difference.collection]
      var key: [UInt8] = []
      found.schema.writeKey(difference.key, of: collection, into: &key)
      try out.print(
        "  \(difference.kind.rawValue)  \(collection.name) \(String(decoding: key, as: UTF8.self))")
    }
    if found.differenceCount > 20 { try out.print("  … (--json lists up to 1,000)") }
  }
}
