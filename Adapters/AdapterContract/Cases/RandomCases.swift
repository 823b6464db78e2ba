import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  static let randomCases: [Case] = (0..<12 as Range<UInt64>).map { seed in
    Case("random.\(seed)", "Random transactions, batches, crashes and restarts, from seed \(seed)")
    {
      run in
      try await random(run, seed: seed, rounds: 25)
    }
  }

  private static func random(_ run: ContractRun, seed: UInt64, rounds: Int) async throws {
    var generator = SeededGenerator(seed: seed)
    let sink = try await run.makeSink()
    var sketch = Club.sketch
    let source = ScriptedSource(schema: try sketch.schema())
    var backup = source.backup()
    var isUpgraded = false
    for round in 0..<rounds {
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        transaction(on: source, &generator, isUpgraded: isUpgraded)
      }
      switch Int.random(in: 0..<30, using: &generator) {
      case 0: source.trim()
      case 1: backup = source.backup()
      case 2 where backup.schema == source.schema:
        source.restore(backup)
      case 3 where !isUpgraded && round > rounds / 2:
        sketch.collections[0].fields.append(.optional("mail", .text(limit: nil)))
        source.upgrade(to: try sketch.schema())
        isUpgraded = true
      default: break
      }
      var options = MirrorOptions.contract
      options.maximumPage = Int.random(in: 1...6, using: &generator)
      options.initialPage = options.maximumPage
      options.maximumBatch = Int.random(in: 1...12, using: &generator)
      options.initialBatch = options.maximumBatch
      options.maximumTransaction = 25
      if Int.random(in: 0..<4, using: &generator) == 0 {
        let number = Int.random(in: 0..<8, using: &generator)
        let fault: FaultyAdapter.Fault =
          Bool.random(using: &generator) ? .crashBefore : .crashAfter
        let adapter = FaultyAdapter(try await sink.open()) { index, _ in
          index == number ? fault : .none
        }
        let mirror = try await run.mirror(sink, source, adapter: adapter, options: options)
        let rebuilds = Int.random(in: 0..<5, using: &generator) == 0
        _ = try? await (rebuilds ? mirror.rebuild() : mirror.synchronise())
        if Bool.random(using: &generator) {
          transaction(on: source, &generator, isUpgraded: isUpgraded)
        }
      }
      if Int.random(in: 0..<3, using: &generator) > 0 {
        try await run.synchronise(
          sink, source, options: options, "in round \(round) of seed \(seed)")
      }
    }
    try await run.synchronise(sink, source, "at the end of seed \(seed)")
  }

  /// A transaction that keeps the source sound: no dangling reference, and codes are unique.
  private static func transaction(
    on source: ScriptedSource, _ generator: inout SeededGenerator, isUpgraded: Bool
  ) {
    var people: [String: Row] = [:]
    var badges: [Int64: Row] = [:]
    for row in source.visibleRows(of: Club.person) {
      if case .text(let name) = row[0] { people[name] = row }
    }
    for row in source.visibleRows(of: Club.badge) {
      if case .int(let number) = row[0] { badges[number] = row }
    }
    var touched: [String] = []
    var touchedBadges: [Int64] = []
    for _ in 0..<Int.random(in: 1...10, using: &generator) {
      let name = "p\(Int.random(in: 0..<15, using: &generator))"
      let number = Int64.random(in: 0..<15, using: &generator)
      switch Int.random(in: 0..<6, using: &generator) {
      case 0...2:
        let boss = people.keys.sorted().randomElement(using: &generator)
        let age = Bool.random(using: &generator) ? Int.random(in: 0...9, using: &generator) : nil
        var values: [Value?] = [
          .text(name), age.map { .int(Int64($0)) },
          .text("\(Int.random(in: 0...3, using: &generator))"),
          boss.map { .reference(Club.key($0)) },
        ]
        if isUpgraded { values.append(age.map { .text("mail \($0)") }) }
        people[name] = Row(values)
        touched.append(name)
      case 3:
        people[name] = nil
        touched.append(name)
        for (other, row) in people.sorted(by: { $0.key < $1.key })
        where row[3] == .reference(Club.key(name)) {
          people[other]![3] = nil
          touched.append(other)
        }
        for (other, row) in badges where row[2] == .reference(Club.key(name)) {
          badges[other] = nil
          touchedBadges.append(other)
        }
      case 4:
        guard let holder = people.keys.sorted().randomElement(using: &generator) else { continue }
        let code = "c\(Int.random(in: 0..<20, using: &generator))"
        // Whoever has the code takes this row's, or goes.
        if let (other, _) = badges.first(where: { $0.value[1] == .text(code) && $0.key != number })
        {
          if let mine = badges[number] { badges[other]![1] = mine[1] } else { badges[other] = nil }
          touchedBadges.append(other)
        }
        badges[number] = Row([.int(number), .text(code), .reference(Club.key(holder))])
        touchedBadges.append(number)
      default:
        badges[number] = nil
        touchedBadges.append(number)
      }
    }
    source.commit(
      touched.map { name in
        people[name].map { .put(Club.person, $0) } ?? .delete(Club.person, Club.key(name))
      }
        + touchedBadges.sorted().map { number in
          badges[number].map { .put(Club.badge, $0) }
            ?? .delete(Club.badge, Key([.int(number)]))
        })
  }
}
