import AdapterContract
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

/// What somebody did to the mirror's tables is found, and mended.
@Suite struct RepairTests {
  private let schema: Schema
  private let source: ScriptedSource

  init() throws {
    schema = try Schema.parse(
      """
      schema T
      allow everything
      record Size { width: Int  height: Int? }
      collection Thing {
        id: Int @key
        name: Text(20)
        price: Decimal(8, 2)
        day: Date
        time: Timestamp
        ratio: Float
        json: JSON?
        who: Principal?
        size: Size?
        other: Thing? @onDelete(null)
        code: Text(20)? @readonly @unique
        town: Text(40)? @index
      }
      """)
    source = ScriptedSource(schema: schema)
    source.commit((1...9).map { .put(0, RepairTests.row($0)) })
  }

  private static func row(_ id: Int64) -> Row {
    Row([
      .int(id), .text("thing"), .decimal(ExactDecimal("1.50")!), .date(CalendarDate("2024-02-29")!),
      .timestamp(Timestamp("2024-02-29T12:00:00Z")!), .float(1.5), .json(.int(1)), nil,
      .record([.int(1), nil]), .reference(Key([.int(id == 7 ? 1 : 10 - id)])),
      id % 2 == 0 ? nil : .text("code \(id)"), .text("Ulm"),
    ])
  }

  private func mirror(_ place: Place) throws -> Mirror {
    Mirror(
      name: "m", sink: "s", source: source,
      adapter: PostgresAdapter(try place.server.configuration(schema: place.schema)))
  }

  @Test(arguments: [
    "UPDATE @ SET name = 'changed' WHERE id = 3", "UPDATE @ SET price = 'NaN' WHERE id = 3",
    "UPDATE @ SET day = 'infinity' WHERE id = 3", "UPDATE @ SET day = '0044-03-15 BC' WHERE id = 3",
    "UPDATE @ SET time = '-infinity' WHERE id = 3",
    "UPDATE @ SET time = '12024-01-01' WHERE id = 3", "UPDATE @ SET ratio = 'NaN' WHERE id = 3",
    "UPDATE @ SET ratio = '-0' WHERE id = 3", "UPDATE @ SET json = '1e400' WHERE id = 3",
    "UPDATE @ SET json = NULL WHERE id = 3", "UPDATE @ SET size_width = NULL WHERE id = 3",
    "UPDATE @ SET size = false WHERE id = 3", "UPDATE @ SET other = 2 WHERE id = 3",
    "DELETE FROM @ WHERE id = 3",
  ])
  func aRowThatWasChanged(_ vandalism: String) async throws {
    let place = try await Place()
    _ = try await mirror(place).synchronise()
    _ = try place.look.execute(
      vandalism.replacing("@", with: "\(place.schema)_tables.thing"))
    let found = try await mirror(place).verify()
    #expect(found.differenceCount == 1, "\(found.differences)")
    #expect(found.damage == nil)
    let generation = try await mirror(place).synchronise().generation
    _ = try await mirror(place).repair()
    #expect(try await mirror(place).verify().isEqual)
    // Just that row, not everything anew.
    #expect(try await mirror(place).synchronise().generation == generation)
  }

  /// `@` is the table, `%` the view; what is mended is what the text says.
  @Test(arguments: [
    ("ALTER TABLE @ RENAME COLUMN name TO title", "renamed to title"),
    ("ALTER TABLE @ ADD COLUMN more int NOT NULL DEFAULT 1", "a column more was added"),
    ("ALTER TABLE @ ALTER COLUMN name DROP NOT NULL; UPDATE @ SET name = NULL", "NOT NULL"),
    ("ALTER TABLE @ ALTER COLUMN ratio DROP NOT NULL", "NOT NULL"),
    ("ALTER TABLE @ ALTER COLUMN town SET NOT NULL", "made NOT NULL"),
    ("DROP TABLE @ CASCADE", "was dropped"),
    ("ALTER TABLE @ DROP COLUMN price CASCADE", "column price"),
    ("ALTER TABLE @ DROP COLUMN other CASCADE", "column other"),
    ("ALTER TABLE @ DROP COLUMN code CASCADE", "column code"),
    ("ALTER TABLE @ DROP COLUMN id CASCADE", "column id"),
    ("DROP VIEW %; ALTER TABLE @ ALTER COLUMN price TYPE text", "another type"),
    ("DROP VIEW %; ALTER TABLE @ ALTER COLUMN price TYPE numeric(20, 0)", "another type"),
    ("DROP VIEW %; ALTER TABLE @ ALTER COLUMN id TYPE numeric", "another type"),
    (
      "DROP VIEW %; ALTER TABLE @ ALTER COLUMN day TYPE text USING 'a day'", "another type"
    ),
    ("DROP VIEW %; ALTER TABLE @ ALTER COLUMN time TYPE timestamp", "another type"),
    ("ALTER TABLE @ DROP CONSTRAINT thing_pkey CASCADE", "primary key"),
    (
      "ALTER TABLE @ DROP CONSTRAINT thing_pkey CASCADE; INSERT INTO @ SELECT * FROM @ WHERE id IN (2, 4)",
      "primary key"
    ),
    (
      "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE @ DROP CONSTRAINT ' || quote_ident(conname) FROM pg_constraint "
        + "WHERE conrelid = '@'::regclass AND contype = 'u'); END $$; UPDATE @ SET code = 'same'",
      "constraint"
    ),
    (
      "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE @ DROP CONSTRAINT ' || quote_ident(conname) FROM pg_constraint "
        + "WHERE conrelid = '@'::regclass AND contype = 'f'); END $$; UPDATE @ SET other = 99",
      "constraint"
    ),
    (
      "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE @ DROP CONSTRAINT ' || quote_ident(conname) FROM pg_constraint "
        + "WHERE conrelid = '@'::regclass AND contype = 'c' LIMIT 1); END $$", "constraint"
    ),
    (
      "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE @ DROP CONSTRAINT ' || quote_ident(conname) || ', ADD CHECK ("
        + "char_length(' || (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) "
        + "|| '::text) < 1000)' FROM pg_constraint WHERE conrelid = '@'::regclass AND contype = 'c' ORDER BY oid LIMIT 1); END $$",
      "constraint"
    ),
    (
      "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE @ DROP CONSTRAINT ' || quote_ident(conname) || ', ADD CHECK ("
        + "char_length(' || (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) "
        + "|| '::text) < 1000)' FROM pg_constraint WHERE conrelid = '@'::regclass AND contype = 'c' "
        + "ORDER BY oid DESC LIMIT 1); END $$",
      "constraint"
    ),
    (
      "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || indexrelid::regclass FROM pg_index "
        + "WHERE indrelid = '@'::regclass AND NOT indisunique LIMIT 1); END $$", "index"
    ),
    ("ALTER TABLE @ ADD CONSTRAINT small CHECK (id < 100)", "constraint small was added"),
    ("DROP VIEW %", "view"),
    ("DROP VIEW %; CREATE VIEW % AS SELECT id FROM @", "view"),
    ("ALTER VIEW % RENAME COLUMN name TO title", "view"),
  ])
  func aTableThatWasAltered(_ vandalism: String, _ said: String) async throws {
    let place = try await Place()
    let look = place.look
    let before = try await mirror(place).synchronise()
    let role = uniqueName("analyst")
    _ = try look.execute("CREATE ROLE \(role); GRANT SELECT ON \(place.schema).thing TO \(role)")
    let shape = try self.shape(place)
    _ = try look.execute(
      vandalism.replacing("@", with: "\(place.schema)_tables.thing")
        .replacing("%", with: "\(place.schema).thing"))
    let found = try await mirror(place).verify()
    #expect(!found.isEqual)
    #expect(found.damage?.contains("thing") == true, "\(found)")
    #expect(found.damage?.contains(said) == true, "\(found)")
    // In portions of three rows, as of a table of millions.
    var options = MirrorOptions()
    options.maximumPage = 3
    let repairing = Mirror(
      name: "m", sink: "s", source: source,
      adapter: PostgresAdapter(try place.server.configuration(schema: place.schema)),
      options: options)
    let repaired = try await repairing.repair()
    #expect(!repaired.isEqual)
    #expect(repaired.mended.contains { $0.contains(said) }, "\(repaired)")
    let after = try await mirror(place).verify()
    #expect(after.isEqual, "\(after)")
    #expect(try self.shape(place) == shape)
    #expect(
      try look.table("SELECT count(name), sum(price) FROM \(place.schema).thing") == ["9|13.50"])
    // Nothing was made anew but what was spoilt.
    #expect(try await mirror(place).synchronise() == before)
    if !vandalism.contains("DROP VIEW"), !vandalism.contains("CASCADE") {
      #expect(
        try look.table("SELECT has_table_privilege('\(role)', '\(place.schema).thing', 'SELECT')")
          == ["t"])
    }
    source.commit([.put(0, RepairTests.row(8)), .put(0, RepairTests.row(2))])
    _ = try await mirror(place).synchronise()
    #expect(try await mirror(place).verify().isEqual)
  }

  /// Columns, constraints, indices and the view, as the server writes them.
  private func shape(_ place: Place) throws -> [String] {
    let table = "\(place.schema)_tables.thing"
    return try place.look.table(
      "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull::text FROM pg_attribute "
        + "WHERE attrelid = '\(table)'::regclass AND attnum > 0 AND NOT attisdropped UNION ALL "
        + "SELECT contype::text, pg_get_constraintdef(oid), '' FROM pg_constraint WHERE conrelid = '\(table)'::regclass "
        + "UNION ALL SELECT 'index', pg_get_indexdef(indexrelid), '' FROM pg_index WHERE indrelid = '\(table)'::regclass "
        + "UNION ALL SELECT 'view', pg_get_viewdef('\(place.schema).thing'::regclass), '' ORDER BY 1, 2, 3"
    )
  }

  @Test func theOtherTablesStayAsTheyAre() async throws {
    let place = try await Place()
    let source = ScriptedSource(schema: shop)
    source.commit(
      (1...300).map { .put(1, supplier(Int64($0), vat: "v\($0)")) }
        + (1...300).map { .put(0, product("p\($0)", "n", supplier: Int64($0))) })
    func mirror() throws -> Mirror {
      Mirror(
        name: "m", sink: "s", source: source,
        adapter: PostgresAdapter(try place.server.configuration(schema: place.schema)))
    }
    let before = try await mirror().synchronise()
    _ = try place.look.execute(
      "CREATE VIEW public.\(place.schema)_mine AS SELECT sku FROM \(place.schema).product")
    let tables = place.schema + "_tables"
    let kept = "SELECT sku, xmin FROM \(tables).product ORDER BY 1"
    let rows = try place.look.table(kept)
    _ = try place.look.execute("DROP TABLE \(tables).supplier CASCADE")
    // There are changes to come as well.
    source.commit([.put(1, supplier(301))])
    let repaired = try await mirror().repair()
    #expect(repaired.mended.contains { $0.contains("supplier was dropped") }, "\(repaired)")
    #expect(repaired.missing == 300, "\(repaired)")
    #expect(try place.look.table(kept) == rows)
    #expect(try await mirror().verify().isEqual)
    #expect(try await mirror().synchronise().generation == before.generation)
    #expect(
      try place.look.table("SELECT count(*) FROM public.\(place.schema)_mine") == ["300"])
    #expect(throws: (any Error).self) {
      try place.look.execute("DELETE FROM \(tables).supplier WHERE id = 5")
    }
  }

  /// What cannot be mended in place leads to a new generation.
  @Test func aTableThatSomethingDependsOnIsLeftToANewGeneration() async throws {
    let place = try await Place()
    _ = try await mirror(place).synchronise()
    let table = "\(place.schema)_tables.thing"
    _ = try place.look.execute(
      "ALTER TABLE \(table) ADD COLUMN more int; CREATE VIEW public.\(place.schema)_more AS SELECT more FROM \(table)"
    )
    do {
      _ = try await mirror(place).repair()
      Issue.record("somebody's view was dropped")
    } catch let error as MirrorError {
      let cause = try #require(error.cause as? AdapterError)
      #expect(cause.code == .occupied, "\(cause)")
    }
    _ = try place.look.execute("DROP VIEW public.\(place.schema)_more")
    _ = try await mirror(place).repair()
    #expect(try await mirror(place).verify().isEqual)
  }
}
