import HeadwaterLog
import HeadwaterModel

/// Which signatures of operations that came together are to be checked, and what those that are good prove.
///
/// A value, without I/O: indices in, indices out. See `Vouching` for what it rests on.
struct SignatureRuns {
  /// What there is to know of an operation, but for its signature.
  struct Member {
    let id: Digest
    let operation: Operation
    let byteCount: Int
  }

  /// Steps to the nearest good signature, and the operation that is the first of them.
  struct Proof {
    let steps: Int
    let voucher: Int?
  }

  private let authors: [Digest?]
  /// The operation for which each vouches, if that is here.
  private let vouchedFor: [Int?]
  private let isVouched: [Bool]
  /// The operations of which an earlier one here has the same id, and that one.
  private let copies: [(index: Int, first: Int)]

  /// - Parameter members: nil for what cannot be proven by any signature.
  init(_ members: [Member?]) {
    authors = members.map { $0?.operation.author }
    var indices: [Digest: Int] = [:]
    indices.reserveCapacity(members.count)
    for (index, member) in members.enumerated() {
      if let member, indices[member.id] == nil { indices[member.id] = index }
    }
    copies = members.enumerated().compactMap { index, member in
      guard let member, let first = indices[member.id], first != index else { return nil }
      return (index, first)
    }
    var isVouched = [Bool](repeating: false, count: members.count)
    vouchedFor = members.map { member in
      guard let member, let previous = member.operation.previous, let index = indices[previous],
        let vouched = members[index],
        Vouching.mayVouch(
          member.operation, ofBytes: member.byteCount, for: vouched.operation,
          ofBytes: vouched.byteCount)
      else { return nil }
      isVouched[index] = true
      return index
    }
    self.isVouched = isVouched
  }

  /// Those that prove all others if their signatures are good: the last of each run, and others so that no
  /// operation is too far from one.
  func ends() -> [Int] {
    var ends: [Int] = []
    var isSeen = [Bool](repeating: false, count: authors.count)
    for index in authors.indices where authors[index] != nil && !isVouched[index] {
      ends.append(index)
      var (current, steps) = (index, 0)
      while let previous = vouchedFor[current], !isSeen[previous] {
        isSeen[previous] = true
        steps += 1
        if steps == Vouching.steps {
          ends.append(previous)
          steps = 0
        }
        current = previous
      }
    }
    return ends
  }

  /// The other operations of the authors of some: what is to be checked too if one of those is badly signed.
  func others(ofAuthorsOf some: [Int], except checked: [Int]) -> [Int] {
    let concerned = Set(some.compactMap { authors[$0] })
    let checked = Set(checked)
    return authors.indices.filter { index in
      authors[index].map { concerned.contains($0) } ?? false && !checked.contains(index)
    }
  }

  /// What good signatures prove, and by the fewest steps; nil for what they do not.
  func proofs(_ good: [Int]) -> [Proof?] {
    var proofs = [Proof?](repeating: nil, count: authors.count)
    for index in good { proofs[index] = Proof(steps: 0, voucher: nil) }
    for index in good {
      var (current, steps) = (index, 1)
      while steps <= Vouching.steps, let previous = vouchedFor[current],
        proofs[previous].map({ $0.steps > steps }) ?? true
      {
        proofs[previous] = Proof(steps: steps, voucher: current)
        current = previous
        steps += 1
      }
    }
    return copies.isEmpty ? proofs : sharing(proofs)
  }

  /// What vouches for an operation vouches for each copy of it.
  private func sharing(_ proofs: [Proof?]) -> [Proof?] {
    var best: [Int: Proof] = [:]
    for (voucher, vouched) in vouchedFor.enumerated() {
      guard let vouched, let steps = proofs[voucher]?.steps, steps < Vouching.steps,
        best[vouched].map({ $0.steps > steps + 1 }) ?? true
      else { continue }
      best[vouched] = Proof(steps: steps + 1, voucher: voucher)
    }
    var proofs = proofs
    for (index, first) in copies where proofs[index] == nil { proofs[index] = best[first] }
    return proofs
  }
}
