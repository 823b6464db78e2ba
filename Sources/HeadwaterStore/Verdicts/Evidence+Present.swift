import HeadwaterLog
import HeadwaterModel

extension Evidence {
  /// Whether an operation that sees everything is valid, by the rows as they are folded; nil where they do
  /// not tell, which is rare. The fast path: some look-ups, whatever has happened before.
  func holdsAtPresent(_ asks: [Ask], _ changes: [ResolvedChange]) throws -> Bool? {
    for ask in asks {
      switch ask.kind {
      case .rule(let formula):
        guard try holdsAtPresent(formula) else { return false }
      case .subject(let key, let own), .target(let key, _, let own):
        guard try own ?? rows.row(key)?.isLive ?? false else { return false }
      case .unreferenced(let key):
        // What the operation itself did before may have changed who refers.
        guard ask.change == 0 || changes[..<ask.change].allSatisfy({ $0.kind == .delete }) else {
          return nil
        }
        guard let row = try rows.row(key) else { return nil }
        for referrer in try rows.referrers(of: row.number) where referrer.source != row.number {
          let source = try rows.row(number: referrer.source)
          guard source.isLive,
            layout.collections[source.collection].policy(ofSlot: referrer.slot) == .void
          else { continue }
          return nil
        }
      case .unique(let slot, let value):
        let change = changes[ask.change]
        let row = try rows.row(change.storageKey)?.number ?? 0
        for rival in try authority.rivals(
          row, slot: slot, collection: change.collection, value: value)
        {
          let other = try rows.row(number: rival.row)
          if other.isLive, other.creates.contains(rival.operation) { return nil }
        }
      }
    }
    return true
  }

  /// Whether a replica of that principal may connect, by the rows as they are folded.
  func mayConnect(_ principal: Digest) throws -> Bool {
    try holdsAtPresent(
      resolve(rules.connect) { operand in
        switch operand {
        case .author: .principal(principal)
        case .literal(let value): value
        case .new, .row: nil
        }
      })
  }

  private func holdsAtPresent(_ formula: Ask.Formula) throws -> Bool {
    switch formula {
    case .fact(let value): return value
    case .all(let parts):
      for part in parts where try !holdsAtPresent(part) { return false }
      return true
    case .any(let parts):
      for part in parts where try holdsAtPresent(part) { return true }
      return false
    case .question(let question):
      for grant in try authority.grants(for: question) {
        let row = try rows.row(number: grant.row)
        if row.isLive, row.creates.contains(grant.operation) { return true }
      }
      return false
    }
  }
}
