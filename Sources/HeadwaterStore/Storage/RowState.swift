import HeadwaterLog
import HeadwaterModel

/// What an operation does to one row, all its changes of the row together.
struct TouchKinds: OptionSet, Sendable, Hashable {
  let rawValue: Int64

  /// A create that no later change of the operation deletes.
  static let survivingCreate = TouchKinds(rawValue: 1)
  static let update = TouchKinds(rawValue: 2)
  static let delete = TouchKinds(rawValue: 4)
  static let create = TouchKinds(rawValue: 8)

  /// Adds the next change of the row.
  mutating func add(_ kind: RowChange.Kind) {
    switch kind {
    case .create: formUnion([.create, .survivingCreate])
    case .update: insert(.update)
    case .delete:
      insert(.delete)
      remove(.survivingCreate)
    }
  }
}

/// One row as the store folds it. Mutable, shared within one engine, written back by `RowTable.flush`.
final class RowState {
  /// Local, ascending in order of first appearance.
  let number: Int64
  let collection: Int
  /// Collection and key.
  let storageKey: StorageKey
  /// Whether a create is valid and not deleted.
  @exclusivity(unchecked) var isLive = false
  /// Whether it is live and everything that it must refer to is visible.
  @exclusivity(unchecked) var isVisible = false
  /// The canonically last live create; of a row that is not live, the first operation that touched it.
  @exclusivity(unchecked) var creator: Int64
  /// All live creates, in order of arrival. Usually the creator alone.
  @exclusivity(unchecked) var creates: [Int64] = []
  /// The folded value of each slot, references not masked, defaults not applied.
  @exclusivity(unchecked) var values: [Value?]
  /// The operation that assigned each slot; 0 where none did.
  @exclusivity(unchecked) var stamps: [Int64]
  /// The slots with `@onDelete(null)` whose target is not visible, ascending.
  @exclusivity(unchecked) var masked: [Int] = []
  /// Whether the table `touch` has the row's history; otherwise `creator` is all of it.
  @exclusivity(unchecked) var hasTouches = false
  /// What `creator` did to the row, while it is the only operation that touched it.
  @exclusivity(unchecked) var firstKinds: TouchKinds = []

  var isNew: Bool
  @exclusivity(unchecked) var isDirty = false
  /// The operation during which `before` was taken.
  @exclusivity(unchecked) var mark: Int64 = 0
  @exclusivity(unchecked) var before: [Value?]?
  /// Whether the row did not exist before the operation `mark`.
  @exclusivity(unchecked) var isFresh = false

  init(number: Int64, collection: Int, storageKey: StorageKey, slotCount: Int, creator: Int64) {
    self.number = number
    self.collection = collection
    self.storageKey = storageKey
    self.creator = creator
    values = Array(repeating: nil, count: slotCount)
    stamps = Array(repeating: 0, count: slotCount)
    isNew = true
  }

  /// Assigns slots that nobody has assigned: the first assignment of a register is its value.
  func assign(_ assignments: [Assignment], stamp: Int64) {
    // One access for all slots, because each access of a stored array is checked for exclusivity.
    values.withUnsafeMutableBufferPointer { values in
      stamps.withUnsafeMutableBufferPointer { stamps in
        for assignment in assignments {
          guard case .set(let value) = assignment.change else { continue }
          values[assignment.slot] = value
          stamps[assignment.slot] = stamp
        }
      }
    }
  }

  /// Forgets everything folded.
  func clear() {
    isLive = false
    creates = []
    for index in values.indices {
      values[index] = nil
      stamps[index] = 0
    }
  }
}
