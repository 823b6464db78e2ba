/// A day of the proleptic Gregorian calendar, years 1 to 9999.
public struct CalendarDate: Sendable, Hashable, Comparable {
  /// Days since 1970-01-01.
  public let days: Int32

  public static let minimum = CalendarDate(unchecked: -719_162)
  public static let maximum = CalendarDate(unchecked: 2_932_896)

  init(unchecked days: Int32) { self.days = days }

  /// The day `days` after 1970-01-01; nil outside years 1 to 9999.
  public init?(days: Int64) {
    guard days >= Int64(CalendarDate.minimum.days), days <= Int64(CalendarDate.maximum.days) else {
      return nil
    }
    self.days = Int32(days)
  }

  /// Nil where there is no such day.
  public init?(year: Int, month: Int, day: Int) {
    guard (1...9999).contains(year), (1...12).contains(month), day >= 1 else { return nil }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard day <= lengths[month - 1] else { return nil }
    // Days from civil, after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let y = month <= 2 ? year - 1 : year
    let era = y / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    days = Int32(era * 146_097 + dayOfEra - 719_468)
  }

  /// Reads `YYYY-MM-DD`; nil for anything else.
  public init?(_ text: some StringProtocol) {
    var reader = DigitReader(text)
    guard let year = reader.digits(4), reader.skip("-"), let month = reader.digits(2),
      reader.skip("-"), let day = reader.digits(2), reader.atEnd
    else { return nil }
    self.init(year: year, month: month, day: day)
  }

  /// Year, month and day.
  public var components: (year: Int, month: Int, day: Int) {
    let z = Int(days) + 719_468
    let era = (z >= 0 ? z : z - 146_096) / 146_097
    let dayOfEra = z - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthIndex = (5 * dayOfYear + 2) / 153
    let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * monthIndex + 2) / 5 + 1)
  }

  public static func < (a: CalendarDate, b: CalendarDate) -> Bool { a.days < b.days }
}

extension CalendarDate: CustomStringConvertible {
  /// `YYYY-MM-DD`.
  public var description: String {
    var out: [UInt8] = []
    write(into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  /// Appends `description` as ASCII.
  public func write(into out: inout [UInt8]) {
    let (year, month, day) = components
    appendDigits(year, 4, to: &out)
    out.append(UInt8(ascii: "-"))
    appendDigits(month, 2, to: &out)
    out.append(UInt8(ascii: "-"))
    appendDigits(day, 2, to: &out)
  }
}

/// An instant in UTC with microseconds, years 1 to 9999, without leap seconds.
public struct Timestamp: Sendable, Hashable, Comparable {
  /// Microseconds since 1970-01-01T00:00:00Z.
  public let microseconds: Int64

  public static let minimum = Timestamp(
    unchecked: Int64(CalendarDate.minimum.days) * microsecondsPerDay)
  public static let maximum = Timestamp(
    unchecked: (Int64(CalendarDate.maximum.days) + 1) * microsecondsPerDay - 1)
  static let microsecondsPerDay: Int64 = 86_400_000_000

  init(unchecked microseconds: Int64) { self.microseconds = microseconds }

  /// Nil outside years 1 to 9999.
  public init?(microseconds: Int64) {
    guard microseconds >= Timestamp.minimum.microseconds,
      microseconds <= Timestamp.maximum.microseconds
    else { return nil }
    self.microseconds = microseconds
  }

  /// Reads ISO 8601 / RFC 3339: `YYYY-MM-DD`, `T` or a space, `hh:mm[:ss[.ffffff]]`, then `Z` or `±hh[:mm]`.
  ///
  /// An offset is converted to UTC; without any the time is refused, because it would mean
  /// different instants in different places. More than six digits of a second are refused unless
  /// they are zeros: nothing is rounded.
  public init?(_ text: some StringProtocol) {
    var reader = DigitReader(text)
    guard let year = reader.digits(4), reader.skip("-"), let month = reader.digits(2),
      reader.skip("-"), let day = reader.digits(2),
      let date = CalendarDate(year: year, month: month, day: day),
      reader.skip("T") || reader.skip("t") || reader.skip(" "),
      let hour = reader.digits(2), hour < 24, reader.skip(":"),
      let minute = reader.digits(2), minute < 60
    else { return nil }
    var second = 0
    var fraction: Int64 = 0
    if reader.skip(":") {
      guard let value = reader.digits(2), value < 60 else { return nil }
      second = value
      if reader.skip(".") || reader.skip(",") {
        guard let value = reader.fraction() else { return nil }
        fraction = value
      }
    }
    var offset = 0
    if reader.skip("Z") || reader.skip("z") {
    } else if let sign = reader.sign() {
      guard let hours = reader.digits(2), hours < 24 else { return nil }
      var minutes = 0
      if reader.skip(":") || !reader.atEnd {
        guard let value = reader.digits(2), value < 60 else { return nil }
        minutes = value
      }
      offset = sign * (hours * 60 + minutes)
    } else {
      return nil
    }
    guard reader.atEnd else { return nil }
    let seconds = Int64(hour * 3600 + minute * 60 + second - offset * 60)
    self.init(
      microseconds: Int64(date.days) * Timestamp.microsecondsPerDay + seconds * 1_000_000
        + fraction)
  }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }
}

extension Timestamp: CustomStringConvertible {
  /// `YYYY-MM-DDThh:mm:ss.ffffffZ`, always with six digits of a second, so that text order is time order.
  public var description: String {
    var out: [UInt8] = []
    write(into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  /// Appends `description` as ASCII.
  public func write(into out: inout [UInt8]) {
    var day = microseconds / Timestamp.microsecondsPerDay
    var rest = microseconds % Timestamp.microsecondsPerDay
    if rest < 0 {
      rest += Timestamp.microsecondsPerDay
      day -= 1
    }
    CalendarDate(unchecked: Int32(day)).write(into: &out)
    let seconds = Int(rest / 1_000_000)
    out.append(UInt8(ascii: "T"))
    appendDigits(seconds / 3600, 2, to: &out)
    out.append(UInt8(ascii: ":"))
    appendDigits(seconds / 60 % 60, 2, to: &out)
    out.append(UInt8(ascii: ":"))
    appendDigits(seconds % 60, 2, to: &out)
    out.append(UInt8(ascii: "."))
    appendDigits(Int(rest % 1_000_000), 6, to: &out)
    out.append(UInt8(ascii: "Z"))
  }
}

/// Appends the last `width` decimal digits of `number`, which is not negative.
private func appendDigits(_ number: Int, _ width: Int, to out: inout [UInt8]) {
  var divisor = 1
  for _ in 1..<width { divisor *= 10 }
  while divisor > 0 {
    out.append(0x30 + UInt8(truncatingIfNeeded: number / divisor % 10))
    divisor /= 10
  }
}

private struct DigitReader {
  private let bytes: [UInt8]
  private var index = 0

  init(_ text: some StringProtocol) { bytes = Array(text.utf8) }

  var atEnd: Bool { index == bytes.count }

  mutating func digits(_ count: Int) -> Int? {
    guard index + count <= bytes.count else { return nil }
    var value = 0
    for byte in bytes[index..<index + count] {
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      value = value * 10 + Int(byte - 0x30)
    }
    index += count
    return value
  }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard index < bytes.count, UInt32(bytes[index]) == character.value else { return false }
    index += 1
    return true
  }

  mutating func sign() -> Int? {
    if skip("+") { return 1 }
    if skip("-") { return -1 }
    return nil
  }

  /// Microseconds from the digits after a point.
  mutating func fraction() -> Int64? {
    var value: Int64 = 0
    var count = 0
    while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
      if count < 6 {
        value = value * 10 + Int64(bytes[index] - 0x30)
      } else if bytes[index] != 0x30 {
        return nil
      }
      count += 1
      index += 1
    }
    guard count > 0 else { return nil }
    for _ in min(count, 6)..<6 { value *= 10 }
    return value
  }
}
