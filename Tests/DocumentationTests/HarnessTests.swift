import Foundation
import Testing

/// The harness itself: what it must notice, and that it reads blocks as the documents write them.
@Suite struct HarnessTests {
  @Test func blocksAreRead() throws {
    let blocks = try ConsoleBlock.blocks(
      of: """
        Text
        ```console
        $ one
        out
        $ cat <<'END'
        > a
        >
        >   b
        > END
        a
        > quoted output

        $ two # exits 3
        ```
        ```sh
        $ not this one
        ```
        ````console
        $ four
        ```
        ````
        """)
    let expected = [
      ConsoleBlock(
        line: 2,
        steps: [
          .init(line: 3, command: "one", expectedOutput: ["out"], expectedStatus: 0),
          .init(
            line: 5, command: "cat <<'END'\na\n\n  b\nEND",
            expectedOutput: ["a", "> quoted output", ""], expectedStatus: 0),
          .init(line: 13, command: "two # exits 3", expectedOutput: [], expectedStatus: 3),
        ]),
      ConsoleBlock(
        line: 18,
        steps: [.init(line: 19, command: "four", expectedOutput: ["```"], expectedStatus: 0)]),
    ]
    #expect(blocks == expected)
  }

  @Test(arguments: ["```console\n```", "```console\nout\n```", "```console\n$ a"])
  func malformedBlocksAreErrorsNotSkipped(text: String) {
    #expect(throws: ConsoleBlock.Malformed.self) { try ConsoleBlock.blocks(of: text) }
  }

  @Test func patternsOfLines() {
    for (line, pattern) in [
      ("", ""), ("a", "a"), ("abc", "a…"), ("abc", "…c"), ("abc", "a…c"), ("ac", "a…c"),
      ("a1b2c", "a…b…c"), ("…", "…"), ("anything", "…"), ("", "…"),
    ] {
      #expect(OutputPattern.matches(line: line, pattern), "\(line) \(pattern)")
    }
    for (line, pattern) in [
      ("a", ""), ("", "a"), ("ab", "a"), ("aba", "ab…ba"), ("a1c2", "a…b…2"), ("abc", "b…"),
    ] {
      #expect(!OutputPattern.matches(line: line, pattern), "\(line) \(pattern)")
    }
  }

  @Test func patternsOfOutput() {
    #expect(OutputPattern.matches([], []))
    #expect(OutputPattern.matches([], ["…"]))
    #expect(OutputPattern.matches(["a", "b", "c"], ["a", "…", "c"]))
    #expect(OutputPattern.matches(["a", "c"], ["a", "…", "c"]))
    #expect(OutputPattern.matches(["a", "x", "a", "b"], ["…", "a", "b"]))
    #expect(!OutputPattern.matches(["a"], []))
    #expect(!OutputPattern.matches([], ["a"]))
    #expect(!OutputPattern.matches(["a", "b"], ["a"]))
    #expect(!OutputPattern.matches(["a", "c", "d"], ["a", "…", "c"]))
  }

  @Test func commandsRunAsDocumented() throws {
    let session = try session()
    #expect(try session.run("echo one; echo two >&2; exit 3").output == ["one", "two"])
    #expect(try session.run("exit 3").status == 3)
    #expect(try session.run("cat").output == [])
    #expect(try session.run("printf 'x' > file").status == 0)
    #expect(try session.run("cat file").output == ["x"])
    #expect(try session.run("cat <<'END'\na $HOME\nEND").output == ["a $HOME"])
    #expect(try session.run("ls Examples").status == 0)
    #expect(try session.run("test \"$HEADWATER_HOME\" = \"$HOME/home\"").status == 0)
  }

  @Test func aCommandThatHangsIsEnded() throws {
    #expect(try session().run("sleep 600", seconds: 0.2).timedOut)
  }

  @Test func theToolIsTheOneThatWasBuilt() throws {
    let outcome = try session().run("command -v headwater")
    let binaries = try #require(DocumentTests.binaries)
    #expect(outcome.output == [binaries.path + "/headwater"])
  }

  private func session() throws -> ConsoleSession {
    try ConsoleSession(
      binaries: try #require(DocumentTests.binaries, "the tool headwater is not built"),
      examples: DocumentTests.root.appendingPathComponent("Examples"))
  }
}
