import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream
import SQLiteDriver

extension Sink {
  /// `Adapter.apply`.
  func apply(_ batch: ChangeBatch) throws {
    let next = batch.checkpoint.canonicalBytes
    let previous = batch.previous?.canonicalBytes
    try write(foreignKeys: !batch.touchesGenerations) {
      let isSetUp = try catalogue.exists()
      let stored = isSetUp ? try catalogue.checkpoint() : nil
      if stored == next { return }
      guard stored == previous else { throw diverged(stored, batch) }
      if !isSetUp { try catalogue.create() }
      try readLayout(checkpoint: stored)
      try perform(batch)
      try catalogue.store(batch.checkpoint, bytes: next)
      try noteLayout(checkpoint: next)
    }
  }

  private func perform(_ batch: ChangeBatch) throws {
    let plan = try plan(of: batch.schema)
    var changes: [Change] = []
    var published = false
    for step in batch.steps {
      if case .change(let change) = step {
        changes.append(change)
        continue
      }
      if !changes.isEmpty {
        try write(changes, plan)
        changes = []
      }
      switch step {
      case .change: break
      case .begin(let generation): try begin(generation, plan)
      case .publish(let generation):
        try publish(generation, plan, checkpoint: batch.checkpoint)
        published = true
      case .migrate:
        throw AdapterError(
          .unsupported,
          "The SQLite mirror does not change tables in place yet: a new generation has them.",
          recovery: .rebuild)
      }
    }
    if !changes.isEmpty { try write(changes, plan) }
    if published { try checkForeignKeys(plan) }
  }

  private func diverged(_ stored: [UInt8]?, _ batch: ChangeBatch) -> AdapterError {
    guard let stored else {
      return AdapterError(
        .diverged,
        "\(connection.path) holds no checkpoint, and the batch continues one: was the file replaced?",
        recovery: .rebuild)
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
        "\(connection.path) is at position \(held.position) of generation \(held.generation), where "
          + "the batch does not continue: does another process write to it?", recovery: .rebuild)
    }
    return AdapterError(
      .diverged, "\(connection.path) belongs to \(what): give this mirror a file of its own.",
      recovery: .halt)
  }

  func unreadableCheckpoint() -> AdapterError {
    AdapterError(
      .damaged,
      "The checkpoint in \(connection.path) cannot be read: delete the file and mirror again.",
      recovery: .halt)
  }
}

extension ChangeBatch {
  /// Whether tables that readers do not see are made, filled or published, so that SQLite must not follow foreign
  /// keys. Decided by the batch alone, because the fence makes sure that the file is where the batch says.
  fileprivate var touchesGenerations: Bool {
    if let previous, !previous.isPublished { return true }
    if !checkpoint.isPublished { return true }
    return steps.contains {
      switch $0 {
      case .begin, .publish, .migrate: true
      case .change: false
      }
    }
  }
}
