import HeadwaterLog
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterStore

/// Small histories with rules, and the verdicts that follow: witnesses and revocation.
@Suite struct ReferenceScenarioTests {
  /// Owners create and delete members; owners and editors write documents; notes are everybody's.
  static let teamSchema = """
    schema Team

    enum Role { owner, editor, viewer }

    collection Member {
      principal: Principal @key
      role: Role @readonly
      allow create, delete if exists Member(principal: $author, role: owner)
    }

    collection Doc {
      id: Text(40) @key
      title: Text?
      status: Text @default("draft")
      allow create, update, delete if exists Member(principal: $author, role: owner or editor)
    }

    collection Note {
      text: Text
      allow create, update, delete
    }
    """

  /// Ann is an owner by the genesis.
  static func team(_ text: String = teamSchema) throws -> DAG {
    try DAG(text) { [member($0, .ann, "owner")] }
  }

  static func member(_ dag: DAG, _ who: Author, _ role: String) -> RowChange {
    dag.create("Member", who.principal, set: ["role": .text(role)])
  }

  static func revoke(_ dag: DAG, _ who: Author) -> RowChange {
    dag.delete("Member", who.principal)
  }

  static func doc(_ dag: DAG, _ id: String = "d", _ fields: [String: Value?] = [:]) -> RowChange {
    dag.create("Doc", .text(id), set: fields)
  }

  // MARK: Witnesses

  @Test func v01NoMember() async throws {
    var dag = try Self.team()
    let doc = dag.op(.bob, Self.doc(dag))
    let model = try await dag.expectEverywhere(void: [doc: (.noWitness, [])])
    #expect(model.row(dag.schema, "Doc", .text("d")) == nil)
    try await dag.expectRefusedLocally(doc, .noWitness)
  }

  @Test func v01NoRuleAtAll() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "owner"))
    // Nobody may update a member: there is no rule that says so.
    let update = dag.op(
      .bob, dag.create("Note", set: ["text": .text("n")]), Self.member(dag, .cid, "viewer"))
    let viewer = dag.op(.cid, Self.doc(dag))
    try await dag.expectEverywhere(void: [viewer: (.noWitness, [])])
    _ = (bob, update)
    var closed = try DAG(
      """
      schema Closed
      collection Item {
        id: Text(40) @key
        name: Text?
        allow create
      }
      """)
    let made = closed.op(.bob, closed.create("Item", .text("i")))
    let changed = closed.op(
      .bob, at: [made], closed.update("Item", .text("i"), set: ["name": .text("n")]))
    let deleted = closed.op(.bob, at: [made], closed.delete("Item", .text("i")))
    try await closed.expectEverywhere(
      void: [changed: (.noWitness, []), deleted: (.noWitness, [])])
    try await closed.expectRefusedLocally(changed, .noWitness)
  }

  @Test func v02RevokedAfterwards() async throws {
    var dag = try Self.team()
    dag.op(.ann, Self.member(dag, .bob, "editor"))
    dag.op(.bob, Self.doc(dag))
    dag.op(.ann, Self.revoke(dag, .bob))
    let model = try await dag.expectEverywhere()
    #expect(model.row(dag.schema, "Doc", .text("d")) != nil)
  }

  @Test func v03RevokedAtTheSameTime() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let doc = dag.op(.bob, at: [bob], Self.doc(dag))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    let model = try await dag.expectEverywhere(void: [doc: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Doc", .text("d")) == nil)
    #expect(model.row(dag.schema, "Member", Author.bob.principal) == nil)
  }

  @Test func v04RevokedAtTheSameTimeWhereThatIsLenient() async throws {
    var dag = try Self.team(
      Self.teamSchema.replacing("collection Member", with: "lenient collection Member"))
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    dag.op(.bob, at: [bob], Self.doc(dag))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    // But whoever has seen it may no more.
    let late = dag.op(.bob, at: [revoked], Self.doc(dag, "late"))
    let model = try await dag.expectEverywhere(void: [late: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Doc", .text("d")) != nil)
    try await dag.expectRefusedLocally(late, .revoked)
  }

  @Test func v05CreateAndUpdateAtTheSameTimeAsTheRevocation() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let doc = dag.op(.bob, at: [bob], Self.doc(dag))
    let update = dag.op(
      .bob, at: [doc], dag.update("Doc", .text("d"), set: ["title": .text("t")]))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    try await dag.expectEverywhere(
      void: [doc: (.revoked, [revoked]), update: (.revoked, [revoked])])
  }

  @Test func v06HidingOnesRevocation() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    var void: [Digest: (VerdictReason, [Digest])] = [:]
    var last = bob
    for number in 0..<10 {
      last = dag.op(.bob, at: [last], Self.doc(dag, "d\(number)"))
      void[last] = (.revoked, [revoked])
    }
    let model = try await dag.expectEverywhere(void: void)
    #expect(model.rows.count == 1)
  }

  @Test func v07OneWitnessIsEnough() async throws {
    var dag = try DAG(
      """
      schema Team
      collection Pass {
        holder: Principal @key
        number: Int @key
        allow create, delete if exists Pass(holder: $author, number: 0)
      }
      collection Doc {
        id: Text(40) @key
        allow create if exists Pass(holder: $author)
      }
      """
    ) { [$0.create("Pass", Author.ann.principal, .int(0))] }
    let passes = dag.op(
      .ann, dag.create("Pass", Author.bob.principal, .int(1)),
      dag.create("Pass", Author.bob.principal, .int(2)))
    let doc = dag.op(.bob, at: [passes], dag.create("Doc", .text("d")))
    let one = dag.op(.ann, at: [passes], dag.delete("Pass", Author.bob.principal, .int(1)))
    try await dag.expectEverywhere()
    // Without the other it is void by both.
    let two = dag.op(.ann, at: [one], dag.delete("Pass", Author.bob.principal, .int(2)))
    try await dag.expectEverywhere(void: [doc: (.revoked, [one, two])])
  }

  @Test func v08RevokedAndAppointedAgain() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    let again = dag.op(.ann, at: [revoked], Self.member(dag, .bob, "editor"))
    let doc = dag.op(.bob, at: [bob], Self.doc(dag))
    try await dag.expectEverywhere(void: [doc: (.revoked, [revoked])])
    // By what he has seen afterwards he may.
    dag.op(.bob, at: [again], Self.doc(dag))
    let model = try await dag.expectEverywhere(void: [doc: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Doc", .text("d")) != nil)
  }

  @Test func v09AnOperationIsVoidAsAWhole() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let both = dag.op(
      .bob, at: [bob], dag.create("Note", set: ["text": .text("n")]), Self.doc(dag))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    let model = try await dag.expectEverywhere(void: [both: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Note", dag.generated(both)) == nil)
  }

  @Test func v10ChangesAreNoWitnessesForEachOther() async throws {
    var dag = try Self.team()
    let pair = dag.op(.bob, Self.member(dag, .bob, "owner"), Self.member(dag, .cid, "owner"))
    // Nor does somebody void allow another.
    let next = dag.op(.cid, at: [pair], Self.doc(dag))
    try await dag.expectEverywhere(void: [pair: (.noWitness, []), next: (.noWitness, [pair])])
    try await dag.expectRefusedLocally(pair, .noWitness)
  }

  @Test func v10OnesOwnDeleteDoesNotMatterEither() async throws {
    var dag = try Self.team()
    dag.op(.ann, Self.revoke(dag, .ann), Self.doc(dag), Self.member(dag, .bob, "owner"))
    try await dag.expectEverywhere()
  }

  @Test func v11WhatARevokedOwnerGranted() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "owner"))
    let cid = dag.op(.bob, at: [bob], Self.member(dag, .cid, "editor"))
    let doc = dag.op(.cid, at: [cid], Self.doc(dag))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    try await dag.expectEverywhere(
      void: [cid: (.revoked, [revoked]), doc: (.noWitness, [cid])])
  }

  @Test func v12AnotherWitness() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "owner"))
    let byBob = dag.op(.bob, at: [bob], Self.member(dag, .cid, "editor"))
    let byAnn = dag.op(.ann, at: [bob], Self.member(dag, .cid, "editor"))
    dag.op(.cid, at: [byBob, byAnn], Self.doc(dag))
    let revoked = dag.op(.ann, at: [byAnn], Self.revoke(dag, .bob))
    try await dag.expectEverywhere(void: [byBob: (.revoked, [revoked])])
  }

  @Test func v13ARevokedOwnersRevocation() async throws {
    var dag = try Self.team()
    dag.op(.ann, Self.member(dag, .bob, "owner"))
    let cid = dag.op(.ann, Self.member(dag, .cid, "editor"))
    let byAnn = dag.op(.ann, at: [cid], Self.revoke(dag, .bob))
    let byBob = dag.op(.bob, at: [cid], Self.revoke(dag, .cid))
    dag.op(.cid, at: [cid], Self.doc(dag))
    let model = try await dag.expectEverywhere(void: [byBob: (.revoked, [byAnn])])
    #expect(model.row(dag.schema, "Member", Author.cid.principal) != nil)
  }

  // MARK: What readers see

  @Test func v14AnEarlierValueShowsAgain() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let doc = dag.op(.ann, at: [bob], Self.doc(dag))
    let byAnn = dag.op(
      .ann, at: [doc], dag.update("Doc", .text("d"), set: ["status": .text("ann")]))
    let byBob = dag.op(
      .bob, at: [byAnn],
      dag.update("Doc", .text("d"), set: ["status": .text("bob"), "title": .text("bob")]))
    let before = dag
    #expect(before.reference().row(dag.schema, "Doc", .text("d"))?["status"] == .text("bob"))
    let revoked = dag.op(.ann, at: [byAnn], Self.revoke(dag, .bob))
    let model = try await dag.expectEverywhere(void: [byBob: (.revoked, [revoked])])
    let row = model.row(dag.schema, "Doc", .text("d"))
    #expect(row?["status"] == .text("ann") && row?["title"] == nil)
    try await expectEvent(dag, last: revoked, .retracted) { change in
      change.before?[2] == .text("bob") && change.after?[2] == .text("ann")
        && change.after?[1] == nil
    }
  }

  @Test func v14BackToTheDefault() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"), Self.doc(dag))
    let byBob = dag.op(
      .bob, at: [bob], dag.update("Doc", .text("d"), set: ["status": .text("bob")]))
    let revoked = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    let model = try await dag.expectEverywhere(void: [byBob: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Doc", .text("d"))?["status"] == .text("draft"))
  }

  @Test func v15ADeleteThatBecomesVoid() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let doc = dag.op(.ann, at: [bob], Self.doc(dag, "d", ["title": .text("t")]))
    let gone = dag.op(.bob, at: [doc], dag.delete("Doc", .text("d")))
    #expect(dag.reference().row(dag.schema, "Doc", .text("d")) == nil)
    let revoked = dag.op(.ann, at: [doc], Self.revoke(dag, .bob))
    let model = try await dag.expectEverywhere(void: [gone: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Doc", .text("d"))?["title"] == .text("t"))
    try await expectEvent(dag, last: revoked, .reinstated) { change in
      change.before == nil && change.after?[1] == .text("t")
    }
  }

  /// Delivers all but the last operation and then that one: among what it causes is such a change of a document.
  private func expectEvent(
    _ dag: DAG, last: Digest, _ reason: Cause.Reason, _ location: SourceLocation = #_sourceLocation,
    _ isExpected: (Change) -> Bool
  ) async throws {
    let store = try Store.replicate(at: nil, genesis: dag.genesis, suite: Fixture.suite)
    _ = try await store.receive(
      dag.operations.filter { $0.id != last && $0.id != dag.root }.map(\.signed))
    let position = try await store.read { try $0.head().position }
    _ = try await store.receive(dag.operations.filter { $0.id == last }.map(\.signed))
    let changes = try await store.allChanges(after: position)
    let documents = dag.schema.collectionIndex(named: "Doc")
    #expect(
      changes.contains {
        $0.collection == documents && $0.cause.reason == reason && isExpected($0)
      }, sourceLocation: location)
  }

  @Test func v17GrantingOneself() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "editor"))
    let grant = dag.op(.bob, at: [bob], Self.member(dag, .bob, "owner"))
    let use = dag.op(.bob, at: [grant], Self.revoke(dag, .ann))
    try await dag.expectEverywhere(void: [grant: (.noWitness, []), use: (.noWitness, [grant])])
    try await dag.expectRefusedLocally(grant, .noWitness)
  }

  // MARK: What rules compare

  @Test func rulesCompareWhatIsNewAndWhatWas() async throws {
    var dag = try DAG(
      """
      schema Mail
      collection Box {
        name: Text(40) @key
        keeper: Principal @readonly
        size: Int @readonly @default(10)
        allow create if new.keeper == $author and new.size <= 10
        allow delete if row.name == "open"
      }
      collection Letter {
        box: Box? @readonly @onDelete(null)
        from: Principal @readonly
        level: Int? @readonly
        text: Text?
        allow create if new.from == $author and exists Box(name: new.box, size: 10 or 5)
        allow update if row.from == $author or row.level > 2
        allow delete if row.level in [1, 2]
      }
      """)
    func box(_ name: String, _ fields: [String: Value?]) -> RowChange {
      dag.create("Box", .text(name), set: fields)
    }
    let ann = Author.ann.principal
    let boxes = dag.op(
      .ann, box("open", ["keeper": ann]), box("small", ["keeper": ann, "size": .int(5)]),
      box("odd", ["keeper": ann, "size": .int(7)]))
    let large = dag.op(.ann, at: [boxes], box("large", ["keeper": ann, "size": .int(11)]))
    let stolen = dag.op(.bob, at: [boxes], box("stolen", ["keeper": ann]))
    func letter(_ name: String?, _ level: Int64?) -> RowChange {
      dag.create(
        "Letter",
        set: [
          "box": name.map { reference($0) }, "from": Author.bob.principal,
          "level": level.map { .int($0) },
        ])
    }
    let one = dag.op(.bob, at: [boxes], letter("open", 1))
    let two = dag.op(.bob, at: [boxes], letter("small", 3))
    let odd = dag.op(.bob, at: [boxes], letter("odd", nil))
    // Without a box there is nothing to compare.
    let none = dag.op(.bob, at: [boxes], letter(nil, nil))
    let plain = dag.op(.bob, at: [two], letter("open", nil))
    func edit(_ id: Digest) -> RowChange {
      dag.update("Letter", dag.generated(id), set: ["text": .text("t")])
    }
    let own = dag.op(.bob, at: [one], edit(one))
    let foreign = dag.op(.cid, at: [one], edit(one))
    dag.op(.cid, at: [two], edit(two))
    let absent = dag.op(.cid, at: [plain], edit(plain))
    let deleted = dag.op(.cid, at: [one], dag.delete("Letter", dag.generated(one)))
    let kept = dag.op(.cid, at: [two], dag.delete("Letter", dag.generated(two)))
    var void: [Digest: (VerdictReason, [Digest])] = [
      large: (.noWitness, []), stolen: (.noWitness, []), odd: (.noWitness, []),
      none: (.noWitness, []), foreign: (.noWitness, []), absent: (.noWitness, []),
      kept: (.noWitness, []),
    ]
    try await dag.expectEverywhere(void: void)
    // Boxes are strict, since a rule looks into them: what used one at the same time as its delete is void.
    let open = dag.op(.cid, at: [boxes], dag.delete("Box", .text("open")))
    let small = dag.op(.cid, at: [boxes], dag.delete("Box", .text("small")))
    void[small] = (.noWitness, [])
    void[one] = (.revoked, [open])
    void[plain] = (.revoked, [open])
    void[own] = (.notLive, [])
    void[deleted] = (.notLive, [])
    try await dag.expectEverywhere(void: void)
  }
}
