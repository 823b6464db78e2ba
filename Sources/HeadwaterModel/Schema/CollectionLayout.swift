/// One *register* of a row: a field that is no record, a field inside a record, or whether an optional
/// record is there at all.
public struct Slot: Sendable, Hashable {
  /// In the layout's `slots`.
  public let index: Int
  /// The index of a field of the collection, then of fields of the records inside it.
  public let path: [Int]
  /// Whether the slot says if an optional record is present: a boolean. `field` is the record then.
  public let isPresence: Bool
  /// The field at the end of the path.
  public let field: Field
  /// Whether the field of the collection is readonly.
  public let isReadonly: Bool
}

/// A `@check` with its names resolved to slots.
public struct SlotCheck: Sendable, Hashable {
  /// As it stands at the field. The names in it begin at the field's owner: the collection or a record.
  public let expression: Expression
  /// The paths that the expression names, in the order of their first appearance.
  public let paths: [[String]]
  /// The slot of each of `paths`.
  public let slots: [Int]
  /// The canonical spelling of the expression, for messages.
  public let text: String

  /// Evaluates the check over the values of slots, nil for an absent one.
  public func evaluate(_ value: (Int) -> Value?) -> ExpressionResult {
    expression.evaluate { path in
      paths.firstIndex(of: path).flatMap { value(slots[$0]) }
    }
  }
}

/// How the fields of a collection fall into registers.
///
/// A record is merged field by field, so it takes as many slots as it has fields that are no records, at any
/// depth; an optional record has one more in front, its presence. Slots are in the order of the fields, so those
/// of one field stand together.
public struct CollectionLayout: Sendable, Hashable {
  /// In the order of the fields; a slot's index is its place here.
  public let slots: [Slot]
  /// For each field of the collection its slots.
  public let fieldSlots: [Range<Int>]
  /// The checks of the collection, and of the records that its fields hold (not of records in sets, maps,
  /// lists and multi-values, whose elements are checked one by one), in the order of the fields.
  public let checks: [SlotCheck]
  /// The slots that checks tie together: the connected components of two and more slots, ascending.
  /// A slot that is in none of them is a unit by itself.
  public let mergeUnits: [[Int]]
  /// For each slot the index of its merge unit; nil where it is a unit by itself.
  public let unitOfSlot: [Int?]
  private let shapes: [Shape]

  private indirect enum Shape: Sendable, Hashable {
    case leaf(Int)
    case record(presence: Int?, [Shape])
  }

  init(fields: [Field], records: [String: RecordType]) {
    var builder = Builder(records: records)
    shapes = fields.enumerated().map { index, field in
      builder.shape(field, path: [index], isReadonly: field.isReadonly)
    }
    slots = builder.slots
    fieldSlots = shapes.map { CollectionLayout.range($0) }
    builder.addChecks(of: fields, shapes: shapes)
    checks = builder.checks
    (mergeUnits, unitOfSlot) = CollectionLayout.units(checks, count: slots.count)
  }

  private static func range(_ shape: Shape) -> Range<Int> {
    switch shape {
    case .leaf(let slot): return slot..<slot + 1
    case .record(let presence, let inner):
      let ranges = inner.map { range($0) }
      let first = presence ?? ranges.first?.lowerBound ?? 0
      return first..<(ranges.last?.upperBound ?? first + 1)
    }
  }

  private static func units(_ checks: [SlotCheck], count: Int) -> ([[Int]], [Int?]) {
    var parent = Array(0..<count)
    func root(_ slot: Int) -> Int {
      var slot = slot
      while parent[slot] != slot {
        parent[slot] = parent[parent[slot]]
        slot = parent[slot]
      }
      return slot
    }
    for check in checks {
      guard let first = check.slots.first else { continue }
      for other in check.slots.dropFirst() {
        let (a, b) = (root(first), root(other))
        if a != b { parent[max(a, b)] = min(a, b) }
      }
    }
    var members: [[Int]] = Array(repeating: [], count: count)
    for slot in 0..<count { members[root(slot)].append(slot) }
    let units = members.filter { $0.count > 1 }
    var unitOfSlot: [Int?] = Array(repeating: nil, count: count)
    for (unit, slots) in units.enumerated() {
      for slot in slots { unitOfSlot[slot] = unit }
    }
    return (units, unitOfSlot)
  }

  private struct Builder {
    let records: [String: RecordType]
    var slots: [Slot] = []
    var checks: [SlotCheck] = []

    mutating func shape(_ field: Field, path: [Int], isReadonly: Bool) -> Shape {
      guard case .record(let name) = field.type.wrapped, let record = records[name] else {
        return .leaf(add(field, path, isPresence: false, isReadonly))
      }
      let presence =
        field.type.isOptional ? add(field, path, isPresence: true, isReadonly) : nil
      let inner = record.fields.enumerated().map { index, field in
        shape(field, path: path + [index], isReadonly: isReadonly)
      }
      return .record(presence: presence, inner)
    }

    private mutating func add(_ field: Field, _ path: [Int], isPresence: Bool, _ isReadonly: Bool)
      -> Int
    {
      slots.append(
        Slot(
          index: slots.count, path: path, isPresence: isPresence, field: field,
          isReadonly: isReadonly))
      return slots.count - 1
    }

    mutating func addChecks(of fields: [Field], shapes: [Shape]) {
      for (field, shape) in zip(fields, shapes) {
        for check in field.checks {
          let paths = check.fieldPaths
          let slots = paths.compactMap { slot($0, fields, shapes) }
          guard slots.count == paths.count else { continue }
          let text = SyntaxBuilder(records: records).expression(check, fields: fields).printed
          checks.append(
            SlotCheck(expression: check, paths: paths, slots: slots, text: text))
        }
        if case .record(_, let inner) = shape, case .record(let name) = field.type.wrapped,
          let record = records[name]
        {
          addChecks(of: record.fields, shapes: inner)
        }
      }
    }

    private func slot(_ path: [String], _ fields: [Field], _ shapes: [Shape]) -> Int? {
      guard let index = fields.firstIndex(where: { $0.name == path.first }) else { return nil }
      switch shapes[index] {
      case .leaf(let slot): return path.count == 1 ? slot : nil
      case .record(_, let inner):
        guard case .record(let name) = fields[index].type.wrapped, let record = records[name] else {
          return nil
        }
        return slot(Array(path.dropFirst()), record.fields, inner)
      }
    }
  }
}

extension CollectionLayout {
  /// The values of the slots of a field, in their order; nil for an absent one.
  ///
  /// `value` fits the field's type. The slots of an absent record are absent, but for its presence: false.
  public func split(_ value: Value?, field: Int) -> [Value?] {
    if case .leaf = shapes[field] { return [value] }
    var values: [Value?] = []
    values.reserveCapacity(fieldSlots[field].count)
    split(value, shapes[field], into: &values)
    return values
  }

  private func split(_ value: Value?, _ shape: Shape, into values: inout [Value?]) {
    guard case .record(let presence, let inner) = shape else { return values.append(value) }
    var parts: [Value?] = []
    if case .record(let fields)? = value { parts = fields }
    if presence != nil { values.append(.bool(value != nil)) }
    for (index, shape) in inner.enumerated() {
      split(index < parts.count ? parts[index] : nil, shape, into: &values)
    }
  }

  /// The value of a field from the values of slots; nil where it is absent.
  ///
  /// A record that is not optional is always there, with those of its fields that have a value.
  public func assemble(field: Int, _ value: (Int) -> Value?) -> Value? {
    assemble(shapes[field], value)
  }

  private func assemble(_ shape: Shape, _ value: (Int) -> Value?) -> Value? {
    switch shape {
    case .leaf(let slot): return value(slot)
    case .record(let presence, let inner):
      if let presence, value(presence) != .bool(true) { return nil }
      return .record(inner.map { assemble($0, value) })
    }
  }

  /// The slot with exactly that path that is no presence; nil where there is none.
  public func slot(at path: [Int]) -> Int? {
    slots.first { $0.path == path && !$0.isPresence }?.index
  }

  /// The first check that does not hold over the values of slots; nil where all hold.
  public func failedCheck(_ value: (Int) -> Value?) -> SlotCheck? {
    checks.first { !$0.evaluate(value).holds }
  }
}
