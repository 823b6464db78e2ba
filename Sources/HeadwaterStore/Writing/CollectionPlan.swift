import HeadwaterModel

/// What the store adds to a slot of the schema.
final class PlanSlot: Sendable {
  /// The declaration that the value must fit; of a presence slot the record field itself.
  let field: Field
  /// For messages: `address.street`.
  let name: String
  /// Whether the slot holds whether an optional record is there, as a Bool.
  let isPresence: Bool
  let isReadonly: Bool
  let isKey: Bool
  /// What readers see where nobody assigned the slot.
  let defaultValue: Value?
  /// The presence slots of the optional records around the slot, outermost first.
  let presences: [Int]

  init(_ slot: Slot, name: String, isKey: Bool, presences: [Int]) {
    field = slot.field
    self.name = name
    isPresence = slot.isPresence
    isReadonly = slot.isReadonly
    self.isKey = isKey
    defaultValue = slot.isPresence ? .bool(false) : slot.field.defaultValue
    self.presences = presences
  }
}

/// A slot that refers to a row.
struct ReferenceSlot: Sendable {
  let slot: Int
  /// Index of the collection referred to.
  let target: Int
  let policy: Field.DeletePolicy
}

/// Everything that the store looks up about a collection on its hot paths, computed once.
///
/// Operations name slots by their numbers in `CollectionType.layout`, so that numbering is part of the
/// format (Docs/Formats.md).
final class CollectionPlan: Sendable {
  let collection: CollectionType
  let slots: [PlanSlot]
  let readonlySlots: [Bool]
  let keySlots: [Int]
  let references: [ReferenceSlot]
  /// Whether any collection refers to this one.
  let isReferenced: Bool
  /// Whether its rows have references that are absent while their targets are.
  let hasNullReferences: Bool
  /// Whether any collection has such a reference to this one.
  let isReferencedByNull: Bool
  /// Whether its rows neither refer nor are referred to.
  var standsAlone: Bool { references.isEmpty && !isReferenced }
  let checks: [SlotCheck]
  /// For each slot all slots of the unit that it merges with; empty for a slot on its own.
  ///
  /// A unit is what checks tie together, and an optional record, which comes and goes as a whole.
  let units: [[Int]]
  /// For each slot the checks that name it.
  let checksOfSlot: [[Int]]
  /// Whether each field is one slot, so that a row's values are those of its slots.
  let isFlat: Bool
  /// Whether no slot depends on another: no units, no checks, no optional records.
  let isPlain: Bool
  /// The slots, other than of the key, that a create must assign because they have no default and are not optional.
  let requiredSlots: [Int]
  private let policies: [Field.DeletePolicy]

  init(_ schema: Schema, collection index: Int) {
    let collection = schema.collections[index]
    let layout = collection.layout
    self.collection = collection
    slots = layout.slots.map { slot in
      let presences = layout.slots.filter { other in
        other.isPresence && other.path.count <= slot.path.count && other.index != slot.index
          && Array(slot.path.prefix(other.path.count)) == other.path
      }
      return PlanSlot(
        slot, name: CollectionPlan.name(slot, in: collection, schema),
        isKey: slot.path.count == 1 && collection.fields[slot.path[0]].isKey,
        presences: presences.map(\.index))
    }
    readonlySlots = layout.slots.map(\.isReadonly)
    keySlots = collection.keyFields.map { layout.fieldSlots[$0].lowerBound }
    isFlat =
      layout.fieldSlots.enumerated().allSatisfy {
        $0.offset == $0.element.lowerBound && $0.element.count == 1
      }
      && !collection.fields.contains { if case .record = $0.type.wrapped { true } else { false } }
    references = layout.slots.compactMap { slot in
      guard let name = slot.field.type.referencedCollection,
        let target = schema.collectionIndex(named: name), let policy = slot.field.onDelete
      else { return nil }
      return ReferenceSlot(slot: slot.index, target: target, policy: policy)
    }
    var policies = Array(repeating: Field.DeletePolicy.void, count: layout.slots.count)
    for reference in references { policies[reference.slot] = reference.policy }
    self.policies = policies
    let referring = schema.collections.flatMap { other in
      other.layout.slots.filter { $0.field.type.referencedCollection == collection.name }
    }
    isReferenced = !referring.isEmpty
    isReferencedByNull = referring.contains { $0.field.onDelete == .null }
    hasNullReferences = references.contains { $0.policy == .null }
    checks = layout.checks
    units = CollectionPlan.units(layout)
    isPlain =
      layout.checks.isEmpty && !layout.slots.contains(where: \.isPresence)
      && units.allSatisfy(\.isEmpty)
    let slots = slots
    requiredSlots = slots.indices.filter { index in
      let slot = slots[index]
      return !slot.isKey && !slot.isPresence && slot.defaultValue == nil
        && !slot.field.type.isOptional
    }
    checksOfSlot = layout.slots.map { slot in
      layout.checks.indices.filter { layout.checks[$0].slots.contains(slot.index) }
    }
  }

  private static func name(_ slot: Slot, in collection: CollectionType, _ schema: Schema) -> String
  {
    var fields = collection.fields
    var names: [String] = []
    for index in slot.path {
      names.append(fields[index].name)
      if case .record(let record) = fields[index].type.wrapped {
        fields = schema.record(named: record)?.fields ?? []
      }
    }
    return names.joined(separator: ".")
  }

  /// The units of the schema's checks, joined with the slots of each optional record.
  private static func units(_ layout: CollectionLayout) -> [[Int]] {
    var groups = layout.mergeUnits
    for slot in layout.slots where slot.isPresence {
      groups.append(
        layout.slots.filter { Array($0.path.prefix(slot.path.count)) == slot.path }.map(\.index))
    }
    var leader = Array(layout.slots.indices)
    func find(_ slot: Int) -> Int {
      var slot = slot
      while leader[slot] != slot { slot = leader[slot] }
      return slot
    }
    for group in groups {
      for slot in group.dropFirst() {
        let (a, b) = (find(group[0]), find(slot))
        leader[max(a, b)] = min(a, b)
      }
    }
    return layout.slots.indices.map { slot in
      let unit = layout.slots.indices.filter { find($0) == find(slot) }
      return unit.count > 1 ? unit : []
    }
  }

  func policy(ofSlot slot: Int) -> Field.DeletePolicy { policies[slot] }

  /// The values that readers see: defaults where nobody assigned, masked references absent.
  func visibleValues(_ values: [Value?], stamps: [Int64], masked: [Int]) -> [Value?] {
    var result = values
    for slot in result.indices where stamps[slot] == 0 { result[slot] = slots[slot].defaultValue }
    for slot in masked { result[slot] = nil }
    return result
  }

  // MARK: Fields and slots

  /// The row that has those values in its slots.
  func row(_ values: [Value?]) -> Row {
    guard !isFlat else { return Row(values) }
    return Row(
      collection.fields.indices.map { collection.layout.assemble(field: $0) { values[$0] } })
  }

  /// The slots of a field with the values that they have for the field's `value`.
  func split(field index: Int, value: Value?) -> [(slot: Int, value: Value?)] {
    let range = collection.layout.fieldSlots[index]
    if isFlat { return [(range.lowerBound, value)] }
    return Array(zip(range, collection.layout.split(value, field: index)))
  }

  /// Writes the key's values into their slots.
  func setKey(_ values: inout [Value?], storageKey: StorageKey) throws {
    let key = try storageKey.key()
    for (slot, value) in zip(keySlots, key.values) { values[slot] = value }
  }

  /// The key that those slot values have.
  func key(_ values: [Value?]) -> Key { Key(keySlots.compactMap { values[$0] }) }
}
