import HeadwaterModel

/// Finds the verdicts: the well-founded model of rule V, and seniority for what that leaves undecided.
///
/// Everything is asked again after each step; what was decided stays decided.
struct ReferenceJudge {
  let history: ReferenceHistory
  /// The verdict on each operation.
  private(set) var truths: [Truth]
  /// The operations that seniority made void, each with those that it yielded to.
  private(set) var overruled: [Int: [Int]] = [:]
  /// In canonical order.
  private var undecided: [Int]
  /// Of the undecided operations that were asked once.
  private var requirements: [Int: [ReferenceRequirement]] = [:]
  private let rule: ReferenceRequirements

  init(_ history: ReferenceHistory) {
    self.history = history
    rule = ReferenceRequirements(history: history)
    truths = history.nodes.map { $0.operation.isGenesis ? .yes : .undecided }
    undecided = history.nodes.indices.filter { !history.nodes[$0].operation.isGenesis }
    settle()
    while !undecided.isEmpty {
      tryTheMostSenior()
      settle()
    }
  }

  private func truth(_ claim: Claim) -> Truth { claim.truth { truths[$0] } }

  // MARK: What follows

  /// Decides everything that follows from what is decided.
  private mutating func settle() {
    var hasChanged = true
    while hasChanged {
      hasChanged = false
      var rest: [Int] = []
      for x in undecided {
        let needed = requirements[x] ?? rule.requirements(of: x)
        let found = truth(.all(needed.map(\.claim)))
        if found == .undecided {
          requirements[x] = needed
          rest.append(x)
        } else {
          truths[x] = found
          requirements[x] = nil
          hasChanged = true
        }
      }
      undecided = rest
    }
  }

  private mutating func decide(_ x: Int, _ truth: Truth) {
    truths[x] = truth
    requirements[x] = nil
    undecided.removeAll { $0 == x }
  }

  // MARK: Seniority

  private mutating func tryTheMostSenior() {
    let candidates = undecidedSinks().flatMap { $0 }.filter(deletesWhatMayBeRequired)
    guard let eldest = candidates.min(by: isSenior) else {
      // Each sink is a cycle, and each cycle passes through such a delete: every other dependency points
      // backwards in canonical order.
      preconditionFailure("operations are undecided without a delete among them")
    }
    let (support, losers) = support(of: eldest)
    if support.isDisjoint(with: losers) {
      let before = self
      for loser in losers.sorted() {
        decide(loser, .no)
        overruled[loser] = [eldest]
      }
      settle()
      if truths[eldest] == .yes { return }
      self = before
    }
    decide(eldest, .no)
    overruled[eldest] = []
  }

  /// Whether an operation deletes a row of which a concurrent operation may need that it is there.
  private func deletesWhatMayBeRequired(_ x: Int) -> Bool {
    history.nodes[x].points.contains { point in
      guard point.kind == .delete else { return false }
      let collection = history.rows[point.row].name.collection
      return history.schema.collections[collection].isStrict || history.isVoidTarget(collection)
    }
  }

  private func isSenior(_ a: Int, _ b: Int) -> Bool {
    switch (seniority(of: a), seniority(of: b)) {
    case (let x?, let y?) where x != y: return x < y
    case (_?, nil): return true
    case (nil, _?): return false
    default: break
    }
    let (first, second) = (history.nodes[a], history.nodes[b])
    return (first.operation.author, first.id) < (second.operation.author, second.id)
  }

  /// The place of the appointment that an undecided operation rests on: the latest over its changes.
  private func seniority(of x: Int) -> ReferenceHistory.Place? {
    requirements[x]?.compactMap { requirement in
      guard case .rule = requirement.kind else { return nil }
      return seniority(of: requirement.claim)
    }.max()
  }

  private func seniority(of claim: Claim) -> ReferenceHistory.Place? {
    switch claim {
    case .constant, .isValid, .not: nil
    case .witness(let candidates):
      candidates.first { truth($0.claim) != .no }?.create
    case .any(let branches):
      branches.filter { truth($0) != .no }.compactMap(seniority).min()
    case .all(let branches): branches.compactMap(seniority).max()
    }
  }

  /// What an operation rests on as far as that is undecided, itself included, and what has to be void for it.
  private func support(of x: Int) -> (support: Set<Int>, losers: Set<Int>) {
    var support: Set<Int> = [x]
    var losers: Set<Int> = []
    var stack = [x]
    while let next = stack.popLast() {
      for requirement in requirements[next] ?? [] {
        switch requirement.kind {
        case .unreferenced, .unique: continue
        case .rule, .subject, .target: break
        }
        for candidate in supporters(of: requirement.claim) {
          let create = candidate.create.node
          if truths[create] == .undecided, support.insert(create).inserted { stack.append(create) }
          losers.formUnion(candidate.ends.filter { truths[$0] == .undecided })
        }
      }
    }
    return (support, losers)
  }

  /// The candidates that an undecided claim rests on: of each atom the earliest, of each choice the most senior.
  private func supporters(of claim: Claim) -> [Claim.Candidate] {
    guard truth(claim) == .undecided else { return [] }
    switch claim {
    case .constant, .isValid, .not: return []
    case .witness(let candidates):
      return Array(candidates.lazy.filter { truth($0.claim) != .no }.prefix(1))
    case .all(let branches): return branches.flatMap(supporters)
    case .any(let branches):
      let undecided = branches.filter { truth($0) == .undecided }
      guard var best = undecided.first else { return [] }
      for branch in undecided.dropFirst() {
        guard let place = seniority(of: branch) else { continue }
        if let least = seniority(of: best), least <= place { continue }
        best = branch
      }
      return supporters(of: best)
    }
  }

  // MARK: Cycles

  /// The strongly connected components of the undecided, by what they depend on, that depend on no other.
  private func undecidedSinks() -> [[Int]] {
    var edges: [Int: [Int]] = [:]
    for x in undecided {
      var residue: Set<Int> = []
      for requirement in requirements[x] ?? [] {
        requirement.claim.collectResidue({ truths[$0] }, into: &residue)
      }
      edges[x] = residue.sorted()
    }
    var components = StrongComponents(edges)
    let found = components.find(from: undecided)
    return found.filter { members in
      members.allSatisfy { member in
        edges[member, default: []].allSatisfy {
          components.number(of: $0) == components.number(of: member)
        }
      }
    }
  }
}
