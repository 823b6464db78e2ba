import ArgumentParser
import Headwater

struct ExplainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say why an operation is valid or void.",
    discussion: """
      For each change: what the schema asks, the rows that could answer, who created them, and what ended \
      them.

      Example: headwater explain shop.store 3f9a
      """)

  @Argument(help: "The file of the store.") var store: String
  @Argument(help: "The id of the operation, or its beginning.") var operation: String
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let store = try Headwater.open(store, forWriting: false)
    try await store.read { snapshot in
      let explanation = try snapshot.explain(try snapshot.operation(withPrefix: operation))
      if output.json {
        try Output.standard.print(ExplanationForm.line(explanation, snapshot.schema))
      } else {
        try ExplanationForm.show(explanation, snapshot.schema)
      }
    }
  }
}
