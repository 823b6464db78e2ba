import HeadwaterSQLite
import Testing

@testable import HeadwaterModel
@testable import HeadwaterRelational

@Suite struct NameTests {
  @Test func namesThatNeedNothingStay() {
    var allocator = NameAllocator(dialect: SQLiteDialect(), isTableNamespace: true)
    #expect(
      allocator.allocate(["Order", "order_line", "select", "rowid", "Größe"])
        == ["Order", "order_line", "select", "rowid", "Größe"])
  }

  @Test func namesThatAreNotOursGiveWay() {
    var allocator = NameAllocator(dialect: SQLiteDialect(), isTableNamespace: true)
    let names = allocator.allocate(["sqlite_x", "HEADWATER_names", "Order", "ORDER", "", "a\0b"])
    #expect(names[0].hasPrefix("_sqlite_x_"))
    #expect(names[1].hasPrefix("_HEADWATER_names_"))
    #expect(names[2] == "Order")
    #expect(names[3].hasPrefix("ORDER_"))
    #expect(names[4].hasPrefix("_"))
    #expect(names[5].hasPrefix("ab_"))
  }

  @Test func longNamesAreCutBetweenCharacters() {
    var allocator = NameAllocator(dialect: Narrow(), isTableNamespace: true)
    let long = String(repeating: "é", count: 40)
    let names = allocator.allocate([
      long, long + "x", String(repeating: "a", count: 63), String(repeating: "a", count: 64),
    ])
    #expect(names[0].hasPrefix(String(repeating: "é", count: 27) + "_"))
    #expect(names.allSatisfy { $0.utf8.count <= 63 })
    #expect(names[2] == String(repeating: "a", count: 63))
    #expect(Set(names).count == 4)
  }

  /// Whatever the names: one to one, legal, of bounded length, and the same when done again.
  @Test(arguments: Array(1...20) as [UInt64])
  func anyNamesAtAll(seed: UInt64) throws {
    var random = Generator(state: seed)
    let pieces = [
      "a", "A", "b", "_", "__g1", "\"", "'", "`", "[", "]", ";", "--", " ", "🦆", "é", "e\u{301}",
      "ß",
      "sqlite_", "SQLITE_", "headwater_", "Headwater_", "rowid", "_rowid_", "oid", "select",
      "index",
      "unique", "\u{200D}", "\n", "\0", String(repeating: "long", count: 20), "ı", "İ", "%", "",
    ]
    func name() -> String {
      (0..<Int.random(in: 1...3, using: &random)).map { _ in pieces.randomElement(using: &random)! }
        .joined()
    }
    func distinct(_ count: Int) -> [String] {
      var seen: Set<[UInt8]> = []
      var names: [String] = []
      while names.count < count {
        let next = name()
        if seen.insert(Array(next.utf8)).inserted { names.append(next) }
      }
      return names
    }
    let collections = distinct(12).map { name in
      let fields = distinct(8).enumerated().map { index, name in
        Field(
          name: name, documentation: nil, type: index == 2 ? .record("R") : .int, isKey: index == 0,
          isReadonly: false, isUnique: index == 3, isIndexed: index == 4, defaultValue: nil,
          checks: [], onDelete: nil)
      }
      return CollectionType(
        name: name, documentation: nil, declaredStrictness: nil, isStrict: false, fields: fields,
        keyFields: [0], hasGeneratedKey: false, rules: [],
        layout: CollectionLayout(fields: [], records: [:]))
    }
    let record = RecordType(
      name: "R", documentation: nil,
      fields: distinct(4).map {
        Field(
          name: $0, documentation: nil, type: .int, isKey: false, isReadonly: false,
          isUnique: false,
          isIndexed: false, defaultValue: nil, checks: [], onDelete: nil)
      })
    let schema = Schema(
      name: "S", documentation: nil, allowsEverything: true, enums: [], records: [record],
      collections: collections, upgradeRules: [])
    for dialect in [SQLiteDialect(), Narrow()] as [any Dialect] {
      let plan = try RelationalPlan(schema: schema, dialect: dialect)
      #expect(plan.names == (try RelationalPlan(schema: schema, dialect: dialect)).names)
      let objects = plan.tables.flatMap { [$0.name] + $0.indices.map(\.name) }
      #expect(Set(objects.map { dialect.fold($0) }).count == objects.count)
      for name in objects {
        #expect(!dialect.fold(name).hasPrefix("sqlite_"))
        #expect(!dialect.fold(name).hasPrefix("headwater_"))
      }
      for table in plan.tables {
        let columns = table.columns.map(\.name)
        #expect(Set(columns.map { dialect.fold($0) }).count == columns.count)
        for name in objects + columns {
          #expect(!name.isEmpty && !name.utf8.contains(0))
          #expect(name.utf8.count <= dialect.maximumNameBytes ?? .max)
        }
      }
      for collection in collections {
        let table = try #require(plan.names.table(for: collection.name))
        #expect(
          plan.names.collection(forTable: table)?.utf8.elementsEqual(collection.name.utf8) == true)
      }
    }
  }
}

/// An engine with short names.
private struct Narrow: Dialect {
  private let base = SQLiteDialect()
  var maximumNameBytes: Int? { 63 }
  var tableSuffix: String { "" }
  func quote(_ identifier: String) -> String { base.quote(identifier) }
  func fold(_ identifier: String) -> String { base.fold(identifier) }
  func isReserved(_ identifier: String) -> Bool { base.isReserved(identifier) }
  func nativeType(_ type: ColumnType) -> String { base.nativeType(type) }
  func typeCheck(_ type: ColumnType, column: String) -> String? { nil }
  func literal(_ value: Value) -> String? { nil }
  func compares(_ left: CheckOperand, _ right: CheckOperand) -> Bool { false }
  func calculates(
    _ operation: Expression.Operator, _ left: CheckOperand, _ right: CheckOperand
  ) -> Bool { false }
  func length(_ type: ColumnType, of expression: String) -> String? { nil }
}

private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
