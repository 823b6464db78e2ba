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

  private func bundle(_ groups: [OperationGroup]) -> [UInt8] {
    var writer = BundleWriter(database: database, suite: Fixture.suite)
    var bytes: [UInt8] = []
    for (index, group) in groups.enumerated() {
      writer.add(group)
      if index % 3 == 0 { bytes += writer.take() }
    }
    writer.finish()
    return bytes + writer.take()
  }

  /// As the first version of the format was: no groups, no witnesses.
  private func bundleOfVersion1(_ operations: [SignedOperation]) -> [UInt8] {
    var bytes = BundleFormat.magic + [1, 1] + database.bytes
    for operation in operations {
      let encoded = operation.encode()
      bytes += BundleFormat.bigEndian(UInt32(encoded.count)) + encoded
    }
    bytes += BundleFormat.bigEndian(UInt32(0)) + BundleFormat.bigEndian(UInt64(operations.count))
    return bytes + Fixture.suite.hash(bytes).bytes
  }

  private func groups(_ seed: UInt64, _ count: Int) -> [OperationGroup] {
    (0..<count).map { index in
      let operations = operations(seed &+ UInt64(index) &* 1_000, 1 + index % 4)
      return OperationGroup(
        operations, witnesses: index % 3 == 0 ? Array(operations.prefix(2)) : [])
    }
  }

  /// Reads what comes in pieces of random sizes.
  private func read(_ bytes: [UInt8], _ random: inout Seeded) throws -> (
    groups: [OperationGroup], isComplete: Bool
  ) {
    var reader = BundleReader(suite: Fixture.suite)
    var found: [OperationGroup] = []
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + Int.random(in: 1...700, using: &random))
      reader.append(Array(bytes[start..<end]))
      start = end
      while let group = try reader.next() { found.append(group) }
    }
    if reader.isComplete { #expect(reader.database == database) }
    return (found, reader.isComplete)
  }

  @Test(arguments: 0..<30 as Range<UInt64>) func whatIsWrittenIsRead(seed: UInt64) throws {
    var random = Seeded(seed)
    let groups = groups(seed, Int(seed))
    let (found, isComplete) = try read(bundle(groups), &random)
    #expect(isComplete && found.map(\.operations) == groups.map(\.operations), "seed \(seed)")
    #expect(found.map(\.witnesses) == groups.map(\.witnesses), "seed \(seed)")
  }

  @Test(arguments: [0, 1, 3_000]) func version1IsRead(count: Int) throws {
    var random = Seeded(7)
    let operations = operations(7, count)
    let (found, isComplete) = try read(bundleOfVersion1(operations), &random)
    #expect(isComplete && found.flatMap(\.operations) == operations)
    #expect(found.allSatisfy { $0.witnesses.isEmpty && $0.operations.count <= 1_024 })
  }

  /// Whatever is cut off, flipped, inserted or appended: an error or an incomplete bundle, no crash, and no
  /// operation that was not there before the damage.
  @Test(arguments: 0..<400 as Range<UInt64>) func damageIsNoticed(seed: UInt64) throws {
    var random = Seeded(seed)
    let groups = groups(seed, 4)
    var bytes = seed % 3 == 0 ? bundleOfVersion1(operations(seed, 6)) : bundle(groups)
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
      #expect(found.count <= 6, "seed \(seed)")
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

/// Bundles of what is badly signed and was taken on the word of others.
@Suite struct WitnessedBundleTests {
  /// Every operation but one in fifteen is badly signed, and the last one of all cannot enter: whoever gets
  /// the bundle takes all of them nevertheless, and so does whoever gets one from there.
  @Test func whatIsBadlySignedIsPassedOn() async throws {
    let scenario = try Scenario()
    var chain: [SignedOperation] = []
    var last = scenario.store.database
    // Two groups, with the cut in the middle of a run.
    for index in 0..<1_100 {
      let isLast = index == 1_099
      let operation = HeadwaterLog.Operation(
        kind: .ordinary(database: scenario.store.database, schema: scenario.store.database),
        parents: (isLast ? [last, scenario.store.database] : [last]).sorted(),
        author: Fixture.signer(2).principal, previous: index == 0 ? nil : last, time: 0,
        changes: [
          scenario.change(.create, "Item", Key([.text("\(index)")]))
        ])
      let signed = Scenario.sign(operation, by: Fixture.signer(2))
      last = Fixture.suite.hash(signed.body)
      var signature = signed.signature
      if index % 15 != 14, !isLast { signature[3] ^= 1 }
      chain.append(
        SignedOperation(
          body: signed.body, suite: signed.suite, publicKey: signed.publicKey, signature: signature)
      )
    }
    let answers = try await scenario.store.receive(chain)
    #expect(answers.count { if case .admitted = $0 { true } else { false } } == 1_099)
    var source = scenario.store
    for _ in 0..<2 {
      let groups = try await source.groups()
      #expect(groups.count == 2 && groups.allSatisfy { !$0.witnesses.isEmpty })
      let copy = try Store.replicate(
        at: nil, genesis: groups[0].operations[0], suite: Fixture.suite)
      let inbox = Inbox(copy)
      for group in groups {
        let report = try await inbox.receive(
          VerifiedOperations(group.operations, witnesses: group.witnesses, suite: Fixture.suite))
        #expect(report.rejected.isEmpty)
      }
      #expect(try await copy.read { try $0.frontier() } == source.read { try $0.frontier() })
      source = copy
    }
    #expect(try await source.verifyDeep().differences == [])
  }
}

extension Store {
  fileprivate func groups() async throws -> [OperationGroup] {
    try await read { snapshot in
      var groups: [OperationGroup] = []
      try snapshot.groups(ofOperationsNotIn: []) {
        groups.append($0)
        return true
      }
      return groups
    }
  }

  fileprivate func bundled(without known: [Digest] = []) async throws -> [SignedOperation] {
    let bytes = try await read { snapshot in
      var writer = BundleWriter(database: snapshot.database, suite: Fixture.suite)
      try snapshot.groups(ofOperationsNotIn: known) {
        writer.add($0)
        return true
      }
      writer.finish()
      return writer.take()
    }
    var reader = BundleReader(suite: Fixture.suite)
    reader.append(bytes)
    var operations: [SignedOperation] = []
    while let group = try reader.next() { operations += group.operations }
    #expect(reader.isComplete)
    return operations
  }
}
