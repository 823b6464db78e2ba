import HeadwaterModel
import HeadwaterRelational
import SQLiteDriver

/// Values as SQLite keeps them, and back. Exact in both directions.
enum ValueCodec {
  private static let powersOfTen: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
  ]

  // MARK: Binding

  /// Binds a value; false where it is not of the type. Texts live in the arena until it is reset.
  @inline(__always)
  static func bind(
    _ value: Value?, as type: ColumnType, _ statement: Statement, _ index: Int32, _ arena: BindArena
  ) -> Bool {
    guard let value else {
      statement.bindNull(index)
      return true
    }
    switch (value, type) {
    case (.text(let value), .text), (.text(let value), .enumeration):
      statement.bindText(index, borrowing: arena.append(value))
    case (.int(let value), .int): statement.bind(index, value)
    case (.bool(let value), .bool): statement.bind(index, value ? 1 : 0)
    case (.float(let value), .float): statement.bind(index, value)
    case (.decimal(let value), .decimal(let precision, let scale)):
      guard Int(value.scale) <= scale else { return false }
      if precision <= SQLiteDialect.exactDigits {
        guard let number = double(value) else { return false }
        statement.bind(index, number)
      } else {
        statement.bindText(index, borrowing: arena.append(value.text(scale: scale)))
      }
    case (.bytes(let value), .bytes):
      statement.bindBytes(index, borrowing: value.withUnsafeBytes { arena.append($0) })
    case (.date(let value), .date):
      let room = arena.reserve(10)
      write(value, room)
      statement.bindText(index, borrowing: UnsafeRawBufferPointer(room))
    case (.timestamp(let value), .timestamp):
      let room = arena.reserve(27)
      write(value, room)
      statement.bindText(index, borrowing: UnsafeRawBufferPointer(room))
    case (.uuid(let value), .uuid):
      let room = arena.reserve(36)
      write(value, room)
      statement.bindText(index, borrowing: UnsafeRawBufferPointer(room))
    case (.principal(let value), .principal):
      let room = arena.reserve(64)
      value.withUnsafeBytes { bytes in
        for (position, byte) in bytes.enumerated() { hex(byte, room, at: position * 2) }
      }
      statement.bindText(index, borrowing: UnsafeRawBufferPointer(room))
    case (.json(let value), .json):
      var text: [UInt8] = []
      value.write(into: &text)
      statement.bindText(index, borrowing: text.withUnsafeBytes { arena.append($0) })
    default: return false
    }
    return true
  }

  /// The nearest double of a decimal of at most 15 digits; nil where it has more.
  static func double(_ value: ExactDecimal) -> Double? {
    let coefficient = value.coefficient
    guard value.scale <= 15, coefficient.magnitude < 1_000_000_000_000_000 else { return nil }
    // Both operands are exact, so the quotient is the correctly rounded one.
    return Double(Int64(truncatingIfNeeded: coefficient)) / powersOfTen[Int(value.scale)]
  }

  /// The decimal whose nearest double this is; nil where no decimal of that type has it.
  static func decimal(_ number: Double, precision: Int, scale: Int) -> ExactDecimal? {
    // The product is off by less than a half, because the coefficient is below 10^15.
    let scaled = (number * powersOfTen[scale]).rounded()
    guard scaled.magnitude < 1_000_000_000_000_000,
      let value = ExactDecimal(coefficient: Int128(Int64(scaled)), scale: scale),
      value.fits(precision: precision, scale: scale), double(value) == number
    else { return nil }
    return value
  }

  private static func write(_ date: CalendarDate, _ room: UnsafeMutableRawBufferPointer) {
    let (year, month, day) = date.components
    digits(year, 4, room, at: 0)
    room[4] = UInt8(ascii: "-")
    digits(month, 2, room, at: 5)
    room[7] = UInt8(ascii: "-")
    digits(day, 2, room, at: 8)
  }

  /// As `Timestamp.description` does.
  private static func write(_ time: Timestamp, _ room: UnsafeMutableRawBufferPointer) {
    let perDay: Int64 = 86_400_000_000
    var day = time.microseconds / perDay
    var rest = time.microseconds % perDay
    if rest < 0 {
      rest += perDay
      day -= 1
    }
    write(CalendarDate(days: day) ?? .minimum, room)
    let seconds = Int(rest / 1_000_000)
    room[10] = UInt8(ascii: "T")
    digits(seconds / 3600, 2, room, at: 11)
    room[13] = UInt8(ascii: ":")
    digits(seconds / 60 % 60, 2, room, at: 14)
    room[16] = UInt8(ascii: ":")
    digits(seconds % 60, 2, room, at: 17)
    room[19] = UInt8(ascii: ".")
    digits(Int(rest % 1_000_000), 6, room, at: 20)
    room[26] = UInt8(ascii: "Z")
  }

  private static func write(_ uuid: UUIDBytes, _ room: UnsafeMutableRawBufferPointer) {
    var position = 0
    for (index, byte) in uuid.bytes.enumerated() {
      if index == 4 || index == 6 || index == 8 || index == 10 {
        room[position] = UInt8(ascii: "-")
        position += 1
      }
      hex(byte, room, at: position)
      position += 2
    }
  }

  private static func digits(
    _ number: Int, _ count: Int, _ room: UnsafeMutableRawBufferPointer, at start: Int
  ) {
    var rest = number
    var index = start + count
    while index > start {
      index -= 1
      room[index] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
      rest /= 10
    }
  }

  @inline(__always)
  private static func hex(_ byte: UInt8, _ room: UnsafeMutableRawBufferPointer, at start: Int) {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
    room[start] = digit(byte >> 4)
    room[start + 1] = digit(byte & 15)
  }

  // MARK: Reading

  /// A value of a column, absent where it is NULL.
  ///
  /// - Throws: `Unreadable` where the column holds what this adapter would not have written.
  static func read(_ statement: Statement, _ index: Int32, as type: ColumnType)
    throws(Unreadable) -> Value?
  {
    if statement.isNull(index) { return nil }
    let value: Value? =
      switch type {
      case .bool:
        switch statement.int(index) {
        case 0: .bool(false)
        case 1: .bool(true)
        default: nil
        }
      case .int: .int(statement.int(index))
      case .float: .number(statement.double(index))
      case .decimal(let precision, let scale):
        if precision <= SQLiteDialect.exactDigits {
          decimal(statement.double(index), precision: precision, scale: scale).map { .decimal($0) }
        } else {
          text(statement, index).flatMap { text in
            ExactDecimal(text).flatMap {
              $0.fits(precision: precision, scale: scale) && $0.text(scale: scale) == text
                ? .decimal($0) : nil
            }
          }
        }
      case .text: text(statement, index).map { .text($0) }
      case .enumeration(let cases):
        text(statement, index).flatMap { text in
          cases.contains { utf8Compare($0, text) == 0 } ? .text(text) : nil
        }
      case .bytes: .bytes(statement.bytes(index))
      case .date: text(statement, index).flatMap { CalendarDate($0) }.map { .date($0) }
      case .timestamp: text(statement, index).flatMap { Timestamp($0) }.map { .timestamp($0) }
      case .uuid: text(statement, index).flatMap { UUIDBytes($0) }.map { .uuid($0) }
      case .principal: text(statement, index).flatMap { Digest(hex: $0) }.map { .principal($0) }
      case .json: text(statement, index).flatMap { try? JSON(text: $0) }.map { .json($0) }
      }
    guard let value else { throw Unreadable() }
    return value
  }

  /// The column holds no value of its type.
  struct Unreadable: Error {}

  private static func text(_ statement: Statement, _ index: Int32) -> String? {
    guard let text = statement.validText(index), !text.utf8.contains(0) else { return nil }
    return text
  }
}

extension SQLiteAdapter {
  /// What becomes of a decimal that is kept as a double; nil where it is another number.
  package static func storedDecimal(
    _ value: ExactDecimal, precision: Int, scale: Int
  ) -> ExactDecimal? {
    ValueCodec.double(value).flatMap { ValueCodec.decimal($0, precision: precision, scale: scale) }
  }
}
