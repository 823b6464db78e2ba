import AdapterContract
import HeadwaterModel
import HeadwaterStream
import Synchronization
import Testing

// The adapter of Docs/WritingAnAdapter.md. When one changes, change the other.

/// The simplest sink there is: a dictionary for each collection.
final class MinimalAdapter: RowInventory {
  struct Tables: Sendable {
    var schema: Schema
    var rows: [[Key: Row]]
  }

  struct Stored: Sendable {
    var checkpoint: Checkpoint?
    var published: Tables?
    var open: Tables?
  }

  /// What would be a file or a database.
  final class Sink: Sendable {
    let stored = Mutex(Stored())
  }

  private let sink: Sink

  init(_ sink: Sink) { self.sink = sink }

  func checkpoint() async throws(AdapterError) -> Checkpoint? {
    sink.stored.withLock { $0.checkpoint }
  }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    // The lock is the transaction: one at a time, and nothing is stored unless `perform` comes to its end.
    let error: AdapterError? = sink.stored.withLock { stored in
      if stored.checkpoint == batch.checkpoint { return nil }
      guard stored.checkpoint == batch.previous else { return Self.diverged }
      var next = stored
      if let error = Self.perform(batch, on: &next) { return error }
      next.checkpoint = batch.checkpoint
      stored = next
      return nil
    }
    if let error { throw error }
  }

  private static let diverged = AdapterError(
    .diverged, "The sink holds another checkpoint than the batch continues.", recovery: .halt)

  private static func perform(_ batch: ChangeBatch, on stored: inout Stored) -> AdapterError? {
    for step in batch.steps {
      switch step {
      case .begin:
        stored.open = Tables(
          schema: batch.schema, rows: batch.schema.collections.map { _ in [:] })
      case .publish:
        guard let open = stored.open else {
          return AdapterError(.misuse, "No generation is open.", recovery: .halt)
        }
        stored.published = open
        stored.open = nil
      case .migrate:
        return AdapterError(
          .unsupported, "This adapter fills new tables for a new schema.", recovery: .rebuild)
      case .change(let change):
        if stored.open != nil {
          stored.open!.rows[change.collection][change.key] = change.after
        } else {
          stored.published?.rows[change.collection][change.key] = change.after
        }
      }
    }
    return nil
  }

  func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    let rows = sink.stored.withLock { $0.published?.rows[collection] ?? [:] }
    let keys = rows.keys.sorted().drop { candidate in key.map { candidate <= $0 } ?? false }
    return keys.prefix(limit).map { rows[$0]! }
  }

  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    let isDone = sink.stored.withLock { stored in
      guard stored.checkpoint == checkpoint, stored.open == nil else { return false }
      for change in changes {
        stored.published?.rows[change.collection][change.key] = change.after
      }
      return true
    }
    if !isDone { throw Self.diverged }
  }
}

struct MinimalSubject: ContractSubject {
  struct Sink: ContractSink {
    let sink: MinimalAdapter.Sink

    func open() async throws -> any Adapter { MinimalAdapter(sink) }

    func copy() async throws -> (any ContractSink)? {
      let copy = MinimalAdapter.Sink()
      let stored = sink.stored.withLock { $0 }
      copy.stored.withLock { $0 = stored }
      return Sink(sink: copy)
    }
  }

  func makeSink() async throws -> any ContractSink { Sink(sink: MinimalAdapter.Sink()) }
}

@Test(arguments: AdapterContract.cases.filter { $0.name != "start.large" })
func `the minimal adapter keeps the contract`(_ item: AdapterContract.Case) async throws {
  try await item.run(on: MinimalSubject())
}
