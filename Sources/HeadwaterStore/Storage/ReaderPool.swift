import Dispatch
import SQLiteDriver
import Synchronization

/// Connections for reading, each used by one read at a time, on a queue of their own.
final class ReaderPool: @unchecked Sendable {
  // Connections are handed over under the lock and used by one closure at a time.

  private static let idleConnections = 4

  private let path: String
  /// For a store in memory: its only connection, on its queue.
  private let memory: Writer?
  private let queue = DispatchQueue(label: "headwater.store.readers", attributes: .concurrent)
  private let lock = PoolLock()
  private var idle: [Connection] = []

  init(path: String, writer: Writer?) {
    self.path = path
    memory = path.isEmpty ? writer : nil
  }

  /// Runs `body` in a read transaction of its own.
  func read<R: Sendable>(_ body: @escaping @Sendable (Connection) throws -> R) async throws -> R {
    if let memory { return try await memory.between(body) }
    return try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(
          with: Result {
            let db = try self.take()
            let result = try db.readTransaction { try body(db) }
            self.give(db)
            return result
          })
      }
    }
  }

  private func take() throws -> Connection {
    if let db = lock.withLock({ idle.popLast() }) { return db }
    return try StoreError.wrap(path: path) {
      // Where the file may be written it is opened so, and then kept from it by `query_only`: the last
      // connection to close tidies SQLite's files away, which one opened for reading only cannot.
      let db = try Connection(path: path, mode: .readWrite)
      try StoreFile.configure(db, writer: false, durability: .full)
      return db
    }
  }

  private func give(_ db: Connection) {
    lock.withLock { if idle.count < ReaderPool.idleConnections { idle.append(db) } }
  }
}

/// A mutex around nothing: the pool's state is not `Sendable`, so `Mutex` cannot hold it.
private struct PoolLock: ~Copyable, Sendable {
  private let mutex = Mutex<Void>(())

  func withLock<R>(_ body: () throws -> R) rethrows -> R { try mutex.withLock { _ in try body() } }
}
