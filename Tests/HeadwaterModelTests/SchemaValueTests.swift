import HeadwaterModel
import Testing

@Suite struct SchemaValueTests {
  static let schema = try? Schema.parse(
    """
    schema S
    enum Role { owner, editor }
    record Inner { a: Int b: Text? }
    record Size { width: Int @check(width <= height) height: Int inner: Inner? }
    collection Key { a: Int @key b: Text(4) @key }
    collection C {
      bool: Bool
      int: Int
      float: Float
      decimal: Decimal(4, 2)
      text: Text(3)
      bytes: Bytes(2)
      date: Date
      role: Role
      size: Size
      maybe: Size?
      json: JSON
      key: Key
      self: C?
      sizes: List<Size>
      map: Map<Role, Int>
      low: Int @check(low <= high)
      high: Int? @check(high < int * 2)
      alone: Int @check(alone > 0)
    }
    """)

  private func problem(_ name: String, _ value: Value?) throws -> String? {
    let schema = try #require(SchemaValueTests.schema)
    let collection = try #require(schema.collection(named: "C"))
    let index = try #require(collection.fieldIndex(named: name))
    return schema.problem(with: value, for: collection.fields[index])
  }

  @Test func whatFits() throws {
    #expect(try problem("bool", .bool(true)) == nil)
    #expect(try problem("decimal", .decimal(ExactDecimal("99.99")!)) == nil)
    #expect(try problem("text", .text("é🙂x")) == nil)
    #expect(try problem("role", .text("owner")) == nil)
    #expect(try problem("size", .record([.int(1), .int(2), nil])) == nil)
    #expect(try problem("size", .record([.int(1), .int(2), .record([.int(1), nil])])) == nil)
    #expect(try problem("maybe", nil) == nil)
    #expect(try problem("key", .reference(Key([.int(1), .text("abcd")]))) == nil)
    #expect(try problem("self", .created(index: 3)) == nil)
    #expect(try problem("sizes", nil) == nil)
    #expect(try problem("json", .json(.array([.null, .string("x")]))) == nil)
  }

  @Test func whatDoesNotFit() throws {
    #expect(try problem("bool", .int(1)) == "'bool': not a value of type Bool")
    #expect(try problem("bool", nil) == "'bool' is required")
    #expect(try problem("float", .float(.nan)) != nil)
    #expect(try problem("float", .float(-0.0)) != nil)
    #expect(try problem("decimal", .decimal(ExactDecimal("1.234")!)) != nil)
    #expect(try problem("decimal", .decimal(ExactDecimal("100")!)) != nil)
    #expect(try problem("text", .text("abcd")) != nil)
    #expect(try problem("text", .text("a\u{0}")) != nil)
    #expect(try problem("bytes", .bytes([1, 2, 3])) != nil)
    #expect(try problem("role", .text("boss")) == "'role': not a case of Role")
    #expect(try problem("size", .record([.int(1)])) != nil)
    #expect(try problem("size", .record([.int(1), nil, nil])) == "'size': 'height' is required")
    #expect(try problem("size", .record([.int(1), .int(2), .record([nil, nil])])) != nil)
    #expect(try problem("key", .reference(Key([.int(1)]))) != nil)
    #expect(try problem("key", .reference(Key([.int(1), .text("abcde")]))) != nil)
    #expect(try problem("key", .created(index: 0)) != nil)
    #expect(try problem("sizes", .int(1)) != nil)
    #expect(try problem("json", .json(.object([.init("a\u{0}", .null)]))) != nil)
  }

  @Test func elementsAreCheckedAsAWhole() throws {
    let schema = try #require(SchemaValueTests.schema)
    let collection = try #require(schema.collection(named: "C"))
    let sizes = collection.fields[try #require(collection.fieldIndex(named: "sizes"))]
    #expect(schema.problem(withElement: .record([.int(1), .int(2), nil]), of: sizes) == nil)
    #expect(
      schema.problem(withElement: .record([.int(3), .int(2), nil]), of: sizes)
        == "'sizes': the check width <= height fails")
    let map = collection.fields[try #require(collection.fieldIndex(named: "map"))]
    #expect(schema.problem(withMapKey: .text("owner"), of: map) == nil)
    #expect(schema.problem(withMapKey: .text("x"), of: map) != nil)
    #expect(schema.problem(withElement: .text("x"), of: map) != nil)
  }

  // MARK: - Slots

  @Test func recordsFallIntoSlots() throws {
    let collection = try #require(SchemaValueTests.schema?.collection(named: "C"))
    let layout = collection.layout
    let size = try #require(collection.fieldIndex(named: "size"))
    let maybe = try #require(collection.fieldIndex(named: "maybe"))
    let paths = layout.slots[layout.fieldSlots[maybe]].map { ($0.path, $0.isPresence) }
    #expect(
      paths.map(\.0) == [
        [maybe], [maybe, 0], [maybe, 1], [maybe, 2], [maybe, 2, 0], [maybe, 2, 1],
      ])
    #expect(paths.map(\.1) == [true, false, false, true, false, false])
    #expect(layout.fieldSlots[size].count == 5)
    #expect(layout.slots.map(\.index) == Array(layout.slots.indices))

    for value: Value? in [
      nil, .record([.int(1), .int(2), nil]), .record([.int(1), .int(2), .record([.int(3), nil])]),
      .record([nil, nil, nil]),
    ] {
      let values = layout.split(value, field: maybe)
      let first = layout.fieldSlots[maybe].lowerBound
      #expect(layout.assemble(field: maybe) { values[$0 - first] } == value)
    }
    #expect(layout.split(nil, field: maybe) == [.bool(false), nil, nil, .bool(false), nil, nil])
    #expect(layout.assemble(field: size) { _ in nil } == .record([nil, nil, nil]))
  }

  @Test func checksTieSlotsTogether() throws {
    let collection = try #require(SchemaValueTests.schema?.collection(named: "C"))
    let layout = collection.layout
    func slot(_ path: String...) -> Int {
      let fields = collection.fields
      let first = fields.firstIndex { $0.name == path[0] }!
      return layout.slot(at: path.count == 1 ? [first] : [first, path[1] == "width" ? 0 : 1])!
    }
    let units = [
      [slot("int"), slot("low"), slot("high")], [slot("size", "width"), slot("size", "height")],
      [slot("maybe", "width"), slot("maybe", "height")],
    ]
    #expect(collection.mergeUnits == units)
    #expect(layout.unitOfSlot[slot("high")] == 0)
    #expect(layout.unitOfSlot[slot("alone")] == nil)
    #expect(
      collection.checks.map(\.text) == [
        "width <= height", "width <= height", "low <= high", "high < int * 2", "alone > 0",
      ])
    var values: [Int: Value] = [slot("low"): .int(1), slot("high"): .int(2), slot("int"): .int(9)]
    #expect(layout.failedCheck { values[$0] } == nil)
    values[slot("low")] = .int(3)
    #expect(layout.failedCheck { values[$0] }?.text == "low <= high")
    values[slot("high")] = nil
    #expect(layout.failedCheck { values[$0] } == nil)
    values[slot("high")] = .int(5)
    values[slot("int")] = .int(.max)
    #expect(layout.failedCheck { values[$0] }?.text == "high < int * 2")
  }

  // MARK: - Expressions

  private func evaluate(_ check: String, _ values: [String: Value]) throws -> ExpressionResult {
    let schema = try Schema.parse(
      """
      schema S
      collection C {
        a: Int
        b: Int
        d: Decimal(38, 10)
        e: Decimal(38, 10)
        f: Float
        t: Text
        x: Bool @check(\(check))
      }
      """)
    return schema.collections[0].fields.last!.checks[0].evaluate { values[$0[0]] }
  }

  @Test func arithmeticIsExact() throws {
    let yes = ExpressionResult.value(.bool(true))
    let no = ExpressionResult.value(.bool(false))
    func decimal(_ text: String) -> Value { .decimal(ExactDecimal(text)!) }
    #expect(try evaluate("a + b == 3", ["a": .int(1), "b": .int(2)]) == yes)
    #expect(try evaluate("a + b > 0", ["a": .int(.max), "b": .int(1)]) == .overflow)
    #expect(try evaluate("a * b > 0", ["a": .int(.min), "b": .int(-1)]) == .overflow)
    #expect(try evaluate("-a > 0", ["a": .int(.min)]) == .overflow)
    #expect(try evaluate("d + 0.2 == 0.3", ["d": decimal("0.1")]) == yes)
    #expect(try evaluate("f + 0.2 == 0.3", ["f": .float(0.1)]) == no)
    #expect(try evaluate("a < d", ["a": .int(1), "d": decimal("1.0000000001")]) == yes)
    #expect(try evaluate("a == 1.5", ["a": .int(1)]) == no)
    #expect(
      try evaluate(
        "d * e > 0", ["d": decimal("9999999999999999999999999"), "e": decimal("99999999999999")])
        == .overflow)
    #expect(try evaluate("f * 1e300 > 0", ["f": .float(1e300)]) == yes)
    #expect(try evaluate("f * 1e300 - f * 1e300 == 0", ["f": .float(1e300)]) == .overflow)
    #expect(try evaluate("length(t) == 2", ["t": .text("é🙂")]) == yes)
    #expect(try evaluate("t < \"b\"", ["t": .text("B")]) == yes)
    #expect(try evaluate("a in [1, b, 3]", ["a": .int(3)]) == yes)
    #expect(try evaluate("a in [1, b, 3]", ["a": .int(4)]) == .absent)
  }

  @Test func whatIsAbsentDecidesNothing() throws {
    let yes = ExpressionResult.value(.bool(true))
    let no = ExpressionResult.value(.bool(false))
    #expect(try evaluate("a > 0", [:]) == .absent)
    #expect(try evaluate("not x", [:]) == .absent)
    #expect(try evaluate("a > 0 or x", ["x": .bool(true)]) == yes)
    #expect(try evaluate("a > 0 and x", ["x": .bool(false)]) == no)
    #expect(try evaluate("a > 0 and x", ["x": .bool(true)]) == .absent)
    #expect(ExpressionResult.absent.holds)
    #expect(!ExpressionResult.overflow.holds)
  }

  @Test func referencesCompareAsTheirKey() {
    let principal = Value.principal(.zero)
    #expect(Condition.Comparison.equal.holds(.reference(Key([principal])), principal))
    #expect(!Condition.Comparison.notEqual.holds(nil, principal))
    #expect(Condition.Comparison.less.holds(.int(1), .decimal(ExactDecimal("1.5")!)))
  }
}
