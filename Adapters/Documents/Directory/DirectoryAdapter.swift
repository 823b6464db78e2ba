import HeadwaterModel
import HeadwaterStream

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Mirrors a change stream into a directory of JSON: a file for each document, made for people, scripts and git.
///
/// `DIR/current` is a link to the published generation: a folder for each collection with its documents, their
/// JSON Schema and an index. The same rows are the same bytes. `Docs/Documents.md` describes all of it.
///
/// - Atomicity: a batch is written to a journal and brought to the disk; then the files are put in their places one
///   by one, each in one step; then `headwater.json` with the checkpoint; then the journal goes. Whatever is left of
///   a batch after a crash, of the process or of the power, is done by the next call of any method. Readers find whole
///   files at all times, and whole batches unless they look while one is being applied.
/// - Isolation: an actor with a thread of its own, so that waiting for the disk blocks nobody. Nothing stays open
///   between calls.
/// - Several processes may work on one directory: every call holds an exclusive lock throughout and compares the
///   checkpoint under it, so of two mirrors only one gets through and the other hears `.diverged`.
public actor DirectoryAdapter: Adapter, RowInventory {
  /// Where the directory is.
  public nonisolated let path: String
  private nonisolated let executor = QueueExecutor(label: "headwater.documents")
  private let sink: DirectorySink

  /// An adapter for the directory, which the first batch makes if it is missing. The folder around it must exist.
  ///
  /// - Parameter lockTimeout: how long to wait for another process before a call fails with `.unavailable`, in
  ///   milliseconds.
  public init(path: String, lockTimeout: Int = 5_000) {
    self.path = path
    sink = DirectorySink(path: path, lockTimeout: lockTimeout, beforeChange: nil)
  }

  /// An adapter that stops before a change where it is told to, for tests.
  package init(path: String, beforeChange: @escaping @Sendable () throws -> Void) {
    self.path = path
    sink = DirectorySink(path: path, lockTimeout: 5_000, beforeChange: beforeChange)
  }

  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  public func checkpoint() async throws(AdapterError) -> Checkpoint? {
    try withSink { sink in
      guard let bytes = try sink.withTree(create: false, { try sink.state($0)?.checkpoint }),
        let bytes
      else { return nil }
      guard let checkpoint = try? Checkpoint(canonicalBytes: bytes) else {
        throw SinkErrors.unreadableCheckpoint(path)
      }
      return checkpoint
    }
  }

  public func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    try withSink { try $0.apply(batch) }
  }

  /// At most `limit` rows of the published generation in key order; empty while none is published.
  ///
  /// The first page lists all names of the collection, which takes memory for them; the following pages use the list.
  public func rows(of collection: Int, in schema: Schema, after key: Key?, limit: Int)
    async throws(AdapterError) -> [Row]
  {
    try withSink { try $0.rows(of: collection, in: schema, after: key, limit: limit) }
  }

  public func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint)
    async throws(AdapterError)
  {
    try withSink { try $0.repair(changes, schema: schema, at: checkpoint) }
  }

  private func withSink<R>(_ body: (DirectorySink) throws -> R) throws(AdapterError) -> R {
    do {
      return try body(sink)
    } catch let error as AdapterError {
      throw error
    } catch let error as FileError {
      sink.forget()
      throw AdapterError(error, path: path)
    } catch {
      sink.forget()
      throw AdapterError(
        .unavailable, "The mirror in \(path) was interrupted.", recovery: .retry, cause: error)
    }
  }
}

extension FileError {
  /// Whether there is no such thing.
  var isMissing: Bool { code == ENOENT }

  /// Makes the folder of a mirror.
  static func makeFolder(_ path: String) throws {
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw FileError("make the folder")
    }
  }
}

extension AdapterError {
  /// What an error of the file system means for the mirror in a directory.
  init(_ error: FileError, path: String) {
    let (code, recovery, hint): (Code, Recovery, String) =
      switch error.code {
      case ENOSPC, EDQUOT: (.full, .retry, "free space on its volume")
      case EACCES, EPERM, EROFS: (.permission, .halt, "see the permissions of the folder")
      case ENOENT, ENOTDIR:
        (.permission, .halt, "see whether the folder above it exists, and whether it is a folder")
      case ELOOP: (.occupied, .halt, "a link stands where a file or folder of the mirror should be")
      case EISDIR, EEXIST:
        (.occupied, .halt, "something else stands where a file of the mirror should be")
      case ENAMETOOLONG:
        (.unsupported, .halt, "the file system has no room for so long a name: use a shorter path")
      default: (.unavailable, .retry, "see the state of its volume")
      }
    self.init(
      code, "Could not \(error.operation) in \(path) (\(error.message)): \(hint).",
      recovery: recovery, cause: error)
  }
}
