/// A step of an upgrade as written.
struct StepSyntax: Sendable, Hashable {
  indirect enum Action: Sendable, Hashable {
    case renameField(owner: NameSyntax, field: NameSyntax, to: NameSyntax)
    case renameType(DeclarationKind, NameSyntax, to: NameSyntax)
    case renameCase(NameSyntax, NameSyntax, to: NameSyntax)
    case addField(owner: NameSyntax, FieldSyntax, ImageSyntax)
    case addEnum(EnumSyntax)
    case addRecord(RecordSyntax)
    case addCollection(CollectionSyntax)
    case addCase(NameSyntax, NameSyntax)
    case retypeField(owner: NameSyntax, field: NameSyntax, TypeSyntax, ImageSyntax)
    case dropField(owner: NameSyntax, field: NameSyntax)
    case dropType(DeclarationKind, NameSyntax)
    case dropCase(NameSyntax, NameSyntax, otherwise: NameSyntax?)
    case alterField(owner: NameSyntax, field: NameSyntax, [AttributeSyntax])
    case alterType(DeclarationKind, NameSyntax, CollectionType.Strictness?)
    case alterCase(NameSyntax, NameSyntax)
    case alterSchema
    /// Of the schema itself if there is no name.
    case replaceRules(NameSyntax?, [RuleSyntax], end: Trivia)
    /// Of the declarations of the schema if there is no name.
    case order(NameSyntax?, [NameSyntax])
  }

  var action: Action
  var documentation: String?
  var position: SchemaPosition
  var trivia = Trivia()
}

/// `= expression else literal`
struct ImageSyntax: Sendable, Hashable {
  var expression: ExpressionSyntax?
  var otherwise: ExpressionSyntax?

  /// Whether it says `else absent`.
  var otherwiseAbsent: Bool {
    if case .path(let names)? = otherwise?.kind { return names.map(\.text) == ["absent"] }
    return false
  }
}

/// A whole upgrade file.
struct UpgradeSyntax: Sendable, Hashable {
  var documentation: String?
  var name: NameSyntax
  var from: NameSyntax
  var steps: [StepSyntax] = []
  var trivia = Trivia()
  var endTrivia = Trivia()
}
