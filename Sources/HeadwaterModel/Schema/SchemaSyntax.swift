// What a text says, name by name, before anything is looked up. The printer prints it and the checker checks it.

/// A name as written.
struct NameSyntax: Sendable, Hashable {
  var text: String
  var position: SchemaPosition
  /// In backticks.
  var isQuoted = false

  init(_ text: String, _ position: SchemaPosition = .none, isQuoted: Bool = false) {
    self.text = text
    self.position = position
    self.isQuoted = isQuoted
  }
}

/// The comments that belong to one line of the canonical form.
struct Trivia: Sendable, Hashable {
  struct Line: Sendable, Hashable {
    let text: String
    let blankAfter: Bool
  }

  var leading: [Line] = []
  var trailing: String?

  var isEmpty: Bool { leading.isEmpty && trailing == nil }
}

struct TypeSyntax: Sendable, Hashable {
  var name: NameSyntax
  /// The numbers in parentheses; nil without parentheses.
  var numbers: [NameSyntax]?
  /// The types between `<` and `>`; nil without them.
  var parameters: [TypeSyntax]?
  /// The string after `custom`.
  var custom: String?
  var isOptional = false
}

/// An expression or a condition: one syntax for both, so that an error can say what is meant.
struct ExpressionSyntax: Sendable, Hashable {
  indirect enum Kind: Sendable, Hashable {
    /// As spelled, with a sign if one precedes it.
    case number(String)
    case string(String)
    case bool(Bool)
    /// `a`, `a.b`, `new.f`, `row.f`, or the case of an enum.
    case path([NameSyntax])
    /// `$author` or `$peer`
    case variable(String)
    case not(ExpressionSyntax)
    case negate(ExpressionSyntax)
    case binary(Expression.Operator, ExpressionSyntax, ExpressionSyntax)
    case isIn(ExpressionSyntax, [ExpressionSyntax])
    case call(NameSyntax, [ExpressionSyntax])
    case exists(NameSyntax, [MatchSyntax])
  }

  var kind: Kind
  var position: SchemaPosition
  /// Of a string that is the case of an enum in a schema that was checked: the enum.
  var enumeration: String?

  init(_ kind: Kind, _ position: SchemaPosition = .none) {
    self.kind = kind
    self.position = position
  }
}

struct MatchSyntax: Sendable, Hashable {
  var field: NameSyntax
  var operands: [ExpressionSyntax]
}

struct AttributeSyntax: Sendable, Hashable {
  var name: NameSyntax
  var argument: ExpressionSyntax?
}

struct FieldSyntax: Sendable, Hashable {
  var documentation: String?
  var name: NameSyntax
  var type: TypeSyntax
  var attributes: [AttributeSyntax] = []
  var trivia = Trivia()
}

struct RuleSyntax: Sendable, Hashable {
  /// `create`, `update`, `delete`; at the top `upgrade` or `everything`.
  var actions: [NameSyntax]
  var condition: ExpressionSyntax?
  var position: SchemaPosition = .none
  var trivia = Trivia()
}

struct EnumSyntax: Sendable, Hashable {
  struct Case: Sendable, Hashable {
    var documentation: String?
    var name: NameSyntax
    var trivia = Trivia()
  }

  var documentation: String?
  var name: NameSyntax
  var cases: [Case] = []
  var trivia = Trivia()
  /// The comments of the closing brace.
  var endTrivia = Trivia()
}

struct RecordSyntax: Sendable, Hashable {
  var documentation: String?
  var name: NameSyntax
  var fields: [FieldSyntax] = []
  var trivia = Trivia()
  var endTrivia = Trivia()
}

struct CollectionSyntax: Sendable, Hashable {
  var documentation: String?
  /// `strict` or `lenient`.
  var strictness: CollectionType.Strictness?
  var name: NameSyntax
  var fields: [FieldSyntax] = []
  var rules: [RuleSyntax] = []
  var trivia = Trivia()
  var endTrivia = Trivia()
}

/// A whole schema.
struct SchemaSyntax: Sendable, Hashable {
  var documentation: String?
  var name: NameSyntax
  var enums: [EnumSyntax] = []
  var records: [RecordSyntax] = []
  var collections: [CollectionSyntax] = []
  /// `allow everything`, `allow upgrade …` and `allow connect …`.
  var rules: [RuleSyntax] = []
  var trivia = Trivia()
  /// The comments before the end of the text.
  var endTrivia = Trivia()
}

enum SchemaWords {
  /// What a name without backticks may not be.
  static let reserved: Set<String> = ["allow", "and", "exists", "false", "in", "not", "or", "true"]

  /// The types of the language, which an enum, record or collection may be called only in backticks.
  static let types: [String] = [
    "Bool", "Int", "Float", "Decimal", "Text", "Bytes", "Date", "Timestamp", "UUID", "JSON",
    "Principal", "Counter", "Set", "Map", "List", "SharedText", "MultiValue", "custom",
  ]

  static let attributes = ["key", "readonly", "unique", "index", "default", "check", "onDelete"]

  /// Whether `name` can be written without backticks.
  static func isPlain(_ name: String) -> Bool {
    var first = true
    for byte in name.utf8 {
      let scalar = UInt32(byte)
      guard
        SchemaLexer.isIdentifierStart(scalar) || !first && SchemaLexer.isDigit(scalar)
      else { return false }
      first = false
    }
    return !first && !reserved.contains(name)
  }

  /// `name`, in backticks where it needs them.
  static func spelled(_ name: String) -> String { isPlain(name) ? name : "`\(name)`" }

  /// The name of an enum, record or collection, in backticks where it needs them.
  static func spelledType(_ name: String) -> String {
    types.contains(name) ? "`\(name)`" : spelled(name)
  }

  /// A string literal with exactly that value.
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20 || scalar.value >= 0x7F && scalar.value < 0xA0:
        out += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
