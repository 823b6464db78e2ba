import HeadwaterModel
import HeadwaterStream

/// How the rows of a schema are documents: the one mapping that every document sink shares.
///
/// A collection is a collection of documents, a row is one document: an object of `_id` and the row's fields in the
/// order of the schema, with what is absent left out. `Docs/Documents.md` has the table of types.
public struct DocumentPlan: Sendable {
  /// The schema that the plan was made for.
  public let schema: Schema
  /// One for each collection of the schema, in its order.
  public let collections: [DocumentCollection]

  /// - Throws: `.unsupported` (halt) where a field has a type that documents do not carry yet.
  public init(schema: Schema) throws(AdapterError) {
    self.schema = schema
    var names = DocumentNames()
    let allocated = names.collections(schema.collections.map(\.name))
    var collections: [DocumentCollection] = []
    for (index, type) in schema.collections.enumerated() {
      let fields = try DocumentPlan.fields(type.fields, of: type.name, schema, isTop: true)
      collections.append(
        DocumentCollection(
          index: index, name: allocated[index], collectionName: type.name,
          documentation: type.documentation, fields: fields, keyFields: type.keyFields))
    }
    self.collections = collections
  }

  /// The collection with that name in the schema, or with that name in the sinks.
  public func collection(named name: String) -> DocumentCollection? {
    collections.first { utf8Compare($0.collectionName, name) == 0 }
      ?? collections.first { utf8Compare($0.name, name) == 0 }
  }

  private static func fields(
    _ fields: [Field], of owner: String, _ schema: Schema, isTop: Bool
  ) throws(AdapterError) -> [DocumentField] {
    var names = DocumentNames()
    let allocated = names.fields(fields.map(\.name), isTop: isTop)
    var made: [DocumentField] = []
    for (field, name) in zip(fields, allocated) {
      let shape = try shape(field.type.wrapped, "\(owner).\(field.name)", schema)
      made.append(
        DocumentField(
          name: name, fieldName: field.name, shape: shape, isOptional: field.type.isOptional,
          documentation: field.documentation, isIndexed: field.isIndexed, isUnique: field.isUnique))
    }
    return made
  }

  private static func shape(_ type: FieldType, _ path: String, _ schema: Schema)
    throws(AdapterError) -> DocumentShape
  {
    switch type {
    case .bool: return .bool
    case .int: return .int
    case .float: return .float
    case .decimal(let precision, let scale): return .decimal(precision: precision, scale: scale)
    case .text(let limit): return .text(limit: limit)
    case .bytes(let limit): return .bytes(limit: limit)
    case .date: return .date
    case .timestamp: return .timestamp
    case .uuid: return .uuid
    case .json: return .json
    case .principal: return .principal
    case .enumeration(let name):
      return .enumeration(schema.enumeration(named: name)?.cases.map(\.name) ?? [])
    case .record(let name):
      let inner = schema.record(named: name)?.fields ?? []
      return .record(name, try fields(inner, of: path, schema, isTop: false))
    case .reference(let name):
      guard let target = schema.collection(named: name) else { return .reference(name, []) }
      let key = target.keyFields.map { target.fields[$0] }
      return .reference(name, try fields(key, of: path, schema, isTop: false))
    case .optional(let inner): return try shape(inner, path, schema)
    case .counter, .set, .map, .list, .sharedText, .multiValue, .custom:
      throw AdapterError(
        .unsupported,
        "The field \(path) has a type that documents do not carry yet; leave it out of the schema, "
          + "or wait for a version that has it.", recovery: .halt)
    }
  }
}

/// What a value looks like in a document.
public indirect enum DocumentShape: Sendable {
  /// `true` or `false`.
  case bool
  /// An exact number of 64 bits.
  case int
  /// A number; `"Infinity"` and `"-Infinity"`, which JSON has no numbers for.
  case float
  /// A string with always `scale` digits after the point: `"9.90"`.
  case decimal(precision: Int, scale: Int)
  /// A string of at most `limit` Unicode scalars.
  case text(limit: Int?)
  /// Base64 in a string.
  case bytes(limit: Int?)
  /// `"2024-02-29"`.
  case date
  /// `"2024-02-29T23:59:59.500000Z"`, so that the order of strings is the order of times.
  case timestamp
  /// A string of 36 characters, lower case.
  case uuid
  /// A string of 64 hexadecimal digits, lower case.
  case principal
  /// Any value, members sorted.
  case json
  /// One of these strings.
  case enumeration([String])
  /// An object; the record's name in the schema and its fields.
  case record(String, [DocumentField])
  /// The key of a row of the named collection: its value where the key has one field, otherwise an object.
  case reference(String, [DocumentField])
}

/// A member of a document, or of an object in it.
public struct DocumentField: Sendable {
  /// The name in documents.
  public let name: String
  /// The name in the schema.
  public let fieldName: String
  /// What its value looks like.
  public let shape: DocumentShape
  /// Whether the member may be missing.
  public let isOptional: Bool
  /// The doc comment of the schema.
  public let documentation: String?
  /// Whether the schema says `@index`.
  public let isIndexed: Bool
  /// Whether the schema says `@unique`.
  public let isUnique: Bool
  /// The name in quotes and a colon, as compact JSON has it.
  let label: [UInt8]

  init(
    name: String, fieldName: String, shape: DocumentShape, isOptional: Bool,
    documentation: String?, isIndexed: Bool, isUnique: Bool
  ) {
    self.name = name
    self.fieldName = fieldName
    self.shape = shape
    self.isOptional = isOptional
    self.documentation = documentation
    self.isIndexed = isIndexed
    self.isUnique = isUnique
    var label: [UInt8] = []
    JSONText.write(name, into: &label)
    label.append(UInt8(ascii: ":"))
    self.label = label
  }
}

/// How the rows of one collection are documents.
public struct DocumentCollection: Sendable {
  /// The collection's index in the schema.
  public let index: Int
  /// The name of the folder, table or collection in a sink: safe in all of them, and different from all others
  /// whatever their case.
  public let name: String
  /// The name in the schema.
  public let collectionName: String
  /// The doc comment of the schema.
  public let documentation: String?
  /// The members of a document behind `_id`, in the order of the schema.
  public let fields: [DocumentField]
  /// The indices in `fields` of the key's fields.
  public let keyFields: [Int]

  /// The key of a row; nil where a part of it is absent.
  public func key(of row: Row) -> Key? {
    var values: [Value] = []
    values.reserveCapacity(keyFields.count)
    for index in keyFields {
      guard row.values.indices.contains(index), let value = row[index] else { return nil }
      values.append(value)
    }
    return Key(values)
  }

  /// The field with that name in documents.
  public func field(named name: String) -> DocumentField? {
    fields.first { utf8Compare($0.name, name) == 0 }
  }
}
