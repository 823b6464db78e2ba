import AdapterContract
import HeadwaterMemory
import HeadwaterModel
import HeadwaterStream
import Testing

/// What an adapter may get wrong on the paths that only some batches take, and the case that has to notice.
enum PathDefect: String, CaseIterable, Sendable {
  case checksUniqueAtOnce
  case takesAbsentForEqual
  case checksReferencesAtOnce
  case cutsLargeBatches
  case keepsRowsThatLargeBatchesDelete
  case refusesReplayOfLargeBatches
  case tearsLargeBatches
  case keepsOldRowOfAKeyThatIsTaken
  case readsEscapesInJSON
  case foldsCompatibleLetters
  case replacesNoncharacters
  case refusesLongIndexedTexts
  case comparesKeysByTheirBeginning

  var noticedBy: String {
    switch self {
    case .checksUniqueAtOnce: "rows.unique-rotates"
    case .takesAbsentForEqual: "rows.unique-absent"
    case .checksReferencesAtOnce: "rows.reference-chain"
    case .cutsLargeBatches, .keepsRowsThatLargeBatchesDelete: "large.equals-small"
    case .refusesReplayOfLargeBatches: "large.lost-acknowledgement"
    case .tearsLargeBatches: "large.crash-within"
    case .keepsOldRowOfAKeyThatIsTaken: "rows.key-chain"
    case .readsEscapesInJSON, .foldsCompatibleLetters, .replacesNoncharacters: "text.extremes"
    case .refusesLongIndexedTexts: "text.long-index"
    case .comparesKeysByTheirBeginning: "text.long-keys"
    }
  }
}

/// A memory adapter with one such defect.
private struct PathSaboteur: RowInventory {
  let base: MemoryAdapter
  let defect: PathDefect
  var tears = false

  private static let refusal = AdapterError(.damaged, "A row does not fit.", recovery: .halt)

  func checkpoint() async throws(AdapterError) -> Checkpoint? { try await base.checkpoint() }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    let stored = try await base.checkpoint()
    var steps = batch.steps
    let changes = steps.compactMap { if case .change(let change) = $0 { change } else { nil } }
    let isTail = batch.previous?.isPublished == true
    switch defect {
    case .checksUniqueAtOnce where isTail, .takesAbsentForEqual where isTail,
      .checksReferencesAtOnce where isTail:
      guard stored != batch.checkpoint else { break }
      for change in changes {
        // Each row against what is there before the batch, as it would be checked when it comes first.
        guard fits(change, batch.schema) else { throw PathSaboteur.refusal }
      }
    case .cutsLargeBatches: steps = Array(steps.prefix(8_192))
    case .keepsRowsThatLargeBatchesDelete where changes.count >= 5_000:
      steps.removeAll { if case .change(let change) = $0 { change.isDelete } else { false } }
    case .refusesReplayOfLargeBatches where changes.count >= 5_000 && stored == batch.checkpoint:
      throw PathSaboteur.refusal
    case .tearsLargeBatches where tears && changes.count >= 500:
      guard let stored else { break }
      try await base.repair(
        Array(changes.prefix(changes.count / 2)), schema: batch.schema, at: stored)
      throw PathSaboteur.refusal
    case .keepsOldRowOfAKeyThatIsTaken where isTail:
      steps.removeAll { step in
        guard case .change(let change) = step, change.after != nil, change.before != nil else {
          return false
        }
        return change.after?[0] != nil && changes.count > 15
      }
    case .refusesLongIndexedTexts:
      for change in changes {
        for case .text(let text)? in change.after?.values ?? [] where text.utf8.count > 2_704 {
          throw PathSaboteur.refusal
        }
      }
    case .comparesKeysByTheirBeginning:
      for change in changes {
        for value in change.key.values {
          if case .text(let text) = value, text.utf8.count > 255 { throw PathSaboteur.refusal }
        }
      }
    default: break
    }
    try await base.apply(
      ChangeBatch(
        previous: batch.previous, steps: steps, checkpoint: batch.checkpoint, schema: batch.schema))
  }

  private func fits(_ change: Change, _ schema: Schema) -> Bool {
    guard let row = change.after, let snapshot = base.snapshot() else { return true }
    let collection = schema.collections[change.collection]
    for (index, field) in collection.fields.enumerated() {
      switch (defect, field.type) {
      case (.checksReferencesAtOnce, .reference(let name)),
        (.checksReferencesAtOnce, .optional(.reference(let name))):
        guard case .reference(let key)? = row[index], key != change.key else { continue }
        if snapshot[name]?[key] == nil { return false }
      default:
        guard field.isUnique, row[index] != nil || defect == .takesAbsentForEqual else { continue }
        guard let others = snapshot[collection.name]?.rows() else { continue }
        for other in others where other.key != change.key && other.row[index] == row[index] {
          return false
        }
      }
    }
    return true
  }

  func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    try await base.rows(of: collection, in: schema, after: key, limit: limit)
      .map { row in Row(row.values.map { $0.map(altered) }) }
  }

  private func altered(_ value: Value) -> Value {
    switch (defect, value) {
    case (.readsEscapesInJSON, .json(.object(let members))):
      return .json(
        .object(
          members.map { member in
            if case .string("\\ud83d\\ude00") = member.value {
              return JSON.Member(member.name, .string("\u{1F600}"))
            }
            return member
          }))
    case (.foldsCompatibleLetters, .text("ﬁ")): return .text("fi")
    case (.replacesNoncharacters, .text("\u{FFFF}")): return .text("\u{FFFD}")
    default: return value
    }
  }

  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    try await base.repair(changes, schema: schema, at: checkpoint)
  }
}

private struct PathSabotagedSubject: ContractSubject {
  let defect: PathDefect

  struct Sink: ContractSink {
    let adapter: MemoryAdapter
    let defect: PathDefect

    func open() async throws -> any Adapter { PathSaboteur(base: adapter, defect: defect) }

    func openCrashing(at point: Int) async throws -> (any Adapter)? {
      PathSaboteur(base: adapter, defect: defect, tears: true)
    }
  }

  func makeSink() async throws -> any ContractSink {
    Sink(adapter: MemoryAdapter(), defect: defect)
  }
}

@Test(arguments: PathDefect.allCases)
func `the case that is there for it notices each defect of a path`(_ defect: PathDefect)
  async throws
{
  let item = try #require(AdapterContract.case(named: defect.noticedBy))
  await #expect {
    try await item.run(on: PathSabotagedSubject(defect: defect))
  } throws: { error in
    // Not because the case itself is wrong.
    error is ContractViolation || error is MirrorError
  }
}
