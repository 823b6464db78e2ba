import AdapterContract
import HeadwaterMemory
import HeadwaterModel
import HeadwaterStream
import Synchronization
import Testing

/// What an adapter may get wrong. The kit is worth as much as it notices.
enum Defect: String, CaseIterable, Sendable {
  case ignoresFence
  case refusesReplay
  case losesCheckpointOnReopen
  case dropsDeletes
  case insertsOnly
  case publishesAtOnce
  case neverPublishes
  case keepsOldRowsInNewGeneration
  case appliesHalfOfAFailedBatch
  case ignoresMigration
  case composesText
  case losesEmptyRecords
  case roundsFloats
  case listsInArrivalOrder
  case trimsText
}

/// A memory adapter with one defect.
final class Saboteur: RowInventory {
  private let base: MemoryAdapter
  private let defect: Defect
  private let moved = Mutex(false)

  init(_ base: MemoryAdapter, _ defect: Defect) {
    self.base = base
    self.defect = defect
  }

  func checkpoint() async throws(AdapterError) -> Checkpoint? {
    if defect == .losesCheckpointOnReopen, !moved.withLock({ $0 }) { return nil }
    return try await base.checkpoint()
  }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    moved.withLock { $0 = true }
    let stored = try await base.checkpoint()
    var previous = batch.previous
    var steps = batch.steps
    switch defect {
    case .ignoresFence: previous = stored
    case .refusesReplay where stored == batch.checkpoint:
      throw AdapterError(.misuse, "applied twice", recovery: .halt)
    case .losesCheckpointOnReopen: previous = stored
    case .dropsDeletes:
      steps.removeAll { if case .change(let change) = $0 { change.isDelete } else { false } }
    case .insertsOnly:
      var kept: [ChangeBatch.Step] = []
      for step in steps {
        if case .change(let change) = step, change.before == nil, change.after != nil,
          let name = base.snapshot()?.schema.collections[change.collection].name,
          base.row(name, change.key) != nil
        {
          continue
        }
        kept.append(step)
      }
      steps = kept
    case .publishesAtOnce:
      steps = steps.flatMap { step -> [ChangeBatch.Step] in
        switch step {
        case .begin(let generation): [step, .publish(generation: generation)]
        case .publish: []
        default: [step]
        }
      }
    case .neverPublishes:
      if stored != nil {
        steps.removeAll { if case .publish(2...) = $0 { true } else { false } }
      }
    case .keepsOldRowsInNewGeneration:
      if let snapshot = base.snapshot() {
        steps = steps.flatMap { step -> [ChangeBatch.Step] in
          guard case .begin = step, snapshot.schema == batch.schema else { return [step] }
          let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)
          return [step]
            + snapshot.schema.collections.enumerated().flatMap { index, collection in
              snapshot[collection.name]!.rows().map {
                .change(
                  Change(
                    collection: index, key: $0.key, before: nil, after: $0.row, cause: cause))
              }
            }
        }
      }
    case .appliesHalfOfAFailedBatch:
      do throws(AdapterError) {
        return try await base.apply(batch)
      } catch {
        if error.code == .misuse {
          let half = ChangeBatch(
            previous: batch.previous, steps: Array(batch.steps.prefix(1)),
            checkpoint: batch.previous ?? batch.checkpoint, schema: batch.schema)
          for case .change(let change) in half.steps {
            try await base.repair([change], schema: batch.schema, at: stored!)
          }
        }
        throw error
      }
    case .ignoresMigration:
      if steps.contains(where: { if case .migrate = $0 { true } else { false } }) { steps = [] }
    default: break
    }
    try await base.apply(
      ChangeBatch(
        previous: previous, steps: steps, checkpoint: batch.checkpoint, schema: batch.schema))
  }

  func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    var rows = try await base.rows(of: collection, in: schema, after: key, limit: limit)
    if defect == .listsInArrivalOrder { rows.reverse() }
    return rows.map { row in Row(row.values.map { $0.flatMap(altered) }) }
  }

  private func altered(_ value: Value) -> Value? {
    switch (defect, value) {
    case (.composesText, .text("e\u{301}")): .text("\u{E9}")
    case (.losesEmptyRecords, .record(let values)) where values.allSatisfy { $0 == nil }: nil
    case (.roundsFloats, .float(let number)) where number.isFinite: .float(Double(Float(number)))
    case (.trimsText, .text("trailing ")), (.trimsText, .text("  two  ")): .text("two")
    default: value
    }
  }

  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    try await base.repair(changes, schema: schema, at: checkpoint)
  }
}

struct SabotagedSubject: ContractSubject {
  let defect: Defect

  struct Sink: ContractSink {
    let adapter: MemoryAdapter
    let defect: Defect

    func open() async throws -> any Adapter { Saboteur(adapter, defect) }
    func copy() async throws -> (any ContractSink)? {
      Sink(adapter: adapter.copy(), defect: defect)
    }
  }

  func makeSink() async throws -> any ContractSink {
    Sink(adapter: MemoryAdapter(), defect: defect)
  }
}

@Test(.timeLimit(.minutes(10)), arguments: Defect.allCases)
func `the kit notices each defect`(_ defect: Defect) async {
  var noticed: [String] = []
  for item in AdapterContract.cases where !item.name.hasPrefix("random.") {
    do {
      try await item.run(on: SabotagedSubject(defect: defect))
    } catch {
      noticed.append(item.name)
      break
    }
  }
  #expect(!noticed.isEmpty, "no case noticed \(defect)")
}
