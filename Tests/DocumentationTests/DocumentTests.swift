import Foundation
import Testing

/// Runs what the documents show. A document that shows what does not happen fails here.
@Suite struct DocumentTests {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The documents that show a terminal.
  static let documents: [String] = {
    let folders = ["Docs", "Examples"].flatMap { folder in
      (FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)?
        .compactMap { $0 as? String } ?? [])
        .filter { $0.hasSuffix(".md") && !$0.contains(".build") }.map { folder + "/" + $0 }
    }
    return (["README.md"] + folders.sorted()).filter { document in
      (try? text(of: document))?.contains("```console") ?? true
    }
  }()

  private static func text(of document: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(document), encoding: .utf8)
  }

  @Test(arguments: documents)
  func everyConsoleBlockIsTrue(document: String) throws {
    let blocks = try ConsoleBlock.blocks(of: try DocumentTests.text(of: document))
    #expect(!blocks.isEmpty)
    let session = try ConsoleSession(
      binaries: try #require(DocumentTests.binaries, "the tool headwater is not built"),
      examples: DocumentTests.root.appendingPathComponent("Examples"))
    for step in blocks.flatMap(\.steps) {
      let outcome = try session.run(step.command)
      let passed =
        !outcome.timedOut && outcome.status == step.expectedStatus
        && OutputPattern.matches(outcome.output, step.expectedOutput)
      #expect(
        passed,
        """
        \(document):\(step.line): $ \(step.command)
        exited \(outcome.timedOut ? "not in time" : "with \(outcome.status)"), \
        expected \(step.expectedStatus); it printed
        \(outcome.output.joined(separator: "\n"))
        expected
        \(step.expectedOutput.joined(separator: "\n"))
        """)
      // What follows builds on it.
      guard passed else { return }
    }
  }

  /// The folder of the built products: that of the test runner, or one above it.
  static let binaries: URL? = {
    let runner = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    var folder = runner.deletingLastPathComponent()
    for _ in 0..<5 {
      let candidate = folder.appendingPathComponent("headwater").path
      if FileManager.default.isExecutableFile(atPath: candidate) { return folder }
      folder.deleteLastPathComponent()
    }
    let usual = root.appendingPathComponent(".build/debug")
    let candidate = usual.appendingPathComponent("headwater").path
    return FileManager.default.isExecutableFile(atPath: candidate) ? usual : nil
  }()
}
