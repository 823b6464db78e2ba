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
        other: Thing?
      }
      """)
    source = ScriptedSource(schema: schema)
    source.commit((1...9).map { .put(0, RepairTests.row($0)) })
  }

  private static func row(_ id: Int64) -> Row {
    Row([
      .int(id), .text("thing"), .decimal(ExactDecimal("1.50")!), .date(CalendarDate("2024-02-29")!),
      .timestamp(Timestamp("2024-02-29T12:00:00Z")!), .float(1.5), .json(.int(1)), nil,
      .record([.int(1), nil]), .reference(Key([.int(1)])),
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

  @Test(arguments: [
    "ALTER TABLE @ RENAME COLUMN name TO title", "ALTER TABLE @ ADD COLUMN more int",
    "ALTER TABLE @ ALTER COLUMN name DROP NOT NULL", "DROP TABLE @ CASCADE",
    "ALTER TABLE @ DROP COLUMN price CASCADE",
  ])
  func aTableThatWasAltered(_ vandalism: String) async throws {
    let place = try await Place()
    _ = try await mirror(place).synchronise()
    _ = try place.look.execute(
      vandalism.replacing("@", with: "\(place.schema)_tables.thing"))
    let found = try await mirror(place).verify()
    #expect(!found.isEqual)
    #expect(found.damage?.contains("thing") == true, "\(found)")
    let repaired = try await mirror(place).repair()
    #expect(!repaired.isEqual)
    #expect(try await mirror(place).verify().isEqual)
    #expect(
      try place.look.table("SELECT count(name), sum(price) FROM \(place.schema).thing") == [
        "9|13.50"
      ])
  }
}
