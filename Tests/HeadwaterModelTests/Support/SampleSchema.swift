@testable import HeadwaterModel

extension Field {
  /// A field for tests, with everything that is not given left out.
  static func of(
    _ name: String, _ type: FieldType, key: Bool = false, defaultValue: Value? = nil
  ) -> Field {
    Field(
      name: name, documentation: nil, type: type, isKey: key, isReadonly: key, isUnique: false,
      isIndexed: false, defaultValue: defaultValue, checks: [],
      onDelete: type.referencedCollection == nil ? nil : type.isOptional ? .null : .cascade)
  }
}

extension CollectionType {
  static func of(_ name: String, _ fields: [Field]) -> CollectionType {
    let generated = !fields.contains { $0.isKey }
    let all = generated ? [Field.of("id", .uuid, key: true)] + fields : fields
    return CollectionType(
      name: name, documentation: nil, declaredStrictness: nil, isStrict: false, fields: all,
      keyFields: all.indices.filter { all[$0].isKey }, hasGeneratedKey: generated, rules: [],
      layout: CollectionLayout(fields: all, records: [:]))
  }
}

/// A schema with a field of every type, optional and not, and keys of every shape.
enum SampleSchema {
  static let scalars: [FieldType] = [
    .bool, .int, .float, .decimal(precision: 12, scale: 2), .decimal(precision: 38, scale: 38),
    .decimal(precision: 38, scale: 0), .text(limit: nil), .text(limit: 5), .bytes(limit: nil),
    .bytes(limit: 4), .date, .timestamp, .uuid, .json, .principal, .enumeration("Role"),
    .record("Size"), .record("Line"), .reference("Supplier"), .reference("Product"),
    .reference("Member"), .reference("Shelf"), .reference("Slot"), .reference("Holding"),
    .reference("Calendar"), .counter, .sharedText,
  ]

  static let schema = Schema(
    name: "Sample", documentation: nil, allowsEverything: true,
    enums: [
      EnumType(
        name: "Role", documentation: nil,
        cases: ["owner", "editor", "viewer"].map { .init(name: $0, documentation: nil) })
    ],
    records: [
      RecordType(
        name: "Size", documentation: nil,
        fields: [
          .of("width", .int), .of("height", .float), .of("unit", .optional(.text(limit: 3))),
          .of("depth", .int, defaultValue: .int(1)),
        ]),
      RecordType(
        name: "Line", documentation: nil,
        fields: [
          .of("product", .reference("Product")), .of("size", .optional(.record("Size"))),
          .of("extra", .json), .of("shelf", .optional(.reference("Shelf"))),
        ]),
    ],
    collections: [
      .of("Supplier", [.of("name", .text(limit: nil))]),
      .of("Product", [.of("sku", .text(limit: 32), key: true)]),
      .of("Member", [.of("principal", .principal, key: true)]),
      .of(
        "Shelf",
        [
          .of("note", .optional(.text(limit: nil))), .of("room", .text(limit: 10), key: true),
          .of("number", .int, key: true),
        ]),
      .of("Slot", [.of("shelf", .reference("Shelf"), key: true)]),
      .of("Holding", [.of("slot", .reference("Slot"), key: true)]),
      .of("Calendar", [.of("day", .date, key: true)]),
      .of(
        "Many",
        [
          .of("a", .bool, key: true), .of("b", .decimal(precision: 10, scale: 3), key: true),
          .of("c", .bytes(limit: 20), key: true), .of("d", .enumeration("Role"), key: true),
          .of("e", .timestamp, key: true), .of("f", .reference("Shelf"), key: true),
          .of("g", .float, key: true), .of("h", .uuid, key: true),
        ]),
      .of(
        "Everything",
        scalars.enumerated().map { .of("r\($0)", $1) }
          + scalars.filter(\.isRegister).enumerated().map { .of("o\($0)", .optional($1)) }),
    ],
    upgradeRules: [])

  static func collection(_ name: String) -> CollectionType { schema.collection(named: name)! }
}
