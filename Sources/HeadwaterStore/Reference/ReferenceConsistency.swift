import HeadwaterLog
import HeadwaterModel

/// Holds verdicts against rule V, read forwards: given who is valid, every valid operation has all that it
/// needs, and every void one that was not overruled lacks something.
///
/// This is a second reading of the rule, with two truth values and without `Claim`. It does not say that the
/// verdicts are the right ones: two operations that void each other are consistent either way round.
struct ReferenceConsistency {
  private let history: ReferenceHistory
  private let verdicts: [Verdict?]
  /// What is inconsistent, for people; empty if nothing is.
  private(set) var problems: [String] = []

  init(
    operations: [(id: Digest, operation: Operation)], schema: Schema,
    hasher: any HeadwaterModel.Hasher256, verdicts: [Digest: Verdict]
  ) {
    history = ReferenceHistory(operations, schema: schema, hasher: hasher)
    self.verdicts = history.nodes.map { verdicts[$0.id] }
    for x in history.nodes.indices {
      if let problem = problem(x) {
        problems.append("\(problem): operation \(x), \(history.nodes[x].id.hex)")
      }
    }
  }

  private func problem(_ x: Int) -> String? {
    switch verdicts[x] {
    case nil: return "without a verdict"
    case .valid: return lack(x).map { "valid, but its \($0) fails" }
    case .void(.overruled, let by):
      let isByValid = by.allSatisfy { id in
        history.nodes.indices.contains { history.nodes[$0].id == id && isValid($0) }
      }
      return isByValid ? nil : "overruled by what is not valid"
    case .void:
      return lack(x) == nil ? "void without a lack" : nil
    }
  }

  private func isValid(_ x: Int) -> Bool { verdicts[x] == .valid }

  /// What the operation lacks; nil if nothing.
  private func lack(_ x: Int) -> String? {
    if history.nodes[x].operation.isGenesis { return nil }
    for point in history.nodes[x].points {
      if !history.schema.allowsEverything, !isAllowed(point) { return "rule" }
      switch point.kind {
      case .create, .update:
        if point.kind == .update, !isThere(point.row, for: point, isStrict: false) {
          return "subject"
        }
        for (_, name) in history.voidReferences(in: point) {
          guard let target = history.rowNumbers[name] else { return "target" }
          if point.kind == .create, target == point.row { continue }
          if !isThere(target, for: point, isStrict: true) { return "target" }
        }
        if point.kind == .create, !isUnique(point) { return "unique value" }
      case .delete:
        if !isThere(point.row, for: point, isStrict: false) { return "subject" }
        for referrer in history.rows[point.row].referrers where referrer.row != point.row {
          if refers(referrer, to: history.rows[point.row].name, before: point) {
            return "freedom from references"
          }
        }
      }
    }
    return nil
  }

  // MARK: Witnesses

  /// Whether the create is a witness for an operation, which sees it and no valid end of it.
  private func witnesses(_ create: ReferenceHistory.Point, _ x: Int, isStrict: Bool) -> Bool {
    guard create.kind == .create, isValid(create.node), history.isInPast(create.node, of: x),
      history.isSurviving(create)
    else { return false }
    return !history.rows[create.row].points.contains { delete in
      delete.kind == .delete && delete.node != x && isValid(delete.node)
        && history.isBefore(create, delete)
        && (history.isInPast(delete.node, of: x)
          || isStrict && !history.isInPast(x, of: delete.node))
    }
  }

  private func isThere(_ row: Int, for point: ReferenceHistory.Point, isStrict: Bool) -> Bool {
    for earlier in history.nodes[point.node].points[..<point.index].reversed()
    where earlier.row == row && earlier.kind != .update {
      return earlier.kind == .create
    }
    return history.rows[row].points.contains { witnesses($0, point.node, isStrict: isStrict) }
  }

  // MARK: Rules

  private func isAllowed(_ point: ReferenceHistory.Point) -> Bool {
    let action: Rule.Action =
      point.kind == .create ? .create : point.kind == .update ? .update : .delete
    return history.collection(of: point.row).rules.contains { rule in
      rule.actions.contains(action) && (rule.condition.map { holds($0, point) } ?? true)
    }
  }

  private func holds(_ condition: Condition, _ point: ReferenceHistory.Point) -> Bool {
    switch condition {
    case .and(let a, let b): holds(a, point) && holds(b, point)
    case .or(let a, let b): holds(a, point) || holds(b, point)
    case .compare(let a, let comparison, let b):
      comparison.holds(operand(a, point), operand(b, point))
    case .isIn(let a, let list):
      list.contains { Condition.Comparison.equal.holds(operand(a, point), operand($0, point)) }
    case .exists(let name, let matches):
      history.rows.contains { row in
        let collection = history.schema.collections[row.name.collection]
        return collection.name == name
          && row.points.contains { create in
            witnesses(create, point.node, isStrict: collection.isStrict)
              && matches.allSatisfy { match in
                let value = collection.fieldIndex(named: match.field).flatMap {
                  history.value(of: $0, in: create)
                }
                return match.operands.contains {
                  Condition.Comparison.equal.holds(value, operand($0, point))
                }
              }
          }
      }
    }
  }

  private func operand(_ operand: Condition.Operand, _ point: ReferenceHistory.Point) -> Value? {
    let collection = history.collection(of: point.row)
    switch operand {
    case .literal(let value): return value
    case .author: return .principal(history.nodes[point.node].operation.author)
    case .peer: return nil
    case .new(let name):
      return collection.fieldIndex(named: name).flatMap { history.value(of: $0, in: point) }
    case .row(let name):
      guard let field = collection.fieldIndex(named: name) else { return nil }
      if collection.keyFields.contains(field) {
        return history.keyValue(of: point.row, field: field)
      }
      for create in history.rows[point.row].points
      where create.kind == .create && history.isBefore(create, point) {
        return history.value(of: field, in: create)
      }
      return nil
    }
  }

  // MARK: Unique values

  private func isUnique(_ point: ReferenceHistory.Point) -> Bool {
    let fields = history.collection(of: point.row).fields
    for (field, declared) in fields.enumerated() where declared.isUnique {
      guard let value = history.value(of: field, in: point) else { continue }
      for (row, log) in history.rows.enumerated()
      where row != point.row && log.name.collection == history.rows[point.row].name.collection {
        let isHeld = log.points.contains { rival in
          guard rival.kind == .create, rival.node < point.node, isValid(rival.node),
            history.value(of: field, in: rival) == value
          else { return false }
          // Canonically before: in the past, where a delete may have freed the value, or concurrent.
          guard history.isInPast(rival.node, of: point.node) else { return true }
          return !log.points.contains { delete in
            delete.kind == .delete && (delete.node == point.node || isValid(delete.node))
              && history.isBefore(rival, delete) && history.isBefore(delete, point)
          }
        }
        if isHeld { return false }
      }
    }
    return true
  }

  // MARK: References

  /// Whether the row refers to the target by that slot as the author of `point` saw it when that change came.
  private func refers(
    _ referrer: ReferenceHistory.Referrer, to target: ReferenceModel.RowName,
    before point: ReferenceHistory.Point
  ) -> Bool {
    let x = point.node
    let points = history.rows[referrer.row].points.filter {
      history.isBefore($0, point) && ($0.node == x || isValid($0.node))
    }
    let deletes = points.filter { $0.kind == .delete }
    let creates = points.filter { create in
      create.kind == .create && !deletes.contains { history.isBefore(create, $0) }
    }
    let slot = history.collection(of: referrer.row).layout.slots[referrer.slot]
    let key = Value.reference(target.key)
    if slot.isReadonly {
      let field = slot.path[0]
      if let value = history.keyValue(of: referrer.row, field: field) {
        return value == key && !creates.isEmpty
      }
      return creates.last.map { create in
        create.assignments.contains { $0.slot == slot.index && $0.value == key }
      } ?? false
    }
    // What an operation assigned counts if it saw a live create or made one, and did not delete the row after.
    let writes = points.filter { write in
      let isOfItsOwn = creates.contains { $0.node == write.node }
      let isBased = creates.contains { history.isInPast($0.node, of: write.node) }
      let isUndone = deletes.contains { $0.node == write.node && $0.index > write.index }
      return (isOfItsOwn || isBased) && !isUndone
    }
    let last = writes.flatMap(\.assignments).last { $0.slot == slot.index }
    return last.map { $0.value == key } ?? false
  }
}
