import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// Small histories with the rows and verdicts that Docs/Semantics.md gives, named by what they are called there.
@Suite struct ScenarioTests {
  private let scenario: Scenario
  private var store: Store { scenario.store }
  private var start: [Digest] { [store.database] }

  init() throws { scenario = try Scenario() }

  private static func item(_ id: String, _ fields: [(String, Value?)] = [])
    -> @Sendable (Draft) throws -> Void
  {
    { try $0.create("Item", [("id", .text(id))] + fields) }
  }

  private static func part(_ id: String, _ fields: [(String, Value?)] = [])
    -> @Sendable (Draft) throws -> Void
  {
    { try $0.create("Part", [("id", .text(id))] + fields) }
  }

  private let absent: Value? = nil

  // MARK: Rows and fields

  @Test func f01ConcurrentUpdatesOfDifferentFields() async throws {
    let made = try await scenario.write(Self.item("a"))
    try await scenario.write(1, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("name", .text("n"))])
    }
    try await scenario.write(2, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("rank", .int(3))])
    }
    let row = try await scenario.item("a")
    #expect(row?["name"] == .text("n") && row?["rank"] == .int(3))
    try await scenario.holdsEverywhere()
  }

  @Test func f02ConcurrentUpdatesOfOneField() async throws {
    let made = try await scenario.write(Self.item("a"))
    let ann = try await scenario.write(1, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("name", .text("ann"))])
    }
    let bob = try await scenario.write(2, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("name", .text("bob"))])
    }
    #expect(try await scenario.item("a")?["name"] == .text(ann < bob ? "bob" : "ann"))
    // A higher operation wins over both, though it saw one of them only.
    try await scenario.write(3, at: [min(ann, bob)]) {
      try $0.update("Item", key: key("a"), set: [("name", .text("cid"))])
    }
    #expect(try await scenario.item("a")?["name"] == .text("cid"))
    try await scenario.holdsEverywhere()
  }

  @Test func f03ConcurrentCreatesOfOneKey() async throws {
    let ann = try await scenario.write(
      1, at: start, Self.item("a", [("name", .text("ann")), ("founded", .int(1))]))
    let bob = try await scenario.write(
      2, at: start, Self.item("a", [("rank", .int(3)), ("founded", .int(2))]))
    let row = try await scenario.item("a")
    #expect(row?["name"] == .text("ann") && row?["rank"] == .int(3))
    #expect(row?["founded"] == .int(ann < bob ? 2 : 1))
    try await scenario.holdsEverywhere()
    // A third that leaves the readonly field out: absent, for it is the last.
    try await scenario.write(3, Self.item("a"))
    #expect(try await scenario.item("a")?["founded"] == nil)
    #expect(try await scenario.item("a")?["name"] == .text("ann"))
    try await scenario.holdsEverywhere()
  }

  @Test func f04DeleteAndUpdate() async throws {
    let made = try await scenario.write(Self.item("a"))
    try await scenario.write(1, at: [made]) { try $0.delete("Item", key: key("a")) }
    try await scenario.write(2, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("name", .text("n"))])
    }
    #expect(try await scenario.item("a") == nil)
    #expect(try await store.verdicts().values.allSatisfy(\.isValid))
    try await scenario.holdsEverywhere()
  }

  @Test func f05DeleteAndCreateOfTheSameKey() async throws {
    let made = try await scenario.write(Self.item("a", [("name", .text("old"))]))
    try await scenario.write(1, at: [made]) { try $0.delete("Item", key: key("a")) }
    let again = try await scenario.write(2, at: [made], Self.item("a", [("rank", .int(3))]))
    let row = try await scenario.item("a")
    #expect(row?["rank"] == .int(3) && row?["name"] == nil)
    // An update of somebody who saw both.
    try await scenario.write(3) {
      try $0.update("Item", key: key("a"), set: [("name", .text("new"))])
    }
    #expect(try await scenario.item("a")?["name"] == .text("new"))
    // And one of somebody who saw the first create alone: no live create is in its past.
    try await scenario.write(4, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("high", .int(50)), ("low", .int(1))])
    }
    #expect(try await scenario.item("a")?["high"] == .int(100))
    _ = again
    try await scenario.holdsEverywhere()
  }

  @Test func f06DeleteAndThenCreate() async throws {
    try await scenario.write(Self.item("a", [("name", .text("old")), ("founded", .int(1))]))
    try await scenario.write { try $0.delete("Item", key: key("a")) }
    try await scenario.write(2, Self.item("a", [("rank", .int(3))]))
    let row = try await scenario.item("a")
    #expect(row?["rank"] == .int(3) && row?["name"] == nil && row?["founded"] == nil)
    try await scenario.holdsEverywhere()
  }

  @Test func f06DeleteAndCreateInOneOperation() async throws {
    let made = try await scenario.write(Self.item("a", [("name", .text("old"))]))
    let other = try await scenario.write(2, at: start, Self.item("a", [("high", .int(90))]))
    try await scenario.write(3, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("name", .text("lost"))])
      try $0.delete("Item", key: key("a"))
      try $0.create("Item", [("id", .text("a")), ("rank", .int(3))])
      try $0.update("Item", key: key("a"), set: [("rank", .int(4))])
    }
    let row = try await scenario.item("a")
    #expect(row?["rank"] == .int(4) && row?["name"] == nil && row?["high"] == .int(90))
    _ = other
    try await scenario.holdsEverywhere()
  }

  @Test func f07FieldsOfACheckMoveTogether() async throws {
    let made = try await scenario.write(Self.item("a", [("low", .int(10)), ("high", .int(50))]))
    try await scenario.write(1, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("high", .int(20))])
    }
    try await scenario.write(2, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("low", .int(40))])
    }
    guard let row = try await scenario.item("a"), case .int(let low)? = row["low"],
      case .int(let high)? = row["high"]
    else {
      Issue.record("the row is gone")
      return
    }
    #expect(low <= high)
    try await scenario.holdsEverywhere()
    // Alone, and against the other's default.
    let error = await storeError {
      try await scenario.write { try $0.update("Item", key: key("a"), set: [("low", .int(400))]) }
    }
    #expect(error?.code == .invalid && error?.message.contains("low <= high") == true)
    let half = scenario.change(.update, "Item", key("a"), ["low": .int(1)])
    #expect(try await isRejected(half, "belong together"))
  }

  @Test func f10UpdateOfAVoidRow() async throws {
    let made = try await scenario.write(Self.item("a"))
    // Void as a whole: its second change is of a row that is nowhere.
    let forged = try await scenario.forge(
      2, at: [made],
      [
        scenario.change(.create, "Item", key("v")),
        scenario.change(.update, "Item", key("w"), ["rank": .int(1)]),
      ])
    let (id, verdict) = try await scenario.admit(forged)
    #expect(verdict == .void(.notLive, by: []))
    let error = await storeError {
      try await scenario.write {
        try $0.update("Item", key: key("v"), set: [("name", .text("n"))])
      }
    }
    #expect(error?.code == .refused && error?.reason == "not-live")
    let update = try await scenario.forge(
      3, at: [id], [scenario.change(.update, "Item", key("v"), ["rank": .int(1)])])
    #expect(try await scenario.admit(update).verdict == .void(.notLive, by: []))
    #expect(try await scenario.item("v") == nil)
    // A valid create of the key later is a row of its own.
    try await scenario.write(Self.item("v"))
    #expect(try await scenario.item("v") != nil)
    try await scenario.holdsEverywhere()
  }

  @Test func f12CreateAndDeleteInOneOperation() async throws {
    let before = try await store.read { try $0.head().position }
    let id = try await scenario.write {
      try Self.item("a")($0)
      try $0.delete("Item", key: key("a"))
    }
    #expect(try await scenario.item("a") == nil)
    #expect(try await scenario.events(of: id).isEmpty)
    #expect(try await store.read { try $0.head().position } == before)
    try await scenario.holdsEverywhere()
  }

  @Test func notLiveNamesTheDeletes() async throws {
    let made = try await scenario.write(Self.item("a"))
    let gone = try await scenario.write { try $0.delete("Item", key: key("a")) }
    for kind in [RowChange.Kind.update, .delete] {
      let forged = try await scenario.forge(
        2, at: [gone],
        [scenario.change(kind, "Item", key("a"), kind == .update ? ["rank": .int(1)] : [:])])
      #expect(try await scenario.admit(forged).verdict == .void(.notLive, by: [gone]))
    }
    // From before the delete it is valid, and without effect.
    try await scenario.write(3, at: [made]) {
      try $0.update("Item", key: key("a"), set: [("rank", .int(1))])
    }
    for body: @Sendable (Draft) throws -> Void in [
      { try $0.update("Item", key: key("a"), set: [("rank", .int(1))]) },
      { try $0.delete("Item", key: key("a")) },
    ] {
      let error = await storeError { try await scenario.write(1, body) }
      #expect(error?.code == .refused && error?.reason == "not-live")
    }
    try await scenario.holdsEverywhere()
  }

  @Test func deleteTwiceAtOnceIsValid() async throws {
    let made = try await scenario.write(Self.item("a"))
    try await scenario.write(1, at: [made]) { try $0.delete("Item", key: key("a")) }
    try await scenario.write(2, at: [made]) { try $0.delete("Item", key: key("a")) }
    #expect(try await store.verdicts().values.allSatisfy(\.isValid))
    try await scenario.holdsEverywhere()
  }

  // MARK: References

  @Test func r01ReferenceToARowThatItsAuthorHadNotSeen() async throws {
    let made = try await scenario.write(1, at: start, Self.item("a"))
    let error = await storeError {
      try await scenario.write(2, at: start, Self.part("p", [("item", reference("a"))]))
    }
    #expect(error?.code == .invalid && error?.message.contains("had not seen created") == true)
    let change = scenario.change(.create, "Part", key("p"), ["item": reference("a")])
    #expect(try await isRejected(change, "had not seen created", at: start))
    // What follows it is rejected with it; on the right frontier it is fine.
    let forged = try await scenario.forge(2, at: start, [change])
    let child = Scenario.sign(
      Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: [Fixture.suite.hash(forged.body)], author: Fixture.signer(3).principal,
        previous: nil, time: 0, changes: [scenario.change(.create, "Item", key("z"))]),
      by: Fixture.signer(3))
    for answer in try await store.receive([child, forged]) {
      guard case .rejected = answer else {
        Issue.record("\(answer)")
        continue
      }
    }
    try await scenario.write(2, at: [made], Self.part("p", [("item", reference("a"))]))
    #expect(try await scenario.part("p") != nil)
    try await scenario.holdsEverywhere()
  }

  @Test(arguments: [false, true]) func r02Cascade(isConcurrent: Bool) async throws {
    let made = try await scenario.write(Self.item("a"))
    let referred = try await scenario.write(
      2, at: [made], Self.part("p", [("item", reference("a"))]))
    let gone = try await scenario.write(1, at: isConcurrent ? [made] : nil) {
      try $0.delete("Item", key: key("a"))
    }
    #expect(try await scenario.part("p") == nil)
    #expect(try await store.verdicts()[referred] == .valid)
    let events = try await scenario.events(of: gone)
    #expect(events.map(\.collection) == [1, 0])
    #expect(events.map(\.cause.reason) == [Cause.Reason.cascaded, .applied])
    try await scenario.holdsEverywhere()
    // A create that the delete had not seen brings both back.
    let again = try await scenario.write(3, at: [made], Self.item("a"))
    #expect(try await scenario.part("p")?["item"] == reference("a"))
    #expect(try await scenario.events(of: again).map(\.collection) == [0, 1])
    try await scenario.holdsEverywhere()
  }

  @Test(arguments: [false, true]) func r03Null(isConcurrent: Bool) async throws {
    let made = try await scenario.write(Self.item("a"))
    try await scenario.write(2, at: [made], Self.part("p", [("spare", reference("a"))]))
    try await scenario.write(1, at: isConcurrent ? [made] : nil) {
      try $0.delete("Item", key: key("a"))
    }
    var row = try await scenario.part("p")
    #expect(row != nil && row?["spare"] == nil)
    try await scenario.holdsEverywhere()
    try await scenario.write(3, at: [made], Self.item("a"))
    row = try await scenario.part("p")
    #expect(row?["spare"] == reference("a"))
    try await scenario.holdsEverywhere()
  }

  @Test func r06ChainOfCascades() async throws {
    try await scenario.write(Self.item("c"))
    try await scenario.write(2, Self.part("b", [("item", reference("c"))]))
    try await scenario.write(3, Self.part("a", [("parent", reference("b"))]))
    let gone = try await scenario.write { try $0.delete("Item", key: key("c")) }
    let events = try await scenario.events(of: gone)
    #expect(events.map(\.key) == [key("a"), key("b"), key("c")])
    #expect(!events.contains { !$0.isDelete })
    let transactions = try await store.read { snapshot -> [Transaction] in
      guard
        case .transactions(let found) = try snapshot.transactions(
          after: 0, limit: .max, maximumTransaction: .max)
      else { return [] }
      return found
    }
    #expect(transactions.last?.changes.count == 3)
    try await scenario.holdsEverywhere()
    let again = try await scenario.write(Self.item("c"))
    #expect(try await scenario.events(of: again).map(\.key) == [key("c"), key("b"), key("a")])
  }

  @Test func r06ReferringRowsFirstInADiamond() async throws {
    // a refers to c directly and through b, and was there before b.
    try await scenario.write(Self.item("c"))
    try await scenario.write(Self.part("a", [("item", reference("c"))]))
    try await scenario.write(Self.part("b", [("item", reference("c"))]))
    try await scenario.write {
      try $0.update("Part", key: key("a"), set: [("parent", reference("b"))])
    }
    let gone = try await scenario.write { try $0.delete("Item", key: key("c")) }
    #expect(try await scenario.events(of: gone).map(\.key) == [key("a"), key("b"), key("c")])
    let again = try await scenario.write(Self.item("c"))
    #expect(try await scenario.events(of: again).map(\.key) == [key("c"), key("b"), key("a")])
    // Deleted by hand, what refers first.
    let both = try await scenario.write {
      try $0.delete("Part", key: key("a"))
      try $0.delete("Part", key: key("b"))
      try $0.delete("Item", key: key("c"))
    }
    #expect(try await scenario.events(of: both).map(\.key) == [key("a"), key("b"), key("c")])
    try await scenario.holdsEverywhere()
  }

  @Test func r07RowsThatReferToEachOther() async throws {
    try await scenario.write(Self.part("a"))
    try await scenario.write(2, Self.part("b", [("parent", reference("a"))]))
    try await scenario.write {
      try $0.update("Part", key: key("a"), set: [("parent", reference("b"))])
    }
    #expect(try await scenario.part("a")?["parent"] == reference("b"))
    try await scenario.write(2) { try $0.delete("Part", key: key("a")) }
    #expect(try await scenario.part("a") == nil)
    #expect(try await scenario.part("b") == nil)
    try await scenario.holdsEverywhere()
    try await scenario.write(Self.part("a"))
    #expect(try await scenario.part("b")?["parent"] == reference("a"))
    try await scenario.holdsEverywhere()
  }

  @Test func r08TargetWhoseCreateIsVoid() async throws {
    let forged = try await scenario.forge(
      2, at: start,
      [
        scenario.change(.create, "Item", key("v")),
        scenario.change(.update, "Item", key("w"), ["rank": .int(1)]),
      ])
    let (id, _) = try await scenario.admit(forged)
    try await scenario.write(3, at: [id], Self.part("c", [("item", reference("v"))]))
    try await scenario.write(3, at: [id], Self.part("n", [("spare", reference("v"))]))
    #expect(try await scenario.part("c") == nil)
    #expect(try await scenario.part("n") != nil)
    #expect(try await scenario.part("n")?["spare"] == nil)
    try await scenario.holdsEverywhere()
    try await scenario.write(Self.item("v"))
    #expect(try await scenario.part("c")?["item"] == reference("v"))
    #expect(try await scenario.part("n")?["spare"] == reference("v"))
    try await scenario.holdsEverywhere()
  }

  @Test func r09ReferenceCreatedWithItsTarget() async throws {
    try await scenario.write { draft in
      try Self.item("a")(draft)
      try Self.part("p", [("item", reference("a")), ("parent", reference("p"))])(draft)
      let note = try draft.create("Note", [("text", .text("one")), ("part", reference("p"))])
      try draft.create("Note", [("text", .text("two")), ("reply", .created(index: note.index))])
      try draft.update(
        "Note", key: Key([.created(index: note.index)]), set: [("text", .text("edited"))])
    }
    #expect(try await scenario.part("p")?["item"] == reference("a"))
    let notes = try await store.read { try $0.rows(2, limit: 10) }
    #expect(notes.count == 2)
    let first = notes.first { $0[1] == .text("edited") }
    let second = notes.first { $0[1] == .text("two") }
    #expect(second?[3] == first?[0].map { .reference(Key([$0])) })
    // The other way round it refers to something later.
    let error = await storeError {
      try await scenario.write { draft in
        try Self.part("q", [("item", reference("later"))])(draft)
        try Self.item("later")(draft)
      }
    }
    #expect(error?.code == .invalid)
    try await scenario.holdsEverywhere()
  }

  @Test func rowsReferToThemselves() async throws {
    try await scenario.write(
      Self.part("p", [("parent", reference("p")), ("like", reference("p"))]))
    #expect(try await scenario.part("p")?["like"] == reference("p"))
    let gone = try await scenario.write { try $0.delete("Part", key: key("p")) }
    #expect(try await scenario.events(of: gone).count == 1)
    try await scenario.write(Self.part("p"))
    #expect(try await scenario.part("p")?["parent"] == nil)
    try await scenario.write {
      try $0.update("Part", key: key("p"), set: [("parent", reference("p"))])
    }
    #expect(try await scenario.part("p")?["parent"] == reference("p"))
    try await scenario.holdsEverywhere()
  }

  // MARK: What never enters

  private func isRejected(_ change: RowChange, _ why: String, at frontier: [Digest]? = nil)
    async throws -> Bool
  {
    let heads = try await store.read { try $0.frontier() }
    let count = try await store.read { try $0.operationIDs().count }
    let answer = try await store.receive(
      [try await scenario.forge(7, at: frontier ?? heads, [change])])[0]
    guard case .rejected(let message) = answer, why.isEmpty || message.contains(why) else {
      Issue.record("\(answer)")
      return false
    }
    return try await store.read { try $0.operationIDs().count } == count
  }

  private func expectRejected(
    _ signed: SignedOperation, _ why: String, _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let before = try await store.read {
      try ($0.operationIDs(), $0.frontier(), $0.status().authors)
    }
    let answer = try await store.receive([signed])[0]
    guard case .rejected(let message) = answer else {
      Issue.record("\(answer)", sourceLocation: location)
      return
    }
    #expect(why.isEmpty || message.contains(why), "\(message)", sourceLocation: location)
    let after = try await store.read { try ($0.operationIDs(), $0.frontier(), $0.status().authors) }
    #expect(before == after, sourceLocation: location)
  }

  @Test func v16ReplayForgeryAndTheft() async throws {
    let made = try await scenario.write(2, Self.item("a"))
    let signed = try await store.read { try $0.signed(made)! }
    let other = try Fixture.store(Scenario.shop)
    guard case .rejected(let why) = try await other.receive([signed])[0] else {
      Issue.record("a replay was taken")
      return
    }
    #expect(why.contains("another database"))
    // Every byte counts.
    for index in signed.body.indices {
      var body = signed.body
      body[index] ^= 1
      let altered = SignedOperation(
        body: body, suite: signed.suite, publicKey: signed.publicKey, signature: signed.signature)
      try await expectRejected(altered, "")
    }
    let fresh = try await scenario.forge(
      2, at: [made], [scenario.change(.create, "Item", key("b"))])
    for index in fresh.signature.indices {
      var signature = fresh.signature
      signature[index] ^= 0x10
      try await expectRejected(
        SignedOperation(
          body: fresh.body, suite: 1, publicKey: fresh.publicKey, signature: signature),
        "signature is wrong")
    }
    // Bob's operation with Eve's key: Eve's signature, and Bob's key with Eve's signature.
    let eve = Fixture.signer(9)
    let stolen = eve.sign(Fixture.suite.hash(fresh.body))
    try await expectRejected(
      SignedOperation(body: fresh.body, suite: 1, publicKey: eve.publicKey, signature: stolen),
      "not its author's")
    try await expectRejected(
      SignedOperation(body: fresh.body, suite: 1, publicKey: fresh.publicKey, signature: stolen),
      "signature is wrong")
    try await expectRejected(
      SignedOperation(
        body: fresh.body, suite: 2, publicKey: fresh.publicKey, signature: fresh.signature),
      "suite")
    // The good copy is still welcome.
    #expect(try await scenario.admit(fresh).verdict == .valid)
  }

  @Test func aBadCopyOfAParentCondemnsNoChild() async throws {
    let parent = try await scenario.forge(
      2, at: start, [scenario.change(.create, "Item", key("a"))])
    let child = Scenario.sign(
      Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: [Fixture.suite.hash(parent.body)], author: Fixture.signer(3).principal,
        previous: nil, time: 0, changes: [scenario.change(.create, "Item", key("b"))]),
      by: Fixture.signer(3))
    var signature = parent.signature
    signature[0] ^= 1
    let bad = SignedOperation(
      body: parent.body, suite: 1, publicKey: parent.publicKey, signature: signature)
    let answers = try await store.receive([child, bad])
    guard case .waiting = answers[0], case .rejected = answers[1] else {
      Issue.record("\(answers)")
      return
    }
    for answer in try await store.receive([child, bad, parent]).enumerated()
    where answer.offset != 1 {
      guard case .admitted = answer.element else {
        Issue.record("\(answer)")
        return
      }
    }
  }

  @Test func v18NoParentsAndNoSchema() async throws {
    let made = try await scenario.write(Self.item("a"))
    let bob = Fixture.signer(2)
    func operation(parents: [Digest], schema: Digest, previous: Digest? = nil) -> SignedOperation {
      Scenario.sign(
        Operation(
          kind: .ordinary(database: store.database, schema: schema), parents: parents,
          author: bob.principal, previous: previous, time: 0,
          changes: [scenario.change(.create, "Item", key("b"))]), by: bob)
    }
    try await expectRejected(operation(parents: [], schema: store.database), "without parents")
    try await expectRejected(operation(parents: [made], schema: made), "brings none")
    try await expectRejected(
      operation(parents: [made, store.database].sorted(), schema: store.database), "parents")
    try await expectRejected(
      operation(parents: [made], schema: store.database, previous: made), "previous")
    // A schema that nobody has is waited for, and so are parents.
    let unknown = Fixture.suite.hash([1])
    guard
      case .waiting(let missing) = try await store.receive(
        [operation(parents: [unknown], schema: store.database)])[0]
    else {
      Issue.record("it does not wait")
      return
    }
    #expect(missing == [unknown])
    // Another genesis.
    let genesis = try await Fixture.store(Scenario.shop).everything()[0]
    try await expectRejected(genesis, "another database")
  }

  @Test func whatIsStaticallyWrongIsRejected() async throws {
    try await scenario.write(Self.item("a"))
    for (change, why) in [
      (scenario.change(.create, "Item", nil), "no key"),
      (scenario.change(.create, "Item", Key([.int(1)])), ""),
      (scenario.change(.create, "Item", Key([.text("x"), .text("y")])), "key"),
      (scenario.change(.create, "Item", key("b"), ["rank": .text("x")]), "rank"),
      (scenario.change(.create, "Item", key("b"), ["rank": absent]), "required"),
      (
        scenario.change(.create, "Item", key("b"), ["low": .int(9), "high": .int(1)]),
        "low <= high"
      ),
      (scenario.change(.create, "Item", key("b"), ["id": .text("c")]), "key field"),
      (scenario.change(.update, "Item", key("a"), ["founded": .int(1)]), "readonly"),
      (scenario.change(.update, "Item", key("a")), "changes nothing"),
      (scenario.change(.create, "Item", key("b"), ["box.width": .int(1)]), "belong together"),
      (
        scenario.change(
          .create, "Item", key("b"),
          ["box": .bool(false), "box.width": .int(1), "box.height": absent]),
        "absent"
      ),
      (
        scenario.change(
          .create, "Item", key("b"),
          ["box": .bool(true), "box.width": absent, "box.height": absent]),
        "required"
      ),
      (scenario.change(.create, "Note", key("b"), ["text": .text("x")]), "generated"),
      (scenario.change(.create, "Note", nil), "required"),
      (
        scenario.change(.create, "Note", nil, ["text": .text("x"), "reply": .created(index: 0)]),
        "reply"
      ),
      (
        scenario.change(
          .create, "Note", nil, ["text": .text("x"), "reply": .created(index: 1 << 40)]),
        ""
      ),
      (scenario.change(.delete, "Note", Key([.created(index: 0)])), "names no row"),
      (RowChange(kind: .create, collection: 99, key: key("b"), assignments: []), "collection"),
      (
        RowChange(
          kind: .create, collection: 0, key: key("b"),
          assignments: [Assignment(slot: 77, change: .set(.int(1)))]), "field"
      ),
      (
        RowChange(
          kind: .create, collection: 0, key: key("b"),
          assignments: [Assignment(slot: 2, change: .apply([1]))]), "register"
      ),
      (scenario.change(.create, "Item", key(String(repeating: "x", count: 2_000))), "id"),
    ] {
      #expect(try await isRejected(change, why), "\(change)")
    }
    // One row twice in an operation.
    let heads = try await store.read { try $0.frontier() }
    let twice = try await scenario.forge(
      2, at: heads,
      [scenario.change(.create, "Item", key("b")), scenario.change(.create, "Item", key("b"))])
    try await expectRejected(twice, "second time")
    try await scenario.holdsEverywhere()
  }

  // MARK: Drafts

  @Test func defaultsRecordsAndUnitsOfADraft() async throws {
    try await scenario.write { draft in
      try Self.item("a", [("low", .int(5))])(draft)
      try draft.update("Item", key: key("a"), set: [("high", .int(60))])
      try draft.update("Item", key: key("a"), set: [("box.width", .int(2))])
      #expect(try draft.row("Item", key: key("a"))?[3] == .int(5))
    }
    var row = try await scenario.item("a")
    #expect(row?["low"] == .int(5) && row?["high"] == .int(60) && row?["rank"] == .int(7))
    #expect(row?["box"] == .record([.int(2), nil]))
    try await scenario.write {
      try $0.update("Item", key: key("a"), set: [("box", absent)])
    }
    row = try await scenario.item("a")
    #expect(row?["box"] == nil)
    let error = await storeError {
      try await scenario.write {
        try $0.update("Item", key: key("a"), set: [("box.height", .int(2))])
      }
    }
    #expect(error?.code == .invalid && error?.message.contains("box.width") == true)
    try await scenario.holdsEverywhere()
  }

  @Test func aCreateOfALiveRowKeepsWhatItDoesNotName() async throws {
    try await scenario.write(
      Self.item("a", [("low", .int(5)), ("high", .int(50)), ("founded", .int(1))]))
    try await scenario.write { draft in
      try Self.item("a", [("name", .text("n"))])(draft)
      let row = try draft.row("Item", key: key("a"))
      #expect(row?[1] == .text("n") && row?[3] == .int(5) && row?[4] == .int(50))
      #expect(row?[5] == nil)
      try draft.update("Item", key: key("a"), set: [("low", .int(6))])
    }
    let row = try await scenario.item("a")
    #expect(row?["low"] == .int(6) && row?["high"] == .int(50) && row?["name"] == .text("n"))
    // After its own delete nothing is kept.
    try await scenario.write { draft in
      try draft.update("Item", key: key("a"), set: [("name", .text("gone"))])
      try draft.delete("Item", key: key("a"))
      try Self.item("a")(draft)
      #expect(try draft.row("Item", key: key("a"))?[1] == nil)
      try draft.update("Item", key: key("a"), set: [("low", .int(7))])
    }
    #expect(try await scenario.item("a")?["high"] == .int(100))
    try await scenario.holdsEverywhere()
  }

  @Test func whatADraftRefusesLeavesNoTrace() async throws {
    try await scenario.write { draft in
      for body: () throws -> Void in [
        { try draft.create("Nothing", []) }, { try draft.create("Item", [("nope", .int(1))]) },
        { try draft.create("Item", [("name", .text("x"))]) },
        { try draft.update("Item", key: key("none"), set: [("name", absent)]) },
        { try draft.delete("Item", key: key("none")) },
        {
          try draft.create(
            "Note", [("id", .uuid(UUIDBytes(bytes: Array(repeating: 1, count: 16))!))])
        },
      ] {
        #expect(throws: StoreError.self) { try body() }
      }
      #expect(draft.count == 0)
      try Self.item("a")(draft)
    }
    #expect(try await scenario.item("a") != nil)
    let empty = await storeError { try await scenario.write { _ in } }
    #expect(empty?.message == "an operation without changes")
    struct Own: Error {}
    await #expect(throws: Own.self) {
      try await store.write(as: Fixture.signer(1)) { draft in
        try Self.item("b")(draft)
        throw Own()
      }
    }
    #expect(try await scenario.item("b") == nil)
    let nowhere = await storeError {
      try await scenario.write(1, at: [Fixture.suite.hash([7])], Self.item("c"))
    }
    #expect(nowhere?.code == .invalid && nowhere?.message.contains("no operation") == true)
    let none = await storeError { try await scenario.write(1, at: [], Self.item("c")) }
    #expect(none?.code == .invalid)
  }
}
