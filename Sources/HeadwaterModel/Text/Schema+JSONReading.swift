// Typed values from JSON, by the table of types in the schema language.

extension Schema {
  /// The value that `raw` is for `field`, or nil where it is `null` and the field is optional.
  ///
  /// Checks the type with its limits, nothing else: no `@check`, no rule, and not whether the target of a
  /// reference exists. `{"$new": 0}` is a reference to the row that change 0 of the same operation creates.
  public func value(from raw: RawJSON, for field: Field) throws(ValueError) -> Value? {
    do throws(ValueError) {
      return try value(from: raw, for: field.type)
    } catch {
      throw error.inside(field.name)
    }
  }

  /// As for a field of that type: an element of a list or set, say.
  public func value(from raw: RawJSON, for type: FieldType) throws(ValueError) -> Value? {
    if case .null = raw {
      if type.isOptional { return nil }
      guard case .json = type else { throw ValueError("a value is required") }
      return .json(.null)
    }
    return try value(raw, type.wrapped, depth: 0)
  }

  /// The key that `raw` is: an object by field name, or for a key of one field its value alone.
  public func key(from raw: RawJSON, of collection: CollectionType) throws(ValueError) -> Key {
    try key(raw, collection, depth: 0)
  }

  /// The members of a row, each with the index of its field, in the order in which they stand.
  ///
  /// Nothing is said about fields that are missing: a create fills them with defaults, an update leaves them.
  public func members(of raw: RawJSON, in collection: CollectionType) throws(ValueError)
    -> [(field: Int, value: RawJSON)]
  {
    guard let members = raw.members else { throw ValueError("expected an object of fields") }
    var found: [(field: Int, value: RawJSON)] = []
    found.reserveCapacity(members.count)
    for member in members {
      guard let index = collection.fieldIndex(named: member.name) else {
        throw unknown(member.name, collection.fields, collection.name)
      }
      found.append((index, member.value))
    }
    return found
  }

  /// The row that `raw` is, as `writeRow` writes it; throws where a field that is not optional is missing.
  public func row(from raw: RawJSON, of collection: CollectionType) throws(ValueError) -> Row {
    var values = [Value?](repeating: nil, count: collection.fields.count)
    for (index, raw) in try members(of: raw, in: collection) {
      values[index] = try value(from: raw, for: collection.fields[index])
    }
    for (field, value) in zip(collection.fields, values) where value == nil {
      guard field.type.isOptional else {
        throw ValueError("a value is required", path: field.name)
      }
    }
    return Row(values)
  }

  private func unknown(_ name: String, _ fields: [Field], _ owner: String) -> ValueError {
    ValueError(
      "\(owner) has no such field"
        + Spelling.suggestion(for: name, among: fields.map(\.name)))
  }

  // MARK: - By type

  private func value(_ raw: RawJSON, _ type: FieldType, depth: Int) throws(ValueError) -> Value {
    switch type {
    case .bool:
      guard case .bool(let value) = raw else { throw ValueError("expected true or false") }
      return .bool(value)
    case .int, .counter:
      guard case .number = raw else { throw ValueError("expected an integer") }
      guard let value = raw.int else { throw ValueError("expected an integer of 64 bits") }
      return .int(value)
    case .float: return try float(raw)
    case .decimal:
      switch raw {
      case .string(let text), .number(let text): return try decimal(text, type)
      default: throw ValueError("expected a decimal number in a string")
      }
    case .json:
      do throws(JSONError) {
        return .json(try JSON(raw))
      } catch {
        throw ValueError(error.message)
      }
    case .record(let name):
      guard let record = record(named: name) else { throw ValueError("no record \(name)") }
      return try self.record(raw, record, depth: depth)
    case .reference(let name):
      guard let target = collection(named: name) else { throw ValueError("no collection \(name)") }
      return try reference(raw, target, depth: depth)
    case .optional(let inner): return try value(raw, inner, depth: depth)
    case .text, .sharedText, .bytes, .date, .timestamp, .uuid, .principal, .enumeration:
      guard case .string(let text) = raw else { throw ValueError("expected a string") }
      return try scalar(text, type)
    case .set, .map, .list, .multiValue, .custom:
      throw ValueError("this field is made of many values and is not set as one")
    }
  }

  /// A value of a type whose JSON is a string.
  func scalar(_ text: String, _ type: FieldType) throws(ValueError) -> Value {
    switch type {
    case .text(let limit): return try self.text(text, limit: limit)
    case .sharedText: return try self.text(text, limit: nil)
    case .bytes(let limit):
      guard let bytes = Base64.bytes(text.utf8) else {
        throw ValueError("expected base64 with its padding")
      }
      guard bytes.count <= min(limit ?? .max, Limits.valueBytes) else {
        throw ValueError("longer than \(min(limit ?? .max, Limits.valueBytes)) bytes")
      }
      return .bytes(bytes)
    case .date:
      guard let date = CalendarDate(text) else {
        throw ValueError("expected a date, YYYY-MM-DD, in the years 1 to 9999")
      }
      return .date(date)
    case .timestamp:
      guard let time = Timestamp(text) else {
        throw ValueError(
          "expected a time with its offset, YYYY-MM-DDThh:mm:ssZ, to the microsecond at most")
      }
      return .timestamp(time)
    case .uuid:
      guard let uuid = UUIDBytes(text) else { throw ValueError("expected a UUID") }
      return .uuid(uuid)
    case .principal:
      guard let id = Digest(hex: text) else {
        throw ValueError("expected the 64 hexadecimal digits of a principal")
      }
      return .principal(id)
    case .enumeration(let name):
      guard let cases = enumeration(named: name)?.cases else { throw ValueError("no enum \(name)") }
      guard cases.contains(where: { utf8Compare($0.name, text) == 0 }) else {
        throw ValueError("expected a case of \(name)" + caseHint(text, cases))
      }
      return .text(text)
    default: throw ValueError("expected another kind of value")
    }
  }

  private func caseHint(_ text: String, _ cases: [EnumType.Case]) -> String {
    let names = cases.map(\.name)
    if names.count <= 8 { return ": " + names.joined(separator: ", ") }
    return Spelling.suggestion(for: text, among: names)
  }

  private func text(_ text: String, limit: Int?) throws(ValueError) -> Value {
    guard text.utf8.count <= Limits.valueBytes else {
      throw ValueError("longer than \(Limits.valueBytes) bytes")
    }
    guard !text.holdsNUL else { throw ValueError("U+0000, which no text may hold") }
    if let limit, text.utf8.count > limit, text.unicodeScalars.count > limit {
      throw ValueError("longer than \(limit) characters")
    }
    return .text(text)
  }

  func decimal(_ text: String, _ type: FieldType) throws(ValueError) -> Value {
    guard let value = ExactDecimal(text) else { throw ValueError("expected a decimal number") }
    if case .decimal(let precision, let scale) = type,
      !value.fits(precision: precision, scale: scale)
    {
      throw ValueError("does not fit Decimal(\(precision), \(scale)), and is not rounded")
    }
    return .decimal(value)
  }

  private func float(_ raw: RawJSON) throws(ValueError) -> Value {
    switch raw {
    case .string("Infinity"): return .float(.infinity)
    case .string("-Infinity"): return .float(-.infinity)
    case .number(let text):
      guard let value = Double(text), value.isFinite, let number = Value.number(value) else {
        throw ValueError("beyond the range of a double")
      }
      return number
    default: throw ValueError("expected a number, or “Infinity” or “-Infinity”")
    }
  }

  private func record(_ raw: RawJSON, _ record: RecordType, depth: Int) throws(ValueError)
    -> Value
  {
    guard depth < Limits.depth else { throw ValueError("nested too deep") }
    guard let members = raw.members else { throw ValueError("expected an object") }
    var values = [Value?](repeating: nil, count: record.fields.count)
    for member in members {
      guard let index = record.fieldIndex(named: member.name) else {
        throw unknown(member.name, record.fields, record.name)
      }
      let field = record.fields[index]
      if case .null = member.value, field.type.wrapped != .json || field.type.isOptional {
        continue
      }
      do throws(ValueError) {
        values[index] = try value(member.value, field.type, depth: depth + 1)
      } catch {
        throw error.inside(field.name)
      }
    }
    for (index, field) in record.fields.enumerated() where values[index] == nil {
      if field.type.isOptional { continue }
      guard let value = field.defaultValue else {
        throw ValueError("a value is required", path: field.name)
      }
      values[index] = value
    }
    return .record(values)
  }

  // MARK: - Keys

  private func reference(_ raw: RawJSON, _ target: CollectionType, depth: Int)
    throws(ValueError) -> Value
  {
    if let members = raw.members, members.count == 1, members[0].name == "$new" {
      guard target.hasGeneratedKey else {
        throw ValueError(
          "“$new” stands for a generated id, and \(target.name) has a key of its own")
      }
      guard let index = members[0].value.int, index >= 0, index < Int64(Limits.changes) else {
        throw ValueError("expected the index of a change after “$new”")
      }
      return .created(index: Int(index))
    }
    return .reference(try key(raw, target, depth: depth + 1))
  }

  private func key(_ raw: RawJSON, _ collection: CollectionType, depth: Int) throws(ValueError)
    -> Key
  {
    guard depth < Limits.depth else { throw ValueError("keys nested too deep") }
    let fields = collection.keyFields.map { collection.fields[$0] }
    if fields.count == 1 {
      // No value of one key field is an object with that field as its one member.
      if let members = raw.members, members.count == 1, members[0].name == fields[0].name {
        return Key([try keyValue(members[0].value, fields[0], depth: depth)])
      }
      return Key([try keyValue(raw, fields[0], depth: depth)])
    }
    guard let members = raw.members else {
      throw ValueError(
        "expected an object of the key fields " + fields.map(\.name).joined(separator: ", "))
    }
    var values = [Value?](repeating: nil, count: fields.count)
    for member in members {
      guard let index = fields.firstIndex(where: { $0.name == member.name }) else {
        throw ValueError(
          "\(collection.name) has no such key field"
            + Spelling.suggestion(for: member.name, among: fields.map(\.name)))
      }
      values[index] = try keyValue(member.value, fields[index], depth: depth)
    }
    var present: [Value] = []
    for (value, field) in zip(values, fields) {
      guard let value else { throw ValueError("a value is required", path: field.name) }
      present.append(value)
    }
    return Key(present)
  }

  private func keyValue(_ raw: RawJSON, _ field: Field, depth: Int) throws(ValueError) -> Value {
    do throws(ValueError) {
      if case .null = raw { throw ValueError("a value is required") }
      return try value(raw, field.type, depth: depth)
    } catch {
      throw error.inside(field.name)
    }
  }
}
