import HeadwaterModel
import HeadwaterStream

/// What document sinks have to say alike.
package enum SinkErrors {
  package static let noSuchCollection = AdapterError(
    .misuse, "A change names a collection that its schema does not have.", recovery: .halt)
  package static let noGeneration = AdapterError(
    .misuse, "A change came before any generation was begun.", recovery: .halt)
  package static let nothingToRepair = AdapterError(
    .misuse,
    "Only a published generation can be repaired, and none is, or a new one is being filled.",
    recovery: .halt)
  package static let migrate = AdapterError(
    .unsupported,
    "Documents are not brought to another schema in place yet: a new generation has them.",
    recovery: .rebuild)

  package static func published(_ generation: Int64) -> AdapterError {
    AdapterError(
      .misuse, "Generation \(generation) is published and cannot be begun again.", recovery: .halt)
  }

  package static func notBegun(_ generation: Int64) -> AdapterError {
    AdapterError(
      .misuse, "Generation \(generation) was not begun and cannot be published.", recovery: .halt)
  }

  package static func misfit(_ collection: String) -> AdapterError {
    AdapterError(
      .misuse, "A row for \(collection) does not have the types of the schema it came with.",
      recovery: .halt)
  }

  package static func movedOn(_ sink: String) -> AdapterError {
    AdapterError(
      .diverged, "\(sink) has moved on since it was compared: compare again.", recovery: .retry)
  }

  package static func altered(_ sink: String) -> AdapterError {
    AdapterError(
      .damaged,
      "\(sink) does not hold what the mirror made there: somebody changed it, and a new generation "
        + "will mend it.", recovery: .rebuild)
  }

  package static func damagedDocument(_ collection: String, _ reason: String) -> AdapterError {
    AdapterError(
      .damaged,
      "\(collection) holds a document that no mirror wrote (\(reason)): somebody changed it, and a "
        + "new generation will mend it.", recovery: .rebuild)
  }

  package static func unreadableCheckpoint(_ sink: String) -> AdapterError {
    AdapterError(
      .damaged, "The checkpoint in \(sink) cannot be read: delete it and mirror again.",
      recovery: .halt)
  }

  /// What it means that the sink holds `stored` where the batch does not continue it.
  package static func diverged(_ sink: String, _ stored: [UInt8]?, _ batch: ChangeBatch)
    -> AdapterError
  {
    guard let stored else {
      return AdapterError(
        .diverged,
        "\(sink) holds no checkpoint, and the batch continues one: was it replaced?",
        recovery: .rebuild)
    }
    let ours = batch.checkpoint
    guard let held = try? Checkpoint(canonicalBytes: stored) else {
      return unreadableCheckpoint(sink)
    }
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
        "\(sink) is at position \(held.position) of generation \(held.generation), where the batch "
          + "does not continue: does another process write to it?", recovery: .rebuild)
    }
    return AdapterError(
      .diverged, "\(sink) belongs to \(what): give this mirror a place of its own.",
      recovery: .halt)
  }
}
