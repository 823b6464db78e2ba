import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

extension Sink {
  /// `Adapter.apply`.
  func apply(_ batch: ChangeBatch) throws {
    let next = batch.checkpoint.canonicalBytes
    let previous = batch.previous?.canonicalBytes
    if try applyAtOnce(batch, from: previous, to: next) { return }
    // A page that a server loses when it breaks down is copied again: the batch that ends the rows waits for all of them.
    try transaction(isWaiting: !batch.isPage) {
      let isSetUp = try catalogue.exists()
      let stored = isSetUp ? try catalogue.checkpoint() : (bytes: nil, options: options)
      if stored.bytes == next { return }
      guard stored.bytes == previous else { throw diverged(stored.bytes, batch) }
      if !isSetUp { try setUp() }
      try readLayout(checkpoint: stored.bytes)
      try perform(batch, madeWith: stored.options)
      let move = catalogue.move(
        from: previous, to: batch.checkpoint, bytes: next, written: batch.written)
      do throws(ServerError) {
        try connection.run(move.sql, move.parameters)
      } catch {
        throw error.isMissedUpdate ? diverged(nil, batch) : error
      }
    }
    layout?.checkpoint = next
  }

  /// Applies a small batch of changes to published tables in one round trip. False where that is not how to do it.
  private func applyAtOnce(_ batch: ChangeBatch, from previous: [UInt8]?, to next: [UInt8]) throws
    -> Bool
  {
    guard let layout, layout.isChecked, let previous, layout.checkpoint == previous,
      !layout.isFilling,
      batch.steps.count <= paths.pipelinedChanges, batch.previous?.isPublished == true
    else { return false }
    var changes: [Change] = []
    for step in batch.steps {
      guard case .change(let change) = step else { return false }
      changes.append(change)
    }
    let plan = try plan(of: batch.schema)
    guard self.layout?.isChecked == true else { return false }
    var statements: [(sql: String, parameters: [Parameter])] = [
      (opening, []),
      ("SELECT pg_advisory_xact_lock($1::int8)", [.int(places.lockKey)]),
    ]
    let groups = try groups(of: changes, plan)
    for group in groups where !group.deleted.isEmpty {
      statements.append(
        (group.writer.deletion, try group.writer.keyArrays(of: group.deleted.map(\.key))))
    }
    for group in groups where !group.upserts.isEmpty {
      statements.append((group.writer.upsert, try group.writer.arrays(of: group.upserts)))
    }
    if configuration.keepsHistory {
      statements += try history(of: groups, position: batch.checkpoint.position)
    }
    statements.append(
      catalogue.move(from: previous, to: batch.checkpoint, bytes: next, written: batch.written))
    statements.append(("COMMIT", []))
    do {
      try connection.pipeline(statements)
    } catch {
      abandon()
      // The checkpoint is another one, or the tables are: the long way says which.
      if error.isMissedUpdate || error.sqlState?.hasPrefix("42") == true
        || error.sqlState == "3F000"
      {
        return false
      }
      throw error
    }
    self.layout?.checkpoint = next
    return true
  }

  private func perform(_ batch: ChangeBatch, madeWith stored: String) throws {
    let plan = try plan(of: batch.schema)
    var isSnapshot = false
    if case .snapshot(_, .rows)? = batch.previous?.phase { isSnapshot = true }
    let begins = batch.steps.contains { if case .begin = $0 { true } else { false } }
    guard stored == options || begins else {
      throw AdapterError(
        .damaged,
        "The tables of the schema \(places.own) were made with other options (\(stored.isEmpty ? "none" : stored)): "
          + "a new generation will have \(options.isEmpty ? "none" : options).", recovery: .rebuild)
    }
    if isSnapshot, layout?.isKeyed == false, try copySnapshot(batch.steps, plan) { return }
    var changes: [Change] = []
    func flush() throws {
      guard !changes.isEmpty else { return }
      try checkTargets(plan)
      try write(
        changes, plan, isSnapshot: isSnapshot && !(layout?.isKeyed ?? true),
        position: batch.checkpoint.position)
      changes = []
    }
    for step in batch.steps {
      if case .change(let change) = step {
        changes.append(change)
        continue
      }
      try flush()
      switch step {
      case .change: break
      case .begin(let generation):
        try begin(generation, plan)
        isSnapshot = true
        if stored != options { try catalogue.setOptions(options) }
      case .publish(let generation): try publish(generation, plan, checkpoint: batch.checkpoint)
      case .migrate:
        throw AdapterError(
          .unsupported,
          "The PostgreSQL mirror does not change tables in place yet: a new generation has them.",
          recovery: .rebuild)
      }
    }
    try flush()
  }

  func diverged(_ stored: [UInt8]?, _ batch: ChangeBatch) -> AdapterError {
    let place = "The schema \(places.own) of \(configuration.description)"
    guard let stored else {
      return AdapterError(
        .diverged,
        "\(place) does not hold the checkpoint that the batch continues: was it emptied or replaced, or does another "
          + "process write to it?", recovery: .rebuild)
    }
    let ours = batch.checkpoint
    guard let held = try? Checkpoint(canonicalBytes: stored) else { return unreadableCheckpoint() }
    let what: String
    if held.database != ours.database {
      what = "another database"
    } else if held.mirror != ours.mirror {
      what = "the mirror \(held.mirror)"
    } else if held.replica != ours.replica {
      what = "another replica of the database"
    } else {
      return AdapterError(
        .diverged,
        "\(place) is at position \(held.position) of generation \(held.generation), where the batch does not "
          + "continue: does another process write to it?", recovery: .rebuild)
    }
    return AdapterError(
      .diverged,
      "\(place) belongs to \(what): give this mirror a schema of its own (…?schema=NAME).",
      recovery: .halt)
  }

  func unreadableCheckpoint() -> AdapterError {
    AdapterError(
      .damaged,
      "The checkpoint in the schema \(places.own) of \(configuration.description) cannot be read: drop the "
        + "schemas \(places.own) and \(places.tables), and mirror again.", recovery: .halt)
  }
}

extension ChangeBatch {
  /// Whether it is a page of a snapshot, and not the last.
  fileprivate var isPage: Bool {
    guard case .snapshot(let generation, .rows)? = previous?.phase else { return false }
    guard case .snapshot(generation, .rows) = checkpoint.phase else { return false }
    return true
  }

  /// The latest wall clock of those who wrote what it holds, in milliseconds since 1970.
  fileprivate var written: Int64? {
    var latest: Int64?
    for step in steps {
      if case .change(let change) = step, change.cause.time > latest ?? 0 {
        latest = change.cause.time
      }
    }
    // Clocks are information only, and one that is far off must not stop the mirror.
    return latest.flatMap { Timestamp(milliseconds: $0) == nil ? nil : $0 }
  }
}

extension ServerError {
  /// Whether the checkpoint was not where it should have been moved from.
  var isMissedUpdate: Bool { sqlState == "22012" }
}
