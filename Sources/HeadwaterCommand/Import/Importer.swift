import Headwater

/// Imports one file: reads and converts rows while the store commits those before, a bounded number at a time.
struct Importer {
  /// What became of a file.
  struct Outcome: Sendable {
    /// Rows that an earlier run had imported.
    var earlier = 0
    var rows = 0
    var operations = 0
    var seconds = 0.0
  }

  /// How many operations are on their way to the disk at most.
  private static let inFlight = 12

  let store: Store
  let key: SigningKey
  let collection: Int
  /// Rows in an operation.
  let batch: Int
  let restarts: Bool

  /// Imports what is not imported yet.
  func run(
    _ source: inout any ImportSource, progress: (Outcome) async throws -> Void
  ) async throws -> Outcome {
    let clock = ContinuousClock()
    let start = clock.now
    var outcome = Outcome()
    let name = source.identity.map {
      ImportBookmark.name(collection: store.schema.collections[collection].name, source: $0)
    }
    if let name, !restarts,
      let bookmark = try await store.read({ try $0.bookmark(name) }).flatMap({ ImportBookmark($0) })
    {
      try source.resume(at: bookmark)
      outcome.earlier = bookmark.rows
    }
    let sequence = WriteSequence(store, stopsAtFailure: true)
    var pending: ArraySlice<(batch: ImportBatch, write: PendingWrite)> = []

    func finishOldest() async throws {
      guard let (batch, write) = pending.popFirst() else { return }
      do {
        _ = try await write.receipt
      } catch {
        throw described(error, batch, source)
      }
      outcome.rows += batch.rows.count
      outcome.operations += 1
      outcome.seconds = (clock.now - start).seconds
      try await progress(outcome)
    }

    do {
      while let batch = try source.next(limit: batch) {
        try Task.checkCancellation()
        pending.append((batch, try write(batch, name, sequence, source)))
        while pending.count >= Importer.inFlight { try await finishOldest() }
      }
    } catch {
      // What was read before stays imported; if that failed, it is the earlier error.
      while !pending.isEmpty { try await finishOldest() }
      throw error
    }
    while !pending.isEmpty { try await finishOldest() }
    outcome.seconds = (clock.now - start).seconds
    return outcome
  }

  private func write(
    _ batch: ImportBatch, _ name: String?, _ sequence: WriteSequence, _ source: any ImportSource
  ) throws -> PendingWrite {
    let prepared: PreparedCreates
    do {
      prepared = try store.prepare(collection: collection, rows: batch.rows)
    } catch {
      throw described(error, batch, source)
    }
    let bookmark = name.map { (name: $0, value: batch.bookmark.bytes) }
    return sequence.write(as: key, bookmark: bookmark, prepared)
  }

  /// The error of a write, with the line of the row that it is about.
  private func described(
    _ error: any Error, _ batch: ImportBatch, _ source: any ImportSource
  ) -> any Error {
    if let refused = error as? PreparedCreates.RowError {
      return source.failure(
        batch.lines[refused.index], refused.error.message, code: refused.error.code.rawValue)
    }
    guard let error = error as? StoreError, error.code == .invalid,
      let (index, message) = Importer.change(named: error.message),
      batch.lines.indices.contains(index)
    else { return error }
    return source.failure(batch.lines[index], message, code: error.code.rawValue)
  }

  /// Takes “change 12 (create City): population: it is required” apart.
  static func change(named message: String) -> (index: Int, what: String)? {
    guard message.hasPrefix("change ") else { return nil }
    let rest = message.dropFirst("change ".count)
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    guard let index = Int(digits) else { return nil }
    let after = rest.dropFirst(digits.count)
    // A second create of one key has no parentheses.
    guard after.hasPrefix(" ("), let end = after.firstIndex(of: ")"),
      after[end...].hasPrefix("): ")
    else { return (index, "it" + after) }
    return (index, String(after[end...].dropFirst(3)))
  }
}
