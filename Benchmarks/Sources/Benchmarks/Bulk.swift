import Foundation
import Headwater
import HeadwaterMesh
import HeadwaterSodium
import SQLiteDriver

/// All operations of a store to an empty replica in another process, over a secure channel on loopback.
enum Bulk {
  /// The arguments with which this program starts processes that write the operations, and send them.
  static let fill = "--bulk-fill"
  static let source = "--bulk-source"

  static func run(_ count: Int) async throws {
    for authors in [1, 10] {
      let scratch = Scratch()
      let path = scratch.file("full")
      let writing = try Child([fill, path, String(count), String(authors)])
      let bytes = writing.line()
      writing.end()
      let sending = try Child([source, path])
      guard let address = PeerAddress(sending.line()) else { throw CancellationError() }
      let network = try ChannelNetwork(
        signer: SigningKey.generate(), suite: SodiumSuite(), threads: 1)
      let channel = try await network.connect(to: address)
      let empty = try Headwater.replicate(
        at: scratch.file("empty"), genesis: try await genesis(path))
      let cost = try await Cost.of { _ = try await Replicator(empty).sync(over: channel) }
      let status = try await empty.read { try $0.status() }
      guard status.operations == Int64(count) + 1 else { throw CancellationError() }
      await network.shutDown()
      let sent = sending.line()
      sending.end()
      let raw = try await Cost.of { try insert(count, scratch.file("raw")) }
      Benchmarks.report(
        "\(count) operations of \(bytes) bytes from one process to another, \(authors == 1 ? "one author" : "\(authors) authors")",
        "\(cost.rate(count)) a second; receiver \(cost.microseconds(count)) µs CPU each, \(peakMegabytes()) MB; sender \(sent)",
        "\(raw.rate(count))/s, SQLite alone: an operation, a row and an event, \(raw.microseconds(count)) µs CPU each",
        raw.wall / cost.wall)
    }
  }

  /// As many rows of the same sizes, with the same indices, into tables as a store's, by prepared statements in
  /// transactions of a message's length.
  private static func insert(_ count: Int, _ path: String) throws {
    let db = try Connection(path: path, mode: .createIfMissing)
    _ = try db.text("PRAGMA journal_mode = WAL")
    try db.execute("PRAGMA synchronous = FULL")
    try db.execute(
      """
      CREATE TABLE operation (
        number INTEGER PRIMARY KEY, id BLOB NOT NULL, height INTEGER NOT NULL,
        author INTEGER NOT NULL, chain INTEGER NOT NULL, position INTEGER NOT NULL,
        time INTEGER NOT NULL, body BLOB NOT NULL, signature BLOB NOT NULL, voucher BLOB) STRICT;
      CREATE INDEX operation_place ON operation (chain, position);
      CREATE INDEX operation_author ON operation (author, chain, position);
      CREATE TABLE row (
        number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, flags INTEGER NOT NULL,
        creator INTEGER NOT NULL, image BLOB) STRICT;
      CREATE TABLE event (
        first INTEGER PRIMARY KEY, last INTEGER NOT NULL, digest BLOB, bytes BLOB NOT NULL) STRICT;
      """)
    let operation = try db.prepare("INSERT INTO operation VALUES (?, ?, ?, 1, 1, ?, 0, ?, ?, ?)")
    let row = try db.prepare("INSERT INTO row VALUES (?, ?, 3, ?, ?)")
    let event = try db.prepare("INSERT INTO event VALUES (?, ?, ?, ?)")
    let digest = [UInt8](repeating: 1, count: 32)
    let body = [UInt8](repeating: 2, count: 236)
    let signature = [UInt8](repeating: 3, count: 64)
    let image = [UInt8](repeating: 4, count: 60)
    let bytes = [UInt8](repeating: 5, count: 140)
    for start in stride(from: 0, to: count, by: 780) {
      try db.transaction {
        for number in start..<min(start + 780, count) {
          for column in [1, 3, 4] as [Int32] {
            operation.bind(column, number)
          }
          operation.bind(2, digest)
          operation.bind(5, body)
          operation.bind(6, signature)
          operation.bind(7, digest)
          try operation.run()
          row.bind(1, number)
          row.bind(2, Array("..D\(number)".utf8))
          row.bind(3, number)
          row.bind(4, image)
          try row.run()
          event.bind(1, number)
          event.bind(2, number)
          event.bind(3, digest)
          event.bind(4, bytes)
          try event.run()
        }
      }
    }
  }

  private static func genesis(_ path: String) async throws -> SignedOperation {
    let store = try Headwater.open(path, forWriting: false)
    let database = store.database
    guard let genesis = try await store.read({ try $0.signed(database) }) else {
      throw CancellationError()
    }
    return genesis
  }

  /// What the other processes do.
  static func child(_ arguments: [String]) async throws {
    switch (arguments[0], arguments.count) {
    case (fill, 4): try await write(arguments[1], Int(arguments[2]) ?? 0, Int(arguments[3]) ?? 1)
    case (source, 2): try await send(arguments[1])
    default: break
    }
  }

  /// Writes a store of so many operations; says how many bytes each has as it travels.
  private static func write(_ path: String, _ count: Int, _ authors: Int) async throws {
    let keys = (0..<authors).map { _ in SigningKey.generate() }
    let store = try Verdicts.store(path, Verdicts.open, keys[0])
    try await Verdicts.write(store, keys, from: 0, count)
    let bytes = try await store.read { snapshot in
      var bytes = 0
      try snapshot.signedOperations {
        bytes += $0.encode().count
        return true
      }
      return bytes
    }
    print(bytes / count)
  }

  /// Sends everything to whoever connects first; says where it listens, and at the end what it took.
  private static func send(_ path: String) async throws {
    let store = try Headwater.open(path, forWriting: false)
    let network = try ChannelNetwork(
      signer: SigningKey.generate(), suite: SodiumSuite(), threads: 1)
    guard let any = PeerAddress("127.0.0.1:0") else { return }
    let listener = try await network.listen(on: any)
    print(listener.address)
    fflush(nil)
    guard let channel = await listener.accept() else { return }
    let start = Cost.now(CLOCK_PROCESS_CPUTIME_ID)
    let sent = try await Replicator(store).sync(over: channel).operationsSent
    let cpu = Cost.now(CLOCK_PROCESS_CPUTIME_ID) - start
    print("\((cpu / Double(sent) * 1e7).rounded() / 10) µs CPU each, \(peakMegabytes()) MB")
    await network.shutDown()
  }

  /// This program once more, beside this process.
  private struct Child {
    private let process = Process()
    private let output = Pipe()

    init(_ arguments: [String]) throws {
      process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
      process.arguments = arguments
      process.standardOutput = output
      try process.run()
    }

    func line() -> String {
      let bytes = output.fileHandleForReading.availableData
      return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    func end() { process.waitUntilExit() }
  }
}
