import HeadwaterModel

/// One register of a row: a field, a leaf of a record, or the presence of an optional record.
struct LayoutSlot: Sendable {
  /// The declaration that the value must fit; of a presence slot the record field itself.
  let field: Field
  /// For messages: `address.street`.
  let name: String
  /// Whether the slot holds whether an optional record is there, as a Bool.
  let isPresence: Bool
  let isReadonly: Bool
  let isKey: Bool
  let defaultValue: Value?
  /// The presence slots of the optional records around the slot, outermost first.
  let presences: [Int]
}

/// A slot that refers to a row.
struct ReferenceSlot: Sendable {
  let slot: Int
  /// Index of the collection referred to.
  let target: Int
  let policy: Field.DeletePolicy
}

/// A row check, with its names resolved to slots.
struct LayoutCheck: Sendable {
  let expression: Expression
  let slots: [[String]: Int]
}

/// Everything that the store looks up about a collection on its hot paths.
///
/// Slots are numbered in the order of the fields, records expanded in place; operations name slots by
/// these numbers, so the numbering is part of the format (Docs/Formats.md).
struct CollectionLayout: Sendable {
  let collection: CollectionType
  let slots: [LayoutSlot]
  let readonlySlots: [Bool]
  let keySlots: [Int]
  let references: [ReferenceSlot]
  /// Whether any collection refers to this one.
  let isReferenced: Bool
  let checks: [LayoutCheck]
  /// For each slot the merge unit that it belongs to, as all its slots; empty for a slot on its own.
  let units: [[Int]]
  /// For each slot the checks that name it.
  let checksOfSlot: [[Int]]
  /// For each field its first slot.
  let firstSlots: [Int]
  private let hasRecords: Bool
  private let shapes: [Shape]
  private let defaults: [Value?]
  private let policies: [Field.DeletePolicy]

  init(_ schema: Schema, collection index: Int) {
    collection = schema.collections[index]
    var builder = SlotBuilder(schema: schema)
    var firstSlots: [Int] = []
    for field in collection.fields {
      firstSlots.append(builder.slots.count)
      builder.add(field, path: [field.name], top: field, presences: [])
    }
    builder.addChecks(collection.fields, prefix: [])
    self.firstSlots = firstSlots
    slots = builder.slots
    readonlySlots = slots.map(\.isReadonly)
    keySlots = collection.keyFields.map { firstSlots[$0] }
    defaults = slots.map(\.defaultValue)
    shapes = collection.fields.map { Shape($0.type, in: schema) }
    hasRecords = shapes.contains { if case .record = $0 { true } else { false } }
    references = slots.indices.compactMap { slot in
      let field = builder.slots[slot].field
      guard let name = field.type.referencedCollection,
        let target = schema.collectionIndex(named: name), let policy = field.onDelete
      else { return nil }
      return ReferenceSlot(slot: slot, target: target, policy: policy)
    }
    var policies = Array(repeating: Field.DeletePolicy.void, count: slots.count)
    for reference in references { policies[reference.slot] = reference.policy }
    self.policies = policies
    let name = collection.name
    isReferenced = schema.collections.contains { other in
      other.fields.contains { CollectionLayout.refers($0, to: name, in: schema) }
    }
    checks = builder.checks
    units = builder.units()
    checksOfSlot = builder.slots.indices.map { slot in
      builder.checks.indices.filter { builder.checks[$0].slots.values.contains(slot) }
    }
  }

  private static func refers(_ field: Field, to name: String, in schema: Schema) -> Bool {
    if case .record(let record) = field.type.wrapped {
      return schema.record(named: record)?.fields.contains { refers($0, to: name, in: schema) } ?? false
    }
    return field.type.referencedCollection == name
  }

  func policy(ofSlot slot: Int) -> Field.DeletePolicy { policies[slot] }

  /// The values that readers see: defaults where nobody assigned, masked references absent.
  func visibleValues(_ values: [Value?], stamps: [Int64], masked: [Int]) -> [Value?] {
    var result = values
    for slot in result.indices where stamps[slot] == 0 { result[slot] = defaults[slot] }
    for slot in masked { result[slot] = nil }
    return result
  }

  // MARK: Fields and slots

  /// The row that has those values in its slots.
  func row(_ values: [Value?]) -> Row {
    guard hasRecords else { return Row(values) }
    var slot = 0
    return Row(shapes.map { $0.assemble(values, &slot) })
  }

  /// The slots of a field with the values that they have for the field's `value`.
  func split(field index: Int, value: Value?) -> [(slot: Int, value: Value?)] {
    var slot = firstSlots[index]
    var result: [(slot: Int, value: Value?)] = []
    shapes[index].split(value, &slot, into: &result)
    return result
  }

  /// Writes the key's values into their slots.
  func setKey(_ values: inout [Value?], storageKey: [UInt8]) throws {
    let key = try KeyEncoding.decode(Array(storageKey[2...]))
    for (slot, value) in zip(keySlots, key.values) { values[slot] = value }
  }

  /// The key that those slot values have.
  func key(_ values: [Value?]) -> Key { Key(keySlots.compactMap { values[$0] }) }
}
