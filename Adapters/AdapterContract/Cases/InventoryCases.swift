import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  static let inventoryCases: [Case] = [
    Case("inventory.pages", "Rows are listed page by page, after any key") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 10)
      try await run.synchronise(sink, source)
      let inventory = try await inventory(of: sink)
      let schema = source.schema
      for collection in schema.collections.indices {
        let rows = source.visibleRows(of: collection)
        for limit in [1, 3, 10, 11] {
          var found: [Row] = []
          while true {
            let after = found.last.flatMap { schema.collections[collection].key(of: $0) }
            let page = try await inventory.rows(
              of: collection, in: schema, after: after, limit: limit)
            found += page
            try run.expect(page.count <= limit, "at most \(limit) rows, not \(page.count)")
            try run.expect(found.count <= rows.count, "no more than \(rows.count) rows in all")
            if page.count < limit { break }
          }
          try run.expect(found == rows, "the same rows in pages of \(limit)")
        }
      }
      let between = try await inventory.rows(
        of: Club.person, in: schema, after: Club.key(Club.name(3) + "x"), limit: 1)
      try run.expect(
        between.first?[0] == .text(Club.name(4)), "the row after a key that is not there")
    },
    Case("inventory.repair", "Rows that were tampered with are found and repaired") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 10)
      let stored = try await run.synchronise(sink, source)
      let inventory = try await inventory(of: sink)
      let schema = source.schema
      let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)
      func damage(_ write: ScriptedSource.Write) -> Change? {
        if case .change(let change) = change(of: write, in: schema) {
          return Change(
            collection: change.collection, key: change.key, before: nil, after: change.after,
            cause: cause)
        }
        return nil
      }
      let writes = [
        Club.noBadge(3), Club.noBadge(9), Club.person("extra", age: 1),
        Club.person(Club.name(4), age: -1, note: "tampered"), Club.badge(99, "extra", "extra"),
      ]
      try await inventory.repair(writes.compactMap(damage), schema: schema, at: stored)
      try await run.expect(sink, at: stored, "after writing past the mirror")
      let mirror = try await run.mirror(sink, source)
      let found = try await mirror.verify()
      try run.expect(!found.isEqual && found.differenceCount == 5, "five differences, not \(found)")
      try run.expect(
        found.differences.map(\.kind) == [.extra, .different, .missing, .missing, .extra],
        "what differs in key order, not \(found.differences)")
      let repaired = try await run.mirror(sink, source).repair()
      try run.expect(repaired.differenceCount == 5, "five repairs, not \(repaired)")
      try await run.expect(sink, equals: source, "after the repair")
      let again = try await run.mirror(sink, source).verify()
      try run.expect(again.isEqual && again.rows == 20, "equality after the repair, not \(again)")
    },
    Case("inventory.fenced", "A repair at another checkpoint is refused") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 3)
      let stored = try await run.synchronise(sink, source)
      let inventory = try await inventory(of: sink)
      let schema = source.schema
      do throws(AdapterError) {
        try await inventory.repair(
          [], schema: schema, at: changed(stored, position: stored.position + 1))
      } catch {
        try run.expect(error.code == .diverged, "the code diverged, not \(error)")
        return try await run.expect(sink, equals: source, "after a refused repair")
      }
      throw ContractViolation("a repair at another checkpoint should be refused")
    },
  ]

  private static func inventory(of sink: any ContractSink) async throws -> any RowInventory {
    guard let inventory = try await sink.open() as? any RowInventory else {
      throw ContractSkip(reason: "the adapter is no RowInventory")
    }
    return inventory
  }
}
