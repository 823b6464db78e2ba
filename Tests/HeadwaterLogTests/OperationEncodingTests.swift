import HeadwaterLog
import HeadwaterModel
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct OperationEncodingTests {
  private static func digest(_ byte: UInt8) -> Digest {
    Digest(bytes: [UInt8](repeating: byte, count: 32))!
  }

  private static func operation(previous: Digest?, _ change: RowChange) -> Operation {
    Operation(
      kind: .ordinary(database: digest(0x11), schema: digest(0x11)), parents: [digest(0x22)],
      author: digest(0x33), previous: previous, time: 5, changes: [change])
  }

  /// The operations of the table in Docs/Formats.md, in its order.
  private static let documented = [
    operation(
      previous: nil,
      RowChange(kind: .delete, collection: 0, key: Key([.text("A")]), assignments: [])),
    operation(
      previous: digest(0x44),
      RowChange(
        kind: .update, collection: 1, key: Key([.int(300)]),
        assignments: [Assignment(slot: 2, change: .set(.int(7)))])),
  ]

  @Test func vectorsOfTheDocumentation() throws {
    let path = String(
      #filePath.dropLast("Tests/HeadwaterLogTests/OperationEncodingTests.swift".count))
    let file = try #require(fopen(path + "Docs/Formats.md", "r"))
    defer { fclose(file) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
      text += buffer[..<count]
    }
    let section = String(decoding: text, as: UTF8.self)
      .components(after: "## Operations", before: "## Checkpoint")
    let vectors = section.split(separator: "\n").compactMap { line -> [UInt8]? in
      let cells = line.split(separator: "`")
      return cells.count >= 4 && cells[3].count > 100 ? [UInt8](hex: cells[3]) : nil
    }
    #expect(vectors.count == Self.documented.count)
    for (operation, bytes) in zip(Self.documented, vectors) {
      #expect(hexadecimal(operation.encode()) == hexadecimal(bytes))
      #expect(try Operation.decode(bytes) == operation)
    }
  }

  @Test func everyPrefixAndEveryFlippedBitIsRefusedOrAnotherOperation() throws {
    for operation in Self.documented {
      let bytes = operation.encode()
      for count in bytes.indices {
        #expect(throws: HeadwaterModel.DecodingError.self) {
          try Operation.decode(Array(bytes[..<count]))
        }
      }
      for bit in 0..<bytes.count * 8 {
        var flipped = bytes
        flipped[bit / 8] ^= 1 << (bit % 8)
        if let other = try? Operation.decode(flipped) {
          #expect(other != operation)
          #expect(other.encode() == flipped)
        }
      }
    }
  }

  @Test func parentsMustBeSortedAndThere() throws {
    func encoded(_ parents: [Digest]) -> [UInt8] {
      Operation(
        kind: .ordinary(database: Self.digest(1), schema: Self.digest(1)), parents: parents,
        author: Self.digest(3), previous: nil, time: 0, changes: []
      ).encode()
    }
    #expect(throws: HeadwaterModel.DecodingError.self) { try Operation.decode(encoded([])) }
    #expect(throws: HeadwaterModel.DecodingError.self) {
      try Operation.decode(encoded([Self.digest(2), Self.digest(1)]))
    }
    #expect(throws: HeadwaterModel.DecodingError.self) {
      try Operation.decode(encoded([Self.digest(2), Self.digest(2)]))
    }
    let many = (0...Limits.parents).map { index -> Digest in
      Digest(
        bytes: withUnsafeBytes(of: UInt64(index).bigEndian) { Array($0) }
          + [UInt8](repeating: 0, count: 24))!
    }
    #expect(throws: HeadwaterModel.DecodingError.self) { try Operation.decode(encoded(many)) }
    #expect(try Operation.decode(encoded(Array(many.dropLast()))).parents.count == Limits.parents)
  }
}

extension String {
  fileprivate func components(after start: String, before end: String) -> String {
    guard let first = range(of: start), let last = range(of: end),
      first.upperBound <= last.lowerBound
    else { return "" }
    return String(self[first.upperBound..<last.lowerBound])
  }

  private func range(of text: String) -> Range<Index>? {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(text) { return index..<self.index(index, offsetBy: text.count) }
      index = self.index(after: index)
    }
    return nil
  }
}
