extension UpgradeEditor {
  /// What `alter` may change; the rest decides what a row or a value is.
  private static let alterable: Set<String> = ["default", "check", "index", "onDelete"]

  private func has(_ attribute: String, _ field: FieldSyntax) -> Bool {
    field.attributes.contains { $0.name.text == attribute }
  }

  // MARK: - Adding

  mutating func addField(_ ownerName: NameSyntax, _ field: FieldSyntax, _ image: ImageSyntax)
    throws(Failure)
  {
    let owner = try owner(ownerName)
    var fields = fields(of: owner)
    try requireNew(field.name, among: fields.map(\.name.text), "a field")
    try requireNoKey(field, field.name.position, "added")
    let checker = checker(reportingTo: sink)
    let count = sink.diagnostics.count
    guard let type = checker.resolve(field.type) else { throw Failure() }
    if has("unique", field), !type.isOptional || image.expression != nil || has("default", field) {
      throw fail(
        field.name.position,
        "a '@unique' field can be added only absent: old rows would share a value",
        help: "make the type optional with '?', without a default")
    }
    let computed = try self.image(
      image, as: type, of: field, beside: checker.drafts(fields, owner: .collection),
      checker,
      whenNothingIsSaid: { () throws(Failure) -> FieldImage in
        if let argument = field.attributes.first(where: { $0.name.text == "default" })?.argument {
          guard let value = checker.constant(argument, as: type, "the default") else {
            throw Failure()
          }
          return FieldImage(expression: nil, otherwise: value)
        }
        if type.isOptional || !type.isRegister {
          return FieldImage(expression: nil, otherwise: nil)
        }
        if let record = checker.emptyRecord(type) {
          return FieldImage(expression: nil, otherwise: record)
        }
        throw fail(
          field.name.position,
          "'\(field.name.text)' is required, and old rows have no value for it",
          help:
            "write '@default(…)' or '= expression else value', or make the type optional with '?'")
      })
    guard sink.diagnostics.count == count else { throw Failure() }
    fields.append(field)
    setFields(fields, of: owner)
    rowSteps.append(
      .addField(owner: ownerName.text, field: field.name.text, type: type, image: computed))
  }

  /// The image that a step declares, with `else` where it needs one.
  private func image(
    _ image: ImageSyntax, as type: FieldType, of field: FieldSyntax,
    beside drafts: [SchemaChecker.Draft], _ checker: SchemaChecker,
    whenNothingIsSaid nothing: () throws(Failure) -> FieldImage
  ) throws(Failure) -> FieldImage {
    let otherwise = try self.otherwise(image, as: type, checker)
    guard let syntax = image.expression else {
      if let otherwise = image.otherwise {
        throw fail(
          otherwise.position, "'else' stands after '= expression'",
          help: "write '@default(…)' for one value in all old rows")
      }
      return try nothing()
    }
    guard let scalar = ScalarType(type) else {
      throw fail(syntax.position, "'\(field.type.name.text)' cannot be computed")
    }
    guard let expression = checker.computed(syntax, in: drafts, as: scalar) else { throw Failure() }
    if image.otherwise == nil, !checker.isExact(expression, as: type, drafts) {
      throw fail(
        syntax.position, "there may be no exact value, so an 'else' is needed",
        help: type.isOptional
          ? "write '= \(syntax.printed) else absent'" : "write '= \(syntax.printed) else 0'")
    }
    return FieldImage(expression: expression, otherwise: otherwise)
  }

  private func otherwise(_ image: ImageSyntax, as type: FieldType, _ checker: SchemaChecker)
    throws(Failure) -> Value?
  {
    guard let otherwise = image.otherwise else { return nil }
    if image.otherwiseAbsent {
      if type.isOptional { return nil }
      throw fail(otherwise.position, "the field is required, so it cannot be absent")
    }
    guard let value = checker.constant(otherwise, as: type, "the value after 'else'") else {
      throw Failure()
    }
    return value
  }

  // MARK: - Retyping

  mutating func retypeField(
    _ ownerName: NameSyntax, _ name: NameSyntax, _ newType: TypeSyntax, _ image: ImageSyntax
  ) throws(Failure) {
    let owner = try owner(ownerName)
    let index = try fieldIndex(name, of: owner, called: ownerName.text)
    var fields = fields(of: owner)
    let checker = checker(reportingTo: sink)
    guard let to = checker.resolve(newType), let from = checker.resolve(fields[index].type) else {
      throw Failure()
    }
    let isSame = from.isContained(in: to)
    if !isSame, has("key", fields[index]) || has("unique", fields[index]) {
      throw fail(
        name.position, "a key or unique field may only be widened: two values could become one",
        help: "add a field, or a collection with the other key")
    }
    var computed = FieldImage(expression: .field([name.text]), otherwise: nil)
    if image.expression != nil {
      computed = try self.image(
        image, as: to, of: fields[index], beside: checker.drafts(fields, owner: .collection),
        checker, whenNothingIsSaid: { () throws(Failure) -> FieldImage in throw Failure() })
      isLossy = true
    } else {
      let otherwise = try self.otherwise(image, as: to, checker)
      guard from.isRegister == to.isRegister, from.converts(to: to) else {
        throw fail(
          newType.name.position,
          "\(from.spelled) has no exact images in \(to.spelled)",
          help: "add a field, compute it from the old one, and drop the old one")
      }
      let isTotal = from.isRegister ? from.widens(to: to) : isSame
      if !isTotal {
        if !from.isRegister {
          throw fail(newType.name.position, "the elements may only be widened")
        }
        if image.otherwise == nil {
          throw fail(
            newType.name.position,
            "not every \(from.spelled) is a \(to.spelled), so an 'else' is needed",
            help: "write 'else' and the value that stands in")
        }
        isLossy = true
      }
      computed = FieldImage(expression: .field([name.text]), otherwise: otherwise)
    }
    fields[index].type = newType
    // The default stays if the new type has it; the checker says so if not.
    setFields(fields, of: owner)
    rowSteps.append(
      .retypeField(owner: ownerName.text, field: name.text, from: from, to: to, image: computed))
  }

  // MARK: - Altering

  mutating func alterField(
    _ ownerName: NameSyntax, _ name: NameSyntax, _ attributes: [AttributeSyntax],
    _ documentation: String?
  ) throws(Failure) {
    let owner = try owner(ownerName)
    let index = try fieldIndex(name, of: owner, called: ownerName.text)
    var fields = fields(of: owner)
    if let fixed = attributes.first(where: { !UpgradeEditor.alterable.contains($0.name.text) }) {
      throw fail(
        fixed.name.position,
        "'@\(fixed.name.text)' cannot be altered: operations that were written without it stay valid",
        help: "add a field with it, and drop this one")
    }
    fields[index].documentation = documentation
    fields[index].attributes =
      fields[index].attributes.filter { !UpgradeEditor.alterable.contains($0.name.text) }
      + attributes
    setFields(fields, of: owner)
  }
}

extension SchemaChecker {
  /// Resolves what can be without reporting: names and types.
  func prepare() {
    declareNames()
    recordDrafts = syntax.records.map { drafts($0.fields, owner: .record) }
    collectionDrafts = syntax.collections.map { drafts($0.fields, owner: .collection) }
  }

  /// Takes over what `other` resolved.
  func adopt(_ other: SchemaChecker) {
    declared = other.declared
    recordDrafts = other.recordDrafts
    collectionDrafts = other.collectionDrafts
  }

  /// The record of nothing but defaults; nil where a field of it is required and has none.
  func emptyRecord(_ type: FieldType, depth: Int = 0) -> Value? {
    guard case .record(let name) = type, let found = lookUp(name), found.kind == .record,
      depth < SchemaChecker.recordDepth
    else { return nil }
    var values: [Value?] = []
    for draft in recordDrafts[found.index] {
      guard let type = draft.type else { return nil }
      if let argument = draft.attribute("default")?.argument {
        guard let value = constant(argument, as: type, "the default") else { return nil }
        values.append(value)
      } else if type.isOptional {
        values.append(nil)
      } else if let record = emptyRecord(type, depth: depth + 1) {
        values.append(record)
      } else {
        return nil
      }
    }
    return .record(values)
  }

  /// Whether the expression has an exact value of `type` for every row.
  func isExact(_ expression: Expression, as type: FieldType, _ drafts: [Draft]) -> Bool {
    switch expression {
    case .literal(let value): return value.converted(to: type) != nil
    case .field(let path):
      guard let found = fieldType(path, drafts) else { return false }
      return found.widens(to: type)
    case .length, .not, .isIn: return isTotal(expression, type, drafts)
    case .binary(let symbol, _, _):
      switch symbol {
      case .add, .subtract, .multiply: return false
      default: return isTotal(expression, type, drafts)
      }
    case .negate: return false
    }
  }

  /// Whether nothing in it can overflow, and nothing be absent unless the result may be.
  private func isTotal(_ expression: Expression, _ type: FieldType, _ drafts: [Draft]) -> Bool {
    guard !expression.computes else { return false }
    if case .length = expression, type.wrapped != .int { return false }
    // An absent operand makes the result absent, which is no exact image even of an optional field.
    return expression.fieldPaths.allSatisfy { fieldType($0, drafts)?.isOptional == false }
  }

  /// The type of the field at the end of a path; optional if any record on the way is.
  private func fieldType(_ path: [String], _ drafts: [Draft]) -> FieldType? {
    var drafts = drafts
    var isOptional = false
    for (index, name) in path.enumerated() {
      guard let type = draft(name, in: drafts)?.type else { return nil }
      isOptional = isOptional || type.isOptional
      if index == path.count - 1 { return isOptional ? .optional(type.wrapped) : type }
      guard case .record(let record) = type.wrapped, let found = lookUp(record) else { return nil }
      drafts = recordDrafts[found.index]
    }
    return nil
  }
}

extension Expression {
  /// Whether there is arithmetic in it, which may overflow.
  fileprivate var computes: Bool {
    switch self {
    case .literal, .field: false
    case .not(let inner), .length(let inner): inner.computes
    case .negate: true
    case .binary(.add, _, _), .binary(.subtract, _, _), .binary(.multiply, _, _): true
    case .binary(_, let left, let right): left.computes || right.computes
    case .isIn(let subject, let items): subject.computes || items.contains { $0.computes }
    }
  }
}
