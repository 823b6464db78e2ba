import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  /// What a sink that checks each row as it comes gets wrong.
  static let uniqueCases: [Case] = [
    Case("rows.unique-rotates", "Unique values go round among many rows in one batch") { run in
      let count = 50
      func badges(_ code: (Int) -> Int) -> [ScriptedSource.Write] {
        (0..<count).map { Club.badge($0, "c\(code($0))", "p") }
      }
      var generator = SeededGenerator(seed: 23)
      var transactions: [[ScriptedSource.Write]] = [[Club.person("p")] + badges { $0 }]
      transactions.append(badges { ($0 + 1) % count })
      transactions.append(badges { ($0 + count - 7) % count })
      transactions.append(badges { count - 1 - $0 })
      for _ in 0..<3 {
        let order = Array(0..<count).shuffled(using: &generator)
        transactions.append(badges { order[$0] })
      }
      // A ring that loses a row and gains another.
      transactions.append(
        [Club.noBadge(0), Club.badge(count, "c0", "p")]
          + (1..<count).map { Club.badge($0, "c\($0)", "p") })
      try await play(run, transactions)
    },
    Case("rows.unique-absent", "A unique value that may be absent is absent in many rows") { run in
      let sketch = SchemaSketch(
        collections: [
          (
            "Tag",
            [
              .key("id", .int), .optionalUnique("code", .text(limit: 40)),
              .optionalUnique("serial", .int),
            ]
          )
        ])
      func tag(_ id: Int64, _ code: String?, _ serial: Int64? = nil) -> ScriptedSource.Write {
        .put(0, Row([.int(id), code.map { .text($0) }, serial.map { .int($0) }]))
      }
      try await play(
        run, sketch: sketch,
        [
          [tag(1, nil), tag(2, nil), tag(3, ""), tag(4, "x", 1)],
          // From a row to none, from none to a row, and across.
          [tag(4, nil, 2), tag(1, "x", 1), tag(2, nil, nil)],
          [tag(1, "", 2), tag(3, "x"), tag(4, nil, 1)],
          [tag(1, nil), tag(3, nil), tag(4, nil), tag(5, "", 0), tag(6, "x", 2)],
          [.delete(0, Key([.int(5)])), tag(1, "", 0), tag(7, nil), tag(6, nil, 1)],
        ])
    },
    Case("rows.key-chain", "Rows take each other's keys, one after another") { run in
      func chain(_ keys: [Int], _ codes: [Int]) -> [ScriptedSource.Write] {
        zip(keys, codes).map { Club.badge($0, "c\($1)", "p") }
      }
      try await play(
        run,
        [
          [Club.person("p")] + chain(Array(0..<20), Array(0..<20)),
          // Up: the first key goes, one comes at the end.
          [Club.noBadge(0)] + chain(Array(1...20), Array(0..<20)),
          // Down again, and the other way round in the transaction.
          [Club.noBadge(20)] + chain(Array((0..<20).reversed()), Array((0..<20).reversed())),
          // Through keys that were taken and given up within the transaction.
          [Club.noBadge(5), Club.badge(100, "c5", "p"), Club.noBadge(100)]
            + chain([101], [5]),
          [Club.noBadge(101), Club.badge(5, "c5", "p")],
        ])
    },
    Case("rows.recreated-unique", "A row is deleted and made again, and its value moved meanwhile")
    {
      run in
      try await play(
        run,
        [
          [Club.person("a"), Club.badge(1, "one", "a"), Club.badge(2, "two", "a")],
          [Club.noBadge(1)],
          [Club.badge(3, "one", "a")],
          [Club.badge(1, "three", "a")],
          // The same key and the same value, with another holder.
          [Club.noBadge(1), Club.person("b"), Club.badge(1, "three", "b")],
          // The key comes back with the value of the other, which comes back with its own.
          [
            Club.noBadge(1), Club.noBadge(2), Club.badge(1, "two", "b"),
            Club.badge(2, "three", "a"),
          ],
          // Nothing in the end.
          [Club.badge(9, "nine", "a"), Club.noBadge(9)],
          [Club.badge(9, "nine", "a")],
        ])
    },
    Case("rows.reference-chain", "Rows refer to rows that come later, thirty in a row") { run in
      let names = (0..<30).map { Club.name($0) }
      func chain(_ names: [String]) -> [ScriptedSource.Write] {
        zip(names, names.dropFirst().map(Optional.some) + [nil]).map {
          Club.person($0, boss: $1)
        }
      }
      try await play(
        run,
        [
          chain(names),
          chain(names.reversed()),
          // Each to the next, and the last to the first.
          names.indices.map { Club.person(names[$0], boss: names[($0 + 1) % names.count]) },
          // The first half goes, first those that are referred to.
          names.prefix(15).map { Club.noPerson($0) } + chain(Array(names.suffix(15))),
          chain(names),
          names.reversed().map { Club.noPerson($0) },
        ])
    },
  ]
}
