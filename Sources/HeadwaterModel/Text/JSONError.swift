/// Why a text is not JSON that is accepted here.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, without any of the data.
  public let message: String
  /// Where, in bytes from the start of the text.
  public let offset: Int

  public init(_ message: String, offset: Int) {
    self.message = message
    self.offset = offset
  }

  public var description: String { "\(message) at byte \(offset)" }

  /// The line and column of the error in `text`, the text that was read; both count from 1.
  public func position(in text: some Collection<UInt8>) -> TextPosition {
    TextPosition(offset: offset, in: text)
  }
}

/// A place in a text as people count: lines and columns from 1, a column for each Unicode scalar.
public struct TextPosition: Sendable, Hashable, CustomStringConvertible {
  public let line: Int
  public let column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// The place of the byte `offset` of `text`; lines end with a line feed.
  public init(offset: Int, in text: some Collection<UInt8>) {
    var line = 1
    var column = 1
    for byte in text.prefix(max(0, offset)) {
      if byte == 0x0A {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
    }
    self.init(line: line, column: column)
  }

  public var description: String { "line \(line), column \(column)" }
}
