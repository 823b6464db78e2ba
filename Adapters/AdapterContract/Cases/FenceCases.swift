import HeadwaterModel
import HeadwaterStream

extension AdapterContract {
  static let fenceCases: [Case] = [
    Case("fence.replayed", "A batch that was applied already is nothing to do") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      let recorder = FaultyAdapter(try await sink.open())
      _ = try await run.mirror(sink, source, adapter: recorder).synchronise()
      source.commit([Club.person("new", age: 1), Club.noBadge(2)])
      _ = try await run.mirror(sink, source, adapter: recorder).synchronise()
      guard let last = recorder.batches.last else { throw ContractViolation("a batch") }
      try await recorder.apply(last)
      try await sink.open().apply(last)
      try await run.expect(sink, at: last.checkpoint, "after replaying the last batch")
      try await run.expect(sink, equals: source, "after replaying the last batch")
    },
    Case("fence.replayed-each", "So is each batch of a snapshot, on an adapter opened anew") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      let recorder = FaultyAdapter(try await run.makeSink().open())
      _ = try await run.mirror(sink, source, adapter: recorder).synchronise()
      for (index, batch) in recorder.batches.enumerated() {
        try await sink.open().apply(batch)
        try await sink.open().apply(batch)
        try await run.expect(sink, at: batch.checkpoint, "after applying batch \(index) twice")
      }
      try await run.expect(sink, equals: source, "after applying every batch twice")
    },
    Case("fence.lost-acknowledgement", "A batch whose acknowledgement was lost is applied once") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 6)
      let lost = AdapterError(.unavailable, "The connection was lost.", recovery: .retry)
      let adapter = FaultyAdapter(try await sink.open()) { index, _ in
        index % 2 == 0 ? .failAfter(lost) : .failBefore(lost)
      }
      let mirror = try await run.mirror(sink, source, adapter: adapter)
      _ = try await mirror.synchronise()
      try await run.expect(sink, equals: source, "after a snapshot with lost answers")
      for step in 0..<6 {
        source.commit([
          Club.person(Club.name(step), note: "step \(step)"), Club.person("new \(step)"),
        ])
        _ = try await mirror.synchronise()
        try await run.expect(sink, equals: source, "after change \(step) with lost answers")
      }
    },
    Case("fence.stale", "A batch that does not continue the sink's checkpoint is refused whole") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      let recorder = FaultyAdapter(try await sink.open())
      _ = try await run.mirror(sink, source, adapter: recorder).synchronise()
      for step in 0..<3 {
        source.commit([Club.person("step \(step)")])
        _ = try await run.mirror(sink, source, adapter: recorder).synchronise()
      }
      let stored = try await sink.open().checkpoint()
      for (index, batch) in recorder.batches.dropLast().enumerated() {
        try await run.expectDiverged(sink.open(), batch, "batch \(index), long past,")
      }
      try await run.expect(sink, at: stored, "after stale batches")
      try await run.expect(sink, equals: source, "after stale batches")
    },
    Case("fence.almost", "A checkpoint that differs in anything is another checkpoint") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 3)
      let stored = try await run.synchronise(sink, source)
      let adapter = try await sink.open()
      let other = Digest(bytes: [UInt8](repeating: 0xAB, count: 32))!
      let replica = UUIDBytes(bytes: [UInt8](repeating: 0xCD, count: 16))!
      let variants = [
        changed(stored, database: other), changed(stored, replica: replica),
        changed(stored, mirror: stored.mirror + "2"),
        changed(stored, phase: .tail(generation: stored.generation + 1)),
        changed(
          stored,
          phase: .snapshot(generation: stored.generation, progress: .catchingUp(until: 0))),
        changed(stored, position: stored.position + 1), changed(stored, digest: other),
        changed(stored, frontier: []), changed(stored, schema: other),
      ]
      let schema = source.schema
      for variant in variants + [nil] {
        let batch = ChangeBatch(
          previous: variant, steps: [change(of: Club.noBadge(0), in: schema)],
          checkpoint: changed(stored, position: stored.position + 10), schema: schema)
        try await run.expectDiverged(adapter, batch, "a batch that continues \(variant as Any)")
      }
      try await run.expect(sink, at: stored, adapter: adapter, "after refused batches")
      try await run.expect(sink, equals: source, "after refused batches")
    },
    Case("fence.begin", "A stale mirror's begin cannot wipe a sink") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 4)
      let schema = source.schema
      let old = try await run.synchronise(sink, source)
      source.commit([Club.person("later")])
      let stored = try await run.synchronise(sink, source)
      for previous in [nil, old] {
        let batch = ChangeBatch(
          previous: previous, steps: [.begin(generation: old.generation + 1)],
          checkpoint: changed(
            old, phase: .snapshot(generation: old.generation + 1, progress: .rows(upTo: nil))),
          schema: schema)
        try await run.expectDiverged(sink.open(), batch, "a stale begin")
      }
      try await run.expect(sink, at: stored, "after a stale begin")
      try await run.expect(sink, equals: source, "after a stale begin")
    },
    Case("fence.empty", "A fresh sink refuses a batch that continues something") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 2)
      let recorder = FaultyAdapter(try await run.makeSink().open())
      _ = try await run.mirror(sink, source, adapter: recorder).synchronise()
      for (index, batch) in recorder.batches.enumerated().dropFirst() {
        try await run.expectDiverged(sink.open(), batch, "batch \(index) on a fresh sink")
      }
      try await run.expect(sink, at: nil, "after refused batches")
      try await run.synchronise(sink, source)
    },
    Case("fence.two-mirrors", "Two mirrors of one name on one sink do each other no harm") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 6)
      let first = try await run.mirror(sink, source)
      let second = try await run.mirror(sink, source)
      for round in 0..<8 {
        source.commit([Club.person("round \(round)", age: round)])
        _ = try await (round % 2 == 0 ? first : second).synchronise()
        try await run.expect(sink, equals: source, "after round \(round)")
      }
    },
    Case("fence.two-at-once", "Nor when both run at the same time") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 20)
      for round in 0..<5 {
        let first = try await run.mirror(sink, source)
        let second = try await run.mirror(sink, source)
        async let one = first.synchronise()
        async let two = second.synchronise()
        source.commit([Club.person("round \(round)", age: round), Club.noBadge(round)])
        _ = try await (one, two)
        try await run.synchronise(sink, source, "after round \(round)")
      }
    },
    Case("fence.other-name", "A mirror of another name halts, and touches nothing") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 3)
      let stored = try await run.synchronise(sink, source)
      source.commit([Club.person("later")])
      let other = try await run.mirror(sink, source, name: "another")
      try await run.expectHalt(.otherMirror, other, "a mirror of another name")
      try await run.expect(sink, at: stored, "after a mirror of another name")
      try await run.synchronise(sink, source)
    },
    Case("fence.foreign", "A mirror of another database halts, and touches nothing") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 3)
      let stored = try await run.synchronise(sink, source)
      let foreign = try Club.source(database: 9, people: 1)
      try await run.expectHalt(
        .foreignDatabase, run.mirror(sink, foreign), "a mirror of another database")
      do {
        _ = try await run.mirror(sink, foreign).rebuild()
        throw ContractViolation("a rebuild from another database should halt")
      } catch is MirrorError {}
      try await run.expect(sink, at: stored, "after a mirror of another database")
      try await run.expect(sink, equals: source, "after a mirror of another database")
    },
    Case("fence.atomic", "A batch that cannot be performed to its end leaves nothing behind") {
      run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 3)
      let schema = source.schema
      let stored = try await run.synchronise(sink, source)
      let adapter = try await sink.open()
      let batch = ChangeBatch(
        previous: stored,
        steps: [
          change(of: Club.noBadge(0), in: schema),
          change(of: Club.person("ghost", note: "never"), in: schema),
          .publish(generation: stored.generation + 7),
        ],
        checkpoint: changed(stored, position: stored.position + 2), schema: schema)
      var refused = false
      do throws(AdapterError) {
        try await adapter.apply(batch)
      } catch {
        refused = true
      }
      try run.expect(refused, "a batch which publishes a generation that is not open to be refused")
      try await run.expect(sink, at: stored, adapter: adapter, "after a batch that failed")
      try await run.expect(sink, equals: source, "after a batch that failed")
      source.commit([Club.person("after", note: "the adapter goes on")])
      try await run.synchronise(sink, source)
    },
    Case("fence.crash-within", "A crash anywhere inside a batch leaves all of it or nothing") {
      run in
      let source = try Club.source(people: 5)
      for point in 0..<2_000 {
        let sink = try await run.makeSink()
        guard let adapter = try await sink.openCrashing(at: point) else {
          throw ContractSkip(reason: "the subject has no fault injection")
        }
        var crashed = false
        do {
          _ = try await run.mirror(sink, source, adapter: adapter).synchronise()
          source.commit([
            Club.person("point \(point)"), Club.noPerson("point \(point - 1)"),
            Club.person(Club.name(1), age: point),
          ])
          _ = try await run.mirror(sink, source, adapter: adapter).synchronise()
        } catch is MirrorError {
          crashed = true
        }
        try await run.synchronise(sink, source, "after a crash at point \(point)")
        await sink.discard()
        if !crashed { return }
      }
    },
  ]

  /// The checkpoint with some of its fields changed.
  static func changed(
    _ checkpoint: Checkpoint, database: Digest? = nil, replica: UUIDBytes? = nil,
    mirror: String? = nil, phase: Checkpoint.Phase? = nil, position: Int64? = nil,
    digest: Digest? = nil, frontier: [Digest]? = nil, schema: Digest? = nil
  ) -> Checkpoint {
    Checkpoint(
      database: database ?? checkpoint.database, replica: replica ?? checkpoint.replica,
      mirror: mirror ?? checkpoint.mirror, phase: phase ?? checkpoint.phase,
      position: position ?? checkpoint.position, digest: digest ?? checkpoint.digest,
      frontier: frontier ?? checkpoint.frontier, schema: schema ?? checkpoint.schema,
      seen: checkpoint.seen)
  }

  /// The step that performs one write.
  static func change(of write: ScriptedSource.Write, in schema: Schema) -> ChangeBatch.Step {
    let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)
    switch write {
    case .put(let collection, let row):
      return .change(
        Change(
          collection: collection, key: schema.collections[collection].key(of: row)!, before: nil,
          after: row, cause: cause))
    case .delete(let collection, let key):
      return .change(
        Change(collection: collection, key: key, before: nil, after: nil, cause: cause))
    }
  }
}
