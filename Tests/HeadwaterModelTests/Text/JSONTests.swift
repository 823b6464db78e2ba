import Testing

@testable import HeadwaterModel

@Suite struct JSONTextTests {
  @Test(arguments: [
    ("null", JSON.null), ("true", .bool(true)), (" false\n", .bool(false)), ("0", .int(0)),
    ("-0", .int(0)), ("-0.0", .int(0)), ("1.0", .int(1)), ("1e2", .int(100)), ("1E+2", .int(100)),
    ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
    ("9223372036854775808", .double(9_223_372_036_854_775_808)),
    ("100000000000000000000", .double(1e20)),
    ("18446744073709551616", .double(18_446_744_073_709_551_616)),
    ("-18446744073709551616", .double(-18_446_744_073_709_551_616)),
    ("0.1", .double(0.1)), ("1e-400", .int(0)),
    ("123456789012345678901e-10", .double(12345678901.234568)),
    ("1e308", .double(1e308)), ("5e-324", .double(.leastNonzeroMagnitude)),
    ("2.2250738585072011e-308", .double(Double(bitPattern: 0x000F_FFFF_FFFF_FFFF))),
    ("9007199254740993.0", .int(9_007_199_254_740_992)),
    (#""""#, .string("")), (#""\"\\\/\b\f\n\r\t\u0041""#, .string("\"\\/\u{8}\u{C}\n\r\tA")),
    (#""\ud83d\ude00\uFFFF""#, .string("😀\u{FFFF}")), ("\"😀é\"", .string("😀é")),
    ("[]", .array([])), ("[ 1 , [2 ] ]", .array([.int(1), .array([.int(2)])])),
    ("{}", .object([])),
    (#"{ "b" : 1 , "a":{}}"#, .object([.init("a", .object([])), .init("b", .int(1))])),
  ])
  func reads(text: String, value: JSON) throws { #expect(try JSON(text: text) == value) }

  @Test(arguments: [
    ("", 0), (" ", 1), ("nul", 0), ("nulll", 4), ("True", 0), ("01", 0), ("-", 1), ("-01", 0),
    ("1.", 2),
    (".5", 0), ("+1", 0), ("1e", 2), ("1e+", 3), ("0x10", 1), ("NaN", 0), ("Infinity", 0),
    ("1 2", 2),
    ("[1,]", 3), ("[1 2]", 3), ("[", 1), ("]", 0), ("{", 1), (#"{"a"}"#, 4), (#"{"a":1,}"#, 7),
    (#"{a:1}"#, 1), (#"{"a":1,"a":2}"#, 7), (#"{"a":1,"\u0061":2}"#, 7), (#"'a'"#, 0), (#"""#, 1),
    (#""\x""#, 1), (#""\u12G4""#, 1), (#""\u0000""#, 1), (#""\ud800""#, 1), (#""\udc00""#, 1),
    (#""\ud800\u0041""#, 1), (#""\ud800x""#, 1), ("\"\u{1}\"", 1), ("\"a\nb\"", 2), ("1e400", 0),
    ("-1e400", 0), ("[18446744073709551617]", 1), ("123456789012345680000", 0), ("// c\n1", 0),
    ("\u{FEFF}1", 0), ("\u{0}", 0), ("1\u{0}", 1), (#""\"#, 1), (#""\u"#, 1), (#""\ud83d\"#, 1),
  ])
  func refuses(text: String, offset: Int) {
    do {
      let value = try JSON(text: text)
      Issue.record("read as \(value)")
    } catch {
      #expect(error.offset == offset, "\(error)")
    }
  }

  @Test func refusesWhatIsNotUTF8() {
    let wrong: [[UInt8]] = [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80],
      [0xE2, 0x82],
      [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
    ]
    for bytes in wrong {
      for text in [[0x22] + bytes + [0x22], [0x22, 0x61] + bytes + [0x62, 0x22], bytes] {
        #expect(throws: JSONError.self) { try JSON(text: text) }
      }
      let invalid = bytes.withUnsafeBufferPointer { firstInvalidUTF8($0) }
      #expect(invalid == 0)
      let error = #expect(throws: JSONError.self) { try JSON(text: [0x22, 0x61] + bytes + [0x22]) }
      #expect(error?.offset == 2)
    }
    // An escape does not make the bytes around it valid.
    #expect(throws: JSONError.self) { try JSON(text: Array(#""\n"#.utf8) + [0x80, 0x22]) }
    for scalar in [
      "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{10000}", "\u{10FFFF}",
    ] {
      #expect(Array(scalar.utf8).withUnsafeBufferPointer { firstInvalidUTF8($0) } == nil)
    }
  }

  @Test func namesLineAndColumn() {
    let text = "{\n  \"é\": x\n}"
    let error = #expect(throws: JSONError.self) { try JSON(text: text) }
    #expect(error?.position(in: Array(text.utf8)) == TextPosition(line: 2, column: 8))
  }

  @Test func boundsTheNesting() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + "1" + String(repeating: "]", count: depth)
    }
    let value = try JSON(text: nested(JSON.maximumDepth))
    var writer = CanonicalWriter()
    writer.json(value)
    var reader = CanonicalReader(writer.bytes)
    #expect(try reader.json() == value)
    #expect(throws: JSONError.self) { try JSON(text: nested(JSON.maximumDepth + 1)) }
    #expect(throws: JSONError.self) { try JSON(text: String(repeating: "[", count: 1_000_000)) }
    #expect(throws: JSONError.self) {
      try JSON(text: String(repeating: "{\"a\":", count: 1_000_000))
    }
    let raw = try RawJSON(text: nested(JSON.maximumDepth + 1))
    #expect(throws: JSONError.self) { try JSON(raw) }
    #expect(throws: JSONError.self) { try RawJSON(text: nested(RawJSON.maximumDepth + 1)) }
  }

  @Test func findsAMemberTwiceAmongMany() {
    let names = (0..<100).map { "\"n\($0)\":0" }
    #expect(throws: Never.self) { try JSON(text: "{" + names.joined(separator: ",") + "}") }
    for twice in [0, 15, 16, 17, 99] {
      let all = names + [names[twice]]
      #expect(throws: JSONError.self) { try JSON(text: "{" + all.joined(separator: ",") + "}") }
    }
  }

  @Test func writesCanonically() throws {
    let value = try JSON(
      text: #" {"b":[1,2.50,1e30,"\u0001\u001f\/\n\""],"a":{"é":null,"\u007f":true}} "#)
    #expect(
      value.text
        == "{\"a\":{\"\u{7F}\":true,\"é\":null},\"b\":[1,2.5,1e+30,\"\\u0001\\u001f/\\n\\\"\"]}")
    var pretty: [UInt8] = []
    try JSON(text: #"{"a":[1,{}],"b":[],"c":{"d":2}}"#).writePretty(into: &pretty)
    #expect(
      String(decoding: pretty, as: UTF8.self)
        == "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": {\n    \"d\": 2\n  }\n}")
    for number in [Int64.min, -10, -1, 0, 9, 10, 99, 100, .max] {
      #expect(JSON.int(number).text == String(number))
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func readsWhatItWrites(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      let value = random.json()
      #expect(try JSON(text: value.text) == value)
      #expect(try JSON(RawJSON(text: value.text)) == value)
      var pretty: [UInt8] = []
      value.writePretty(into: &pretty, indent: random.below(4))
      #expect(try JSON(text: pretty) == value)
    }
  }

  /// Whatever is accepted has one canonical text, and nothing crashes.
  @Test(arguments: UInt64(0)..<20)
  func survivesMutations(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pool = Array(#"{}[]",:\u0-+.eE19ntf "#.utf8)
    for _ in 0..<500 {
      var bytes = Array(random.json().text.utf8)
      for _ in 0...random.below(4) where !bytes.isEmpty {
        let at = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes[at] = random.pick(pool)
        case 2: bytes.remove(at: at)
        default: bytes.insert(random.pick(pool), at: at)
        }
      }
      if random.chance(4) { bytes = Array(bytes.prefix(random.below(bytes.count + 1))) }
      if random.chance(10) { bytes = random.bytes(random.below(12)) }
      guard let value = try? JSON(text: bytes) else { continue }
      #expect((try? JSON(text: value.text)) == value)
      #expect((try? RawJSON(text: bytes)) != nil)
    }
  }

  @Test(arguments: UInt64(0)..<10)
  func readsNumbersAsTheStandardLibraryDoes(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<1000 {
      var text = random.chance(2) ? "-" : ""
      let digits = 1 + random.below(random.chance(4) ? 40 : 18)
      text += String(1 + random.below(9))
      for _ in 1..<max(2, digits) { text += String(random.below(10)) }
      text += "."
      for _ in 0...random.below(20) { text += String(random.below(10)) }
      if random.chance(2) { text += "e\(random.below(80) - 40)" }
      #expect(try JSON(text: text) == JSON(number: Double(text)!))
    }
  }
}
