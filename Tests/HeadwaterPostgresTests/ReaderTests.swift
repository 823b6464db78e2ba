import AdapterContract
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

/// What those who query a mirror find.
@Suite struct ReaderTests {
  @Test func tablesAreNative() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    try await feeder.publish(1, [put(1, supplier(1)), put(0, product("A", "a", supplier: 1))])
    let tables = place.schema + "_tables"
    #expect(
      try place.look.table(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE "
          + "table_schema = '\(tables)' AND table_name = 'product' ORDER BY ordinal_position") == [
          "sku|text|NO", "name|text|NO", "price|numeric|NO", "supplier|bigint|YES", "kind|text|YES",
        ])
    #expect(
      try place.look.table(
        "SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE "
          + "connamespace = '\(tables)'::regnamespace AND contype <> 'n' ORDER BY 1, 2, 3"
      ).map { $0.replacing(tables + ".", with: "") } == [
        "product|c|CHECK ((char_length(sku) <= 32))",
        "product|c|CHECK ((kind = ANY (ARRAY['ware'::text, 'service'::text])))",
        "product|f|FOREIGN KEY (supplier) REFERENCES supplier(id) DEFERRABLE INITIALLY DEFERRED",
        "product|p|PRIMARY KEY (sku)", "supplier|c|CHECK ((char_length(vat) <= 40))",
        "supplier|p|PRIMARY KEY (id)", "supplier|u|UNIQUE (vat) DEFERRABLE INITIALLY DEFERRED",
      ])
    // A town may be of any length, which a B-tree does not take.
    #expect(
      try place.look.table(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = '\(tables)' AND indexname = 'supplier_town_index'"
      )[0].hasSuffix("USING hash (town)"))
    #expect(
      try place.look.table(
        "SELECT obj_description('\(place.schema).product'::regclass), col_description('\(tables).product'::regclass, 1), "
          + "col_description('\(place.schema).product'::regclass, 3)") == [
          "Something we sell; it's \"good\".|The number on the label.\nText(32)|Decimal(12, 2) @check(price >= 0)"
        ])
    #expect(
      try place.look.table(
        "SELECT collection, field, column_name FROM \(place.schema).headwater_names WHERE table_name = 'supplier'"
      ) == ["Supplier|NULL|NULL", "Supplier|id|id", "Supplier|vat|vat", "Supplier|town|town"])
  }

  @Test func aRowOfAnyLengthIsTaken() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    let long = String((0..<100_000).map { Character(UnicodeScalar(UInt8(33 + $0 * $0 % 90))) })
    try await feeder.publish(1, [put(1, supplier(1, town: long))])
    try await feeder.apply([put(1, supplier(2, town: long + "x"))], tail: 1)
    #expect(
      try place.look.table("SELECT max(length(town)) FROM \(place.schema).supplier") == ["100001"])
  }

  @Test func whatAnalystsBuiltSurvivesANewGeneration() async throws {
    let place = try await Place()
    let look = place.look
    let reader = uniqueName("reader")
    var feeder = try place.feeder(more: "&reader=\(reader)")
    try await feeder.publish(1, [put(1, supplier(1))])
    let mine = uniqueName("mine")
    _ = try look.execute(
      """
      CREATE SCHEMA \(mine);
      CREATE VIEW \(mine).towns AS SELECT town, count(*) FROM \(place.schema).supplier GROUP BY town;
      CREATE VIEW \(mine).big AS SELECT * FROM \(mine).towns WHERE count > 0;
      CREATE MATERIALIZED VIEW \(mine).kept AS SELECT id FROM \(place.schema).supplier;
      GRANT SELECT ON \(mine).big TO \(reader);
      GRANT USAGE ON SCHEMA \(mine) TO \(reader);
      """)
    try await feeder.publish(
      2, [put(1, supplier(1, town: "Bonn")), put(1, supplier(2, town: "Bonn"))])
    #expect(try look.table("SELECT * FROM \(mine).big") == ["Bonn|2"])
    // Another column, in another place: the views are made anew.
    feeder.schema = try Schema.parse(
      """
      schema Shop
      allow everything
      collection Supplier { id: Int @key  name: Text  town: Text }
      """)
    let row = Row([.int(5), .text("N"), .text("Kiel")])
    try await feeder.publish(3, [put(0, row, schema: feeder.schema)])
    #expect(try look.table("SELECT * FROM \(mine).big") == ["Kiel|1"])
    #expect(try look.table("SELECT id FROM \(mine).kept") == ["5"])
    #expect(try look.table("SELECT to_regclass('\(place.schema).product') IS NULL") == ["t"])
    _ = try look.execute("SET ROLE \(reader)")
    #expect(try look.table("SELECT * FROM \(mine).big") == ["Kiel|1"])
    #expect(try look.table("SELECT name FROM \(place.schema).supplier") == ["N"])
    #expect(try look.table("SELECT name FROM \(place.schema)_tables.supplier") == ["N"])
    #expect(try look.table("SELECT phase FROM \(place.schema).status") == ["tail"])
    #expect(throws: ServerError.self) {
      try look.execute("DELETE FROM \(place.schema).supplier")
    }
    _ = try look.execute("RESET ROLE")
    // A view that the new columns do not allow is kept as text.
    feeder.schema = try Schema.parse(
      "schema Shop\nallow everything\ncollection Supplier { id: Int @key }")
    try await feeder.publish(4, [put(0, Row([.int(6)]), schema: feeder.schema)])
    #expect(
      try look.table("SELECT name FROM \(place.schema).headwater_orphans ORDER BY 1") == [
        "\(mine).big", "\(mine).towns",
      ])
    #expect(try look.table("SELECT id FROM \(mine).kept") == ["6"])
  }

  @Test func aViewOfTheTablesThemselvesIsNotDropped() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    try await feeder.publish(1, [put(1, supplier(1))])
    _ = try place.look.execute(
      "CREATE VIEW public.\(place.schema)_mine AS SELECT * FROM \(place.schema)_tables.supplier")
    try await feeder.apply([.begin(generation: 2)], filling: 2)
    let error = try await feeder.failure([.publish(generation: 2)], .tail(generation: 2))
    #expect(error.code == .occupied)
    #expect(error.recovery == .halt)
    #expect(error.message.contains("\(place.schema)"))
    #expect(try place.look.table("SELECT count(*) FROM public.\(place.schema)_mine") == ["1"])
  }

  @Test func whoListensHearsThePosition() async throws {
    let place = try await Place()
    var feeder = try place.feeder()
    try await feeder.publish(1, [])
    _ = try place.look.execute("LISTEN \(place.schema)")
    try await feeder.apply([put(1, supplier(1), cause: cause(9))], tail: 1)
    try await wait("a notification") {
      _ = try place.look.execute("SELECT 1")
      return place.look.notification().map { $0.payload } == "3"
    }
    #expect(
      try place.look.table(
        "SELECT mirror, phase, generation, position, written, lag > '1 day', schema FROM \(place.schema).status"
          .replacing("written", with: "extract(epoch FROM written)::int")
      ) == ["m|tail|1|3|1700000009|t|Shop"])
  }

  @Test func rowsSayWhereTheyComeFrom() async throws {
    let place = try await Place()
    var feeder = try place.feeder(more: "&provenance=on")
    try await feeder.publish(1, [put(1, supplier(1), cause: cause(1))])
    try await feeder.apply([put(1, supplier(2), cause: cause(2))], tail: 1)
    #expect(
      try place.look.table(
        "SELECT id, left(_operation, 4), left(_author, 4), extract(epoch FROM _changed)::int FROM "
          + "\(place.schema).supplier ORDER BY id") == [
          "1|0101|a1a1|1700000001", "2|0202|a2a2|1700000002",
        ])
    // Another option is another generation.
    let plain = try place.server.configuration(schema: place.schema)
    feeder.adapter = PostgresAdapter(plain)
    let error = try await feeder.failure([put(1, supplier(3))], .tail(generation: 1))
    #expect(error.recovery == .rebuild)
    try await feeder.publish(2, [put(1, supplier(3))])
    #expect(try place.look.table("SELECT * FROM \(place.schema).supplier") == ["3|NULL|Ulm"])
  }

  @Test func everyVersionIsKept() async throws {
    let place = try await Place()
    let source = ScriptedSource(schema: shop)
    func synchronise() async throws {
      let mirror = Mirror(
        name: "m", sink: "s", source: source,
        adapter: PostgresAdapter(
          try place.server.configuration(schema: place.schema, more: "&history=on")))
      _ = try await mirror.synchronise()
    }
    source.commit([.put(1, supplier(1, town: "a")), .put(1, supplier(2, town: "b"))])
    try await synchronise()
    // Three transactions that one batch would fold into one change.
    source.commit([.put(1, supplier(1, town: "c"))])
    source.commit([.put(1, supplier(1, town: "d"))])
    source.commit([.delete(1, Key([.int(2)]))], reason: .retracted)
    source.commit([.put(1, supplier(2, town: "e"))])
    try await synchronise()
    let query =
      "SELECT id, town, _from_position, _until_position, _reason, _end_reason, _until >= _from, "
      + "_operation IS NOT NULL OR _reason = 'snapshot' FROM \(place.schema).supplier_history ORDER BY id, _from_position"
    let expected = [
      "1|a|2|3|snapshot|applied|t|t", "1|c|3|4|applied|applied|t|t",
      "1|d|4|NULL|applied|NULL|NULL|t",
      "2|b|2|5|snapshot|retracted|t|t", "2|e|6|NULL|applied|NULL|NULL|t",
    ]
    #expect(try place.look.table(query) == expected)
    // A new generation begins no new versions of what is the same.
    let mirror = Mirror(
      name: "m", sink: "s", source: source,
      adapter: PostgresAdapter(
        try place.server.configuration(schema: place.schema, more: "&history=on")))
    _ = try await mirror.rebuild()
    #expect(try place.look.table(query) == expected)
    #expect(try await mirror.verify().isEqual)
  }
}
