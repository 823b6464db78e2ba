import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  static let valueCases: [Case] =
    (Samples.scalars + Samples.others).map { sample in
      Case("values.\(sample.name)", "Every value of \(sample.type) is read back exactly") { run in
        try await columns(run, sample.type, sample.values)
      }
    }
    + Samples.scalars.map { sample in
      Case("keys.\(sample.name)", "\(sample.type) in keys: distinct, found again, and in order") {
        run in
        try await keys(run, sample.type, sample.values)
      }
    } + [
      Case("values.enum", "Cases of an enum, also those that read like words of the sink") { run in
        let cases = ["owner", "Owner", "null", "select", "with space", "é", "it's", "x\"y"]
        try await columns(
          run, .enumeration("Kind"), cases.map { .text($0) }, enums: [("Kind", cases)])
      },
      Case("keys.enum", "Cases of an enum in keys") { run in
        let cases = ["owner", "Owner", "null", "select", "with space", "é", "it's", "x\"y"]
        try await keys(run, .enumeration("Kind"), cases.map { .text($0) }, enums: [("Kind", cases)])
      },
      Case("values.record", "Records, nested and optional: absent, and present but empty") { run in
        try await records(run)
      },
      Case("values.reference", "References to keys of several fields, and to keys of references") {
        run in
        try await references(run)
      },
      Case("values.generated-key", "Rows with generated ids, and references to them") { run in
        let sketch = SchemaSketch(
          collections: [
            ("Thing", [.field("label", .text(limit: nil)), .optional("next", .reference("Thing"))])
          ])
        let ids = Samples.uuids
        try await play(
          run, sketch: sketch,
          [
            ids.map { .put(0, Row([$0, .text("first"), nil])) },
            ids.enumerated().map { index, id in
              .put(0, Row([id, .text("\(index)"), .reference(Key([ids[ids.count - 1 - index]]))]))
            },
            [.delete(0, Key([ids[0]])), .put(0, Row([ids[ids.count - 1], .text("last"), nil]))],
          ])
      },
    ]

  /// Each value in a field that must be there and in one that may be absent, written as a row and over another.
  private static func columns(
    _ run: ContractRun, _ type: FieldType, _ values: [Value],
    enums: [(name: String, cases: [String])] = []
  ) async throws {
    let sketch = SchemaSketch(
      enums: enums,
      collections: [
        ("Sample", [.key("id", .int), .field("required", type), .optional("maybe", type)])
      ])
    let source = ScriptedSource(schema: try sketch.schema())
    func write(_ id: Int, _ required: Value, _ maybe: Value?) -> ScriptedSource.Write {
      .put(0, Row([.int(Int64(id)), required, maybe]))
    }
    for (index, value) in values.enumerated() {
      source.commit([write(index * 2, value, value), write(index * 2 + 1, value, nil)])
    }
    let sink = try await run.makeSink()
    try await run.synchronise(sink, source, options: .large, "after a snapshot")
    for (index, value) in values.enumerated() {
      let next = values[(index + 1) % values.count]
      source.commit([write(index * 2, next, nil), write(index * 2 + 1, next, value)])
    }
    try await run.synchronise(sink, source, options: .large, "after updates")
    for index in values.indices where index % 3 == 0 {
      source.commit([.delete(0, Key([.int(Int64(index * 2))]))])
      source.commit([write(1_000 + index, values[index], values[values.count - 1 - index])])
    }
    try await run.synchronise(sink, source, options: .large, "after deletes and inserts")
  }

  /// Each value as a key alone, and as the second field of a key.
  private static func keys(
    _ run: ContractRun, _ type: FieldType, _ values: [Value],
    enums: [(name: String, cases: [String])] = []
  ) async throws {
    let sketch = SchemaSketch(
      enums: enums,
      collections: [
        ("One", [.key("id", type), .field("note", .int)]),
        ("Two", [.key("first", .bool), .key("second", type), .field("note", .int)]),
        ("Link", [.key("id", .int), .field("one", .reference("One"))]),
      ])
    let source = ScriptedSource(schema: try sketch.schema())
    func write(_ value: Value, _ note: Int) -> [ScriptedSource.Write] {
      let note = Value.int(Int64(note))
      return [
        .put(0, Row([value, note])), .put(1, Row([.bool(true), value, note])),
        .put(1, Row([.bool(false), value, note])), .put(2, Row([note, .reference(Key([value]))])),
      ]
    }
    var generator = SeededGenerator(seed: 11)
    var distinct: [Value] = []
    for value in values where !distinct.contains(value) { distinct.append(value) }
    let sink = try await run.makeSink()
    try await run.synchronise(sink, source, options: .large)
    for (index, value) in distinct.shuffled(using: &generator).enumerated() {
      source.commit(write(value, index))
    }
    try await run.synchronise(sink, source, options: .large, "after inserting keys")
    try run.expect(
      source.visibleRows(of: 0).count == distinct.count, "as many rows as there are keys")
    for (index, value) in distinct.enumerated() where index % 2 == 0 {
      source.commit([
        .put(0, Row([value, .int(-1)])), .delete(1, Key([.bool(true), value])),
      ])
    }
    try await run.synchronise(sink, source, options: .large, "after changing by key")
    let other = try await run.makeSink()
    try await run.synchronise(other, source, "after a snapshot in small pages")
  }

  private static func records(_ run: ContractRun) async throws {
    let sketch = SchemaSketch(
      enums: [("Unit", ["mm", "inch"])],
      records: [
        ("Point", [.optional("x", .int), .optional("y", .int)]),
        (
          "Size",
          [
            .field("width", .decimal(precision: 8, scale: 2)), .field("unit", .enumeration("Unit")),
            .optional("label", .text(limit: nil)),
          ]
        ),
        (
          "Place",
          [
            .field("name", .text(limit: nil)), .field("at", .record("Point")),
            .optional("corner", .record("Point")), .optional("size", .record("Size")),
            .optional("owner", .reference("Thing")),
          ]
        ),
      ],
      collections: [
        (
          "Thing",
          [
            .key("id", .int), .field("origin", .record("Point")),
            .optional("place", .record("Place")), .optional("spot", .record("Point")),
          ]
        )
      ])
    let empty = Value.record([nil, nil])
    let point = Value.record([.int(1), nil])
    let full = Value.record([.int(.min), .int(.max)])
    let size = Value.record([.decimal(ExactDecimal("-12.5")!), .text("inch"), nil])
    let owner = Value.reference(Key([.int(1)]))
    let places: [Value?] = [
      nil, .record([.text(""), empty, nil, nil, nil]),
      .record([.text("p"), full, empty, nil, nil]),
      .record([.text("p"), point, point, size, owner]),
      .record([.text(""), empty, full, size, nil]),
    ]
    let spots: [Value?] = [nil, empty, point, full]
    var rows: [Row] = []
    for place in places {
      for spot in spots {
        rows.append(Row([.int(Int64(rows.count)), spots[(rows.count % 3) + 1], place, spot]))
      }
    }
    func writes(_ shift: Int) -> [ScriptedSource.Write] {
      rows.indices.map { index in
        var row = rows[(index + shift) % rows.count]
        row[0] = .int(Int64(index))
        return .put(0, row)
      }
    }
    try await play(run, sketch: sketch, [writes(0), writes(1), writes(4), writes(7)])
  }

  private static func references(_ run: ContractRun) async throws {
    let sketch = SchemaSketch(
      collections: [
        ("Land", [.key("code", .text(limit: 8)), .optional("capital", .reference("Town"))]),
        ("Town", [.key("land", .reference("Land")), .key("name", .text(limit: 40))]),
        (
          "Street",
          [
            .key("town", .reference("Town")), .key("number", .int),
            .optional("crosses", .reference("Street")), .optional("in", .reference("Land")),
          ]
        ),
      ])
    func land(_ code: String) -> Key { Key([.text(code)]) }
    func town(_ code: String, _ name: String) -> Key { Key([.reference(land(code)), .text(name)]) }
    func street(_ town: Key, _ number: Int64) -> Key { Key([.reference(town), .int(number)]) }
    func put(_ land: Key, capital: Key?) -> ScriptedSource.Write {
      .put(0, Row([land.values[0], capital.map { .reference($0) }]))
    }
    func put(_ town: Key) -> ScriptedSource.Write { .put(1, Row(town.values)) }
    func put(_ street: Key, crosses: Key?, in land: Key?) -> ScriptedSource.Write {
      .put(2, Row(street.values + [crosses.map { .reference($0) }, land.map { .reference($0) }]))
    }
    let a = town("A", "Alpha")
    let b = town("A", "Beta")
    let c = town("B", "Alpha")
    try await play(
      run, sketch: sketch,
      [
        [
          put(street(a, 1), crosses: street(b, 1), in: land("A")), put(a), put(b),
          put(street(b, 1), crosses: street(a, 1), in: nil), put(land("A"), capital: b),
        ],
        [
          put(land("B"), capital: c), put(c),
          put(street(c, -5), crosses: street(a, 1), in: land("A")),
          put(street(a, 1), crosses: street(c, -5), in: nil), put(land("A"), capital: a),
        ],
        [
          put(street(a, 1), crosses: nil, in: land("B")), .delete(2, street(c, -5)),
          put(land("B"), capital: nil), .delete(1, c),
        ],
        [
          .delete(2, street(a, 1)), .delete(2, street(b, 1)), .delete(1, a), .delete(1, b),
          .delete(0, land("A")), .delete(0, land("B")),
        ],
      ])
  }
}
