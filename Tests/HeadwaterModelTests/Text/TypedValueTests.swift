import Testing

@testable import HeadwaterModel

private let schema = SampleSchema.schema

private func written(_ value: Value?, _ type: FieldType) -> String {
  var out: [UInt8] = []
  schema.write(value, for: type, into: &out)
  return String(decoding: out, as: UTF8.self)
}

private func read(_ text: String, _ type: FieldType) throws -> Value? {
  try schema.value(from: RawJSON(text: text), for: type)
}

@Suite struct TypedJSONTests {
  static let price = FieldType.decimal(precision: 12, scale: 2)

  @Test(arguments: [
    ("true", FieldType.bool, Value.bool(true), "true"),
    ("-9223372036854775808", .int, .int(.min), "-9223372036854775808"),
    ("7.0", .int, .int(7), "7"), ("70e-1", .int, .int(7), "7"),
    ("1", .float, .float(1), "1.0"), ("-0.0", .float, .float(0), "0.0"),
    (#""-Infinity""#, .float, .float(-.infinity), #""-Infinity""#),
    (#""9.9""#, price, .decimal(ExactDecimal("9.9")!), #""9.90""#),
    ("9.90", price, .decimal(ExactDecimal("9.9")!), #""9.90""#),
    (
      "0.10000000000000000000000000000000000001", .decimal(precision: 38, scale: 38),
      .decimal(ExactDecimal("0.10000000000000000000000000000000000001")!),
      #""0.10000000000000000000000000000000000001""#
    ),
    (#""é""#, .text(limit: 1), .text("é"), #""é""#),
    (#""AP8=""#, .bytes(limit: 2), .bytes([0, 255]), #""AP8=""#),
    (#""2024-02-29""#, .date, .date(CalendarDate("2024-02-29")!), #""2024-02-29""#),
    (
      #""2024-02-29T12:00:00+02:00""#, .timestamp, .timestamp(Timestamp("2024-02-29T10:00:00Z")!),
      #""2024-02-29T10:00:00.000000Z""#
    ),
    (
      #""00112233445566778899AABBCCDDEEFF""#, .uuid,
      .uuid(UUIDBytes("00112233-4455-6677-8899-aabbccddeeff")!),
      #""00112233-4455-6677-8899-aabbccddeeff""#
    ),
    (
      #"{"b":1,"a":null}"#, .json, .json(.object([.init("a", .null), .init("b", .int(1))])),
      #"{"a":null,"b":1}"#
    ),
    ("null", .json, .json(.null), "null"),
    (#""editor""#, .enumeration("Role"), .text("editor"), #""editor""#),
    (
      #"{"height":2,"width":1,"unit":null}"#, .record("Size"),
      .record([.int(1), .float(2), nil, .int(1)]), #"{"width":1,"height":2.0,"depth":1}"#
    ),
    (#""A-1""#, .reference("Product"), .reference(Key([.text("A-1")])), #""A-1""#),
    (#"{"sku":"A-1"}"#, .reference("Product"), .reference(Key([.text("A-1")])), #""A-1""#),
    (
      #"{"number":3,"room":"x"}"#, .reference("Shelf"), .reference(Key([.text("x"), .int(3)])),
      #"{"room":"x","number":3}"#
    ),
    (
      #"{"number":3,"room":"x"}"#, .reference("Holding"),
      .reference(Key([.reference(Key([.reference(Key([.text("x"), .int(3)]))]))])),
      #"{"room":"x","number":3}"#
    ),
    (#"{"$new":65535}"#, .reference("Supplier"), .created(index: 65535), #"{"$new":65535}"#),
  ])
  func readsAndWrites(text: String, type: FieldType, value: Value, canonical: String) throws {
    #expect(try read(text, type) == value)
    #expect(written(value, type) == canonical)
    #expect(try read(text, .optional(type)) == (text == "null" ? nil : value))
  }

  @Test(arguments: [
    ("1", FieldType.bool, ""), ("null", .bool, ""), ("1.5", .int, ""), (#""1""#, .int, ""),
    ("9223372036854775808", .int, ""), ("1e400", .float, ""), (#""NaN""#, .float, ""),
    (#""1.0""#, .float, ""), ("9.999", price, ""), ("10000000000", price, ""), (#""x""#, price, ""),
    ("true", price, ""), (#""éé""#, .text(limit: 1), ""), ("5", .text(limit: nil), ""),
    (#""AP8""#, .bytes(limit: nil), ""), (#""AP9=""#, .bytes(limit: nil), ""),
    (#""AAAA""#, .bytes(limit: 2), ""), (#""2023-02-29""#, .date, ""),
    (#""2024-01-01T00:00:00""#, .timestamp, ""),
    (#""x""#, .uuid, ""), (#""00""#, .principal, ""), (#""Owner""#, .enumeration("Role"), ""),
    ("[1e999]", .json, ""), (#"{"width":1}"#, .record("Size"), "height"),
    (#"{"width":1,"height":"x"}"#, .record("Size"), "height"),
    (#"{"Width":1}"#, .record("Size"), ""),
    (#"{"product":"a","extra":1,"size":{"width":"secret"}}"#, .record("Line"), "size.width"),
    (
      #"{"product":"a","extra":1,"shelf":{"room":"r","number":"secret"}}"#, .record("Line"),
      "shelf.number"
    ),
    (#"{"room":"x"}"#, .reference("Shelf"), "number"),
    (#"{"room":"x","numbr":1}"#, .reference("Shelf"), ""),
    (#""secret""#, .reference("Shelf"), ""), (#"{"$new":0}"#, .reference("Product"), ""),
    (#"{"$new":65536}"#, .reference("Supplier"), ""), (#"{"$new":-1}"#, .reference("Supplier"), ""),
    ("[]", .set(.int), ""), ("1", .record("Nothing"), ""), ("1", .reference("Nothing"), ""),
  ])
  func refuses(text: String, type: FieldType, path: String) {
    let error = #expect(throws: ValueError.self) { try read(text, type) }
    #expect(error?.path == path)
    #expect(error?.message.contains("secret") == false)
  }

  @Test func suggestsTheNearestName() {
    let error = #expect(throws: ValueError.self) {
      try schema.value(from: RawJSON(text: #"{"widht":1}"#), for: .of("size", .record("Size")))
    }
    #expect(error?.description == "size: Size has no such field; did you mean “width”?")
  }

  @Test func namesThePathFromTheField() {
    let text = #"{"product":"a","extra":1,"size":{"width":1.5}}"#
    let error = #expect(throws: ValueError.self) {
      try schema.value(from: RawJSON(text: text), for: .of("row", .record("Line")))
    }
    #expect(error?.path == "row.size.width")
  }

  @Test(arguments: UInt64(0)..<20)
  func readsWhatItWrites(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for type in SampleSchema.scalars {
      for _ in 0..<20 {
        let value = random.value(type)
        #expect(try read(written(value, type), type) == value)
        let optional = random.value(.optional(type))
        #expect(try read(written(optional, .optional(type)), .optional(type)) == optional)
      }
    }
    for collection in schema.collections {
      let row = Row(collection.fields.map { random.value($0.type) })
      var out: [UInt8] = []
      schema.writeRow(row, of: collection, into: &out)
      #expect(try schema.row(from: RawJSON(text: out), of: collection) == row)
      let key = collection.key(of: row)!
      out = []
      schema.writeKey(key, of: collection, into: &out)
      #expect(try schema.key(from: RawJSON(text: out), of: collection) == key)
      out = []
      schema.write(.reference(key), for: .reference(collection.name), into: &out)
      #expect(try schema.key(from: RawJSON(text: out), of: collection) == key)
    }
  }

  /// A JSON value of any shape is a value of the type or is refused; it is never a crash.
  @Test(arguments: UInt64(0)..<10)
  func survivesAnyJSON(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      let type = random.pick(SampleSchema.scalars)
      let raw = try RawJSON(
        text: random.chance(2) ? random.json().text : written(random.anyValue(), .json))
      guard let value = try? schema.value(from: raw, for: type) else { continue }
      #expect(try read(written(value, type), type) == value)
    }
  }

  @Test func writesWithoutASchemaThatFits() {
    #expect(written(.record([.int(1), nil]), .record("Nothing")) == "[1,null]")
    #expect(written(.reference(Key([.int(1), .int(2)])), .int) == "[1,2]")
    #expect(written(.int(1), .text(limit: nil)) == "1")
  }

  @Test func refusesKeysWithoutEnd() {
    let ring = Schema(
      name: "Ring", documentation: nil, allowsEverything: true, enums: [], records: [],
      collections: [
        .of("A", [.of("b", .reference("B"), key: true)]),
        .of("B", [.of("a", .reference("A"), key: true)]),
      ],
      upgradeRules: [])
    #expect(throws: ValueError.self) {
      try ring.value(from: RawJSON.number("1"), for: .reference("A"))
    }
    #expect(throws: ValueError.self) { try ring.value(fromCell: "1", for: .reference("A")) }
  }
}

@Suite struct CellTests {
  @Test(
    arguments: [
      ("", FieldType.optional(.int), nil), ("", .text(limit: nil), .text("")),
      ("YES", .bool, .bool(true)),
      ("f", .bool, .bool(false)), ("+5", .int, .int(5)), (".5", .float, .float(0.5)),
      ("Infinity", .float, .float(.infinity)),
      ("9.90", .decimal(precision: 4, scale: 2), .decimal(ExactDecimal("9.9")!)),
      ("2024-02-29", .date, .date(CalendarDate("2024-02-29")!)),
      ("null", .optional(.json), .json(.null)),
      (#"{"a":1}"#, .json, .json(.object([.init("a", .int(1))]))),
      ("{x", .reference("Product"), .reference(Key([.text("{x")]))),
      (
        #"{"room":"a","number":1}"#, .reference("Slot"),
        .reference(Key([.reference(Key([.text("a"), .int(1)]))]))
      ),
      (#"{"$new":3}"#, .reference("Supplier"), .created(index: 3)),
      ("2024-02-29", .reference("Calendar"), .reference(Key([.date(CalendarDate("2024-02-29")!)]))),
    ] as [(String, FieldType, Value?)])
  func reads(cell: String, type: FieldType, value: Value?) throws {
    #expect(try schema.value(fromCell: cell, for: type) == value)
  }

  @Test(arguments: [
    ("", FieldType.int), ("", .bool), ("maybe", .bool), ("1.0", .int), (" 1", .int),
    ("nan", .float),
    ("0x10", .float), ("inf", .float), ("1e999", .float), ("1,5", .float),
    ("", .enumeration("Role")),
    ("{", .json), ("1.999", .decimal(precision: 4, scale: 2)), ("", .reference("Member")),
    ("a,1", .reference("Shelf")),
  ])
  func refuses(cell: String, type: FieldType) {
    let error = #expect(throws: ValueError.self) {
      try schema.value(fromCell: cell, for: Field.of("f", type))
    }
    #expect(error?.path == "f")
  }

  @Test(arguments: UInt64(0)..<20)
  func readsWhatItWrites(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for base in SampleSchema.scalars {
      for type in [base, .optional(base)] {
        for _ in 0..<20 {
          let value = random.value(type)
          let cell = schema.text(forCell: value, for: type)
          // A cell cannot tell an empty text or key from nothing.
          if cell.isEmpty, type.isOptional || base.referencedCollection != nil { continue }
          #expect(try schema.value(fromCell: cell, for: type) == value)
        }
      }
    }
  }
}

@Suite struct Base64Tests {
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"),
  ])
  func vectorsOfTheRFC(plain: String, encoded: String) {
    var out: [UInt8] = []
    Base64.write(Array(plain.utf8), into: &out)
    #expect(String(decoding: out, as: UTF8.self) == encoded)
    #expect(Base64.bytes(encoded.utf8) == Array(plain.utf8))
  }

  @Test(arguments: [
    "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "=", "====", "Zg==\n", " Zg=", "Z===", "Zm8=Zm8=",
    "Zm-_",
  ])
  func refuses(text: String) { #expect(Base64.bytes(text.utf8) == nil) }
}
