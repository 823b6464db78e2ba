import Dispatch
import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver
import Synchronization

/// A database on this machine: one file, the source of truth.
///
/// Writes are serialised, checked, signed, and durable when `write` returns; several that wait at the same time
/// share one commit. Reads run beside them, each on one consistent state. May be used from anywhere.
/// Closes in `deinit`.
public final class Store: Sendable {
  /// How a store is opened.
  public struct Options: Sendable {
    /// What an acknowledged write survives.
    public var durability: Durability = .full
    /// How many of the newest events are kept for readers that no mirror registered for, at least.
    public var retainedEvents: Int64 = 1_000_000
    /// Beyond this many events a mirror that does not come back is not waited for; it is rebuilt instead.
    public var maximumEvents: Int64 = 50_000_000
    /// The wall clock, in milliseconds since 1970.
    public var clock: @Sendable () -> Int64 = { systemMilliseconds() }
    /// How many rows one operation may hold in memory before they are let go and read again.
    var heldRows = RowTable.heldRows

    /// Whether to let other processes write between commits, and wait for them as long as `patience` says. Otherwise
    /// the store is this process's alone while it is open for writing, which spares looking what others did.
    public var takesTurns = false
    /// For how long to wait for another process that has the store open for writing, in milliseconds.
    public var patience = 0

    public init() {}
  }

  /// The path of the file; empty for a store in memory.
  public let path: String
  public let schema: Schema
  /// The hash of the schema.
  public let schemaHash: Digest
  /// The id of the genesis operation, which names the database.
  public let database: Digest
  /// This copy of the database.
  public let replica: UUIDBytes
  public let suite: any CryptoSuite
  let layout: SchemaPlan
  let options: Options
  let writer: Writer?
  let readers: ReaderPool
  let waiters = Mutex(CommitWaiters())
  private let order = OrderCache()

  private init(
    path: String, layout: SchemaPlan, info: StoreInfo, suite: any CryptoSuite, options: Options,
    writer: Writer?
  ) {
    self.path = path
    self.layout = layout
    schema = layout.schema
    schemaHash = layout.hash
    database = info.database
    replica = info.replica
    self.suite = suite
    self.options = options
    self.writer = writer
    readers = ReaderPool(path: path, writer: writer)
    writer?.onCommit = { [weak self] in self?.wakeWaiters() }
  }

  deinit { writer?.close() }

  // MARK: Opening

  /// Makes a new store with the genesis of a new database.
  ///
  /// - Parameters:
  ///   - path: where there is no file yet; nil for a store in memory.
  ///   - rows: drafts the first rows, which the genesis carries.
  /// - Throws: `.exists`, `.unsupported` where the schema asks for what this version cannot honour, `.invalid` for the rows.
  public static func create(
    at path: String?, schema: Schema, as signer: any Signer, suite: any CryptoSuite,
    options: Options = Options(), rows: (Draft) throws -> Void = { _ in }
  ) throws(StoreError) -> Store {
    let file = path ?? ""
    return try StoreError.wrap(path: file) {
      let layout = SchemaPlan(schema, hash: schema.hash(with: suite))
      let missing = SchemaSupport.missing(in: schema)
      guard missing.isEmpty else {
        throw StoreError(
          .unsupported,
          "this version cannot honour everything that the schema asks for: "
            + missing.joined(separator: "; "))
      }
      let draft = Draft(layout: layout, past: nil)
      try rows(draft)
      let genesis = Operation(
        kind: .genesis(
          nonce: suite.randomBytes(16), schemaHash: layout.hash, schemaText: schema.canonicalText),
        parents: [], author: signer.principal, previous: nil, time: options.clock(),
        changes: draft.changes)
      let body = genesis.encode()
      guard body.count <= Limits.operationBytes, draft.count <= Limits.changes else {
        throw StoreError(
          .invalid, "too many first rows for one operation: write the rest afterwards")
      }
      let id = suite.hash(body)
      return try initialise(
        file, isMemory: path == nil, layout: layout, suite: suite, options: options,
        genesis: genesis, id: id,
        signed: SignedOperation(
          body: body, suite: signer.suiteIdentifier, publicKey: signer.publicKey,
          signature: try signer.sign(id)))
    }
  }

  /// Makes a store that is another replica of the database with that genesis, and holds nothing else yet.
  ///
  /// - Throws: `.rejected` if the genesis is not sound, `.exists`, `.unsupported`.
  public static func replicate(
    at path: String?, genesis signed: SignedOperation, suite: any CryptoSuite,
    options: Options = Options()
  ) throws(StoreError) -> Store {
    let file = path ?? ""
    return try StoreError.wrap(path: file) {
      let id = suite.hash(signed.body)
      let operation: Operation
      do { operation = try Operation.decode(signed.body) } catch {
        throw StoreError(.rejected, "the genesis is rejected: \(error)")
      }
      guard case .genesis(_, let hash, let text) = operation.kind, signed.suite == suite.identifier,
        suite.principal(of: signed.publicKey) == operation.author,
        suite.verify(signed.signature, of: id, by: signed.publicKey)
      else { throw StoreError(.rejected, "this is not a genesis that its author signed") }
      let schema: Schema
      do { schema = try Schema.parse(text) } catch {
        throw StoreError(.rejected, "the schema of the genesis cannot be read: \(error)")
      }
      guard schema.hash(with: suite) == hash, schema.canonicalText == text else {
        throw StoreError(.rejected, "the schema of the genesis does not have its hash")
      }
      let missing = SchemaSupport.missing(in: schema)
      guard missing.isEmpty else {
        throw StoreError(
          .unsupported,
          "this version cannot honour everything that the database's schema asks for: "
            + missing.joined(separator: "; "))
      }
      return try initialise(
        file, isMemory: path == nil, layout: SchemaPlan(schema, hash: hash), suite: suite,
        options: options, genesis: operation, id: id, signed: signed)
    }
  }

  private static func initialise(
    _ file: String, isMemory: Bool, layout: SchemaPlan, suite: any CryptoSuite, options: Options,
    genesis: Operation, id: Digest, signed: SignedOperation
  ) throws -> Store {
    let info = StoreInfo(
      database: id, replica: UUIDBytes(bytes: suite.randomBytes(16))!, suite: suite.identifier)
    func requireNoFile() throws {
      guard !isMemory, FileStatus.exists(file) else { return }
      throw StoreError(
        .exists, "\(file) is there already: choose another path, or remove it if it is not needed")
    }
    try requireNoFile()
    let lock = isMemory ? nil : try WriterLock(store: file)
    // Somebody may have made it, and let it go, before the lock was ours: it must not be removed below.
    try requireNoFile()
    do {
      let db = try Connection(path: file, mode: isMemory ? .memory : .createIfMissing)
      try StoreFile.configure(db, writer: true, durability: options.durability)
      let writer = Writer(
        lock: lock, path: file,
        makeEngine: {
          try Engine(
            db, suite: suite, info: info, layout: layout, retention: Retention(options),
            heldRows: options.heldRows)
        }, db: db)
      try StoreFile.create(db) {
        try StoreFile.setMeta(db, "database", id.bytes)
        try StoreFile.setMeta(db, "replica", info.replica.bytes)
        try StoreFile.setMeta(db, "suite", [suite.identifier])
        try StoreFile.setMeta(db, "schema", Array(layout.schema.canonicalText.utf8))
        let engine = try writer.engine()
        do {
          _ = try engine.admit(
            genesis, id: id, body: signed.body, suite: signed.suite, publicKey: signed.publicKey,
            signature: signed.signature)
        } catch let error as StoreError where error.code == .rejected {
          throw StoreError(.invalid, String(error.message.drop { $0 != ":" }.dropFirst(2)))
        }
        try engine.flush()
      }
      return Store(
        path: file, layout: layout, info: info, suite: suite, options: options, writer: writer)
    } catch {
      if !isMemory { FileStatus.removeStore(file) }
      throw error
    }
  }

  /// Opens a store.
  ///
  /// - Parameters:
  ///   - forWriting: whether this is the one process that writes; any number may read.
  /// - Throws: `.missing`, `.notAStore`, `.damaged`, `.locked`, `.permission`, `.unsupported`.
  public static func open(
    _ path: String, forWriting: Bool, suite: any CryptoSuite, options: Options = Options()
  ) throws(StoreError) -> Store {
    try StoreError.wrap(path: path) {
      guard FileStatus.exists(path) else {
        throw StoreError(.missing, "there is no store at \(path): make one with `headwater init`")
      }
      guard !FileStatus.isFolder(path) else {
        throw StoreError(.notAStore, "\(path) is a folder; a store is one file")
      }
      // With turns the lock is given back at once: what is opened now may be old when something is written.
      let lock =
        forWriting ? try WriterLock(store: path, patience: options.patience) : nil
      let db = try Connection(path: path, mode: .readWrite)
      db.setBusyTimeout(milliseconds: 10_000)
      try StoreFile.validate(db, path: path, forWriting: forWriting)
      try StoreFile.configure(db, writer: forWriting, durability: options.durability)
      if forWriting { try StoreFile.migrate(db) }
      guard let database = try StoreFile.meta(db, "database").flatMap({ Digest(bytes: $0) }),
        let replica = try StoreFile.meta(db, "replica").flatMap({ UUIDBytes(bytes: $0) }),
        let suiteByte = try StoreFile.meta(db, "suite")?.first,
        let text = try StoreFile.meta(db, "schema")
      else {
        throw StoreError(
          .damaged, "\(path) lacks its description: restore it from a backup or another replica")
      }
      guard suiteByte == suite.identifier else {
        throw StoreError(.unsupported, "\(path) uses the cryptographic suite \(suiteByte)")
      }
      let schema: Schema
      do { schema = try Schema.parse(text) } catch {
        throw StoreError(
          .damaged, "the schema in \(path) cannot be read: \(error)", cause: error)
      }
      let info = StoreInfo(database: database, replica: replica, suite: suiteByte)
      let layout = SchemaPlan(schema, hash: schema.hash(with: suite))
      var writer: Writer?
      if forWriting {
        writer = Writer(
          lock: options.takesTurns ? nil : lock, turns: options.takesTurns ? options.patience : nil,
          path: path,
          makeEngine: {
            try Engine(
              db, suite: suite, info: info, layout: layout, retention: Retention(options),
              heldRows: options.heldRows)
          }, db: db)
        if !options.takesTurns { _ = try writer?.engine() }
      }
      return Store(
        path: path, layout: layout, info: info, suite: suite, options: options, writer: writer)
    }
  }

  // MARK: Writing

  /// Writes one operation: what `body` drafts, or nothing if it throws.
  ///
  /// Returns when the operation is durable. `body` runs while other writes wait, so it should not do
  /// anything slow.
  ///
  /// - Parameters:
  ///   - frontier: write as a replica that had seen these operations and their past, no more; nil for all.
  ///   - bookmark: a name and bytes of the caller's, stored in the same commit (see `Snapshot.bookmark`).
  /// - Throws: `.refused` with the reason where the operation would be void, `.invalid` where it is wrong,
  ///   whatever `body` throws, and the failures of storage.
  @discardableResult
  public func write(
    as signer: any Signer, at frontier: [Digest]? = nil,
    bookmark: (name: String, value: [UInt8])? = nil,
    _ body: @escaping @Sendable (Draft) throws -> Void
  ) async throws -> WriteReceipt {
    let time = options.clock()
    return try await onWriter { engine in
      try Store.write(engine, bookmark: bookmark) {
        try $0.write(as: signer, at: frontier, time: time, body)
      }
    }
  }

  static func write(
    _ engine: Engine, bookmark: (name: String, value: [UInt8])?,
    _ write: (Engine) throws -> WriteReceipt
  ) throws -> WriteReceipt {
    let receipt = try write(engine)
    if let bookmark {
      let statement = try engine.db.cached(
        "INSERT OR REPLACE INTO bookmark (name, value) VALUES (?, ?)")
      statement.bind(1, bookmark.name)
      statement.bind(2, bookmark.value)
      try statement.run()
    }
    return receipt
  }

  /// What became of an operation from elsewhere.
  public enum Reception: Sendable {
    case known
    case admitted(Verdict)
    /// Its parents are not here. Offer it again when they are.
    case waiting(missing: [Digest])
    /// Malformed, badly signed or statically wrong; it never enters.
    case rejected(String)
  }

  /// Takes operations from elsewhere, in any order; the answers are in the order of the operations.
  ///
  /// Those whose parents come in the same call are admitted after them.
  public func receive(_ operations: [SignedOperation]) async throws -> [Reception] {
    try await deliver(VerifiedOperations(operations, suite: suite)).answers
  }

  /// Takes operations that were verified before, so that others can be verified meanwhile.
  func deliver(_ operations: VerifiedOperations) async throws -> Receiver.Result {
    try await onWriter { engine in try Receiver(engine: engine).receive(operations) }
  }

  /// The same without waiting; `finish` is called on the writer's queue.
  func submit(
    _ operations: VerifiedOperations,
    _ finish: @escaping @Sendable (Result<Receiver.Result, any Error>) -> Void
  ) {
    guard let writer else {
      return finish(
        .failure(StoreError(.permission, "\(path) was opened for reading only")))
    }
    writer.enqueue({ try Receiver(engine: $0).receive(operations) }, finish)
  }

  private func onWriter<R: Sendable>(_ body: @escaping @Sendable (Engine) throws -> R) async throws
    -> R
  {
    guard let writer else {
      throw StoreError(.permission, "\(path) was opened for reading only")
    }
    return try await writer.run(body)
  }

  /// Trims events that no reader needs, as `Options` allow; writing does so by itself from time to time.
  ///
  /// Returns the position up to which events are gone.
  @discardableResult
  public func trimEvents() async throws -> Int64 {
    let options = options
    return try await onWriter { engine in
      try Retention(options).trim(engine)
    }
  }

  // MARK: Reading

  /// Runs `body` on one consistent state of the store, beside all writes.
  ///
  /// - Throws: what `body` throws, as it is, and the failures of storage.
  public func read<R: Sendable>(_ body: @escaping @Sendable (Snapshot) throws -> R) async throws
    -> R
  {
    try await readers.read { [layout, suite, path, database, replica, order] db in
      do {
        return try body(
          Snapshot(
            db, layout: layout, suite: suite, database: database, replica: replica, order: order))
      } catch let error as SQLiteError {
        throw StoreError.from(error, path: path)
      }
    }
  }

  // MARK: Waiting

  private func wakeWaiters() {
    let woken = waiters.withLock { waiters in
      waiters.commits += 1
      defer { waiters.continuations.removeAll() }
      return waiters.continuations.sorted { $0.key < $1.key }.map(\.value)
    }
    for continuation in woken { continuation.resume() }
  }
}

/// Who waits for the next commit of this process.
struct CommitWaiters {
  /// How many commits there were: whoever looked before the last one need not wait.
  var commits: UInt64 = 0
  var next: UInt64 = 0
  var continuations: [UInt64: CheckedContinuation<Void, Never>] = [:]
}
