import HeadwaterModel

/// A schema in few words. Everybody may do everything in it: the kit is about rows, not rules.
struct SchemaSketch {
  struct Entry {
    var name: String
    var type: FieldType
    var attributes = ""
  }

  var name = "Contract"
  var enums: [(name: String, cases: [String])] = []
  var records: [(name: String, fields: [Entry])] = []
  var collections: [(name: String, fields: [Entry])] = []

  /// The schema that `text` spells.
  func schema() throws -> Schema { try Schema.parse(text) }

  /// All names stand in backticks: any may be a word of the language.
  var text: String {
    var text = "schema \(name)\n"
    for kind in enums {
      text += "enum `\(kind.name)` { \(kind.cases.map { "`\($0)`" }.joined(separator: ", ")) }\n"
    }
    for (kind, entries) in [("record", records), ("collection", collections)] {
      for entry in entries {
        text += "\(kind) `\(entry.name)` {\n"
        for field in entry.fields {
          text += "  `\(field.name)`: \(SchemaSketch.spelled(field.type)) \(field.attributes)\n"
        }
        text += "}\n"
      }
    }
    return text + "allow everything\n"
  }

  private static func spelled(_ type: FieldType) -> String {
    switch type {
    case .bool: "Bool"
    case .int: "Int"
    case .float: "Float"
    case .decimal(let precision, let scale): "Decimal(\(precision), \(scale))"
    case .text(let limit): "Text" + (limit.map { "(\($0))" } ?? "")
    case .bytes(let limit): "Bytes" + (limit.map { "(\($0))" } ?? "")
    case .date: "Date"
    case .timestamp: "Timestamp"
    case .uuid: "UUID"
    case .json: "JSON"
    case .principal: "Principal"
    case .enumeration(let name), .record(let name), .reference(let name): "`\(name)`"
    case .optional(let type): spelled(type) + "?"
    case .counter, .set, .map, .list, .sharedText, .multiValue, .custom:
      preconditionFailure("the kit has register types only")
    }
  }
}

extension SchemaSketch.Entry {
  static func key(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: type, attributes: "@key")
  }

  static func field(_ name: String, _ type: FieldType) -> Self { Self(name: name, type: type) }

  static func optional(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: .optional(type))
  }

  static func unique(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: type, attributes: "@readonly @unique")
  }

  static func indexed(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: type, attributes: "@index")
  }
  static func optionalUnique(_ name: String, _ type: FieldType) -> Self {
    Self(name: name, type: .optional(type), attributes: "@readonly @unique")
  }
}
