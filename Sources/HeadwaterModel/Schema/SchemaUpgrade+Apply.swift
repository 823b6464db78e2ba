extension SchemaUpgrade {
  /// The schema that the steps make of `old`.
  ///
  /// Throws every step that does not fit, and every error of the schema that comes out. Whether `old` is the
  /// schema that `from` names is the caller's to compare, who knows the hash function.
  public func apply(to old: Schema) throws(SchemaErrors) -> Schema { try plan(for: old).schema }

  /// The steps that may lose data.
  public func lossySteps(for old: Schema) throws(SchemaErrors) -> [UpgradeStep] {
    try plan(for: old).lossySteps
  }

  /// Checks the steps against `old`: the schema that comes out, and what happens to its rows.
  ///
  /// Throws every step that does not fit, and every error of the schema that comes out.
  public func plan(for old: Schema) throws(SchemaErrors) -> UpgradePlan {
    let sink = DiagnosticSink()
    var builder = SyntaxBuilder(old)
    builder.marksCases = true
    var editor = UpgradeEditor(syntax: builder.schema(old), sink: sink)
    editor.syntax.name = syntax.name
    if let documentation = syntax.documentation { editor.syntax.documentation = documentation }
    var lossy: [UpgradeStep] = []
    for (index, step) in syntax.steps.enumerated() where !sink.isFull {
      editor.isLossy = false
      do {
        try editor.perform(step)
        if editor.isLossy { lossy.append(steps[index]) }
      } catch {
        continue
      }
    }
    guard sink.isEmpty else { throw sink.errors }
    guard let schema = SchemaChecker(editor.syntax, sink: sink).check() else {
      // What no text spells was in the old schema, and some step took away what it needs.
      throw SchemaErrors(
        sink.errors.diagnostics.map { error in
          guard error.position == .none else { return error }
          return SchemaDiagnostic(
            position: syntax.name.position,
            message: "the schema that comes out is not sound: " + error.message, help: error.help)
        })
    }
    return UpgradePlan(schema: schema, rowSteps: editor.rowSteps, lossySteps: lossy)
  }
}

/// Performs steps, one after the other, on the syntax of a schema.
struct UpgradeEditor {
  struct Failure: Error {}

  /// Where the fields of an owner are.
  enum Owner {
    case record(Int)
    case collection(Int)
  }

  var syntax: SchemaSyntax
  let sink: DiagnosticSink
  var rowSteps: [RowStep] = []
  var isLossy = false

  func fail(_ position: SchemaPosition, _ message: String, help: String? = nil) -> Failure {
    sink.report(position, message, help: help)
    return Failure()
  }

  // MARK: - Looking up

  func index(_ name: NameSyntax, of kind: DeclarationKind) throws(Failure) -> Int {
    let names =
      switch kind {
      case .enumeration: syntax.enums.map(\.name.text)
      case .record: syntax.records.map(\.name.text)
      case .collection: syntax.collections.map(\.name.text)
      }
    if let index = names.firstIndex(where: { utf8Compare($0, name.text) == 0 }) { return index }
    throw fail(
      name.position, "there is no \(kind.rawValue) '\(name.text)'",
      help: suggestion(name.text, in: names))
  }

  func owner(_ name: NameSyntax) throws(Failure) -> Owner {
    if let index = syntax.records.firstIndex(where: { $0.name.text == name.text }) {
      return .record(index)
    }
    if let index = syntax.collections.firstIndex(where: { $0.name.text == name.text }) {
      return .collection(index)
    }
    throw fail(
      name.position, "there is no collection or record '\(name.text)'",
      help: suggestion(
        name.text, in: syntax.records.map(\.name.text) + syntax.collections.map(\.name.text)))
  }

  func fields(of owner: Owner) -> [FieldSyntax] {
    switch owner {
    case .record(let index): syntax.records[index].fields
    case .collection(let index): syntax.collections[index].fields
    }
  }

  mutating func setFields(_ fields: [FieldSyntax], of owner: Owner) {
    switch owner {
    case .record(let index): syntax.records[index].fields = fields
    case .collection(let index): syntax.collections[index].fields = fields
    }
  }

  func fieldIndex(_ name: NameSyntax, of owner: Owner, called ownerName: String) throws(Failure)
    -> Int
  {
    let fields = fields(of: owner)
    if let index = fields.firstIndex(where: { utf8Compare($0.name.text, name.text) == 0 }) {
      return index
    }
    throw fail(
      name.position, "'\(ownerName)' has no field '\(name.text)'",
      help: suggestion(name.text, in: fields.map(\.name.text)))
  }

  func caseIndex(_ name: NameSyntax, of enumeration: Int) throws(Failure) -> Int {
    let cases = syntax.enums[enumeration].cases
    if let index = cases.firstIndex(where: { utf8Compare($0.name.text, name.text) == 0 }) {
      return index
    }
    throw fail(
      name.position, "'\(syntax.enums[enumeration].name.text)' has no case '\(name.text)'",
      help: suggestion(name.text, in: cases.map(\.name.text)))
  }

  func requireNew(_ name: NameSyntax, among names: [String], _ what: String) throws(Failure) {
    if names.contains(name.text) {
      throw fail(name.position, "there is \(what) '\(name.text)' already")
    }
  }

  var declaredNames: [String] {
    syntax.enums.map(\.name.text) + syntax.records.map(\.name.text)
      + syntax.collections.map(\.name.text)
  }

  /// A checker that knows the types of the schema as it is now. Its reports are its own.
  func checker(reportingTo sink: DiagnosticSink) -> SchemaChecker {
    let quiet = DiagnosticSink()
    let checker = SchemaChecker(syntax, sink: quiet)
    checker.prepare()
    let loud = SchemaChecker(syntax, sink: sink)
    loud.adopt(checker)
    return loud
  }

  // MARK: - Steps

  mutating func perform(_ step: StepSyntax) throws(Failure) {
    switch step.action {
    case .renameField(let owner, let field, let to): try renameField(owner, field, to)
    case .renameType(let kind, let from, let to): try renameType(kind, from, to)
    case .renameCase(let owner, let name, let to):
      let index = try index(owner, of: .enumeration)
      let found = try caseIndex(name, of: index)
      try requireNew(to, among: syntax.enums[index].cases.map(\.name.text), "a case")
      syntax.enums[index].cases[found].name = to
      renameCase(owner.text, name.text, to: to.text)
      rowSteps.append(
        .renameCase(enumeration: owner.text, name: name.text, to: to.text))
    case .addField(let owner, let field, let image): try addField(owner, field, image)
    case .addEnum(let item):
      try requireNew(item.name, among: declaredNames, "a type")
      syntax.enums.append(item)
    case .addRecord(let item):
      try requireNew(item.name, among: declaredNames, "a type")
      syntax.records.append(item)
    case .addCollection(let item):
      try requireNew(item.name, among: declaredNames, "a type")
      syntax.collections.append(item)
      rowSteps.append(.addCollection(item.name.text))
    case .addCase(let owner, let name):
      let index = try index(owner, of: .enumeration)
      try requireNew(name, among: syntax.enums[index].cases.map(\.name.text), "a case")
      syntax.enums[index].cases.append(
        EnumSyntax.Case(documentation: step.documentation, name: name))
    case .retypeField(let owner, let field, let type, let image):
      try retypeField(owner, field, type, image)
    case .dropField(let owner, let field):
      let place = try self.owner(owner)
      let index = try fieldIndex(field, of: place, called: owner.text)
      var fields = fields(of: place)
      try requireNoKey(fields[index], field.position, "dropped")
      fields.remove(at: index)
      setFields(fields, of: place)
      isLossy = true
      rowSteps.append(.dropField(owner: owner.text, field: field.text))
    case .dropType(let kind, let name): try dropType(kind, name)
    case .dropCase(let owner, let name, let otherwise): try dropCase(owner, name, otherwise)
    case .alterField(let owner, let field, let attributes):
      try alterField(owner, field, attributes, step.documentation)
    case .alterType(let kind, let name, let strictness):
      let index = try index(name, of: kind)
      switch kind {
      case .enumeration: syntax.enums[index].documentation = step.documentation
      case .record: syntax.records[index].documentation = step.documentation
      case .collection:
        syntax.collections[index].documentation = step.documentation
        syntax.collections[index].strictness = strictness
      }
    case .alterCase(let owner, let name):
      let index = try index(owner, of: .enumeration)
      let found = try caseIndex(name, of: index)
      syntax.enums[index].cases[found].documentation = step.documentation
    case .alterSchema: syntax.documentation = step.documentation
    case .replaceRules(let owner, let rules, _):
      guard let owner else {
        syntax.rules = rules
        return
      }
      syntax.collections[try index(owner, of: .collection)].rules = rules
    case .order(let owner, let names): try order(owner, names)
    }
  }

  func requireNoKey(_ field: FieldSyntax, _ position: SchemaPosition, _ what: String)
    throws(Failure)
  {
    if field.attributes.contains(where: { $0.name.text == "key" }) {
      throw fail(
        position, "a key field cannot be \(what): rows would not be the same rows",
        help: "add a collection with the other key")
    }
  }

  private mutating func dropType(_ kind: DeclarationKind, _ name: NameSyntax) throws(Failure) {
    let index = try index(name, of: kind)
    switch kind {
    case .enumeration: syntax.enums.remove(at: index)
    case .record: syntax.records.remove(at: index)
    case .collection:
      syntax.collections.remove(at: index)
      isLossy = true
      rowSteps.append(.dropCollection(name.text))
    }
  }

  private mutating func dropCase(_ owner: NameSyntax, _ name: NameSyntax, _ otherwise: NameSyntax?)
    throws(Failure)
  {
    let index = try index(owner, of: .enumeration)
    let found = try caseIndex(name, of: index)
    guard let otherwise else {
      throw fail(
        name.position, "what becomes of values that are '\(name.text)'?",
        help: "write 'drop case \(owner.text).\(name.text) else …' with another case")
    }
    if try caseIndex(otherwise, of: index) == found {
      throw fail(otherwise.position, "the case that is dropped cannot stand in for itself")
    }
    let inKey = syntax.collections.contains { collection in
      collection.fields.contains { field in
        field.type.name.text == owner.text
          && field.attributes.contains { $0.name.text == "key" || $0.name.text == "unique" }
      }
    }
    if inKey {
      throw fail(
        name.position, "'\(owner.text)' is in a key or unique: two rows could become one")
    }
    syntax.enums[index].cases.remove(at: found)
    isLossy = true
    rowSteps.append(
      .dropCase(enumeration: owner.text, name: name.text, otherwise: otherwise.text))
  }

  private mutating func order(_ owner: NameSyntax?, _ names: [NameSyntax]) throws(Failure) {
    func arranged<T>(_ items: [T], _ name: (T) -> String) -> [T]? {
      let wanted = names.map(\.text)
      guard Set(wanted).count == wanted.count, Set(wanted) == Set(items.map(name)) else {
        return nil
      }
      let place = Dictionary(uniqueKeysWithValues: wanted.enumerated().map { ($1, $0) })
      return items.sorted { place[name($0), default: 0] < place[name($1), default: 0] }
    }
    guard let owner else {
      let place = Dictionary(
        names.enumerated().map { ($1.text, $0) }, uniquingKeysWith: { first, _ in first })
      guard Set(names.map(\.text)) == Set(declaredNames), names.count == declaredNames.count else {
        throw fail(
          names.first?.position ?? .none, "'order schema' names every declaration once")
      }
      syntax.enums.sort { place[$0.name.text, default: 0] < place[$1.name.text, default: 0] }
      syntax.records.sort { place[$0.name.text, default: 0] < place[$1.name.text, default: 0] }
      syntax.collections.sort { place[$0.name.text, default: 0] < place[$1.name.text, default: 0] }
      return
    }
    if let index = syntax.enums.firstIndex(where: { $0.name.text == owner.text }) {
      guard let cases = arranged(syntax.enums[index].cases, { $0.name.text }) else {
        throw fail(owner.position, "'order \(owner.text)' names every case once")
      }
      syntax.enums[index].cases = cases
      return
    }
    let place = try self.owner(owner)
    guard let fields = arranged(fields(of: place), { $0.name.text }) else {
      throw fail(owner.position, "'order \(owner.text)' names every field once")
    }
    if fields.filter({ $0.attributes.contains { $0.name.text == "key" } }).map(\.name.text)
      != self.fields(of: place).filter({ $0.attributes.contains { $0.name.text == "key" } })
      .map(\.name.text)
    {
      throw fail(owner.position, "the key fields keep their order: it is the order of the key")
    }
    setFields(fields, of: place)
    rowSteps.append(.order(owner: owner.text, fields: fields.map(\.name.text)))
  }
}
