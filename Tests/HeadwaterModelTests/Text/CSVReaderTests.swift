import Testing

@testable import HeadwaterModel

/// All records of `text`, pushed in pieces of `piece` bytes.
private func records(
  _ text: [UInt8], _ options: CSVReader.Options = .init(hasHeader: false), piece: Int = .max
) throws -> [CSVRecord] {
  var reader = CSVReader(options)
  return try drain(&reader, text, piece: piece)
}

private func drain(_ reader: inout CSVReader, _ text: [UInt8], piece: Int) throws -> [CSVRecord] {
  var found: [CSVRecord] = []
  var at = 0
  while at < text.count {
    let end = at + min(piece, text.count - at)
    reader.append(Array(text[at..<end]))
    at = end
    while let record = try reader.next() { found.append(record) }
  }
  reader.finish()
  while let record = try reader.next() { found.append(record) }
  return found
}

private func cells(_ text: String, separator: Character = ",") throws -> [[String]] {
  let options = CSVReader.Options(separator: separator.asciiValue!, hasHeader: false)
  return try records(Array(text.utf8), options).map(\.cells)
}

@Suite struct CSVReaderTests {
  @Test(
    arguments: [
      ("", []), ("\n\r\n\n", []), ("a", [["a"]]), ("a\n", [["a"]]),
      ("a,b\r\nc,d", [["a", "b"], ["c", "d"]]),
      ("a,\n,b\n", [["a", ""], ["", "b"]]), (",", [["", ""]]), ("\"\"", [[""]]),
      ("\"a\",b\r\n", [["a", "b"]]),
      ("\"a,\"\"b\"\"\r\nc\",d", [["a,\"b\"\r\nc", "d"]]), ("\"\"\"\"", [["\""]]),
      ("\u{FEFF}é,漢\n", [["é", "漢"]]),
      ("a b , c\n", [["a b ", " c"]]), ("a,b\r", [["a", "b"]]),
      ("a,b\n\nc,d\n", [["a", "b"], ["c", "d"]]),
      ("a\n\nb\n", [["a"], [""], ["b"]]), ("\u{FEFF}", []), ("a;b", [["a;b"]]), ("\"a\"", [["a"]]),
      ("x,\"\"\n", [["x", ""]]),
    ] as [(String, [[String]])])
  func reads(text: String, expected: [[String]]) throws {
    #expect(try cells(text) == expected)
    // However the file is cut into pieces.
    for piece in 1...5 {
      #expect(try records(Array(text.utf8), piece: piece).map(\.cells) == expected)
    }
  }

  @Test func takesOtherSeparators() throws {
    #expect(try cells("a;b,c;\"d;e\"\n", separator: ";") == [["a", "b,c", "d;e"]])
    #expect(try cells("a\tb\n", separator: "\t") == [["a", "b"]])
  }

  @Test(arguments: [
    ("a,b\nc\"d,e\n", 2, 2, 5, false), ("a,b\n\"c\"d,e\n", 2, 4, 7, false),
    ("a,b\n\"c\nd", 2, 1, 4, false),
    ("a,b\n\"é\n\",\"d\"x", 3, 6, 13, false), ("a,b\nc\n", 2, 1, 4, true),
    ("a,b\nc,d,e\n", 2, 1, 4, true),
    ("a,b\rc,d\n", 1, 4, 3, false), ("a,b\nc,d\"", 2, 4, 7, false),
  ])
  func refuses(text: String, line: Int, column: Int, offset: Int, isRecoverable: Bool) {
    for piece in [1, 2, 3, 1000] {
      let error = #expect(throws: RecordError.self) { try records(Array(text.utf8), piece: piece) }
      #expect(
        error?.position == TextPosition(line: line, column: column), "\(String(describing: error))")
      #expect(error?.offset == offset)
      #expect(error?.isRecoverable == isRecoverable)
    }
  }

  @Test func goesOnAfterARecordThatIsWrong() throws {
    var reader = CSVReader()
    reader.append(Array("a,b\n1,2\n3\n\"x\n".utf8) + [0x79, 0xFF] + Array("\",4\n5,6\n".utf8))
    reader.finish()
    #expect(try reader.next()?.cells == ["1", "2"])
    let count = #expect(throws: RecordError.self) { try reader.next() }
    #expect(count?.position == TextPosition(line: 3, column: 1))
    let bytes = #expect(throws: RecordError.self) { try reader.next() }
    #expect(bytes?.position == TextPosition(line: 5, column: 2))
    #expect(bytes?.offset == 14)
    let record = try reader.next()
    #expect(record?.cells == ["5", "6"])
    #expect(record?.line == 6)
    #expect(try reader.next() == nil)
    #expect(try reader.next() == nil)
    #expect(reader.header == ["a", "b"])
  }

  @Test func staysAtAnErrorThatItCannotPass() {
    var reader = CSVReader(.init(hasHeader: false))
    reader.append(Array("a\"b\n".utf8))
    let first = #expect(throws: RecordError.self) { try reader.next() }
    reader.append(Array("c\n".utf8))
    #expect(throws: first!) { try reader.next() }
  }

  @Test func boundsCellsAndRecords() throws {
    let options = CSVReader.Options(hasHeader: false, cellBytes: 10, recordBytes: 30)
    #expect(try records(Array("0123456789,b\n".utf8), options).count == 1)
    let cell = #expect(throws: RecordError.self) {
      try records(Array("x,01234567890\n".utf8), options)
    }
    #expect(cell?.position.column == 3)
    for text in [
      "\"" + String(repeating: "x\n", count: 50), String(repeating: "a,", count: 50) + "\n",
    ] {
      for piece in [1, 7, 1000] {
        #expect(throws: RecordError.self) { try records(Array(text.utf8), options, piece: piece) }
      }
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func readsWhatIsWrittenAndResumesAnywhere(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let separator = random.pick([",", ";", "\t"] as [Character])
    let lineEnd = random.pick(["\n", "\r\n"])
    let width = 2 + random.below(4)
    var expected: [[String]] = []
    var text: [UInt8] = random.chance(2) ? [] : [0xEF, 0xBB, 0xBF]
    for _ in 0...random.below(30) {
      let row = (0..<width).map { _ in random.text(8) }
      expected.append(row)
      let line = row.map { cell -> String in
        let special = cell.utf8.contains { [0x0A, 0x0D, 0x22, separator.asciiValue!].contains($0) }
        guard special || cell.isEmpty || random.chance(3) || cell.hasPrefix("\u{FEFF}") else {
          return cell
        }
        // By scalars: a line feed and a mark can be one character.
        return "\""
          + String(
            String.UnicodeScalarView(
              cell.unicodeScalars.flatMap { $0 == "\"" ? ["\"", "\""] : [$0] })) + "\""
      }
      text += Array((line.joined(separator: String(separator)) + lineEnd).utf8)
    }
    let options = CSVReader.Options(separator: separator.asciiValue!)
    let whole = try records(text, options)
    #expect(
      whole.map(\.cells).map { $0.map { Array($0.utf8) } }
        == expected.dropFirst().map { $0.map { Array($0.utf8) } })
    for _ in 0..<5 {
      #expect(try records(text, options, piece: 1 + random.below(20)) == whole)
    }
    for (index, record) in whole.enumerated() {
      var reader = CSVReader(options, resumingAt: record.end, header: expected[0])
      let rest = try drain(&reader, Array(text[record.end.offset...]), piece: 1 + random.below(50))
      #expect(rest == Array(whole[(index + 1)...]))
    }
    #expect(whole.last.map { $0.end.offset == text.count } ?? true)
  }

  @Test(arguments: UInt64(0)..<10)
  func survivesAnyBytes(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pool = Array("\",\n\r\na\u{E9}".utf8) + [0xFF, 0xEF, 0xBB, 0xBF, 0]
    for _ in 0..<300 {
      let text = (0..<random.below(40)).map { _ in random.pick(pool) }
      var results: [String] = []
      for piece in [1, 3, 100] {
        var reader = CSVReader(.init(hasHeader: random.chance(2) && false))
        var log = ""
        var at = 0
        while true {
          do {
            if let record = try reader.next() {
              log += "\(record)"
            } else if at < text.count {
              let end = min(at + piece, text.count)
              reader.append(Array(text[at..<end]))
              at = end
              if at == text.count { reader.finish() }
            } else {
              reader.finish()
              break
            }
          } catch {
            log += "\(error)\(error.offset)"
            if !error.isRecoverable { break }
          }
        }
        results.append(log)
      }
      // The same records and errors, however the bytes arrive.
      #expect(Set(results).count == 1)
    }
  }
}

@Suite struct NDJSONReaderTests {
  private func drain(_ reader: inout NDJSONReader, _ text: [UInt8], piece: Int) throws
    -> [NDJSONRecord]
  {
    var found: [NDJSONRecord] = []
    var at = 0
    while at < text.count {
      let end = at + min(piece, text.count - at)
      reader.append(Array(text[at..<end]))
      at = end
      while let record = try reader.next() { found.append(record) }
    }
    reader.finish()
    while let record = try reader.next() { found.append(record) }
    return found
  }

  @Test func readsLines() throws {
    let text = Array("\u{FEFF}{\"a\":1}\r\n\n  \r\n[2]\n\"x\"".utf8)
    for piece in [1, 2, 5, 1000] {
      var reader = NDJSONReader()
      let found = try drain(&reader, text, piece: piece)
      #expect(try found.map { try JSON($0.value).text } == ["{\"a\":1}", "[2]", "\"x\""])
      #expect(found.map(\.line) == [1, 4, 5])
      #expect(found.map(\.end.offset) == [12, 21, 24])
      #expect(found.map(\.end.line) == [2, 5, 5])
      for (index, record) in found.enumerated() {
        var rest = NDJSONReader(resumingAt: record.end)
        let after = try drain(&rest, Array(text[record.end.offset...]), piece: piece)
        #expect(after.map(\.line) == found[(index + 1)...].map(\.line))
      }
    }
  }

  @Test func goesOnAfterALineThatIsWrong() throws {
    var reader = NDJSONReader()
    reader.append(Array("1\n{\"é\":x}\n2\n".utf8))
    #expect(try reader.next()?.value.int == 1)
    let error = #expect(throws: RecordError.self) { try reader.next() }
    #expect(error?.position == TextPosition(line: 2, column: 6))
    #expect(error?.offset == 8)
    #expect(error?.isRecoverable == true)
    #expect(try reader.next()?.line == 3)
    #expect(try reader.next() == nil)
    #expect(throws: RecordError.self) {
      var wrong = NDJSONReader()
      wrong.append(Array("1 2\n".utf8))
      _ = try wrong.next()
    }
  }

  @Test func boundsLines() throws {
    for piece in [1, 3, 100] {
      var reader = NDJSONReader(lineBytes: 10)
      #expect(throws: RecordError.self) {
        try drain(&reader, Array("[1]\n[1,2,3,4,5]\n".utf8), piece: piece)
      }
      var whole = NDJSONReader(lineBytes: 11)
      #expect(try drain(&whole, Array("[1]\n[1,2,3,4,5]\n".utf8), piece: piece).count == 2)
    }
  }
}
