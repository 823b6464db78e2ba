import HeadwaterLog
import HeadwaterModel

/// An operation in the making: what `Store.write` hands to its closure.
///
/// Reads see the author's frontier and what the draft has done so far. Every method checks names, types and
/// whether the row is live, and throws `StoreError` (`.invalid`, `.refused`) without changing the draft.
/// Valid only during the closure; not `Sendable`.
public final class Draft {
  /// A row that the draft creates.
  public struct Created: Sendable {
    /// The index of the change: `Value.created(index:)` refers to the row within this operation.
    public let index: Int
    /// Nil where the key is generated: it depends on the id of the operation.
    public let key: Key?
  }

  private let layout: SchemaPlan
  private let past: Past?
  private(set) var changes: [RowChange] = []
  /// What the draft made of rows.
  private var overlay: [StorageKey: Overlay] = [:]

  private enum Overlay {
    /// By the change with that index, and nothing since; where the row was live in the author's past, on top of that.
    case created(by: Int)
    /// Likewise, on top of what earlier changes had made of the row; nil where they had deleted it.
    case createdAgain(by: Int, [Value?]?)
    /// The values of its slots.
    case live([Value?])
    case deleted
  }

  init(layout: SchemaPlan, past: Past?) {
    self.layout = layout
    self.past = past
  }

  /// The schema in force.
  public var schema: Schema { layout.schema }
  /// How many changes the draft has.
  public var count: Int { changes.count }

  // MARK: Reading

  /// The row with that key, if it is live in the author's past and the draft.
  public func row(_ collection: String, key: Key) throws(StoreError) -> Row? {
    let index = try self.collection(collection)
    return try values(index, key).map { layout.collections[index].row($0) }
  }

  private func values(_ collection: Int, _ key: Key) throws(StoreError) -> [Value?]? {
    let storageKey = Draft.storageKey(collection, key)
    switch overlay[storageKey] {
    case .created(let index): return values(createdBy: index, over: try pastValues(storageKey))
    case .createdAgain(let index, let before): return values(createdBy: index, over: before)
    case .live(let values): return values
    case .deleted: return nil
    case nil: return try pastValues(storageKey)
    }
  }

  private func pastValues(_ storageKey: StorageKey) throws(StoreError) -> [Value?]? {
    try StoreError.wrap(path: "the store") {
      guard let past, let row = try past.engine.rows.row(storageKey) else { return nil }
      return try past.values(row)
    }
  }

  /// The values of the slots of a row that a change of the draft creates, if before it had those of `before`.
  private func values(createdBy index: Int, over before: [Value?]?) -> [Value?] {
    let change = changes[index]
    let shape = layout.collections[change.collection]
    var values = shape.slots.map(\.defaultValue)
    // A create of a live row assigns what it names; readonly fields are those of the last create alone.
    if let before {
      for slot in values.indices where !shape.readonlySlots[slot] { values[slot] = before[slot] }
    }
    for assignment in change.assignments {
      if case .set(let value) = assignment.change { values[assignment.slot] = value }
    }
    if let key = change.key {
      for (slot, value) in zip(shape.keySlots, key.values) { values[slot] = value }
    }
    return values
  }

  /// Rows with keys that are still to be generated are told apart by the index of their change.
  private static func storageKey(_ collection: Int, _ key: Key) -> StorageKey {
    var bytes = StorageKey(collection, key).bytes
    for value in key.values {
      if case .created(let index) = value {
        bytes.append(0xFF)
        withUnsafeBytes(of: UInt32(index).bigEndian) { bytes.append(contentsOf: $0) }
      }
    }
    return StorageKey(bytes)
  }

  // MARK: Writing

  /// Creates a row. A field that is not named keeps its default, or is absent.
  ///
  /// Creating a row that is live assigns the fields that are named; so does every create of one key.
  @discardableResult
  public func create(_ collection: String, _ fields: [(String, Value?)]) throws(StoreError)
    -> Created
  {
    let index = try self.collection(collection)
    let shape = layout.collections[index]
    var assigned: [Value??] = Array(repeating: nil, count: shape.slots.count)
    for (name, value) in fields {
      for (slot, value) in try slots(named: name, value: value, of: shape) {
        assigned[slot] = .some(value)
      }
    }
    return try create(index, shape, assigned)
  }

  /// Creates a row from values in the order of the collection's fields; the fast way for many rows.
  ///
  /// An absent value leaves the field to its default. The value of a generated key is ignored.
  @discardableResult
  public func create(collection index: Int, row: Row) throws(StoreError) -> Created {
    guard layout.collections.indices.contains(index) else {
      throw StoreError(.invalid, "the schema has no collection \(index)")
    }
    let shape = layout.collections[index]
    guard row.values.count == shape.collection.fields.count else {
      throw StoreError(
        .invalid,
        "a row of \(shape.collection.name) has \(shape.collection.fields.count) values, not \(row.values.count)"
      )
    }
    if shape.isPlain, shape.isFlat { return try createPlain(index, shape, row) }
    var assigned: [Value??] = Array(repeating: nil, count: shape.slots.count)
    for (field, value) in row.values.enumerated() where value != nil {
      for (slot, value) in shape.split(field: field, value: value) { assigned[slot] = .some(value) }
    }
    return try create(index, shape, assigned)
  }

  /// Fields are slots, and none depends on another.
  private func createPlain(_ index: Int, _ shape: CollectionPlan, _ row: Row) throws(StoreError)
    -> Created
  {
    var key: [Value] = []
    var assignments: [Assignment] = []
    assignments.reserveCapacity(row.values.count)
    for slot in shape.slots.indices {
      guard let value = row[slot] else { continue }
      if shape.slots[slot].isKey {
        key.append(value)
      } else {
        assignments.append(Assignment(slot: slot, change: .set(value)))
      }
    }
    if shape.collection.hasGeneratedKey { return append(index, key: nil, assignments) }
    guard key.count == shape.keySlots.count else {
      throw StoreError(
        .invalid, "a new row of \(shape.collection.name) needs all fields of its key")
    }
    return append(index, key: Key(key), assignments)
  }

  private func create(_ index: Int, _ shape: CollectionPlan, _ assigned: [Value??])
    throws(StoreError) -> Created
  {
    var assigned = assigned
    var key: Key?
    if !shape.collection.hasGeneratedKey {
      var values: [Value] = []
      for slot in shape.keySlots {
        guard let value = assigned[slot] ?? nil else {
          throw StoreError(
            .invalid,
            "a new row of \(shape.collection.name) needs its key field \(shape.slots[slot].name)")
        }
        values.append(value)
      }
      key = Key(values)
    } else if assigned[shape.keySlots[0]] != nil {
      throw StoreError(
        .invalid,
        "the key of \(shape.collection.name) is generated: leave out \(shape.slots[shape.keySlots[0]].name)"
      )
    }
    for slot in shape.keySlots { assigned[slot] = nil }
    // What belongs together is carried together, the rest of it with its defaults.
    for slot in shape.slots.indices where assigned[slot] != nil {
      for other in shape.units[slot] where assigned[other] == nil {
        assigned[other] = .some(shape.slots[other].defaultValue)
      }
    }
    return append(
      index, key: key,
      shape.slots.indices.compactMap { slot in
        assigned[slot].map { Assignment(slot: slot, change: .set($0)) }
      })
  }

  private func append(_ collection: Int, key: Key?, _ assignments: [Assignment]) -> Created {
    let storageKey = Draft.storageKey(collection, key ?? Key([.created(index: changes.count)]))
    if let before = overlay.updateValue(.created(by: changes.count), forKey: storageKey) {
      let values: [Value?]? = if case .live(let values) = before { values } else { nil }
      overlay[storageKey] = .createdAgain(by: changes.count, values)
    }
    changes.append(
      RowChange(kind: .create, collection: collection, key: key, assignments: assignments))
    return Created(index: changes.count - 1, key: key)
  }

  /// Assigns fields of a live row. A name may be a path into a record: `address.street`.
  public func update(_ collection: String, key: Key, set fields: [(String, Value?)])
    throws(StoreError)
  {
    let index = try self.collection(collection)
    let shape = layout.collections[index]
    guard let current = try values(index, key) else { throw notLive("update", shape) }
    var assigned: [Value??] = Array(repeating: nil, count: shape.slots.count)
    for (name, value) in fields {
      for (slot, value) in try slots(named: name, value: value, of: shape) {
        assigned[slot] = .some(value)
        // A part of an optional record can be there only if the record is.
        for presence in shape.slots[slot].presences where assigned[presence] == nil {
          assigned[presence] = .some(.bool(true))
        }
      }
    }
    for slot in shape.slots.indices where assigned[slot] != nil {
      for other in shape.units[slot] where assigned[other] == nil {
        assigned[other] = .some(current[other])
      }
    }
    guard assigned.contains(where: { $0 != nil }) else {
      throw StoreError(.invalid, "an update of \(shape.collection.name) that sets nothing")
    }
    var values = current
    for slot in values.indices { if let value = assigned[slot] { values[slot] = value } }
    overlay[Draft.storageKey(index, key)] = .live(values)
    changes.append(
      RowChange(
        kind: .update, collection: index, key: key,
        assignments: shape.slots.indices.compactMap { slot in
          assigned[slot].map { Assignment(slot: slot, change: .set($0)) }
        }))
  }

  /// Deletes a live row.
  public func delete(_ collection: String, key: Key) throws(StoreError) {
    let index = try self.collection(collection)
    guard try values(index, key) != nil else { throw notLive("delete", layout.collections[index]) }
    overlay[Draft.storageKey(index, key)] = .deleted
    changes.append(RowChange(kind: .delete, collection: index, key: key, assignments: []))
  }

  // MARK: Names

  private func collection(_ name: String) throws(StoreError) -> Int {
    guard let index = layout.schema.collectionIndex(named: name) else {
      let near = nearest(name, layout.schema.collections.map(\.name))
      throw StoreError(.invalid, "the schema has no collection \(name)\(near)")
    }
    return index
  }

  private func slots(named name: String, value: Value?, of shape: CollectionPlan)
    throws(StoreError) -> [(slot: Int, value: Value?)]
  {
    if let field = shape.collection.fieldIndex(named: name) {
      return shape.split(field: field, value: value)
    }
    if let slot = shape.slots.firstIndex(where: { $0.name == name && !$0.isPresence }) {
      return [(slot, value)]
    }
    let near = nearest(name, shape.collection.fields.map(\.name))
    throw StoreError(.invalid, "\(shape.collection.name) has no field \(name)\(near)")
  }

  private func nearest(_ name: String, _ names: [String]) -> String {
    names.isEmpty ? "" : "; it has \(names.prefix(20).joined(separator: ", "))"
  }

  private func notLive(_ verb: String, _ shape: CollectionPlan) -> StoreError {
    StoreError(
      .refused,
      "cannot \(verb) a row of \(shape.collection.name) that is not there: it was deleted or never created, as far as this author's past goes",
      reason: VerdictReason.notLive.rawValue)
  }
}
