import HeadwaterLog
import HeadwaterModel

/// The rules of a schema, with names resolved to slots: what the verdict engine looks up.
final class RulePlan: Sendable {
  /// What may stand in a rule's comparison.
  enum Operand: Sendable, Hashable {
    /// Who signs; in the rule of connecting, who connects.
    case author
    /// The slot of the row that a create writes.
    case new(Int)
    /// The slot of the row that is updated or deleted.
    case row(Int)
    case literal(Value)
  }

  /// A condition over operands and atoms.
  indirect enum Formula: Sendable {
    case fact(Bool)
    case compare(Operand, Condition.Comparison, Operand)
    case isIn(Operand, [Operand])
    /// The index of an atom, and for each of its asked slots the operands of which one must be the value.
    case exists(Int, [[Operand]])
    case all([Formula])
    case any([Formula])
  }

  /// One shape of `exists C(…)`: which slots of C it asks for, and the literals that it fixes.
  ///
  /// A create is filed under each atom whose literals it satisfies, by its values in `tupleSlots`; those
  /// in `looseSlots`, for which there are several alternatives that are no literals, are compared when asked.
  struct Atom: Sendable, Hashable {
    let collection: Int
    let literals: [Literals]
    let tupleSlots: [Int]
    let looseSlots: [Int]

    struct Literals: Sendable, Hashable {
      let slot: Int
      let values: [Value]
    }
  }

  let atoms: [Atom]
  /// For each collection the atoms that look into it.
  let atomsOfCollection: [[Int]]
  /// For each collection and action (create, update, delete) what must hold.
  private let formulas: [[Formula]]
  /// What must hold for a replica to connect.
  let connect: Formula
  /// For each collection whether the delete of a row reaches what was written concurrently.
  let isStrict: [Bool]
  /// For each collection whether some reference to it has the policy `void`.
  let isVoidTarget: [Bool]
  /// For each collection the slots whose reference has the policy `void`.
  let voidReferences: [[ReferenceSlot]]
  /// For each collection its unique slots, the key aside.
  let uniqueSlots: [[Int]]
  /// Whether nothing but subjects is ever asked: no rules, no `unique`, no `void`.
  let isTrivial: Bool

  init(_ schema: Schema, collections: [CollectionPlan]) {
    var compiler = Compiler(schema: schema)
    formulas = schema.collections.indices.map { index in
      Rule.Action.allCases.map { compiler.formula(index, $0) }
    }
    // Last, so that atoms of rules have the numbers that they would have without it.
    connect = compiler.connect()
    let atoms = compiler.atoms
    self.atoms = atoms
    atomsOfCollection = schema.collections.indices.map { collection in
      atoms.indices.filter { atoms[$0].collection == collection }
    }
    isStrict = schema.collections.map(\.isStrict)
    let voids = collections.map { $0.references.filter { $0.policy == .void } }
    voidReferences = voids
    isVoidTarget = schema.collections.indices.map { collection in
      voids.contains { $0.contains { $0.target == collection } }
    }
    uniqueSlots = schema.collections.map { collection in
      collection.fields.indices.filter { collection.fields[$0].isUnique }
        .map { collection.layout.fieldSlots[$0].lowerBound }
    }
    isTrivial =
      schema.allowsEverything && voids.allSatisfy(\.isEmpty) && uniqueSlots.allSatisfy(\.isEmpty)
  }

  func formula(_ collection: Int, _ kind: RowChange.Kind) -> Formula {
    formulas[collection][Int(kind.rawValue)]
  }

  /// Whether an operation with a delete in that collection may void what is concurrent with it.
  func deletesReach(_ collection: Int) -> Bool {
    isVoidTarget[collection] || isStrict[collection] && !atomsOfCollection[collection].isEmpty
  }

  private struct Compiler {
    let schema: Schema
    var atoms: [Atom] = []
    private var numbers: [Atom: Int] = [:]

    init(schema: Schema) { self.schema = schema }

    mutating func formula(_ collection: Int, _ action: Rule.Action) -> Formula {
      if schema.allowsEverything { return .fact(true) }
      let rules = schema.collections[collection].rules.filter { $0.actions.contains(action) }
      if rules.contains(where: { $0.condition == nil }), rules.count == 1 { return .fact(true) }
      return .any(
        rules.map { rule in
          rule.condition.map { compile($0, collection) } ?? .fact(true)
        })
    }

    mutating func connect() -> Formula {
      if schema.allowsEverything { return .fact(true) }
      // No field of a row stands in it, so it is of no collection.
      return .any(schema.connectRules.map { $0.map { compile($0, -1) } ?? .fact(true) })
    }

    private mutating func compile(_ condition: Condition, _ collection: Int) -> Formula {
      switch condition {
      case .and(let a, let b): return .all([compile(a, collection), compile(b, collection)])
      case .or(let a, let b): return .any([compile(a, collection), compile(b, collection)])
      case .compare(let a, let comparison, let b):
        return .compare(operand(a, collection), comparison, operand(b, collection))
      case .isIn(let a, let items):
        return .isIn(operand(a, collection), items.map { operand($0, collection) })
      case .exists(let name, let matches):
        guard let target = schema.collectionIndex(named: name) else { return .fact(false) }
        return exists(target, matches, collection)
      }
    }

    private mutating func exists(_ target: Int, _ matches: [Condition.Match], _ collection: Int)
      -> Formula
    {
      var literals: [Atom.Literals] = []
      var tuple: [(slot: Int, operands: [Operand])] = []
      var loose: [(slot: Int, operands: [Operand])] = []
      for match in matches {
        guard let slot = slot(match.field, target) else { return .fact(false) }
        let operands = match.operands.map { operand($0, collection) }
        let values = operands.compactMap { if case .literal(let value) = $0 { value } else { nil } }
        if values.count == operands.count {
          literals.append(Atom.Literals(slot: slot, values: values))
        } else if operands.count == 1 {
          tuple.append((slot, operands))
        } else {
          loose.append((slot, operands))
        }
      }
      tuple.sort { $0.slot < $1.slot }
      loose.sort { $0.slot < $1.slot }
      let atom = Atom(
        collection: target, literals: literals.sorted { $0.slot < $1.slot },
        tupleSlots: tuple.map(\.slot), looseSlots: loose.map(\.slot))
      let number = numbers[atom] ?? atoms.count
      if number == atoms.count {
        atoms.append(atom)
        numbers[atom] = number
      }
      return .exists(number, (tuple + loose).map(\.operands))
    }

    private func slot(_ field: String, _ collection: Int) -> Int? {
      guard schema.collections.indices.contains(collection) else { return nil }
      let type = schema.collections[collection]
      return type.fieldIndex(named: field).map { type.layout.fieldSlots[$0].lowerBound }
    }

    private func operand(_ operand: Condition.Operand, _ collection: Int) -> Operand {
      switch operand {
      case .author, .peer: .author
      case .literal(let value): .literal(value)
      case .new(let field): slot(field, collection).map { .new($0) } ?? .new(-1)
      case .row(let field): slot(field, collection).map { .row($0) } ?? .row(-1)
      }
    }
  }
}

extension RulePlan.Atom {
  /// The bytes of values that are equal as rules compare them, and of no others; nil where one is absent.
  static func encode(_ values: [Value?]) -> [UInt8]? {
    var bytes: [UInt8] = []
    for value in values {
      guard let value else { return nil }
      switch value.comparable {
      case .int(let number): KeyEncoding.append(.decimal(ExactDecimal(number)), to: &bytes)
      case let other: KeyEncoding.append(other, to: &bytes)
      }
    }
    return bytes
  }

  /// How the atom files a create with those values: nil where its literals do not fit or a value is absent.
  func filing(_ value: (Int) -> Value?) -> (tuple: [UInt8], loose: [UInt8])? {
    for literal in literals {
      let value = value(literal.slot)
      guard literal.values.contains(where: { Condition.Comparison.equal.holds(value, $0) }) else {
        return nil
      }
    }
    guard let tuple = Self.encode(tupleSlots.map(value)) else { return nil }
    var writer = CanonicalWriter()
    for slot in looseSlots {
      guard let part = Self.encode([value(slot)]) else { return nil }
      writer.byteString(part)
    }
    return (tuple, writer.bytes)
  }

  /// Whether what `filing` gave for the loose slots is among the alternatives, slot by slot.
  static func matches(_ loose: [UInt8], _ alternatives: [[[UInt8]]]) throws(DecodingError) -> Bool {
    var reader = CanonicalReader(loose)
    for some in alternatives {
      let part = try reader.byteString()
      guard some.contains(part) else { return false }
    }
    return true
  }
}
