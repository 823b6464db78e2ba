import HeadwaterModel

/// How the value of a field lies in slots: one, or those of a record's fields one after another.
indirect enum Shape: Sendable {
  case leaf
  case record(fields: [Shape], isOptional: Bool)

  init(_ type: FieldType, in schema: Schema) {
    if case .record(let name) = type.wrapped, let record = schema.record(named: name) {
      self = .record(
        fields: record.fields.map { Shape($0.type, in: schema) }, isOptional: type.isOptional)
    } else {
      self = .leaf
    }
  }

  func assemble(_ values: [Value?], _ slot: inout Int) -> Value? {
    switch self {
    case .leaf:
      defer { slot += 1 }
      return values[slot]
    case .record(let fields, let isOptional):
      var isPresent = true
      if isOptional {
        isPresent = values[slot] == .bool(true)
        slot += 1
      }
      let parts = fields.map { $0.assemble(values, &slot) }
      return isPresent ? .record(parts) : nil
    }
  }

  func split(
    _ value: Value?, _ slot: inout Int, into result: inout [(slot: Int, value: Value?)]
  ) {
    switch self {
    case .leaf:
      result.append((slot, value))
      slot += 1
    case .record(let fields, let isOptional):
      var parts: [Value?] = []
      if case .record(let values)? = value { parts = values }
      if isOptional {
        result.append((slot, .bool(value != nil)))
        slot += 1
      }
      for (index, field) in fields.enumerated() {
        field.split(index < parts.count ? parts[index] : nil, &slot, into: &result)
      }
    }
  }
}

/// Numbers the slots of a collection, and finds what belongs together.
struct SlotBuilder {
  let schema: Schema
  private(set) var slots: [LayoutSlot] = []
  private(set) var checks: [LayoutCheck] = []
  private var slotOfPath: [[String]: Int] = [:]
  private var groups: [[Int]] = []

  init(schema: Schema) { self.schema = schema }

  mutating func add(_ field: Field, path: [String], top: Field, presences: [Int]) {
    guard case .record(let name) = field.type.wrapped, let record = schema.record(named: name) else {
      slotOfPath[path] = slots.count
      slots.append(
        LayoutSlot(
          field: field, name: path.joined(separator: "."), isPresence: false,
          isReadonly: top.isReadonly, isKey: top.isKey, defaultValue: field.defaultValue,
          presences: presences))
      return
    }
    var inner = presences
    let first = slots.count
    if field.type.isOptional {
      inner.append(first)
      slots.append(
        LayoutSlot(
          field: field, name: path.joined(separator: "."), isPresence: true,
          isReadonly: top.isReadonly, isKey: false, defaultValue: .bool(false),
          presences: presences))
    }
    for field in record.fields {
      add(field, path: path + [field.name], top: top, presences: inner)
    }
    // An optional record comes and goes as a whole, so it is one unit.
    if field.type.isOptional { groups.append(Array(first..<slots.count)) }
  }

  /// The checks of some fields and of the records in them; a name in a check is beside its field.
  mutating func addChecks(_ fields: [Field], prefix: [String]) {
    for field in fields {
      for expression in field.checks {
        var named: [[String]: Int] = [:]
        for path in expression.fieldPaths { named[path] = slotOfPath[prefix + path] }
        checks.append(LayoutCheck(expression: expression, slots: named))
        groups.append(named.values.sorted())
      }
      if case .record(let name) = field.type.wrapped, let record = schema.record(named: name) {
        addChecks(record.fields, prefix: prefix + [field.name])
      }
    }
  }

  /// The connected components of the groups, for each slot; empty for a slot on its own.
  func units() -> [[Int]] {
    var leader = Array(slots.indices)
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
    let members = Dictionary(grouping: slots.indices, by: { find($0) })
    return slots.indices.map { slot in
      let unit = members[find(slot)] ?? []
      return unit.count > 1 ? unit : []
    }
  }
}
