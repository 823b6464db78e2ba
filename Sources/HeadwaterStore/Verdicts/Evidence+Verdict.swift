import HeadwaterLog
import HeadwaterModel

extension Evidence {
  /// How many operations a verdict names at most: the canonically first of those responsible.
  static let namedOperations = 16

  /// The verdict on an operation by the verdicts on those that it depends on.
  func verdict(_ changes: [ResolvedChange], at viewpoint: Viewpoint, _ status: Status) throws
    -> Verdict
  {
    try verdict(changes, asks(changes, at: viewpoint), at: viewpoint, status)
  }

  /// A requirement that fails, and why.
  struct Failure {
    let ask: Ask
    let reason: VerdictReason
    /// The operations responsible.
    let by: Set<Int64>
  }

  /// Valid where nothing fails; otherwise the first of the reasons for which the operation is void.
  func verdict(
    _ changes: [ResolvedChange], _ asks: [Ask], at viewpoint: Viewpoint, _ status: Status
  ) throws -> Verdict {
    var reason: VerdictReason?
    var by: Set<Int64> = []
    for ask in asks {
      guard let failure = try failure(ask, changes, at: viewpoint, status) else { continue }
      if let known = reason, known.rank < failure.reason.rank { continue }
      if failure.reason != reason { by.removeAll() }
      reason = failure.reason
      by.formUnion(failure.by)
    }
    guard let reason else { return .valid }
    by.remove(viewpoint.number)
    return .void(reason, by: try named(by))
  }

  /// The ids of the operations in canonical order, the first of them.
  func named(_ numbers: Set<Int64>) throws -> [Digest] {
    let points = try numbers.filter { $0 != 0 }.map { try point($0) }
    return points.sorted().prefix(Evidence.namedOperations).map(\.id)
  }

  /// Why a requirement fails; nil if it holds.
  func failure(
    _ ask: Ask, _ changes: [ResolvedChange], at viewpoint: Viewpoint, _ status: Status
  ) throws -> Failure? {
    switch ask.kind {
    case .rule(let formula):
      return try ruleFailure(ask, formula, viewpoint, status)
    case .subject(let key, let own):
      guard try witnessFailure(key, own, viewpoint, reachesConcurrent: false, status) != nil else {
        return nil
      }
      var by: Set<Int64> = []
      if own == nil, let row = try rows.row(key) {
        for event in try lifecycle(row)
        where event.isDelete && event.number != viewpoint.number {
          guard try viewpoint.sees(event.record), try status(event.number) == .yes else { continue }
          by.insert(event.number)
        }
      }
      return Failure(ask: ask, reason: .notLive, by: by)
    case .target(let key, _, let own):
      guard let by = try witnessFailure(key, own, viewpoint, reachesConcurrent: true, status)
      else { return nil }
      return Failure(ask: ask, reason: .dangling, by: by)
    case .unreferenced(let key):
      let holders = try holders(key, changes, ask.change, viewpoint, status)
      guard !holders.isEmpty else { return nil }
      return Failure(ask: ask, reason: .referenced, by: Set(holders.map(\.operation)))
    case .unique(let slot, let value):
      let rivals = try rivals(changes, ask.change, slot, value, viewpoint, status)
      guard !rivals.isEmpty else { return nil }
      return Failure(ask: ask, reason: .unique, by: Set(rivals.map(\.create)))
    }
  }

  /// Nil if some create answers; otherwise who is to blame: valid deletes of valid creates, else void creates.
  private func witnessFailure(
    _ key: StorageKey, _ own: Bool?, _ viewpoint: Viewpoint, reachesConcurrent: Bool,
    _ status: Status
  ) throws -> Set<Int64>? {
    if let own { return own ? nil : [] }
    guard let row = try rows.row(key) else { return [] }
    let life = try lifecycle(row)
    var valid: [OperationRecord] = []
    var void: Set<Int64> = []
    for create in try creates(of: life, at: viewpoint) {
      if try status(create.number) == .yes {
        valid.append(create.record)
      } else {
        void.insert(create.number)
      }
    }
    if valid.isEmpty { return void }
    return try endings(
      of: valid, in: life, viewpoint, reachesConcurrent: reachesConcurrent, status)
  }

  /// The valid deletes that end some of a row's valid creates; nil if one of the creates is not ended.
  private func endings(
    of creates: [OperationRecord], in life: [LifeEvent], _ viewpoint: Viewpoint,
    reachesConcurrent: Bool, _ status: Status
  ) throws -> Set<Int64>? {
    for create in creates {
      var isEnded = false
      try forEachEnd(of: create, in: life, at: viewpoint, reachesConcurrent: reachesConcurrent) {
        isEnded = try status($0.number) == .yes
        return !isEnded
      }
      if !isEnded { return nil }
    }
    var found: Set<Int64> = []
    for end in life where end.isDelete && end.number != viewpoint.number {
      guard try status(end.number) == .yes,
        try creates.contains(where: { try isBefore($0, end.record) }),
        try viewpoint.sees(end.record)
          || reachesConcurrent && viewpoint.isConcurrent(end.record)
      else { continue }
      found.insert(end.number)
    }
    return found
  }

  // MARK: Rules

  /// What became of the answers to one question.
  private struct Answer {
    let question: AuthorityTable.Question
    var holds = false
    var hasCandidate = false
    var hasValid = false
    var ends: Set<Int64> = []
    var void: Set<Int64> = []
  }

  private func ruleFailure(
    _ ask: Ask, _ formula: Ask.Formula, _ viewpoint: Viewpoint, _ status: Status
  ) throws -> Failure? {
    // A formula has few questions, so lists do.
    var answers: [Answer] = []
    try Evidence.forEachQuestion(formula) { question in
      guard !answers.contains(where: { $0.question == question }) else { return }
      answers.append(try answer(question, viewpoint, status))
    }
    func holds(_ formula: Ask.Formula, _ test: (Answer) -> Bool) -> Bool {
      switch formula {
      case .fact(let value): value
      case .question(let question):
        answers.count == 1
          ? test(answers[0]) : answers.first { $0.question == question }.map(test) ?? false
      case .all(let parts): parts.allSatisfy { holds($0, test) }
      case .any(let parts): parts.contains { holds($0, test) }
      }
    }
    if holds(formula, { $0.holds }) { return nil }
    var by: Set<Int64> = []
    if holds(formula, { $0.hasValid }) {
      for answer in answers where !answer.holds && answer.hasValid { by.formUnion(answer.ends) }
      return Failure(ask: ask, reason: .revoked, by: by)
    }
    if holds(formula, { $0.hasCandidate }) {
      for answer in answers where !answer.holds { by.formUnion(answer.void) }
    }
    return Failure(ask: ask, reason: .noWitness, by: by)
  }

  private func answer(
    _ question: AuthorityTable.Question, _ viewpoint: Viewpoint, _ status: Status
  ) throws -> Answer {
    var answer = Answer(question: question)
    let isStrict = rules.isStrict[rules.atoms[question.atom].collection]
    /// The valid creates, by row: of a row all are needed at once.
    var valid: [(row: Int64, creates: [OperationRecord])] = []
    var places = NumberMap<Int>()
    let grants = try grants(question, at: viewpoint)
    for (grant, record) in grants {
      answer.hasCandidate = true
      guard try status(grant.operation) == .yes else {
        answer.void.insert(grant.operation)
        continue
      }
      if valid.last?.row == grant.row {
        valid[valid.count - 1].creates.append(record)
      } else if let place = places[grant.row] {
        valid[place].creates.append(record)
      } else {
        if grants.count > 1 { places[grant.row] = valid.count }
        valid.append((grant.row, [record]))
      }
    }
    answer.hasValid = !valid.isEmpty
    for (row, creates) in valid {
      guard
        let ends = try endings(
          of: creates, in: try lifecycle(rows.row(number: row)), viewpoint,
          reachesConcurrent: isStrict, status)
      else {
        answer.holds = true
        break
      }
      answer.ends.formUnion(ends)
    }
    return answer
  }
}

extension VerdictReason {
  /// The place in the order in which reasons count.
  var rank: Int { VerdictReason.allCases.firstIndex(of: self)! }
}
