import HeadwaterLog
import HeadwaterModel

/// What one change of an operation asks for, as far as the operation itself says it.
struct Ask {
  enum Kind {
    /// A rule of the schema.
    case rule(Formula)
    /// The row that is updated or deleted is live.
    case subject(StorageKey, own: Bool?)
    /// The row that a `void` reference names is live.
    case target(StorageKey, slot: Int, own: Bool?)
    /// Nothing refers by `void` to the row that is deleted.
    case unreferenced(StorageKey)
    /// No other row holds the value.
    case unique(slot: Int, value: [UInt8])
  }

  /// A rule's condition with its operands' values put in.
  indirect enum Formula {
    case fact(Bool)
    case question(AuthorityTable.Question)
    case all([Formula])
    case any([Formula])
  }

  /// The index of the change.
  let change: Int
  let kind: Kind
}

extension Evidence {
  /// Everything that an operation other than the genesis must satisfy, change by change.
  func asks(_ changes: [ResolvedChange], at viewpoint: Viewpoint) throws -> [Ask] {
    var asks: [Ask] = []
    // What earlier changes made of rows: created, or deleted.
    var own: [StorageKey: Bool] = [:]
    for (index, change) in changes.enumerated() {
      switch rules.formula(change.collection, change.kind) {
      case .fact(true): break
      case let formula:
        let formula = try resolve(formula, change, changes, index, viewpoint)
        asks.append(Ask(change: index, kind: .rule(formula)))
      }
      if change.kind != .create {
        asks.append(
          Ask(change: index, kind: .subject(change.storageKey, own: own[change.storageKey])))
      }
      if change.kind == .delete {
        if rules.isVoidTarget[change.collection] {
          asks.append(Ask(change: index, kind: .unreferenced(change.storageKey)))
        }
        own[change.storageKey] = false
        continue
      }
      for reference in rules.voidReferences[change.collection] {
        guard case .reference(let key)? = assigned(reference.slot, by: change) else { continue }
        let target = StorageKey(reference.target, key)
        let isItself = change.kind == .create && target == change.storageKey
        asks.append(
          Ask(
            change: index,
            kind: .target(target, slot: reference.slot, own: isItself ? true : own[target])))
      }
      guard change.kind == .create else { continue }
      for slot in rules.uniqueSlots[change.collection] {
        guard let value = uniqueValue(slot, givenBy: change) else { continue }
        asks.append(Ask(change: index, kind: .unique(slot: slot, value: value)))
      }
      // Only a later change can ask.
      if index + 1 < changes.count { own[change.storageKey] = true }
    }
    return asks
  }

  /// What a change writes into a slot: of the key only a create writes, nothing where it leaves the slot alone.
  func assigned(_ slot: Int, by change: ResolvedChange) -> Value? {
    if let position = layout.collections[change.collection].keySlots.firstIndex(of: slot) {
      return change.kind == .create ? change.key.values[position] : nil
    }
    for assignment in change.assignments where assignment.slot == slot {
      if case .set(let value) = assignment.change { return value }
    }
    return nil
  }

  /// The bytes that stand for a unique value; nil where a create gives none.
  func uniqueValue(_ slot: Int, givenBy create: ResolvedChange) -> [UInt8]? {
    RulePlan.Atom.encode([value(slot, givenBy: create)])
  }

  // MARK: Operands

  private func resolve(
    _ formula: RulePlan.Formula, _ change: ResolvedChange, _ changes: [ResolvedChange],
    _ index: Int, _ viewpoint: Viewpoint
  ) throws -> Ask.Formula {
    try resolve(formula) { operand in
      switch operand {
      case .author: .principal(viewpoint.author)
      case .literal(let value): value
      case .new(let slot): value(slot, givenBy: change)
      case .row(let slot): try rowValue(slot, change, changes, index, viewpoint)
      }
    }
  }

  /// A rule's condition with the values of its operands put in.
  func resolve(_ formula: RulePlan.Formula, _ operand: (RulePlan.Operand) throws -> Value?) throws
    -> Ask.Formula
  {
    switch formula {
    case .fact(let value): return .fact(value)
    case .compare(let a, let comparison, let b):
      return .fact(comparison.holds(try operand(a), try operand(b)))
    case .isIn(let a, let items):
      let value = try operand(a)
      for item in items {
        if Condition.Comparison.equal.holds(value, try operand(item)) { return .fact(true) }
      }
      return .fact(false)
    case .all(let parts): return .all(try parts.map { try resolve($0, operand) })
    case .any(let parts): return .any(try parts.map { try resolve($0, operand) })
    case .exists(let atom, let operands):
      let count = rules.atoms[atom].tupleSlots.count
      guard let tuple = RulePlan.Atom.encode(try operands[..<count].map { try operand($0[0]) })
      else { return .fact(false) }
      let loose = try operands[count...].map { alternatives in
        try alternatives.compactMap { RulePlan.Atom.encode([try operand($0)]) }
      }
      return .question(AuthorityTable.Question(atom: atom, tuple: tuple, loose: loose))
    }
  }

  /// A readonly field of the row that is updated or deleted, as its create gave it.
  private func rowValue(
    _ slot: Int, _ change: ResolvedChange, _ changes: [ResolvedChange], _ index: Int,
    _ viewpoint: Viewpoint
  ) throws -> Value? {
    let collection = layout.collections[change.collection]
    if let position = collection.keySlots.firstIndex(of: slot) {
      return change.key.values[position]
    }
    // Only rows with generated keys have other fields here, and such a row has one create.
    for earlier in changes[..<index]
    where earlier.kind == .create && earlier.storageKey == change.storageKey {
      return value(slot, givenBy: earlier)
    }
    guard let row = try rows.row(change.storageKey) else { return nil }
    for event in try lifecycle(row) where event.kinds.contains(.create) {
      guard event.number != viewpoint.number, try viewpoint.sees(event.record) else { continue }
      for create in try self.changes(event.number)
      where create.kind == .create && create.storageKey == change.storageKey {
        return value(slot, givenBy: create)
      }
    }
    return nil
  }

  /// The questions of a formula, each where it stands first.
  static func forEachQuestion(
    _ formula: Ask.Formula, _ body: (AuthorityTable.Question) throws -> Void
  ) rethrows {
    switch formula {
    case .fact: break
    case .question(let question): try body(question)
    case .all(let parts), .any(let parts): for part in parts { try forEachQuestion(part, body) }
    }
  }
}
