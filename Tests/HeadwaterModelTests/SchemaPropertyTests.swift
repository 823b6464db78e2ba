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

  @Test(arguments: 0..<300)
  func anyUpgradeGivesASchemaOrErrors(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed) &+ 55_555)
    let steps = [
      "rename Product.name to title", "add Product.weight: Float @default(0)",
      "add Product.twice: Decimal(12, 2) = price * 2 else 0",
      "retype Product.price: Decimal(14, 4)",
      "drop Product.spec", "rename collection Supplier to Vendor", "add enum Size { s, m }",
      "add strict collection W { at: Text role: Role @readonly }", "drop collection Order",
      "add case Role.guest", "drop case Role.viewer else editor", "rename case Role.owner to boss",
      "alter Product.name @check(length(name) > 0)", "rename enum Role to Rank",
      "replace rules of Product { allow create }", "add record R { a: Int? b: Role? }",
      "rename record Line to Item", "rename Line.quantity to count",
      "rename Member.principal to who",
      "retype Product.name: Text(10) else \"\"", "drop Order.lines", "add Line.note: Text?",
      "alter lenient collection Member", "order Role { viewer, editor, owner }",
      "replace rules of schema { allow upgrade if exists Member() }", "drop record Line",
    ]
    var text = "schema Shop from " + String(repeating: "0", count: 64) + "\n"
    for _ in 0..<Int.random(in: 1...10, using: &random) {
      text += steps.randomElement(using: &random)! + "\n"
    }
    if seed % 3 == 0 {
      var bytes = Array(text.utf8)
      let place = Int.random(in: 70..<bytes.count, using: &random)
      bytes[place] = UInt8.random(in: 0x20...0x7E, using: &random)
      text = String(decoding: bytes, as: UTF8.self)
    }
    let old = try Schema.parse(shopText)
    do throws(SchemaErrors) {
      let upgrade = try SchemaUpgrade.parse(text)
      let formatted = try Schema.format(text)
      let again = try SchemaUpgrade.parse(formatted)
      #expect(again.canonicalText == upgrade.canonicalText, "seed \(seed)")
      let new = try upgrade.apply(to: old)
      let back = try Schema.parse(new.canonicalText)
      #expect(back == new, "seed \(seed)")
      let same = try again.apply(to: old)
      #expect(same == new, "seed \(seed)")
    } catch {
      #expect(error.diagnostics.allSatisfy { $0.line >= 1 }, "seed \(seed): \(error)")
    }
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
