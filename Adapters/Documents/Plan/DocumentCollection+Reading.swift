import HeadwaterModel

extension DocumentCollection {
  /// The row that a document is.
  ///
  /// - Throws: `ValueError`, which names the member and never its value, where the document is none that `write`
  ///   writes: another `_id`, an unknown member, a value of another type.
  public func row(of document: RawJSON, in schema: Schema) throws(ValueError) -> Row {
    guard let members = document.members else { throw ValueError("expected an object") }
    guard members.first?.name == "_id", let id = members.first?.value.string else {
      throw ValueError("expected “_id” first")
    }
    let row = Row(try DocumentReading.values(members.dropFirst(), fields, schema))
    guard let key = key(of: row), self.id(of: key) == id else {
      throw ValueError("“_id” is not that of the key")
    }
    return row
  }

  /// As `row(of:in:)` of the text of a document.
  public func row(of text: [UInt8], in schema: Schema) throws(ValueError) -> Row {
    let raw: RawJSON
    do throws(JSONError) {
      raw = try RawJSON(text: text)
    } catch {
      throw ValueError("not JSON: \(error.message)")
    }
    return try row(of: raw, in: schema)
  }
}

/// Values from documents.
enum DocumentReading {
  static func values(
    _ members: some Collection<RawJSON.Member>, _ fields: [DocumentField], _ schema: Schema
  ) throws(ValueError) -> [Value?] {
    var values = [Value?](repeating: nil, count: fields.count)
    var next = 0
    for member in members {
      // In the order of the schema, as a rule.
      let found =
        (next..<fields.count).first { utf8Compare(fields[$0].name, member.name) == 0 }
        ?? (0..<next).first { utf8Compare(fields[$0].name, member.name) == 0 }
      guard let found else { throw ValueError("an unknown member") }
      do throws(ValueError) {
        values[found] = try value(member.value, fields[found].shape, schema)
      } catch {
        throw error.inside(fields[found].name)
      }
      next = found + 1
    }
    for (field, value) in zip(fields, values) where value == nil && !field.isOptional {
      throw ValueError("a value is required", path: field.name)
    }
    return values
  }

  static func value(_ raw: RawJSON, _ shape: DocumentShape, _ schema: Schema)
    throws(ValueError) -> Value
  {
    switch shape {
    case .json:
      do throws(JSONError) {
        return .json(try JSON(raw))
      } catch {
        throw ValueError(error.message)
      }
    case .record(_, let fields):
      guard let members = raw.members else { throw ValueError("expected an object") }
      return .record(try values(members, fields, schema))
    case .reference(_, let fields):
      if fields.count == 1 {
        return .reference(Key([try value(raw, fields[0].shape, schema)]))
      }
      guard let members = raw.members else { throw ValueError("expected an object") }
      return .reference(Key(try values(members, fields, schema).compactMap { $0 }))
    case .enumeration(let cases):
      guard let text = raw.string, cases.contains(where: { utf8Compare($0, text) == 0 }) else {
        throw ValueError("expected a case of the enum")
      }
      return .text(text)
    default:
      guard let type = shape.fieldType, let value = try schema.value(from: raw, for: type) else {
        throw ValueError("a value is required")
      }
      return value
    }
  }
}

extension DocumentShape {
  /// The type of the schema language that reads the shape's JSON, for scalars.
  var fieldType: FieldType? {
    switch self {
    case .bool: .bool
    case .int: .int
    case .float: .float
    case .decimal(let precision, let scale): .decimal(precision: precision, scale: scale)
    case .text(let limit): .text(limit: limit)
    case .bytes(let limit): .bytes(limit: limit)
    case .date: .date
    case .timestamp: .timestamp
    case .uuid: .uuid
    case .principal: .principal
    case .json: .json
    case .enumeration, .record, .reference: nil
    }
  }
}
