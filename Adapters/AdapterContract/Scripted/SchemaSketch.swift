@testable import HeadwaterModel

/// A schema in few words. Everybody may do everything in it: the kit is about rows, not rules.
struct SchemaSketch {
  struct Entry {
    var name: String
    var type: FieldType
    var isKey = false
    var isReadonly = false
    var isUnique = false
    var isIndexed = false
    var onDelete: Field.DeletePolicy?
  }

  var name = "Contract"
  var enums: [(name: String, cases: [String])] = []
  var records: [(name: String, fields: [Entry])] = []
  var collections: [(name: String, fields: [Entry])] = []

  func schema() throws -> Schema {
    Schema(
      name: name, documentation: nil, allowsEverything: true,
      enums: enums.map { kind in
        EnumType(
          name: kind.name, documentation: nil,
          cases: kind.cases.map { EnumType.Case(name: $0, documentation: nil) })
      },
      records: records.map {
        RecordType(name: $0.name, documentation: nil, fields: $0.fields.map(field))
      },
      collections: collections.map { collection in
        var fields = collection.fields.map(field)
        let isGenerated = !fields.contains { $0.isKey }
        if isGenerated { fields.insert(field(.key("id", .uuid)), at: 0) }
        return CollectionType(
          name: collection.name, documentation: nil, declaredStrictness: nil, isStrict: false,
          fields: fields, keyFields: fields.indices.filter { fields[$0].isKey },
          hasGeneratedKey: isGenerated, rules: [])
      }, upgradeRules: [])
  }

  private func field(_ entry: Entry) -> Field {
    var policy = entry.onDelete
    if policy == nil, entry.type.referencedCollection != nil {
      policy = entry.type.isOptional ? .null : .cascade
    }
    return Field(
      name: entry.name, documentation: nil, type: entry.type, isKey: entry.isKey,
      isReadonly: entry.isKey || entry.isReadonly || entry.isUnique, isUnique: entry.isUnique,
      isIndexed: entry.isIndexed, defaultValue: nil, checks: [], onDelete: policy)
  }
}

extension SchemaSketch.Entry {
  static func key(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: type, isKey: true)
  }

  static func field(_ name: String, _ type: FieldType) -> Self { Self(name: name, type: type) }

  static func optional(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: .optional(type))
  }

  static func unique(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: type, isUnique: true)
  }

  static func indexed(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: type, isIndexed: true)
  }
}
