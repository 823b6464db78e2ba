import HeadwaterLog
import HeadwaterModel

/// What can be said of an operation from the schema that it names and its past alone. What fails here never enters the DAG.
struct StaticCheck {
  let layout: SchemaPlan
  let past: Past
  var dataType: any DataType { past.engine.dataType }

  /// Of creates that were checked as they were prepared: what depends on their past, and on one another.
  func problem(prepared changes: [ResolvedChange]) throws -> String? {
    var created: Set<StorageKey> = []
    created.reserveCapacity(changes.count)
    for (index, change) in changes.enumerated() {
      let collection = layout.collections[change.collection]
      for reference in collection.references {
        if let problem = try referenceProblem(reference, change, collection, created) {
          return "change \(index) (\(change.kind) \(collection.collection.name)): \(problem)"
        }
      }
      if !created.insert(change.storageKey).inserted {
        return "change \(index) creates a row of \(collection.collection.name) a second time"
      }
    }
    return uniqueProblem(changes)
  }

  /// Two rows that one operation creates cannot have one unique value: neither would be the earlier.
  private func uniqueProblem(_ changes: [ResolvedChange]) -> String? {
    guard layout.rules.uniqueSlots.contains(where: { !$0.isEmpty }) else { return nil }
    struct Claim: Hashable {
      let collection: Int
      let slot: Int
      let value: [UInt8]
    }
    var claims: Set<Claim> = []
    for (index, change) in changes.enumerated() where change.kind == .create {
      for slot in layout.rules.uniqueSlots[change.collection] {
        guard let value = past.engine.evidence.uniqueValue(slot, givenBy: change) else { continue }
        guard
          claims.insert(Claim(collection: change.collection, slot: slot, value: value)).inserted
        else {
          let collection = layout.collections[change.collection]
          return
            "change \(index) (create \(collection.collection.name)): \(collection.slots[slot].name) is unique, and an earlier change of the operation creates a row with the same value"
        }
      }
    }
    return nil
  }

  /// Why the operation is statically wrong, without any data; nil if it is not.
  func problem(_ operation: Operation, _ changes: [ResolvedChange]) throws -> String? {
    var created: Set<StorageKey> = []
    for (index, change) in operation.changes.enumerated() {
      guard layout.collections.indices.contains(change.collection) else {
        return "change \(index) names a collection that the schema does not have"
      }
      let resolved = changes[index]
      if let problem = try problem(change, resolved, index, created, operation) {
        return
          "change \(index) (\(change.kind) \(layout.collections[change.collection].collection.name)): \(problem)"
      }
      if change.kind == .create, changes.count > 1,
        !created.insert(resolved.storageKey).inserted
      {
        return
          "change \(index) creates a row of \(layout.collections[change.collection].collection.name) a second time"
      }
    }
    return uniqueProblem(changes)
  }

  private func problem(
    _ change: RowChange, _ resolved: ResolvedChange, _ index: Int, _ created: Set<StorageKey>,
    _ operation: Operation
  ) throws -> String? {
    let collection = layout.collections[change.collection]
    if change.kind == .create, collection.collection.hasGeneratedKey {
      guard change.key == nil else { return "its key is generated, and it brings one" }
    } else {
      guard let key = change.key else { return "it has no key" }
      if let problem = keyProblem(key, collection, operation, index, change.kind) { return problem }
      guard resolved.storageKey.bytes.count - 2 <= Limits.keyBytes else {
        return "its key is longer than \(Limits.keyBytes) bytes"
      }
    }
    if change.kind == .delete { return nil }
    if change.kind == .update, change.assignments.isEmpty { return "it changes nothing" }
    for assignment in change.assignments {
      guard collection.slots.indices.contains(assignment.slot) else {
        return "it names a field that the collection does not have"
      }
      if let problem = slotProblem(assignment, collection.slots[assignment.slot], change.kind) {
        return problem
      }
      if case .set(.created(let target)?) = assignment.change,
        let problem = createdProblem(
          target, collection.slots[assignment.slot].field, operation, index)
      {
        return problem
      }
    }
    if let problem = wholenessProblem(change, collection) { return problem }
    for reference in collection.references {
      if let problem = try referenceProblem(reference, resolved, collection, created) {
        return problem
      }
    }
    return nil
  }

  private func keyProblem(
    _ key: Key, _ collection: CollectionPlan, _ operation: Operation, _ index: Int,
    _ kind: RowChange.Kind
  ) -> String? {
    guard key.values.count == collection.keySlots.count else {
      return "its key does not have the fields that the schema names"
    }
    // An update or delete may name a row with a generated key that this operation creates.
    if kind != .create, collection.collection.hasGeneratedKey,
      case .created(let target) = key.values[0]
    {
      guard target < index, operation.changes[target].kind == .create,
        layout.collections[operation.changes[target].collection].collection.name
          == collection.collection.name
      else { return "its key names no row that an earlier change creates" }
      return nil
    }
    for (slot, value) in zip(collection.keySlots, key.values) {
      let field = collection.slots[slot].field
      if case .created(let target) = value {
        if let problem = createdProblem(target, field, operation, index) { return problem }
        continue
      }
      if let problem = layout.schema.problem(with: value, for: field) {
        return "\(field.name): \(problem)"
      }
    }
    return nil
  }

  /// A reference to a row that an earlier change of the operation creates.
  private func createdProblem(_ target: Int, _ field: Field, _ operation: Operation, _ index: Int)
    -> String?
  {
    guard target < index, operation.changes[target].kind == .create,
      let name = field.type.referencedCollection,
      let collection = layout.schema.collectionIndex(named: name),
      operation.changes[target].collection == collection,
      layout.collections[collection].collection.hasGeneratedKey
    else { return "\(field.name): it refers to no row that an earlier change creates" }
    return nil
  }

  private func slotProblem(_ assignment: Assignment, _ slot: PlanSlot, _ kind: RowChange.Kind)
    -> String?
  {
    if slot.isKey { return "\(slot.name): a key field cannot be assigned" }
    if slot.isReadonly, kind == .update { return "\(slot.name): it is readonly" }
    if slot.isPresence {
      guard case .set(.bool?) = assignment.change else {
        return "\(slot.name): a record is there or not"
      }
      return nil
    }
    // Inside an optional record that is absent everything is absent.
    if case .set(nil) = assignment.change, !slot.presences.isEmpty { return nil }
    if case .set(.created?) = assignment.change, slot.field.type.referencedCollection != nil {
      return nil
    }
    if let problem = dataType.problem(
      with: assignment.change, for: slot.field, in: layout.schema)
    {
      return "\(slot.name): \(problem)"
    }
    return nil
  }

  /// Required fields are there, merge units are whole, and checks hold.
  private func wholenessProblem(_ change: RowChange, _ collection: CollectionPlan) -> String? {
    if collection.isPlain { return StaticCheck.plainProblem(change, collection) }
    var values: [Value?] = Array(repeating: nil, count: collection.slots.count)
    var assigned = Array(repeating: false, count: collection.slots.count)
    for assignment in change.assignments {
      guard case .set(let value) = assignment.change else { continue }
      values[assignment.slot] = value
      assigned[assignment.slot] = true
    }
    let isCreate = change.kind == .create
    for (index, slot) in collection.slots.enumerated() {
      if assigned[index] {
        for other in collection.units[index] where !assigned[other] {
          return
            "\(slot.name) and \(collection.slots[other].name) belong together: a change of one carries both"
        }
      } else if isCreate {
        values[index] = slot.defaultValue
      } else {
        continue
      }
      guard !slot.isKey, !slot.isPresence else { continue }
      let isThere = slot.presences.allSatisfy { values[$0] == .bool(true) }
      if !isThere {
        if assigned[index], values[index] != nil {
          return "\(slot.name): it is part of a record that is absent"
        }
      } else if values[index] == nil, !slot.field.type.isOptional {
        return "\(slot.name): it is required"
      }
    }
    var checks = Set<Int>()
    for index in collection.slots.indices where assigned[index] || isCreate {
      for check in collection.checksOfSlot[index] { checks.insert(check) }
    }
    for index in checks.sorted() {
      let check = collection.checks[index]
      if let problem = check.problem({ values[$0] }) { return problem }
    }
    return nil
  }

  /// The same where every slot stands on its own: both lists are in order, so one walk suffices.
  static func plainProblem(_ change: RowChange, _ collection: CollectionPlan) -> String? {
    for assignment in change.assignments {
      guard case .set(nil) = assignment.change else { continue }
      let slot = collection.slots[assignment.slot]
      if !slot.field.type.isOptional { return "\(slot.name): it is required" }
    }
    guard change.kind == .create else { return nil }
    var next = change.assignments.startIndex
    for required in collection.requiredSlots {
      while next < change.assignments.endIndex, change.assignments[next].slot < required {
        next += 1
      }
      guard next < change.assignments.endIndex, change.assignments[next].slot == required else {
        return "\(collection.slots[required].name): it is required"
      }
    }
    return nil
  }

  /// Some create of the target is in the past, or earlier in the operation.
  private func referenceProblem(
    _ reference: ReferenceSlot, _ change: ResolvedChange, _ collection: CollectionPlan,
    _ created: Set<StorageKey>
  ) throws -> String? {
    var key: Key?
    if let position = collection.keySlots.firstIndex(of: reference.slot) {
      if case .reference(let target) = change.key.values[position] { key = target }
    } else if let assignment = change.assignments.first(where: { $0.slot == reference.slot }),
      case .set(.reference(let target)?) = assignment.change
    {
      key = target
    }
    guard let key else { return nil }
    let storageKey = StorageKey(reference.target, key)
    if created.contains(storageKey) { return nil }
    // A row may refer to itself as it is created.
    if change.kind == .create, storageKey == change.storageKey { return nil }
    if let row = try past.engine.rows.row(storageKey), try past.hasCreate(row) { return nil }
    let name = layout.collections[reference.target].collection.name
    return
      "\(collection.slots[reference.slot].name): it refers to a row of \(name) that its author had not seen created; create it first, or earlier in the same operation"
  }
}
