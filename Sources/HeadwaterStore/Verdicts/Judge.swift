import HeadwaterLog
import HeadwaterModel

/// An operation whose verdict has changed from valid to void or back.
struct Flip {
  let number: Int64
  /// The reason for which it is void, or was.
  let reason: VerdictReason
  let isValid: Bool
  /// The number of the one row that it changes; 0 where they have to be looked up.
  let row: Int64
}

/// Keeps the verdicts of a store up to date, operation by operation as they arrive.
///
/// What depends on a verdict that changed is judged again, in canonical order: nearly all dependencies point
/// back in it. Only the delete of a row that its users had not seen points forward; what that upsets is left
/// for the next round, so an operation is looked at once a round at most, and there are no more rounds than
/// such dependencies in a chain. Operations that depend on each other in a cycle are a *quarrel* and are
/// decided together (`QuarrelSolver`). Nothing here calls itself.
struct Judge {
  let evidence: Evidence
  private var log: OperationTable { evidence.log }
  private var authority: AuthorityTable { evidence.authority }

  init(_ evidence: Evidence) { self.evidence = evidence }

  /// Judges an operation that has just entered the DAG as void, and again what it affects.
  ///
  /// - Returns: the others whose verdict is not what it was.
  func settle(_ number: Int64, _ changes: [ResolvedChange], _ asks: [Ask], _ viewpoint: Viewpoint)
    throws -> [Flip]
  {
    for other in try evidence.concurrentDependencies(changes, asks, at: viewpoint).sorted() {
      try authority.addContested(other)
    }
    let dependents = try evidence.dependents(number, evidence.rows(changes))
    if !dependents.isEmpty {
      // A path from here to what depends on this operation must lead through another dependency on something
      // concurrent: where there is none, there is no cycle.
      let known = try authority.contestedOperations()
      if known.count > (known.contains(number) ? 1 : 0) {
        try findQuarrel(number, dependents)
      }
      try authority.addContested(number)
    }
    var run = Run(judge: self, new: number, changes, dependents)
    try run.enqueue(number, viewpoint.point)
    return try run.finish()
  }

  // MARK: Quarrels

  /// Notes the cycle that the operation closes, if it does: all that it depends on and that depends on it.
  private func findQuarrel(_ number: Int64, _ dependents: Evidence.Dependents) throws {
    var edges: [Int64: [Int64]] = [:]
    var isClosed = false
    var stack = [number]
    edges[number] = []
    while let next = stack.popLast() {
      let found = try evidence.dependencies(next).sorted()
      edges[next] = found
      for other in found where edges[other] == nil {
        edges[other] = []
        if dependents.contains(other) { isClosed = true }
        stack.append(other)
      }
    }
    guard isClosed else { return }
    var users: [Int64: [Int64]] = [:]
    for (user, used) in edges { for other in used { users[other, default: []].append(user) } }
    var cycle: Set<Int64> = [number]
    stack = [number]
    while let next = stack.popLast() {
      for user in users[next] ?? [] where cycle.insert(user).inserted { stack.append(user) }
    }
    try authority.join(cycle.sorted())
  }

  /// The verdicts on the members of a quarrel, by what is known of all others.
  fileprivate func decide(_ members: [Int64]) throws -> [(number: Int64, verdict: Verdict)] {
    let isMember = Set(members)
    var cases: [Case] = []
    for member in members {
      let viewpoint = try evidence.viewpoint(member)
      let changes = try evidence.changes(member)
      cases.append(
        try evidence.makeCase(changes, evidence.asks(changes, at: viewpoint), at: viewpoint) {
          isMember.contains($0) ? .unknown : try evidence.settled($0)
        })
    }
    var solver = QuarrelSolver(cases)
    let decisions = Dictionary(uniqueKeysWithValues: zip(members, solver.solve()))
    return try members.map { member in
      guard let decision = decisions[member], !decision.isValid else { return (member, .valid) }
      if let winner = decision.overruledBy {
        return (member, .void(.overruled, by: winner == 0 ? [] : [try log.record(winner).id]))
      }
      let viewpoint = try evidence.viewpoint(member)
      let changes = try evidence.changes(member)
      return (
        member,
        try evidence.verdict(changes, at: viewpoint) {
          try decisions[$0].map { Certainty($0.isValid) } ?? evidence.settled($0)
        }
      )
    }
  }

  fileprivate func verdict(_ number: Int64, _ changes: [ResolvedChange]) throws -> Verdict {
    if try log.record(number).height == 0 { return .valid }
    return try evidence.verdict(changes, at: evidence.viewpoint(number), evidence.settled)
  }

  // MARK: What a replica would say that knew less

  /// The verdict on an operation by those alone that its author had seen, as his replica would give it.
  ///
  /// All that it depends on is decided afresh, because he may not have seen what voided some of that.
  func verdictInPast(_ changes: [ResolvedChange], at viewpoint: Viewpoint) throws -> Verdict {
    guard let world = viewpoint.world else {
      return try evidence.verdict(changes, at: viewpoint, evidence.settled)
    }
    var known: Set<Int64> = []
    var stack = try evidence.dependencies(changes, at: viewpoint).sorted()
    known.formUnion(stack)
    func dependencies(_ number: Int64) throws -> Set<Int64> {
      let record = try log.record(number)
      guard record.height > 0 else { return [] }
      return try evidence.dependencies(
        evidence.changes(number), at: evidence.viewpoint(number, world: world))
    }
    while let next = stack.popLast() {
      for other in try dependencies(next).sorted() where known.insert(other).inserted {
        stack.append(other)
      }
    }
    let members = known.sorted()
    var cases: [Case] = []
    for member in members {
      let place = try evidence.viewpoint(member, world: world)
      // Nothing is asked of the genesis, which may be large.
      let changes = place.height == 0 ? [] : try evidence.changes(member)
      let asks = try evidence.asks(changes, at: place)
      cases.append(try evidence.makeCase(changes, asks, at: place) { _ in .unknown })
    }
    var solver = QuarrelSolver(cases)
    let decisions = Dictionary(uniqueKeysWithValues: zip(members, solver.solve()))
    return try evidence.verdict(changes, at: viewpoint) {
      try decisions[$0].map { Certainty($0.isValid) } ?? evidence.settled($0)
    }
  }
}

/// One run over what an arrival affects.
private struct Run {
  /// What is judged at once: an operation, or a quarrel.
  private enum Node: Hashable {
    case operation(Int64)
    case quarrel(Int64)
  }

  /// What is known of an operation whose verdict changed.
  private struct Change {
    let before: VerdictReason?
    var now: VerdictReason?
    let row: Int64
  }

  private let judge: Judge
  private var evidence: Evidence { judge.evidence }
  /// The operation that has just entered the DAG, and what depends on it.
  private let new: Int64
  private let changesOfNew: [ResolvedChange]
  private let dependentsOfNew: Evidence.Dependents
  private var round = Heap()
  private var next: [(point: CanonicalPoint, node: Node)] = []
  private var queuedOperations = NumberMap<Void>()
  private var queuedQuarrels = NumberMap<Void>()
  private var cursor: CanonicalPoint?
  private var changed = NumberMap<Change>()

  init(
    judge: Judge, new: Int64, _ changes: [ResolvedChange], _ dependents: Evidence.Dependents
  ) {
    self.judge = judge
    self.new = new
    changesOfNew = changes
    dependentsOfNew = dependents
  }

  mutating func enqueue(_ number: Int64, _ point: CanonicalPoint) throws {
    var node = Node.operation(number)
    var point = point
    if let quarrel = try evidence.authority.quarrel(of: number) {
      node = .quarrel(quarrel)
      guard queuedQuarrels.update(quarrel, ()) == nil else { return }
      for member in try evidence.authority.members(ofQuarrel: quarrel) {
        point = max(point, try evidence.point(member))
      }
    } else {
      guard queuedOperations.update(number, ()) == nil else { return }
    }
    if let cursor, point <= cursor {
      next.append((point, node))
    } else {
      round.push(point, node)
    }
  }

  mutating func finish() throws -> [Flip] {
    while true {
      if round.isEmpty {
        guard !next.isEmpty else { break }
        cursor = nil
        for (point, node) in next { round.push(point, node) }
        next.removeAll()
      }
      guard let (point, node) = round.pop() else { break }
      cursor = point
      switch node {
      case .operation(let number):
        queuedOperations.remove(number)
        let changes = number == new ? changesOfNew : try evidence.changes(number)
        try note(number, judge.verdict(number, changes), changes, except: [])
      case .quarrel(let quarrel):
        queuedQuarrels.remove(quarrel)
        let members = try evidence.authority.members(ofQuarrel: quarrel)
        let verdicts = try judge.decide(members)
        let isMember = Set(members)
        for (number, verdict) in verdicts { try note(number, verdict, nil, except: isMember) }
      }
      // Each may have read a row.
      try evidence.rows.relieve(new)
    }
    changed.remove(new)
    var flips: [Flip] = []
    flips.reserveCapacity(changed.count)
    for (number, change) in changed.entries {
      switch (change.before, change.now) {
      case (nil, let reason?):
        flips.append(Flip(number: number, reason: reason, isValid: false, row: change.row))
      case (let reason?, nil):
        flips.append(Flip(number: number, reason: reason, isValid: true, row: change.row))
      default: break
      }
    }
    flips.sort { $0.number < $1.number }
    return flips
  }

  private mutating func note(
    _ number: Int64, _ verdict: Verdict, _ changes: [ResolvedChange]?, except: Set<Int64>
  ) throws {
    let old = try evidence.log.record(number).verdict
    guard old != verdict else { return }
    let rows = try evidence.rows(changes ?? evidence.changes(number))
    var change =
      changed[number]
      ?? Change(before: old.reason, now: nil, row: rows.count == 1 ? rows[0].row.number : 0)
    change.now = verdict.reason
    changed[number] = change
    try evidence.log.setVerdict(verdict, of: number)
    guard old.isValid != verdict.isValid else { return }
    let dependents =
      number == new ? dependentsOfNew : try evidence.dependents(number, rows)
    for (other, point) in dependents.all where !except.contains(other) {
      try enqueue(other, point)
    }
  }

  /// The nodes of a round, the canonically first on top (J. Williams, 1964).
  private struct Heap {
    private var items: [(point: CanonicalPoint, node: Node)] = []
    var isEmpty: Bool { items.isEmpty }

    mutating func push(_ point: CanonicalPoint, _ node: Node) {
      items.append((point, node))
      var child = items.count - 1
      while child > 0 {
        let parent = (child - 1) / 2
        guard items[child].point < items[parent].point else { break }
        items.swapAt(child, parent)
        child = parent
      }
    }

    mutating func pop() -> (CanonicalPoint, Node)? {
      guard let first = items.first, let last = items.popLast() else { return nil }
      guard !items.isEmpty else { return first }
      items[0] = last
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2]
        where child < items.count && items[child].point < items[least].point {
          least = child
        }
        guard least != parent else { break }
        items.swapAt(parent, least)
        parent = least
      }
      return first
    }
  }
}
