/// Turns syntax into a `Schema`, or reports everything that is wrong with it.
///
/// Each pass goes as far as it can: what an earlier pass could not resolve is left out of later ones, so that
/// one mistake is reported once.
final class SchemaChecker {
  struct Declared {
    let kind: DeclarationKind
    let index: Int
    let name: String
    let position: SchemaPosition
  }

  /// A field on its way to being checked.
  struct Draft {
    let syntax: FieldSyntax
    /// Nil where it could not be resolved.
    var type: FieldType?
    var isKey = false
    var isReadonly = false
    var isUnique = false
    var isIndexed = false
    var onDelete: Field.DeletePolicy?
    var defaultValue: Value?
    var checks: [Expression] = []

    var name: String { syntax.name.text }

    func attribute(_ name: String) -> AttributeSyntax? {
      syntax.attributes.first { $0.name.text == name }
    }
  }

  /// Fields by name.
  struct FieldTable {
    let drafts: [Draft]
    private let index: [String: Int]

    init(_ drafts: [Draft]) {
      self.drafts = drafts
      index = Dictionary(
        drafts.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The field with exactly these bytes for a name.
    subscript(name: String) -> Draft? {
      guard let found = index[name], utf8Compare(drafts[found].name, name) == 0 else { return nil }
      return drafts[found]
    }
  }

  let syntax: SchemaSyntax
  let sink: DiagnosticSink
  var declared: [String: Declared] = [:]
  var recordDrafts: [[Draft]] = []
  var collectionDrafts: [[Draft]] = []
  /// The worst-case bytes of a collection's key; nil inside where it has none that is sound.
  var keyWidths: [Int: Int?] = [:]
  var keyVisits: [Int] = []
  private var recordTables: [Int: FieldTable] = [:]
  /// The collections that a rule looks into.
  var lookedInto: Set<String> = []

  /// The most key fields of a collection: what the encoding of keys takes.
  static let keyFields = 64
  /// The longest chain of keys that are references.
  static let keyDepth = 15
  /// The deepest nesting of records.
  static let recordDepth = 32
  /// The most slots of a collection, once its records are taken apart, and likewise the most checks.
  static let slots = 4_096
  /// The same of all collections together.
  static let totalSlots = 65_536

  init(_ syntax: SchemaSyntax, sink: DiagnosticSink) {
    self.syntax = syntax
    self.sink = sink
  }

  /// The schema; nil after errors were reported.
  func check() -> Schema? {
    declareNames()
    recordDrafts = syntax.records.map { drafts($0.fields, owner: .record) }
    collectionDrafts = syntax.collections.map { drafts($0.fields, owner: .collection) }
    checkRecordNesting()
    checkKeys()
    for index in recordDrafts.indices { checkFields(of: .record, index) }
    for index in collectionDrafts.indices { checkFields(of: .collection, index) }
    let rules = syntax.collections.indices.map { collectionRules($0) }
    let top = topRules()
    guard sink.isEmpty else { return nil }

    let enums = syntax.enums.map { item in
      EnumType(
        name: item.name.text, documentation: item.documentation,
        cases: item.cases.map {
          EnumType.Case(name: $0.name.text, documentation: $0.documentation)
        })
    }
    let records = syntax.records.indices.map { index in
      RecordType(
        name: syntax.records[index].name.text, documentation: syntax.records[index].documentation,
        fields: recordDrafts[index].map { field($0) })
    }
    let recordsByName = Dictionary(
      records.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let collections = syntax.collections.indices.map { index in
      collection(index, rules: rules[index], records: recordsByName)
    }
    return Schema(
      name: syntax.name.text, documentation: syntax.documentation,
      allowsEverything: top.allowsEverything, enums: enums, records: records,
      collections: collections,
      upgradeRules: top.upgrade, connectRules: top.connect)
  }

  private func field(_ draft: Draft) -> Field {
    Field(
      name: draft.name, documentation: draft.syntax.documentation, type: draft.type ?? .bool,
      isKey: draft.isKey, isReadonly: draft.isReadonly, isUnique: draft.isUnique,
      isIndexed: draft.isIndexed, defaultValue: draft.defaultValue, checks: draft.checks,
      onDelete: draft.onDelete)
  }

  private func collection(_ index: Int, rules: [Rule], records: [String: RecordType])
    -> CollectionType
  {
    let item = syntax.collections[index]
    var fields = collectionDrafts[index].map { field($0) }
    let isGenerated = !fields.contains { $0.isKey }
    if isGenerated { fields.insert(Field.generatedKey, at: 0) }
    let isStrict =
      item.strictness.map { $0 == .strict } ?? lookedInto.contains(item.name.text)
    return CollectionType(
      name: item.name.text, documentation: item.documentation,
      declaredStrictness: item.strictness, isStrict: isStrict, fields: fields,
      keyFields: fields.indices.filter { fields[$0].isKey }, hasGeneratedKey: isGenerated,
      rules: rules, layout: CollectionLayout(fields: fields, records: records))
  }

  // MARK: - Names

  func declareNames() {
    for (index, item) in syntax.enums.enumerated() {
      declare(.enumeration, index, item.name)
      checkCases(of: item)
    }
    for (index, item) in syntax.records.enumerated() { declare(.record, index, item.name) }
    for (index, item) in syntax.collections.enumerated() { declare(.collection, index, item.name) }
    for (names, owner) in syntax.records.map({ ($0.fields.map(\.name), $0.name) })
      + syntax.collections.map({ ($0.fields.map(\.name), $0.name) })
    {
      checkDuplicates(names, "field", of: owner.text)
      if names.isEmpty, syntax.records.contains(where: { $0.name == owner }) {
        sink.report(owner.position, "a record has one field at least")
      }
    }
  }

  private func declare(_ kind: DeclarationKind, _ index: Int, _ name: NameSyntax) {
    if let other = declared[name.text] {
      sink.report(
        name.position,
        "'\(name.text)' is declared twice, first as \(article(other.kind))\(line(other.position))")
      return
    }
    declared[name.text] = Declared(
      kind: kind, index: index, name: name.text, position: name.position)
  }

  func article(_ kind: DeclarationKind) -> String {
    (kind == .enumeration ? "an " : "a ") + kind.rawValue
  }

  private func line(_ position: SchemaPosition) -> String {
    position == .none ? "" : " on line \(position.line)"
  }

  private func checkCases(of item: EnumSyntax) {
    if item.cases.isEmpty { sink.report(item.name.position, "an enum has one case at least") }
    checkDuplicates(item.cases.map(\.name), "case", of: item.name.text)
  }

  private func checkDuplicates(_ names: [NameSyntax], _ what: String, of owner: String) {
    var seen: [String: NameSyntax] = [:]
    for name in names {
      if let first = seen[name.text] {
        sink.report(
          name.position,
          "'\(owner)' has two \(what)s '\(name.text)'"
            + (first.position == .none ? "" : ", the first on line \(first.position.line)"))
      } else {
        seen[name.text] = name
      }
    }
  }

  /// What is declared under exactly these bytes. (`String ==` also equates other spellings of one text.)
  func lookUp(_ name: String) -> Declared? {
    guard let found = declared[name], utf8Compare(found.name, name) == 0 else { return nil }
    return found
  }

  func names(of kind: DeclarationKind) -> [String] {
    switch kind {
    case .enumeration: syntax.enums.map(\.name.text)
    case .record: syntax.records.map(\.name.text)
    case .collection: syntax.collections.map(\.name.text)
    }
  }

  /// The index of the collection; nil, and a report, where there is none.
  func collectionIndex(_ name: NameSyntax) -> Int? {
    if let found = lookUp(name.text), found.kind == .collection { return found.index }
    if let found = lookUp(name.text) {
      sink.report(name.position, "'\(name.text)' is \(article(found.kind)), not a collection")
    } else {
      sink.report(
        name.position, "there is no collection '\(name.text)'",
        help: suggestion(name.text, in: names(of: .collection)))
    }
    return nil
  }

  func cases(of enumeration: String) -> [String] {
    guard let found = lookUp(enumeration), found.kind == .enumeration else { return [] }
    return syntax.enums[found.index].cases.map(\.name.text)
  }

  func recordTable(_ record: Int) -> FieldTable {
    if let known = recordTables[record] { return known }
    let table = FieldTable(recordDrafts[record])
    recordTables[record] = table
    return table
  }

  /// The fields of a collection as a rule sees them; with the generated key if it has one.
  func draft(_ name: String, in drafts: [Draft]) -> Draft? {
    drafts.first { utf8Compare($0.name, name) == 0 }
  }

  func hasGeneratedKey(_ collection: Int) -> Bool {
    !collectionDrafts[collection].contains { $0.isKey }
  }
}

extension Field {
  /// `id: UUID`, made from the operation's hash.
  static let generatedKey = Field(
    name: "id", documentation: nil, type: .uuid, isKey: true, isReadonly: true, isUnique: false,
    isIndexed: false, defaultValue: nil, checks: [], onDelete: nil)
}
