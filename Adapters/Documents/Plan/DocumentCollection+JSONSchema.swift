import HeadwaterModel

extension DocumentCollection {
  /// The JSON Schema (draft 2020-12) of the collection's documents: every document validates against it.
  public var jsonSchema: JSON {
    var members: [JSON.Member] = [
      JSON.Member("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
      JSON.Member("title", .string(collectionName)),
    ]
    if let documentation { members.append(JSON.Member("description", .string(documentation))) }
    let id = JSONSchemaWriter.object([
      ("type", .string("string")),
      ("description", .string("The key, as text that is safe as the name of a file.")),
      // In ASCII and lower case, and long enough for the longest key with every byte escaped.
      ("pattern", .string("^[a-z0-9=+(][a-z0-9=+(),._-]*$")),
    ])
    return JSONSchemaWriter.object(members, fields, extra: ("_id", id))
  }

  /// `jsonSchema` as people read it, with a line feed last.
  public var jsonSchemaText: [UInt8] {
    var out: [UInt8] = []
    jsonSchema.writePretty(into: &out)
    out.append(0x0A)
    return out
  }
}

private enum JSONSchemaWriter {
  static func object(_ members: [(String, JSON)]) -> JSON {
    JSON(members: members.map { JSON.Member($0.0, $0.1) }) ?? .object([])
  }

  static func object(
    _ members: [JSON.Member], _ fields: [DocumentField], extra: (String, JSON)? = nil
  ) -> JSON {
    var properties: [JSON.Member] = []
    var required: [JSON] = []
    if let extra {
      properties.append(JSON.Member(extra.0, extra.1))
      required.append(.string(extra.0))
    }
    for field in fields {
      properties.append(JSON.Member(field.name, described(field)))
      if !field.isOptional { required.append(.string(field.name)) }
    }
    return JSON(
      members: members + [
        JSON.Member("type", .string("object")),
        JSON.Member("properties", JSON(members: properties) ?? .object([])),
        JSON.Member("required", .array(required)),
        JSON.Member("additionalProperties", .bool(false)),
      ]) ?? .object([])
  }

  private static func described(_ field: DocumentField) -> JSON {
    guard case .object(var members) = schema(field.shape) else { return .bool(true) }
    if let text = field.documentation {
      members.append(JSON.Member("description", .string(text)))
    }
    if utf8Compare(field.name, field.fieldName) != 0 {
      members.append(JSON.Member("title", .string(field.fieldName)))
    }
    return JSON(members: members) ?? .object([])
  }

  private static func string(_ more: (String, JSON)...) -> JSON {
    object([("type", .string("string"))] + more)
  }

  private static func schema(_ shape: DocumentShape) -> JSON {
    switch shape {
    case .bool: return object([("type", .string("boolean"))])
    case .int:
      return object([
        ("type", .string("integer")), ("minimum", .int(.min)), ("maximum", .int(.max)),
      ])
    case .float:
      return object([
        (
          "anyOf",
          .array([
            object([("type", .string("number"))]),
            object([("enum", .array([.string("Infinity"), .string("-Infinity")]))]),
          ])
        )
      ])
    case .decimal(let precision, let scale):
      let whole = max(precision - scale, 1)
      let digits = "^-?(0|[1-9][0-9]{0,\(whole - 1)})" + (scale > 0 ? "\\.[0-9]{\(scale)}$" : "$")
      return string(("pattern", .string(digits)))
    case .text(let limit):
      return limit.map { string(("maxLength", .int(Int64($0)))) } ?? string()
    case .bytes(let limit):
      let encoding = ("contentEncoding", JSON.string("base64"))
      guard let limit else { return string(encoding) }
      return string(encoding, ("maxLength", .int(Int64((limit + 2) / 3 * 4))))
    case .date: return string(("format", .string("date")))
    case .timestamp:
      return string(
        (
          "pattern",
          .string("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$")
        ), ("format", .string("date-time")))
    case .uuid: return string(("format", .string("uuid")))
    case .principal: return string(("pattern", .string("^[0-9a-f]{64}$")))
    case .json: return object([("description", .string("Any JSON value."))])
    case .enumeration(let cases): return object([("enum", .array(cases.map { .string($0) }))])
    case .record(let name, let fields):
      return object([JSON.Member("title", .string(name))], fields)
    case .reference(let name, let fields):
      let comment = JSON.Member("$comment", .string("The key of a document of \(name)."))
      guard fields.count == 1 else { return object([comment], fields) }
      guard case .object(let members) = schema(fields[0].shape) else { return .bool(true) }
      // A reference to a row whose key is a reference says so twice; the outer one counts.
      return JSON(members: members.filter { $0.name != "$comment" } + [comment]) ?? .object([])
    }
  }
}
