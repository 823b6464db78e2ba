/// A checked schema: every name in it resolves, every expression is well typed.
///
/// Comes from `Schema.parse` only, so whoever holds one need not check it again.
public struct Schema: Sendable, Hashable {
  /// As the header gives it.
  public let name: String
  /// The doc comment, its lines joined by line feeds; nil where there is none.
  public let documentation: String?
  /// `allow everything`: no rules, everybody may do everything.
  public let allowsEverything: Bool
  /// In the order of the text.
  public let enums: [EnumType]
  /// In the order of the text.
  public let records: [RecordType]
  /// In the order of the text; everything that is stored names a collection by its index here.
  public let collections: [CollectionType]
  /// The alternatives under which an operation may upgrade the schema.
  public let upgradeRules: [Condition?]
  /// The alternatives under which a replica may connect, `$peer` being its principal. Decided where it
  /// connects, by the rows as they are there; no verdict depends on it.
  public let connectRules: [Condition?]
  private let collectionIndex: [String: Int]
  private let recordIndex: [String: Int]
  private let enumIndex: [String: Int]

  init(
    name: String, documentation: String?, allowsEverything: Bool, enums: [EnumType],
    records: [RecordType], collections: [CollectionType], upgradeRules: [Condition?],
    connectRules: [Condition?] = []
  ) {
    self.name = name
    self.documentation = documentation
    self.allowsEverything = allowsEverything
    self.enums = enums
    self.records = records
    self.collections = collections
    self.upgradeRules = upgradeRules
    self.connectRules = connectRules
    // Names are unique: the checker saw to it. The first wins in a schema that it is still reporting on.
    let first = { (a: Int, _: Int) in a }
    collectionIndex = Dictionary(
      collections.enumerated().map { ($1.name, $0) }, uniquingKeysWith: first)
    recordIndex = Dictionary(records.enumerated().map { ($1.name, $0) }, uniquingKeysWith: first)
    enumIndex = Dictionary(enums.enumerated().map { ($1.name, $0) }, uniquingKeysWith: first)
  }

  /// The index in `collections` of the collection called `name`.
  public func collectionIndex(named name: String) -> Int? { collectionIndex[name] }
  /// The collection called `name`; nil where there is none.
  public func collection(named name: String) -> CollectionType? {
    collectionIndex[name].map { collections[$0] }
  }
  /// The record called `name`; nil where there is none.
  public func record(named name: String) -> RecordType? { recordIndex[name].map { records[$0] } }
  /// The enum called `name`; nil where there is none.
  public func enumeration(named name: String) -> EnumType? { enumIndex[name].map { enums[$0] } }
}

/// `enum Role { owner, editor }`
public struct EnumType: Sendable, Hashable {
  /// Unique among all that the schema declares.
  public let name: String
  /// The doc comment; nil where there is none.
  public let documentation: String?
  /// In the order of the text; at least one.
  public let cases: [Case]

  /// One of the values that the enum has.
  public struct Case: Sendable, Hashable {
    /// Unique in its enum; the value is `Value.text` of it.
    public let name: String
    /// The doc comment; nil where there is none.
    public let documentation: String?
  }
}

/// `record Line { … }`: fields that are merged one by one.
public struct RecordType: Sendable, Hashable {
  /// Unique among all that the schema declares.
  public let name: String
  /// The doc comment; nil where there is none.
  public let documentation: String?
  /// In the order of the text; at least one.
  public let fields: [Field]

  /// The index in `fields` of the field called `name`; nil where there is none.
  public func fieldIndex(named name: String) -> Int? { fields.firstIndex { $0.name == name } }
}

/// `collection Product { … }`
public struct CollectionType: Sendable, Hashable {
  /// Whether deletes in a collection reach what was written concurrently.
  public enum Strictness: String, Sendable, Hashable {
    case strict, lenient
  }

  /// Unique among all that the schema declares.
  public let name: String
  /// The doc comment; nil where there is none.
  public let documentation: String?
  /// What the schema says; nil where it leaves it to the default.
  public let declaredStrictness: Strictness?
  /// Whether deletes void concurrent uses: as declared, otherwise whether a rule looks into the collection.
  public let isStrict: Bool
  /// In the order of the schema. With a generated key the first is `id`.
  public let fields: [Field]
  /// The indices of the key fields, in the order of the schema; at least one.
  public let keyFields: [Int]
  /// Whether the key is the field `id: UUID` made from the operation's hash, because the schema names none.
  public let hasGeneratedKey: Bool
  /// In the order of the text; rules for one action are alternatives.
  public let rules: [Rule]
  /// How the fields fall into registers, and which of these move together.
  public let layout: CollectionLayout

  /// The index in `fields` of the field called `name`; nil where there is none.
  public func fieldIndex(named name: String) -> Int? { fields.firstIndex { $0.name == name } }

  /// The registers of a row, record fields taken apart.
  public var slots: [Slot] { layout.slots }
  /// The slots that checks tie together, two and more each; a slot in none of them is a unit by itself.
  public var mergeUnits: [[Int]] { layout.mergeUnits }
  /// The checks of the collection and of the records in it, by slots.
  public var checks: [SlotCheck] { layout.checks }

  /// The key of a row of this collection; nil where a key field is absent.
  public func key(of row: Row) -> Key? {
    var values: [Value] = []
    values.reserveCapacity(keyFields.count)
    for index in keyFields {
      guard let value = row[index] else { return nil }
      values.append(value)
    }
    return Key(values)
  }
}

/// A field of a collection or record.
public struct Field: Sendable, Hashable {
  /// What happens to a reference whose target is not live.
  public enum DeletePolicy: String, Sendable, Hashable {
    case void, null, cascade
  }

  /// Unique in its collection or record.
  public let name: String
  /// The doc comment; nil where there is none.
  public let documentation: String?
  /// As declared, with `?` as `.optional`.
  public let type: FieldType
  /// Whether `@key` stands at the field.
  public let isKey: Bool
  /// Declared so, or a key field.
  public let isReadonly: Bool
  /// Whether no two rows have one value here.
  public let isUnique: Bool
  /// A hint that adapters honour.
  public let isIndexed: Bool
  /// `@default(…)`, already of the field's type.
  public let defaultValue: Value?
  /// Each `@check(…)` written at this field; the names in it are fields beside this one.
  public let checks: [Expression]
  /// For references only: as written, or the default (`null` if optional, otherwise `cascade`).
  public let onDelete: DeletePolicy?
}

/// An expression of `@check` and of upgrade steps.
public indirect enum Expression: Sendable, Hashable {
  case literal(Value)
  /// A field beside the one that carries the expression, or a field of a record in it: `["price"]`, `["size", "width"]`.
  case field([String])
  case not(Expression)
  case negate(Expression)
  case binary(Operator, Expression, Expression)
  case isIn(Expression, [Expression])
  /// `length(text or bytes)`: in Unicode scalars or bytes.
  case length(Expression)

  /// What joins two expressions; the raw value is its spelling.
  public enum Operator: String, Sendable, Hashable, CaseIterable {
    case or = "or"
    case and = "and"
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case add = "+"
    case subtract = "-"
    case multiply = "*"
  }

  /// The paths of all fields named, in the order of their first appearance.
  public var fieldPaths: [[String]] {
    var paths: [[String]] = []
    collectPaths(into: &paths)
    return paths
  }

  private func collectPaths(into paths: inout [[String]]) {
    switch self {
    case .literal: break
    case .field(let path): if !paths.contains(path) { paths.append(path) }
    case .not(let inner), .negate(let inner), .length(let inner): inner.collectPaths(into: &paths)
    case .binary(_, let left, let right):
      left.collectPaths(into: &paths)
      right.collectPaths(into: &paths)
    case .isIn(let subject, let list):
      subject.collectPaths(into: &paths)
      for item in list { item.collectPaths(into: &paths) }
    }
  }
}

/// `allow create, update if …`
public struct Rule: Sendable, Hashable {
  /// What a rule allows; the raw value is its spelling.
  public enum Action: String, Sendable, Hashable, CaseIterable {
    case create, update, delete
  }

  /// In the order create, update, delete; at least one.
  public let actions: [Action]
  /// Nil where the rule is unconditional.
  public let condition: Condition?
}

/// The condition of a rule. Positive only: there is no `not`.
public indirect enum Condition: Sendable, Hashable {
  case exists(collection: String, matches: [Match])
  case compare(Operand, Comparison, Operand)
  case isIn(Operand, [Operand])
  case and(Condition, Condition)
  case or(Condition, Condition)

  /// `field: operand or operand …` inside `exists`.
  public struct Match: Sendable, Hashable {
    /// A readonly field of the collection that is looked into.
    public let field: String
    /// One of these is the field's value; at least one.
    public let operands: [Operand]
  }

  /// How two operands are compared; the raw value is its spelling.
  public enum Comparison: String, Sendable, Hashable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
  }

  /// A single value that a condition compares.
  public enum Operand: Sendable, Hashable {
    /// `$author`
    case author
    /// `$peer`: in rules of connecting only.
    case peer
    /// `new.field`
    case new(String)
    /// `row.field`
    case row(String)
    case literal(Value)
  }
}
