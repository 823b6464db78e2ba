import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import Testing

@Suite struct DirectoryTests {
  private static let items = """
    schema Items
    allow everything
    /// A thing.
    collection Item {
      key: Text(200) @key
      name: Text
    }
    """

  private func item(_ key: String, _ name: String = "n") -> Row { Row([.text(key), .text(name)]) }

  /// Every file below a folder with its bytes, in order; links with where they lead.
  private func contents(_ path: String) throws -> [String] {
    let names = (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? [])
      .sorted()
    return names.compactMap { name in
      let file = path + "/" + name
      if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: file) {
        return "\(name) -> \(target)"
      }
      guard let bytes = FileManager.default.contents(atPath: file) else { return nil }
      return "\(name): \(String(decoding: bytes, as: UTF8.self))"
    }
  }

  @Test func theFilesAreAsDocumented() async throws {
    let folder = Folder()
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: folder.path + "/m"), schema)
    try await feeder.publish([change(0, item("A-1", "Äpfel"), in: schema)])
    let path = folder.path + "/m/current/Item/+a-1.json"
    #expect(
      try String(contentsOfFile: path, encoding: .utf8)
        == "{\n  \"_id\": \"+a-1\",\n  \"key\": \"A-1\",\n  \"name\": \"Äpfel\"\n}\n")
    let all = try contents(folder.path + "/m")
    #expect(all.contains("current -> g0"))
    #expect(all.contains { $0.hasPrefix("g0/Item/_schema.json: {") && $0.contains("A thing.") })
    #expect(all.contains { $0.hasPrefix("g0/headwater.schema: schema Items") })
    #expect(all.contains(".headwater/.gitignore: *\n"))
    let index = try #require(all.first { $0.hasPrefix("g0/Item/_index.json") })
    #expect(index.contains("\"documents\": 1") && index.contains("\"levels\": 0"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/m/.headwater/journal"))
  }

  @Test func twoRunsAreTheSameBytes() async throws {
    let schema = try museum()
    var runs: [[String]] = []
    for batch in [7, 100] {
      let folder = Folder()
      var random = Seeded(state: 3)
      var feeder = Feeder(DirectoryAdapter(path: folder.path + "/m"), schema)
      try await feeder.publish([])
      var steps: [ChangeBatch.Step] = []
      for number in 0..<300 {
        // Every key once a batch of any size.
        let row = random.work("w\(number % 150)", number: Int64(number))
        steps.append(change(1, row, in: schema))
        if steps.count == batch || number == 149 {
          try await feeder.apply(steps)
          steps = []
        }
      }
      try await feeder.apply(steps + [deletion(1, Key([.text("w9")]))])
      runs.append(
        try contents(folder.path + "/m").filter { !$0.hasPrefix("headwater.json") })
    }
    #expect(runs[0] == runs[1])
    #expect(runs[0].count > 150)
  }

  @Test func aCollectionThatGrowsIsSpreadOverFolders() async throws {
    let folder = Folder()
    let path = folder.path + "/m"
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: path), schema)
    try await feeder.publish((0..<990).map { change(0, item("k\($0)"), in: schema) })
    #expect(FileManager.default.fileExists(atPath: path + "/current/Item/k7.json"))
    // One more than fits, a change of an old document and a delete in the same batch.
    try await feeder.apply(
      [deletion(0, Key([.text("k5")])), change(0, item("k7", "new"), in: schema)]
        + (990..<1_010).map { change(0, item("k\($0)"), in: schema) })
    #expect(!FileManager.default.fileExists(atPath: path + "/current/Item/k7.json"))
    var rows = try DirectoryReader(path: path).rows(of: 0, in: schema)
    #expect(rows.count == 1_009)
    #expect(rows.contains(item("k7", "new")) && !rows.contains(item("k5")))
    // It shrinks, and stays as it is: nothing wanders to and fro.
    try await feeder.apply((20..<1_010).map { deletion(0, Key([.text("k\($0)")])) })
    rows = try DirectoryReader(path: path).rows(of: 0, in: schema)
    #expect(rows.count == 19)
    let text = try String(contentsOfFile: path + "/current/Item/_index.json", encoding: .utf8)
    #expect(text.contains("\"levels\": 1"))
    let found = try await DirectoryAdapter(path: path).rows(
      of: 0, in: schema, after: Key([.text("k18")]), limit: 3)
    #expect(found.map { $0[0] } == [.text("k19"), .text("k2"), .text("k3")])
  }

  @Test func aCrashWhileDocumentsAreSpreadIsMended() async throws {
    let schema = try Schema.parse(Self.items)
    for point in stride(from: 3, to: 1_060, by: 97) {
      let folder = Folder()
      let path = folder.path + "/m"
      let countdown = Countdown(point)
      var feeder = Feeder(DirectoryAdapter(path: path) { try countdown.count() }, schema)
      try await feeder.publish((0..<1_000).map { change(0, item("k\($0)"), in: schema) })
      countdown.arm()
      let batch = feeder.batch(
        [deletion(0, Key([.text("k5")])), change(0, item("k7", "new"), in: schema)]
          + (1_000..<1_020).map { change(0, item("k\($0)"), in: schema) }, .tail(generation: 0))
      try? await feeder.adapter.apply(batch)
      let next = DirectoryAdapter(path: path)
      let stored = try await next.checkpoint()
      #expect(stored == batch.checkpoint || stored == batch.previous)
      let rows = try DirectoryReader(path: path).rows(of: 0, in: schema)
      #expect(rows.count == (stored == batch.checkpoint ? 1_019 : 1_000))
      #expect(rows.contains(item("k7", "new")) == (stored == batch.checkpoint))
    }
  }

  @Test func longKeysFindRoom() async throws {
    let folder = Folder()
    let path = folder.path + "/m"
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: path), schema)
    let keys =
      [66, 67, 200].map { String(repeating: "é", count: $0) } + [
        String(repeating: "x", count: 200), String(repeating: "é", count: 66) + "e",
      ]
    try await feeder.publish(keys.map { change(0, item($0), in: schema) })
    let rows = try DirectoryReader(path: path).rows(of: 0, in: schema)
    #expect(rows.map { $0[0] } == keys.map { Key([.text($0)]) }.sorted().map { $0.values[0] })
    try await feeder.apply([deletion(0, Key([.text(keys[2])]))])
    #expect(try DirectoryReader(path: path).rows(of: 0, in: schema).count == 4)
  }

  @Test func aFolderOfSomebodyElseIsLeftAlone() async throws {
    let folder = Folder()
    try Data("mine".utf8).write(to: URL(fileURLWithPath: folder.path + "/notes.txt"))
    let schema = try Schema.parse(Self.items)
    let feeder = Feeder(DirectoryAdapter(path: folder.path), schema)
    let batch = feeder.batch(
      [.begin(generation: 0)], .snapshot(generation: 0, progress: .rows(upTo: nil)))
    let error = try await failure { try await feeder.adapter.apply(batch) }
    #expect(error.code == .occupied && error.recovery == .halt)
    #expect(try contents(folder.path).contains("notes.txt: mine"))
    #expect(try await DirectoryAdapter(path: folder.path).checkpoint() == nil)
  }

  @Test func whatSomebodyAddsStaysAndGenerationsGo() async throws {
    let folder = Folder()
    let path = folder.path + "/m"
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: path), schema)
    try await feeder.publish([change(0, item("a"), in: schema)])
    try Data("mine".utf8).write(to: URL(fileURLWithPath: path + "/current/Item/notes.txt"))
    try await feeder.publish([change(0, item("b"), in: schema)], generation: 1)
    let all = try contents(path)
    #expect(all.contains("g0/Item/notes.txt: mine"))
    #expect(!all.contains { $0.hasPrefix("g0/") && $0.contains(".json") })
    #expect(try DirectoryReader(path: path).rows(of: 0, in: schema) == [item("b")])
  }

  @Test func damageIsNoticedAndNamesNoData() async throws {
    let folder = Folder()
    let path = folder.path + "/m"
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: path), schema)
    try await feeder.publish([change(0, item("secret-key", "secret-name"), in: schema)])
    let file = path + "/current/Item/secret-key.json"
    for text in ["{", "{\"_id\":\"secret-key\"}", "{\"_id\":\"a\",\"key\":\"a\",\"name\":\"x\"}"] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: file))
      let error = try await failure {
        _ = try await DirectoryAdapter(path: path).rows(of: 0, in: schema, after: nil, limit: 9)
      }
      #expect(error.code == .damaged && error.recovery == .rebuild)
      #expect(!error.description.contains("secret"))
    }
    // The index of a collection is gone: nothing more is written into it.
    try FileManager.default.removeItem(atPath: path + "/current/Item/_index.json")
    let batch = feeder.batch([change(0, item("b"), in: schema)], .tail(generation: 0))
    let lost = try await failure { try await DirectoryAdapter(path: path).apply(batch) }
    #expect(lost.code == .damaged && lost.recovery == .rebuild)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: path + "/headwater.json"))
    let state = try await failure { _ = try await DirectoryAdapter(path: path).checkpoint() }
    #expect(state.code == .damaged && state.recovery == .halt)
  }

  @Test func aJournalThatIsNotWholeIsNotDone() async throws {
    let folder = Folder()
    let path = folder.path + "/m"
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: path), schema)
    try await feeder.publish([change(0, item("a"), in: schema)])
    // Killed between the journal and what it says.
    let countdown = Countdown(5)
    let dying = DirectoryAdapter(path: path) { try countdown.count() }
    let batch = feeder.batch([change(0, item("b"), in: schema)], .tail(generation: 0))
    countdown.arm()
    try? await dying.apply(batch)
    let journal = path + "/.headwater/journal"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: journal))
    bytes[bytes.count - 3] ^= 1
    try bytes.write(to: URL(fileURLWithPath: journal))
    let error = try await failure { _ = try await DirectoryAdapter(path: path).checkpoint() }
    #expect(error.code == .damaged)
    bytes[bytes.count - 3] ^= 1
    try bytes.write(to: URL(fileURLWithPath: journal))
    #expect(try await DirectoryAdapter(path: path).checkpoint() == batch.checkpoint)
    #expect(try DirectoryReader(path: path).rows(of: 0, in: schema).count == 2)
  }

  @Test func aLockedFolderIsTriedAgain() async throws {
    let folder = Folder()
    let path = folder.path + "/m"
    let schema = try Schema.parse(Self.items)
    var feeder = Feeder(DirectoryAdapter(path: path), schema)
    try await feeder.publish([])
    let lock = open(path + "/.headwater/lock", O_RDWR)
    #expect(flock(lock, LOCK_EX) == 0)
    let error = try await failure {
      _ = try await DirectoryAdapter(path: path, lockTimeout: 20).checkpoint()
    }
    #expect(error.code == .unavailable && error.recovery == .retry)
    close(lock)
    #expect(try await DirectoryAdapter(path: path).checkpoint() == feeder.last)
  }
}
