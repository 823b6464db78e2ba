import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  static let rowCases: [Case] = [
    Case("rows.updates", "Values change, become absent and come back") { run in
      try await play(
        run,
        [
          [Club.person("a", age: 1, note: "x"), Club.person("b", boss: "a")],
          [Club.person("a", age: nil, note: "")],
          [Club.person("a", age: 0, note: "y", boss: "b")],
          [Club.person("b")],
          [Club.person("a", age: 3, note: "y"), Club.person("b", age: 3, note: "z", boss: "b")],
        ])
    },
    Case("rows.recreated", "A key that was deleted is created again, also within one batch") {
      run in
      try await play(
        run,
        [
          [Club.person("a", age: 1, note: "first"), Club.person("b")],
          [Club.noPerson("a")],
          [Club.person("a", note: "second")],
          [Club.noPerson("a"), Club.noPerson("b")],
          [Club.person("a", age: 3), Club.person("b", age: 4)],
          [Club.noPerson("a"), Club.person("a", note: "in one transaction")],
        ])
    },
    Case("rows.self-reference", "A row refers to itself") { run in
      try await play(
        run,
        [
          [Club.person("a", boss: "a")],
          [Club.person("a", age: 1, boss: "a"), Club.person("b", boss: "b")],
          [Club.noPerson("a")],
          [Club.noPerson("b"), Club.person("c", boss: "c")],
        ])
    },
    Case("rows.cycle", "Rows that refer to each other come and go in one transaction") { run in
      try await play(
        run,
        [
          [Club.person("a", boss: "b"), Club.person("b", boss: "c"), Club.person("c", boss: "a")],
          [Club.person("a", boss: "c"), Club.person("b", boss: "a"), Club.person("c", boss: "b")],
          [Club.noPerson("a"), Club.noPerson("b"), Club.noPerson("c")],
        ])
    },
    Case("rows.forward-reference", "A row stands before the row that it refers to in its batch") {
      run in
      try await play(
        run,
        [
          [Club.badge(1, "one", "z"), Club.person("a", boss: "z"), Club.person("z")],
          [Club.badge(2, "two", "y"), Club.person("a", boss: "y"), Club.person("y")],
        ])
    },
    Case("rows.delete-referenced", "A row goes together with the rows that refer to it") { run in
      try await play(
        run,
        [
          [Club.person("a"), Club.person("b", boss: "a"), Club.badge(1, "one", "a")],
          [Club.noPerson("a"), Club.person("b"), Club.noBadge(1)],
          [Club.person("a"), Club.badge(1, "one", "a"), Club.badge(2, "two", "b")],
          [Club.noPerson("a"), Club.badge(1, "one", "b")],
          [Club.noBadge(1), Club.noBadge(2), Club.noPerson("b")],
        ])
    },
    Case("rows.unique-moves", "A unique value moves from a row to another in one batch") { run in
      try await play(
        run,
        [
          [Club.person("a"), Club.badge(1, "one", "a"), Club.badge(2, "two", "a")],
          // From a row that goes.
          [Club.noBadge(1), Club.badge(3, "one", "a")],
          // From a row that takes another value; before and after it in key order.
          [Club.badge(3, "three", "a"), Club.badge(1, "one", "a")],
          [Club.badge(1, "uno", "a"), Club.badge(9, "one", "a")],
          // Two rows swap.
          [Club.badge(1, "two", "a"), Club.badge(2, "uno", "a")],
          // Three in a ring.
          [Club.badge(1, "uno", "a"), Club.badge(2, "one", "a"), Club.badge(9, "two", "a")],
          // A swap, and a third row takes what a fourth gives up by going.
          [
            Club.badge(1, "one", "a"), Club.badge(2, "uno", "a"), Club.noBadge(9),
            Club.badge(8, "two", "a"),
          ],
        ])
    },
    Case("rows.untouched", "What a batch does not name stays as it is") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 30)
      try await run.synchronise(sink, source)
      for step in 0..<10 {
        source.commit([Club.person(Club.name(step * 3), age: 1_000 + step)])
        try await run.synchronise(sink, source, "after change \(step)")
      }
    },
    Case("rows.order", "Rows are listed in key order, whatever the order of arrival") { run in
      let sink = try await run.makeSink()
      let source = try Club.source()
      var generator = SeededGenerator(seed: 7)
      source.commit([Club.person("p")])
      let numbers = Array(-50..<50).shuffled(using: &generator) + [Int.max, Int.min]
      for number in numbers { source.commit([Club.badge(number, "\(number)", "p")]) }
      for name in ["Z", "a", "B", "é", "e\u{301}", "z", "", " ", "🜚", "\u{FFFD}", "aa", "a b"] {
        source.commit([Club.person(name)])
      }
      try await run.synchronise(sink, source)
    },
  ]

  /// The transactions one by one, all of them in one batch, each two in one, and all as a snapshot.
  static func play(
    _ run: ContractRun, sketch: SchemaSketch = Club.sketch,
    _ transactions: [[ScriptedSource.Write]]
  ) async throws {
    for size in [1, 2, transactions.count] {
      let sink = try await run.makeSink()
      let source = ScriptedSource(schema: try sketch.schema())
      try await run.synchronise(sink, source, options: .large)
      for start in stride(from: 0, to: transactions.count, by: size) {
        let end = min(start + size, transactions.count)
        for transaction in transactions[start..<end] { source.commit(transaction) }
        try await run.synchronise(
          sink, source, options: .large,
          "after transactions \(start)..<\(end), \(size) in a batch")
      }
    }
    for count in 1...transactions.count {
      let sink = try await run.makeSink()
      let source = ScriptedSource(schema: try sketch.schema())
      for transaction in transactions.prefix(count) { source.commit(transaction) }
      try await run.synchronise(sink, source, "after a snapshot of \(count) transactions")
    }
  }
}
