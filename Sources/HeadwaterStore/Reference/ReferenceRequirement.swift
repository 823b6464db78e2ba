/// One thing that has to hold for one change of an operation.
struct ReferenceRequirement {
  enum Kind {
    case rule
    /// The row is live in the operation's past; nil where its own changes settle that.
    case subject(row: Int?)
    case target
    case unreferenced
    case unique
  }

  let kind: Kind
  /// The index of the change.
  let index: Int
  let claim: Claim
  /// What could break the requirement: whose operation, and what has to be true for it to do so.
  var threats: [(operation: Int, claim: Claim)] = []
}
