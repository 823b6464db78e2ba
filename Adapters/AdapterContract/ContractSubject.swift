import HeadwaterModel
import HeadwaterStream

/// The adapter under test: how to make sinks for it.
public protocol ContractSubject: Sendable {
  /// A sink that holds nothing yet, independent of all others.
  func makeSink() async throws -> any ContractSink

  /// About how many changes the batches of the cases `large.…` have: 10,000 where the subject does not say otherwise.
  ///
  /// So many that the adapter takes its way for many; fewer where the sink is so slow that the cases would take minutes.
  var largeBatch: Int { get }
}

extension ContractSubject {
  public var largeBatch: Int { 10_000 }
}

/// A place where the adapter under test keeps rows: a file, a schema of a database, a directory.
public protocol ContractSink: Sendable {
  /// An adapter on the sink, as a new process would open it.
  ///
  /// Called again and again: what was opened before is abandoned, or goes on beside it, as the mirrors of two
  /// processes would.
  func open() async throws -> any Adapter

  /// All rows of the published generation's collection as a reader of the sink finds them, in key order.
  ///
  /// Read them as a user of the sink would, past the adapter, where you can. Without an implementation they are
  /// read through `RowInventory`.
  func rows(of collection: Int, in schema: Schema) async throws -> [Row]

  /// A copy of the sink as it is now, independent of it: what restoring a backup gives.
  ///
  /// - Returns: nil if such sinks cannot be copied; the cases that need it are skipped.
  func copy() async throws -> (any ContractSink)?

  /// An adapter on the sink which dies inside `apply`, at the `point`th place, counted from 0, where a kill would
  /// leave something behind: before a statement, a write, a rename, an fsync. It throws there, and leaves the
  /// sink as a killed process would. With fewer places in the batch `apply` succeeds.
  ///
  /// - Returns: nil without fault injection; the cases that need it are skipped.
  func openCrashing(at point: Int) async throws -> (any Adapter)?

  /// The sink is not needed any more.
  func discard() async
}

extension ContractSink {
  public func rows(of collection: Int, in schema: Schema) async throws -> [Row] {
    guard let inventory = try await open() as? any RowInventory else {
      throw ContractViolation(
        "The adapter is no RowInventory: implement ContractSink.rows(of:in:) for it.")
    }
    var rows: [Row] = []
    var last: Key?
    while true {
      try Task.checkCancellation()
      let page = try await inventory.rows(of: collection, in: schema, after: last, limit: 1_000)
      for row in page {
        guard let key = schema.collections[collection].key(of: row) else {
          throw ContractViolation("rows(of:in:after:limit:) lists a row without its key: \(row)")
        }
        if let last, key <= last {
          throw ContractViolation(
            "rows(of:in:after:limit:) should list keys in ascending order, and lists "
              + "\(key.values) after \(last.values)")
        }
        last = key
      }
      rows += page
      if page.count < 1_000 { return rows }
    }
  }

  public func copy() async throws -> (any ContractSink)? { nil }
  public func openCrashing(at point: Int) async throws -> (any Adapter)? { nil }
  public func discard() async {}
}

/// What an adapter did against its contract.
public struct ContractViolation: Error, Sendable, CustomStringConvertible {
  /// What was expected, and what was found.
  public let description: String

  /// What was expected, and what was found.
  public init(_ description: String) { self.description = description }
}
