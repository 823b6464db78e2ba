import HeadwaterModel
import Testing

@testable import HeadwaterStream

@Suite struct MirrorMachineTests {
  private var options: MirrorOptions {
    var options = MirrorOptions()
    options.initialBatch = 4
    options.maximumBatch = 16
    options.initialPage = 2
    options.maximumPage = 8
    return options
  }

  /// A machine that stands at the checkpoint.
  private func standing(_ checkpoint: Checkpoint, options: MirrorOptions? = nil) -> MirrorMachine {
    var machine = MirrorMachine(name: "m", options: options ?? self.options)
    _ = machine.next()
    machine.receive(.checkpoint(checkpoint))
    _ = machine.next()
    machine.receive(.recognised(.resumable))
    if checkpoint.seen != nil {
      _ = machine.next()
      machine.receive(.recognised(.resumable))
    }
    _ = machine.next()
    machine.receive(.schema(Fixture.schema))
    return machine
  }

  private func batch(_ action: MirrorMachine.Action) throws -> ChangeBatch {
    guard case .apply(let batch) = action else {
      Issue.record("expected a batch, not \(action)")
      throw MirrorError(.adapter, "no batch")
    }
    return batch
  }

  private func halted(_ machine: inout MirrorMachine) -> MirrorError.Code? {
    if case .halt(let error) = machine.next() { error.code } else { nil }
  }

  @Test func `an empty sink gets generation 1`() throws {
    var machine = MirrorMachine(name: "m", options: options)
    guard case .readCheckpoint = machine.next() else { return #expect(Bool(false)) }
    machine.receive(.checkpoint(nil))
    guard case .readHead = machine.next() else { return #expect(Bool(false)) }
    machine.receive(.head(Fixture.head(9)))
    guard case .readSchema(Fixture.head(9).schema) = machine.next() else {
      return #expect(Bool(false))
    }
    machine.receive(.schema(Fixture.schema))
    let batch = try batch(machine.next())
    #expect(batch.previous == nil)
    #expect(
      batch.checkpoint
        == Fixture.checkpoint(9, .snapshot(generation: 1, progress: .rows(upTo: nil)), seen: 9))
    guard case .begin(generation: 1) = batch.steps.first else { return #expect(Bool(false)) }
  }

  @Test func `a snapshot keeps the position at which it began until it catches up`() throws {
    let first = Fixture.checkpoint(9, .snapshot(generation: 1, progress: .rows(upTo: nil)), seen: 9)
    var machine = standing(first)
    guard case .readRows(nil, 2) = machine.next() else { return #expect(Bool(false)) }
    machine.receive(
      .rows(
        RowPage(
          rows: [Fixture.change(1, nil, "a"), Fixture.change(2, nil, "b")], isLast: false,
          head: Fixture.head(10))))
    let page = try batch(machine.next())
    let position = RowPosition(collection: 0, key: Fixture.key(2))
    #expect(
      page.checkpoint
        == Fixture.checkpoint(
          9, .snapshot(generation: 1, progress: .rows(upTo: position)), seen: 10))
    machine.receive(.applied)
    guard case .readRows(position, 4) = machine.next() else { return #expect(Bool(false)) }
    machine.receive(.rows(RowPage(rows: [], isLast: true, head: Fixture.head(12))))
    let last = try batch(machine.next())
    #expect(
      last.checkpoint
        == Fixture.checkpoint(
          9, .snapshot(generation: 1, progress: .catchingUp(until: 12)), seen: 12))
    machine.receive(.applied)
    guard case .readTransactions(9, _) = machine.next() else { return #expect(Bool(false)) }
    machine.receive(
      .transactions(
        .transactions([
          Fixture.transaction(10, [Fixture.change(1, nil, "a"), Fixture.change(1, "a", nil)])
        ])))
    let caught = try batch(machine.next())
    #expect(caught.steps.count == 1, "a row that came and went is deleted all the same")
    #expect(caught.checkpoint.position == 11 && !caught.checkpoint.isPublished)
    machine.receive(.applied)
    guard case .readTransactions(11, _) = machine.next() else { return #expect(Bool(false)) }
    machine.receive(
      .transactions(.transactions([Fixture.transaction(12, [Fixture.change(3, nil, "c")])])))
    machine.receive(.applied)
    _ = try batch(machine.next())
    machine.receive(.applied)
    let publish = try batch(machine.next())
    guard case .publish(generation: 1) = publish.steps.first else { return #expect(Bool(false)) }
    #expect(publish.checkpoint == Fixture.checkpoint(12))
  }

  @Test(arguments: [Recognition.trimmed, .unknown, .otherReplica])
  func `a sink that cannot be resumed gets the next generation`(_ recognition: Recognition) throws {
    var machine = MirrorMachine(name: "m", options: options)
    machine.receive(.checkpoint(Fixture.checkpoint(5, .tail(generation: 7))))
    machine.receive(.recognised(recognition))
    machine.receive(.head(Fixture.head(3)))
    machine.receive(.schema(Fixture.schema))
    let batch = try batch(machine.next())
    #expect(batch.previous == Fixture.checkpoint(5, .tail(generation: 7)))
    #expect(batch.checkpoint.generation == 8 && batch.checkpoint.position == 3)
    #expect(machine.note != nil, "the reason is reported")
  }

  @Test func `a foreign database and another mirror halt`() {
    var machine = MirrorMachine(name: "m", options: options)
    machine.receive(.checkpoint(Fixture.checkpoint(5)))
    machine.receive(.recognised(.foreign))
    #expect(halted(&machine) == .foreignDatabase)
    machine = MirrorMachine(name: "m", options: options)
    machine.receive(.checkpoint(Fixture.checkpoint(5, mirror: "other")))
    machine.receive(.recognised(.resumable))
    #expect(halted(&machine) == .otherMirror)
  }

  @Test func `a snapshot of a lost stream is begun anew`() throws {
    let phase = Checkpoint.Phase.snapshot(generation: 3, progress: .catchingUp(until: 20))
    var machine = MirrorMachine(name: "m", options: options)
    machine.receive(.checkpoint(Fixture.checkpoint(5, phase, seen: 20)))
    machine.receive(.recognised(.resumable))
    guard case .recognise(let point) = machine.next() else { return #expect(Bool(false)) }
    #expect(point.position == 20 && point.digest == Fixture.digest(20))
    machine.receive(.recognised(.unknown))
    guard case .readHead = machine.next() else { return #expect(Bool(false)) }
  }

  @Test func `transactions are whole and coalesced, and the limit grows while behind`() throws {
    var machine = standing(Fixture.checkpoint(0))
    var position: Int64 = 0
    for limit in [4, 8, 16, 16] {
      guard case .readTransactions(position, limit) = machine.next() else {
        return #expect(Bool(false), "limit \(limit) at \(position)")
      }
      let transactions = (0..<limit).map {
        Fixture.transaction(position + Int64($0) + 1, [Fixture.change($0 % 3, "x", "\($0)")])
      }
      machine.receive(.transactions(.transactions(transactions)))
      let batch = try batch(machine.next())
      position += Int64(limit)
      #expect(batch.steps.count == 3 && batch.checkpoint == Fixture.checkpoint(position))
      machine.receive(.applied)
    }
    _ = machine.next()
    machine.receive(.transactions(.transactions([])))
    guard case .idle(position) = machine.next() else { return #expect(Bool(false)) }
    machine.receive(.woken)
    guard case .readTransactions(position, 4) = machine.next() else { return #expect(Bool(false)) }
  }

  @Test func `a change of the schema is a batch of its own`() throws {
    var machine = standing(Fixture.checkpoint(0))
    _ = machine.next()
    machine.receive(
      .transactions(
        .transactions([
          Fixture.transaction(1, [Fixture.change(1, nil, "a")]),
          Fixture.transaction(2, [Fixture.change(1, "a", "b")], schemaChange: Fixture.upgraded),
          Fixture.transaction(4, [Fixture.change(2, nil, "c")]),
        ])))
    let before = try batch(machine.next())
    #expect(before.checkpoint.position == 1 && before.schema == Fixture.schema)
    machine.receive(.applied)
    let change = try batch(machine.next())
    guard case .migrate(Fixture.schema, Fixture.upgraded) = change.steps.first else {
      return #expect(Bool(false))
    }
    #expect(change.steps.count == 2 && change.checkpoint.position == 3)
    #expect(change.schema == Fixture.upgraded)
    machine.receive(.applied)
    #expect(try batch(machine.next()).checkpoint.position == 4)
  }

  @Test func `a gap in the positions halts`() {
    var machine = standing(Fixture.checkpoint(3))
    _ = machine.next()
    machine.receive(
      .transactions(.transactions([Fixture.transaction(5, [Fixture.change(1, nil, "a")])])))
    #expect(halted(&machine) == .inconsistentSource)
  }

  @Test func `after any failure the sink is asked where it stands`() throws {
    let retry = AdapterError(.unavailable, "later", recovery: .retry)
    var machine = standing(Fixture.checkpoint(0))
    _ = machine.next()
    machine.receive(
      .transactions(.transactions([Fixture.transaction(1, [Fixture.change(1, nil, "a")])])))
    _ = machine.next()
    for attempt in 1...3 {
      machine.receive(.adapterFailed(retry))
      guard case .pause(attempt) = machine.next() else { return #expect(Bool(false)) }
      machine.receive(.woken)
      guard case .readCheckpoint = machine.next() else { return #expect(Bool(false)) }
    }
    // The acknowledgement was lost: the sink has it.
    machine.receive(.checkpoint(Fixture.checkpoint(1)))
    machine.receive(.recognised(.resumable))
    machine.receive(.schema(Fixture.schema))
    guard case .readTransactions(1, _) = machine.next() else { return #expect(Bool(false)) }
  }

  @Test func `an adapter that wants one rebuild after another halts`() {
    let rebuild = AdapterError(.damaged, "broken", recovery: .rebuild)
    var machine = standing(Fixture.checkpoint(4))
    for _ in 0..<options.rebuildLimit {
      machine.receive(.adapterFailed(rebuild))
      guard case .readCheckpoint = machine.next() else { return #expect(Bool(false)) }
      machine.receive(.checkpoint(Fixture.checkpoint(4)))
      machine.receive(.recognised(.resumable))
      if case .pause = machine.next() { machine.receive(.woken) }
      machine.receive(.head(Fixture.head(4)))
      machine.receive(.schema(Fixture.schema))
      guard case .apply = machine.next() else { return #expect(Bool(false)) }
    }
    machine.receive(.adapterFailed(rebuild))
    #expect(halted(&machine) == .adapter)
  }

  @Test func `an adapter that contradicts itself halts`() {
    let diverged = AdapterError(.diverged, "no", recovery: .halt)
    var machine = standing(Fixture.checkpoint(0))
    for _ in 0..<4 {
      if case .readTransactions = machine.next() {
        machine.receive(
          .transactions(.transactions([Fixture.transaction(1, [Fixture.change(1, nil, "a")])])))
      }
      _ = machine.next()
      machine.receive(.adapterFailed(diverged))
      machine.receive(.checkpoint(Fixture.checkpoint(0)))
      if case .pause = machine.next() { machine.receive(.woken) }
      machine.receive(.recognised(.resumable))
      machine.receive(.schema(Fixture.schema))
    }
    #expect(halted(&machine) == .adapter)
  }

  @Test func `a limit of attempts halts`() {
    var options = options
    options.retryLimit = 2
    var machine = MirrorMachine(name: "m", options: options)
    for _ in 0..<2 {
      machine.receive(.adapterFailed(AdapterError(.unavailable, "down", recovery: .retry)))
      guard case .pause = machine.next() else { return #expect(Bool(false)) }
      machine.receive(.woken)
    }
    machine.receive(.adapterFailed(AdapterError(.unavailable, "down", recovery: .retry)))
    #expect(halted(&machine) == .adapter)
  }

  @Test func `heavy rows make smaller batches`() throws {
    var options = options
    options.batchBytes = 1_000
    var machine = standing(
      Fixture.checkpoint(9, .snapshot(generation: 1, progress: .rows(upTo: nil)), seen: 9),
      options: options)
    _ = machine.next()
    let heavy = String(repeating: "x", count: 2_000)
    machine.receive(
      .rows(
        RowPage(
          rows: [Fixture.change(1, nil, heavy), Fixture.change(2, nil, heavy)], isLast: false,
          head: Fixture.head(9))))
    machine.receive(.applied)
    guard case .readRows(_, 1) = machine.next() else { return #expect(Bool(false)) }
  }

  @Test func `a rebuild that is asked for waits for nothing but the batch under way`() {
    var machine = standing(Fixture.checkpoint(4))
    machine.requestRebuild()
    guard case .readCheckpoint = machine.next() else { return #expect(Bool(false)) }
    machine.receive(.checkpoint(Fixture.checkpoint(4)))
    machine.receive(.recognised(.resumable))
    guard case .readHead = machine.next() else { return #expect(Bool(false)) }
  }
}
