import CLibpq

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// One connection to a PostgreSQL server.
///
/// Not `Sendable`: whoever owns it confines it to one executor. Every call blocks until the server has answered. The
/// connection is closed in `deinit`; the server then rolls back what was not committed.
package final class ServerConnection {
  private let handle: OpaquePointer
  private var prepared: [String: String] = [:]
  /// Asked before everything that is sent and before every answer that is waited for; where it says so the
  /// connection is cut, as a process that was killed would leave it. For tests.
  package var isCutOff: (() -> Bool)?

  /// Connects; gives up after the time that the settings name, or 10 seconds.
  ///
  /// - Parameter settings: keywords and values as libpq has them; a `dbname` may be a URI.
  package init(_ settings: [(String, String)]) throws(ServerError) {
    var keywords: [UnsafeMutablePointer<CChar>?] = settings.map { strdup($0.0) }
    var values: [UnsafeMutablePointer<CChar>?] = settings.map { strdup($0.1) }
    defer { for text in keywords + values { free(text) } }
    keywords.append(nil)
    values.append(nil)
    let started = ServerConnection.start(keywords, values)
    guard let started else {
      throw ServerError(message: "out of memory", isConnectionLost: true)
    }
    handle = started
    // The message of a failed connection is all there is of it, so it has to hold the code.
    PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
    PQsetNoticeReceiver(handle, { _, _ in }, nil)
    try ServerConnection.finish(handle)
    PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
  }

  deinit { PQfinish(handle) }

  private static func start(
    _ keywords: [UnsafeMutablePointer<CChar>?], _ values: [UnsafeMutablePointer<CChar>?]
  ) -> OpaquePointer? {
    keywords.map { UnsafePointer($0) }.withUnsafeBufferPointer { keywords in
      values.map { UnsafePointer($0) }.withUnsafeBufferPointer { values in
        PQconnectStartParams(keywords.baseAddress, values.baseAddress, 1)
      }
    }
  }

  private static func finish(_ handle: OpaquePointer) throws(ServerError) {
    let seconds = option("connect_timeout", of: handle).flatMap { Int($0) } ?? 10
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let deadline = seconds > 0 ? time.tv_sec + max(seconds, 2) : Int.max
    var wanted = PGRES_POLLING_WRITING
    while PQstatus(handle) != CONNECTION_BAD {
      if wanted == PGRES_POLLING_OK { return }
      if wanted == PGRES_POLLING_FAILED { break }
      var descriptor = pollfd(
        fd: PQsocket(handle),
        events: Int16(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT), revents: 0)
      let ready = poll(&descriptor, 1, 250)
      if ready < 0, errno != EINTR { break }
      if ready > 0 { wanted = PQconnectPoll(handle) }
      clock_gettime(CLOCK_MONOTONIC, &time)
      if time.tv_sec > deadline {
        throw ServerError(
          message: "no answer within \(seconds) seconds", isConnectionLost: true)
      }
    }
    throw ServerError(connection: handle)
  }

  private static func option(_ name: String, of handle: OpaquePointer) -> String? {
    guard let options = PQconninfo(handle) else { return nil }
    defer { PQconninfoFree(options) }
    var option = options
    while let keyword = option.pointee.keyword {
      if String(cString: keyword) == name { return option.pointee.val.map { String(cString: $0) } }
      option += 1
    }
    return nil
  }

  // MARK: What it is

  package var serverVersion: Int { Int(PQserverVersion(handle)) }
  package var user: String { PQuser(handle).map { String(cString: $0) } ?? "" }
  package var database: String { PQdb(handle).map { String(cString: $0) } ?? "" }
  package var processID: Int32 { PQbackendPID(handle) }
  /// Whether the connection is known to be gone.
  package var isLost: Bool { PQstatus(handle) == CONNECTION_BAD }
  /// Whether a transaction is open, sound or failed.
  package var isInTransaction: Bool {
    let status = PQtransactionStatus(handle)
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE
  }

  /// A setting that the server reports, such as `server_encoding`.
  package func parameter(_ name: String) -> String? {
    PQparameterStatus(handle, name).map { String(cString: $0) }
  }

  /// The next notification that has arrived with an answer, for who listens.
  package func notification() -> (channel: String, payload: String)? {
    guard let found = PQnotifies(handle) else { return nil }
    defer { PQfreemem(found) }
    return (String(cString: found.pointee.relname), String(cString: found.pointee.extra))
  }

  private func point() throws(ServerError) {
    guard let isCutOff, isCutOff() else { return }
    shutdown(PQsocket(handle), Int32(SHUT_RDWR))
    throw ServerError(message: "the process was killed", isConnectionLost: true)
  }

  // MARK: Statements

  /// Runs statements without parameters, separated by semicolons, and returns what the last one said, as text.
  @discardableResult
  package func execute(_ sql: String) throws(ServerError) -> ServerResult {
    try point()
    return try check(PQexec(handle, sql))
  }

  /// Runs one statement with parameters, which is prepared once a connection. Parameters and results are binary.
  @discardableResult
  package func run(_ sql: String, _ parameters: [Parameter] = []) throws(ServerError)
    -> ServerResult
  {
    let name = try prepare(sql)
    try point()
    let result = withArguments(parameters) { values, lengths, formats in
      PQexecPrepared(handle, name, Int32(parameters.count), values, lengths, formats, 1)
    }
    return try check(result)
  }

  /// Prepares the statement, if that was not done on this connection yet.
  @discardableResult
  func prepare(_ sql: String) throws(ServerError) -> String {
    if let name = prepared[sql] { return name }
    try point()
    let name = "headwater_\(prepared.count)"
    _ = try check(PQprepare(handle, name, sql, 0, nil))
    prepared[sql] = name
    return name
  }

  /// Forgets all prepared statements, because the tables they name were made anew.
  func forgetPrepared() throws(ServerError) {
    guard !prepared.isEmpty else { return }
    prepared = [:]
    try execute("DEALLOCATE ALL")
  }

  /// Sends all statements before it waits for any answer: one round trip.
  ///
  /// The first error ends it: what follows is not run by the server.
  func pipeline(_ statements: [(sql: String, parameters: [Parameter])]) throws(ServerError) {
    var names: [String] = []
    for statement in statements { names.append(try prepare(statement.sql)) }
    guard PQenterPipelineMode(handle) == 1 else { throw lost() }
    var failure: ServerError?
    do throws(ServerError) {
      for (statement, name) in zip(statements, names) {
        try point()
        let sent = withArguments(statement.parameters) { values, lengths, formats in
          PQsendQueryPrepared(
            handle, name, Int32(statement.parameters.count), values, lengths, formats, 1)
        }
        guard sent == 1 else { throw lost() }
      }
      guard PQpipelineSync(handle) == 1 else { throw lost() }
      try point()
    } catch {
      // There is no way back from a pipeline that was not sent to its end.
      shutdown(PQsocket(handle), Int32(SHUT_RDWR))
      throw error
    }
    reading: while true {
      guard let answer = PQgetResult(handle) else {
        if isLost {
          if failure == nil { failure = lost() }
          break
        }
        continue
      }
      let result = ServerResult(answer)
      switch result.status {
      case PGRES_PIPELINE_SYNC: break reading
      case PGRES_PIPELINE_ABORTED: break
      case PGRES_COMMAND_OK, PGRES_TUPLES_OK: break
      default:
        if failure == nil { failure = ServerError(result, connection: handle) }
        if isLost { break reading }
      }
    }
    if !isLost {
      while let rest = PQgetResult(handle) { PQclear(rest) }
      PQexitPipelineMode(handle)
    }
    if let failure { throw failure }
  }

  /// Runs one statement and hands over its rows as they come, as text.
  ///
  /// - Parameter body: called with a row at a time, and at least once. If it throws, the statement is cancelled.
  func stream(_ sql: String, _ body: (ServerResult) throws -> Void) throws {
    try point()
    guard PQsendQueryParams(handle, sql, 0, nil, nil, nil, nil, 0) == 1,
      PQsetSingleRowMode(handle) == 1
    else { throw lost() }
    var failure: (any Error)?
    while let answer = PQgetResult(handle) {
      let result = ServerResult(answer)
      if [PGRES_COPY_IN, PGRES_COPY_OUT].contains(result.status) {
        // There is no way out but to leave.
        shutdown(PQsocket(handle), Int32(SHUT_RDWR))
        throw ServerError(message: "COPY is no query", sqlState: "25006")
      }
      guard failure == nil else { continue }
      do {
        switch result.status {
        case PGRES_SINGLE_TUPLE, PGRES_TUPLES_OK, PGRES_COMMAND_OK: try body(result)
        default: throw ServerError(result, connection: handle)
        }
      } catch {
        failure = error
        if let cancel = PQgetCancel(handle) {
          var reason = [CChar](repeating: 0, count: 256)
          PQcancel(cancel, &reason, Int32(reason.count))
          PQfreeCancel(cancel)
        }
      }
    }
    if let failure { throw failure }
  }

  /// Runs `COPY … FROM STDIN` with what `body` passes to `send`.
  ///
  /// If `body` throws, the server is told to give up.
  func copy(
    _ sql: String, _ body: (_ send: (WireBuffer) throws(ServerError) -> Void) throws -> Void
  ) throws {
    try point()
    let start = ServerResult(PQexec(handle, sql))
    guard start.status == PGRES_COPY_IN else { throw ServerError(start, connection: handle) }
    do {
      try body { (buffer) throws(ServerError) in
        guard buffer.count > 0 else { return }
        let sent = PQputCopyData(
          handle, buffer.base.assumingMemoryBound(to: CChar.self), Int32(buffer.count))
        guard sent == 1 else { throw self.lost() }
        buffer.reset()
      }
    } catch {
      if !isLost, PQputCopyEnd(handle, "the mirror gave up") == 1 { drain() }
      throw error
    }
    try point()
    guard PQputCopyEnd(handle, nil) == 1 else { throw lost() }
    var failure: ServerError?
    while let answer = PQgetResult(handle) {
      let result = ServerResult(answer)
      if result.status != PGRES_COMMAND_OK, failure == nil {
        failure = ServerError(result, connection: handle)
      }
      // A copy that could not be ended is announced again and again.
      if result.status == PGRES_COPY_IN { break }
    }
    if let failure { throw failure }
    if isLost { throw lost() }
  }

  /// Reads answers until there are no more.
  private func drain() {
    while let rest = PQgetResult(handle) {
      let isCopying = PQresultStatus(rest) == PGRES_COPY_IN
      PQclear(rest)
      if isCopying { break }
    }
  }

  /// Rolls back, if a transaction is open and the connection lives. Never fails: a connection that is lost has
  /// rolled back.
  package func rollback() {
    guard !isLost, isInTransaction else { return }
    PQclear(PQexec(handle, "ROLLBACK"))
  }

  private func lost() -> ServerError { ServerError(connection: handle) }

  private func check(_ result: OpaquePointer?) throws(ServerError) -> ServerResult {
    let result = ServerResult(result)
    switch result.status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return result
    case PGRES_COPY_IN, PGRES_COPY_OUT:
      // Only a query that somebody typed asks for this; there is no way out but to leave.
      shutdown(PQsocket(handle), Int32(SHUT_RDWR))
      throw ServerError(message: "COPY is no query", sqlState: "0A000")
    default: throw ServerError(result, connection: handle)
    }
  }

  private func withArguments<R>(
    _ parameters: [Parameter],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) ->
      R
  ) -> R {
    // Buffers live as long as `parameters`, which outlives the call: libpq copies what it sends.
    withExtendedLifetime(parameters) {
      let values = parameters.map { parameter -> UnsafePointer<CChar>? in
        parameter.buffer.map { UnsafePointer($0.base.assumingMemoryBound(to: CChar.self)) }
      }
      let lengths = parameters.map { Int32($0.buffer?.count ?? 0) }
      let formats = [Int32](repeating: 1, count: parameters.count)
      return body(values, lengths, formats)
    }
  }
}

/// A parameter in binary form; NULL where there is no buffer.
package struct Parameter {
  let buffer: WireBuffer?

  init(_ buffer: WireBuffer?) { self.buffer = buffer }

  /// A `bigint`.
  static func int(_ value: Int64?) -> Parameter {
    guard let value else { return Parameter(nil) }
    let buffer = WireBuffer(capacity: 8)
    buffer.append(value)
    return Parameter(buffer)
  }

  /// A `text`, or a `bytea` of its UTF-8.
  package static func text(_ value: String?) -> Parameter {
    guard let value else { return Parameter(nil) }
    let buffer = WireBuffer(capacity: value.utf8.count)
    buffer.append(value)
    return Parameter(buffer)
  }

  static func bytes(_ value: [UInt8]) -> Parameter {
    let buffer = WireBuffer(capacity: value.count)
    value.withUnsafeBytes { buffer.append($0) }
    return Parameter(buffer)
  }
}
