/// One line of an NDJSON file.
public struct NDJSONRecord: Sendable {
  /// What the line holds.
  public let value: RawJSON
  /// The number of the line; counts from 1.
  public let line: Int
  /// The place after the line: reading can resume there.
  public let end: RecordPlace
}

/// Reads JSON values, one a line, that arrive in pieces of any size.
///
/// Push bytes with `append`, then pull records with `next` until it gives nil; at the end call `finish` and
/// pull once more. It holds the pieces not yet read and one line, whose size is bounded; so pull before
/// pushing again. Empty lines and a byte order mark are skipped.
public struct NDJSONReader: Sendable {
  private let lineBytes: Int
  private var buffer: RecordBuffer
  private var line: Int
  /// Up to here no line feed was found.
  private var searched = 0
  private var failure: RecordError?

  /// Reads a file from its start, or from the end of one of its lines; the bytes to append are those from
  /// `place.offset` on. No line may be longer than `lineBytes`.
  public init(resumingAt place: RecordPlace = .start, lineBytes: Int = Limits.recordBytes) {
    self.lineBytes = lineBytes
    buffer = RecordBuffer(at: place)
    line = place.line
  }

  /// Adds the next bytes of the file.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    searched = max(0, searched - buffer.start)
    buffer.append(bytes)
  }

  /// Adds the next bytes of the file.
  public mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

  /// Says that no bytes follow.
  public mutating func finish() { buffer.finish() }

  /// The next value; nil where more bytes are needed, and after `finish` at the end of the file.
  ///
  /// After an error that is recoverable (what is on the line is not JSON) the next call gives the next line;
  /// after any other it throws the same error again.
  public mutating func next() throws(RecordError) -> NDJSONRecord? {
    if let failure { throw failure }
    guard buffer.skipMark() else { return nil }
    while true {
      let start = buffer.start
      let from = max(searched, start)
      let count = buffer.bytes.count
      let end = buffer.bytes.withUnsafeBufferPointer { bytes -> Int? in
        var index = from
        while index < count, bytes[index] != 0x0A { index += 1 }
        return index < count ? index : nil
      }
      searched = end ?? count
      guard (end ?? count) - start <= lineBytes else {
        let error = RecordError(
          "a line longer than \(lineBytes) bytes", position: TextPosition(line: line, column: 1),
          offset: buffer.base + start, isRecoverable: false)
        failure = error
        throw error
      }
      guard let stop = end ?? (buffer.isFinished && start < count ? count : nil) else { return nil }
      let number = line
      let next = end == nil ? stop : stop + 1
      defer {
        buffer.start = next
        if end != nil { line += 1 }
      }
      if isBlank(start..<stop) { continue }
      let value: RawJSON
      do throws(JSONError) {
        value = try buffer.bytes.withUnsafeBufferPointer { (bytes) throws(JSONError) in
          try RawJSON(text: UnsafeBufferPointer(rebasing: bytes[start..<stop]))
        }
      } catch {
        throw RecordError(
          error.message,
          position: TextPosition(line: number, column: buffer.column(at: start + error.offset)),
          offset: buffer.base + start + error.offset, isRecoverable: true)
      }
      let place = RecordPlace(line: number + (end == nil ? 0 : 1), offset: buffer.base + next)
      return NDJSONRecord(value: value, line: number, end: place)
    }
  }

  private func isBlank(_ range: Range<Int>) -> Bool {
    buffer.bytes[range].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
  }
}
