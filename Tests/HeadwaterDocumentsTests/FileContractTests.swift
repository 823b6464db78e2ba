import AdapterContract
import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver
import Testing

struct DocumentFileSubject: ContractSubject {
  struct Sink: ContractSink {
    let folder: Folder

    var path: String { folder.path + "/mirror.docs" }

    func open() async throws -> any Adapter { DocumentFileAdapter(path: path) }

    /// As an application would: by asking for all documents.
    func rows(of index: Int, in schema: Schema) async throws -> [Row] {
      let collection = try DocumentPlan(schema: schema).collections[index]
      guard try await open().checkpoint()?.isPublished == true || isPublished() else { return [] }
      var rows: [(key: Key, row: Row)] = []
      try DocumentStore(path: path).find(collection.name) {
        let row = try collection.row(of: $0, in: schema)
        rows.append((collection.key(of: row)!, row))
      }
      return rows.sorted { $0.key < $1.key }.map(\.row)
    }

    private func isPublished() -> Bool {
      guard let store = try? DocumentStore(path: path) else { return false }
      return (try? store.collections()) != nil
    }

    func copy() async throws -> (any ContractSink)? {
      let copy = Sink(folder: Folder())
      if FileManager.default.fileExists(atPath: path) {
        let connection = try Connection(path: path, mode: .readWrite, trustsSchema: true)
        try connection.execute("VACUUM INTO '\(copy.path)'")
      }
      return copy
    }

    func openCrashing(at point: Int) async throws -> (any Adapter)? {
      CrashingFileAdapter(path: path, point: point)
    }
  }

  func makeSink() async throws -> any ContractSink { Sink(folder: Folder()) }
}

/// Dies before one statement of `apply`: its connection is gone then, as that of a killed process.
private actor CrashingFileAdapter: Adapter {
  private var adapter: DocumentFileAdapter?
  private let countdown: Countdown

  init(path: String, point: Int) {
    let countdown = Countdown(point)
    self.countdown = countdown
    adapter = DocumentFileAdapter(path: path) {
      do { try countdown.count() } catch {
        return SQLiteError(code: 4, message: "the process was killed", context: "")
      }
      return nil
    }
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

@Suite struct FileContractTests {
  @Test(arguments: AdapterContract.cases)
  func `a file of documents keeps the contract`(_ item: AdapterContract.Case) async throws {
    #expect(try await item.run(on: DocumentFileSubject()) == .passed)
  }
}
