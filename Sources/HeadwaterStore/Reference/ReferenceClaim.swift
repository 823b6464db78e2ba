/// What is known of a claim while some verdicts are open.
enum Truth {
  case no
  case undecided
  case yes
}

/// What has to hold for an operation to be valid, in terms of the validity of other operations.
indirect enum Claim {
  case constant(Bool)
  case isValid(Int)
  case not(Claim)
  case all([Claim])
  case any([Claim])
  /// Some candidate holds. They are in canonical order of their creates.
  case witness([Candidate])

  /// A create that would bear witness, and the operations that would end it.
  struct Candidate {
    let create: ReferenceHistory.Place
    let ends: [Int]

    /// The create is valid and no end is.
    var claim: Claim { .all([.isValid(create.node)] + ends.map { .not(.isValid($0)) }) }
  }

  /// Three-valued evaluation (Kleene).
  func truth(_ verdict: (Int) -> Truth) -> Truth {
    switch self {
    case .constant(let value): return value ? .yes : .no
    case .isValid(let operation): return verdict(operation)
    case .not(let claim):
      switch claim.truth(verdict) {
      case .no: return .yes
      case .undecided: return .undecided
      case .yes: return .no
      }
    case .all(let claims):
      var result = Truth.yes
      for claim in claims {
        switch claim.truth(verdict) {
        case .no: return .no
        case .undecided: result = .undecided
        case .yes: break
        }
      }
      return result
    case .any(let claims):
      var result = Truth.no
      for claim in claims {
        switch claim.truth(verdict) {
        case .no: break
        case .undecided: result = .undecided
        case .yes: return .yes
        }
      }
      return result
    case .witness(let candidates):
      var result = Truth.no
      for candidate in candidates {
        switch candidate.truth(verdict) {
        case .no: break
        case .undecided: result = .undecided
        case .yes: return .yes
        }
      }
      return result
    }
  }

  /// Adds the undecided operations on which an undecided claim depends: what is true or false already
  /// contributes nothing.
  func collectResidue(_ verdict: (Int) -> Truth, into operations: inout Set<Int>) {
    guard truth(verdict) == .undecided else { return }
    switch self {
    case .constant: break
    case .isValid(let operation): operations.insert(operation)
    case .not(let claim): claim.collectResidue(verdict, into: &operations)
    case .all(let claims), .any(let claims):
      for claim in claims { claim.collectResidue(verdict, into: &operations) }
    case .witness(let candidates):
      for candidate in candidates {
        candidate.claim.collectResidue(verdict, into: &operations)
      }
    }
  }
}

extension Claim.Candidate {
  func truth(_ verdict: (Int) -> Truth) -> Truth {
    var result = verdict(create.node)
    guard result != .no else { return .no }
    for end in ends {
      switch verdict(end) {
      case .yes: return .no
      case .undecided: result = .undecided
      case .no: break
      }
    }
    return result
  }
}
