/// Finds the cells of one record; stops and goes on wherever a piece of the file ends.
struct CSVScanner: Sendable {
  enum Outcome {
    /// A whole record, up to `index`.
    case record
    /// The bytes end within a record.
    case more
    /// The end of the file.
    case end
    /// What is wrong, and at which byte.
    case failure(String, Int)
  }

  /// The bytes of a cell without its quotes, counted from the start of the record.
  struct Cell {
    let start: Int
    let count: Int
    /// Whether quotes in it are doubled.
    let hasEscapes: Bool
    let isQuoted: Bool
    var isEmpty: Bool { count == 0 && !isQuoted }
  }

  private enum State {
    case begin, plain, quoted, closed, carriage
  }

  static let quote = UInt8(ascii: "\"")
  private static let lineFeed: UInt8 = 0x0A
  private static let carriageReturn: UInt8 = 0x0D

  private let separator: UInt8
  private(set) var cells: [Cell] = []
  /// The next byte to look at.
  var index = 0
  /// How many lines the record takes so far.
  private(set) var lines = 0
  private var state = State.begin
  private var cellStart = 0
  private var hasEscapes = false

  init(separator: UInt8) { self.separator = separator }

  /// Forgets the record, keeps the memory and the place.
  mutating func reset() {
    cells.removeAll(keepingCapacity: true)
    lines = 0
    state = .begin
  }

  /// Looks at the bytes from `index` on, in a record that begins at `start`.
  mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, isLast: Bool) -> Outcome
  {
    let count = bytes.count
    var at = index
    defer { index = at }
    while at < count {
      switch state {
      case .begin:
        hasEscapes = false
        if bytes[at] == CSVScanner.quote {
          at += 1
          state = .quoted
        } else {
          state = .plain
        }
        cellStart = at - start
      case .plain:
        var byte = bytes[at]
        // All three ends of a cell but an odd separator are below every letter and digit.
        while byte != separator, byte != CSVScanner.lineFeed, byte != CSVScanner.carriageReturn,
          byte != CSVScanner.quote
        {
          at += 1
          guard at < count else { break }
          byte = bytes[at]
        }
        guard at < count else { break }
        if byte == CSVScanner.quote {
          return .failure("a quote inside a cell that does not begin with one", at)
        }
        if end(byte, at - start, isQuoted: false) {
          at += 1
          return .record
        }
        at += 1
      case .quoted:
        var byte = bytes[at]
        while byte != CSVScanner.quote {
          if byte == CSVScanner.lineFeed { lines += 1 }
          at += 1
          guard at < count else { break }
          byte = bytes[at]
        }
        guard at < count else { break }
        at += 1
        state = .closed
      case .closed:
        let byte = bytes[at]
        if byte == CSVScanner.quote {
          hasEscapes = true
          state = .quoted
          at += 1
          continue
        }
        guard
          byte == separator || byte == CSVScanner.lineFeed || byte == CSVScanner.carriageReturn
        else { return .failure("expected the end of the cell after its closing quote", at) }
        if end(byte, at - start - 1, isQuoted: true) {
          at += 1
          return .record
        }
        at += 1
      case .carriage:
        guard bytes[at] == CSVScanner.lineFeed else {
          return .failure("a carriage return without a line feed, in a cell without quotes", at - 1)
        }
        lines += 1
        at += 1
        return .record
      }
    }
    return isLast ? last(at - start, start) : .more
  }

  /// Ends a cell at a separator or the end of the line; true where the record is complete.
  @inline(__always)
  private mutating func end(_ byte: UInt8, _ end: Int, isQuoted: Bool) -> Bool {
    cells.append(
      Cell(
        start: cellStart, count: end - cellStart, hasEscapes: hasEscapes, isQuoted: isQuoted))
    if byte == separator {
      state = .begin
      return false
    }
    if byte == CSVScanner.carriageReturn {
      state = .carriage
      return false
    }
    lines += 1
    return true
  }

  /// What the end of the file makes of the record.
  private mutating func last(_ end: Int, _ start: Int) -> Outcome {
    switch state {
    case .begin:
      guard !cells.isEmpty else { return .end }
      cells.append(Cell(start: end, count: 0, hasEscapes: false, isQuoted: false))
    case .plain:
      cells.append(
        Cell(start: cellStart, count: end - cellStart, hasEscapes: false, isQuoted: false))
    case .quoted: return .failure("a quote that is not closed", start + cellStart - 1)
    case .closed:
      cells.append(
        Cell(
          start: cellStart, count: end - 1 - cellStart, hasEscapes: hasEscapes, isQuoted: true))
    case .carriage: break
    }
    return .record
  }
}
