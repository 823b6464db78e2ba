import Foundation
import Headwater
import HeadwaterPostgres
import Testing

/// The values at the edges of every type, from a store to the server and back; and what the store refuses, because no
/// server could hold it. A mirror must never stop at a row.
@Suite struct ExtremeValueTests {
  private let signer = SigningKey.generate()

  private func store(_ schema: String) throws -> Store {
    try Headwater.create(at: nil, schema: try Schema.parse(schema), as: signer)
  }

  private func mirror(_ store: Store, _ place: Place, _ more: String = "") throws -> Mirror {
    Mirror(
      name: "m", sink: "s", source: store.changes,
      adapter: PostgresAdapter(try place.feeder(more: more).adapter.configuration))
  }

  private func write(_ store: Store, _ rows: [Row]) async throws {
    try await store.write(as: signer) { draft in
      for row in rows { try draft.create(collection: 0, row: row) }
    }
  }

  /// Writes half of the values before the snapshot and half after, and compares: through the adapter row by row, and
  /// as the server writes each down.
  private func roundTrip(
    _ type: String, _ values: [(value: Value, shown: String)], column: String = "v",
    location: SourceLocation = #_sourceLocation
  ) async throws {
    let place = try await Place()
    let store = try store(
      "schema S\nallow everything\ncollection T {\n  id: Int @key\n  v: \(type)\n  w: \(type)?\n}")
    let rows = values.enumerated().map { index, item in
      Row([.int(Int64(index)), item.value, index % 2 == 0 ? nil : item.value])
    }
    let half = rows.count / 2
    try await write(store, Array(rows[..<half]))
    let mirror = try mirror(store, place)
    _ = try await mirror.synchronise()
    try await write(store, Array(rows[half...]))
    _ = try await mirror.synchronise()
    let compared = try await mirror.verify()
    #expect(compared.isEqual, "\(compared)", sourceLocation: location)
    #expect(compared.rows == rows.count, sourceLocation: location)
    let adapter = PostgresAdapter(try place.feeder().adapter.configuration)
    let found = try await adapter.rows(of: 0, in: store.schema, after: nil, limit: 10_000)
    #expect(found == rows, sourceLocation: location)
    let look = place.look
    _ = try look.execute("SET extra_float_digits = 1; SET timezone = 'UTC'; SET datestyle = 'ISO'")
    #expect(
      try look.table("SELECT \(column) FROM \(place.schema).t ORDER BY id")
        == values.map(\.shown), sourceLocation: location)
  }

  private func refused(_ type: String, _ value: Value, because text: String) async throws {
    let store = try store(
      "schema S\nallow everything\ncollection T {\n  id: Int @key\n  v: \(type)\n}")
    do {
      try await write(store, [Row([.int(1), value])])
      Issue.record("\(type) took \(value)")
    } catch let error as StoreError {
      #expect(error.message.contains(text), "\(error.message)")
    }
  }

  @Test func integers() async throws {
    try await roundTrip(
      "Int",
      [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max].map { (.int($0), String($0)) })
  }

  @Test func decimals() async throws {
    let nines = String(repeating: "9", count: 38)
    try await roundTrip(
      "Decimal(38, 0)",
      [
        nines, "-" + nines, "1" + String(repeating: "0", count: 37), "0", "1", "-1", "10000",
        "9999",
      ]
      .map { (.decimal(ExactDecimal($0)!), $0) })
    let smallest = "0." + String(repeating: "0", count: 37) + "1"
    try await roundTrip(
      "Decimal(38, 38)",
      [
        "0." + nines, "-0." + nines, smallest, "-" + smallest,
        "0.1" + String(repeating: "0", count: 37),
      ]
      .map { (.decimal(ExactDecimal($0)!), $0) })
    try await roundTrip(
      "Decimal(38, 19)",
      [
        "9999999999999999999.9999999999999999999", "-0.0000000000000000001",
        "1000000000000000000.0000000000000000000",
      ].map { (.decimal(ExactDecimal($0)!), $0) })
    try await refused(
      "Decimal(38, 0)", .decimal(ExactDecimal("0.5")!), because: "does not fit Decimal(38, 0)")
    try await refused(
      "Decimal(4, 2)", .decimal(ExactDecimal("100")!), because: "does not fit Decimal(4, 2)")
    #expect(ExactDecimal("1" + String(repeating: "0", count: 38)) == nil)
  }

  @Test func floats() async throws {
    let values: [(Value, String)] = [
      (.float(.leastNonzeroMagnitude), "5e-324"), (.float(-.leastNonzeroMagnitude), "-5e-324"),
      (.float(Double(bitPattern: 0xF_FFFF_FFFF_FFFF)), "2.225073858507201e-308"),
      (.float(.leastNormalMagnitude), "2.2250738585072014e-308"),
      (.float(.greatestFiniteMagnitude), "1.7976931348623157e+308"),
      (.float(-.greatestFiniteMagnitude), "-1.7976931348623157e+308"),
      (.float(.infinity), "Infinity"), (.float(-.infinity), "-Infinity"), (.float(0), "0"),
      (.float(0.1), "0.1"), (.float(0.1 + 0.2), "0.30000000000000004"),
      (.float(1e23), "9.999999999999999e+22"),
      (.float(9_007_199_254_740_992), "9.007199254740992e+15"),
      (.float(1.0 / 3), "0.3333333333333333"),
    ]
    try await roundTrip("Float", values)
    try await refused("Float", .float(.nan), because: "NaN")
    try await refused("Float", .float(-0.0), because: "zero has no sign")
    // As text it is a zero like any other.
    #expect(try JSON(text: "-0.0") == .int(0))
  }

  @Test func dates() async throws {
    try await roundTrip(
      "Date",
      ["0001-01-01", "0001-12-31", "1582-10-10", "1970-01-01", "2000-02-29", "9999-12-31"]
        .map { (.date(CalendarDate($0)!), $0) })
    // PostgreSQL could hold these; the schema language has no such day.
    for text in [
      "0000-12-31", "-0044-03-15", "10000-01-01", "294277-01-01", "infinity", "0044-03-15 BC",
    ] {
      #expect(CalendarDate(text) == nil, "\(text)")
    }
    #expect(CalendarDate(days: Int64.max) == nil)
    #expect(CalendarDate(days: Int64.min) == nil)
  }

  @Test func timestamps() async throws {
    try await roundTrip(
      "Timestamp",
      [
        ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00+00"),
        ("0001-01-01T00:00:00.000001Z", "0001-01-01 00:00:00.000001+00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999+00"),
        ("1999-12-31T23:59:59.999999Z", "1999-12-31 23:59:59.999999+00"),
        ("2000-01-01T00:00:00Z", "2000-01-01 00:00:00+00"),
        ("2016-12-31T23:59:59.5Z", "2016-12-31 23:59:59.5+00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999+00"),
      ].map { (.timestamp(Timestamp($0.0)!), $0.1) })
    for text in [
      "10000-01-01T00:00:00Z", "294277-01-09T04:00:54.775807Z", "-0001-01-01T00:00:00Z", "infinity",
      "0000-12-31T23:59:59.999999Z",
    ] {
      #expect(Timestamp(text) == nil, "\(text)")
    }
    #expect(Timestamp(microseconds: Int64.max) == nil)
    #expect(Timestamp(microseconds: Int64.min) == nil)
  }

  @Test func texts() async throws {
    let texts = [
      "", " ", "\u{1}", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{FFFE}", "\u{FFFF}",
      "\u{10000}", "\u{1F600}", "\u{10FFFF}", "\\u0000", "\\000", "\\x00", "\\.", "\\N",
      "e\u{301}", "é", String(repeating: "\u{1F600}", count: 100_000),
    ]
    try await roundTrip("Text", texts.map { (.text($0), $0) })
    try await refused("Text", .text("a\u{0}b"), because: "U+0000")
    // Four bytes each, as many as the type allows, and one more.
    let full = String(repeating: "\u{10FFFF}", count: 16)
    try await roundTrip("Text(16)", [(.text(full), full), (.text(""), "")])
    try await refused("Text(16)", .text(full + "x"), because: "more than 16 characters")
  }

  @Test func bytes() async throws {
    try await roundTrip(
      "Bytes",
      [(.bytes([]), "\\x"), (.bytes([0]), "\\x00"), (.bytes([0, 255, 92]), "\\x00ff5c")],
      column: "'\\x' || encode(v, 'hex')")
  }

  @Test func json() async throws {
    func text(_ text: String) throws -> JSON { try JSON(text: text) }
    let values: [(String, String)] = [
      (#"{"a":"\\u0000"}"#, #"{"a": "\\u0000"}"#), (#""\\ud800""#, #""\\ud800""#),
      (#""\ud83d\ude00""#, "\"\u{1F600}\""), ("\"\u{FFFF}\"", "\"\u{FFFF}\""), (#""""#, #""""#),
      (#"{"":{"":[]}}"#, #"{"": {"": []}}"#), ("9223372036854775807", "9223372036854775807"),
      ("-9223372036854775808", "-9223372036854775808"), ("0.1", "0.1"),
      ("1e300", "1" + String(repeating: "0", count: 300)),
      ("5e-324", "0." + String(repeating: "0", count: 323) + "5"), ("null", "null"), ("-0.0", "0"),
      ("1.0", "1"), (#""\u0001""#, #""\u0001""#),
    ]
    try await roundTrip("JSON", try values.map { (.json(try text($0.0)), $0.1) })
    for bad in [
      #""\u0000""#, #"{"\u0000":1}"#, #"{"a":["b","\u0000"]}"#, #""\ud800""#, #""\udc00""#,
      #""\ud800\ud800""#, #""\ud83dx""#, "1e400", "-1e400", "NaN", "Infinity", "{\"a\":1,\"a\":2}",
    ] {
      #expect(throws: (any Error).self, "\(bad)") { try text(bad) }
    }
    // Past the parser, as an application could.
    try await refused("JSON", .json(.string("a\u{0}")), because: "U+0000")
    try await refused(
      "JSON", .json(.array([.object([JSON.Member("\u{0}", .null)])])), because: "U+0000")
    try await refused("JSON", .json(.double(.infinity)), because: "infinity")
    try await refused("JSON", .json(.double(.nan)), because: "NaN")
  }

  @Test func deepAndLongJSON() async throws {
    var deep = JSON.string("bottom")
    for level in 0..<JSON.maximumDepth {
      deep = level % 2 == 0 ? .array([deep]) : .object([JSON.Member("d", deep)])
    }
    let place = try await Place()
    let store = try store("schema S\nallow everything\ncollection T { id: Int @key  v: JSON }")
    let long = JSON.array((0..<100_000).map { .int($0) })
    let name = String(repeating: "n", count: 1 << 20)
    try await write(
      store,
      [
        Row([.int(1), .json(deep)]), Row([.int(2), .json(long)]),
        Row([.int(3), .json(.object([JSON.Member(name, .string(name))]))]),
      ])
    let mirror = try mirror(store, place)
    _ = try await mirror.synchronise()
    #expect(try await mirror.verify().isEqual)
    try await refused("JSON", .json(.array([deep])), because: "nested deeper")
  }

  @Test func keysAtTheirLongest() async throws {
    let place = try await Place()
    let store = try store(
      "schema S\nallow everything\ncollection T { id: Text(250) @key  next: T? }")
    func key(_ last: Unicode.Scalar) -> String {
      String(String.UnicodeScalarView(Array(repeating: "\u{10FFFF}", count: 249) + [last]))
    }
    let keys = ["\u{10FFFE}", "a", "\u{E000}"].map(key)
    try await write(store, keys.map { Row([.text($0), .reference(Key([.text(keys[0])]))]) })
    let mirror = try mirror(store, place)
    _ = try await mirror.synchronise()
    #expect(try await mirror.verify().isEqual)
  }

  /// A page of PostgreSQL holds a row, or the row is refused; so tables of which a row may not fit are refused at once.
  @Test func tablesThatAreTooWide() async throws {
    func fields(_ count: Int, _ type: String) -> String {
      (0..<count).map { "  f\($0): \(type)\n" }.joined()
    }
    let record = "record R {\n\(fields(800, "Bool?"))}\n"
    for (count, type) in [(400, "Text"), (350, "Decimal(38, 2)"), (550, "UUID"), (3, "R")] {
      let place = try await Place()
      let store = try store(
        "schema S\nallow everything\n\(record)collection T {\n  id: Int @key\n\(fields(count, type))}"
      )
      do {
        _ = try await mirror(store, place).synchronise()
        Issue.record("\(count) fields of \(type) were accepted")
      } catch let error as MirrorError {
        let cause = try #require(error.cause as? AdapterError)
        #expect(cause.code == .unsupported, "\(cause)")
        #expect(cause.recovery == .halt)
        #expect(cause.message.contains("the collection T"), "\(cause)")
      }
    }
    // What is not refused is carried, every column as long as hurts most.
    for (count, type, value) in [
      (320, "Text", Value.text(String(repeating: "x", count: 23))), (990, "Int", .int(.max)),
      (332, "Decimal(38, 2)", .decimal(ExactDecimal(coefficient: .init(Int64.max), scale: 2)!)),
    ] {
      let place = try await Place()
      let store = try store(
        "schema S\nallow everything\ncollection T {\n  id: Int @key\n\(fields(count, type))}")
      try await write(store, [Row([.int(1)] + Array(repeating: value, count: count))])
      let mirror = try mirror(store, place)
      _ = try await mirror.synchronise()
      try await write(store, [Row([.int(2)] + Array(repeating: value, count: count))])
      _ = try await mirror.synchronise()
      #expect(try await mirror.verify().isEqual, "\(count) fields of \(type)")
    }
  }
}
