import HeadwaterModel
import HeadwaterRelational
import HeadwaterSQLite
import HeadwaterStream
import Testing

@Suite struct PlanTests {
  static func plan(_ text: String) throws -> RelationalPlan {
    try RelationalPlan(
      schema: try Schema.parse("schema T\nallow everything\n" + text), dialect: SQLiteDialect())
  }

  static func statements(_ text: String) throws -> [String] {
    let plan = try plan(text)
    return plan.tables.flatMap { table in
      [plan.createTable(table)] + table.indices.map { plan.createIndex($0, of: table) }
    }
  }

  @Test func everyTypeHasAColumn() throws {
    #expect(
      try PlanTests.statements(
        """
        enum Role { owner, editor }
        collection Thing {
          id: UUID @key
          on: Bool
          count: Int?
          ratio: Float
          price: Decimal(15, 2)
          huge: Decimal(16, 2)
          name: Text
          code: Text(8)?
          raw: Bytes
          photo: Bytes(9)
          day: Date
          at: Timestamp
          other: UUID
          spec: JSON?
          by: Principal
          role: Role
        }
        """) == [
          """
          CREATE TABLE "Thing" (
            "id" TEXT NOT NULL,
            "on" INTEGER NOT NULL CHECK ("on" IN (0, 1)),
            "count" INTEGER,
            "ratio" REAL NOT NULL,
            "price" REAL NOT NULL,
            "huge" TEXT NOT NULL,
            "name" TEXT NOT NULL,
            "code" TEXT CHECK (length("code") <= 8),
            "raw" BLOB NOT NULL,
            "photo" BLOB NOT NULL CHECK (length("photo") <= 9),
            "day" TEXT NOT NULL,
            "at" TEXT NOT NULL,
            "other" TEXT NOT NULL,
            "spec" TEXT,
            "by" TEXT NOT NULL,
            "role" TEXT NOT NULL CHECK ("role" IN ('owner', 'editor')),
            PRIMARY KEY ("id")
          ) STRICT
          """
        ])
  }

  @Test func recordsAndReferencesExpand() throws {
    #expect(
      try PlanTests.statements(
        """
        record Unit { name: Text  factor: Float? }
        record Size { width: Int @check(width > 0)  unit: Unit?  shelf: Slot }
        collection Box {
          id: Int @key
          size: Size
          inner: Size?
          slot: Slot?
          row: Row
          copy: Row @index
        }
        collection Slot { row: Row @key  number: Int @key }
        collection Row { name: Text(9) @key }
        """) == [
          """
          CREATE TABLE "Box" (
            "id" INTEGER NOT NULL,
            "size_width" INTEGER NOT NULL,
            "size_unit" INTEGER NOT NULL CHECK ("size_unit" IN (0, 1)),
            "size_unit_name" TEXT,
            "size_unit_factor" REAL,
            "size_shelf_row" TEXT NOT NULL CHECK (length("size_shelf_row") <= 9),
            "size_shelf_number" INTEGER NOT NULL,
            "inner" INTEGER NOT NULL CHECK ("inner" IN (0, 1)),
            "inner_width" INTEGER,
            "inner_unit" INTEGER CHECK ("inner_unit" IN (0, 1)),
            "inner_unit_name" TEXT,
            "inner_unit_factor" REAL,
            "inner_shelf_row" TEXT CHECK (length("inner_shelf_row") <= 9),
            "inner_shelf_number" INTEGER,
            "slot_row" TEXT CHECK (length("slot_row") <= 9),
            "slot_number" INTEGER,
            "row" TEXT NOT NULL CHECK (length("row") <= 9),
            "copy" TEXT NOT NULL CHECK (length("copy") <= 9),
            PRIMARY KEY ("id"),
            CHECK ("size_width" > 0),
            CHECK ("inner_width" > 0),
            FOREIGN KEY ("size_shelf_row", "size_shelf_number") REFERENCES "Slot" ("row", "number") DEFERRABLE INITIALLY DEFERRED,
            FOREIGN KEY ("inner_shelf_row", "inner_shelf_number") REFERENCES "Slot" ("row", "number") DEFERRABLE INITIALLY DEFERRED,
            FOREIGN KEY ("slot_row", "slot_number") REFERENCES "Slot" ("row", "number") DEFERRABLE INITIALLY DEFERRED,
            FOREIGN KEY ("row") REFERENCES "Row" ("name") DEFERRABLE INITIALLY DEFERRED,
            FOREIGN KEY ("copy") REFERENCES "Row" ("name") DEFERRABLE INITIALLY DEFERRED
          ) STRICT
          """,
          #"CREATE INDEX "Box_copy_index" ON "Box" ("copy")"#,
          #"CREATE INDEX "Box_size_shelf_row_size_shelf_number_index" ON "Box" ("size_shelf_row", "size_shelf_number")"#,
          #"CREATE INDEX "Box_inner_shelf_row_inner_shelf_number_index" ON "Box" ("inner_shelf_row", "inner_shelf_number")"#,
          #"CREATE INDEX "Box_slot_row_slot_number_index" ON "Box" ("slot_row", "slot_number")"#,
          #"CREATE INDEX "Box_row_index" ON "Box" ("row")"#,
          """
          CREATE TABLE "Slot" (
            "row" TEXT NOT NULL CHECK (length("row") <= 9),
            "number" INTEGER NOT NULL,
            PRIMARY KEY ("row", "number"),
            FOREIGN KEY ("row") REFERENCES "Row" ("name") DEFERRABLE INITIALLY DEFERRED
          ) STRICT
          """,
          """
          CREATE TABLE "Row" (
            "name" TEXT NOT NULL CHECK (length("name") <= 9),
            PRIMARY KEY ("name")
          ) STRICT
          """,
        ])
  }

  @Test func checksAreDeclaredWhereTheyAreExact() throws {
    let plan = try PlanTests.plan(
      """
      enum Role { owner, editor, viewer }
      record Size { width: Int  height: Int @check(height <= width) }
      collection Thing {
        id: Int @key
        a: Int @check(a > -5 and (a < 10 or a == 20))
        b: Int? @check(b + 1 > a)
        price: Decimal(12, 2) @check(price >= 0)
        list: Decimal(12, 4)? @check(list >= price and list < 1000.0125)
        huge: Decimal(30, 2) @check(huge > 0)
        ratio: Float @check(ratio < 2) @check(ratio > 0.1)
        name: Text(9) @check(length(name) > 1 and not name == "it's")
        role: Role @check(role in [owner, editor])
        day: Date @check(day >= "2020-01-01")
        on: Bool @check(on or a > 0)
        size: Size? @check(size.width > 0)
      }
      """)
    #expect(
      plan.table(0).checks.map { "\($0.fieldPath.joined(separator: ".")): \($0.condition ?? "-")" }
        == [
          #"a: ("a" > -5) AND (("a" < 10) OR ("a" = 20))"#,
          "b: -",
          #"price: "price" >= 0.0"#,
          #"list: ("list" >= "price") AND ("list" < (10000125.0 / 10000.0))"#,
          "huge: -",
          #"ratio: "ratio" < 2.0"#,
          "ratio: -",
          #"name: (length("name") > 1) AND (NOT ("name" = 'it''s'))"#,
          #"role: "role" IN ('owner', 'editor')"#,
          #"day: "day" >= '2020-01-01'"#,
          #"on: ("on") OR ("a" > 0)"#,
          #"size: "size_width" > 0"#,
          #"size.height: "size_height" <= "size_width""#,
        ])
    #expect(plan.table(0).checks[1].text == "b + 1 > a")
  }

  @Test func indicesThatAnotherCoversAreLeftOut() throws {
    let plan = try PlanTests.plan(
      """
      collection A { b: B @key  n: Int @key  u: B @readonly @unique  t: Text(9) @index @readonly @unique }
      collection B { id: Int @key @index }
      """)
    #expect(plan.table(0).indices.map(\.name) == ["A_u_unique", "A_t_unique"])
    #expect(plan.table(1).indices.map(\.name) == [])
  }

  @Test(arguments: [
    ("Counter", "Thing.tags is of type Counter"), ("Set<Text>", "Set<Text>"),
    ("Map<Text, Int>", "Map<Text, Int>"), ("List<Int>", "List<Int>"), ("SharedText", "SharedText"),
    ("MultiValue<Int>", "MultiValue<Int>"), ("custom \"x\"", "custom \"x\""),
  ])
  func otherDataTypesAreRefused(type: String, expected: String) throws {
    let error = #expect(throws: AdapterError.self) {
      try PlanTests.plan("collection Thing { id: Int @key  tags: \(type) }")
    }
    #expect(error?.code == .unsupported)
    #expect(error?.recovery == .halt)
    #expect(error?.message.contains(expected) == true)
  }

  @Test func documentationAndNamesAreValues() throws {
    let plan = try PlanTests.plan(
      """
      /// Boxes.
      collection Box {
        /// How big.
        size: Int
      }
      """)
    #expect(plan.table(0).documentation == "Boxes.")
    #expect(plan.table(0).columns.map(\.documentation) == [nil, "How big."])
    #expect(
      plan.names.entries.map { "\($0.collection).\($0.fieldPath) \($0.table).\($0.column ?? "-")" }
        == ["Box.[] Box.-", "Box.[\"id\"] Box.id", "Box.[\"size\"] Box.size"])
  }
}
