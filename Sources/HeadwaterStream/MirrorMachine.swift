import HeadwaterModel

/// Decides what a mirror does next. A value: it reads no clock, awaits nothing and throws no dice.
///
/// `next()` says what to do and `receive(_:)` takes what came of it. After every failure of the adapter the
/// machine reads the sink's checkpoint again and decides as on start: only the sink knows what was committed.
struct MirrorMachine: Sendable {
  enum Action: Sendable {
    case readCheckpoint
    case recognise(Checkpoint)
    case readHead
    case readSchema(Digest)
    case readRows(after: RowPosition?, limit: Int)
    case readTransactions(after: Int64, limit: Int)
    case apply(ChangeBatch)
    /// All is applied: wait for events after the position.
    case idle(after: Int64)
    /// Wait before attempt number `attempt + 1`.
    case pause(attempt: Int)
    case halt(MirrorError)
  }

  enum Event: Sendable {
    case checkpoint(Checkpoint?)
    case recognised(Recognition)
    case head(SourceHead)
    case schema(Schema?)
    case rows(RowPage)
    case transactions(TransactionPage)
    case applied
    /// The wait of `idle` or `pause` is over.
    case woken
    case adapterFailed(AdapterError)
    case sourceFailed(SourceError)
  }

  private indirect enum State: Sendable {
    case starting
    case recognising(Checkpoint)
    /// The checkpoint is known; is the newest moment that its snapshot shows known too?
    case recognisingSeen(Checkpoint)
    case resuming(Checkpoint)
    case opening(previous: Checkpoint?)
    case openingAt(SourceHead, previous: Checkpoint?)
    case standing(Checkpoint, Schema)
    case applying(ChangeBatch)
    case pausing(then: State)
    case halted(MirrorError)
  }

  let name: String
  let options: MirrorOptions
  private var state = State.starting
  /// What was read and is not applied yet.
  private var pending: ArraySlice<Transaction> = []
  /// How many of `pending` the batch being applied takes.
  private var taken = 0
  private var atHead = false
  private var pageLimit: Int
  private var batchLimit: Int
  /// Failures that ask for another attempt since something last succeeded.
  private var failures = 0
  /// New generations that the adapter asked for since it last applied changes to a published one.
  private var rebuilds = 0
  /// New generations begun since one was last published.
  private var restarts = 0
  /// What the sink should have held when it last said `.diverged`.
  private var refused: Checkpoint??
  private var contradictions = 0
  /// Whether the sink was seen to hold a checkpoint of this source's replica.
  private var isOurs = false
  /// A new generation is to be begun wherever the sink stands.
  private(set) var mustRebuild = false
  /// The last error, or why the generation that is being filled was begun.
  private(set) var note: String?
  /// The source's position when last seen.
  private(set) var headPosition: Int64?

  init(name: String, options: MirrorOptions) {
    self.name = name
    self.options = options
    pageLimit = min(options.initialPage, options.maximumPage)
    batchLimit = min(options.initialBatch, options.maximumBatch)
  }

  /// What the sink is known to hold; nil until that is known.
  var checkpoint: Checkpoint? {
    switch state {
    case .standing(let checkpoint, _), .resuming(let checkpoint): checkpoint
    case .applying(let batch): batch.previous
    case .opening(let previous), .openingAt(_, let previous): previous
    default: nil
    }
  }

  /// What the sink holds, where the mirror follows it and is free to do what comes next.
  var standing: Checkpoint? {
    if case .standing(let checkpoint, _) = state { return checkpoint }
    return nil
  }

  /// Forgets where the sink stands, so that the next thing is to read it.
  mutating func restart() {
    state = .starting
    pending = []
    taken = 0
    atHead = false
  }

  /// Begins a new generation as soon as the batch under way is done, wherever the sink stands.
  mutating func requestRebuild() {
    mustRebuild = true
    note = "asked for by the operator"
  }

  /// The page of rows that will be asked for when the batch being applied is done; nil where that is not known.
  var nextRows: (after: RowPosition?, limit: Int)? {
    guard case .applying(let batch) = state, !mustRebuild,
      case .snapshot(_, .rows(let last?)) = batch.checkpoint.phase
    else { return nil }
    return (last, pageLimit)
  }

  // MARK: - What to do

  /// The next action; the same again until its outcome is received.
  mutating func next() -> Action {
    if mustRebuild, case .standing = state { restart() }
    switch state {
    case .starting: return .readCheckpoint
    case .recognising(let checkpoint): return .recognise(checkpoint)
    case .recognisingSeen(let checkpoint): return .recognise(checkpoint.atSeen)
    case .resuming(let checkpoint): return .readSchema(checkpoint.schema)
    case .opening: return .readHead
    case .openingAt(let head, _): return .readSchema(head.schema)
    case .applying(let batch): return .apply(batch)
    case .pausing: return .pause(attempt: max(failures, restarts, contradictions, 1))
    case .halted(let error): return .halt(error)
    case .standing(let checkpoint, let schema):
      switch checkpoint.phase {
      case .snapshot(_, .rows(let last)): return .readRows(after: last, limit: pageLimit)
      case .snapshot(let generation, .catchingUp(let until)):
        if pending.isEmpty, checkpoint.position >= until {
          return apply(
            [.publish(generation: generation)], to: checkpoint, schema,
            phase: .tail(generation: generation))
        }
        return continueTail(from: checkpoint, schema)
      case .tail: return continueTail(from: checkpoint, schema)
      }
    }
  }

  private mutating func continueTail(from checkpoint: Checkpoint, _ schema: Schema) -> Action {
    if !pending.isEmpty { return applyPending(to: checkpoint, schema) }
    if atHead { return .idle(after: checkpoint.position) }
    return .readTransactions(after: checkpoint.position, limit: batchLimit)
  }

  private mutating func apply(
    _ steps: [ChangeBatch.Step], to checkpoint: Checkpoint, _ schema: Schema,
    phase: Checkpoint.Phase, at head: SourceHead? = nil, seen: StreamPoint? = nil
  ) -> Action {
    let next = Checkpoint(
      database: checkpoint.database, replica: checkpoint.replica, mirror: name, phase: phase,
      position: head?.position ?? checkpoint.position, digest: head?.digest ?? checkpoint.digest,
      frontier: head?.frontier ?? checkpoint.frontier, schema: head?.schema ?? checkpoint.schema,
      seen: seen)
    let batch = ChangeBatch(previous: checkpoint, steps: steps, checkpoint: next, schema: schema)
    state = .applying(batch)
    return .apply(batch)
  }

  /// The transactions that were read, up to a change of schema; or that change alone.
  private mutating func applyPending(to checkpoint: Checkpoint, _ schema: Schema) -> Action {
    let first = pending.first!
    if let newSchema = first.schemaChange {
      guard checkpoint.isPublished else {
        return reopen(from: checkpoint, because: "the schema changed while the snapshot was read")
      }
      taken = 1
      let changes = Coalescing.coalesce([first], keepingAll: true)
      return apply(
        [.migrate(from: schema, to: newSchema)] + changes.map(ChangeBatch.Step.change),
        to: checkpoint, newSchema, phase: checkpoint.phase, at: first.head)
    }
    let merged = options.mergesTransactions || !checkpoint.isPublished
    let group = pending.prefix(merged ? pending.count : 1).prefix { $0.schemaChange == nil }
    taken = group.count
    let changes = Coalescing.coalesce(group, keepingAll: !checkpoint.isPublished)
    return apply(
      changes.map(ChangeBatch.Step.change), to: checkpoint, schema, phase: checkpoint.phase,
      at: group.last!.head, seen: checkpoint.seen)
  }

  /// Begins the next generation in place of what the sink holds.
  private mutating func reopen(from checkpoint: Checkpoint, because reason: String) -> Action {
    open(after: checkpoint, because: reason)
    return next()
  }

  private mutating func open(after checkpoint: Checkpoint?, because reason: String?) {
    note = reason
    pending = []
    atHead = false
    state = .opening(previous: checkpoint)
    if restarts > 0 { state = .pausing(then: state) }
  }

  private mutating func halt(
    _ code: MirrorError.Code, _ message: String, _ cause: (any Error)? = nil
  ) {
    note = message
    state = .halted(MirrorError(code, message, cause: cause))
  }

  // MARK: - What came of it

  /// Takes the outcome of the action that `next()` returned.
  mutating func receive(_ event: Event) {
    switch (event, state) {
    case (.checkpoint(let stored), .starting): receive(stored)
    case (.recognised(let recognition), .recognising(let checkpoint)):
      receive(recognition, of: checkpoint)
    case (.recognised(let recognition), .recognisingSeen(let checkpoint)):
      // Trimmed only means that this replica once passed the point.
      if recognition == .resumable || recognition == .trimmed {
        state = .resuming(checkpoint)
      } else {
        open(
          after: checkpoint,
          because: "the snapshot holds rows of a stream that the source does not know any more")
      }
    case (.schema(let schema?), .resuming(let checkpoint)):
      state = .standing(checkpoint, schema)
    case (.schema(nil), .resuming(let checkpoint)):
      open(after: checkpoint, because: "the source does not know the schema of the sink's rows")
    case (.head(let head), .opening(let previous)):
      headPosition = head.position
      state = .openingAt(head, previous: previous)
    case (.schema(let schema), .openingAt(let head, let previous)):
      guard let schema else {
        return halt(
          .inconsistentSource, "The source lacks its own schema \(head.schema): verify the store.")
      }
      state = .applying(opening(schema, at: head, previous: previous))
    case (.rows(let page), .standing(let checkpoint, let schema)):
      receive(page, at: checkpoint, schema)
    case (.transactions(let page), .standing(let checkpoint, _)): receive(page, at: checkpoint)
    case (.applied, .applying(let batch)): applied(batch)
    case (.woken, .pausing(let next)): state = next
    case (.woken, .standing):
      atHead = false
      failures = 0
    case (.adapterFailed(let error), _): failed(error)
    case (.sourceFailed(let error), let current): failed(error, in: current)
    default: break  // what a request for a rebuild or a restart overtook
    }
  }

  private mutating func receive(_ stored: Checkpoint?) {
    if let expected = refused {
      refused = .none
      contradictions = expected == stored ? contradictions + 1 : 0
      if contradictions >= 3 {
        return halt(
          .adapter,
          "The adapter refuses batches that continue its own checkpoint: it breaks its contract.")
      }
    }
    if let stored {
      state = .recognising(stored)
      if contradictions > 0 { state = .pausing(then: state) }
    } else {
      open(after: nil, because: nil)
    }
  }

  private mutating func receive(_ recognition: Recognition, of checkpoint: Checkpoint) {
    switch recognition {
    case .foreign:
      return halt(
        .foreignDatabase,
        "The sink holds a mirror of another database, \(checkpoint.database). "
          + "Name another sink, or empty this one."
      )
    case _ where checkpoint.mirror != name:
      return halt(
        .otherMirror,
        "The sink belongs to the mirror \"\(checkpoint.mirror)\", this one is \"\(name)\". "
          + "Use that name, or another sink."
      )
    case .otherReplica where isOurs:
      return halt(
        .otherReplica,
        "Another replica, \(checkpoint.replica), now writes to this sink. "
          + "Stop one of the two mirrors, or give each a sink of its own."
      )
    default: break
    }
    if recognition != .otherReplica { isOurs = true }
    if mustRebuild { return open(after: checkpoint, because: note) }
    switch recognition {
    case .resumable:
      let isMixed = checkpoint.seen != nil && !checkpoint.isPublished
      state = isMixed ? .recognisingSeen(checkpoint) : .resuming(checkpoint)
    case .trimmed:
      open(after: checkpoint, because: "the source no longer keeps the events that the sink lacks")
    case .unknown:
      open(
        after: checkpoint,
        because: "the sink is at no point of this source's stream: "
          + "one of the two was restored from a backup")
    case .otherReplica:
      open(
        after: checkpoint,
        because: "the sink was filled by another replica, \(checkpoint.replica)")
    case .foreign: break
    }
  }

  private func opening(_ schema: Schema, at head: SourceHead, previous: Checkpoint?) -> ChangeBatch
  {
    let generation = (previous?.generation ?? 0) + 1
    return ChangeBatch(
      previous: previous, steps: [.begin(generation: generation)],
      checkpoint: Checkpoint(
        database: head.database, replica: head.replica, mirror: name,
        phase: .snapshot(generation: generation, progress: .rows(upTo: nil)),
        position: head.position, digest: head.digest, frontier: head.frontier, schema: head.schema,
        seen: StreamPoint(position: head.position, digest: head.digest)),
      schema: schema)
  }

  private mutating func receive(_ page: RowPage, at checkpoint: Checkpoint, _ schema: Schema) {
    guard case .snapshot(let generation, .rows(let last)) = checkpoint.phase else { return }
    headPosition = page.head.position
    guard page.head.schema == checkpoint.schema else {
      return open(after: checkpoint, because: "the schema changed while the snapshot was read")
    }
    guard page.head.position >= (checkpoint.seen?.position ?? checkpoint.position) else {
      return open(after: checkpoint, because: "the source went back while the snapshot was read")
    }
    guard !page.steps.isEmpty || page.isLast else {
      return halt(
        .inconsistentSource, "The source returned an empty page of rows that is not the last.")
    }
    adapt(
      &pageLimit, count: page.steps.count, bytes: page.bytes, initial: options.initialPage,
      most: options.maximumPage)
    let progress: Checkpoint.SnapshotProgress =
      if page.isLast { .catchingUp(until: page.head.position) } else {
        .rows(upTo: page.last ?? last)
      }
    _ = apply(
      page.steps, to: checkpoint, schema,
      phase: .snapshot(generation: generation, progress: progress),
      seen: StreamPoint(position: page.head.position, digest: page.head.digest))
  }

  private mutating func receive(_ page: TransactionPage, at checkpoint: Checkpoint) {
    switch page {
    case .trimmed:
      open(after: checkpoint, because: "the source no longer keeps the events that the sink lacks")
    case .oversized(let changes):
      open(
        after: checkpoint,
        because: "a transaction of \(changes) changes is too large for a batch")
    case .transactions(let transactions):
      guard let last = transactions.last else {
        if case .snapshot(_, .catchingUp(let until)) = checkpoint.phase, checkpoint.position < until
        {
          return open(
            after: checkpoint, because: "the source went back while the snapshot was read")
        }
        atHead = true
        batchLimit = min(options.initialBatch, options.maximumBatch)
        return
      }
      var position = checkpoint.position
      for transaction in transactions {
        guard transaction.firstPosition == position + 1, transaction.head.position > position else {
          return halt(
            .inconsistentSource,
            "The source's events after \(position) go on at \(transaction.firstPosition): "
              + "verify the store.")
        }
        position = transaction.head.position
      }
      headPosition = max(headPosition ?? 0, last.head.position)
      pending = transactions[...]
      adapt(
        &batchLimit, to: transactions.lazy.flatMap(\.changes), initial: options.initialBatch,
        most: options.maximumBatch)
    }
  }

  private func adapt(
    _ limit: inout Int, to changes: some Sequence<Change>, initial: Int, most: Int
  ) {
    var count = 0
    var bytes = 0
    for change in changes {
      count += 1
      bytes += change.approximateSize
    }
    adapt(&limit, count: count, bytes: bytes, initial: initial, most: most)
  }

  /// Larger while pages come full, smaller where their rows are heavy.
  private func adapt(_ limit: inout Int, count: Int, bytes: Int, initial: Int, most: Int) {
    if bytes > options.batchBytes {
      limit = max(1, min(limit, count) / 4)
    } else if count < limit {
      limit = min(max(limit, 1), max(initial, 1), most)
    } else if bytes <= options.batchBytes / 2 {
      limit = min(limit * 2, most)
    }
  }

  private mutating func applied(_ batch: ChangeBatch) {
    failures = 0
    contradictions = 0
    isOurs = true
    pending = pending.dropFirst(taken)
    taken = 0
    if !(batch.previous?.isPublished ?? false), batch.checkpoint.isPublished {
      restarts = 0
      note = nil
    } else if batch.checkpoint.isPublished {
      rebuilds = 0
    }
    if batch.steps.contains(where: { if case .begin = $0 { true } else { false } }) {
      mustRebuild = false
      restarts += 1
      pageLimit = min(options.initialPage, options.maximumPage)
    }
    state = .standing(batch.checkpoint, batch.schema)
  }

  private mutating func failed(_ error: AdapterError) {
    if case .halted = state { return }
    note = mustRebuild ? note : error.message
    if error.code == .diverged, case .applying(let batch) = state {
      refused = .some(batch.previous)
      return restart()
    }
    switch error.recovery {
    case .halt: halt(.adapter, error.message, error)
    case .retry: retry(then: .starting, after: error, .adapter, error.message)
    case .rebuild:
      rebuilds += 1
      guard rebuilds <= options.rebuildLimit else {
        return halt(
          .adapter,
          "\(rebuilds - 1) new generations in a row did not mend the sink. "
            + "The last error: \(error.message)",
          error)
      }
      restart()
      mustRebuild = true
    }
  }

  private mutating func failed(_ error: SourceError, in current: State) {
    guard error.isTransient else { return halt(.source, error.message, error) }
    note = error.message
    retry(then: current, after: error, .source, error.message)
  }

  private mutating func retry(
    then next: State, after error: any Error, _ code: MirrorError.Code, _ message: String
  ) {
    failures += 1
    if let limit = options.retryLimit, failures > limit {
      return halt(code, "\(message) (after \(limit) more attempts)", error)
    }
    if case .starting = next { restart() }
    state = .pausing(then: next)
  }
}

extension Checkpoint {
  /// The newest moment that the snapshot shows, in the form in which a source recognises points.
  fileprivate var atSeen: Checkpoint {
    guard let seen else { return self }
    return Checkpoint(
      database: database, replica: replica, mirror: mirror, phase: phase, position: seen.position,
      digest: seen.digest, frontier: frontier, schema: schema, seen: seen)
  }
}
