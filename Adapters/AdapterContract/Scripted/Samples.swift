import HeadwaterModel

/// Values that are hard to carry.
enum Samples {
  static let ints: [Value] = [
    .int(.min), .int(.min + 1), .int(-9_007_199_254_740_993), .int(-256), .int(-1), .int(0),
    .int(1), .int(255), .int(65_536), .int(9_007_199_254_740_993), .int(.max - 1), .int(.max),
  ]

  static let floats: [Value] = [
    .float(-.infinity), .float(-.greatestFiniteMagnitude), .float(-1.5), .float(-1),
    .float(-.leastNonzeroMagnitude), .float(0), .float(.leastNonzeroMagnitude),
    .float(.leastNormalMagnitude), .float(0.1), .float(1.0 / 3), .float(1), .float(.pi),
    .float(Double(sign: .plus, exponent: 53, significand: 1)), .float(1e21), .float(1e22),
    .float(1e23), .float(123_456_789.123_456_789), .float(Double(bitPattern: 0xF_FFFF_FFFF_FFFF)),
    .float(.greatestFiniteMagnitude), .float(.infinity),
  ]

  /// For `Decimal(38, 0)`.
  static let wideDecimals = decimals([
    "-99999999999999999999999999999999999999", "-9223372036854775809", "-10", "-1", "0", "1", "9",
    "10", "100", "9007199254740993", "18446744073709551616",
    "10000000000000000000000000000000000000", "99999999999999999999999999999999999999",
  ])

  /// For `Decimal(38, 38)`.
  static let fineDecimals = decimals([
    "-0.99999999999999999999999999999999999999", "-0.1",
    "-0.00000000000000000000000000000000000001", "0",
    "0.00000000000000000000000000000000000001", "0.01", "0.1", "0.5",
    "0.99999999999999999999999999999999999999",
  ])

  /// For `Decimal(15, 2)`.
  static let moneyDecimals = decimals([
    "-9999999999999.99", "-1234.5", "-10", "-1.01", "-1", "-0.99", "-0.01", "0", "0.01", "0.1",
    "0.99", "1", "1.1", "9.99", "10", "1234567890.12", "9999999999999.99",
  ])

  private static func decimals(_ texts: [String]) -> [Value] {
    texts.map { .decimal(ExactDecimal($0)!) }
  }

  /// Short enough for keys of `Text(200)`.
  static let texts: [Value] = [
    "", " ", "  two  ", "a", "A", "aa", "ab", "B", "b", "Z", "\u{E9}", "e\u{301}", "\u{1E9E}", "ß",
    "ﬃ", "🜚", "👩‍👩‍👧‍👦", "\u{FFFD}", "\u{FEFF}bom", "\u{10FFFF}", "\u{E000}", "\u{D7FF}", "日本語",
    "שלום", "\u{202E}right to left", "line\nbreak", "carriage\r\nreturn", "tab\tstop", "\u{1}",
    "\u{7F}",
    "\u{85}", "\u{2028}", "'", "''", "\"", "\"\"", "`", "\\", "\\\\", "\\n", "\\.", "%", "_",
    "100%_", "$1", "?1", ":name", "@at", "--", "/* no */", ";", "'); DROP TABLE x; --", "null",
    "NULL", "\\N", "true", "0", "00", "1e3", "-0", "0x1F", "NaN", "Infinity", "1.0", "1",
    "é\u{301}",
    "{\"a\": 1}", "[]", "<&>", "a,b", "a|b", "2024-02-30", "e", "é", "f",
  ].map { .text($0) }

  static let longTexts: [Value] =
    texts + [
      .text(String(repeating: "x", count: 1 << 20)), .text(String(repeating: "🜚", count: 10_000)),
      .text(String(repeating: "'\"\\%\n", count: 1_000)),
    ]

  static let bytes: [Value] = [
    .bytes([]), .bytes([0]), .bytes([0, 0]), .bytes([0, 1]), .bytes([0, 255]), .bytes([1]),
    .bytes([1, 0]), .bytes([0x27, 0x22, 0x5C]), .bytes([0x5C, 0x78]), .bytes([0x61]),
    .bytes([0x7F]), .bytes([0x80]), .bytes([0xC3, 0x28]), .bytes([0xFE, 0xFF]), .bytes([0xFF]),
    .bytes([0xFF, 0]), .bytes([0xFF, 0xFF]), .bytes(Array(0...127)), .bytes(Array(128...255)),
  ]

  static let longBytes: [Value] =
    bytes + [
      .bytes(Array(0...255)), .bytes([UInt8](repeating: 0, count: 5_000)),
      .bytes((0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }),
    ]

  static let dates: [Value] = [
    "0001-01-01", "0001-12-31", "0999-12-31", "1000-01-01", "1582-10-04", "1582-10-05",
    "1582-10-15", "1752-09-03", "1899-12-31", "1900-02-28", "1969-12-31", "1970-01-01",
    "2000-02-29",
    "2024-02-29", "2038-01-19", "9999-12-31",
  ].map { .date(CalendarDate($0)!) }

  static let timestamps: [Value] = [
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000001Z", "1582-10-10T12:00:00.123456Z",
    "1883-11-18T12:03:58.000001Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00.000001Z", "1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z",
    "2001-09-09T01:46:40.1Z", "2024-02-29T12:34:56.789Z", "2024-03-31T02:30:00Z",
    "2038-01-19T03:14:08Z", "2262-04-11T23:47:16.854776Z", "9999-12-31T23:59:59.999999Z",
  ].map { .timestamp(Timestamp($0)!) }

  static let uuids: [Value] = [
    "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001",
    "00112233-4455-6677-8899-aabbccddeeff", "7fffffff-ffff-ffff-ffff-ffffffffffff",
    "80000000-0000-0000-0000-000000000000", "deadbeef-0000-4000-8000-00000000cafe",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
  ].map { .uuid(UUIDBytes($0)!) }

  static let principals: [Value] = [0, 1, 0x7F, 0x80, 0xFF].map {
    .principal(Digest(bytes: [UInt8](repeating: $0, count: 32))!)
  }

  static let bools: [Value] = [.bool(false), .bool(true)]

  static let json: [Value] = [
    .null, .bool(true), .bool(false), .int(0), .int(.max), .int(.min), .int(9_007_199_254_740_993),
    .double(0.1), .double(-1.5e300), .double(.leastNonzeroMagnitude), .double(1e19),
    .double(1.7976931348623157e308),
    .string(""), .string("null"), .string("\"quoted\" \\ / \n \t \u{1} é e\u{301} 🜚"), .string("1"),
    .array([]), .object([]), .array([.array([]), .object([]), .null]), .array([.null, .null]),
    .array([.int(1), .double(1.5), .string("1"), .bool(true)]), nested(40),
    object([
      ("", .null), ("a", .int(1)), ("b", .array([object([("c", .null)])])), ("é", .string("é")),
    ]),
    object([
      ("B", .int(1)), ("a", .int(2)), ("aa", .int(3)), ("b", .int(4)), ("e\u{301}", .null),
      ("\u{E9}", .null),
    ]),
    object([("$oid", .string("x")), ("a.b", .int(1)), ("__proto__", .null), ("_id", .int(1))]),
  ].map { .json($0) }

  private static func object(_ members: [(String, JSON)]) -> JSON {
    JSON(members: members.map { JSON.Member($0.0, $0.1) })!
  }

  private static func nested(_ depth: Int) -> JSON {
    depth == 0
      ? .string("deep")
      : (depth % 2 == 0 ? .array([nested(depth - 1)]) : object([("n", nested(depth - 1))]))
  }

  /// Types that stand in columns and in keys, with their values.
  static let scalars: [(name: String, type: FieldType, values: [Value])] = [
    ("bool", .bool, bools), ("int", .int, ints),
    ("decimal-38-0", .decimal(precision: 38, scale: 0), wideDecimals),
    ("decimal-38-38", .decimal(precision: 38, scale: 38), fineDecimals),
    ("decimal-15-2", .decimal(precision: 15, scale: 2), moneyDecimals),
    ("text", .text(limit: 200), texts), ("bytes", .bytes(limit: 200), bytes),
    ("date", .date, dates), ("timestamp", .timestamp, timestamps), ("uuid", .uuid, uuids),
    ("principal", .principal, principals),
  ]

  /// Types that stand in columns only.
  static let others: [(name: String, type: FieldType, values: [Value])] = [
    ("float", .float, floats), ("text-unbounded", .text(limit: nil), longTexts),
    ("bytes-unbounded", .bytes(limit: nil), longBytes), ("json", .json, json),
  ]
}
