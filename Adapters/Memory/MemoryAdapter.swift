import HeadwaterModel
import HeadwaterStream
import Synchronization

/// Keeps a mirror in memory, as an index that a program queries and observes.
///
/// Everything may be called from anywhere. Readers see whole batches only, and a `MemorySnapshot` stays as it is
/// while the mirror goes on. What it holds is gone with the process: the next one fills it anew.
public final class MemoryAdapter: RowInventory {
  struct State: Sendable {
    var checkpoint: Checkpoint?
    var published: Generation?
    /// What `published` is at; differs from `checkpoint` while another generation is filled.
    var publishedAt: Checkpoint?
    var open: Generation?
  }

  private let state: Mutex<State>
  private let observers = Mutex<[WeakObserver]>([])

  private struct WeakObserver: Sendable {
    weak let observer: MemoryObserver?
  }

  /// An empty sink.
  public init() { state = Mutex(State()) }

  private init(_ state: State) { self.state = Mutex(state) }

  /// A sink that holds what this one holds now and is independent of it. Takes constant time.
  public func copy() -> MemoryAdapter { MemoryAdapter(state.withLock { $0 }) }

  // MARK: - Reading

  /// All rows as they are now; nil before the first generation is published. Takes constant time.
  public func snapshot() -> MemorySnapshot? {
    state.withLock { state in
      guard let generation = state.published, let checkpoint = state.publishedAt else { return nil }
      return MemorySnapshot(generation: generation, checkpoint: checkpoint)
    }
  }

  /// The row with that key as it is now.
  public func row(_ collection: String, _ key: Key) -> MemoryRow? {
    snapshot()?[collection]?[key]
  }

  /// What changes from now on, of one collection or of all.
  ///
  /// The first element is the snapshot that the changes go on from. An observer that falls behind by more than
  /// `limit` changes loses them and finds a snapshot in their place: it never holds up the mirror, and never
  /// takes more memory than that.
  public func changes(of collection: String? = nil, limit: Int = 10_000) -> MemoryChanges {
    let observer = MemoryObserver(collection: collection, limit: limit)
    // Under the lock of the state: no batch comes between the snapshot and the first change.
    state.withLock { state in
      observers.withLock { list in
        list.removeAll { $0.observer == nil }
        list.append(WeakObserver(observer: observer))
      }
      if let generation = state.published, let checkpoint = state.publishedAt {
        observer.replace(
          with: MemorySnapshot(generation: generation, checkpoint: checkpoint), .started)
      }
    }
    return MemoryChanges(observer: observer)
  }

  // MARK: - Adapter

  public func checkpoint() async throws(AdapterError) -> Checkpoint? {
    state.withLock { $0.checkpoint }
  }

  public func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    let error: AdapterError? = state.withLock { state in
      if state.checkpoint == batch.checkpoint { return nil }
      guard state.checkpoint == batch.previous else { return MemoryAdapter.diverged }
      if let error = MemoryAdapter.check(batch, state) { return error }
      perform(batch, in: &state)
      return nil
    }
    if let error { throw error }
  }

  private static let diverged = AdapterError(
    .diverged, "The memory holds another checkpoint than the batch continues.", recovery: .halt)

  /// What stands in the way of performing all of the batch; nothing does afterwards.
  private static func check(_ batch: ChangeBatch, _ state: State) -> AdapterError? {
    var open = state.open?.number
    var target = state.open?.schema ?? state.published?.schema
    func misuse(_ text: String) -> AdapterError { AdapterError(.misuse, text, recovery: .halt) }
    for step in batch.steps {
      switch step {
      case .begin(let generation):
        guard generation > state.published?.number ?? 0 else {
          return misuse("Generation \(generation) is not later than the published one.")
        }
        open = generation
        target = batch.schema
      case .publish(let generation):
        guard open == generation else { return misuse("Generation \(generation) is not open.") }
        open = nil
      case .migrate(let old, let new):
        guard target == old else {
          return misuse("The rows do not have the schema to migrate from.")
        }
        target = new
      case .change(let change):
        guard let schema = target, schema.collections.indices.contains(change.collection),
          change.after?.values.count ?? schema.collections[change.collection].fields.count
            == schema.collections[change.collection].fields.count
        else { return misuse("A change does not fit the schema of the rows.") }
      }
    }
    return nil
  }

  private func perform(_ batch: ChangeBatch, in state: inout State) {
    var visible: [Change] = []
    var isReplaced = false
    for step in batch.steps {
      switch step {
      case .begin(let generation):
        state.open = Generation(number: generation, schema: batch.schema)
      case .publish:
        state.published = state.open
        state.open = nil
        isReplaced = true
      case .migrate(_, let new):
        if state.open != nil {
          state.open!.migrate(to: new)
        } else {
          state.published?.migrate(to: new)
          isReplaced = true
        }
      case .change(let change):
        if state.open != nil {
          state.open!.apply(change)
        } else {
          state.published?.apply(change)
          visible.append(change)
        }
      }
    }
    state.checkpoint = batch.checkpoint
    guard state.open == nil else { return }
    state.publishedAt = batch.checkpoint
    tell(visible, isReplaced, state)
  }

  private func tell(_ changes: [Change], _ isReplaced: Bool, _ state: State) {
    guard let generation = state.published, let checkpoint = state.publishedAt else { return }
    let listening = observers.withLock { list in
      list.removeAll { $0.observer == nil }
      return list.compactMap(\.observer)
    }
    guard !listening.isEmpty else { return }
    let snapshot = MemorySnapshot(generation: generation, checkpoint: checkpoint)
    for observer in listening {
      if isReplaced {
        observer.replace(with: snapshot, .replaced)
      } else {
        observer.add(changes, snapshot)
      }
    }
  }

  // MARK: - RowInventory

  public func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    let generation = state.withLock { $0.published }
    guard let generation, generation.tables.indices.contains(collection) else { return [] }
    var rows: [Row] = []
    // Nothing stands between a key and the same key followed by a zero byte.
    let start = key.map { KeyEncoding.encode($0) + [0] }
    generation.tables[collection].rows.forEach(from: start, below: nil) { _, row in
      guard rows.count < limit else { return false }
      rows.append(row)
      return true
    }
    return rows
  }

  public func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    let isDone = state.withLock { state in
      guard state.checkpoint == checkpoint, state.open == nil, state.published != nil else {
        return false
      }
      for change in changes { state.published!.apply(change) }
      tell([], true, state)
      return true
    }
    guard isDone else { throw MemoryAdapter.diverged }
  }
}
