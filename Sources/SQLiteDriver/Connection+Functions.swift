import CSQLite

extension Connection {
  /// Lets statements of this connection call `body` under that name, with texts as arguments: nil for NULL.
  ///
  /// What it returns is 1 or 0, or NULL for nil; an error it throws ends the statement.
  public func addPredicate(
    _ name: String, argumentCount: Int32, _ body: @escaping ([String?]) throws -> Bool?
  ) throws(SQLiteError) {
    let box = Unmanaged.passRetained(Predicate(body))
    // The box is released by SQLite, also where the call fails.
    let code = sqlite3_create_function_v2(
      handle, name, argumentCount, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
      box.toOpaque(), { Predicate.call($0, $1, $2) }, nil, nil,
      { Unmanaged<Predicate>.fromOpaque($0!).release() })
    guard code == SQLITE_OK else { throw error(code, name) }
  }
}

/// A function of Swift that SQLite calls.
private final class Predicate {
  private let body: ([String?]) throws -> Bool?

  init(_ body: @escaping ([String?]) throws -> Bool?) { self.body = body }

  static func call(
    _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?
  ) {
    guard let box = sqlite3_user_data(context) else { return }
    let predicate = Unmanaged<Predicate>.fromOpaque(box).takeUnretainedValue()
    let arguments = (0..<Int(count)).map { index -> String? in
      guard let value = values?[index], sqlite3_value_type(value) != SQLITE_NULL,
        let text = sqlite3_value_text(value)
      else { return nil }
      return String(
        decoding: UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value))),
        as: UTF8.self)
    }
    do {
      if let holds = try predicate.body(arguments) {
        sqlite3_result_int(context, holds ? 1 : 0)
      } else {
        sqlite3_result_null(context)
      }
    } catch {
      sqlite3_result_error(context, "a function of the caller failed", -1)
    }
  }
}
