import Foundation
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver
import Testing

@testable import HeadwaterModel

@Suite struct ValueTests {
  let folder = Folder()

  /// Every register type, plain and optional, in records and keys.
  static let types: [FieldType] = [
    .bool, .int, .float, .decimal(precision: 15, scale: 4), .decimal(precision: 15, scale: 15),
    .decimal(precision: 1, scale: 0), .decimal(precision: 16, scale: 2),
    .decimal(precision: 38, scale: 38), .decimal(precision: 38, scale: 0), .text(limit: nil),
    .text(limit: 5), .bytes(limit: nil), .bytes(limit: 3), .date, .timestamp, .uuid, .json,
    .principal, .enumeration("Color"), .record("Size"), .reference("Pair"),
  ]

  static let everything = schema(
    [
      collection(
        "All",
        [field("id", .int, key: true)]
          + types.enumerated().map { field("f\($0)", $1) }
          + types.enumerated().map { field("o\($0)", .optional($1)) }),
      collection(
        "Pair",
        [field("a", .text(limit: 9), key: true), field("b", .reference("Single"), key: true)]),
      collection("Single", [field("id", .decimal(precision: 20, scale: 3), key: true)]),
    ],
    records: [
      RecordType(
        name: "Size", documentation: nil,
        fields: [
          field("width", .int), field("height", .optional(.float)),
          field("unit", .optional(.record("Unit"))),
        ]),
      RecordType(
        name: "Unit", documentation: nil,
        fields: [field("name", .optional(.text(limit: nil))), field("base", .optional(.bool))]),
    ],
    enums: [
      EnumType(
        name: "Color", documentation: nil,
        cases: ["red", "it's", "grün"].map { EnumType.Case(name: $0, documentation: nil) })
    ])

  @Test(arguments: [1, 2] as [UInt64])
  func everyValueComesBack(seed: UInt64) async throws {
    let schema = ValueTests.everything
    var random = Seeded(state: seed)
    var singles: Set<Value> = []
    while singles.count < 20 {
      singles.formUnion(samples(.decimal(precision: 20, scale: 3), schema, &random))
    }
    let singleRows = singles.map { Row([$0]) }
    var pairs: Set<Key> = []
    for single in singles.prefix(8) {
      for text in ["", "a", "b\u{1}", "\u{10FFFF}", "é", "e\u{301}", "zz"] {
        pairs.insert(Key([.text(text), .reference(Key([single]))]))
      }
    }
    let pairRows = pairs.map { Row($0.values) }
    var rows: [Row] = []
    let choicesOfType = Dictionary(
      uniqueKeysWithValues: ValueTests.types.map { ($0, samples($0, schema, &random)) })
    for id in 0..<60 {
      var values: [Value?] = [.int(Int64(id))]
      for type in ValueTests.types + ValueTests.types.map({ FieldType.optional($0) }) {
        if type.isOptional, Int.random(in: 0..<3, using: &random) == 0 {
          values.append(nil)
        } else if case .reference = type.wrapped {
          values.append(.reference(pairs.randomElement(using: &random)!))
        } else {
          let choices = choicesOfType[type.wrapped]!
          values.append(choices[id % choices.count])
        }
      }
      rows.append(Row(values))
    }
    let adapter = SQLiteAdapter(path: folder.file)
    var feeder = Feeder(adapter, schema)
    try await feeder.publish(
      1,
      rows.map { put(0, schema, $0) } + pairRows.map { put(1, schema, $0) }
        + singleRows.map { put(2, schema, $0) })
    for (index, expected) in [rows, pairRows, singleRows].enumerated() {
      let type = schema.collections[index]
      let sorted = inKeyOrder(expected, type)
      for limit in [7, 1_000] {
        var found: [Row] = []
        while true {
          let page = try await adapter.rows(
            of: index, in: schema, after: found.last.map { type.key(of: $0)! }, limit: limit)
          found += page
          if page.count < limit { break }
        }
        #expect(found == sorted)
      }
    }
    let reader = try folder.connection()
    // The checks are not enforced on the mirror's own connection; here they are.
    #expect(try reader.table("PRAGMA integrity_check") == ["ok"])
    #expect(try reader.table("PRAGMA foreign_key_check") == [])
  }

  @Test func keysOfEveryTypeAreInOrder() async throws {
    var random = Seeded(state: 9)
    for type in ValueTests.types {
      switch type {
      case .json, .record, .reference: continue
      default: break
      }
      let schema = schema(
        [
          collection(
            "K", [field("k", type, key: true), field("z", .int, key: true), field("v", .int)])
        ],
        enums: ValueTests.everything.enums)
      var keys: Set<Value> = []
      for _ in 0..<10 { keys.formUnion(samples(type, schema, &random)) }
      let rows = keys.flatMap { key in [1, -1].map { Row([key, .int($0), .int(0)]) } }
      let folder = Folder()
      let adapter = SQLiteAdapter(path: folder.file)
      var feeder = Feeder(adapter, schema)
      try await feeder.publish(1, rows.map { put(0, schema, $0) })
      var found: [Row] = []
      while true {
        let page = try await adapter.rows(
          of: 0, in: schema, after: found.last.map { schema.collections[0].key(of: $0)! }, limit: 4)
        found += page
        if page.count < 4 { break }
      }
      #expect(
        found == inKeyOrder(rows, schema.collections[0]), "\(type)")
      try await feeder.apply(rows.map { remove(0, schema, $0) }, tail: 1)
      #expect(try await adapter.rows(of: 0, in: schema, after: nil, limit: 9).isEmpty)
    }
  }

  /// Decimals of fifteen digits through a double and back.
  @Test func decimalsOfFifteenDigitsAreExact() throws {
    var random = Seeded(state: 5)
    var wrong = 0
    for _ in 0..<5_000 {
      let digits = Int.random(in: 1...15, using: &random)
      let scale = Int.random(in: 0...15, using: &random)
      var bound: Int64 = 1
      for _ in 0..<digits { bound *= 10 }
      let coefficient = Int64.random(in: (1 - bound)...(bound - 1), using: &random)
      let value = ExactDecimal(coefficient: Int128(coefficient), scale: scale)!
      guard value.fits(precision: 15, scale: scale) else { continue }
      if SQLiteAdapter.storedDecimal(value, precision: 15, scale: scale) != value { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test func whatUsersSee() async throws {
    let schema = schema([
      collection(
        "Thing",
        [
          field("id", .uuid, key: true), field("on", .bool),
          field("price", .decimal(precision: 9, scale: 2)),
          field("huge", .decimal(precision: 30, scale: 2)), field("day", .date),
          field("at", .timestamp), field("spec", .optional(.json)), field("by", .principal),
        ])
    ])
    var feeder = Feeder(SQLiteAdapter(path: folder.file), schema)
    try await feeder.publish(
      1,
      [
        put(
          0, schema,
          Row([
            .uuid(UUIDBytes("0123456789abcdef0123456789abcdef")!), .bool(true),
            .decimal(ExactDecimal("19.90")!),
            .decimal(ExactDecimal("-1234567890123456789012345678.5")!),
            .date(CalendarDate("2024-02-29")!), .timestamp(Timestamp("2024-02-29T23:59:59.5Z")!),
            .json(try JSON(text: #"{"b": [1, 2.5], "a": "ü"}"#)), .principal(.zero),
          ]))
      ])
    let reader = try folder.connection()
    #expect(
      try reader.table("SELECT id, \"on\", price, huge, day, at, spec FROM Thing") == [
        "01234567-89ab-cdef-0123-456789abcdef|1|19.9|-1234567890123456789012345678.50|2024-02-29|"
          + #"2024-02-29T23:59:59.500000Z|{"a":"ü","b":[1,2.5]}"#
      ])
    #expect(
      try reader.table(
        "SELECT spec ->> '$.b[1]', date(day, '+1 day'), strftime('%H', at), price = 19.9, "
          + "typeof(price), length(\"by\") FROM Thing") == ["2.5|2024-03-01|23|1|real|64"])
  }
}

private func inKeyOrder(_ rows: [Row], _ type: CollectionType) -> [Row] {
  rows.map { (KeyEncoding.encode(type.key(of: $0)!), $0) }
    .sorted { $0.0.lexicographicallyPrecedes($1.0) }.map(\.1)
}

/// Values of a type, extremes first.
private func samples(
  _ type: FieldType, _ schema: Schema, _ random: inout Seeded
) -> [Value] {
  switch type.wrapped {
  case .bool: return [.bool(true), .bool(false)]
  case .int:
    return [.min, .max, 0, -1, Int64(truncatingIfNeeded: random.next())].map { .int($0) }
  case .float:
    return [
      Double.infinity, -.infinity, 0, 1, -1.5, .greatestFiniteMagnitude, .leastNonzeroMagnitude,
      0.1,
      9_007_199_254_740_992, 1e300, Double(bitPattern: random.next() & 0x7FEF_FFFF_FFFF_FFFF),
    ].map { Value.number($0)! }
  case .decimal(let precision, let scale):
    let nines = String(repeating: "9", count: precision)
    let most = ExactDecimal(coefficient: Int128(nines)!, scale: scale)!
    var out: [ExactDecimal] = [
      most, most.negated, ExactDecimal(0), ExactDecimal(coefficient: 1, scale: scale)!,
      ExactDecimal(coefficient: -1, scale: scale)!,
    ]
    for _ in 0..<6 {
      let digits = Int.random(in: 1...precision, using: &random)
      let text = (0..<digits).map { _ in String(Int.random(in: 0...9, using: &random)) }.joined()
      let sign: Int128 = Bool.random(using: &random) ? 1 : -1
      out.append(ExactDecimal(coefficient: sign * Int128(text)!, scale: scale)!)
    }
    return out.map { .decimal($0) }
  case .text(let limit):
    let long =
      limit.map { String(repeating: "🦆", count: $0) } ?? String(repeating: "ä", count: 7_000)
    return [
      "", long, "a", "A", "'\"", "é", "e\u{301}", "\u{1}\u{7F}", "\u{FFFF}", "\u{10FFFF}", "1",
    ]
    .map { .text($0) }
  case .bytes(let limit):
    return [[], [0], [0, 0], [0, 255], [255], [UInt8](repeating: 0, count: limit ?? 100_000)]
      .map { .bytes($0) }
  case .date:
    return [.minimum, .maximum, CalendarDate(days: 0)!, CalendarDate("2024-02-29")!].map {
      .date($0)
    }
  case .timestamp:
    return [
      .minimum, .maximum, Timestamp(microseconds: 0)!, Timestamp(microseconds: -1)!,
      Timestamp(microseconds: Int64(random.next() % 4_000_000_000_000_000))!,
    ].map { .timestamp($0) }
  case .uuid:
    return [
      [UInt8](repeating: 0, count: 16), [UInt8](repeating: 255, count: 16),
      (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) },
    ].map { .uuid(UUIDBytes(bytes: $0)!) }
  case .json:
    return [
      "null", "true", "0", "-9223372036854775808", "1e300", "0.1", "\"\"", #""\u0001\"\\ü🦆""#, "[]",
      "{}", #"{"b":{"a":[null,{}]},"a":1.5}"#,
    ].map { .json(try! JSON(text: $0)) }
  case .principal:
    return [
      [UInt8](repeating: 0, count: 32), [UInt8](repeating: 255, count: 32),
      (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) },
    ].map { .principal(Digest(bytes: $0)!) }
  case .enumeration(let name): return schema.enumeration(named: name)!.cases.map { .text($0.name) }
  case .record(let name):
    let record = schema.record(named: name)!
    return (0..<12).map { round in
      .record(
        record.fields.map { field in
          if field.type.isOptional, Bool.random(using: &random) { return nil }
          let choices = samples(field.type, schema, &random)
          return choices[round % choices.count]
        })
    }
  default: return []
  }
}
