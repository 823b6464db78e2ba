/// Why a record of a text file cannot be read.
public struct RecordError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, without any of the data.
  public let message: String
  /// The line and the column, which count from 1.
  public let position: TextPosition
  /// The byte, counted from the start of the file.
  public let offset: Int
  /// Whether the reader stands behind the record and can go on with the next.
  public let isRecoverable: Bool

  public init(_ message: String, position: TextPosition, offset: Int, isRecoverable: Bool) {
    self.message = message
    self.position = position
    self.offset = offset
    self.isRecoverable = isRecoverable
  }

  public var description: String { "\(position): \(message)" }
}

/// A place between two records of a file, from which reading can resume.
public struct RecordPlace: Sendable, Hashable {
  /// The line that the next record begins on; counts from 1.
  public let line: Int
  /// How many bytes of the file lie before it.
  public let offset: Int

  public init(line: Int, offset: Int) {
    self.line = line
    self.offset = offset
  }

  /// Before the first byte.
  public static let start = RecordPlace(line: 1, offset: 0)
}

/// Bytes that came in pieces and wait to be read: those of records not yet read, no more.
struct RecordBuffer: Sendable {
  private(set) var bytes: [UInt8] = []
  /// Where in `bytes` the next record begins.
  var start = 0
  /// The offset in the file of the first of `bytes`.
  private(set) var base: Int
  private(set) var isFinished = false
  private var marksChecked: Bool

  init(at place: RecordPlace) {
    base = place.offset
    marksChecked = place.offset > 0
  }

  mutating func append(_ chunk: UnsafeRawBufferPointer) {
    if start > 0 {
      bytes.removeSubrange(0..<start)
      base += start
      start = 0
    }
    bytes.append(contentsOf: chunk)
  }

  mutating func finish() { isFinished = true }

  /// Steps over a byte order mark at the start of the file; false while that cannot be told yet.
  mutating func skipMark() -> Bool {
    if marksChecked { return true }
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if bytes.count < mark.count, !isFinished, mark.starts(with: bytes) { return false }
    if bytes.starts(with: mark) { start = mark.count }
    marksChecked = true
    return true
  }

  /// The column of the byte at `index` on its line, in the record that begins at `start`.
  func column(at index: Int) -> Int {
    let line = bytes[start..<min(index, bytes.count)]
    let begin = line.lastIndex(of: 0x0A).map { $0 + 1 } ?? start
    return 1 + line[begin...].count { $0 & 0xC0 != 0x80 }
  }
}
