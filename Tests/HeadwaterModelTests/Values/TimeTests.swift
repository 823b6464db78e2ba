import Testing

@testable import HeadwaterModel

@Suite struct CalendarDateTests {
  @Test func countsEveryDay() {
    var days = CalendarDate.minimum.days
    // From the first of January of year 1, day by day, through three centuries and their leap years.
    for year in Array(1...8) + Array(96...104) + Array(1596...2104) + Array(9990...9999) {
      let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      for (index, length) in [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        .enumerated()
      {
        for day in 1...length {
          let date = CalendarDate(year: year, month: index + 1, day: day)!
          if day == 1, index == 0 { days = date.days } else { days += 1 }
          #expect(date.days == days)
          #expect(date.components == (year, index + 1, day))
          #expect(CalendarDate(date.description) == date)
        }
        #expect(CalendarDate(year: year, month: index + 1, day: length + 1) == nil)
      }
    }
    #expect(days == CalendarDate.maximum.days)
  }

  @Test(arguments: [
    ("0001-01-01", -719_162), ("1969-12-31", -1), ("1970-01-01", 0), ("2000-02-29", 11_016),
    ("2024-02-29", 19_782),
    ("9999-12-31", 2_932_896),
  ])
  func knownDays(text: String, days: Int64) {
    #expect(CalendarDate(text)?.days == Int32(days))
    #expect(CalendarDate(days: days)?.description == text)
  }

  @Test(arguments: [
    "", "2024", "2024-1-1", "2024-02-30", "2023-02-29", "1900-02-29", "0000-01-01", "10000-01-01",
    "-001-01-01", "2024-13-01",
    "2024-00-01", "2024-01-00", "2024-01-01 ", "2024/01/01", "20240101", "２０２４-01-01",
  ])
  func refuses(text: String) { #expect(CalendarDate(text) == nil) }

  @Test func refusesDaysOutside() {
    for days in [Int64.min, -719_163, 2_932_897, .max] { #expect(CalendarDate(days: days) == nil) }
    for part in [Int.min, -1, 0, .max] {
      #expect(CalendarDate(year: part, month: 1, day: 1) == nil)
      #expect(CalendarDate(year: 1, month: part, day: 1) == nil)
      #expect(CalendarDate(year: 1, month: 1, day: part) == nil)
    }
  }
}

@Suite struct TimestampTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.999999Z", -1), ("1970-01-01 00:00Z", 0),
    ("1970-01-01t00:00:01,5z", 1_500_000),
    ("1970-01-01T00:00:00.0000010000Z", 1), ("1970-01-01T01:00:00+01:00", 0),
    ("1970-01-01T01:30:00+0130", 0), ("1969-12-31T23:00:00-01", 0),
    ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
    ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
  ])
  func reads(text: String, microseconds: Int64) {
    #expect(Timestamp(text)?.microseconds == microseconds)
  }

  @Test(arguments: [
    "", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z",
    "1970-01-01T00:00:60Z", "1970-01-01T00:00:00.Z",
    "1970-01-01T00:00:00.0000001Z", "1970-01-01T00:00:00Z ", "1970-01-01T00:00:00+24:00",
    "1970-01-01T00:00:00+01:60", "1970-01-01T00:00:00+1",
    "1970-01-01T00:00:00+01:", "1970-01-01T00:00:00+01:0", "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01", "1970-01-01T0:00:00Z",
  ])
  func refuses(text: String) { #expect(Timestamp(text) == nil) }

  @Test func refusesTimesOutside() {
    #expect(Timestamp(microseconds: .min) == nil)
    #expect(Timestamp(microseconds: .max) == nil)
    #expect(Timestamp(microseconds: Timestamp.minimum.microseconds - 1) == nil)
    #expect(Timestamp(microseconds: Timestamp.maximum.microseconds + 1) == nil)
    #expect(Timestamp.minimum.description == "0001-01-01T00:00:00.000000Z")
    #expect(Timestamp.maximum.description == "9999-12-31T23:59:59.999999Z")
  }

  @Test(arguments: UInt64(0)..<10)
  func textOrderIsTimeOrder(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      let a = random.timestamp()
      let b = random.timestamp()
      #expect(Timestamp(a.description) == a)
      #expect((a < b) == (a.description.utf8.lexicographicallyPrecedes(b.description.utf8)))
    }
  }
}
