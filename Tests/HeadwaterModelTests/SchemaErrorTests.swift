import HeadwaterModel
import Testing

@Suite struct SchemaErrorTests {
  private func rendered(_ text: [UInt8]) -> String {
    do throws(SchemaErrors) {
      _ = try Schema.parse(text)
      return "accepted"
    } catch {
      return error.rendered(file: "shop.schema", source: text)
    }
  }

  private func rendered(_ text: String) -> String { rendered(Array(text.utf8)) }

  @Test func anErrorShowsItsLineACaretAndHelp() {
    #expect(
      rendered("schema Shop\n\ncollection Product {\n  name: Txt(80)\n}\n") == """
        shop.schema:4:9: error: there is no type 'Txt'
          name: Txt(80)
                ^
        help: did you mean 'Text'?

        """)
  }

  @Test func tabsAndWideCharactersKeepTheCaretInPlace() {
    #expect(
      rendered("schema Shop\ncollection `Ü 🙂` {\r\n\tname: Txt\r\n}\r\n") == """
        shop.schema:3:8: error: there is no type 'Txt'
        \tname: Txt
        \t      ^
        help: did you mean 'Text'?

        """)
  }

  @Test func bytesThatAreNotUTF8HaveAPlace() {
    let text = Array("schema S\nenum A { ".utf8) + [0xFF, 0x20] + Array("x }\n".utf8)
    #expect(
      rendered(text) == """
        shop.schema:2:10: error: bytes that are not UTF-8
        enum A { \u{FFFD} x }
                 ^

        """)
  }

  @Test func aByteOrderMarkCountsAsNothing() {
    #expect(
      rendered("\u{FEFF}schema 1") == """
        shop.schema:1:8: error: expected the name of the schema, found '1'
        \u{FEFF}schema 1
               ^

        """)
    #expect(rendered("\u{FEFF}schema S") == "accepted")
  }

  @Test func aLongLineIsCut() {
    let text = "schema S enum A { " + String(repeating: "abcdefgh, ", count: 100) + "x y }"
    let lines = rendered(text).split(separator: "\n")
    #expect(lines.count > 2 && lines[1].count <= 160)
  }

  @Test func aMissingBraceIsReportedWhereTheNextDeclarationBegins() {
    #expect(
      rendered("schema S\ncollection A {\n  a: Int\n\ncollection B {\n  b: Int\n}\n") == """
        shop.schema:5:1: error: expected '}', found 'collection'
        collection B {
        ^

        """)
  }
}
