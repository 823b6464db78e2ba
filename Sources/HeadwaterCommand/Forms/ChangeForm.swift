import Headwater

/// A change as it is written in NDJSON, its names resolved and its values typed.
enum ChangeForm: Sendable {
  case create(String, [(String, Value?)])
  case update(String, Key, [(String, Value?)])
  case delete(String, Key)

  /// Makes the change in a draft.
  func apply(to draft: Draft) throws(StoreError) {
    switch self {
    case .create(let collection, let fields): try draft.create(collection, fields)
    case .update(let collection, let key, let fields):
      try draft.update(collection, key: key, set: fields)
    case .delete(let collection, let key): try draft.delete(collection, key: key)
    }
  }
}

/// Reads operations and changes as `write` and `init` take them.
struct ChangeReader {
  let schema: Schema
  /// What "$author" stands for; nil where it stands for itself.
  var author: Digest?

  private static let later = ["add", "remove", "increment", "splice", "put", "drop"]

  /// The changes of `{"changes":[…]}`.
  func changes(_ raw: RawJSON) throws -> [ChangeForm] {
    guard let members = raw.members else {
      throw invalid("an operation is an object: {\"changes\":[…]}")
    }
    for member in members where member.name != "changes" {
      throw invalid("an operation has changes and nothing else, not “\(member.name)”")
    }
    guard let elements = raw["changes"]?.elements else {
      throw invalid("an operation has an array of changes")
    }
    var changes: [ChangeForm] = []
    changes.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      do {
        changes.append(try change(element))
      } catch let error as Failure {
        throw Failure(error.code, "change \(index): \(error.message)")
      } catch let error as ValueError {
        throw invalid("change \(index): \(error)")
      }
    }
    return changes
  }

  /// One change.
  func change(_ raw: RawJSON) throws -> ChangeForm {
    guard let members = raw.members else { throw invalid("a change is an object") }
    for member in members where ChangeReader.later.contains(member.name) {
      throw Failure.notYet(
        "“\(member.name)” is for data types other than registers; this version has “set”")
    }
    let kinds = ["create", "update", "delete"].filter { raw[$0] != nil }
    guard kinds.count == 1, let kind = kinds.first else {
      throw invalid("a change has one of “create”, “update” and “delete”")
    }
    guard let name = raw[kind]?.string else {
      throw invalid("“\(kind)” names a collection, in a string")
    }
    let collection = schema.collections[try schema.requireCollection(name)]
    switch kind {
    case "create":
      try allow(["create", "row"], members)
      return .create(name, try fields(try member("row", raw), collection, isUpdate: false))
    case "update":
      try allow(["update", "key", "set"], members)
      return .update(
        name, try key(raw, collection),
        try fields(try member("set", raw), collection, isUpdate: true))
    default:
      try allow(["delete", "key"], members)
      return .delete(name, try key(raw, collection))
    }
  }

  /// A first row: a create, or a row as `rows --json` prints it.
  func firstRow(_ raw: RawJSON) throws -> ChangeForm {
    guard raw["create"] == nil, let members = raw.members else { return try change(raw) }
    try allow(["collection", "key", "row"], members)
    guard let name = raw["collection"]?.string else {
      throw invalid("a first row is {\"create\":COLLECTION,\"row\":{…}}")
    }
    let collection = schema.collections[try schema.requireCollection(name)]
    let fields = try fields(try member("row", raw), collection, isUpdate: false)
    if raw["key"] != nil, collection.hasGeneratedKey {
      throw invalid("the key of \(name) is generated: a first row cannot bring one")
    }
    return .create(name, fields)
  }

  private func key(_ raw: RawJSON, _ collection: CollectionType) throws -> Key {
    let raw = try member("key", raw)
    // A row that an earlier change creates: {"id":{"$new":0}}, or short {"$new":0}.
    var reference = raw
    if collection.hasGeneratedKey {
      if let inner = raw["id"], raw.members?.count == 1 { reference = inner }
      if let index = reference["$new"]?.int, reference.members?.count == 1, index >= 0,
        index < Int64(Limits.changes)
      {
        return Key([.created(index: Int(index))])
      }
    }
    do {
      return try schema.key(from: substituted(raw, collection), of: collection)
    } catch {
      throw invalid("key: \(error)")
    }
  }

  /// The values by name; a name may be a path into a record.
  private func fields(_ raw: RawJSON, _ collection: CollectionType, isUpdate: Bool) throws
    -> [(String, Value?)]
  {
    guard let members = raw.members else { throw invalid("expected an object of fields") }
    var fields: [(String, Value?)] = []
    fields.reserveCapacity(members.count)
    for member in members {
      let field: Field
      if isUpdate, member.name.contains("."), let found = part(member.name, of: collection) {
        field = found
      } else {
        let index = try schema.members(of: .object([member]), in: collection)[0].field
        field = collection.fields[index]
      }
      let value = substituted(member.value, field.type)
      do {
        fields.append((member.name, try schema.value(from: value, for: field.type)))
      } catch {
        throw error.inside(member.name)
      }
    }
    return fields
  }

  /// The field at a path such as `size.width`.
  private func part(_ path: String, of collection: CollectionType) -> Field? {
    var fields = collection.fields
    var found: Field?
    for name in path.split(separator: ".", omittingEmptySubsequences: false) {
      guard let field = fields.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
        return nil
      }
      found = field
      fields = []
      if case .record(let record) = field.type.wrapped {
        fields = schema.record(named: record)?.fields ?? []
      }
    }
    return found
  }

  // MARK: - $author

  /// “$author” in the place of a principal is the author.
  private func substituted(_ raw: RawJSON, _ type: FieldType) -> RawJSON {
    guard let author else { return raw }
    switch type.wrapped {
    case .principal: return raw.string == "$author" ? .string(author.hex) : raw
    case .record(let name):
      guard let record = schema.record(named: name) else { return raw }
      return substituted(raw, record.fields)
    case .reference(let name):
      guard let target = schema.collection(named: name) else { return raw }
      return substituted(raw, target)
    default: return raw
    }
  }

  /// As for the key of a row.
  private func substituted(_ raw: RawJSON, _ collection: CollectionType) -> RawJSON {
    let fields = collection.keyFields.map { collection.fields[$0] }
    if fields.count == 1, raw.members == nil { return substituted(raw, fields[0].type) }
    return substituted(raw, fields)
  }

  private func substituted(_ raw: RawJSON, _ fields: [Field]) -> RawJSON {
    guard let members = raw.members else { return raw }
    return .object(
      members.map { member in
        guard let field = fields.first(where: { $0.name == member.name }) else { return member }
        return RawJSON.Member(member.name, substituted(member.value, field.type))
      })
  }

  // MARK: - Members

  private func member(_ name: String, _ raw: RawJSON) throws -> RawJSON {
    guard let value = raw[name] else { throw invalid("a change without “\(name)”") }
    return value
  }

  private func allow(_ names: [String], _ members: [RawJSON.Member]) throws {
    for member in members where !names.contains(member.name) {
      throw invalid("“\(member.name)” has no place beside “\(names[0])”")
    }
  }

  private func invalid(_ message: String) -> Failure { Failure("invalid", message) }
}
