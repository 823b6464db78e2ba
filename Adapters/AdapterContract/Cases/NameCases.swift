import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  private static let words = [
    "select", "table", "order", "user", "group", "from", "where", "index", "primary", "key",
    "default", "values", "null", "check", "limit", "references", "rowid", "oid", "ctid", "xmin",
    "tableoid", "_id", "id", "generation", "checkpoint", "position", "count", "new", "old",
  ]

  private static let strange = [
    "with space", " leading", "trailing ", "double\"quote", "single'quote", "per%cent",
    "semi;colon",
    "back\\slash", "dot.ted", "dash-ed", "$dollar", "?mark", "@at", "[brackets]", "(parens)",
    "slash/ed",
    "..", "null", "é", "ß", "🜚", "日本", "1digit", "-- no", "/* no */",
  ]

  private static let prefixed = [
    "sqlite_master", "sqlite_x", "pg_class", "pg_x", "headwater_x", "headwater", "_headwater",
    "_x", "__", "_", "sys", "information_schema", "public", "main", "temp",
  ]

  static let nameCases: [Case] = [
    Case("names.reserved", "Words of the sink's language name collections, fields and cases") {
      run in
      try await names(run, words)
    },
    Case("names.strange", "So do spaces, quotes, percent signs, emoji and the like") { run in
      try await names(run, strange)
    },
    Case("names.prefixed", "So do names that look like the sink's own, or the adapter's") { run in
      try await names(run, prefixed)
    },
    Case("names.long", "Names of up to 128 bytes that share their first 63 are different names") {
      run in
      let stem = String(repeating: "x", count: 63)
      let long = String(repeating: "y", count: 119)
      try await names(
        run, [stem, stem + "a", stem + "b", stem + "A", long, long + "1", long + "12345678"])
    },
    Case("names.case", "Names that differ only in case are different names") { run in
      try await names(
        run, ["name", "Name", "NAME", "nAME", "straße", "STRASSE", "i", "I", "ı", "İ"])
    },
    Case("names.collide", "Names that run together when they are joined stay apart") { run in
      let sketch = SchemaSketch(
        records: [
          ("R", [.optional("c", .int), .optional("b_c", .int)]),
          ("S", [.optional("c", .int)]),
        ],
        collections: [
          (
            "A",
            [
              .key("id", .int), .optional("a_b", .record("S")), .optional("a", .record("R")),
              .optional("a_b_c", .int), .optional("a_c", .int),
            ]
          ),
          ("A_b", [.key("id", .int)]),
          ("a_B", [.key("id", .int), .optional("b", .reference("A_b"))]),
        ])
      func value(_ n: Int64) -> Value? { .int(n) }
      try await play(
        run, sketch: sketch,
        [
          [
            .put(
              0,
              Row([.int(1), .record([value(2)]), .record([value(3), value(4)]), .int(5), .int(6)])),
            .put(0, Row([.int(2), .record([nil]), .record([nil, value(4)]), nil, .int(6)])),
            .put(0, Row([.int(3), nil, .record([nil, nil]), .int(5), nil])),
            .put(1, Row([.int(1)])), .put(2, Row([.int(1), .reference(Key([.int(1)]))])),
          ],
          [
            .put(0, Row([.int(1), nil, nil, nil, nil])),
            .put(0, Row([.int(2), .record([value(9)]), nil, nil, nil])),
          ],
        ])
    },
  ]

  /// Each name for a collection, for fields with every attribute, for a record and its field, an enum and its case.
  private static func names(_ run: ContractRun, _ names: [String]) async throws {
    var sketch = SchemaSketch(name: "Names")
    sketch.enums = [("AllCases", names)]
    sketch.records = [("AllParts", names.map { .optional($0, .int) })]
    for (index, name) in names.enumerated() {
      let next = names[(index + 1) % names.count]
      sketch.collections.append(
        (
          name,
          [
            .key(name, .text(limit: 20)), .unique(name + "u", .int), .indexed(name + "i", .int),
            .optional(name + "r", .reference(next)),
          ]
        ))
    }
    sketch.collections.append(
      ("AllFields", [.key("number", .int)] + names.map { .optional($0 + "f", .text(limit: nil)) }))
    sketch.collections.append(
      (
        "AllTypes",
        [
          .key("number", .int), .field("kind", .enumeration("AllCases")),
          .optional("parts", .record("AllParts")),
        ]
      ))
    let fields = names.count
    let types = fields + 1
    var first: [ScriptedSource.Write] = []
    var second: [ScriptedSource.Write] = []
    for (index, name) in names.enumerated() {
      let number = Int64(index)
      let key = Value.reference(Key([.text("k\((index + 1) % names.count)")]))
      first.append(.put(index, Row([.text("k\(index)"), .int(number), .int(7), key])))
      second.append(.put(index, Row([.text("k\(index)"), .int(-number - 1), .int(8), nil])))
      second.append(.put(index, Row([.text("l\(index)"), .int(number), .int(8), key])))
      var values: [Value?] = names.map { _ in nil }
      values[index] = .text(name)
      first.append(.put(fields, Row([.int(number)] + values)))
      values[(index + 1) % names.count] = .text("too")
      second.append(.put(fields, Row([.int(number)] + values)))
      let parts = names.indices.map { $0 == index ? nil : Value.int(Int64($0)) }
      first.append(.put(types, Row([.int(number), .text(name), .record(parts)])))
      second.append(.put(types, Row([.int(number), .text(names[0]), nil])))
    }
    try await play(run, sketch: sketch, [first, second])
  }
}
