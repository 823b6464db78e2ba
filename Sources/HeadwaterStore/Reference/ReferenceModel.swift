import HeadwaterLog
import HeadwaterModel

/// The plain reading of Docs/Semantics.md: verdicts and visible rows computed from all operations at once.
///
/// Slow on purpose and independent of the engine: no index, no state from one operation to the next. The
/// incremental engine is tested against it, and `headwater verify --deep` runs it.
public struct ReferenceModel {
  /// The verdict on every operation.
  public private(set) var verdicts: [Digest: Verdict] = [:]
  /// The visible rows, by collection and key.
  public private(set) var rows: [RowName: Row] = [:]

  /// A collection by its index, and a key.
  public struct RowName: Sendable, Hashable {
    public let collection: Int
    public let key: Key

    public init(collection: Int, key: Key) {
      self.collection = collection
      self.key = key
    }
  }

  private struct Node {
    let id: Digest
    let operation: Operation
    var height: Int64
  }

  /// A change of a row at its place: an operation, and the index of the change in it.
  private struct Point {
    let node: Int
    let index: Int
    let change: RowChange
  }

  private let schema: Schema
  private let hasher: any HeadwaterModel.Hasher256
  /// In canonical order.
  private var nodes: [Node] = []
  private var position: [Digest: Int] = [:]
  private var isLine = true
  private var history: [RowName: [Point]] = [:]

  /// - Parameter operations: all operations of one database, parents included, in any order.
  public init(
    operations: [(id: Digest, operation: Operation)], schema: Schema,
    hasher: any HeadwaterModel.Hasher256
  ) {
    self.schema = schema
    self.hasher = hasher
    order(operations)
    for node in nodes.indices {
      for (index, change) in nodes[node].operation.changes.enumerated() {
        history[name(of: change, at: index, in: node), default: []].append(
          Point(node: node, index: index, change: change))
      }
    }
    for node in nodes.indices { verdicts[nodes[node].id] = judge(node) }
    materialise()
  }

  // MARK: Order

  private mutating func order(_ operations: [(id: Digest, operation: Operation)]) {
    let byID = Dictionary(operations.map { ($0.id, $0.operation) }, uniquingKeysWith: { a, _ in a })
    var heights: [Digest: Int64] = [:]
    var stack = Array(byID.keys)
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
    for (index, node) in nodes.enumerated() {
      position[node.id] = index
      if node.height != Int64(index) { isLine = false }
    }
  }

  /// Whether operation `a` is in the past of `b`: a search through the parents.
  private func isInPast(_ a: Int, _ b: Int) -> Bool {
    if isLine { return a < b }
    var seen: Set<Int> = []
    var stack = [b]
    while let node = stack.popLast() {
      for parent in nodes[node].operation.parents {
        guard let index = position[parent] else { continue }
        if index == a { return true }
        if nodes[index].height > nodes[a].height, seen.insert(index).inserted {
          stack.append(index)
        }
      }
    }
    return false
  }

  private func isBefore(_ a: Point, _ b: Point) -> Bool {
    a.node == b.node ? a.index < b.index : isInPast(a.node, b.node)
  }

  // MARK: Names

  private func generated(_ node: Int, _ index: Int) -> Value {
    let suffix = [
      UInt8(index >> 24 & 255), UInt8(index >> 16 & 255), UInt8(index >> 8 & 255),
      UInt8(index & 255),
    ]
    return .uuid(UUIDBytes(bytes: hasher.hash(nodes[node].id.bytes + suffix).bytes[..<16])!)
  }

  private func name(of change: RowChange, at index: Int, in node: Int) -> RowName {
    let isGenerated = schema.collections[change.collection].hasGeneratedKey
    guard let key = change.key else {
      return RowName(collection: change.collection, key: Key([generated(node, index)]))
    }
    return RowName(
      collection: change.collection,
      key: Key(
        key.values.map { value in
          guard case .created(let target) = value else { return value }
          return isGenerated
            ? generated(node, target) : .reference(Key([generated(node, target)]))
        }))
  }

  private func resolved(_ value: Value?, in node: Int) -> Value? {
    guard case .created(let target)? = value else { return value }
    return .reference(Key([generated(node, target)]))
  }

  // MARK: Verdicts

  private func isValid(_ point: Point) -> Bool { verdicts[nodes[point.node].id] == .valid }

  /// Operations are judged in canonical order, so everything in the past of one has been judged.
  private func judge(_ node: Int) -> Verdict {
    if nodes[node].operation.isGenesis { return .valid }
    for (index, change) in nodes[node].operation.changes.enumerated() where change.kind != .create {
      let here = Point(node: node, index: index, change: change)
      let points = history[name(of: change, at: index, in: node)] ?? []
      // Earlier changes of the same operation count as its past; whether it is valid is what is asked.
      let past = points.filter { ($0.node == node || isValid($0)) && isBefore($0, here) }
      let deletes = past.filter { $0.change.kind == .delete }
      let isLive = past.contains { create in
        create.change.kind == .create && !deletes.contains { isBefore(create, $0) }
      }
      if !isLive {
        let by = deletes.filter { $0.node != node }.map(\.node)
        return .void(.notLive, by: Set(by).sorted().map { nodes[$0].id })
      }
    }
    return .valid
  }

  // MARK: Rows

  private mutating func materialise() {
    var live: [RowName: [Value?]] = [:]
    for (name, points) in history {
      if let values = fold(name, points.filter(isValid)) { live[name] = values }
    }
    // The greatest set: begin with all that is live and take out what lacks a target, until nothing changes.
    var visible = Set(live.keys)
    var changed = true
    while changed {
      changed = false
      for name in visible {
        for (slot, target, policy) in references(name, live[name]!) where policy != .null {
          _ = slot
          if !visible.contains(target) {
            visible.remove(name)
            changed = true
            break
          }
        }
      }
    }
    for name in visible {
      var values = live[name]!
      for (slot, target, policy) in references(name, values) where policy == .null {
        if !visible.contains(target) { values[slot] = nil }
      }
      let collection = schema.collections[name.collection]
      rows[name] = Row(
        collection.fields.indices.map { field in
          collection.layout.assemble(field: field) { values[$0] }
        })
    }
  }

  /// The values of the slots of a row, defaults applied; nil if no create of it is live.
  private func fold(_ name: RowName, _ points: [Point]) -> [Value?]? {
    let collection = schema.collections[name.collection]
    let deletes = points.filter { $0.change.kind == .delete }
    let creates = points.filter { create in
      create.change.kind == .create && !deletes.contains { isBefore(create, $0) }
    }
    guard let last = creates.last else { return nil }
    var values: [Value??] = Array(repeating: nil, count: collection.layout.slots.count)
    for point in points {
      let isLiveCreate = creates.contains { $0.node == point.node && $0.index == point.index }
      let isBased =
        point.change.kind == .update && creates.contains { isBefore($0, point) }
      guard isLiveCreate || isBased else { continue }
      for assignment in point.change.assignments {
        let isLast = point.node == last.node && point.index == last.index
        if collection.layout.slots[assignment.slot].isReadonly, !isLast { continue }
        if case .set(let value) = assignment.change {
          values[assignment.slot] = .some(resolved(value, in: point.node))
        }
      }
    }
    for (field, value) in zip(collection.keyFields, name.key.values) {
      values[collection.layout.fieldSlots[field].lowerBound] = .some(value)
    }
    return values.enumerated().map { index, value in
      let slot = collection.layout.slots[index]
      return value ?? (slot.isPresence ? .bool(false) : slot.field.defaultValue)
    }
  }

  private func references(_ name: RowName, _ values: [Value?]) -> [(
    slot: Int, target: RowName, policy: Field.DeletePolicy
  )] {
    schema.collections[name.collection].layout.slots.compactMap { slot in
      guard case .reference(let key)? = values[slot.index],
        let target = slot.field.type.referencedCollection.flatMap({
          schema.collectionIndex(named: $0)
        })
      else { return nil }
      return (slot.index, RowName(collection: target, key: key), slot.field.onDelete ?? .cascade)
    }
  }
}
