import HeadwaterModel

/// Compares a sink's rows with its source's, page by page in key order.
///
/// A page of the source is of a later moment than the sink's checkpoint; the events in between say how the
/// source's rows read at that checkpoint, and exactly that is compared.
struct Verifier: Sendable {
  struct Result: Sendable {
    var verification: Verification
    /// What repairs the sink, if all pages were compared at one checkpoint and there are few enough.
    var changes: [Change]?
    var checkpoint: Checkpoint?
  }

  let name: String
  let source: any ChangeSource
  let inventory: any RowInventory
  let options: MirrorOptions

  private static let pageSize = 1_000
  /// How often in a row a page may be overtaken by what else writes to the sink.
  private static let attempts = 50

  /// How rows read at the sink's checkpoint that have changed since.
  struct Overlay {
    /// The rows that changed since, as they were; nil for those that were not there.
    private(set) var before: [[UInt8]: (key: Key, row: Row?)]
    private(set) var position: Int64

    init(position: Int64) {
      before = [:]
      self.position = position
    }

    mutating func note(_ transaction: Transaction) {
      for change in transaction.changes {
        let order = Verifier.order(change.collection, change.key)
        if before[order] == nil { before[order] = (change.key, change.before) }
      }
      position = transaction.head.position
    }
  }

  private struct Moved: Error {}

  /// - Parameters:
  ///   - keepingRows: up to how many rows that differ are kept for a repair.
  ///   - isRepairing: whether rows are repaired as soon as there are enough for a batch, however many there are: a
  ///     table may have lost all of its rows. What is left is kept.
  func run(keepingRows: Int? = nil, isRepairing: Bool = false) async throws -> Result {
    var (checkpoint, schema) = try await stand()
    var overlay = Overlay(position: checkpoint.position)
    var result = Result(
      verification: Verification(schema: schema, position: checkpoint.position),
      changes: keepingRows == nil ? nil : [], checkpoint: checkpoint)
    var collection = 0
    var sinkAfter: Key?
    var sourceAfter: RowPosition?
    var failures = 0
    while collection < schema.collections.count {
      try Task.checkCancellation()
      do {
        let page = try await page(
          of: collection, schema, sinkAfter, sourceAfter, at: checkpoint, &overlay)
        failures = 0
        compare(page, collection, &result, keepingRows)
        if isRepairing, let changes = result.changes, changes.count >= options.maximumPage {
          try await repair(changes, schema, at: checkpoint)
          result.changes = []
        }
        if let last = page.last {
          sinkAfter = last
          sourceAfter = RowPosition(collection: collection, key: last)
        } else {
          if let end = page.end { sourceAfter = RowPosition(collection: collection, key: end) }
          sinkAfter = nil
          collection += 1
        }
      } catch is Moved {
        // The sink was written to, or the source is too far ahead to be read backwards: look again.
        failures += 1
        guard failures <= Verifier.attempts else {
          throw MirrorError(
            .notComparable,
            "The sink changes faster than it can be compared: stop what else writes to it.")
        }
        let old = schema
        (checkpoint, schema) = try await stand()
        guard old == schema else {
          throw MirrorError(
            .notComparable, "The schema changed during the comparison: compare again.")
        }
        overlay = Overlay(position: checkpoint.position)
        result.verification.position = checkpoint.position
        result.changes = nil
        result.checkpoint = nil
      } catch let error as MirrorError {
        guard let cause = error.cause as? AdapterError, cause.recovery == .rebuild else {
          throw error
        }
        // What a new generation mends is a difference, though not one of rows.
        result.verification.damage = cause.message
        result.changes = nil
        return result
      }
    }
    return result
  }

  private func repair(_ changes: [Change], _ schema: Schema, at checkpoint: Checkpoint) async throws
  {
    do throws(AdapterError) {
      try await inventory.repair(changes, schema: schema, at: checkpoint)
    } catch {
      if error.code == .diverged { throw Moved() }
      throw MirrorError(.adapter, error.message, cause: error)
    }
  }

  /// Where the sink stands, if that can be compared.
  func stand() async throws -> (Checkpoint, Schema) {
    let checkpoint = try await askSink { () async throws(AdapterError) in
      try await inventory.checkpoint()
    }
    guard let checkpoint, checkpoint.isPublished else {
      throw MirrorError(.notComparable, "The sink has no published rows yet: run the mirror first.")
    }
    let recognition = try await askSource { () async throws(SourceError) in
      try await source.recognise(checkpoint)
    }
    guard recognition != .foreign else {
      throw MirrorError(.foreignDatabase, "The sink holds a mirror of another database.")
    }
    guard checkpoint.mirror == name else {
      throw MirrorError(
        .otherMirror, "The sink belongs to the mirror \"\(checkpoint.mirror)\", not \"\(name)\".")
    }
    let schema = try await askSource { () async throws(SourceError) in
      try await source.schema(checkpoint.schema)
    }
    guard recognition == .resumable, let schema else {
      throw MirrorError(
        .notComparable, "The sink is at no point of the source's stream: run the mirror first.")
    }
    return (checkpoint, schema)
  }

  /// Rows of both sides with keys up to `last`, or to the end of the collection.
  struct Page {
    var expected: [(key: Key, order: [UInt8], row: Row)]
    var found: [(key: Key, order: [UInt8], row: Row)]
    /// Nil at the end of the collection.
    var last: Key?
    /// The greatest key that the source has in the page.
    var end: Key?
  }

  private func page(
    of collection: Int, _ schema: Schema, _ sinkAfter: Key?, _ sourceAfter: RowPosition?,
    at checkpoint: Checkpoint, _ overlay: inout Overlay
  ) async throws -> Page {
    let limit = Verifier.pageSize
    let rows = try await askSink { () async throws(AdapterError) in
      try await inventory.rows(of: collection, in: schema, after: sinkAfter, limit: limit)
    }
    let stored = try await askSink { () async throws(AdapterError) in
      try await inventory.checkpoint()
    }
    guard stored == checkpoint else { throw Moved() }
    let page = try await sourcePage(of: collection, after: sourceAfter)
    guard page.head.schema == checkpoint.schema else { throw Moved() }
    try await extend(&overlay, to: page.head)

    let start = sinkAfter.map(KeyEncoding.encode)
    let found = try keyed(rows, after: start, schema.collections[collection])
    let mine = page.rows.filter { $0.collection == collection }
    let sinkEnd = rows.count < limit ? nil : found.last
    // A page that reaches the next collection holds the rest of this one.
    let isRest = page.isLast || page.last.map { $0.collection > collection } ?? false
    let sourceEnd = isRest ? nil : mine.last.map { ($0.key, KeyEncoding.encode($0.key)) }
    var end: (key: Key, order: [UInt8])?
    if let sinkEnd { end = (sinkEnd.key, sinkEnd.order) }
    if let sourceEnd, end.map({ sourceEnd.1.lexicographicallyPrecedes($0.order) }) ?? true {
      end = sourceEnd
    }

    var result = Page(expected: [], found: [], last: end?.key, end: mine.last?.key)
    func isWithin(_ order: [UInt8]) -> Bool {
      if let end, end.order.lexicographicallyPrecedes(order) { return false }
      if let start { return start.lexicographicallyPrecedes(order) }
      return true
    }
    result.found = found.filter { isWithin($0.order) }
    for change in mine {
      guard let row = change.after else { continue }
      let order = KeyEncoding.encode(change.key)
      if isWithin(order), overlay.before[Verifier.order(collection, change.key)] == nil {
        result.expected.append((change.key, order, row))
      }
    }
    let prefix = Verifier.prefix(collection)
    for (order, old) in overlay.before where order.starts(with: prefix) {
      let order = Array(order.dropFirst(prefix.count))
      if let row = old.row, isWithin(order) { result.expected.append((old.key, order, row)) }
    }
    result.expected.sort { $0.order.lexicographicallyPrecedes($1.order) }
    return result
  }

  /// The sink's rows with their keys, which ascend: otherwise pages would never come to an end.
  private func keyed(_ rows: [Row], after start: [UInt8]?, _ collection: CollectionType) throws
    -> [(key: Key, order: [UInt8], row: Row)]
  {
    var result: [(key: Key, order: [UInt8], row: Row)] = []
    result.reserveCapacity(rows.count)
    var last = start
    for row in rows {
      guard let key = collection.key(of: row) else {
        throw MirrorError(.adapter, "The adapter lists a row of \(collection.name) without a key.")
      }
      let order = KeyEncoding.encode(key)
      guard last?.lexicographicallyPrecedes(order) ?? true else {
        throw MirrorError(
          .adapter,
          "The adapter lists the rows of \(collection.name) out of the order of their keys.")
      }
      result.append((key, order, row))
      last = order
    }
    return result
  }

  /// The first page that holds rows of the collection, or shows that there are none.
  private func sourcePage(of collection: Int, after position: RowPosition?) async throws -> RowPage
  {
    var position = position
    while true {
      let after = position
      let page = try await askSource { () async throws(SourceError) in
        try await source.rows(after: after, limit: Verifier.pageSize)
      }
      guard !page.isLast, let last = page.last, last.collection < collection else {
        return page
      }
      position = last
    }
  }

  /// Reads the events up to the moment of a page.
  private func extend(_ overlay: inout Overlay, to head: SourceHead) async throws {
    while overlay.position < head.position {
      let position = overlay.position
      let page = try await askSource { () async throws(SourceError) in
        try await source.transactions(
          after: position, limit: 1_000, maximumTransaction: options.maximumTransaction)
      }
      guard case .transactions(let transactions) = page, !transactions.isEmpty else {
        throw MirrorError(
          .notComparable,
          "The events between sink and source cannot be read one by one: run the mirror first.")
      }
      for transaction in transactions where transaction.head.position <= head.position {
        guard transaction.schemaChange == nil else { throw Moved() }
        overlay.note(transaction)
      }
      guard overlay.before.count <= 4 * options.maximumTransaction else {
        throw MirrorError(
          .notComparable, "The sink is too far behind the source: run the mirror first.")
      }
    }
  }

  private func compare(
    _ page: Page, _ collection: Int, _ result: inout Result, _ keepingRows: Int?
  ) {
    var index = 0
    var other = 0
    func note(_ kind: Verification.Difference.Kind, _ key: Key, _ before: Row?, _ after: Row?) {
      result.verification.note(kind, collection, key)
      guard let limit = keepingRows, let kept = result.changes else { return }
      guard kept.count < limit else {
        result.changes = nil
        return
      }
      let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)
      result.changes?.append(
        Change(collection: collection, key: key, before: before, after: after, cause: cause))
    }
    while index < page.expected.count || other < page.found.count {
      let mine = index < page.expected.count ? page.expected[index] : nil
      let theirs = other < page.found.count ? page.found[other] : nil
      if let mine, let theirs, mine.order == theirs.order {
        if mine.row != theirs.row { note(.different, mine.key, theirs.row, mine.row) }
        index += 1
        other += 1
      } else if let mine,
        theirs.map({ mine.order.lexicographicallyPrecedes($0.order) }) ?? true
      {
        note(.missing, mine.key, nil, mine.row)
        index += 1
      } else if let theirs {
        note(.extra, theirs.key, theirs.row, nil)
        other += 1
      }
    }
    result.verification.rows += page.expected.count
  }

  private static func prefix(_ collection: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt32(collection).bigEndian) { Array($0) }
  }

  static func order(_ collection: Int, _ key: Key) -> [UInt8] {
    prefix(collection) + KeyEncoding.encode(key)
  }

  private func askSink<T: Sendable>(_ body: () async throws(AdapterError) -> T) async throws -> T {
    do throws(AdapterError) {
      return try await body()
    } catch {
      throw MirrorError(.adapter, error.message, cause: error)
    }
  }

  private func askSource<T: Sendable>(_ body: () async throws(SourceError) -> T) async throws -> T {
    do throws(SourceError) {
      return try await body()
    } catch {
      throw MirrorError(.source, error.message, cause: error)
    }
  }
}
