import HeadwaterModel
import Testing

@Suite struct SchemaPropertyTests {
  @Test(arguments: 0..<400)
  func aRandomSchemaKeepsItsMeaningWhenSpelledAgain(seed: Int) throws {
    var generator = SchemaGenerator(seed: UInt64(seed))
    let text = generator.schema()
    let schema: Schema
    do throws(SchemaErrors) {
      schema = try Schema.parse(text)
    } catch {
      Issue.record("seed \(seed): \(error.rendered(file: "seed-\(seed)", source: text))")
      return
    }
    let canonical = schema.canonicalText
    let again = try Schema.parse(canonical)
    #expect(again == schema, "seed \(seed)")
    #expect(again.canonicalText == canonical, "seed \(seed)")
    let formatted = try Schema.format(text)
    #expect(try Schema.format(formatted) == formatted, "seed \(seed):\n\(formatted)")
    #expect(try Schema.parse(formatted) == schema, "seed \(seed)")
    #expect(try Schema.format(canonical) == canonical, "seed \(seed)")
    // Ordinary comments, all of them, are what the formatter's output has beyond the canonical text.
    #expect(comments(in: formatted) == comments(in: text), "seed \(seed)")
    #expect(comments(in: canonical).isEmpty, "seed \(seed)")
  }

  private func comments(in text: String) -> [String] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      guard let start = line.firstRange(of: "//")?.lowerBound else { return nil }
      let comment = line[start...]
      return comment.hasPrefix("///") && !comment.hasPrefix("////") ? nil : String(comment)
    }.sorted()
  }

  @Test(arguments: 0..<300)
  func anyBytesGiveASchemaOrErrors(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed) &+ 77_777)
    var generator = SchemaGenerator(seed: UInt64(seed))
    var bytes = Array((seed % 5 == 0 ? shopText : generator.schema()).utf8)
    let words: [String] = [
      "{", "}", "(", ")", "<", ">", ",", "\"", "`", "?", "@check(", "@key", "allow", "exists",
      "not",
      " in [", "schema", "collection X {", "///", "//", "\\", "new.", "$author",
      "999999999999999999999",
      "1e999", "from", "\n", ": ", "Set<", "é", "\u{0}",
    ]
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      let place = Int.random(in: 0...bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
      case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 2: bytes.insert(contentsOf: Array(words.randomElement(using: &random)!.utf8), at: place)
      case 3:
        let end = min(bytes.count, place + Int.random(in: 1...30, using: &random))
        bytes.removeSubrange(place..<end)
      default:
        let end = min(bytes.count, place + Int.random(in: 1...80, using: &random))
        let target = Int.random(in: 0...bytes.count, using: &random)
        bytes.insert(contentsOf: Array(bytes[place..<end]), at: target)
      }
    }
    checkTotal(bytes, seed)
  }

  @Test(arguments: 0..<100)
  func noiseGivesErrors(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed) &+ 99_999)
    let count = Int.random(in: 0...400, using: &random)
    checkTotal(
      Array("schema S\n".utf8)
        + (0..<count).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }, seed)
  }

  /// Whatever the bytes: a schema that keeps its meaning, or errors that can be shown.
  private func checkTotal(_ bytes: [UInt8], _ seed: Int) {
    do throws(SchemaErrors) {
      let schema = try Schema.parse(bytes)
      let again = try Schema.parse(schema.canonicalText)
      #expect(again == schema, "seed \(seed)")
      let formatted = try Schema.format(bytes)
      let twice = try Schema.format(formatted)
      #expect(twice == formatted, "seed \(seed)")
    } catch {
      #expect(!error.diagnostics.isEmpty, "seed \(seed)")
      #expect(!error.rendered(file: "f", source: bytes).isEmpty, "seed \(seed)")
    }
    if let upgrade = try? SchemaFile.parse(bytes), case .upgrade(let upgrade) = upgrade {
      let again = try? SchemaUpgrade.parse(upgrade.canonicalText)
      #expect(again?.canonicalText == upgrade.canonicalText, "seed \(seed)")
    }
  }

  @Test func theHashIsOfTheCanonicalText() throws {
    struct Sum: Hasher256 {
      func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
        var out = [UInt8](repeating: 0, count: 32)
        for (index, byte) in bytes.enumerated() { out[index % 32] &+= byte }
        return Digest(bytes: out) ?? .zero
      }
    }
    let one = try Schema.parse("schema S\ncollection C { a: Int }")
    let two = try Schema.parse("schema S // x\n\ncollection C {\n  a : Int }\n")
    #expect(one.hash(with: Sum()) == two.hash(with: Sum()))
    #expect(one.hash(with: Sum()) == Sum().hash(Array(one.canonicalText.utf8)))
  }
}
