import AdapterContract
import Foundation
import HeadwaterModel
import HeadwaterStream
import Synchronization
import Testing

@testable import HeadwaterMongoDB

struct MongoSubject: ContractSubject {
  /// With 10,000 changes in a transaction the server of the tests takes minutes.
  var largeBatch: Int { 1_500 }

  struct Sink: ContractSink {
    let url: MongoURL

    func open() async throws -> any Adapter { MongoDBAdapter(url: url) }

    /// What restoring a dump of the database gives: its collections with their documents and indices.
    func copy() async throws -> (any ContractSink)? {
      let copy = try await Server.shared.url()
      let from = try MongoClient(url, timeout: 60)
      let to = try MongoClient(copy, timeout: 60)
      let listed = try from.command { $0.int32("listCollections", 1) }
      for entry in listed["cursor"]?["firstBatch"]?.array ?? [] {
        guard let name = entry["name"]?.string else { continue }
        try to.command { $0.string("create", name) }
        var documents = BSONWriter()
        try from.find(name, batchSize: 100_000) { _ in
        } _: { document in
          documents.document { $0.members(of: document) }
        }
        if !documents.bytes.isEmpty {
          try to.command(sequence: .init(name: "documents", bytes: documents.bytes[...])) {
            $0.string("insert", name)
          }
        }
        let indices = try from.command { $0.string("listIndexes", name) }
        for index in indices["cursor"]?["firstBatch"]?.array ?? []
        where index["name"] != .string("_id_") {
          try to.command {
            $0.string("createIndexes", name)
            $0.array("indexes") {
              $0.document("0") {
                $0.member("key", index["key"] ?? .null)
                $0.member("name", index["name"] ?? .null)
              }
            }
          }
        }
      }
      return Sink(url: copy)
    }

    func openCrashing(at point: Int) async throws -> (any Adapter)? {
      CrashingAdapter(url: url, point: point)
    }
  }

  func makeSink() async throws -> any ContractSink { Sink(url: try await Server.shared.url()) }
}

/// Dies before one command of `apply`.
private actor CrashingAdapter: Adapter {
  private var adapter: MongoDBAdapter?
  private let countdown: Countdown

  init(url: MongoURL, point: Int) {
    let countdown = Countdown(point)
    self.countdown = countdown
    adapter = MongoDBAdapter(url: url) { try countdown.count() }
  }

  func checkpoint() async throws(AdapterError) -> Checkpoint? {
    guard let adapter else {
      throw AdapterError(.unavailable, "The process was killed.", recovery: .halt)
    }
    return try await adapter.checkpoint()
  }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    guard let adapter else {
      throw AdapterError(.unavailable, "The process was killed.", recovery: .halt)
    }
    countdown.arm()
    do {
      try await adapter.apply(batch)
    } catch {
      self.adapter = nil
      throw error
    }
  }
}

extension BSONWriter {
  /// The members of a document as they were read.
  fileprivate mutating func members(of document: BSON) {
    guard case .document(let members) = document else { return }
    for entry in members { member(entry.name, entry.value) }
  }

  fileprivate mutating func member(_ name: String, _ value: BSON) {
    switch value {
    case .double(let value): double(name, value)
    case .string(let value): string(name, value)
    case .binary(let value): binary(name, value)
    case .bool(let value): bool(name, value)
    case .int32(let value): int32(name, value)
    case .int64(let value): int64(name, value)
    case .null, .other: null(name)
    case .document: self.document(name) { $0.members(of: value) }
    case .array(let values):
      array(name) { writer in
        for (index, value) in values.enumerated() { writer.member(String(index), value) }
      }
    }
  }
}

final class Countdown: Sendable {
  struct Killed: Error {}
  private let state: Mutex<(left: Int, isArmed: Bool)>

  init(_ count: Int) { state = Mutex((count, false)) }

  func arm() { state.withLock { $0.isArmed = true } }

  func count() throws {
    let isOver = state.withLock { state in
      guard state.isArmed else { return false }
      state.left -= 1
      return state.left < 0
    }
    if isOver { throw Killed() }
  }
}

@Suite(.enabled(if: Server.isWanted, "no document server: HEADWATER_TEST_MONGODB is not set"))
struct MongoContractTests {
  @Test(arguments: AdapterContract.cases)
  func `a document server keeps the contract`(_ item: AdapterContract.Case) async throws {
    let outcome = try await Server.shared.withTurn { try await item.run(on: MongoSubject()) }
    #expect(outcome == .passed)
  }
}
