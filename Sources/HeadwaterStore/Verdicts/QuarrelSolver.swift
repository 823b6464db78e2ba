import HeadwaterModel

/// Decides operations that depend on each other in cycles: the well-founded model of rule V (A. Van Gelder,
/// K. Ross and J. Schlipf, "The well-founded semantics for general logic programs", 1991), and seniority for
/// what it leaves undecided.
///
/// Positive dependencies point to the past, so there are no unfounded sets, and the model is what repeated
/// three-valued evaluation arrives at. Pure; iterative; no order but the canonical enters it.
struct QuarrelSolver {
  /// What became of one operation.
  struct Decision: Sendable, Equatable {
    var isValid: Bool
    /// Where seniority made it void: by that operation, or by nobody (0) where it could not have been valid.
    var overruledBy: Int64?
  }

  private let cases: [Case]
  private var index: [Int64: Int] = [:]
  /// For each operation those whose cases speak of it.
  private var users: [[Int]]
  private var status: [Certainty]
  private var overruled: [Int64?]
  /// Assignments since a tentative decision, to be taken back.
  private var trail: [Int] = []

  /// - Parameter cases: of operations on which nothing outside depends that they depend on; what they say of
  ///   operations outside has been settled: a number that is not among them is valid.
  init(_ cases: [Case]) {
    self.cases = cases
    status = Array(repeating: .unknown, count: cases.count)
    overruled = Array(repeating: nil, count: cases.count)
    users = Array(repeating: [], count: cases.count)
    for (position, some) in cases.enumerated() { index[some.operation] = position }
    for (position, some) in cases.enumerated() {
      some.forEachOperation { operation in
        if let used = index[operation], users[used].last != position {
          users[used].append(position)
        }
      }
    }
  }

  private func truth(_ operation: Int64) -> Certainty {
    index[operation].map { status[$0] } ?? .yes
  }

  /// The decisions, in the order of the cases.
  mutating func solve() -> [Decision] {
    propagate(Array(cases.indices))
    while status.contains(.unknown) {
      trail.removeAll()
      for sink in sinks() { decide(sink) }
    }
    return cases.indices.map { Decision(isValid: status[$0] == .yes, overruledBy: overruled[$0]) }
  }

  // MARK: The well-founded model

  private mutating func assign(_ position: Int, _ truth: Certainty) {
    status[position] = truth
    trail.append(position)
  }

  private mutating func propagate(_ start: [Int]) {
    var queue = start
    var isQueued = Set(start)
    var next = 0
    while next < queue.count {
      let position = queue[next]
      next += 1
      isQueued.remove(position)
      guard status[position] == .unknown else { continue }
      let truth = cases[position].truth(self.truth)
      guard truth != .unknown else { continue }
      assign(position, truth)
      for user in users[position] where status[user] == .unknown && isQueued.insert(user).inserted {
        queue.append(user)
      }
    }
  }

  // MARK: Seniority

  /// Lets the most senior strict delete of a component stand, with what it rests on.
  ///
  /// The components that depend on no other undecided one do not touch each other, so they may be decided in
  /// any order.
  private mutating func decide(_ sink: [Int]) {
    // Every cycle contains a strict delete; should that ever fail, all of them are.
    var candidates = sink.filter { cases[$0].isStrictDelete && status[$0] == .unknown }
    if candidates.isEmpty { candidates = sink.filter { status[$0] == .unknown } }
    guard let chosen = mostSenior(candidates) else { return }
    var supports: Set<Int> = [chosen]
    var stack = [chosen]
    var opposed: Set<Int> = []
    while let position = stack.popLast() {
      cases[position].support(truth) { candidate in
        if let create = index[candidate.create], status[create] == .unknown,
          supports.insert(create).inserted
        {
          stack.append(create)
        }
        for end in candidate.ends {
          if let position = index[end], status[position] == .unknown { opposed.insert(position) }
        }
      }
    }
    if opposed.isDisjoint(with: supports) {
      let mark = trail.count
      let losers = opposed.sorted()
      for loser in losers { assign(loser, .no) }
      propagate(losers.flatMap { users[$0] } + [chosen])
      if status[chosen] == .yes {
        for loser in losers { overruled[loser] = cases[chosen].operation }
        return
      }
      while trail.count > mark { status[trail.removeLast()] = .unknown }
    }
    assign(chosen, .no)
    overruled[chosen] = 0
    propagate(users[chosen])
  }

  private func mostSenior(_ candidates: [Int]) -> Int? {
    let ranked = candidates.map { ($0, cases[$0].seniority(truth)) }
    return ranked.min { a, b in
      switch (a.1, b.1) {
      case (let x?, let y?) where x != y: return x < y
      case (_?, nil): return true
      case (nil, _?): return false
      default:
        let (first, second) = (cases[a.0], cases[b.0])
        if first.author != second.author { return first.author < second.author }
        return first.point.id < second.point.id
      }
    }?.0
  }

  /// The strongly connected components of the undecided that depend on no other (R. Tarjan, 1972), iteratively.
  private func sinks() -> [[Int]] {
    let count = cases.count
    var order = Array(repeating: -1, count: count)
    var low = Array(repeating: 0, count: count)
    var component = Array(repeating: -1, count: count)
    var components: [[Int]] = []
    var open: [Int] = []
    var counter = 0
    var edges: [[Int]] = Array(repeating: [], count: count)
    for start in 0..<count where status[start] == .unknown && order[start] < 0 {
      var stack: [(node: Int, next: Int)] = []
      func enter(_ node: Int) {
        order[node] = counter
        low[node] = counter
        counter += 1
        open.append(node)
        var seen: Set<Int> = []
        var targets: [Int] = []
        cases[node].forEachUndecided(truth) { operation in
          if let target = index[operation], seen.insert(target).inserted { targets.append(target) }
        }
        edges[node] = targets
        stack.append((node, 0))
      }
      enter(start)
      while let top = stack.last {
        if top.next < edges[top.node].count {
          stack[stack.count - 1].next += 1
          let target = edges[top.node][top.next]
          if order[target] < 0 {
            enter(target)
          } else if component[target] < 0 {
            low[top.node] = min(low[top.node], order[target])
          }
          continue
        }
        stack.removeLast()
        if let parent = stack.last { low[parent.node] = min(low[parent.node], low[top.node]) }
        guard low[top.node] == order[top.node] else { continue }
        var members: [Int] = []
        while let member = open.popLast() {
          component[member] = components.count
          members.append(member)
          if member == top.node { break }
        }
        components.append(members.sorted())
      }
    }
    return components.filter { members in
      members.allSatisfy { member in
        edges[member].allSatisfy { component[$0] == component[member] }
      }
    }
  }
}
