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

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Not there yet: sync with whoever may.",
    discussion: "Example: headwater serve shop.store --listen 0.0.0.0:7400")

  @Argument(help: "The file of the store.") var store: String
  @Option(help: "Where to listen: HOST:PORT.") var listen: String
  @Option(help: "Mirrors to keep in step meanwhile, as for `mirror`.") var config: String?

  func run() throws {
    throw Failure.notYet("`serve`: this version has no network; `mirror --follow` runs mirrors")
  }
}

struct SyncCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sync", abstract: "Not there yet: exchange operations with a peer.",
    discussion: "Example: headwater sync shop.store peer.example:7400")

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "The peer: HOST:PORT.") var peer: String
  @Flag(help: "Stay connected.") var follow = false

  func run() throws { throw Failure.notYet("`sync`: this version has no network") }
}
