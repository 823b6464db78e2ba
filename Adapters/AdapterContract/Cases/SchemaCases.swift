import HeadwaterModel
import HeadwaterStream
import Synchronization

extension AdapterContract {
  static let schemaCases: [Case] = [
    Case("schema.add-field", "A field is added, and rows that were there before have it absent") {
      run in
      var sketch = Club.sketch
      sketch.collections[0].fields.append(.optional("mail", .text(limit: nil)))
      try await upgrade(run, to: sketch) { _ in
        []
      } then: {
        [.put(0, Row([.text("new"), nil, .text(""), nil, .text("new@example.org")]))]
      }
    },
    Case("schema.drop-field", "A field is dropped, and its values with it") { run in
      var sketch = Club.sketch
      sketch.collections[0].fields.remove(at: 1)
      try await upgrade(run, to: sketch) { _ in
        []
      } then: {
        [.put(0, Row([.text("new"), .text("note"), nil]))]
      }
    },
    Case("schema.migrated", "Rows change together with the schema") { run in
      var sketch = Club.sketch
      sketch.collections[0].fields[1] = .field("years", .int)
      try await upgrade(run, to: sketch) { rows in
        rows.map { .put(0, Row([$0[0], $0[1] ?? .int(-1), $0[2], $0[3]])) }
      } then: {
        [.put(0, Row([.text("new"), .int(3), .text("note"), nil]))]
      }
    },
    Case("schema.collections", "A collection is added, another is dropped") { run in
      var sketch = Club.sketch
      sketch.collections[1] = (
        "Prize", [.key("name", .text(limit: 20)), .field("winner", .reference("Person"))]
      )
      sketch.collections.append(("Alone", [.key("id", .int)]))
      try await upgrade(run, to: sketch) { _ in
        []
      } then: {
        [
          .put(1, Row([.text("gold"), .reference(Club.key(Club.name(0)))])),
          .put(2, Row([.int(1)])),
        ]
      }
    },
    Case("schema.reordered", "Fields and collections change places") { run in
      var sketch = Club.sketch
      sketch.collections[0].fields.reverse()
      sketch.collections.reverse()
      try await upgrade(run, to: sketch) { _ in
        []
      } then: {
        [.put(1, Row([nil, .text("note"), .int(1), .text("new")]))]
      }
    },
    Case("schema.in-snapshot", "The schema changes while a snapshot is read") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 8)
      var sketch = Club.sketch
      sketch.collections[0].fields.append(.optional("mail", .text(limit: nil)))
      let schema = try sketch.schema()
      let page = Mutex(0)
      source.onCall { [weak source] call in
        guard let source, case .rows = call else { return }
        let number = page.withLock { value in
          value += 1
          return value
        }
        if number == 3 { source.upgrade(to: schema) }
      }
      try await run.synchronise(sink, source)
    },
    Case("schema.in-catch-up", "The schema changes after the last page of a snapshot") { run in
      let sink = try await run.makeSink()
      let source = try Club.source(people: 8)
      var sketch = Club.sketch
      sketch.collections[0].fields.append(.optional("mail", .text(limit: nil)))
      let schema = try sketch.schema()
      _ = try await run.runUntilCrash(sink, source) { _, batch in
        if case .snapshot(_, .catchingUp) = batch.checkpoint.phase { .crashAfter } else { .none }
      }
      source.commit([Club.noBadge(1)])
      source.upgrade(to: schema)
      try await run.synchronise(sink, source)
    },
  ]

  /// Upgrades a mirrored source, with changes before and after it in one page of events, and crashes around it.
  private static func upgrade(
    _ run: ContractRun, to sketch: SchemaSketch,
    _ migrated: @escaping ([Row]) -> [ScriptedSource.Write],
    then writes: () -> [ScriptedSource.Write]
  ) async throws {
    let schema = try sketch.schema()
    for fault in [FaultyAdapter.Fault.none, .crashBefore, .crashAfter] {
      let sink = try await run.makeSink()
      let source = try Club.source(people: 5)
      try await run.synchronise(sink, source)
      source.commit([Club.person("before", age: 1), Club.noBadge(2)])
      source.upgrade(to: schema, migrated(source.visibleRows(of: Club.person)))
      source.commit(writes())
      _ = try await run.runUntilCrash(sink, source) { _, batch in
        batch.steps.contains { if case .migrate = $0 { true } else { false } } ? fault : .none
      }
      try await run.synchronise(sink, source, "after the upgrade")
      _ = try await run.mirror(sink, source).rebuild()
      try await run.expect(sink, equals: source, "after the upgrade and a rebuild")
    }
  }
}
