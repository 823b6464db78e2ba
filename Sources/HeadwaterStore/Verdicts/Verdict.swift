import HeadwaterModel

/// Why an operation is void. Of several reasons the first in this order counts.
public enum VerdictReason: String, Sendable, Hashable, CaseIterable {
  case schema
  case noWitness = "no-witness"
  case revoked
  case overruled
  case notLive = "not-live"
  case dangling
  case referenced
  case unique
}

/// What the DAG says of an operation in it.
public enum Verdict: Sendable, Hashable {
  case valid
  /// `by`: the operations responsible, in canonical order, at most the first 16 of them.
  case void(VerdictReason, by: [Digest])

  public var isValid: Bool { self == .valid }
  /// Why it is void; nil where it is valid.
  public var reason: VerdictReason? { if case .void(let reason, _) = self { reason } else { nil } }
}
