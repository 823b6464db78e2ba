import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// Several writers of one file, in turns.
@Suite struct TurnsTests {
  private static let schema = """
    schema S
    allow everything
    collection Item {
      id: Text(40) @key
      count: Int @default(0)
    }
    """

  private func options(takesTurns: Bool, patience: Int = 60_000) -> Store.Options {
    var options = Store.Options()
    options.takesTurns = takesTurns
    options.patience = patience
    options.durability = .process
    return options
  }

  private func open(_ path: String, _ options: Store.Options) throws -> Store {
    try Store.open(path, forWriting: true, suite: Fixture.suite, options: options)
  }

  private func create(_ path: String) throws {
    _ = try Store.create(
      at: path, schema: try Schema.parse(Self.schema), as: Fixture.signer(1), suite: Fixture.suite)
  }

  @Test func writersInTurnsSeeEachOther() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    try create(path)
    let stores = try (0..<3).map { _ in try open(path, options(takesTurns: true)) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, store) in stores.enumerated() {
        group.addTask {
          for step in 0..<40 {
            try await store.write(as: Fixture.signer(UInt8(number + 1))) { draft in
              try draft.create("Item", [("id", .text("\(number)-\(step)"))])
            }
          }
        }
      }
      try await group.waitForAll()
    }
    for store in stores {
      let (count, heads) = try await store.read {
        (try $0.count(0), try $0.frontier().count)
      }
      // Each wrote after all that the others had written, so the history is one line.
      #expect(count == 120 && heads == 1)
    }
    #expect(try await stores[0].verifyDeep().differences.isEmpty)
  }

  @Test func whoKeepsTheStoreIsWaitedFor() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    try create(path)
    let shared = try open(path, options(takesTurns: true, patience: 100))
    var alone: Store? = try open(path, options(takesTurns: false))
    let error = await #expect(throws: StoreError.self) {
      try await shared.write(as: Fixture.signer(2)) { try $0.create("Item", [("id", .text("a"))]) }
    }
    #expect(error?.code == .locked)
    #expect(throws: StoreError.self) { _ = try open(path, options(takesTurns: false, patience: 50)) }
    try await alone?.write(as: Fixture.signer(1)) { try $0.create("Item", [("id", .text("b"))]) }
    alone = nil
    try await shared.write(as: Fixture.signer(2)) { try $0.create("Item", [("id", .text("c"))]) }
    // Between its commits anybody may have it.
    alone = try open(path, options(takesTurns: false, patience: 1_000))
    #expect(try await alone?.read { try $0.count(0) } == 2)
  }

  @Test func waitingForEventsSeesWhatOthersWrite() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    try create(path)
    let first = try open(path, options(takesTurns: true))
    let second = try open(path, options(takesTurns: true))
    let position = try await first.changes.head().position
    let waiting = Task {
      try await first.changes.waitForEvents(after: position, timeout: .seconds(60))
    }
    try await second.write(as: Fixture.signer(2)) { try $0.create("Item", [("id", .text("a"))]) }
    try await waiting.value
    #expect(try await first.changes.head().position > position)
  }
}
