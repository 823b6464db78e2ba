import HeadwaterModel

/// What has to hold for an operation to be valid (rule V), read off the operations around it.
///
/// Deletes that end a witness are of two kinds: those in the operation's past, and, where the witness is
/// strict, those concurrent with it.
struct ReferenceRequirements {
  let history: ReferenceHistory

  /// Everything that operation `x` needs, change by change. The genesis needs nothing.
  func requirements(of x: Int) -> [ReferenceRequirement] {
    guard !history.nodes[x].operation.isGenesis else { return [] }
    return history.nodes[x].points.flatMap { point -> [ReferenceRequirement] in
      var result: [ReferenceRequirement] = []
      if !history.schema.allowsEverything { result.append(rule(of: point)) }
      if point.kind != .create { result.append(subject(of: point)) }
      if point.kind != .delete { result += targets(of: point) }
      if point.kind == .delete, let freedom = unreferenced(point) { result.append(freedom) }
      if point.kind == .create { result += uniques(of: point) }
      return result
    }
  }

  // MARK: Witnesses

  /// The surviving creates among `creates` that are in the past of `x`, each with what would end it.
  private func candidates(_ creates: [ReferenceHistory.Point], for x: Int, isStrict: Bool)
    -> [Claim.Candidate]
  {
    creates.filter {
      $0.kind == .create && history.isInPast($0.node, of: x) && history.isSurviving($0)
    }.map { create in
      var ends: [Int] = []
      for delete in history.rows[create.row].points
      where delete.kind == .delete && delete.node != x && ends.last != delete.node
        && history.isBefore(create, delete)
      {
        if history.isInPast(delete.node, of: x)
          || isStrict && history.isConcurrent(delete.node, with: x)
        {
          ends.append(delete.node)
        }
      }
      return Claim.Candidate(create: create.place, ends: ends)
    }
  }

  /// Whether the row is there as far as the changes of `x` before `index` say; nil where they say nothing.
  private func ownWord(on row: Int, in x: Int, before index: Int) -> Bool? {
    let last = history.rows[row].points.last {
      $0.node == x && $0.index < index && $0.kind != .update
    }
    return last.map { $0.kind == .create }
  }

  // MARK: Rules

  private func rule(of point: ReferenceHistory.Point) -> ReferenceRequirement {
    let action: Rule.Action =
      switch point.kind {
      case .create: .create
      case .update: .update
      case .delete: .delete
      }
    let rules = history.collection(of: point.row).rules.filter { $0.actions.contains(action) }
    return ReferenceRequirement(
      kind: .rule, index: point.index,
      claim: .any(rules.map { $0.condition.map { claim($0, point) } ?? .constant(true) }))
  }

  private func claim(_ condition: Condition, _ point: ReferenceHistory.Point) -> Claim {
    switch condition {
    case .and(let a, let b): return .all([claim(a, point), claim(b, point)])
    case .or(let a, let b): return .any([claim(a, point), claim(b, point)])
    case .compare(let a, let comparison, let b):
      return .constant(comparison.holds(value(a, point), value(b, point)))
    case .isIn(let a, let list):
      return .constant(
        list.contains { Condition.Comparison.equal.holds(value(a, point), value($0, point)) })
    case .exists(let name, let matches):
      guard let index = history.schema.collectionIndex(named: name) else { return .constant(false) }
      let collection = history.schema.collections[index]
      let wanted = matches.compactMap { match in
        collection.fieldIndex(named: match.field).map { field in
          (field: field, values: match.operands.compactMap { value($0, point) })
        }
      }
      let all =
        wanted.first.map { history.creates(in: index, where: $0.field, isOneOf: $0.values) }
        ?? history.creates(in: index)
      let fitting = all.filter { create in
        wanted.allSatisfy { field, values in
          let value = history.value(of: field, in: create)
          return values.contains { Condition.Comparison.equal.holds(value, $0) }
        }
      }
      return .witness(candidates(fitting, for: point.node, isStrict: collection.isStrict))
    }
  }

  private func value(_ operand: Condition.Operand, _ point: ReferenceHistory.Point) -> Value? {
    let collection = history.collection(of: point.row)
    switch operand {
    case .literal(let value): return value
    case .author: return .principal(history.nodes[point.node].operation.author)
    case .peer: return nil
    case .new(let name):
      return collection.fieldIndex(named: name).flatMap { history.value(of: $0, in: point) }
    case .row(let name):
      guard let field = collection.fieldIndex(named: name) else { return nil }
      if let value = history.keyValue(of: point.row, field: field) { return value }
      // The key is generated, so the row has one create.
      let create = history.rows[point.row].points.first {
        $0.kind == .create && history.isBefore($0, point)
      }
      return create.flatMap { history.value(of: field, in: $0) }
    }
  }

  // MARK: Subjects and targets

  private func subject(of point: ReferenceHistory.Point) -> ReferenceRequirement {
    if let isThere = ownWord(on: point.row, in: point.node, before: point.index) {
      return ReferenceRequirement(
        kind: .subject(row: nil), index: point.index, claim: .constant(isThere))
    }
    return ReferenceRequirement(
      kind: .subject(row: point.row), index: point.index,
      claim: .witness(
        candidates(history.rows[point.row].points, for: point.node, isStrict: false)))
  }

  private func targets(of point: ReferenceHistory.Point) -> [ReferenceRequirement] {
    history.voidReferences(in: point).map { _, name in
      var claim = Claim.constant(false)
      if let target = history.rowNumbers[name] {
        if point.kind == .create, target == point.row {
          claim = .constant(true)
        } else if let isThere = ownWord(on: target, in: point.node, before: point.index) {
          claim = .constant(isThere)
        } else {
          claim = .witness(
            candidates(history.rows[target].points, for: point.node, isStrict: true))
        }
      }
      return ReferenceRequirement(kind: .target, index: point.index, claim: claim)
    }
  }

  // MARK: Unique

  private func uniques(of point: ReferenceHistory.Point) -> [ReferenceRequirement] {
    let x = point.node
    let collection = history.rows[point.row].name.collection
    return history.schema.collections[collection].fields.enumerated().compactMap {
      field, declared in
      guard declared.isUnique, let value = history.value(of: field, in: point) else { return nil }
      var threats: [(operation: Int, claim: Claim)] = []
      for rival in history.creates(in: collection, where: field, isOneOf: [value])
      where rival.row != point.row && rival.node < x {
        // What ends a rival has to be in the past, as for a witness; a concurrent rival has no excuse.
        var excuses: [Claim] = []
        for delete in history.rows[rival.row].points
        where delete.kind == .delete && history.isInPast(rival.node, of: x)
          && history.isBefore(rival, delete) && history.isBefore(delete, point)
        {
          excuses.append(delete.node == x ? .constant(true) : .isValid(delete.node))
        }
        threats.append((rival.node, .all([.isValid(rival.node)] + excuses.map { .not($0) })))
      }
      return ReferenceRequirement(
        kind: .unique, index: point.index, claim: .all(threats.map { .not($0.claim) }),
        threats: threats)
    }
  }

  // MARK: Unreferenced

  /// What some operations did to a row that may refer to another: in the past of the delete that is judged,
  /// or earlier in its own operation.
  private struct Entry {
    let node: Int
    let isOwn: Bool
    /// The changes after the last delete of the row.
    let counted: [ReferenceHistory.Point]
    let hasDelete: Bool

    var isValid: Claim { isOwn ? .constant(true) : .isValid(node) }
    var create: ReferenceHistory.Point? { counted.last { $0.kind == .create } }
  }

  private func unreferenced(_ point: ReferenceHistory.Point) -> ReferenceRequirement? {
    guard history.isVoidTarget(history.rows[point.row].name.collection) else { return nil }
    var threats: [(operation: Int, claim: Claim)] = []
    for referrer in history.rows[point.row].referrers where referrer.row != point.row {
      threats += references(from: referrer, to: point)
    }
    return ReferenceRequirement(
      kind: .unreferenced, index: point.index, claim: .not(.any(threats.map(\.claim))),
      threats: threats)
  }

  private func entries(of row: Int, before point: ReferenceHistory.Point) -> [Entry] {
    let seen = history.rows[row].points.filter { history.isBefore($0, point) }
    var groups: [[ReferenceHistory.Point]] = []
    for change in seen {
      if groups.last?.last?.node == change.node {
        groups[groups.count - 1].append(change)
      } else {
        groups.append([change])
      }
    }
    return groups.map { changes in
      let lastDelete = changes.lastIndex { $0.kind == .delete }
      return Entry(
        node: changes[0].node, isOwn: changes[0].node == point.node,
        counted: Array(changes[(lastDelete.map { $0 + 1 } ?? 0)...]),
        hasDelete: lastDelete != nil)
    }
  }

  private func references(
    from referrer: ReferenceHistory.Referrer, to point: ReferenceHistory.Point
  ) -> [(operation: Int, claim: Claim)] {
    let target = history.rows[point.row].name
    let entries = entries(of: referrer.row, before: point)
    let slot = history.collection(of: referrer.row).layout.slots[referrer.slot]
    let isKey =
      slot.path.count == 1
      && history.collection(of: referrer.row)
        .fields[slot.path[0]].isKey

    /// No valid delete after it: of an operation in the past, all that saw it; of the judged one, its own.
    func isNotDeleted(_ entry: Entry) -> Claim {
      .all(
        entries.filter { delete in
          delete.hasDelete && history.isInPast(entry.node, of: delete.node)
        }.map { .not($0.isValid) })
    }
    func base(_ entry: Entry) -> Claim {
      if entry.create != nil { return isNotDeleted(entry) }
      return .any(
        entries.filter { $0.create != nil && history.isInPast($0.node, of: entry.node) }
          .map { .all([$0.isValid, isNotDeleted($0)]) })
    }
    /// Whether the entry says something about the slot, and then whether that is the target.
    func word(_ entry: Entry) -> Bool? {
      if slot.isReadonly {
        return entry.create.map { create in
          history.voidReferences(in: create).contains {
            $0.slot == slot.index && $0.target == target
          }
        }
      }
      let assigned = entry.counted.flatMap(\.assignments).last { $0.slot == slot.index }
      return assigned.map { $0.value == .reference(target.key) }
    }
    var result: [(operation: Int, claim: Claim)] = []
    for (position, entry) in entries.enumerated() where word(entry) == true {
      let later = isKey ? [] : entries[(position + 1)...].filter { word($0) != nil }
      result.append(
        (
          entry.node,
          .all(
            [entry.isValid, base(entry)]
              + later.map { .not(.all([$0.isValid, base($0)])) })
        ))
    }
    return result
  }
}
