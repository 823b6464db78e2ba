import Testing

@Suite struct SourceRuleTests {
  /// What stops the process is for those who can show here why it cannot happen otherwise:
  /// "path: text of the line".
  private let allowedTraps: Set<String> = []

  @Test func noFileIsTooLong() throws {
    for path in SourceTree.sources {
      let count =
        try SourceTree.text(path).split(separator: "\n", omittingEmptySubsequences: false)
        .count - 1
      #expect(count <= 600, "\(path) has \(count) lines: it is about to do two things")
    }
  }

  @Test func nothingStopsTheProcess() throws {
    for path in SourceTree.sources {
      let code = SwiftCode(try SourceTree.text(path))
      for (index, line) in code.lines.enumerated()
      where line.contains(/\btry!|\bfatalError\s*\(|\bas!\s/) {
        let text = line.split(separator: " ").joined(separator: " ")
        #expect(
          allowedTraps.contains("\(path): \(text)"),
          "\(path):\(index + 1): throw an error, or state a precondition: \(text)")
      }
    }
  }

  @Test func theHotModulesDoWithoutFoundation() throws {
    let hot: Set<String> = [
      "HeadwaterModel", "HeadwaterLog", "HeadwaterStream", "HeadwaterStore", "SQLiteDriver",
      "HeadwaterSodium", "HeadwaterSync", "HeadwaterMesh",
    ]
    for path in SourceTree.sources where hot.contains(SourceTree.module(of: path)) {
      for (imported, line) in SwiftCode(try SourceTree.text(path)).imports {
        #expect(!imported.hasPrefix("Foundation"), "\(path):\(line)")
      }
    }
  }

  @Test func scriptsStopAtTheFirstError() throws {
    let scripts = SourceTree.files(below: "scripts", suffix: ".sh") + [".ci/run"]
    #expect(scripts.count > 4)
    for path in scripts {
      let text = try SourceTree.text(path)
      #expect(text.hasPrefix("#!/usr/bin/env bash\n"), "\(path)")
      #expect(text.contains("\nset -euo pipefail\n"), "\(path)")
    }
  }
}
