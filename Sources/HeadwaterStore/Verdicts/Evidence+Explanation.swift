import HeadwaterLog
import HeadwaterModel

extension Evidence {
  /// How many rows an explanation names for one requirement at most.
  private static let shownWitnesses = 32

  /// One requirement, with what was looked at.
  func requirement(
    _ ask: Ask, _ changes: [ResolvedChange], at viewpoint: Viewpoint, _ status: Status
  ) throws -> Explanation.Requirement {
    let change = changes[ask.change]
    let failure = try failure(ask, changes, at: viewpoint, status)
    return Explanation.Requirement(
      change: ask.change, kind: change.kind, collection: change.collection, key: change.key,
      asked: asked(ask, change), failure: failure?.reason,
      witnesses: try witnesses(ask, changes, at: viewpoint, status))
  }

  private func asked(_ ask: Ask, _ change: ResolvedChange) -> Explanation.Asked {
    let plan = layout.collections[change.collection]
    switch ask.kind {
    case .rule: return .rule(conditions(change))
    case .subject: return .subject
    case .target(_, let slot, _): return .target(field: plan.slots[slot].name)
    case .unreferenced: return .unreferenced
    case .unique(let slot, _): return .unique(field: plan.slots[slot].name)
    }
  }

  /// The conditions of the rules for a change, one of which must hold.
  private func conditions(_ change: ResolvedChange) -> [String] {
    let collection = layout.collections[change.collection].collection
    let action = Rule.Action.allCases[Int(change.kind.rawValue)]
    return collection.rules.filter { $0.actions.contains(action) }.map {
      layout.schema.text(of: $0, in: collection) ?? "always"
    }
  }

  private func witnesses(
    _ ask: Ask, _ changes: [ResolvedChange], at viewpoint: Viewpoint, _ status: Status
  ) throws -> [Explanation.Witness] {
    var result: [Explanation.Witness] = []
    func add(_ row: RowState, _ create: OperationRecord, reachesConcurrent: Bool) throws {
      guard result.count < Evidence.shownWitnesses else { return }
      var ends: [Explanation.End] = []
      try forEachEnd(
        of: create, in: try lifecycle(row), at: viewpoint, reachesConcurrent: reachesConcurrent
      ) { end in
        ends.append(
          Explanation.End(
            operation: end.record.id, author: try log.authors.record(end.record.author).principal,
            isConcurrent: try !viewpoint.sees(end.record), isValid: try status(end.number) == .yes))
        return ends.count < Evidence.shownWitnesses
      }
      result.append(
        Explanation.Witness(
          collection: row.collection, key: try row.storageKey.key(), create: create.id,
          isCreateValid: try status(create.number) == .yes, ends: ends))
    }
    func addAll(_ key: StorageKey, reachesConcurrent: Bool) throws {
      guard let row = try rows.row(key) else { return }
      for create in try creates(of: lifecycle(row), at: viewpoint) {
        try add(row, create.record, reachesConcurrent: reachesConcurrent)
      }
    }
    switch ask.kind {
    case .rule(let formula):
      var seen: Set<AuthorityTable.Question> = []
      try Evidence.forEachQuestion(formula) { question in
        guard seen.insert(question).inserted else { return }
        let isStrict = rules.isStrict[rules.atoms[question.atom].collection]
        for (grant, record) in try grants(question, at: viewpoint) {
          try add(rows.row(number: grant.row), record, reachesConcurrent: isStrict)
        }
      }
    case .subject(let key, nil): try addAll(key, reachesConcurrent: false)
    case .target(let key, _, nil): try addAll(key, reachesConcurrent: true)
    case .subject, .target: break
    case .unreferenced(let key):
      for holder in try holders(key, changes, ask.change, viewpoint, status)
      where holder.operation != 0 {
        let record = try log.record(holder.operation)
        for change in try self.changes(holder.operation)
        where rules.voidReferences[change.collection].contains(where: { reference in
          guard case .reference(let target)? = assigned(reference.slot, by: change) else {
            return false
          }
          return StorageKey(reference.target, target) == key
        }) {
          guard let row = try rows.row(change.storageKey) else { continue }
          try add(row, record, reachesConcurrent: false)
        }
      }
    case .unique(let slot, let value):
      for rival in try rivals(changes, ask.change, slot, value, viewpoint, status) {
        let record = try log.record(rival.create)
        for change in try self.changes(rival.create)
        where change.kind == .create && change.collection == changes[ask.change].collection
          && uniqueValue(slot, givenBy: change) == value
        {
          guard let row = try rows.row(change.storageKey) else { continue }
          try add(row, record, reachesConcurrent: false)
        }
      }
    }
    return result
  }

  // MARK: Words

  /// Why an operation is void, in one sentence without the values of any row.
  func message(
    _ reason: VerdictReason, _ by: [Digest], _ changes: [ResolvedChange], _ asks: [Ask],
    at viewpoint: Viewpoint, _ status: Status
  ) throws -> String {
    let who = try names(by)
    if reason == .overruled {
      return by.isEmpty
        ? "it takes part in a quarrel of operations that delete each other's grounds, and could not stand even if it won"
        : "it and \(who) take away each other's grounds, and that one is the more senior"
    }
    var failed: Ask?
    for ask in asks where try failure(ask, changes, at: viewpoint, status)?.reason == reason {
      failed = ask
      break
    }
    guard let failed else { return "\(reason.rawValue)" }
    let change = changes[failed.change]
    let plan = layout.collections[change.collection]
    let name = plan.collection.name
    let verb = ["create", "update", "delete"][Int(change.kind.rawValue)]
    let doing = "change \(failed.change), \(verb) \(name)"
    switch failed.kind {
    case .rule:
      let conditions = conditions(change)
      guard !conditions.isEmpty else {
        return
          "\(doing): the schema has no rule that allows it, so nobody may; add `allow \(verb) …` to \(name) in a next schema"
      }
      let asked = conditions.joined(separator: " or ")
      if reason == .revoked {
        return
          "\(doing): what allowed it (\(asked)) was deleted by \(who), before it or at the same time"
      }
      let void = by.isEmpty ? "" : "; what would have is void itself: \(who)"
      return
        "\(doing): nothing in its author's past allows it (\(asked))\(void)"
    case .subject:
      return by.isEmpty
        ? "\(doing): its author had not seen a valid create of the row"
        : "\(doing): the row had been deleted by \(who)"
    case .target(let target, let slot, _):
      let other = layout.collections[target.collection].collection.name
      let what = "\(doing): the row of \(other) that \(plan.slots[slot].name) refers to"
      let isVoid = try by.contains { id in
        try log.number(of: id).map { try status($0) != .yes } ?? false
      }
      if by.isEmpty {
        return "\(what) is deleted earlier in the same operation, or was never validly created"
      }
      return isVoid
        ? "\(what) was created by what is void itself: \(who)" : "\(what) was deleted by \(who)"
    case .unreferenced:
      return
        "\(doing): other rows refer to it and may not be left without it\(by.isEmpty ? "" : " (\(who))"); delete or change these first"
    case .unique(let slot, _):
      return
        "\(doing): another row has the same value in \(plan.slots[slot].name), created by \(who)"
    }
  }

  /// The operations, with who signed them, as many as one can read.
  private func names(_ ids: [Digest]) throws -> String {
    var names: [String] = []
    for id in ids.prefix(3) {
      guard let number = try log.number(of: id) else { continue }
      let author = try log.authors.record(log.record(number).author).principal
      names.append("operation \(id.hex.prefix(12)) signed by \(author.hex.prefix(12))")
    }
    let text = names.joined(separator: ", ")
    return ids.count > 3 ? "\(text) and \(ids.count - 3) more" : text
  }
}
