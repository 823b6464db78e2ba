import HeadwaterModel
import HeadwaterStream
import Synchronization

extension AdapterContract {
  static let snapshotCases: [Case] = [
    Case("snapshot.crash-before", "A snapshot that dies before any one batch is resumed") { run in
      try await interrupted(run) { .crashBefore }
    },
    Case("snapshot.crash-after", "A snapshot that dies after any one batch is resumed") { run in
      try await interrupted(run) { .crashAfter }
    },
    Case("snapshot.crash-always", "A snapshot that dies after every batch comes to an end") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 8)
      var crashes = 0
      while try await run.runUntilCrash(sink, source, plan: { _, _ in .crashAfter }) {
        crashes += 1
        source.commit([Club.person(Club.name(crashes % 8), age: 100 + crashes)])
        try run.expect(crashes < 200, "the snapshot to come to an end")
        if crashes == 20 { break }
      }
      try await run.synchronise(sink, source)
    },
    Case("snapshot.writes", "Rows change, come and go on both sides of a snapshot under way") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 12)
      let page = Mutex(0)
      source.onCall { [weak source] call in
        guard let source, case .rows = call else { return }
        let number = page.withLock { value in
          value += 1
          return value
        }
        writeDuringSnapshot(source, number)
      }
      try await run.synchronise(sink, source, "after a snapshot with writes in it")
      try run.expect(page.withLock { $0 } > 6, "a snapshot of several pages")
    },
    Case("snapshot.writes-and-crashes", "The same, and every batch is followed by a crash") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 12)
      let page = Mutex(0)
      source.onCall { [weak source] call in
        guard let source, case .rows = call else { return }
        let number = page.withLock { value in
          value += 1
          return value
        }
        writeDuringSnapshot(source, number)
      }
      var crashes = 0
      while try await run.runUntilCrash(sink, source, plan: { _, _ in .crashAfter }) {
        crashes += 1
        try run.expect(crashes < 200, "the snapshot to come to an end")
      }
      try await run.expect(sink, equals: source, "after a snapshot with writes and crashes in it")
    },
    Case("snapshot.hidden", "Readers see nothing of a first snapshot before it is published") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      let schema = source.schema
      for number in 0..<4 {
        let crashed = try await run.runUntilCrash(sink, source) { index, batch in
          batch.steps.contains { if case .publish = $0 { true } else { false } }
            ? .crashBefore : (index >= number ? .crashAfter : .none)
        }
        guard crashed else { break }
        let adapter = try await sink.open()
        let stored = try await adapter.checkpoint()
        try run.expect(stored?.isPublished == false, "an unpublished checkpoint")
        guard let inventory = adapter as? any RowInventory else { continue }
        let rows = try? await inventory.rows(of: 0, in: schema, after: nil, limit: 10)
        try run.expect(rows?.isEmpty ?? true, "no rows before the first publication")
      }
      try await run.synchronise(sink, source)
    },
  ]

  /// What happens at page number `page` of a snapshot of twelve people and their badges.
  private static func writeDuringSnapshot(_ source: ScriptedSource, _ page: Int) {
    switch page {
    case 1:
      source.commit([Club.person(Club.name(0), age: 50), Club.person(Club.name(11), age: 51)])
    case 2:
      // Behind the cursor and before it: inserted, changed, deleted.
      source.commit([Club.person("a first", note: "behind"), Club.person("z last", note: "ahead")])
      source.commit([Club.person(Club.name(1), age: 60), Club.noBadge(1), Club.noBadge(11)])
    case 3:
      // Created and gone again while the snapshot runs: one that the next page shows, one that none shows.
      source.commit([Club.person("person 0006b", note: "brief"), Club.person("b brief")])
    case 4: source.commit([Club.noPerson("person 0006b"), Club.noPerson("b brief")])
    case 5:
      // A unique value moves from a row that was delivered to one that was not, and the other way round.
      source.commit([Club.noBadge(0), Club.badge(10, "code 0", Club.name(0))])
      source.commit([Club.noBadge(9), Club.badge(2, "code 9", Club.name(2))])
    case 6:
      source.commit([Club.noBadge(3), Club.noPerson(Club.name(11))])
      source.commit([Club.badge(3, "code 10", Club.name(3))])
    case 7:
      source.commit([Club.badge(20, "code 1", "a first"), Club.badge(21, "code 11", "z last")])
      // Changed and changed back: the next page may show what was in between.
      source.commit([Club.person(Club.name(2), age: 1_000)])
    case 8: source.commit([Club.person(Club.name(2), age: 2, boss: Club.name(1))])
    default: break
    }
  }

  private static func interrupted(
    _ run: ContractRun, _ fault: @escaping @Sendable () -> FaultyAdapter.Fault
  ) async throws {
    for number in 0..<40 {
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      let crashed = try await run.runUntilCrash(sink, source) { index, _ in
        index == number ? fault() : .none
      }
      source.commit([Club.person(Club.name(2), note: "written while the mirror was dead")])
      let adapter = FaultyAdapter(try await sink.open())
      let stored = try await adapter.checkpoint()
      _ = try await run.mirror(sink, source, adapter: adapter).synchronise()
      try await run.expect(sink, equals: source, "after a crash at batch \(number)")
      if stored != nil {
        let begins = adapter.batches.contains {
          $0.steps.contains { if case .begin = $0 { true } else { false } }
        }
        try run.expect(!begins, "the generation to go on after a crash at batch \(number)")
      }
      if !crashed { return }
    }
    throw ContractViolation("a snapshot of ten rows should take fewer than 40 batches")
  }
}
