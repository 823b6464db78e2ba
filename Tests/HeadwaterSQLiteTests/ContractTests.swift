import AdapterContract
import Foundation
import HeadwaterModel
import HeadwaterSQLite
import HeadwaterStream
import SQLiteDriver
import Testing

struct SQLiteSubject: ContractSubject {
  struct Sink: ContractSink {
    let folder: Folder

    func open() async throws -> any Adapter { SQLiteAdapter(path: folder.file) }

    func copy() async throws -> (any ContractSink)? {
      let copy = Folder()
      if FileManager.default.fileExists(atPath: folder.file) {
        // Not the bytes of the file: what is in its log belongs to it.
        let connection = try Connection(path: folder.file, mode: .readWrite)
        try connection.execute("VACUUM INTO '\(copy.file)'")
      }
      return Sink(folder: copy)
    }

    func openCrashing(at point: Int) async throws -> (any Adapter)? {
      CrashingAdapter(path: folder.file, point: point)
    }
  }

  func makeSink() async throws -> any ContractSink { Sink(folder: Folder()) }
}

/// Dies before one statement of `apply`: its connection is gone then, as that of a killed process.
private actor CrashingAdapter: Adapter {
  private var adapter: SQLiteAdapter?
  private let countdown: Countdown

  init(path: String, point: Int) {
    let countdown = Countdown(point)
    self.countdown = countdown
    adapter = SQLiteAdapter(path: path) {
      countdown.isOver()
        ? SQLiteError(code: 4, message: "the process was killed", context: "") : nil
    }
  }

  func checkpoint() async throws(AdapterError) -> Checkpoint? {
    guard let adapter else {
      throw AdapterError(.unavailable, "The process was killed.", recovery: .retry)
    }
    return try await adapter.checkpoint()
  }

  func apply(_ batch: ChangeBatch) async throws(AdapterError) {
    guard let adapter else {
      throw AdapterError(.unavailable, "The process was killed.", recovery: .retry)
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

private final class Countdown: Sendable {
  private let lock = NSLock()
  private nonisolated(unsafe) var left: Int
  private nonisolated(unsafe) var isArmed = false

  init(_ count: Int) { left = count }

  func arm() { lock.withLock { isArmed = true } }

  func isOver() -> Bool {
    lock.withLock {
      guard isArmed else { return false }
      left -= 1
      return left < 0
    }
  }
}

@Suite struct ContractTests {
  @Test(arguments: AdapterContract.cases)
  func `the SQLite adapter keeps the contract`(_ item: AdapterContract.Case) async throws {
    let outcome = try await item.run(on: SQLiteSubject())
    #expect(outcome == .passed)
  }
}
