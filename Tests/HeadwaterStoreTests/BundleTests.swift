import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

@Suite struct BundleTests {
  private let database = Digest(bytes: [UInt8](repeating: 7, count: 32))!

  private func operations(_ seed: UInt64, _ count: Int) -> [SignedOperation] {
    var random = Seeded(seed)
    func bytes(_ range: ClosedRange<Int>) -> [UInt8] {
      (0..<Int.random(in: range, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
    }
    return (0..<count).map { _ in
      SignedOperation(
        body: bytes(0...900), suite: 1, publicKey: bytes(32...32), signature: bytes(64...64))
    }
  }

  private func bundle(_ operations: [SignedOperation]) -> [UInt8] {
    var writer = BundleWriter(database: database, suite: Fixture.suite)
    var bytes: [UInt8] = []
    for (index, operation) in operations.enumerated() {
      writer.add(operation)
      if index % 3 == 0 { bytes += writer.take() }
    }
    writer.finish()
    return bytes + writer.take()
  }

  /// Reads what comes in pieces of random sizes.
  private func read(_ bytes: [UInt8], _ random: inout Seeded) throws -> (
    operations: [SignedOperation], isComplete: Bool
  ) {
    var reader = BundleReader(suite: Fixture.suite)
    var found: [SignedOperation] = []
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + Int.random(in: 1...700, using: &random))
      reader.append(Array(bytes[start..<end]))
      start = end
      while let operation = try reader.next() { found.append(operation) }
    }
    if reader.isComplete { #expect(reader.database == database) }
    return (found, reader.isComplete)
  }

  @Test(arguments: 0..<30 as Range<UInt64>) func whatIsWrittenIsRead(seed: UInt64) throws {
    var random = Seeded(seed)
    let operations = operations(seed, Int(seed))
    let (found, isComplete) = try read(bundle(operations), &random)
    #expect(found == operations && isComplete, "seed \(seed)")
  }

  /// Whatever is cut off, flipped, inserted or appended: an error or an incomplete bundle, no crash, and no
  /// operation that was not there before the damage.
  @Test(arguments: 0..<400 as Range<UInt64>) func damageIsNoticed(seed: UInt64) throws {
    var random = Seeded(seed)
    let operations = operations(seed, 6)
    var bytes = bundle(operations)
    let place = Int.random(in: 0..<bytes.count, using: &random)
    switch seed % 4 {
    case 0: bytes.removeSubrange(place...)
    case 1: bytes[place] ^= UInt8.random(in: 1...255, using: &random)
    case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
    default: bytes += [0]
    }
    do {
      let (found, isComplete) = try read(bytes, &random)
      #expect(!isComplete, "seed \(seed)")
      #expect(found.count <= operations.count, "seed \(seed)")
    } catch is BundleError {}
  }

  @Test func aLengthThatCannotBeIsRefusedBeforeItIsWaitedFor() throws {
    var reader = BundleReader(suite: Fixture.suite)
    reader.append(Array("hwbundle".utf8) + [1, 1] + database.bytes + [0x7F, 0xFF, 0xFF, 0xFF])
    #expect(throws: BundleError.self) { try reader.next() }
  }

  @Test func whatIsNoBundleIsSaidToBeNone() throws {
    for (bytes, text) in [
      (Array("SQLite format 3\0 and so on, and on, and on, and on".utf8), "no bundle"),
      (Array("hwbundle".utf8) + [9, 1] + database.bytes, "format 9"),
      (Array("hwbundle".utf8) + [1, 9] + database.bytes, "suite 9"),
    ] {
      var reader = BundleReader(suite: Fixture.suite)
      reader.append(bytes)
      let error = #expect(throws: BundleError.self) { try reader.next() }
      #expect(error?.message.contains(text) == true)
    }
  }

  /// A history goes from store to store in two bundles, the second without what the first had.
  @Test(arguments: 0..<10 as Range<UInt64>) func storesAgreeAfterwards(seed: UInt64) async throws {
    let maker = try AuthorityHistoryMaker(seed: seed, count: 30)
    let source = try Store.replicate(at: nil, genesis: maker.genesis, suite: Fixture.suite)
    let all = maker.operations.dropFirst().map(\.signed)
    _ = try await source.receive(Array(all.prefix(15)))
    let known = try await source.read { try $0.frontier() }
    let first = try await source.bundled()
    _ = try await source.receive(Array(all.dropFirst(15)))
    let second = try await source.bundled(without: known)
    #expect(first.count + second.count == all.count + 1, "seed \(seed)")
    let copy = try Store.replicate(at: nil, genesis: first[0], suite: Fixture.suite)
    for part in [first, second] {
      for answer in try await copy.receive(part) {
        if case .waiting = answer { Issue.record("seed \(seed): something waits") }
      }
    }
    #expect(try await copy.verdicts() == source.verdicts(), "seed \(seed)")
    #expect(try await copy.visibleRows() == source.visibleRows(), "seed \(seed)")
  }
}

extension Store {
  fileprivate func bundled(without known: [Digest] = []) async throws -> [SignedOperation] {
    let bytes = try await read { snapshot in
      var writer = BundleWriter(database: snapshot.database, suite: Fixture.suite)
      try snapshot.signedOperations(notIn: known) {
        writer.add($0)
        return true
      }
      writer.finish()
      return writer.take()
    }
    var reader = BundleReader(suite: Fixture.suite)
    reader.append(bytes)
    var operations: [SignedOperation] = []
    while let operation = try reader.next() { operations.append(operation) }
    #expect(reader.isComplete)
    return operations
  }
}
