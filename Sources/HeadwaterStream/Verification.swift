import HeadwaterModel

/// How a mirror compares with its source, row by row.
public struct Verification: Sendable, Hashable {
  /// A row that is not the same on both sides.
  public struct Difference: Sendable, Hashable {
    /// How the two sides differ.
    public enum Kind: String, Sendable, Hashable {
      /// The source has the row, the sink does not.
      case missing
      /// The sink has the row, the source does not.
      case extra
      /// Both have it, with different values.
      case different
    }

    /// The collection's index in the schema's `collections`.
    public let collection: Int
    /// The row's key.
    public let key: Key
    /// How the sink differs from the source.
    public let kind: Kind
  }

  /// How many differences are kept one by one.
  public static let differenceLimit = 1_000

  /// The schema of the rows compared.
  public internal(set) var schema: Schema
  /// The position at which the last rows were compared.
  public internal(set) var position: Int64
  /// How many rows of the source were compared.
  public internal(set) var rows = 0
  /// How many rows the sink lacks.
  public internal(set) var missing = 0
  /// How many rows only the sink has.
  public internal(set) var extra = 0
  /// How many rows have other values in the sink.
  public internal(set) var different = 0
  /// The first differences in the order (collection, key), at most `differenceLimit`.
  public internal(set) var differences: [Difference] = []

  /// Why the comparison came to an end before its time: the sink's tables are not what the mirror made. Nil where
  /// all rows were compared.
  public internal(set) var damage: String?

  /// What was wrong with the sink's tables themselves, a clause each, and was mended; only after a repair.
  public internal(set) var mended: [String] = []

  /// All differences, also those that are not kept one by one.
  public var differenceCount: Int { missing + extra + different }
  /// Whether there is no difference.
  public var isEqual: Bool { differenceCount == 0 && damage == nil && mended.isEmpty }

  mutating func note(_ kind: Difference.Kind, _ collection: Int, _ key: Key) {
    switch kind {
    case .missing: missing += 1
    case .extra: extra += 1
    case .different: different += 1
    }
    if differences.count < Verification.differenceLimit {
      differences.append(Difference(collection: collection, key: key, kind: kind))
    }
  }
}

extension Mirror {
  /// Compares the published rows of the sink with the source's, and writes nothing.
  ///
  /// Both may move meanwhile: each page of the sink's rows is compared with the source as it was at the sink's
  /// own position, so a mirror that lags is not taken for one that differs.
  ///
  /// - Throws: `MirrorError`: `noInventory`; `notComparable` if nothing is published, the sink is at no point of
  ///   the source's stream, or the events between the two are no longer kept; `CancellationError`.
  public func verify() async throws -> Verification {
    try begin()
    defer { end() }
    return try await verifier().run().verification
  }

  /// Brings the sink up to date, compares, and writes the rows that differ as they should be; where they are
  /// too many for one batch, rebuilds.
  ///
  /// Tables that somebody altered are mended first, by an adapter that can (`StructureRepairing`), and filled again as far
  /// as they lost anything; otherwise all of the sink is rebuilt.
  ///
  /// - Returns: what was found before the repair.
  /// - Throws: as `verify()` and `run(until:)`.
  public func repair() async throws -> Verification {
    let mended = try await repairStructure()
    _ = try await synchronise()
    try begin()
    var found: Verifier.Result
    do {
      defer { end() }
      let verifier = try verifier()
      found = try await verifier.run(
        keepingRows: options.maximumTransaction, isRepairing: !mended.isEmpty)
      found.verification.mended = mended
      if let changes = found.changes, let checkpoint = found.checkpoint {
        let schema = found.verification.schema
        do throws(AdapterError) {
          if !changes.isEmpty {
            try await verifier.inventory.repair(changes, schema: schema, at: checkpoint)
          }
          if !mended.isEmpty, let mender = adapter as? any StructureRepairing {
            _ = try await mender.repairStructure(schema: schema, at: checkpoint, isFinal: true)
          }
          return found.verification
        } catch {
          guard error.recovery == .rebuild || error.code == .diverged else {
            throw MirrorError(.adapter, error.message, cause: error)
          }
        }
      }
    }
    _ = try await rebuild()
    return found.verification
  }

  /// Mends the tables of the sink as far as that is possible without rows, and returns what was wrong.
  private func repairStructure() async throws -> [String] {
    try begin()
    defer { end() }
    guard let mender = adapter as? any StructureRepairing,
      let (checkpoint, schema) = try? await verifier().stand()
    else { return [] }
    do throws(AdapterError) {
      return try await mender.repairStructure(schema: schema, at: checkpoint, isFinal: false)
    } catch {
      // Then a new generation will have new tables.
      if error.recovery == .rebuild || error.code == .diverged { return [] }
      throw MirrorError(.adapter, error.message, cause: error)
    }
  }

  private func verifier() throws -> Verifier {
    guard let inventory = adapter as? any RowInventory else {
      throw MirrorError(
        .noInventory, "The adapter of \(sink) cannot list its rows, so they cannot be compared.")
    }
    return Verifier(name: name, source: source, inventory: inventory, options: options)
  }
}
