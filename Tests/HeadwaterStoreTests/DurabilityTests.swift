import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver
import Synchronization
import Testing

@testable import HeadwaterStore

/// What survives crashes, full disks and restarts, and what a store says of files that it cannot use.
@Suite struct DurabilityTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path("store") }

  init() throws { folder = try TemporaryFolder() }

  private static func write(_ store: Store, _ id: String, author: UInt8 = 1) async throws
    -> WriteReceipt
  {
    try await store.write(as: Fixture.signer(author)) {
      try $0.create("Item", [("id", .text(id)), ("name", .text(String(repeating: id, count: 9)))])
    }
  }

  private func ids(_ store: Store) async throws -> Set<String> {
    Set(
      try await store.read { snapshot in
        try snapshot.rows(0, limit: .max - 1).compactMap {
          if case .text(let id)? = $0[0] { id } else { nil }
        }
      })
  }

  private final class Acknowledged: Sendable {
    let ids = Mutex<[String]>([])
  }

  // MARK: Crashes

  @Test func whatWasAcknowledgedIsInEveryCopyMadeAfterwards() async throws {
    let store = try Fixture.store(Scenario.shop, at: path)
    let acknowledged = Acknowledged()
    let writers = Task {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<4 {
          group.addTask {
            for number in 0..<60 {
              let id = "\(writer)-\(number)"
              _ = try await Self.write(store, id, author: UInt8(writer + 1))
              acknowledged.ids.withLock { $0.append(id) }
            }
          }
        }
        try await group.waitForAll()
      }
    }
    var copies = 0
    while acknowledged.ids.withLock(\.count) < 240 {
      let known = Set(acknowledged.ids.withLock(\.self))
      // The file and then its log, as a crash would leave them: too little is written for a checkpoint.
      let copy = try folder.copy(path, to: "copy\(copies)")
      copies += 1
      let opened = try Store.open(copy, forWriting: true, suite: Fixture.suite)
      #expect(try await ids(opened).isSuperset(of: known))
      #expect(try await opened.verifyDeep().differences.isEmpty)
      try await Scenario.expectWholeStream(opened)
      let next = try await opened.changes.head().position + 1
      #expect(try await Self.write(opened, "after").position == next)
    }
    try await writers.value
    #expect(copies > 0)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func restartsAnywhereInAHistory(seed: UInt64) async throws {
    let first = try Fixture.store()
    let genesis = try await first.everything()[0]
    var maker = try HistoryMaker(seed: seed, authors: 3, schema: first.schema, genesis: genesis)
    try maker.grow(50, reachBack: [3, 30][Int(seed % 2)])
    let reference = ReferenceModel(
      operations: try maker.operations.map {
        ($0.id, try HeadwaterLog.Operation.decode($0.signed.body))
      }, schema: maker.schema, hasher: Fixture.suite)
    var random = Seeded(seed)
    var store: Store? = try Store.replicate(at: path, genesis: genesis, suite: Fixture.suite)
    var position: Int64 = 0
    for signed in maker.operations.dropFirst().map(\.signed) {
      guard case .admitted = try await store!.receive([signed])[0] else {
        Issue.record("not admitted")
        return
      }
      if Int.random(in: 0..<3, using: &random) == 0 {
        let head = try await store!.changes.head()
        #expect(head.position >= position)
        position = head.position
        store = nil
        store = try Store.open(path, forWriting: true, suite: Fixture.suite)
        #expect(try await store!.changes.head() == head)
      }
    }
    #expect(try await store!.visibleRows() == reference.rows)
    #expect(try await store!.verdicts() == reference.verdicts)
    #expect(try await store!.verifyDeep().differences.isEmpty)
    try await Scenario.expectWholeStream(store!)
  }

  /// Every statement of a commit fails once; what was there stays, and the next write goes well.
  @Test func aFailureAtAnyStatementLeavesNoTrace() async throws {
    let store = try Fixture.store(Scenario.shop)
    _ = try await Self.write(store, "a")
    let db = store.writer!
    var failures = 0
    for step in 0..<200 {
      let position = try await store.changes.head().position
      let before = try await ids(store)
      // The counter is confined to the writer's queue.
      nonisolated(unsafe) var left = step
      try await db.between { db in
        db.injectedFailure = {
          left -= 1
          guard left == -1 else { return nil }
          return SQLiteError(code: 10, message: "disk I/O error", context: "injected")
        }
      }
      var failed: StoreError?
      do {
        try await store.write(as: Fixture.signer(UInt8(step % 100 + 1))) {
          try $0.create("Item", [("id", .text("s\(step)"))])
          try $0.create("Part", [("id", .text("s\(step)")), ("item", reference("a"))])
        }
      } catch let error as StoreError {
        failed = error
      }
      try await db.between { $0.injectedFailure = nil }
      if let failed {
        failures += 1
        #expect(failed.code == .storage)
        #expect(try await ids(store) == before)
        #expect(try await store.changes.head().position == position)
        let next = try await Self.write(store, "n\(step)")
        #expect(next.position == position + 1)
      } else {
        break
      }
    }
    #expect(failures > 10 && failures < 200)
    #expect(try await store.verifyDeep().differences.isEmpty)
    try await Scenario.expectWholeStream(store)
  }

  @Test func aDiskThatFillsUp() async throws {
    let store = try Fixture.store(Scenario.shop, at: path)
    var acknowledged: Set<String> = []
    try await store.writer!.between { db in
      let pages = try db.integer("PRAGMA page_count")!
      try db.execute("PRAGMA max_page_count = \(pages + 12)")
    }
    var full: StoreError?
    for number in 0..<2_000 {
      do {
        _ = try await Self.write(store, "\(number)")
        acknowledged.insert("\(number)")
      } catch let error as StoreError {
        full = error
        break
      }
    }
    #expect(full?.code == .full && full?.message.contains("make room") == true)
    #expect(!acknowledged.isEmpty)
    // Many at once fail too, each with the reason, and reading works.
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<20 {
        group.addTask {
          let error = await storeError { _ = try await Self.write(store, "no\(number)") }
          #expect(error?.code == .full)
        }
      }
    }
    #expect(try await ids(store) == acknowledged)
    try await store.writer!.between { try $0.execute("PRAGMA max_page_count = 1000000") }
    let position = try await store.changes.head().position
    #expect(try await Self.write(store, "room").position == position + 1)
    #expect(try await ids(store) == acknowledged.union(["room"]))
    #expect(try await store.verifyDeep().differences.isEmpty)
    let copy = try folder.copy(path, to: "copy")
    let opened = try Store.open(copy, forWriting: false, suite: Fixture.suite)
    #expect(try await opened.verifyDeep().differences.isEmpty)
  }

  /// A real disk, where the test may mount one.
  @Test func aFileSystemThatFillsUp() async throws {
    let mount = folder.path("disk")
    try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
    func run(_ arguments: [String]) -> Bool {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = arguments
      process.standardError = FileHandle.nullDevice
      do { try process.run() } catch { return false }
      process.waitUntilExit()
      return process.terminationStatus == 0
    }
    guard run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount]) else { return }
    defer { _ = run(["umount", "-l", mount]) }
    let path = mount + "/store"
    let ballast = mount + "/ballast"
    try Data(repeating: 1, count: 300_000).write(to: URL(filePath: ballast))
    let store = try Fixture.store(Scenario.shop, at: path)
    var acknowledged: Set<String> = []
    var full: StoreError?
    for number in 0..<20_000 {
      do {
        _ = try await Self.write(store, "\(number)")
        acknowledged.insert("\(number)")
      } catch let error as StoreError {
        full = error
        break
      }
    }
    #expect(full?.code == .full, "\(String(describing: full))")
    #expect(try await ids(store) == acknowledged)
    try FileManager.default.removeItem(atPath: ballast)
    _ = try await Self.write(store, "room")
    #expect(try await ids(store) == acknowledged.union(["room"]))
    #expect(try await store.verifyDeep().differences.isEmpty)
  }

  // MARK: Files that are no stores

  @Test func filesThatAreNoStores() async throws {
    func expect(
      _ code: StoreError.Code, _ path: String, _ location: SourceLocation = #_sourceLocation
    ) async {
      for forWriting in [false, true] {
        let error = await storeError(location) {
          _ = try Store.open(path, forWriting: forWriting, suite: Fixture.suite)
        }
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: location)
        #expect(error?.message.contains(path) == true, sourceLocation: location)
      }
    }
    await expect(.missing, folder.path("none"))
    for (name, bytes) in [
      ("empty", Data()), ("text", Data("This is no store.\n".utf8)),
      ("random", Data((0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ $0 >> 3) })),
    ] {
      try bytes.write(to: URL(filePath: folder.path(name)))
      await expect(.notAStore, folder.path(name))
      #expect(try Data(contentsOf: URL(filePath: folder.path(name))) == bytes)
    }
    do {
      let db = try Connection(path: folder.path("other"), mode: .createIfMissing)
      try db.execute("PRAGMA application_id = 1234; CREATE TABLE meta (name, value)")
    }
    await expect(.notAStore, folder.path("other"))
    do { _ = try Fixture.store(Scenario.shop, at: path) }
    let taken = await storeError { _ = try Fixture.store(Scenario.shop, at: path) }
    #expect(taken?.code == .exists)
    do {
      let db = try Connection(path: path, mode: .readWrite)
      try db.execute("PRAGMA user_version = 99")
    }
    await expect(.notAStore, path)
    #expect(!FileManager.default.fileExists(atPath: path + "-lock"))
    // A folder that is not there, and one that is no folder.
    for path in [folder.path("no/store"), folder.path("text/store")] {
      let error = await storeError { _ = try Fixture.store(Scenario.shop, at: path) }
      #expect(error?.code == .permission)
    }
  }

  @Test func aReadOnlyFolder() async throws {
    do { _ = try Fixture.store(Scenario.shop, at: path) }
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o555], ofItemAtPath: folder.url.path)
    defer {
      try? FileManager.default.setAttributes(
        [.posixPermissions: 0o755], ofItemAtPath: folder.url.path)
    }
    // Root may do everything.
    guard !FileManager.default.isWritableFile(atPath: folder.url.path) else { return }
    let open = await storeError {
      _ = try Store.open(path, forWriting: true, suite: Fixture.suite)
    }
    #expect(open?.code == .permission)
    let create = await storeError { _ = try Fixture.store(Scenario.shop, at: folder.path("new")) }
    #expect(create?.code == .permission)
  }

  @Test func aSecondWriter() async throws {
    var store: Store? = try Fixture.store(Scenario.shop, at: path)
    let error = await storeError {
      _ = try Store.open(path, forWriting: true, suite: Fixture.suite)
    }
    #expect(error?.code == .locked)
    #expect(
      error?.message.contains("process \(ProcessInfo.processInfo.processIdentifier)") == true)
    let reader = try Store.open(path, forWriting: false, suite: Fixture.suite)
    let refused = await storeError { _ = try await Self.write(reader, "x") }
    #expect(refused?.code == .permission)
    _ = try await Self.write(store!, "a")
    #expect(try await ids(reader) == ["a"])
    // Let go right after a write, it can be opened again at once.
    for round in 0..<100 {
      _ = try await Self.write(store!, "r\(round)")
      store = nil
      store = try Store.open(path, forWriting: true, suite: Fixture.suite)
    }
    #expect(try await ids(reader).count == 101)
  }

  @Test func readersSeeWholeTransactions() async throws {
    let store = try Fixture.store(Scenario.shop, at: path)
    let reader = try Store.open(path, forWriting: false, suite: Fixture.suite)
    let writing = Task {
      for number in 0..<60 {
        try await store.write(as: Fixture.signer(1)) { draft in
          for index in 0..<5 {
            if number == 0 {
              try draft.create("Item", [("id", .text("\(index)")), ("rank", .int(0))])
            } else {
              try draft.update("Item", key: key("\(index)"), set: [("rank", .int(Int64(number)))])
            }
          }
        }
      }
    }
    for _ in 0..<200 {
      for store in [store, reader] {
        let ranks = try await store.read { try $0.rows(0, limit: 10).map { $0[2] } }
        #expect(ranks.isEmpty || ranks.count == 5)
        #expect(Set(ranks).count <= 1)
      }
    }
    try await writing.value
  }
}
