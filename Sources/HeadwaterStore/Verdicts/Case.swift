import HeadwaterModel

/// What is known of an operation's validity, or of a condition (S. C. Kleene's strong three-valued logic).
enum Certainty: Int8, Sendable, Comparable {
  case no = 0
  case unknown = 1
  case yes = 2

  static func < (a: Certainty, b: Certainty) -> Bool { a.rawValue < b.rawValue }
  static prefix func ! (truth: Certainty) -> Certainty { Certainty(rawValue: 2 - truth.rawValue)! }

  init(_ value: Bool) { self = value ? .yes : .no }
}

/// The canonical position of an operation, and the index of a change in it.
struct CanonicalPoint: Sendable, Hashable, Comparable {
  let height: Int64
  let id: Digest
  var index = 0

  static func < (a: CanonicalPoint, b: CanonicalPoint) -> Bool {
    if a.height != b.height { return a.height < b.height }
    if a.id != b.id { return a.id < b.id }
    return a.index < b.index
  }
}

/// What makes one operation valid, as far as it is not settled yet: a formula over the validity of others.
///
/// Operations are local numbers; 0 is the operation itself, whose own earlier changes count as valid. What is
/// known to be false has been left out.
struct Case: Sendable {
  /// A create that may answer, unless one of the deletes `ends` is valid.
  struct Candidate: Sendable {
    let create: Int64
    let point: CanonicalPoint
    let ends: [Int64]
  }

  indirect enum Formula: Sendable {
    case fact(Bool)
    /// An `exists`: one of these suffices.
    case witness([Candidate])
    case all([Formula])
    case any([Formula])
  }

  /// A create of another row with the same unique value, which one of the deletes `excuses` makes harmless.
  struct Rival: Sendable {
    let create: Int64
    let excuses: [Int64]
  }

  /// What keeps the changes of an operation in a row: a create (nil: its own), unless one of `ends` is valid.
  struct Base: Sendable {
    let create: Int64?
    let ends: [Int64]
  }

  /// An operation that makes a row refer, unless one of `later` overwrites that.
  struct Holder: Sendable {
    let operation: Int64
    let bases: [Base]
    let later: [(operation: Int64, bases: [Base])]
  }

  enum Requirement: Sendable {
    case rule(Formula)
    /// The subject of an update or delete, or the target of a reference with the policy `void`.
    case witness([Candidate])
    case unique([Rival])
    case unreferenced([Holder])
  }

  let operation: Int64
  let point: CanonicalPoint
  let author: Digest
  /// Whether it deletes a row whose deletes reach what is concurrent with them.
  let isStrictDelete: Bool
  let requirements: [Requirement]
}

// MARK: - Certainty

extension Case {
  typealias Status = (Int64) -> Certainty

  func truth(_ status: Status) -> Certainty {
    var result = Certainty.yes
    for requirement in requirements {
      result = min(result, Case.truth(requirement, status))
      if result == .no { break }
    }
    return result
  }

  static func truth(_ requirement: Requirement, _ status: Status) -> Certainty {
    switch requirement {
    case .rule(let formula): return truth(formula, status)
    case .witness(let candidates): return truth(candidates, status)
    case .unique(let rivals):
      return all(rivals) { rival in
        max(!status(rival.create), any(rival.excuses) { status($0) })
      }
    case .unreferenced(let holders): return all(holders) { !truth($0, status) }
    }
  }

  static func truth(_ formula: Formula, _ status: Status) -> Certainty {
    switch formula {
    case .fact(let value): Certainty(value)
    case .witness(let candidates): truth(candidates, status)
    case .all(let parts): all(parts) { truth($0, status) }
    case .any(let parts): any(parts) { truth($0, status) }
    }
  }

  static func truth(_ candidates: [Candidate], _ status: Status) -> Certainty {
    any(candidates) { truth($0, status) }
  }

  static func truth(_ candidate: Candidate, _ status: Status) -> Certainty {
    min(status(candidate.create), all(candidate.ends) { !status($0) })
  }

  static func truth(_ bases: [Base], _ status: Status) -> Certainty {
    any(bases) { base in
      min(base.create.map(status) ?? .yes, all(base.ends) { !status($0) })
    }
  }

  static func truth(_ holder: Holder, _ status: Status) -> Certainty {
    min(
      min(status(holder.operation), truth(holder.bases, status)),
      all(holder.later) { !min(status($0.operation), truth($0.bases, status)) })
  }

  private static func all<S: Sequence>(_ items: S, _ truth: (S.Element) -> Certainty) -> Certainty {
    var result = Certainty.yes
    for item in items {
      result = min(result, truth(item))
      if result == .no { break }
    }
    return result
  }

  private static func any<S: Sequence>(_ items: S, _ truth: (S.Element) -> Certainty) -> Certainty {
    var result = Certainty.no
    for item in items {
      result = max(result, truth(item))
      if result == .yes { break }
    }
    return result
  }
}

// MARK: - What it depends on

extension Case {
  /// Calls `body` with every operation that the case speaks of; those of no weight may come twice.
  func forEachOperation(_ body: (Int64) -> Void) {
    forEachUndecided({ _ in .unknown }, body)
  }

  /// Calls `body` with the undecided operations in what is undecided of the case: its residual dependencies.
  func forEachUndecided(_ status: Status, _ body: (Int64) -> Void) {
    for requirement in requirements where Case.truth(requirement, status) == .unknown {
      switch requirement {
      case .rule(let formula): Case.visit(formula, status, body)
      case .witness(let candidates): Case.visit(candidates, status, body)
      case .unique(let rivals):
        for rival in rivals {
          let excuse = rival.excuses.reduce(Certainty.no) { max($0, status($1)) }
          guard max(!status(rival.create), excuse) == .unknown else { continue }
          Case.visit([rival.create] + rival.excuses, status, body)
        }
      case .unreferenced(let holders):
        for holder in holders where Case.truth(holder, status) == .unknown {
          Case.visit([holder.operation], status, body)
          Case.visit(holder.bases, status, body)
          for later in holder.later
          where min(status(later.operation), Case.truth(later.bases, status)) == .unknown {
            Case.visit([later.operation], status, body)
            Case.visit(later.bases, status, body)
          }
        }
      }
    }
  }

  private static func visit(_ formula: Formula, _ status: Status, _ body: (Int64) -> Void) {
    guard truth(formula, status) == .unknown else { return }
    switch formula {
    case .fact: break
    case .witness(let candidates): visit(candidates, status, body)
    case .all(let parts), .any(let parts): for part in parts { visit(part, status, body) }
    }
  }

  private static func visit(_ candidates: [Candidate], _ status: Status, _ body: (Int64) -> Void) {
    guard truth(candidates, status) == .unknown else { return }
    for candidate in candidates where truth(candidate, status) == .unknown {
      visit([candidate.create], status, body)
      visit(candidate.ends, status, body)
    }
  }

  private static func visit(_ bases: [Base], _ status: Status, _ body: (Int64) -> Void) {
    guard truth(bases, status) == .unknown else { return }
    for base in bases where truth([base], status) == .unknown {
      if let create = base.create { visit([create], status, body) }
      visit(base.ends, status, body)
    }
  }

  private static func visit(_ operations: [Int64], _ status: Status, _ body: (Int64) -> Void) {
    for operation in operations where status(operation) == .unknown { body(operation) }
  }
}

// MARK: - Seniority

extension Case {
  /// The canonical position of the create by which the operation may do what it does; nil without a witness.
  func seniority(_ status: Status) -> CanonicalPoint? {
    var latest: CanonicalPoint?
    for case .rule(let formula) in requirements {
      guard let point = Case.seniority(formula, status) else { continue }
      latest = latest.map { max($0, point) } ?? point
    }
    return latest
  }

  /// Over alternatives the earliest counts, over conjunctive conditions the latest.
  static func seniority(_ formula: Formula, _ status: Status) -> CanonicalPoint? {
    switch formula {
    case .fact: return nil
    case .witness(let candidates): return first(candidates, status)?.point
    case .all(let parts):
      return parts.compactMap { seniority($0, status) }.max()
    case .any(let parts):
      return parts.filter { truth($0, status) != .no }.compactMap { seniority($0, status) }.min()
    }
  }

  /// The earliest candidate that is not known to fail.
  static func first(_ candidates: [Candidate], _ status: Status) -> Candidate? {
    candidates.filter { truth($0, status) != .no }.min { $0.point < $1.point }
  }

  /// What the case would rest on: for each undecided condition its earliest create, and the deletes that must not be.
  func support(_ status: Status, _ body: (Candidate) -> Void) {
    for requirement in requirements where Case.truth(requirement, status) == .unknown {
      switch requirement {
      case .rule(let formula): Case.support(formula, status, body)
      case .witness(let candidates): if let first = Case.first(candidates, status) { body(first) }
      case .unique, .unreferenced: break
      }
    }
  }

  private static func support(_ formula: Formula, _ status: Status, _ body: (Candidate) -> Void) {
    guard truth(formula, status) == .unknown else { return }
    switch formula {
    case .fact: break
    case .witness(let candidates): if let first = first(candidates, status) { body(first) }
    case .all(let parts): for part in parts { support(part, status, body) }
    case .any(let parts):
      let open = parts.filter { truth($0, status) == .unknown }.map { ($0, seniority($0, status)) }
      // Without a witness last; of equals the first.
      var best = open.first
      for other in open.dropFirst() {
        guard let point = other.1 else { continue }
        if best?.1.map({ point < $0 }) ?? true { best = other }
      }
      if let best { support(best.0, status, body) }
    }
  }
}
