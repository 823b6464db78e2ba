import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  static let startCases: [Case] = [
    Case("start.empty", "A fresh sink has no checkpoint, and an empty source fills it with nothing")
    {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source()
      try await run.expect(sink, at: nil, adapter: sink.open(), "on a fresh sink")
      let checkpoint = try await run.synchronise(sink, source)
      try run.expect(
        checkpoint.phase == .tail(generation: 1) && checkpoint.position == 0,
        "an empty source should be mirrored as generation 1 at position 0, not \(checkpoint)")
      try await run.expect(sink, at: checkpoint, "after an empty snapshot")
    },
    Case("start.tail", "A snapshot is followed by the changes after it, one by one") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 10)
      let mirror = try await run.mirror(sink, source)
      _ = try await mirror.synchronise()
      try await run.expect(sink, equals: source, "after the snapshot")
      for step in 0..<10 {
        switch step % 3 {
        case 0: source.commit([Club.person("new \(step)", boss: Club.name(step))])
        case 1: source.commit([Club.person(Club.name(step), age: nil, note: "changed")])
        default: source.commit([Club.noBadge(step)])
        }
        let checkpoint = try await mirror.synchronise()
        try run.expect(checkpoint.position == source.position, "a position at the head")
        try await run.expect(sink, equals: source, "after change \(step)")
        try await run.expect(sink, at: checkpoint, "after change \(step)")
      }
    },
    Case("start.reopened", "An adapter opened anew goes on where the one before it stopped") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      for step in 0..<6 {
        source.commit([Club.person("round \(step)", age: step)])
        try await run.synchronise(sink, source, "after round \(step)")
      }
    },
    Case("start.idempotent", "A mirror with nothing to do changes nothing") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      let first = try await run.synchronise(sink, source)
      let adapter = FaultyAdapter(try await sink.open())
      let second = try await run.mirror(sink, source, adapter: adapter).synchronise()
      try run.expect(first == second, "the same checkpoint, not \(second) after \(first)")
      try run.expect(adapter.batches.isEmpty, "no batch, not \(adapter.batches.count)")
    },
    Case("start.large", "Five thousand rows and a text of a megabyte") { run in
      let sink = try await run.makeSink()
      let source = try Club.source()
      source.commit((0..<5_000).map { Club.person(Club.name($0), age: $0, note: "n\($0)") })
      source.commit([
        Club.person("long", note: String(repeating: "0123456789abcdéf", count: 1 << 16))
      ])
      try await run.synchronise(sink, source, options: .large, "after the snapshot")
      source.commit(
        (0..<5_000).map { Club.person(Club.name($0), age: $0 + 1, boss: Club.name(4_999 - $0)) })
      source.commit([Club.person("long", note: String(repeating: "🜚", count: 1 << 18))])
      try await run.synchronise(sink, source, options: .large, "after changing every row")
    },
  ]
}
