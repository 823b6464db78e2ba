import HeadwaterModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Commands to the primary of a replica set, one at a time. Confined to one thread.
final class MongoClient {
  let url: MongoURL
  private let connection: WireConnection
  private let session: [UInt8]
  private var transaction: Int64 = 0
  private var phase = Phase.none
  /// Asked before every command; for tests of what a crash leaves behind.
  var beforeCommand: (() throws -> Void)?

  private enum Phase { case none, first, open }

  /// Connects to the first host that is a primary.
  ///
  /// - Throws: `MongoError`.
  init(_ url: MongoURL, timeout: Int) throws {
    self.url = url
    // The session of every mirror into this database: a transaction that a killed process left open, and which
    // would keep others out until the server gives it up, ends when the next one begins.
    session = Array(ScramSHA256.sha256(Array("headwater \(url.database)".utf8)).prefix(16))
    var found: WireConnection?
    var reason: any Error = MongoError.unreachable("no host")
    for host in url.hosts where found == nil {
      do {
        let connection = try WireConnection(host: host.name, port: host.port, timeout: timeout)
        try MongoClient.greet(connection)
        found = connection
      } catch {
        reason = error
      }
    }
    guard let found else { throw reason }
    connection = found
    if let user = url.user { try authenticate(user) }
  }

  private static func greet(_ connection: WireConnection) throws {
    var hello = BSONWriter()
    hello.document {
      $0.int32("hello", 1)
      $0.document("client") { client in
        client.document("driver") {
          $0.string("name", "headwater")
          $0.string("version", "1")
        }
        client.document("os") { $0.string("type", "unknown") }
      }
      $0.string("$db", "admin")
    }
    let answer = try connection.roundTrip(hello.bytes)
    try check(answer)
    // Transactions over replica sets came with 4.0, as wire version 7.
    guard answer["setName"] != nil || answer["msg"]?.string == "isdbgrid",
      (answer["maxWireVersion"]?.int ?? 0) >= 7
    else {
      throw MongoError.unsupported(
        "it has no transactions: start it as a replica set (mongod --replSet NAME, and rs.initiate() once)"
      )
    }
    guard answer["isWritablePrimary"]?.isTrue == true || answer["ismaster"]?.isTrue == true else {
      throw MongoError.unreachable("none of the hosts is the primary")
    }
  }

  // MARK: Authentication

  private func authenticate(_ user: String) throws {
    guard let password = url.password else {
      throw MongoError.authentication("no password was given for the user")
    }
    do {
      var scram = try ScramSHA256(user: user, password: password)
      let first = try command(in: url.authSource) {
        $0.int32("saslStart", 1)
        $0.string("mechanism", "SCRAM-SHA-256")
        $0.binary("payload", scram.clientFirst)
        $0.document("options") { $0.bool("skipEmptyExchange", true) }
      }
      guard let payload = first["payload"]?.binary, let id = first["conversationId"]?.int else {
        throw MongoError.malformed
      }
      let proof = try scram.clientFinal(payload)
      var answer = try command(in: url.authSource) {
        $0.int32("saslContinue", 1)
        $0.int32("conversationId", Int32(truncatingIfNeeded: id))
        $0.binary("payload", proof)
      }
      try scram.verify(answer["payload"]?.binary ?? [])
      if answer["done"]?.isTrue != true {
        answer = try command(in: url.authSource) {
          $0.int32("saslContinue", 1)
          $0.int32("conversationId", Int32(truncatingIfNeeded: id))
          $0.binary("payload", [])
        }
      }
      guard answer["done"]?.isTrue == true else { throw MongoError.malformed }
    } catch let failure as ScramSHA256.Failure {
      switch failure {
      case .unsupportedPassword:
        throw MongoError.authentication(
          "a password of other characters than ASCII's is not supported")
      case .wrongServer: throw MongoError.authentication("the server cannot prove who it is")
      case .protocolViolation:
        throw MongoError.authentication("the server does not follow SCRAM-SHA-256")
      }
    } catch MongoError.command(let code, _, _) where code == 18 || code == 13 || code == 11 {
      throw MongoError.authentication("the server refuses the user or the password")
    }
  }

  // MARK: Commands

  /// Runs a command and returns its answer.
  ///
  /// - Throws: `MongoError`, of the command or of the first write that failed.
  @discardableResult
  func command(
    in database: String? = nil, sequence: WireConnection.Sequence? = nil,
    _ body: (inout BSONWriter) -> Void
  ) throws -> BSON {
    try beforeCommand?()
    var writer = BSONWriter()
    writer.document { writer in
      body(&writer)
      writer.string("$db", database ?? url.database)
      if phase != .none {
        writer.document("lsid") { $0.binary("id", session, subtype: 4) }
        writer.int64("txnNumber", transaction)
        writer.bool("autocommit", false)
        if phase == .first { writer.bool("startTransaction", true) }
      }
    }
    let answer = try connection.roundTrip(writer.bytes, sequence)
    if phase == .first { phase = .open }
    try MongoClient.check(answer)
    return answer
  }

  private static func check(_ answer: BSON) throws {
    let labels = answer["errorLabels"]?.array?.compactMap(\.string) ?? []
    func error(_ from: BSON) -> MongoError {
      .command(
        code: from["code"]?.int ?? 0, name: from["codeName"]?.string ?? "", labels: labels)
    }
    guard answer["ok"]?.isTrue == true else { throw error(answer) }
    if let first = answer["writeErrors"]?.array?.first { throw error(first) }
    if let concern = answer["writeConcernError"] { throw error(concern) }
  }

  /// Runs `body` in a transaction, which is durable on a majority when this returns.
  func withTransaction<R>(_ body: () throws -> R) throws -> R {
    // Greater than any before, also of other processes.
    transaction = max(transaction + 1, MongoClient.microseconds())
    phase = .first
    do {
      let result = try body()
      if phase == .open {
        try command(in: "admin") {
          $0.int32("commitTransaction", 1)
          $0.document("writeConcern") { $0.string("w", "majority") }
        }
      }
      phase = .none
      return result
    } catch {
      if phase == .open {
        // The server ends it by itself if this does not arrive.
        _ = try? command(in: "admin") { $0.int32("abortTransaction", 1) }
      }
      phase = .none
      throw error
    }
  }

  private static func microseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
  }

  /// Calls `body` with each document that a `find` yields.
  func find(
    _ collection: String, batchSize: Int32 = 10_000, _ query: (inout BSONWriter) -> Void,
    _ body: (BSON) throws -> Void
  ) throws {
    var answer = try command {
      $0.string("find", collection)
      query(&$0)
      $0.int32("batchSize", batchSize)
    }
    var field = "firstBatch"
    while true {
      guard let cursor = answer["cursor"], let batch = cursor[field]?.array,
        let id = cursor["id"]?.int
      else { throw MongoError.malformed }
      for document in batch { try body(document) }
      if id == 0 { return }
      field = "nextBatch"
      answer = try command {
        $0.int64("getMore", id)
        $0.string("collection", collection)
        $0.int32("batchSize", batchSize)
      }
    }
  }
}
