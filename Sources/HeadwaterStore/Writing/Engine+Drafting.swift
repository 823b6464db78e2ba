import HeadwaterLog
import HeadwaterModel

/// What a write became.
public struct WriteReceipt: Sendable {
  /// The id of the operation.
  public let operation: Digest
  public let height: Int64
  public let verdict: Verdict
  /// Why it is void, in one sentence; nil where it is valid.
  public let message: String?
  /// The rows that it created, in the order of its changes.
  public let created: [(collection: Int, key: Key)]
  /// The position of the last event of the store after it.
  public let position: Int64
}

extension Engine {
  /// Makes, signs and admits the operation that `body` drafts.
  ///
  /// - Parameters:
  ///   - frontier: the operations that the author is to have seen no more than; nil for all.
  ///   - time: the author's wall clock in milliseconds.
  func write(
    as signer: any Signer, at frontier: [Digest]?, time: Int64, _ body: (Draft) throws -> Void
  ) throws -> WriteReceipt {
    let parents = try parents(at: frontier)
    let past = Past(
      engine: self, parents: parents,
      seesEverything: isFrontier(parents))
    let draft = Draft(layout: layout, past: past)
    try body(draft)
    return try commit(draft.changes, as: signer, past: past, time: time)
  }

  /// Makes, signs and admits the operation that creates prepared rows.
  func write(as signer: any Signer, time: Int64, _ prepared: PreparedCreates) throws
    -> WriteReceipt
  {
    // What was checked against another schema was not checked for this one.
    guard prepared.schema == layout.hash else {
      throw StoreError(
        .invalid, "the rows were prepared by a store of another schema: prepare them with this one")
    }
    if let rows = prepared.rows {
      return try write(as: signer, at: nil, time: time) { draft in
        for (index, row) in rows.enumerated() {
          do throws(StoreError) {
            try draft.create(collection: prepared.collection, row: row)
          } catch {
            guard error.code == .invalid || error.code == .refused else { throw error }
            throw PreparedCreates.RowError(index: index, error: error)
          }
        }
      }
    }
    let parents = try parents(at: nil)
    let past = Past(
      engine: self, parents: parents,
      seesEverything: isFrontier(parents))
    return try commit(prepared.changes, as: signer, past: past, time: time, prepared: prepared)
  }

  private func commit(
    _ changes: [RowChange], as signer: any Signer, past: Past, time: Int64,
    prepared: PreparedCreates? = nil
  ) throws -> WriteReceipt {
    let parents = past.parents
    guard changes.count <= Limits.changes else {
      throw StoreError(
        .invalid, "an operation has at most \(Limits.changes) changes: write several")
    }
    guard changes.count > 0 else { throw StoreError(.invalid, "an operation without changes") }
    guard signer.suiteIdentifier == suite.identifier else {
      throw StoreError(
        .invalid,
        "the key is of suite \(signer.suiteIdentifier), and the database of suite \(suite.identifier)"
      )
    }
    let author = try log.authors.find(signer.principal)
    let previous = try author.flatMap {
      try log.highest(of: $0, parents: parents, isWholeFrontier: past.seesEverything)
    }
    let operation = Operation(
      kind: .ordinary(database: database, schema: genesis), parents: parents.map(\.id).sorted(),
      author: signer.principal, previous: previous?.id, time: time, changes: changes)
    encoding.removeAll()
    operation.encode(into: &encoding, encodedChanges: prepared?.encoded)
    let bytes = encoding.bytes
    guard bytes.count <= Limits.operationBytes else {
      throw StoreError(
        .invalid,
        "an operation of \(bytes.count) bytes, of at most \(Limits.operationBytes): write several")
    }
    let id = suite.hash(bytes)
    let signature: [UInt8]
    do { signature = try signer.sign(id) } catch {
      throw StoreError(.invalid, "the key could not sign: \(error)", cause: error)
    }
    let admission: Admission
    do {
      admission = try admit(
        operation, id: id, body: bytes, suite: signer.suiteIdentifier,
        publicKey: signer.publicKey, signature: signature, prepared: prepared, isLocal: true)
    } catch let error as StoreError where error.code == .rejected {
      // Ours: say what is wrong with the write, not with an operation that nobody has seen.
      let what = error.message.drop { $0 != ":" }.dropFirst(2)
      throw StoreError(.invalid, String(what))
    }
    guard case .admitted(let record, let changes) = admission else {
      throw StoreError(.storage, "the operation could not be admitted; please report this")
    }
    return try receipt(record, changes)
  }

  private func receipt(_ record: OperationRecord, _ changes: [ResolvedChange]) throws
    -> WriteReceipt
  {
    var message: String?
    if case .void(let reason, let by) = record.verdict {
      let viewpoint = try evidence.viewpoint(record.number)
      message = try evidence.message(
        reason, by, changes, evidence.asks(changes, at: viewpoint), at: viewpoint,
        evidence.settled)
    }
    return WriteReceipt(
      operation: record.id, height: record.height,
      verdict: record.verdict, message: message,
      created: changes.filter { $0.kind == .create }.map { ($0.collection, $0.key) },
      position: events.last)
  }

  /// The operations named, without those in the past of others; the frontier if none are named.
  private func parents(at ids: [Digest]?) throws -> [OperationRecord] {
    guard let ids else {
      let all = try frontier.map { try log.record($0) }
      guard all.count > Limits.parents else { return all }
      // More heads than an operation may have parents: it sees the highest, and the next the rest.
      return Array(all.sorted { $1.precedes($0) }.prefix(Limits.parents))
    }
    var records: [OperationRecord] = []
    for id in ids {
      guard let number = try log.number(of: id) else {
        throw StoreError(.invalid, "the store has no operation \(id.hex)")
      }
      if !records.contains(where: { $0.number == number }) {
        records.append(try log.record(number))
      }
    }
    guard !records.isEmpty else { throw StoreError(.invalid, "a frontier of no operations") }
    return try records.filter { record in
      try !records.contains { other in
        try other.number != record.number
          && log.ancestry.isAncestor(record.place, of: other.place)
      }
    }
  }
}
