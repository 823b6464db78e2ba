import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  /// Adapters write many changes on other paths than few: by bulk loading, staging tables, pipelines.
  static let largeCases: [Case] = [
    Case("large.equals-small", "Many changes in one batch do what they do in small ones") {
      run in
      let groups = 0..<max(1, run.subject.largeBatch / 10)
      let whole = try await run.makeSink()
      let parts = try await run.makeSink()
      let one = try clubs(groups)
      let many = try clubs(groups)
      try await run.synchronise(whole, one, options: .large, "after the snapshot")
      try await run.synchronise(parts, many, options: .large, "after the snapshot")
      one.commit(groups.flatMap(changes))
      for group in groups { many.commit(changes(group)) }
      let recorder = FaultyAdapter(try await whole.open())
      _ = try await run.mirror(whole, one, adapter: recorder, options: .large).synchronise()
      try run.expect(
        recorder.batches.map(\.steps.count) == [groups.count * 10],
        "one batch of all changes, not \(recorder.batches.map(\.steps.count))")
      var small = MirrorOptions.large
      small.initialBatch = 100
      small.maximumBatch = 100
      _ = try await run.mirror(parts, many, options: small).synchronise()
      for index in one.schema.collections.indices {
        try run.expect(
          one.visibleRows(of: index) == many.visibleRows(of: index), "sources that are equal")
      }
      try await run.expect(whole, equals: one, "after one large batch")
      try await run.expect(parts, equals: one, "after the same in small batches")
    },
    Case(
      "large.lost-acknowledgement", "A large batch whose acknowledgement was lost is applied once"
    ) { run in
      let groups = 0..<max(1, run.subject.largeBatch / 10)
      let sink = try await run.makeSink()
      let source = try clubs(groups)
      try await run.synchronise(sink, source, options: .large, "after the snapshot")
      source.commit(groups.flatMap(changes))
      let lost = AdapterError(.unavailable, "The connection was lost.", recovery: .retry)
      let adapter = FaultyAdapter(try await sink.open()) { index, _ in
        index == 0 ? .failAfter(lost) : .none
      }
      let mirror = try await run.mirror(sink, source, adapter: adapter, options: .large)
      let checkpoint = try await mirror.synchronise()
      try run.expect(
        adapter.batches.count == 1, "one batch, not \(adapter.batches.count)")
      // And again, as one who knows nothing of the first time.
      do { try await sink.open().apply(adapter.batches[0]) } catch {
        throw ContractViolation(
          "a large batch that was applied is refused when it comes again: \(error)")
      }
      try await run.expect(sink, at: checkpoint, "after a large batch with a lost answer")
      try await run.expect(sink, equals: source, "after a large batch with a lost answer")
      // Nothing is left of the first attempt that a second large batch would trip over.
      source.commit(groups.flatMap { group in changes(group).filter(\.isPut) })
      source.commit([Club.person("the last")])
      try await run.synchronise(sink, source, options: .large, "after the next large batch")
    },
    Case("large.crash-within", "A crash inside a large batch leaves all of it or nothing") { run in
      let groups = 0..<60
      var point = 0
      while point < 100_000 {
        let sink = try await run.makeSink()
        let source = try clubs(groups)
        let stored = try await run.synchronise(
          sink, source, options: .large, "after the snapshot")
        let before = source.schema.collections.indices.map { source.visibleRows(of: $0) }
        source.commit(groups.flatMap(changes))
        guard let adapter = try await sink.openCrashing(at: point) else {
          throw ContractSkip(reason: "the subject has no fault injection")
        }
        var crashed = false
        do {
          _ = try await run.mirror(sink, source, adapter: adapter, options: .large).synchronise()
        } catch is MirrorError {
          crashed = true
        }
        // Whoever opens it next finds one of the two.
        if try await sink.open().checkpoint() == stored {
          for index in before.indices {
            try await run.expect(
              sink, index, source.schema, holds: before[index], "after a crash at point \(point)")
          }
        } else {
          try await run.expect(sink, equals: source, "after a crash at point \(point)")
        }
        try await run.synchronise(
          sink, source, options: .large, "after a crash at point \(point) and a restart")
        await sink.discard()
        if !crashed { return }
        point += 1 + point / 2
      }
    },
    Case("large.keys-shift", "Every row takes the place of its neighbour, in one batch") { run in
      let count = max(100, run.subject.largeBatch / 5)
      let sink = try await run.makeSink()
      let source = try Club.source()
      source.commit([Club.person("p")])
      source.commit((0..<count).map { Club.badge($0, "code \($0)", "p") })
      try await run.synchronise(sink, source, options: .large, "after the snapshot")
      for shift in [1, -1, count / 3] {
        let rows = source.visibleRows(of: Club.badge)
        let keys = rows.map { $0[0] }
        // The keys move by `shift`; some go, and as many come.
        let next = keys.map { key -> Int in
          guard case .int(let number)? = key else { return 0 }
          return Int(number) + shift
        }
        source.commit(
          keys.compactMap { key in key.map { .delete(Club.badge, Key([$0])) } }
            + zip(next, rows).map { number, row in
              .put(Club.badge, Row([.int(Int64(number)), row[1], row[2]]))
            })
        try await run.synchronise(
          sink, source, options: .large, "after moving all keys by \(shift)")
      }
    },
  ]

  /// A source of clubs, five people and four badges each.
  private static func clubs(_ groups: Range<Int>) throws -> ScriptedSource {
    let source = try Club.source()
    source.commit(
      groups.flatMap { group in
        (0..<5).map { Club.person(name(group, $0), age: $0, note: "n") }
          + (0..<4).map { Club.badge(number(group, $0), code(group, $0), name(group, $0)) }
      })
    return source
  }

  /// Ten changes that are sound by themselves: whatever rows do to each other in one transaction.
  private static func changes(_ group: Int) -> [ScriptedSource.Write] {
    [
      // A circle of references through a row that comes last.
      Club.person(name(group, 0), age: 100 + group, note: "é\n\"", boss: name(group, 5)),
      Club.person(name(group, 1), note: "", boss: name(group, 0)),
      // Deleted and made again.
      Club.noPerson(name(group, 2)), Club.person(name(group, 2), note: "again"),
      // Gone, with what referred to it.
      Club.noPerson(name(group, 3)),
      Club.badge(number(group, 3), code(group, 3), name(group, 5)),
      // Two swap their codes, a third gives up its own.
      Club.badge(number(group, 0), code(group, 1), name(group, 0)),
      Club.badge(number(group, 1), code(group, 0), name(group, 1)),
      Club.noBadge(number(group, 2)),
      Club.badge(number(group, 4), code(group, 2), name(group, 2)),
      Club.person(name(group, 5), age: nil, boss: name(group, 0)),
    ]
  }

  private static func name(_ group: Int, _ person: Int) -> String {
    "\(Club.name(group)) \(person)"
  }

  private static func number(_ group: Int, _ badge: Int) -> Int { group * 10 + badge }

  private static func code(_ group: Int, _ badge: Int) -> String { "\(group).\(badge)" }
}

extension ScriptedSource.Write {
  fileprivate var isPut: Bool { if case .put = self { true } else { false } }
}
