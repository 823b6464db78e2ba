import ArgumentParser

/// The `headwater` tool: parses, runs one command, and turns what happened into an exit code.
@main
struct Tool: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "headwater",
    abstract: "A peer-to-peer database with a schema, and mirrors of it in ordinary databases.",
    discussion: """
      Results go to stdout; progress, logs and prompts to stderr. Exit codes: 0 done; 1 done, and the \
      answer is no (a difference found, a write refused); 2 bad input or failure; 64 usage.

      Example: headwater demo
      """,
    subcommands: [
      DemoCommand.self, KeyCommand.self, SchemaCommand.self, InitCommand.self,
      UpgradeCommand.self, WriteCommand.self, ImportCommand.self, RowsCommand.self,
      LogCommand.self, ExplainCommand.self, EventsCommand.self, MirrorCommand.self,
      MirrorsCommand.self, VerifyCommand.self, RebuildCommand.self, SQLCommand.self,
      FindCommand.self,
      ServeCommand.self, SyncCommand.self, CloneCommand.self, BundleCommand.self, StatusCommand.self,
    ])

  static func main() async {
    Signals.ignoreBrokenPipe()
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      try Output.standard.flush()
      Host.exit(0)
    } catch {
      end(error)
    }
  }

  /// Says what went wrong and leaves with the exit code for it.
  private static func end(_ error: any Error) -> Never {
    if error is OutputClosed {
      // Whoever read the results has seen enough.
      Host.exit(0)
    }
    do { try Output.standard.flush() } catch { Host.exit(0) }
    if let code = error as? ExitCode { Host.exit(code.rawValue) }
    if let failure = Failure(describing: error) {
      failure.report()
      Host.exit(failure.exitCode)
    }
    let code = exitCode(for: error)
    if code == .success || code == .validationFailure { exit(withError: error) }
    Failure("failed", "\(error)").report()
    Host.exit(2)
  }
}
