import HeadwaterModel
import HeadwaterStream
import Synchronization

extension AdapterContract {
  static let restoreCases: [Case] = [
    Case("restore.sink", "A sink restored from an older copy catches up from there") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      let old = try await run.synchronise(sink, source)
      let copy = try await run.copy(of: sink)
      source.commit([Club.person("later", age: 1), Club.noBadge(1)])
      try await run.synchronise(sink, source)
      try await run.expect(copy, at: old, "in the copy")
      let checkpoint = try await run.synchronise(copy, source, "in the restored copy")
      try run.expect(
        checkpoint.generation == old.generation, "the copy to go on, not to begin anew")
      try await run.expect(sink, equals: source, "in the original")
    },
    Case("restore.sink-in-snapshot", "So does a copy that was taken in the middle of a snapshot") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 8)
      _ = try await run.runUntilCrash(sink, source) { index, _ in
        index == 3 ? .crashBefore : .none
      }
      let copy = try await run.copy(of: sink)
      source.commit([Club.person(Club.name(1), age: 77), Club.noBadge(2)])
      try await run.synchronise(sink, source)
      source.commit([Club.person(Club.name(2), age: 78), Club.noBadge(3)])
      try await run.synchronise(copy, source, "in the restored copy")
    },
    Case("restore.source", "A source restored from an older copy makes a new generation") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      let backup = source.backup()
      source.commit([Club.person("lost", age: 1), Club.noBadge(1)])
      let old = try await run.synchronise(sink, source)
      source.restore(backup)
      let ahead = try await run.synchronise(sink, source, "with the sink ahead of its source")
      try run.expect(ahead.generation > old.generation, "a new generation")
      source.commit([Club.person("lost 2")])
      try await run.synchronise(sink, source)
      source.restore(backup)
      source.commit([Club.person("other"), Club.person("history")])
      source.commit([Club.person(Club.name(1), note: "another way")])
      let other = try await run.synchronise(sink, source, "with another history of the source")
      try run.expect(other.generation > ahead.generation, "a new generation again")
    },
    Case(
      "restore.source-in-snapshot",
      "A snapshot under way does not keep rows of a source that was restored meanwhile"
    ) { run in
      for number in 1..<12 {
        let sink = try await run.makeSink()
        let source = try Club.source(people: 6)
        let backup = source.backup()
        let page = Mutex(0)
        source.onCall { [weak source] call in
          guard let source, case .rows = call else { return }
          let number = page.withLock { value in
            value += 1
            return value
          }
          source.commit([Club.person("lost \(number)"), Club.noBadge(number)])
          source.commit([Club.person(Club.name(5), age: 900 + number)])
        }
        let crashed = try await run.runUntilCrash(sink, source) { index, _ in
          index == number ? .crashAfter : .none
        }
        source.onCall(nil)
        source.restore(backup)
        // As many events as before, but others: positions alone tell nothing.
        for step in 0..<40 { source.commit([Club.person("step \(step)", age: step)]) }
        try await run.synchronise(sink, source, "restored after batch \(number) of the snapshot")
        if !crashed { return }
      }
    },
    Case("restore.trimmed", "A sink that is behind what the source keeps gets a new generation") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      let old = try await run.synchronise(sink, source)
      source.commit([Club.noBadge(0), Club.person("a")])
      source.trim()
      source.commit([Club.person("b")])
      let checkpoint = try await run.synchronise(sink, source)
      try run.expect(checkpoint.generation > old.generation, "a new generation")
    },
    Case("restore.trimmed-in-snapshot", "So does a snapshot that is behind it") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 8)
      _ = try await run.runUntilCrash(sink, source) { index, _ in
        index == 3 ? .crashAfter : .none
      }
      source.commit([Club.noBadge(0), Club.person("a")])
      source.trim()
      source.commit([Club.person("b")])
      try await run.synchronise(sink, source)
    },
    Case("restore.other-replica", "Another replica of the database takes a sink over") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      try await run.synchronise(sink, source)
      let replica = ScriptedSource(restoring: source.backup(), replica: 2)
      replica.commit([Club.person("elsewhere"), Club.noBadge(2)])
      let checkpoint = try await run.synchronise(sink, replica)
      try run.expect(
        checkpoint.replica != (try await source.head()).replica, "the other's positions")
    },
    Case("restore.stolen", "A mirror halts whose sink another replica took over while it ran") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 3)
      let adapter = try await sink.open()
      let mirror = try await run.mirror(sink, source, adapter: adapter)
      _ = try await mirror.synchronise()
      let replica = ScriptedSource(restoring: source.backup(), replica: 2)
      let stored = try await run.synchronise(sink, replica)
      source.commit([Club.person("here")])
      try await run.expectHalt(.otherReplica, mirror, "a sink that another replica writes to")
      try await run.expect(sink, at: stored, "after the mirror that lost it halted")
    },
  ]
}
