import ArgumentParser
import Headwater

struct SchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Check, format and name schemas.",
    discussion: "Example: headwater schema check shop.schema",
    subcommands: [Check.self, Format.self, Hash.self, Diff.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Report every error of a schema with line, column and a caret.",
      discussion: """
        Exit code 2 where there are errors, which go to stderr; with --json to stdout, one a line.

        Example: headwater schema check shop.schema
        """)

    @Argument(help: "The file of the schema; - is stdin.") var file: String
    @OptionGroup var output: OutputOptions

    func run() throws {
      let text = try SchemaText(file)
      let schema: Schema
      do throws(SchemaErrors) {
        schema = try Schema.parse(text.bytes)
      } catch {
        guard output.json else { throw text.reported(error) }
        for problem in error.diagnostics {
          var line = JSONLine()
          line.object("error") {
            $0.string("code", "schema")
            $0.string("message", problem.message)
            if let help = problem.help { $0.string("help", help) }
            $0.string("file", text.name)
            $0.int("line", Int64(problem.line))
            $0.int("column", Int64(problem.column))
          }
          try Output.standard.print(line.finish())
        }
        throw ExitCode.badInput
      }
      try SchemaCommand.print(schema, json: output.json)
    }
  }

  struct Format: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print a schema in its one canonical spelling.",
      discussion: """
        Comments stay. With --check nothing is printed and the exit code says whether anything would \
        change (1).

        Example: headwater schema format --in-place shop.schema
        """)

    @Argument(help: "The file of the schema; - is stdin.") var file: String
    @Flag(name: .long, help: "Rewrite the file instead of printing.") var inPlace = false
    @Flag(name: .long, help: "Only say whether the file is formatted.") var check = false

    func validate() throws {
      if inPlace, check { throw ValidationError("--in-place and --check contradict each other") }
      if inPlace, file == "-" { throw ValidationError("stdin cannot be rewritten in place") }
    }

    func run() throws {
      let text = try SchemaText(file)
      let formatted: String
      do throws(SchemaErrors) {
        formatted = try Schema.format(text.bytes)
      } catch {
        throw text.reported(error)
      }
      let bytes = Array(formatted.utf8)
      if check {
        if bytes != text.bytes { throw ExitCode.no }
      } else if inPlace {
        if bytes != text.bytes { try OutputFile.replace(file, with: bytes) }
      } else {
        try Output.standard.print(bytes)
      }
    }
  }

  struct Hash: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the hash of a schema: its name everywhere.",
      discussion: """
        Spelling and comments that are no doc comments do not matter to it.

        Example: headwater schema hash shop.schema
        """)

    @Argument(help: "The file of the schema; - is stdin.") var file: String
    @OptionGroup var output: OutputOptions

    func run() throws {
      let schema = try SchemaText(file).schema()
      if output.json {
        try SchemaCommand.print(schema, json: true)
      } else {
        try Output.standard.print(schema.hash(with: SodiumSuite()).hex)
      }
    }
  }

  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Not there yet: the steps from one schema to the next.",
      discussion: "Example: headwater schema diff old.schema new.schema")

    @Argument(help: "The schema as it is.") var old: String
    @Argument(help: "The schema as it is to be.") var new: String

    func run() throws {
      throw Failure.notYet("`schema diff`: no upgrade of a schema is carried out by this version")
    }
  }

  private static func print(_ schema: Schema, json: Bool) throws {
    let hash = schema.hash(with: SodiumSuite()).hex
    guard json else {
      let count = schema.collections.count
      try Output.standard.print(
        "\(schema.name): \(count) \(count == 1 ? "collection" : "collections"), hash \(hash)")
      return
    }
    var line = JSONLine()
    line.string("name", schema.name)
    line.string("hash", hash)
    line.strings("collections", schema.collections.map(\.name))
    try Output.standard.print(line.finish())
  }
}

/// The bytes of a schema's file.
struct SchemaText {
  let name: String
  let bytes: [UInt8]

  init(_ file: String) throws {
    let input = try InputFile(file)
    name = input.name
    bytes = try input.all(limit: Limits.schemaBytes)
  }

  init(name: String, text: String) {
    self.name = name
    bytes = Array(text.utf8)
  }

  /// The schema; every error is reported.
  func schema() throws -> Schema {
    do throws(SchemaErrors) {
      return try Schema.parse(bytes)
    } catch {
      throw reported(error)
    }
  }

  /// The failure that shows all errors as a compiler does.
  func reported(_ errors: SchemaErrors) -> Failure {
    var text = errors.rendered(file: name, source: bytes)
    let count = errors.diagnostics.count
    text += "\(name) has \(count) \(count == 1 ? "error" : "errors")"
    return Failure("schema", text)
  }
}
