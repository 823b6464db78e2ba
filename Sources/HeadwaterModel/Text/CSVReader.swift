/// One record of a CSV file.
public struct CSVRecord: Sendable, Hashable {
  /// The cells, without their quotes.
  public let cells: [String]
  /// The line that the record begins on; counts from 1.
  public let line: Int
  /// The place after the record: reading can resume there.
  public let end: RecordPlace
}

/// Reads CSV (RFC 4180) that arrives in pieces of any size.
///
/// Push bytes with `append`, then pull records with `next` until it gives nil; at the end call `finish` and
/// pull once more. It holds the pieces not yet read and one record, whose size is bounded; so pull before
/// pushing again.
///
/// Lines end with LF or CRLF. A cell is quoted as a whole or not at all; quotes inside are doubled. Empty lines
/// are skipped, except where records have one cell. A byte order mark is skipped. Cells must be UTF-8.
public struct CSVReader: Sendable {
  /// How the file is written, and how large its parts may be.
  public struct Options: Sendable, Hashable {
    /// Between cells: a comma, a semicolon or a tab, say.
    public var separator: UInt8
    /// Whether the first record names the columns.
    public var hasHeader: Bool
    /// The longest cell, in bytes as written.
    public var cellBytes: Int
    /// The longest record, in bytes as written.
    public var recordBytes: Int

    public init(
      separator: UInt8 = UInt8(ascii: ","), hasHeader: Bool = true,
      cellBytes: Int = Limits.cellBytes, recordBytes: Int = Limits.recordBytes
    ) {
      self.separator = separator
      self.hasHeader = hasHeader
      self.cellBytes = cellBytes
      self.recordBytes = recordBytes
    }
  }

  /// The names of the columns, once they were read.
  public private(set) var header: [String]?
  private let options: Options
  private var buffer: RecordBuffer
  private var scanner: CSVScanner
  private var line: Int
  private var width: Int?
  private var failure: RecordError?

  /// Reads a file from its start.
  public init(_ options: Options = Options()) {
    self.options = options
    buffer = RecordBuffer(at: .start)
    scanner = CSVScanner(separator: options.separator)
    line = 1
  }

  /// Goes on at the end of a record; `header` is what a reader from the start has read, nil without a header.
  ///
  /// The bytes to append are those from `place.offset` on.
  public init(_ options: Options = Options(), resumingAt place: RecordPlace, header: [String]?) {
    self.init(options)
    guard place.offset > 0 else { return }
    buffer = RecordBuffer(at: place)
    line = place.line
    self.header = header
    width = header?.count
  }

  /// Adds the next bytes of the file.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    scanner.index -= buffer.start
    buffer.append(bytes)
  }

  /// Adds the next bytes of the file.
  public mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

  /// Says that no bytes follow.
  public mutating func finish() { buffer.finish() }

  /// The next record; nil where more bytes are needed, and after `finish` at the end of the file.
  ///
  /// After an error that is recoverable the next call gives the next record; after any other it throws the
  /// same error again.
  public mutating func next() throws(RecordError) -> CSVRecord? {
    if let failure { throw failure }
    guard buffer.skipMark() else { return nil }
    while true {
      if scanner.index < buffer.start { scanner.index = buffer.start }
      var outcome = scan()
      if case .more = outcome {
        if scanner.index - buffer.start > options.recordBytes {
          outcome = .failure("a record longer than \(options.recordBytes) bytes", buffer.start)
        } else {
          return nil
        }
      }
      if case .failure(let message, let at) = outcome {
        let error = error(message, at: at, isRecoverable: false)
        failure = error
        throw error
      }
      guard case .record = outcome else { return nil }
      if let record = try take() { return record }
    }
  }

  private mutating func scan() -> CSVScanner.Outcome {
    // Taken out of self, so that the scanner's array has one owner while the buffer is borrowed.
    var scanner = CSVScanner(separator: options.separator)
    swap(&scanner, &self.scanner)
    let outcome = buffer.bytes.withUnsafeBufferPointer {
      scanner.scan($0, from: buffer.start, isLast: buffer.isFinished)
    }
    swap(&scanner, &self.scanner)
    return outcome
  }

  /// Makes a record of what the scanner has found and steps behind it; nil for an empty line and the header.
  private mutating func take() throws(RecordError) -> CSVRecord? {
    let first = line
    let length = scanner.index - buffer.start
    let found = scanner.cells
    defer {
      line += scanner.lines
      buffer.start = scanner.index
      scanner.reset()
    }
    if found.count == 1, found[0].isEmpty, width != 1 { return nil }
    guard length <= options.recordBytes else {
      throw error("a record longer than \(options.recordBytes) bytes", at: buffer.start)
    }
    if let width, found.count != width {
      throw error("expected \(width) cells, found \(found.count)", at: buffer.start)
    }
    var cells: [String] = []
    cells.reserveCapacity(found.count)
    for cell in found {
      let start = buffer.start + cell.start
      guard cell.count <= options.cellBytes else {
        throw error("a cell longer than \(options.cellBytes) bytes", at: start)
      }
      guard let text = text(cell, start) else {
        let range = start..<start + cell.count
        let invalid = buffer.bytes[range].withUnsafeBufferPointer { firstInvalidUTF8($0) ?? 0 }
        throw error("bytes that are not UTF-8", at: start + invalid)
      }
      cells.append(text)
    }
    if width == nil { width = cells.count }
    if options.hasHeader, header == nil {
      header = cells
      return nil
    }
    let place = RecordPlace(line: first + scanner.lines, offset: buffer.base + scanner.index)
    return CSVRecord(cells: cells, line: first, end: place)
  }

  private func text(_ cell: CSVScanner.Cell, _ start: Int) -> String? {
    buffer.bytes.withUnsafeBufferPointer { bytes in
      let range = UnsafeBufferPointer(rebasing: bytes[start..<start + cell.count])
      guard cell.hasEscapes else { return String(utf8: range) }
      var plain: [UInt8] = []
      plain.reserveCapacity(range.count)
      var index = 0
      while index < range.count {
        plain.append(range[index])
        index += range[index] == CSVScanner.quote ? 2 : 1
      }
      return plain.withUnsafeBufferPointer { String(utf8: $0) }
    }
  }

  private func error(_ message: String, at index: Int, isRecoverable: Bool = true) -> RecordError {
    let lines = buffer.bytes[buffer.start..<min(index, buffer.bytes.count)].count { $0 == 0x0A }
    return RecordError(
      message, position: TextPosition(line: line + lines, column: buffer.column(at: index)),
      offset: buffer.base + index, isRecoverable: isRecoverable)
  }
}
