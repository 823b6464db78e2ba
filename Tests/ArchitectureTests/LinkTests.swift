import Foundation
import Testing

@Suite struct LinkTests {
  private let documents =
    SourceTree.files(below: "Docs", suffix: ".md")
    + SourceTree.files(below: "Examples", suffix: ".md")
    + ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]

  @Test func everyLinkBetweenFilesResolves() throws {
    var count = 0
    for document in documents {
      let folder = (document as NSString).deletingLastPathComponent
      for link in Markdown(try SourceTree.text(document)).links {
        guard !link.contains("://"), !link.hasPrefix("mailto:") else { continue }
        count += 1
        let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(parts[0])
        let target =
          path.isEmpty ? document : ((folder + "/" + path) as NSString).standardizingPath
        let relative = target.hasPrefix("/") ? String(target.dropFirst()) : target
        #expect(SourceTree.exists(relative), "\(document): there is no \(link)")
        if parts.count == 2, relative.hasSuffix(".md"), SourceTree.exists(relative) {
          #expect(
            Markdown(try SourceTree.text(relative)).anchors.contains(String(parts[1])),
            "\(document): no heading is called \(link)")
        }
      }
    }
    #expect(count > 10)
  }

  @Test func everyDecisionIsListed() throws {
    let index = try SourceTree.text("Docs/Decisions/README.md")
    let records = SourceTree.files(below: "Docs/Decisions", suffix: ".md")
      .map { ($0 as NSString).lastPathComponent }.filter { $0 != "README.md" }
    #expect(!records.isEmpty)
    for record in records {
      #expect(index.contains("](\(record))"), "\(record) is not in the list of decisions")
      let text = try SourceTree.text("Docs/Decisions/" + record)
      for part in [
        "# \(record.prefix(4)): ", "*Status: ", "## Context", "## Decision",
        "## Consequences",
      ] {
        #expect(text.contains(part), "\(record) lacks \(part)")
      }
    }
  }

  @Test func linksAndAnchorsAreFound() {
    let markdown = Markdown(
      """
      # A Title: with `code`
      [a](b.md) and [c](d.md#e), ![i](p.png "title") and `[not](x)`
      ```
      [not](y)
      # not
      ```
      ## Part 2
      """)
    #expect(markdown.links == ["b.md", "d.md#e", "p.png"])
    #expect(markdown.anchors == ["a-title-with-code", "part-2"])
  }
}

/// As much of Markdown as links need.
private struct Markdown {
  var links: [String] = []
  var anchors: Set<String> = []

  init(_ text: String) {
    var isInFence = false
    for line in text.split(separator: "\n") {
      if line.drop(while: { $0 == " " }).hasPrefix("```") {
        isInFence.toggle()
        continue
      }
      guard !isInFence else { continue }
      if line.hasPrefix("#") {
        let title = line.drop { $0 == "#" }.drop { $0 == " " }.lowercased()
        anchors.insert(
          String(
            title.compactMap { character in
              if character == " " { return "-" as Character }
              return character.isLetter || character.isNumber || "-_".contains(character)
                ? character : nil
            }))
      }
      let prose = line.replacing(/`[^`]*`/, with: "")
      for match in prose.matches(of: /\]\(([^)\s]+)[^)]*\)/) { links.append(String(match.1)) }
    }
  }
}
