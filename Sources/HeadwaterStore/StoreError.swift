import SQLiteDriver

/// What a store could not do, or would not. Never holds row data or secrets.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  public struct Code: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// A local write would be void: `reason` says why.
    public static let refused = Code(rawValue: "refused")
    /// An operation is malformed, badly signed or statically wrong; it never enters the DAG.
    public static let rejected = Code(rawValue: "rejected")
    /// The call names a collection, field, row or operation that is not there, or a value that does not fit.
    public static let invalid = Code(rawValue: "invalid")
    /// The schema asks for something that this version cannot honour.
    public static let unsupported = Code(rawValue: "unsupported")
    /// Another process has the store open for writing.
    public static let locked = Code(rawValue: "locked")
    /// There is a file where a new store should be.
    public static let exists = Code(rawValue: "exists")
    /// There is no such file.
    public static let missing = Code(rawValue: "missing")
    /// The file is not a store of this program.
    public static let notAStore = Code(rawValue: "not-a-store")
    /// The file is a store, and damaged.
    public static let damaged = Code(rawValue: "damaged")
    /// The disk is full.
    public static let full = Code(rawValue: "full")
    /// The file or folder cannot be read or written.
    public static let permission = Code(rawValue: "permission")
    /// The store was closed.
    public static let closed = Code(rawValue: "closed")
    /// SQLite or the operating system failed otherwise.
    public static let storage = Code(rawValue: "storage")
  }

  public let code: Code
  /// What happened, where, and what to do.
  public let message: String
  /// For `refused`: the reason of the verdict that the write would have (`not-live`, …).
  public let reason: String?
  public let cause: (any Error)?

  public init(
    _ code: Code, _ message: String, reason: String? = nil, cause: (any Error)? = nil
  ) {
    self.code = code
    self.message = message
    self.reason = reason
    self.cause = cause
  }

  public var description: String { message }

  /// The error that a failure of SQLite on the file at `path` is for the user of a store.
  static func from(_ error: SQLiteError, path: String) -> StoreError {
    if error.isFull {
      return StoreError(
        .full,
        "the disk that holds \(path) is full: nothing of this operation was written; make room and try again",
        cause: error)
    }
    if error.isNotADatabase {
      return StoreError(
        .notAStore, "\(path) is not a Headwater store, or its first page is damaged", cause: error)
    }
    if error.isCorrupt {
      return StoreError(
        .damaged,
        "\(path) is damaged (\(error.message)): restore it from a backup or another replica; sqlite3's .recover may save the rest",
        cause: error)
    }
    if error.isPermission {
      return StoreError(
        .permission,
        "\(path) cannot be written: check the permissions of the file and of its folder",
        cause: error)
    }
    if error.isCannotOpen {
      return StoreError(
        .permission,
        "\(path) cannot be opened: check that the folder exists and may be read and written",
        cause: error)
    }
    if error.isBusy {
      return StoreError(
        .locked, "\(path) is busy: another process is writing to it; try again", cause: error)
    }
    return StoreError(.storage, "\(path): \(error)", cause: error)
  }

  /// `body` with SQLite's errors turned into the store's.
  static func wrap<R>(path: String, _ body: () throws -> R) throws(StoreError) -> R {
    do {
      return try body()
    } catch let error as StoreError {
      throw error
    } catch let error as SQLiteError {
      throw from(error, path: path)
    } catch {
      throw StoreError(.storage, "\(path): \(error)", cause: error)
    }
  }
}
