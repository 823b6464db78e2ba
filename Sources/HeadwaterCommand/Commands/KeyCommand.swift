import ArgumentParser
import Headwater

struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Keys that sign: make, list, move them.",
    discussion: """
      A key is a file of its own in the folder of the keys, encrypted if it has a passphrase.

      Example: headwater key new alice
      """,
    subcommands: [New.self, List.self, Show.self, Export.self, Import.self])

  struct New: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new key.",
      discussion: """
        Asks for a passphrase on the terminal. Without a terminal there must be --passphrase-file, \
        HEADWATER_PASSPHRASE or --no-passphrase.

        Example: headwater key new alice --no-passphrase
        """)

    @Argument(help: "What to call the key on this machine.") var name: String
    @Flag(name: .long, help: "Do not encrypt the key: whoever reads its file can sign with it.")
    var noPassphrase = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var keys: KeysOption
    @OptionGroup var output: OutputOptions

    func validate() throws {
      if noPassphrase, passphrase.passphraseFile != nil {
        throw ValidationError("--no-passphrase and --passphrase-file contradict each other")
      }
    }

    func run() throws {
      let store = try keys.store()
      let secret = noPassphrase ? nil : try passphrase.new(name)
      _ = try store.create(name, passphrase: secret)
      try KeyCommand.print(try store.describe(name), json: output.json)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the keys.",
      discussion: """
        A file that cannot be read is listed with the reason; then the exit code is 2.

        Example: headwater key list
        """)

    @OptionGroup var keys: KeysOption
    @OptionGroup var output: OutputOptions

    func run() throws {
      var failed = false
      for listing in try keys.store().list() {
        switch listing.content {
        case .success(let key): try KeyCommand.print(key, json: output.json)
        case .failure(let error):
          failed = true
          if output.json {
            var line = JSONLine()
            line.string("name", listing.name)
            line.object("error") { Failure(error.code.rawValue, error.message).write(into: &$0) }
            try Output.standard.print(line.finish())
          } else {
            try Output.standard.print("\(listing.name)  cannot be used: \(error.message)")
          }
        }
      }
      if failed { throw ExitCode.badInput }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the principal of a key: what others name it by.",
      discussion: "Example: headwater key show alice")

    @Argument(help: "The name of the key.") var name: String
    @OptionGroup var keys: KeysOption
    @OptionGroup var output: OutputOptions

    func run() throws {
      try KeyCommand.print(try keys.store().describe(name), json: output.json)
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print a key as a text that `key import` reads.",
      discussion: """
        The text is encrypted exactly as the key is: without a passphrase it is the bare secret.

        Example: headwater key export alice > alice.txt
        """)

    @Argument(help: "The name of the key.") var name: String
    @OptionGroup var keys: KeysOption

    func run() throws { try Output.standard.print(Array(try keys.store().export(name).utf8)) }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Keep an exported key on this machine.",
      discussion: """
        The key keeps the passphrase that it has. A key that is there is never overwritten.

        Example: headwater key import alice alice.txt
        """)

    @Argument(help: "What to call the key on this machine.") var name: String
    @Argument(help: "The file with the exported key; - is stdin.") var file = "-"
    @OptionGroup var keys: KeysOption
    @OptionGroup var output: OutputOptions

    func run() throws {
      let bytes = try InputFile(file).all(limit: 1 << 16)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw Failure("damaged", "\(file) is not text, so it is no key")
      }
      try KeyCommand.print(try keys.store().import(text, as: name), json: output.json)
    }
  }

  /// One line for a key.
  private static func print(_ key: KeyDescription, json: Bool) throws {
    guard json else {
      try Output.standard.print(
        "\(key.name)  \(key.principal.hex)  \(key.isEncrypted ? "encrypted" : "not encrypted")  "
          + "\(key.created)")
      return
    }
    var line = JSONLine()
    line.string("name", key.name)
    line.string("principal", key.principal.hex)
    line.string("publicKey", hexadecimal(key.publicKey))
    line.string("created", "\(key.created)")
    line.bool("encrypted", key.isEncrypted)
    try Output.standard.print(line.finish())
  }
}
