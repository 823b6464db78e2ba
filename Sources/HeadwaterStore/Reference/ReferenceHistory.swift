import HeadwaterLog
import HeadwaterModel

/// All operations of a database in canonical order, the causal order between them, and what was done to
/// each row: what `ReferenceModel` reads. It knows nothing of verdicts.
///
/// Operations and rows are numbered, an operation by its place in canonical order.
struct ReferenceHistory {
  struct Node {
    let id: Digest
    let operation: Operation
    let height: Int64
    /// Those parents that are among the operations.
    var parents: [Int] = []
    var points: [Point] = []
  }

  /// A place in canonical order: an operation, and the index of a change in it.
  struct Place: Hashable, Comparable {
    let node: Int
    let index: Int

    static func < (a: Place, b: Place) -> Bool { (a.node, a.index) < (b.node, b.index) }
  }

  /// A change, with every reference to a row of its own operation made a key.
  struct Point {
    let place: Place
    let kind: RowChange.Kind
    let row: Int
    let assignments: [(slot: Int, value: Value?)]

    var node: Int { place.node }
    var index: Int { place.index }
  }

  /// A row that some operation names, and all changes of it in canonical order.
  struct RowLog {
    let name: ReferenceModel.RowName
    var points: [Point] = []
    /// Who ever referred to the row through a slot of policy `void`, valid or not.
    var referrers: [Referrer] = []
  }

  struct Referrer: Hashable {
    let row: Int
    let slot: Int
  }

  let schema: Schema
  private(set) var nodes: [Node] = []
  private(set) var rows: [RowLog] = []
  private(set) var rowNumbers: [ReferenceModel.RowName: Int] = [:]
  /// For each collection its slots that refer by policy `void`, with the collection referred to.
  let voidSlots: [[(slot: Slot, target: Int)]]
  /// The creates that give a readonly field that value, in canonical order.
  private var creates: [FieldValue: [Point]] = [:]
  private var createsOfCollection: [[Point]]
  /// The creates that a later change of their own operation deletes.
  private var undone: Set<Place> = []
  private let hasher: any HeadwaterModel.Hasher256

  private struct FieldValue: Hashable {
    let collection: Int
    let field: Int
    let value: Value
  }

  init(
    _ operations: [(id: Digest, operation: Operation)], schema: Schema,
    hasher: any HeadwaterModel.Hasher256
  ) {
    self.schema = schema
    self.hasher = hasher
    createsOfCollection = Array(repeating: [], count: schema.collections.count)
    voidSlots = schema.collections.map { collection in
      collection.layout.slots.compactMap { slot in
        guard slot.field.onDelete == .void, let name = slot.field.type.referencedCollection else {
          return nil
        }
        return schema.collectionIndex(named: name).map { (slot, $0) }
      }
    }
    order(operations)
    rememberPasts()
    for node in nodes.indices { resolve(node) }
    for row in rows.indices { noteReferences(of: row) }
  }

  // MARK: Causal order

  private var isLine = true
  /// For each operation a bit for each one before it: whether that is in its past. Empty where there are too many.
  private var pasts: [[UInt64]] = []
  /// Up to this many operations their pasts take 64 MiB at most; beyond, a search answers.
  private static let rememberedPasts = 32_768

  private mutating func order(_ operations: [(id: Digest, operation: Operation)]) {
    let byID = Dictionary(operations.map { ($0.id, $0.operation) }, uniquingKeysWith: { a, _ in a })
    var heights: [Digest: Int64] = [:]
    var stack = operations.map(\.id)
    while let id = stack.last {
      guard heights[id] == nil, let operation = byID[id] else {
        stack.removeLast()
        continue
      }
      let unknown = operation.parents.filter { heights[$0] == nil && byID[$0] != nil }
      if unknown.isEmpty {
        heights[id] = (operation.parents.compactMap { heights[$0] }.max() ?? -1) + 1
        stack.removeLast()
      } else {
        stack += unknown
      }
    }
    nodes = byID.map { Node(id: $0.key, operation: $0.value, height: heights[$0.key] ?? 0) }
      .sorted { ($0.height, $0.id) < ($1.height, $1.id) }
    var position: [Digest: Int] = [:]
    for (index, node) in nodes.enumerated() {
      position[node.id] = index
      if node.height != Int64(index) { isLine = false }
    }
    for index in nodes.indices {
      nodes[index].parents = nodes[index].operation.parents.compactMap { position[$0] }
    }
  }

  private mutating func rememberPasts() {
    guard !isLine, nodes.count <= ReferenceHistory.rememberedPasts else { return }
    pasts.reserveCapacity(nodes.count)
    for (index, node) in nodes.enumerated() {
      var past = [UInt64](repeating: 0, count: (index + 63) / 64)
      for parent in node.parents {
        for (word, bits) in pasts[parent].enumerated() { past[word] |= bits }
        past[parent / 64] |= 1 << UInt64(parent % 64)
      }
      pasts.append(past)
    }
  }

  /// Whether operation `a` is in the past of `b`; an operation is not in its own past.
  func isInPast(_ a: Int, of b: Int) -> Bool {
    guard a < b else { return false }
    if isLine { return true }
    if !pasts.isEmpty { return pasts[b][a / 64] >> UInt64(a % 64) & 1 == 1 }
    var seen: Set<Int> = []
    var stack = [b]
    while let node = stack.popLast() {
      for parent in nodes[node].parents {
        if parent == a { return true }
        if nodes[parent].height > nodes[a].height, seen.insert(parent).inserted {
          stack.append(parent)
        }
      }
    }
    return false
  }

  /// Whether neither of two operations is in the past of the other.
  func isConcurrent(_ a: Int, with b: Int) -> Bool {
    a != b && !isInPast(a, of: b) && !isInPast(b, of: a)
  }

  /// The causal order of changes, which within one operation is the order of their indices.
  func isBefore(_ a: Point, _ b: Point) -> Bool {
    a.node == b.node ? a.index < b.index : isInPast(a.node, of: b.node)
  }

  // MARK: Changes

  private mutating func resolve(_ node: Int) {
    for (index, change) in nodes[node].operation.changes.enumerated() {
      let name = name(of: change, at: index, in: node)
      let row: Int
      if let known = rowNumbers[name] {
        row = known
      } else {
        row = rows.count
        rows.append(RowLog(name: name))
        rowNumbers[name] = row
      }
      let point = Point(
        place: Place(node: node, index: index), kind: change.kind, row: row,
        assignments: change.assignments.compactMap { assignment in
          guard case .set(let value) = assignment.change else { return nil }
          guard case .created(let target)? = value else { return (assignment.slot, value) }
          return (assignment.slot, .reference(Key([generated(node, target)])))
        })
      nodes[node].points.append(point)
      rows[row].points.append(point)
      switch point.kind {
      case .create: note(create: point)
      case .update: break
      case .delete:
        for earlier in rows[row].points.reversed().prefix(while: { $0.node == node })
        where earlier.kind == .create {
          undone.insert(earlier.place)
        }
      }
    }
  }

  private func generated(_ node: Int, _ index: Int) -> Value {
    let suffix = [
      UInt8(index >> 24 & 255), UInt8(index >> 16 & 255), UInt8(index >> 8 & 255),
      UInt8(index & 255),
    ]
    return .uuid(UUIDBytes(bytes: hasher.hash(nodes[node].id.bytes + suffix).bytes[..<16])!)
  }

  private func name(of change: RowChange, at index: Int, in node: Int) -> ReferenceModel.RowName {
    let isGenerated = schema.collections[change.collection].hasGeneratedKey
    guard let key = change.key else {
      return .init(collection: change.collection, key: Key([generated(node, index)]))
    }
    let values = key.values.map { value in
      guard case .created(let target) = value else { return value }
      return isGenerated
        ? generated(node, target) : Value.reference(Key([generated(node, target)]))
    }
    return .init(collection: change.collection, key: Key(values))
  }

  // MARK: Values

  func collection(of row: Int) -> CollectionType { schema.collections[rows[row].name.collection] }

  /// The value of a key field of the row; nil for any other field.
  func keyValue(of row: Int, field: Int) -> Value? {
    let position = collection(of: row).keyFields.firstIndex(of: field)
    return position.map { rows[row].name.key.values[$0] }
  }

  /// The value of a field that is one slot, as the create gives it: assigned, or the default, or absent.
  func value(of field: Int, in create: Point) -> Value? {
    if let value = keyValue(of: create.row, field: field) { return value }
    let collection = collection(of: create.row)
    let slot = collection.layout.fieldSlots[field].lowerBound
    guard let assigned = create.assignments.first(where: { $0.slot == slot }) else {
      return collection.fields[field].defaultValue
    }
    return assigned.value
  }

  /// The references with policy `void` that a create or update writes; of a create those in its key too.
  func voidReferences(in point: Point) -> [(slot: Int, target: ReferenceModel.RowName)] {
    voidSlots[rows[point.row].name.collection].compactMap { slot, target in
      var value: Value?
      if point.kind == .create, slot.path.count == 1 {
        value = keyValue(of: point.row, field: slot.path[0])
      }
      if value == nil { value = point.assignments.first { $0.slot == slot.index }?.value }
      guard case .reference(let key)? = value else { return nil }
      return (slot.index, .init(collection: target, key: key))
    }
  }

  /// Whether a slot of any collection refers to that one by policy `void`.
  func isVoidTarget(_ collection: Int) -> Bool {
    voidSlots.contains { slots in slots.contains { $0.target == collection } }
  }

  private mutating func noteReferences(of row: Int) {
    guard !voidSlots[rows[row].name.collection].isEmpty else { return }
    var seen: Set<[Int]> = []
    for point in rows[row].points where point.kind != .delete {
      for (slot, target) in voidReferences(in: point) {
        guard let target = rowNumbers[target], seen.insert([slot, target]).inserted else {
          continue
        }
        rows[target].referrers.append(Referrer(row: row, slot: slot))
      }
    }
  }

  // MARK: Creates by value

  private mutating func note(create: Point) {
    let index = rows[create.row].name.collection
    createsOfCollection[index].append(create)
    for (field, declared) in schema.collections[index].fields.enumerated() where declared.isReadonly
    {
      guard let value = value(of: field, in: create) else { continue }
      let place = FieldValue(
        collection: index, field: field, value: ReferenceHistory.comparable(value))
      creates[place, default: []].append(create)
    }
  }

  /// What a value compares as: a reference as its single-field key, a whole number as a decimal.
  private static func comparable(_ value: Value) -> Value {
    if case .int(let number) = value.comparable { return .decimal(ExactDecimal(number)) }
    return value.comparable
  }

  /// All creates of a collection whose readonly field has one of those values, in canonical order.
  func creates(in collection: Int, where field: Int, isOneOf values: [Value]) -> [Point] {
    Set(values.map(ReferenceHistory.comparable)).flatMap {
      creates[FieldValue(collection: collection, field: field, value: $0)] ?? []
    }.sorted { $0.place < $1.place }
  }

  /// All creates of a collection, in canonical order.
  func creates(in collection: Int) -> [Point] { createsOfCollection[collection] }

  /// Whether no later change of the same operation deletes what the create made.
  func isSurviving(_ create: Point) -> Bool { !undone.contains(create.place) }
}
