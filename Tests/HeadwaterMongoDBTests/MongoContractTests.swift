import AdapterContract
import Foundation
import HeadwaterModel
import HeadwaterMongoDB
import HeadwaterStream
import Synchronization
import Testing

struct MongoSubject: ContractSubject {
  struct Sink: ContractSink {
    let url: MongoURL

    func open() async throws -> any Adapter { MongoDBAdapter(url: url) }

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
    // A database of a server is not copied; the cases of restored backups need copies.
    #expect(outcome == .passed || item.name.hasPrefix("restore."))
  }
}
