import HeadwaterModel
import HeadwaterStream
import Synchronization

extension AdapterContract {
  static let generationCases: [Case] = [
    Case("generation.beside", "A rebuild is invisible until it is published") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 6)
      let schema = source.schema
      let old = try await run.synchronise(sink, source)
      let people = source.visibleRows(of: Club.person)
      let badges = source.visibleRows(of: Club.badge)
      source.commit([Club.noBadge(0), Club.person("new"), Club.person(Club.name(1), age: 500)])
      for number in 0..<40 {
        let mirror = try await run.mirror(
          sink, source,
          adapter: FaultyAdapter(try await sink.open()) { index, batch in
            guard index == number else { return .none }
            let publishes = batch.steps.contains { if case .publish = $0 { true } else { false } }
            return publishes ? .none : .crashAfter
          })
        do {
          let checkpoint = try await mirror.rebuild()
          try run.expect(checkpoint.generation > old.generation, "a later generation")
          break
        } catch is MirrorError {
          try await run.expect(
            sink, Club.person, schema, holds: people, "with batch \(number) of a rebuild applied")
          try await run.expect(
            sink, Club.badge, schema, holds: badges, "with batch \(number) of a rebuild applied")
        }
      }
      try await run.expect(sink, equals: source, "after the rebuild")
      try await run.synchronise(sink, source)
    },
    Case("generation.abandoned", "A generation that was begun and left is no burden on the next") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 6)
      try await run.synchronise(sink, source)
      for number in 1..<5 {
        let mirror = try await run.mirror(
          sink, source,
          adapter: FaultyAdapter(try await sink.open()) { index, _ in
            index == number ? .crashAfter : .none
          })
        _ = try? await mirror.rebuild()
        source.commit([Club.noBadge(number), Club.person("round \(number)")])
      }
      _ = try await run.mirror(sink, source).rebuild()
      try await run.expect(sink, equals: source, "after several rebuilds")
      source.commit([Club.person("and on")])
      try await run.synchronise(sink, source)
    },
    Case("generation.repeated", "Rebuild after rebuild, each with its successor's rows only") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      for round in 1...4 {
        source.commit([Club.noBadge(round - 1), Club.person("round \(round)")])
        let checkpoint = try await run.mirror(sink, source).rebuild()
        try run.expect(checkpoint.generation == Int64(round), "generation \(round)")
        try await run.expect(sink, equals: source, "after rebuild \(round)")
      }
    },
    Case("generation.oversized", "A transaction too large for a batch comes as a new generation") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      var options = MirrorOptions.contract
      options.maximumTransaction = 20
      let old = try await run.synchronise(sink, source, options: options)
      source.commit([Club.person("before")])
      source.commit((0..<50).map { Club.person("many \($0)") })
      source.commit([Club.person("behind")])
      let checkpoint = try await run.synchronise(sink, source, options: options)
      try run.expect(checkpoint.generation > old.generation, "a new generation")
    },
    Case("generation.rebuild-wish", "An adapter that asks for a rebuild gets a new generation") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      let old = try await run.synchronise(sink, source)
      source.commit([Club.person("x")])
      let broken = AdapterError(.damaged, "A table is missing.", recovery: .rebuild)
      let adapter = FaultyAdapter(try await sink.open()) { index, _ in
        index == 0 ? .failBefore(broken) : .none
      }
      let checkpoint = try await run.mirror(sink, source, adapter: adapter).synchronise()
      try run.expect(checkpoint.generation > old.generation, "a new generation")
      try await run.expect(sink, equals: source, "after the rebuild that the adapter asked for")
    },
    Case("generation.concurrent", "Readers find the old rows or the new, and never a mixture") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 10)
      let schema = source.schema
      try await run.synchronise(sink, source)
      let old = source.visibleRows(of: Club.person)
      source.commit((0..<10).map { Club.person(Club.name($0), age: 1_000 + $0) })
      let new = source.visibleRows(of: Club.person)
      let done = Mutex(false)
      async let rebuilt = run.mirror(sink, source).rebuild()
      async let watched: Int = {
        var seen = 0
        while true {
          let last = done.withLock { $0 }
          let rows = try await sink.rows(of: Club.person, in: schema)
          try run.expect(rows == old || rows == new, "the old rows or the new, not a mixture")
          seen += 1
          if last { return seen }
          // Leaves the threads to whoever fills the generation.
          try await Task.sleep(for: .milliseconds(1))
        }
      }()
      do {
        _ = try await rebuilt
        done.withLock { $0 = true }
      } catch {
        done.withLock { $0 = true }
        throw error
      }
      _ = try await watched
      try await run.expect(sink, equals: source, "after the rebuild")
    },
  ]
}
