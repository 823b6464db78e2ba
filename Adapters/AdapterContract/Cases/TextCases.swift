import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  /// Where each length of UTF-8 begins and ends, what only looks like an escape, what is easily taken for equal.
  private static let extremes: [String] = [
    "", "\u{1}", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFD}",
    "\u{FFFE}", "\u{FFFF}", "\u{10000}", "\u{1F600}", "\u{10FFFE}", "\u{10FFFF}", "\\u0000", "\\0",
    "\\x00", "\\ud800", "\\udfff", "\\ud83d\\ude00", "%00", "&#0;", "\u{2400}",
    "a", "a ", " a", "a\t", "a\n", "A", "á", "a\u{301}", "a\u{200B}", "a\u{200D}", "a\u{FE0F}",
    "a\u{AD}", "ﬁ", "fi", "Å", "A\u{30A}", "\u{212B}", "\u{3A9}", "\u{2126}", "ſ", "s", "K",
    "\u{212A}",
    String(repeating: "\u{10FFFF}", count: 40), String(repeating: "a\u{301}", count: 20),
  ]

  static let textCases: [Case] = [
    Case("text.extremes", "Texts at the edges of Unicode: as key, unique, indexed, and in JSON") {
      run in
      let sketch = SchemaSketch(
        collections: [
          (
            "Extreme",
            [
              .key("key", .text(limit: 40)), .unique("unique", .text(limit: 40)),
              .indexed("indexed", .text(limit: nil)), .optional("json", .json),
              .optional("next", .reference("Extreme")),
            ]
          )
        ])
      var distinct: [String] = []
      for text in extremes where !distinct.contains(where: { utf8Compare($0, text) == 0 }) {
        distinct.append(text)
      }
      let source = ScriptedSource(schema: try sketch.schema())
      func writes(shift: Int) -> [ScriptedSource.Write] {
        distinct.indices.map { index in
          let other = distinct[(index + shift) % distinct.count]
          return .put(
            0,
            Row([
              .text(distinct[index]), .text(other), .text(other),
              JSON(members: [JSON.Member(other, .string(other)), JSON.Member("k " + other, .null)])
                .map { .json($0) }, .reference(Key([.text(other)])),
            ]))
        }
      }
      let sink = try await run.makeSink()
      source.commit(writes(shift: 0))
      try await run.synchronise(sink, source, options: .large, "after a snapshot")
      for shift in [1, 17, distinct.count - 1] {
        source.commit(writes(shift: shift))
        try await run.synchronise(
          sink, source, options: .large, "after all texts moved by \(shift)")
      }
      let reopened = try await run.makeSink()
      try await run.synchronise(reopened, source, "after a snapshot in small pages")
    },
    Case("text.long-index", "An indexed text may be longer than an index can hold") { run in
      let sketch = SchemaSketch(
        collections: [
          (
            "Long",
            [
              .key("id", .int), .indexed("text", .text(limit: nil)),
              .indexed("bytes", .bytes(limit: nil)), .field("json", .json),
            ]
          )
        ])
      var generator = SeededGenerator(seed: 5)
      // What does not compress, as an index may compress what it holds.
      func noise(_ count: Int) -> String {
        var text = ""
        while text.utf8.count < count { text += String(generator.next(), radix: 36) }
        return text
      }
      func row(_ id: Int64, _ count: Int) -> ScriptedSource.Write {
        let text = noise(count)
        return .put(
          0,
          Row([
            .int(id), .text(text), .bytes(Array(noise(count).utf8)),
            .json(.array([.string(text), .string(noise(count))])),
          ]))
      }
      try await play(
        run, sketch: sketch,
        [
          [row(1, 2_000), row(2, 2_800), row(3, 9_000)], [row(1, 100_000), row(4, 40_000)],
          [row(3, 1)],
        ])
    },
    Case("text.long-keys", "Keys and unique texts as long as the schema language allows") { run in
      let sketch = SchemaSketch(
        collections: [
          (
            "Key",
            [
              .key("one", .text(limit: 100)), .key("two", .text(limit: 150)),
              .unique("code", .text(limit: 250)), .optional("other", .reference("Key")),
            ]
          )
        ])
      var generator = SeededGenerator(seed: 9)
      func noise(_ count: Int) -> String {
        var text = ""
        for _ in 0..<count {
          // Four bytes each.
          text.unicodeScalars.append(
            Unicode.Scalar(0x1_0000 + UInt32(generator.next() % 0xF_0000))!)
        }
        return text
      }
      let keys = (0..<6).map { _ in Key([.text(noise(100)), .text(noise(150))]) }
      let codes = (0..<6).map { _ in Value.text(noise(250)) }
      func writes(_ shift: Int) -> [ScriptedSource.Write] {
        keys.indices.map {
          .put(
            0,
            Row(
              keys[$0].values + [codes[($0 + shift) % 6], .reference(keys[($0 + 1 + shift) % 6])]))
        }
      }
      try await play(run, sketch: sketch, [writes(0), writes(1), writes(3)])
    },
  ]
}
