import HeadwaterModel

/// Says why void operations are void, from the final verdicts.
struct ReferenceReasons {
  let history: ReferenceHistory
  let truths: [Truth]
  let overruled: [Int: [Int]]
  /// At most so many operations are named as responsible.
  static let mostResponsible = 16

  private func isValid(_ x: Int) -> Bool { truths[x] == .yes }
  private func holds(_ claim: Claim) -> Bool { claim.truth { truths[$0] } == .yes }

  func verdict(on x: Int) -> Verdict {
    if isValid(x) { return .valid }
    if let winners = overruled[x] { return void(.overruled, by: Set(winners)) }
    var found: [VerdictReason: Set<Int>] = [:]
    for requirement in ReferenceRequirements(history: history).requirements(of: x)
    where !holds(requirement.claim) {
      let (reason, by) = failure(of: requirement, x)
      found[reason, default: []].formUnion(by)
    }
    guard let reason = VerdictReason.allCases.first(where: { found[$0] != nil }) else {
      preconditionFailure("a void operation lacks nothing")
    }
    return void(reason, by: found[reason, default: []].subtracting([x]))
  }

  private func void(_ reason: VerdictReason, by operations: Set<Int>) -> Verdict {
    let first = operations.sorted().prefix(ReferenceReasons.mostResponsible)
    return .void(reason, by: first.map { history.nodes[$0].id })
  }

  private func failure(of requirement: ReferenceRequirement, _ x: Int) -> (VerdictReason, Set<Int>)
  {
    switch requirement.kind {
    case .rule: return failure(ofRule: requirement.claim)
    case .subject(let row):
      let deletes = (row.map { history.rows[$0].points } ?? []).filter {
        $0.kind == .delete && isValid($0.node) && history.isInPast($0.node, of: x)
      }
      return (.notLive, Set(deletes.map(\.node)))
    case .target:
      guard case .witness(let candidates) = requirement.claim else { return (.dangling, []) }
      let ends = validEnds(of: candidates)
      return (.dangling, ends.isEmpty ? voidCreates(of: candidates) : ends)
    case .unreferenced:
      return (.referenced, Set(requirement.threats.filter { holds($0.claim) }.map(\.operation)))
    case .unique:
      return (.unique, Set(requirement.threats.filter { holds($0.claim) }.map(\.operation)))
    }
  }

  private func failure(ofRule claim: Claim) -> (VerdictReason, Set<Int>) {
    let atoms = atoms(of: claim).filter { !holds(.witness($0)) }
    func wouldHold(_ claim: Claim, if atom: ([Claim.Candidate]) -> Bool) -> Bool {
      switch claim {
      case .constant(let value): value
      case .isValid, .not: holds(claim)
      case .all(let branches): branches.allSatisfy { wouldHold($0, if: atom) }
      case .any(let branches): branches.contains { wouldHold($0, if: atom) }
      case .witness(let candidates): atom(candidates)
      }
    }
    if wouldHold(claim, if: { $0.contains { isValid($0.create.node) } }) {
      return (.revoked, Set(atoms.flatMap { validEnds(of: $0) }))
    }
    if wouldHold(claim, if: { !$0.isEmpty }) {
      return (.noWitness, Set(atoms.flatMap { voidCreates(of: $0) }))
    }
    return (.noWitness, [])
  }

  private func atoms(of claim: Claim) -> [[Claim.Candidate]] {
    switch claim {
    case .constant, .isValid, .not: []
    case .all(let branches), .any(let branches): branches.flatMap(atoms)
    case .witness(let candidates): [candidates]
    }
  }

  /// The valid operations that end candidates whose create is valid.
  private func validEnds(of candidates: [Claim.Candidate]) -> Set<Int> {
    Set(candidates.filter { isValid($0.create.node) }.flatMap(\.ends).filter(isValid))
  }

  private func voidCreates(of candidates: [Claim.Candidate]) -> Set<Int> {
    Set(candidates.map(\.create.node).filter { !isValid($0) })
  }
}
