extension SchemaChecker {
  // MARK: - Keys

  /// The bytes that values of a type take in `KeyEncoding` at worst.
  enum KeyWidth {
    case bytes(Int)
    case unbounded
    /// Not a type that can be a key, and why.
    case refused(String)
    /// Already reported elsewhere.
    case unknown
  }

  func checkKeys() {
    for index in syntax.collections.indices {
      let drafts = collectionDrafts[index]
      let keys = drafts.filter { $0.isKey }
      if keys.isEmpty, let id = draft("id", in: drafts) {
        sink.report(
          id.syntax.name.position,
          "'id' is the key that a collection without '@key' has by itself",
          help: "name a key with '@key', or rename the field")
      }
      if keys.count > SchemaChecker.keyFields {
        sink.report(
          keys[SchemaChecker.keyFields].syntax.name.position,
          "a key has \(SchemaChecker.keyFields) fields at most")
      }
      for key in keys where key.type?.isOptional == true {
        sink.report(
          key.syntax.type.name.position, "key field '\(key.name)' is never absent",
          help: "remove the '?'")
      }
      _ = keyWidth(ofCollection: index)
    }
  }

  /// The bytes of a collection's key at worst; nil where it is not sound, which is reported once.
  private func keyWidth(ofCollection index: Int) -> Int? {
    if let known = keyWidths[index] { return known }
    let item = syntax.collections[index]
    if let start = keyVisits.firstIndex(of: index) {
      let names = (keyVisits[start...] + [index]).map { syntax.collections[$0].name.text }
      sink.report(
        item.name.position,
        "the key of '\(item.name.text)' contains itself: \(names.joined(separator: " → "))",
        help: "make one of these references a field that is not a key")
      return nil
    }
    keyVisits.append(index)
    defer { keyVisits.removeLast() }
    if keyVisits.count > SchemaChecker.keyDepth {
      sink.report(
        item.name.position, "keys refer to keys \(SchemaChecker.keyDepth) deep at most")
      keyWidths[index] = .some(nil)
      return nil
    }
    let keys = collectionDrafts[index].filter { $0.isKey }
    var total: Int? = keys.isEmpty ? 17 : 0
    for key in keys {
      let width = checkedWidth(of: key, "key field")
      total = total.flatMap { sum in width.map { sum + $0 } }
    }
    if let sum = total, sum > Limits.keyBytes, let first = keys.first {
      sink.report(
        first.syntax.name.position,
        "the key of '\(item.name.text)' may take \(sum) bytes; \(Limits.keyBytes) are the limit",
        help: "a character of Text takes up to 4 bytes, a byte of Bytes up to 2")
      total = nil
    }
    keyWidths[index] = .some(total)
    return total
  }

  /// The bytes of a field of a key or with `@unique`; nil after a report.
  private func checkedWidth(of draft: Draft, _ what: String) -> Int? {
    guard let type = draft.type else { return nil }
    switch width(of: type.wrapped) {
    case .bytes(let count): return count
    case .unknown: return nil
    case .unbounded:
      sink.report(
        draft.syntax.type.name.position,
        "\(what) '\(draft.name)' needs a limit of its length",
        help: "write '\(draft.syntax.type.name.text)(80)'")
    case .refused(let why):
      sink.report(
        draft.syntax.type.name.position, "\(what) '\(draft.name)' cannot be \(why)",
        help:
          "take a Bool, Int, Decimal, Text(n), Bytes(n), Date, Timestamp, UUID, Principal, enum or reference"
      )
    }
    return nil
  }

  private func width(of type: FieldType) -> KeyWidth {
    switch type {
    case .bool: return .bytes(2)
    case .int, .timestamp: return .bytes(9)
    case .date: return .bytes(5)
    case .uuid: return .bytes(17)
    case .principal: return .bytes(33)
    case .decimal(let precision, _): return .bytes(precision + 3)
    case .text(let limit): return limit.map { .bytes(4 * $0 + 2) } ?? .unbounded
    case .bytes(let limit): return limit.map { .bytes(2 * $0 + 3) } ?? .unbounded
    case .enumeration(let name):
      return .bytes((cases(of: name).map(\.utf8.count).max() ?? 0) + 2)
    case .reference(let name):
      guard let found = lookUp(name), let inner = keyWidth(ofCollection: found.index) else {
        return .unknown
      }
      return .bytes(inner + 2)
    case .float: return .refused("a Float: floats that print alike may differ")
    case .json: return .refused("JSON")
    case .record: return .refused("a record; name its fields one by one")
    case .counter, .set, .map, .list, .sharedText, .multiValue, .custom, .optional:
      return .refused("a type that merges concurrent changes")
    }
  }

  // MARK: - Attributes

  func drafts(of owner: DeclarationKind, _ index: Int) -> [Draft] {
    owner == .record ? recordDrafts[index] : collectionDrafts[index]
  }

  func checkFields(of owner: DeclarationKind, _ index: Int) {
    var drafts = drafts(of: owner, index)
    // Policies first: checks ask for them.
    for field in drafts.indices { drafts[field].onDelete = policy(of: drafts[field]) }
    if owner == .record { recordDrafts[index] = drafts } else { collectionDrafts[index] = drafts }
    for field in drafts.indices {
      checkFlags(drafts[field])
      if let attribute = drafts[field].attribute("default"), let argument = attribute.argument {
        drafts[field].defaultValue = defaultValue(argument, of: drafts[field])
      }
      for attribute in drafts[field].syntax.attributes where attribute.name.text == "check" {
        guard let argument = attribute.argument,
          let check = checkExpression(argument, in: drafts, position: attribute.name.position)
        else { continue }
        drafts[field].checks.append(check)
      }
      checkDefault(drafts[field])
    }
    if owner == .record { recordDrafts[index] = drafts } else { collectionDrafts[index] = drafts }
  }

  private func checkFlags(_ draft: Draft) {
    guard let type = draft.type else { return }
    if draft.isReadonly, !type.isRegister {
      sink.report(
        draft.syntax.name.position,
        "'\(draft.name)' cannot be readonly: '\(draft.syntax.type.name.text)' is for changes that merge",
        help: "remove '@\(draft.isKey ? "key" : "readonly")'")
    }
    if let unique = draft.attribute("unique"), draft.isUnique {
      if draft.isKey {
        sink.report(unique.name.position, "a key is unique already", help: "remove '@unique'")
      } else if !draft.isReadonly {
        sink.report(
          unique.name.position,
          "'@unique' needs '@readonly': concurrent updates could not be kept from colliding",
          help: "write '@readonly @unique'")
      } else if let width = checkedWidth(of: draft, "unique field"), width > Limits.keyBytes {
        sink.report(
          unique.name.position,
          "'\(draft.name)' may take \(width) bytes; \(Limits.keyBytes) are the limit of '@unique'")
      }
    }
    if let index = draft.attribute("index"), ScalarType(type) == nil {
      sink.report(
        index.name.position, "'@index' is for scalars, enums and references",
        help: "remove '@index'")
    }
  }

  /// The collection that a field refers to, by itself or by its elements.
  private func target(of type: FieldType) -> String? {
    switch type.wrapped {
    case .reference(let name): name
    case .set(let element), .list(let element), .multiValue(let element), .map(_, let element):
      element.referencedCollection
    default: nil
    }
  }

  private func policy(of draft: Draft) -> Field.DeletePolicy? {
    let attribute = draft.attribute("onDelete")
    guard let type = draft.type else { return nil }
    guard target(of: type) != nil else {
      if let attribute {
        sink.report(
          attribute.name.position, "'@onDelete' is for references; '\(draft.name)' is none")
      }
      return nil
    }
    var policy: Field.DeletePolicy = type.isOptional ? .null : .cascade
    if let attribute, let argument = attribute.argument {
      guard case .path(let names) = argument.kind, names.count == 1,
        let named = Field.DeletePolicy(rawValue: names[0].text)
      else {
        sink.report(
          argument.position, "'@onDelete' takes 'void', 'null' or 'cascade'",
          help: {
            guard case .path(let names) = argument.kind else { return nil }
            return suggestion(names[0].text, in: ["void", "null", "cascade"])
          }())
        return nil
      }
      policy = named
    }
    if policy == .null, draft.isKey {
      sink.report(
        draft.syntax.name.position, "a reference in a key cannot become absent",
        help: "write '@onDelete(cascade)' or '@onDelete(void)'")
    } else if policy == .null, !type.isOptional, case .reference = type {
      sink.report(
        draft.syntax.name.position,
        "'\(draft.name)' is required, so it cannot become absent when its target is deleted",
        help: "make the type optional with '?', or write '@onDelete(cascade)'")
    }
    return policy
  }

  // MARK: - Defaults

  private func defaultValue(_ argument: ExpressionSyntax, of draft: Draft) -> Value? {
    guard let type = draft.type else { return nil }
    return constant(argument, as: type, "the default of '\(draft.name)'")
  }

  /// The value of a literal of a field's type, within its limits; nil after a report.
  func constant(_ argument: ExpressionSyntax, as type: FieldType, _ what: String) -> Value? {
    if case .json = type.wrapped {
      switch argument.kind {
      case .bool(let value): return .json(.bool(value))
      case .string(let text): return .json(.string(text))
      case .number(let digits):
        if let whole = SchemaNumber.integer(digits) { return .json(.int(whole)) }
        if let number = Double(digits), let json = JSON(number: number) { return .json(json) }
      default: break
      }
      sink.report(argument.position, "\(what) is JSON: true, false, a number or a string")
      return nil
    }
    guard let scalar = ScalarType(type) else {
      let why: String
      if case .record = type.wrapped {
        why = "a record; give its fields defaults"
      } else {
        why = "of a type that begins empty"
      }
      sink.report(argument.position, "\(what) cannot be given: it is \(why)")
      return nil
    }
    if case .reference = scalar {
      sink.report(argument.position, "\(what) cannot be given: a reference has no literal")
      return nil
    }
    guard let value = literal(argument, as: scalar, what) else { return nil }
    if case .enumeration = scalar { return value }
    if let problem = type.wrapped.scalarProblem(value) {
      sink.report(argument.position, "\(what) does not fit: \(problem)")
      return nil
    }
    return value
  }

  /// The value of a literal; nil after a report.
  func literal(_ syntax: ExpressionSyntax, as type: ScalarType, _ what: String) -> Value? {
    if case .enumeration(let name) = type {
      let text: String? =
        switch syntax.kind {
        case .string(let text): text
        case .path(let names) where names.count == 1: names[0].text
        default: nil
        }
      let cases = cases(of: name)
      if let text, let found = cases.first(where: { utf8Compare($0, text) == 0 }) {
        return .text(found)
      }
      sink.report(
        syntax.position,
        text.map { "'\(name)' has no case '\($0)'" } ?? "\(what) is \(type.literalForm)",
        help: text.flatMap { suggestion($0, in: cases) })
      return nil
    }
    if let value = syntax.literal(as: type) { return value }
    sink.report(syntax.position, "\(what) is \(type.spelled): \(type.literalForm)")
    return nil
  }

  /// Refuses a default that the field's own checks refuse.
  private func checkDefault(_ draft: Draft) {
    guard let value = draft.defaultValue, let attribute = draft.attribute("default") else { return }
    for check in draft.checks {
      let result = check.evaluate { $0 == [draft.name] ? value : nil }
      if result == .value(.bool(false)) || result == .overflow {
        sink.report(
          attribute.name.position, "the default of '\(draft.name)' fails its own check")
      }
    }
  }
}
