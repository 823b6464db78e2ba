import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterStream
import SQLiteDriver
import Testing

@testable import HeadwaterStore

/// Verdicts as a store shows and keeps them: refusals, explanations, old files, large quarrels.
@Suite struct VerdictStoreTests {
  private static let team = """
    schema Team

    enum Role { owner, editor }

    collection Member {
      principal: Principal @key
      role: Role @readonly
      allow create, delete if exists Member(principal: $author, role: owner)
    }

    collection Doc {
      id: Text(20) @key
      code: Int? @readonly @unique
      next: Doc? @onDelete(void)
      allow create, update, delete if exists Member(principal: $author, role: owner or editor)
    }

    collection Sealed {
      id: Text(20) @key
    }
    """

  private func principal(_ author: UInt8) -> Value { .principal(Fixture.signer(author).principal) }

  private func store(at path: String? = nil) throws -> Store {
    try Fixture.store(Self.team, at: path) { draft in
      try draft.create("Member", [("principal", principal(1)), ("role", .text("owner"))])
    }
  }

  private func appoint(_ store: Store, _ who: UInt8, _ role: String, by author: UInt8 = 1)
    async throws -> Digest
  {
    let who = principal(who)
    return try await store.write(as: Fixture.signer(author)) {
      try $0.create("Member", [("principal", who), ("role", .text(role))])
    }.operation
  }

  private func dismiss(_ store: Store, _ who: UInt8, by author: UInt8 = 1, at: [Digest]? = nil)
    async throws -> WriteReceipt
  {
    let who = Key([principal(who)])
    return try await store.write(as: Fixture.signer(author), at: at) {
      try $0.delete("Member", key: who)
    }
  }

  private func doc(
    _ store: Store, _ id: String, by author: UInt8 = 1, at: [Digest]? = nil,
    _ fields: [(String, Value?)] = []
  ) async throws -> WriteReceipt {
    try await store.write(as: Fixture.signer(author), at: at) {
      try $0.create("Doc", [("id", .text(id))] + fields)
    }
  }

  // MARK: Words

  @Test func refusalsSayWhy() async throws {
    let store = try store()
    func refusal(_ reason: String, _ words: [String], _ body: () async throws -> Void) async {
      let error = await storeError { try await body() }
      #expect(error?.code == .refused && error?.reason == reason, "\(String(describing: error))")
      for word in words {
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
      }
    }
    let before = try await store.read { try $0.status() }
    await refusal("no-witness", ["exists Member(principal: $author, role: owner or editor)"]) {
      _ = try await doc(store, "d", by: 2)
    }
    await refusal("no-witness", ["no rule that allows it", "allow create"]) {
      try await store.write(as: Fixture.signer(1)) { try $0.create("Sealed", [("id", .text("s"))]) }
    }
    // Nothing is left of a write that was refused.
    let after = try await store.read { try $0.status() }
    #expect(after.operations == before.operations && after.authors == before.authors)

    let appointed = try await appoint(store, 2, "editor")
    _ = try await doc(store, "a", by: 2, [("code", .int(7))])
    await refusal("unique", ["code", "operation"]) {
      _ = try await doc(store, "b", [("code", .int(7))])
    }
    _ = try await doc(store, "b", [("next", reference("a"))])
    await refusal("referenced", ["other rows refer to it"]) {
      try await store.write(as: Fixture.signer(1)) { try $0.delete("Doc", key: key("a")) }
    }
    let dismissed = try await dismiss(store, 2).operation
    await refusal("revoked", [String(dismissed.hex.prefix(12))]) {
      _ = try await doc(store, "c", by: 2)
    }
    // On a frontier where he still was one the store writes it, and says what it has become.
    let late = try await doc(store, "c", by: 2, at: [appointed])
    #expect(late.verdict == .void(.revoked, by: [dismissed]))
    #expect(late.message?.contains(String(dismissed.hex.prefix(12))) == true)
    // And where he was not yet one, it refuses.
    await refusal("no-witness", []) { _ = try await doc(store, "x", by: 2, at: [store.database]) }
  }

  @Test func explanationsNameWitnessesAndWhatEndedThem() async throws {
    let store = try store()
    let appointed = try await appoint(store, 2, "owner")
    let granted = try await appoint(store, 3, "editor", by: 2)
    let written = try await doc(store, "d", by: 3).operation
    let dismissed = try await dismiss(store, 2, at: [appointed]).operation
    let genesis = try await store.read { try $0.explain(store.database) }
    #expect(genesis.verdict == .valid && genesis.requirements.isEmpty && genesis.message == nil)
    let grant = try await store.read { try $0.explain(granted) }
    #expect(grant.verdict == .void(.revoked, by: [dismissed]))
    #expect(grant.requirements.count == 1 && grant.requirements[0].failure == .revoked)
    #expect(
      grant.requirements[0].asked == .rule(["exists Member(principal: $author, role: owner)"]))
    let witness = try #require(grant.requirements[0].witnesses.first)
    #expect(witness.create == appointed && witness.isCreateValid && !witness.counts)
    #expect(witness.ends.map(\.operation) == [dismissed])
    #expect(witness.ends[0].isConcurrent && witness.ends[0].isValid)
    #expect(witness.ends[0].author == Fixture.signer(1).principal)
    let doc = try await store.read { try $0.explain(written) }
    #expect(doc.verdict == .void(.noWitness, by: [granted]))
    #expect(doc.requirements[0].witnesses.map(\.isCreateValid) == [false])
    let error = await storeError { _ = try await store.read { try $0.explain(.zero) } }
    #expect(error?.code == .invalid)
  }

  @Test func oneOperationMakesNoTwoRowsWithOneUniqueValue() async throws {
    let store = try store()
    let error = await storeError {
      try await store.write(as: Fixture.signer(1)) {
        try $0.create("Doc", [("id", .text("a")), ("code", .int(1))])
        try $0.create("Doc", [("id", .text("b")), ("code", .int(1))])
      }
    }
    #expect(error?.code == .invalid && error?.message.contains("unique") == true)
    let rows = ["a", "b"].map { Row([.text($0), .int(1), nil]) }
    let prepared = try store.prepare(collection: 1, rows: rows)
    let sequence = WriteSequence(store, stopsAtFailure: false)
    let second = await storeError {
      _ = try await sequence.write(as: Fixture.signer(1), prepared).receipt
    }
    #expect(second?.code == .invalid)
    let genesis = await storeError {
      _ = try Fixture.store(Self.team) {
        try $0.create("Doc", [("id", .text("a")), ("code", .int(1))])
        try $0.create("Doc", [("id", .text("b")), ("code", .int(1))])
      }
    }
    #expect(genesis?.code == .invalid)
  }

  // MARK: Events

  @Test func retractedAndReinstatedSayTheVerdictsReason() async throws {
    let store = try store()
    let appointed = try await appoint(store, 2, "owner")
    _ = try await doc(store, "d", by: 2)
    let other = try await appoint(store, 3, "owner")
    let position = try await store.read { try $0.head().position }
    let dismissed = try await dismiss(store, 2, by: 3, at: [other]).operation
    // The document was in the dismissal's past: it stays. A second one, concurrent, goes.
    let late = try await doc(store, "e", by: 2, at: [other])
    #expect(late.verdict == .void(.revoked, by: [dismissed]))
    // Ann's dismissal of the third voids the dismissal: the second document is back.
    let restored = try await dismiss(store, 3, at: [other]).operation
    let changes = try await store.allChanges(after: position)
    let back = changes.filter { $0.cause.operations == [restored] }
    #expect(
      Set(back.map { "\($0.cause.reason) \($0.cause.verdictReason ?? "")" }) == [
        "applied ", "reinstated revoked",
      ])
    #expect(back.contains { $0.collection == 1 && $0.key == key("e") && $0.after != nil })
    #expect(try await store.verifyDeep().differences.isEmpty)
    _ = appointed
  }

  // MARK: Old files

  @Test func aFileOfFormatOneIsBroughtUpToDate() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("store")
    var store: Store? = try Fixture.store(Scenario.shop, at: path)
    for id in ["a", "b", "c"] {
      try await store!.write(as: Fixture.signer(1)) { try $0.create("Item", [("id", .text(id))]) }
    }
    try await store!.write(as: Fixture.signer(2)) {
      try $0.update("Item", key: key("a"), set: [("name", .text("n"))])
      try $0.delete("Item", key: key("b"))
    }
    let made = try await store!.read { try $0.frontier() }
    store = nil
    do {
      // What format 1 had: no tables of verdicts, no kinds of changes, no canonical order, no witnesses.
      let db = try Connection(path: path, mode: .readWrite)
      for table in [
        "authority", "question", "reliance", "bond", "claim", "contest", "quarrel", "spill", "span",
        "span_keys", "testimony",
      ] {
        try db.execute("DROP TABLE \(table)")
      }
      try db.execute("DROP INDEX touch_life")
      try db.execute("ALTER TABLE touch DROP COLUMN kinds")
      try db.execute("ALTER TABLE operation DROP COLUMN voucher")
      try db.execute("UPDATE row SET flags = flags & 7")
      try db.execute("PRAGMA user_version = 1")
    }
    let error = await storeError {
      _ = try Store.open(path, forWriting: false, suite: Fixture.suite)
    }
    #expect(error?.code == .notAStore && error?.message.contains("up to date") == true)
    store = try Store.open(path, forWriting: true, suite: Fixture.suite)
    #expect(try await store!.verifyDeep().differences.isEmpty)
    // Conditions on rows of then: live, deleted, and from before.
    try await store!.write(as: Fixture.signer(1)) {
      try $0.update("Item", key: key("c"), set: [("name", .text("m"))])
    }
    let gone = await storeError {
      try await store!.write(as: Fixture.signer(1)) {
        try $0.update("Item", key: key("b"), set: [("name", .text("m"))])
      }
    }
    #expect(gone?.reason == "not-live")
    try await store!.write(as: Fixture.signer(3), at: made) {
      try $0.update("Item", key: key("a"), set: [("rank", .int(1))])
    }
    #expect(try await store!.verifyDeep().differences.isEmpty)
    store = nil
    store = try Store.open(path, forWriting: false, suite: Fixture.suite)
    #expect(try await store!.row("Item", .text("a"))?["rank"] == .int(1))
  }

  // MARK: Size

  @Test(.timeLimit(.minutes(10))) func aRingOfAThousandRevocations() async throws {
    let count = 1_000
    let signers = (0..<count).map { number in
      SigningKeys.key(UInt16(number))
    }
    let store = try Fixture.store(Self.team, as: signers[0]) { draft in
      for signer in signers {
        try draft.create(
          "Member", [("principal", .principal(signer.principal)), ("role", .text("owner"))])
      }
    }
    let genesis = [store.database]
    var random = Seeded(1)
    for index in (0..<count).shuffled(using: &random) {
      let next = Key([.principal(signers[(index + 1) % count].principal)])
      try await store.write(as: signers[index], at: genesis) { try $0.delete("Member", key: next) }
    }
    let verdicts = try await store.verdicts()
    let void = verdicts.values.filter { !$0.isValid }
    // The most senior stands, so every second one falls; one of them by seniority alone.
    #expect(void.count == count / 2)
    #expect(void.filter { $0.reason == .overruled }.count == 1)
  }

  @Test(.timeLimit(.minutes(10))) func aChainOfGrantsThatLosesItsBeginning() async throws {
    let count = 10_000
    let store = try store()
    var first: Digest?
    var last = Fixture.signer(1)
    for number in 0..<count {
      let next = SigningKeys.key(UInt16(number))
      let operation = try await store.write(as: last) {
        try $0.create(
          "Member", [("principal", .principal(next.principal)), ("role", .text("owner"))])
      }.operation
      if first == nil { first = operation }
      last = next
    }
    let second = Key([.principal(SigningKeys.key(0).principal)])
    let position = try await store.read { try $0.head().position }
    try await store.write(as: Fixture.signer(1), at: [first!]) {
      try $0.delete("Member", key: second)
    }
    #expect(try await store.read { try $0.status() }.voidOperations == Int64(count - 1))
    // One transaction of the stream, whatever came of it.
    let transactions = try await store.read { snapshot -> [Transaction] in
      guard
        case .transactions(let found) = try snapshot.transactions(
          after: position, limit: .max, maximumTransaction: .max)
      else { return [] }
      return found
    }
    #expect(transactions.map(\.changes.count) == [count])
  }
}

/// More signing keys than one byte numbers.
enum SigningKeys {
  static func key(_ number: UInt16) -> SigningKey {
    var seed = [UInt8](repeating: 77, count: 32)
    seed[0] = UInt8(number >> 8)
    seed[1] = UInt8(number & 255)
    return SigningKey(seed: seed)
  }
}
