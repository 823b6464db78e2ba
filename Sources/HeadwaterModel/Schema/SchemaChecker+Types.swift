extension SchemaChecker {
  // MARK: - Fields, as far as they stand alone

  func drafts(_ fields: [FieldSyntax], owner: DeclarationKind) -> [Draft] {
    fields.map { syntax in
      var draft = Draft(syntax: syntax)
      draft.type = resolve(syntax.type)
      var seen: Set<String> = []
      for attribute in syntax.attributes {
        let name = attribute.name.text
        // The parser reported names that are none.
        guard SchemaWords.attributes.contains(name) else { continue }
        if name != "check", !seen.insert(name).inserted {
          sink.report(attribute.name.position, "'@\(name)' stands here twice")
        }
        checkArgument(of: attribute)
        if owner == .record, ["key", "readonly", "unique"].contains(name) {
          sink.report(
            attribute.name.position, "a field of a record is never '@\(name)'",
            help: name == "readonly"
              ? "write '@readonly' at the fields of collections that hold the record"
              : "write '@\(name)' at a field of a collection")
          continue
        }
        switch name {
        case "key": draft.isKey = true
        case "readonly": draft.isReadonly = true
        case "unique": draft.isUnique = true
        case "index": draft.isIndexed = true
        default: break
        }
      }
      if draft.isKey { draft.isReadonly = true }
      return draft
    }
  }

  private func checkArgument(of attribute: AttributeSyntax) {
    let name = attribute.name.text
    switch name {
    case "default", "check", "onDelete":
      guard attribute.argument == nil else { return }
      let example = ["default": "0", "check": "price >= 0", "onDelete": "cascade"][name] ?? ""
      sink.report(
        attribute.name.position, "'@\(name)' needs an argument",
        help: "write '@\(name)(\(example))'")
    default:
      guard let argument = attribute.argument else { return }
      sink.report(argument.position, "'@\(name)' takes no argument")
    }
  }

  // MARK: - Types

  /// The type that the syntax names; nil, and a report, where it names none.
  func resolve(_ syntax: TypeSyntax) -> FieldType? {
    guard let type = unwrapped(syntax) else { return nil }
    guard syntax.isOptional else { return type }
    guard type.isRegister else {
      sink.report(
        syntax.name.position, "'\(syntax.name.text)' is never absent", help: "remove the '?'")
      return nil
    }
    return .optional(type)
  }

  private func unwrapped(_ syntax: TypeSyntax) -> FieldType? {
    let name = syntax.name
    guard !name.isQuoted, SchemaWords.types.contains(name.text) else { return declaredType(syntax) }
    switch name.text {
    case "Decimal": return decimal(syntax)
    case "Text": return limited(syntax).map { .text(limit: $0) }
    case "Bytes": return limited(syntax).map { .bytes(limit: $0) }
    case "Set": return parameters(syntax, 1).map { .set($0[0]) }
    case "List": return parameters(syntax, 1).map { .list($0[0]) }
    case "MultiValue": return parameters(syntax, 1).map { .multiValue($0[0]) }
    case "Map":
      guard let types = parameters(syntax, 2) else { return nil }
      guard let key = ScalarType(types[0]), key != .float, types[0].referencedCollection == nil
      else {
        sink.report(
          syntax.name.position,
          "the key of a Map is a scalar that is compared exactly: no Float, JSON, record or reference"
        )
        return nil
      }
      return .map(types[0], types[1])
    default: return simple(syntax)
    }
  }

  private func simple(_ syntax: TypeSyntax) -> FieldType? {
    guard plain(syntax) else { return nil }
    switch syntax.name.text {
    case "Bool": return .bool
    case "Int": return .int
    case "Float": return .float
    case "Date": return .date
    case "Timestamp": return .timestamp
    case "UUID": return .uuid
    case "JSON": return .json
    case "Principal": return .principal
    case "Counter": return .counter
    case "SharedText": return .sharedText
    default:
      guard let custom = syntax.custom, !custom.isEmpty, custom.utf8.count <= 128 else {
        sink.report(syntax.name.position, "the name of a custom type has 1 to 128 bytes")
        return nil
      }
      return .custom(custom)
    }
  }

  private var typeNames: [String] {
    SchemaWords.types.dropLast() + declared.values.map(\.name).sorted()
  }

  private func declaredType(_ syntax: TypeSyntax) -> FieldType? {
    let name = syntax.name
    guard let found = lookUp(name.text) else {
      sink.report(
        name.position, "there is no type '\(name.text)'", help: suggestion(name.text, in: typeNames)
      )
      return nil
    }
    guard plain(syntax) else { return nil }
    switch found.kind {
    case .enumeration: return .enumeration(name.text)
    case .record: return .record(name.text)
    case .collection: return .reference(name.text)
    }
  }

  /// Reports numbers and parameters that the type does not take.
  private func plain(_ syntax: TypeSyntax) -> Bool {
    if syntax.numbers != nil {
      sink.report(syntax.name.position, "'\(syntax.name.text)' takes no numbers in parentheses")
    }
    if syntax.parameters != nil {
      sink.report(syntax.name.position, "'\(syntax.name.text)' takes no types in '<' and '>'")
    }
    return syntax.numbers == nil && syntax.parameters == nil
  }

  private func number(_ name: NameSyntax, _ range: ClosedRange<Int>, _ what: String) -> Int? {
    if name.text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let value = Int(name.text),
      range.contains(value)
    {
      return value
    }
    sink.report(
      name.position, "\(what) is a whole number from \(range.lowerBound) to \(range.upperBound)")
    return nil
  }

  private func decimal(_ syntax: TypeSyntax) -> FieldType? {
    guard syntax.parameters == nil, let numbers = syntax.numbers, numbers.count == 2 else {
      sink.report(
        syntax.name.position, "'Decimal' takes the number of digits, and of those after the point",
        help: "write 'Decimal(12, 2)'")
      return nil
    }
    guard let precision = number(numbers[0], 1...38, "the number of digits"),
      let scale = number(numbers[1], 0...precision, "the number of digits after the point")
    else { return nil }
    return .decimal(precision: precision, scale: scale)
  }

  /// The limit of a text or bytes, which may be absent; nil outside after a report.
  private func limited(_ syntax: TypeSyntax) -> Int?? {
    guard syntax.parameters == nil, syntax.numbers?.count ?? 1 == 1 else {
      sink.report(
        syntax.name.position, "'\(syntax.name.text)' takes one number, the limit of its length",
        help: "write '\(syntax.name.text)(80)'")
      return nil
    }
    guard let limit = syntax.numbers?[0] else { return .some(nil) }
    return number(limit, 1...Limits.valueBytes, "the limit of a length").map { .some($0) }
  }

  private func parameters(_ syntax: TypeSyntax, _ count: Int) -> [FieldType]? {
    guard syntax.numbers == nil, let parameters = syntax.parameters, parameters.count == count
    else {
      let form = count == 1 ? "<Text>" : "<Text, Int>"
      sink.report(
        syntax.name.position,
        "'\(syntax.name.text)' takes \(count == 1 ? "one type" : "two types") in '<' and '>'",
        help: "write '\(syntax.name.text)\(form)'")
      return nil
    }
    var types: [FieldType] = []
    for parameter in parameters {
      guard let type = resolve(parameter) else { return nil }
      guard type.isRegister, !type.isOptional else {
        sink.report(
          parameter.name.position,
          type.isOptional
            ? "an element of '\(syntax.name.text)' is never absent"
            : "an element of '\(syntax.name.text)' is a scalar, an enum, a record or a reference",
          help: type.isOptional
            ? "remove the '?'" : "put it in a collection of its own that refers to this one")
        return nil
      }
      types.append(type)
    }
    return types
  }

  // MARK: - Records

  /// Refuses records that contain themselves, nest too deep, or hold what is no register.
  func checkRecordNesting() {
    let contains = containment()
    for (index, item) in syntax.records.enumerated() {
      for draft in recordDrafts[index] {
        guard let type = draft.type, !type.isRegister else { continue }
        sink.report(
          draft.syntax.type.name.position,
          "a record holds registers and references only, not '\(draft.syntax.type.name.text)'",
          help: "make the field one of the collection")
      }
      if contains[index].contains(index) {
        sink.report(
          item.name.position, "record '\(item.name.text)' contains itself",
          help: "refer to a collection instead, or use a List in a collection")
      }
    }
    guard sink.isEmpty else { return }
    var sizes: [Int: RecordSize] = [:]
    for (index, item) in syntax.records.enumerated() {
      let size = recordSize(index, &sizes)
      if size.depth > SchemaChecker.recordDepth {
        sink.report(
          item.name.position, "records nest \(SchemaChecker.recordDepth) deep at most")
      }
    }
    var total = 0
    for (index, item) in syntax.collections.enumerated() {
      let size = size(of: collectionDrafts[index], &sizes)
      let count = max(size.slots, size.checks)
      total += count
      if count > SchemaChecker.slots {
        sink.report(
          item.name.position,
          "'\(item.name.text)' has more than \(SchemaChecker.slots) fields or checks, counting those in records"
        )
      } else if total > SchemaChecker.totalSlots {
        sink.report(
          item.name.position,
          "the collections have more than \(SchemaChecker.totalSlots) fields or checks, counting those in records"
        )
        return
      }
    }
  }

  /// What a record, or a collection, comes to once the records in it are taken apart.
  private struct RecordSize {
    var slots = 0
    var checks = 0
    var depth = 1
  }

  private func recordIndex(_ type: FieldType?) -> Int? {
    guard case .record(let name)? = type?.wrapped, let found = lookUp(name), found.kind == .record
    else { return nil }
    return found.index
  }

  /// For each record the records that it contains, at any depth.
  private func containment() -> [Set<Int>] {
    let direct = recordDrafts.map { Set($0.compactMap { recordIndex($0.type) }) }
    return direct.map { first in
      var seen = first
      var queue = Array(first)
      while let current = queue.popLast() {
        for inner in direct[current] where seen.insert(inner).inserted { queue.append(inner) }
      }
      return seen
    }
  }

  private func size(of drafts: [Draft], _ sizes: inout [Int: RecordSize]) -> RecordSize {
    var total = RecordSize()
    let most = 1 << 30
    for draft in drafts {
      total.checks += draft.syntax.attributes.count { $0.name.text == "check" }
      guard let record = recordIndex(draft.type) else {
        total.slots += 1
        continue
      }
      let inner = recordSize(record, &sizes)
      total.slots = min(total.slots + inner.slots + (draft.type?.isOptional == true ? 1 : 0), most)
      total.checks = min(total.checks + inner.checks, most)
      total.depth = max(total.depth, inner.depth + 1)
    }
    return total
  }

  private func recordSize(_ record: Int, _ sizes: inout [Int: RecordSize]) -> RecordSize {
    if let known = sizes[record] { return known }
    let size = size(of: recordDrafts[record], &sizes)
    sizes[record] = size
    return size
  }
}
