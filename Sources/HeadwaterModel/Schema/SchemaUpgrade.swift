/// What a schema declares by name.
public enum DeclarationKind: String, Sendable, Hashable, CaseIterable {
  case enumeration = "enum"
  case record
  case collection
}

/// The steps from one schema to the next, as a text `schema NAME from HASH` gives them.
///
/// Only read so far: whether the steps fit the schema that they start from is for `apply(to:)` to say.
public struct SchemaUpgrade: Sendable, Hashable {
  /// The name of the schema that comes out.
  public let name: String
  /// The hash of the schema that the steps start from.
  public let from: Digest
  /// In the order of the text, which is that in which they are performed.
  public let steps: [UpgradeStep]
  let syntax: UpgradeSyntax

  /// Reads the text of an upgrade. Throws every error that the text has by itself. Total: no bytes make it crash.
  public static func parse(_ text: [UInt8]) throws(SchemaErrors) -> SchemaUpgrade {
    let sink = DiagnosticSink()
    if let upgrade = read(text, sink), sink.isEmpty { return upgrade }
    throw sink.errors
  }

  /// Reads the text of an upgrade. Throws every error that the text has by itself.
  public static func parse(_ text: String) throws(SchemaErrors) -> SchemaUpgrade {
    try parse(Array(text.utf8))
  }

  private static func read(_ text: [UInt8], _ sink: DiagnosticSink) -> SchemaUpgrade? {
    guard var parser = SchemaParser(text, sink: sink), let header = parser.header() else {
      return nil
    }
    guard let from = header.from else {
      sink.report(
        SchemaPosition(line: 1, column: 1), "this is a whole schema, not an upgrade",
        help: "an upgrade begins with 'schema \(header.schema.name.text) from HASH'")
      return nil
    }
    let digest = Digest(hex: from.text)
    if digest == nil {
      sink.report(
        from.position, "the hash of a schema has 64 hexadecimal digits",
        help: "'headwater schema hash FILE' prints it")
    }
    var syntax = UpgradeSyntax(
      documentation: header.schema.documentation, name: header.schema.name,
      from: NameSyntax(digest?.hex ?? from.text, from.position), trivia: header.schema.trivia)
    parser.steps(into: &syntax)
    guard let digest, sink.isEmpty else { return nil }
    return SchemaUpgrade(
      name: syntax.name.text, from: digest,
      steps: syntax.steps.map { UpgradeStep($0) }, syntax: syntax)
  }

  /// The one spelling of the upgrade, without comments that are no doc comments.
  public var canonicalText: String {
    var printer = SchemaPrinter()
    printer.upgrade(syntax.withoutComments)
    return printer.text
  }

  /// The canonical spelling with the comments kept.
  var formatted: String {
    var printer = SchemaPrinter()
    printer.upgrade(syntax)
    return printer.text
  }
}

/// One step of an upgrade: what it is about, by name.
public struct UpgradeStep: Sendable, Hashable {
  /// What a step does, and to what.
  public enum Action: Sendable, Hashable {
    case renameField(owner: String, field: String, to: String)
    case renameType(DeclarationKind, String, to: String)
    case renameCase(enumeration: String, name: String, to: String)
    case addField(owner: String, field: String)
    case addType(DeclarationKind, String)
    case addCase(enumeration: String, name: String)
    case retypeField(owner: String, field: String)
    case dropField(owner: String, field: String)
    case dropType(DeclarationKind, String)
    case dropCase(enumeration: String, name: String)
    case alterField(owner: String, field: String)
    case alterType(DeclarationKind, String)
    case alterCase(enumeration: String, name: String)
    case alterSchema
    /// The rules of a collection, or of the schema itself where the name is nil.
    case replaceRules(of: String?)
    /// The order of fields or cases, or of the schema's declarations where the name is nil.
    case order(of: String?)
  }

  /// What the step does, and to what.
  public let action: Action
  /// Where the step begins.
  public let position: SchemaPosition
  /// The canonical spelling; of a step with a body, its head.
  public let text: String

  init(_ syntax: StepSyntax) {
    position = syntax.position
    text = syntax.printed
    action =
      switch syntax.action {
      case .renameField(let owner, let field, let to):
        .renameField(owner: owner.text, field: field.text, to: to.text)
      case .renameType(let kind, let from, let to): .renameType(kind, from.text, to: to.text)
      case .renameCase(let owner, let name, let to):
        .renameCase(enumeration: owner.text, name: name.text, to: to.text)
      case .addField(let owner, let field, _):
        .addField(owner: owner.text, field: field.name.text)
      case .addEnum(let item): .addType(.enumeration, item.name.text)
      case .addRecord(let item): .addType(.record, item.name.text)
      case .addCollection(let item): .addType(.collection, item.name.text)
      case .addCase(let owner, let name): .addCase(enumeration: owner.text, name: name.text)
      case .retypeField(let owner, let field, _, _):
        .retypeField(owner: owner.text, field: field.text)
      case .dropField(let owner, let field): .dropField(owner: owner.text, field: field.text)
      case .dropType(let kind, let name): .dropType(kind, name.text)
      case .dropCase(let owner, let name, _):
        .dropCase(enumeration: owner.text, name: name.text)
      case .alterField(let owner, let field, _):
        .alterField(owner: owner.text, field: field.text)
      case .alterType(let kind, let name, _): .alterType(kind, name.text)
      case .alterCase(let owner, let name): .alterCase(enumeration: owner.text, name: name.text)
      case .alterSchema: .alterSchema
      case .replaceRules(let owner, _, _): .replaceRules(of: owner?.text)
      case .order(let owner, _): .order(of: owner?.text)
      }
  }
}

/// What a file of the schema language holds.
public enum SchemaFile: Sendable, Hashable {
  case schema(Schema)
  case upgrade(SchemaUpgrade)

  /// Reads a whole schema or an upgrade, whichever the text is.
  public static func parse(_ text: [UInt8]) throws(SchemaErrors) -> SchemaFile {
    isUpgrade(text) ? .upgrade(try SchemaUpgrade.parse(text)) : .schema(try Schema.parse(text))
  }

  /// Reads a whole schema or an upgrade, whichever the text is.
  public static func parse(_ text: String) throws(SchemaErrors) -> SchemaFile {
    try parse(Array(text.utf8))
  }

  /// Whether the header says `from`.
  static func isUpgrade(_ text: [UInt8]) -> Bool {
    guard var parser = SchemaParser(text, sink: DiagnosticSink()) else { return false }
    return parser.header()?.from != nil
  }
}
