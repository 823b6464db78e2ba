import ArgumentParser

// Commands that the command line has a place for and that this version cannot do. They take what they will
// take, so that a script finds out at once, and say so.

extension Failure {
  /// What this version cannot do yet.
  static func notYet(_ what: String) -> Failure {
    Failure("not-yet", "not there yet: \(what)")
  }
}

struct UpgradeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade", abstract: "Not there yet: move a database to its next schema.",
    discussion: "Example: headwater upgrade shop.store --schema next.schema --as alice")

  @Argument(help: "The file of the store.") var store: String
  @Option(help: "The file of the next schema.") var schema: String
  @OptionGroup var signer: SignerOptions

  func run() throws {
    throw Failure.notYet("`upgrade`: a database keeps the schema that it was made with")
  }
}
