import AdapterContract
import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import Synchronization
import Testing

struct DirectorySubject: ContractSubject {
  struct Sink: ContractSink {
    let folder: Folder

    var path: String { folder.path + "/mirror" }

    func open() async throws -> any Adapter { DirectoryAdapter(path: path) }

    /// As a script would: through the link, with a JSON reader that knows nothing of the mirror.
    func rows(of collection: Int, in schema: Schema) async throws -> [Row] {
      // Does what a crash left to do.
      _ = try await open().checkpoint()
      return try DirectoryReader(path: path).rows(of: collection, in: schema)
    }

    func copy() async throws -> (any ContractSink)? {
      let copy = Sink(folder: Folder())
      _ = try await open().checkpoint()
      if FileManager.default.fileExists(atPath: path) {
        try FileManager.default.copyItem(atPath: path, toPath: copy.path)
      }
      return copy
    }

    func openCrashing(at point: Int) async throws -> (any Adapter)? {
      CrashingAdapter(path: path, point: point)
    }
  }

  func makeSink() async throws -> any ContractSink { Sink(folder: Folder()) }
}

/// Reads a mirror as its users do.
struct DirectoryReader {
  let path: String

  func rows(of index: Int, in schema: Schema) throws -> [Row] {
    for _ in 0..<100 {
      // A generation may go while it is read: then there is another one.
      guard let generation = try? link() else { return [] }
      if let rows = try read(path + "/" + generation, index, schema), try link() == generation {
        return rows
      }
    }
    throw ContractViolation("a generation that stays long enough to be read")
  }

  func link() throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: path + "/current")
  }

  private func read(_ generation: String, _ index: Int, _ schema: Schema) throws -> [Row]? {
    let collection = try DocumentPlan(schema: schema).collections[index]
    let folder = generation + "/" + collection.name
    guard let names = FileManager.default.enumerator(atPath: folder)?.allObjects as? [String],
      let text = FileManager.default.contents(atPath: folder + "/_index.json")
    else { return nil }
    var rows: [(Key, Row)] = []
    for name in names where name.hasSuffix(".json") {
      if (name as NSString).lastPathComponent.hasPrefix("_") { continue }
      guard let bytes = FileManager.default.contents(atPath: folder + "/" + name) else {
        return nil
      }
      let row = try collection.row(of: Array(bytes), in: schema)
      rows.append((collection.key(of: row)!, row))
    }
    let index = try JSONSerialization.jsonObject(with: text) as? [String: Any]
    if index?["documents"] as? Int != rows.count {
      guard FileManager.default.fileExists(atPath: folder) else { return nil }
      throw ContractViolation("\(rows.count) documents, and the index says \(index ?? [:])")
    }
    return rows.sorted { $0.0 < $1.0 }.map(\.1)
  }
}

/// Dies before one change of the file system in `apply`.
private actor CrashingAdapter: Adapter {
  private var adapter: DirectoryAdapter?
  private let countdown: Countdown

  init(path: String, point: Int) {
    let countdown = Countdown(point)
    self.countdown = countdown
    adapter = DirectoryAdapter(path: path) { try countdown.count() }
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

@Suite struct DirectoryContractTests {
  @Test(arguments: AdapterContract.cases)
  func `a directory keeps the contract`(_ item: AdapterContract.Case) async throws {
    #expect(try await item.run(on: DirectorySubject()) == .passed)
  }
}
