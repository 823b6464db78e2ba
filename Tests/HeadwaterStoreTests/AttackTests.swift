import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

/// What somebody may try who wants more than is theirs, and what comes of it.
@Suite struct AttackTests {
  private typealias Team = ReferenceScenarioTests

  // MARK: Time

  @Test func backDatedWritesAfterARevocation() async throws {
    // Bob sees that he is no editor any more, and goes on from where he was one.
    var dag = try Team.team()
    let bob = dag.op(.ann, Team.member(dag, .bob, "editor"))
    let before = dag.op(.bob, at: [bob], Team.doc(dag, "before"))
    let revoked = dag.op(.ann, at: [before], Team.revoke(dag, .bob))
    let after = dag.op(.ann, at: [revoked], Team.doc(dag, "after"))
    let create = dag.op(.bob, at: [before], Team.doc(dag, "late"))
    let update = dag.op(
      .bob, at: [before], dag.update("Doc", .text("before"), set: ["title": .text("late")]))
    let delete = dag.op(.bob, at: [create], dag.delete("Doc", .text("before")))
    let model = try await dag.expectEverywhere(void: [
      create: (.revoked, [revoked]), update: (.revoked, [revoked]), delete: (.revoked, [revoked]),
    ])
    // What he did while he was one stands.
    #expect(model.row(dag.schema, "Doc", .text("before"))?["title"] == nil)
    #expect(model.row(dag.schema, "Doc", .text("before")) != nil)
    #expect(model.row(dag.schema, "Doc", .text("late")) == nil)
    // A store that knows of the revocation and is asked to write it there says so.
    try await dag.expectRefusedLocally(create, .revoked, knowsAll: true)
    _ = after
  }

  @Test func backDatedCounterRevocation() async throws {
    // Revoked, Bob writes as if at the very time of his appointment that Ann is no owner: once, twice, and
    // with a second owner of his own making to help.
    var dag = try Team.team()
    let bob = dag.op(.ann, Team.member(dag, .bob, "owner"))
    let doc = dag.op(.ann, at: [bob], Team.doc(dag))
    let revoked = dag.op(.ann, at: [doc], Team.revoke(dag, .bob))
    let one = dag.op(.bob, at: [bob], Team.revoke(dag, .ann))
    let two = dag.op(.bob, at: [doc], Team.revoke(dag, .ann))
    let eve = dag.op(.bob, at: [bob], Team.member(dag, .eve, "owner"))
    let byEve = dag.op(.eve, at: [eve], Team.revoke(dag, .ann))
    let model = try await dag.expectEverywhere(void: [
      one: (.overruled, [revoked]), two: (.overruled, [revoked]), byEve: (.overruled, [revoked]),
      eve: (.revoked, [revoked]),
    ])
    #expect(model.row(dag.schema, "Member", Author.ann.principal) != nil)
    #expect(model.row(dag.schema, "Doc", .text("d")) != nil)
    #expect(model.rows.count == 2)
  }

  @Test func hidingOnesOwnRevocation() async throws {
    // Bob has seen it, and names as his parents only what others wrote beside it; then he forks, and merges.
    var dag = try Team.team()
    let bob = dag.op(.ann, Team.member(dag, .bob, "editor"), Team.member(dag, .cid, "editor"))
    let revoked = dag.op(.ann, at: [bob], Team.revoke(dag, .bob))
    let beside = dag.op(.cid, at: [bob], Team.doc(dag, "c"))
    let hidden = dag.op(.bob, at: [beside], Team.doc(dag, "b"))
    let fork = dag.op(.bob, at: [beside], Team.doc(dag, "f"))
    let merge = dag.op(
      .bob, at: [hidden, fork], dag.update("Doc", .text("c"), set: ["title": .text("b")]))
    // What relies on a row of his falls with it; what only follows does not.
    let follows = dag.op(
      .cid, at: [merge], dag.update("Doc", .text("b"), set: ["title": .text("c")]))
    dag.op(.cid, at: [merge], dag.update("Doc", .text("c"), set: ["title": .text("c")]))
    let model = try await dag.expectEverywhere(void: [
      hidden: (.revoked, [revoked]), fork: (.revoked, [revoked]), merge: (.revoked, [revoked]),
      follows: (.notLive, []),
    ])
    #expect(model.row(dag.schema, "Doc", .text("c"))?["title"] == .text("c"))
  }

  @Test func timesThatLie() async throws {
    // The time in an operation orders nothing: the greater height wins, whatever either says.
    var dag = try DAG(Scenario.shop) { [$0.create("Item", .text("i"))] }
    func rename(_ name: String) -> RowChange {
      dag.update("Item", .text("i"), set: ["name": .text(name)])
    }
    dag.op(.eve, at: [dag.root], time: .max, [rename("eve")])
    let ann = dag.op(.ann, at: [dag.root], time: .min, [rename("ann")])
    dag.op(.bob, at: [ann], time: .min, [rename("bob")])
    let model = try await dag.expectEverywhere()
    #expect(model.row(dag.schema, "Item", .text("i"))?["name"] == .text("bob"))
  }

  @Test func heightsThatLie() async throws {
    // An operation does not say how high it is, so it cannot lie about it: the bytes have no place for it.
    var dag = try DAG(Scenario.shop) { [$0.create("Item", .text("i"))] }
    let one = dag.op(.ann, dag.create("Item", .text("one")))
    let two = dag.op(.bob, at: [one], dag.create("Item", .text("two")))
    let side = dag.op(.cid, at: [dag.root], dag.create("Item", .text("side")))
    let merge = dag.op(.dan, at: [two, side], dag.create("Item", .text("merge")))
    let store = try #require(try await dag.store())
    for (id, height) in [(dag.root, 0), (one, 1), (two, 2), (side, 1), (merge, 3)] {
      let found = try await store.read { snapshot in
        try snapshot.log.number(of: id).map { try snapshot.log.record($0).height }
      }
      #expect(found == Int64(height))
    }
    // With one more element, or with bytes after the end, it is no operation.
    let eve = Author.eve.signer
    let body = dag.operation(.eve, at: [merge], [dag.create("Item", .text("e"))]).encode()
    #expect(body[0] == 0x89, "an array of nine")
    for extended in [[0x8A] + body[1...] + [0x18, 0xFF], Array(body + [0x01])] {
      let signed = SignedOperation(
        body: extended, suite: 1, publicKey: eve.publicKey,
        signature: eve.sign(Fixture.suite.hash(extended)))
      guard case .rejected = try await store.receive([signed])[0] else {
        Issue.record("admitted")
        continue
      }
    }
    #expect(try await store.read { try $0.operationIDs().count } == dag.operations.count)
  }

  // MARK: Grants

  @Test func grantingOneself() async throws {
    var dag = try Team.team()
    let bob = dag.op(.ann, Team.member(dag, .bob, "editor"))
    // Alone, together with what it is for, by another key, and with a delete of one's own row in front.
    let alone = dag.op(.bob, at: [bob], Team.member(dag, .bob, "owner"))
    let together = dag.op(
      .bob, at: [bob], Team.member(dag, .bob, "owner"), Team.revoke(dag, .ann))
    let other = dag.op(.bob, at: [bob], Team.member(dag, .eve, "owner"))
    let again = dag.op(.bob, at: [bob], Team.revoke(dag, .bob), Team.member(dag, .bob, "owner"))
    // And what would follow from it.
    let revoke = dag.op(.bob, at: [alone], Team.revoke(dag, .ann))
    let byEve = dag.op(.eve, at: [other], Team.doc(dag, "e"))
    let void: [Digest: (VerdictReason, [Digest])] = [
      alone: (.noWitness, []), together: (.noWitness, []), other: (.noWitness, []),
      again: (.noWitness, []), revoke: (.noWitness, [alone]), byEve: (.noWitness, [other]),
    ]
    let model = try await dag.expectEverywhere(void: void)
    #expect(model.row(dag.schema, "Member", Author.bob.principal)?["role"] == .text("editor"))
    for id in [alone, together, other, again] {
      try await dag.expectRefusedLocally(id, .noWitness)
    }
  }

  @Test func grantsInARing() async throws {
    // Three that appoint each other round and round, without anybody who appointed one of them.
    var dag = try Team.team()
    var void: [Digest: (VerdictReason, [Digest])] = [:]
    let ring: [(Author, Author)] = [(.bob, .cid), (.cid, .dan), (.dan, .bob)]
    var last = dag.root
    var before: [Author: [Digest]] = [:]
    for (author, next) in ring + ring {
      let grant = dag.op(author, at: [last], Team.member(dag, next, "owner"))
      void[grant] = (.noWitness, before[author] ?? [])
      before[next, default: []].append(grant)
      last = grant
    }
    try await dag.expectEverywhere(void: void)
  }

  @Test func grantsInARingOnceItsBeginningIsGone() async throws {
    // Bob, an owner, appoints Eve; he is revoked; Eve appoints him again, and he her, in the hope of holding
    // each other up. It hangs on his first row.
    var dag = try Team.team()
    let bob = dag.op(.ann, Team.member(dag, .bob, "owner"))
    let eve = dag.op(.bob, at: [bob], Team.member(dag, .eve, "owner"))
    let revoked = dag.op(.ann, at: [bob], Team.revoke(dag, .bob))
    let back = dag.op(.eve, at: [eve, revoked], Team.member(dag, .bob, "owner"))
    let forth = dag.op(.bob, at: [back], Team.member(dag, .eve, "owner"))
    let use = dag.op(.eve, at: [forth], Team.revoke(dag, .ann))
    let model = try await dag.expectEverywhere(void: [
      eve: (.revoked, [revoked]), back: (.noWitness, [eve]), forth: (.revoked, [revoked]),
      use: (.noWitness, [eve, forth]),
    ])
    #expect(model.row(dag.schema, "Member", Author.eve.principal) == nil)
    #expect(model.row(dag.schema, "Member", Author.bob.principal) == nil)
  }

  @Test func revocationsWithoutEnd() async throws {
    // Eve, an owner who is about to be revoked, revokes everybody from every frontier there is.
    var dag = try Team.team()
    dag.op(.ann, Team.member(dag, .bob, "owner"))
    let eve = dag.op(.ann, Team.member(dag, .eve, "owner"))
    let one = dag.op(.bob, at: [eve], Team.doc(dag, "one"))
    let two = dag.op(.ann, at: [one], Team.doc(dag, "two"))
    var void: [Digest: (VerdictReason, [Digest])] = [:]
    for frontier in [eve, one, two] {
      let attack = dag.op(
        .eve, at: [frontier], Team.revoke(dag, .ann), Team.revoke(dag, .bob))
      void[attack] = (.overruled, [])
    }
    let revoked = dag.op(.ann, at: [two], Team.revoke(dag, .eve))
    for id in void.keys { void[id] = (.overruled, [revoked]) }
    let model = try await dag.expectEverywhere(void: void)
    #expect(model.rows.count == 4)
  }

  // MARK: Identity

  @Test func replayIntoAnotherDatabase() async throws {
    // The same schema, the same owner, the same first rows.
    let grants = { (dag: DAG) in
      [Team.member(dag, .ann, "owner"), Team.member(dag, .bob, "editor")]
    }
    var dag = try DAG(Team.teamSchema, grants)
    let other = try DAG(Team.teamSchema, nonce: 8, grants)
    #expect(other.root != dag.root)
    dag.op(.bob, Team.doc(dag))
    guard let store = try await other.store() else { return }
    let signed = dag.operations[1].signed
    // As it is; with the parents changed to this genesis under the old signature.
    let made = dag.operation(dag.operations[1].id)
    let moved = HeadwaterLog.Operation(
      kind: .ordinary(database: other.root, schema: other.root), parents: [other.root],
      author: made.author, previous: nil, time: made.time, changes: made.changes)
    for (copy, why) in [
      (signed, "another database"),
      (
        SignedOperation(
          body: moved.encode(), suite: 1, publicKey: signed.publicKey, signature: signed.signature),
        "signature is wrong"
      ),
    ] {
      guard case .rejected(let message) = try await store.receive([copy])[0] else {
        Issue.record("it was taken")
        continue
      }
      #expect(message.contains(why), "\(message)")
    }
    #expect(try await store.read { try $0.operationIDs().count } == 1)
  }

  @Test func forgedPrevious() async throws {
    var dag = try DAG(Scenario.shop)
    let one = dag.op(.bob, dag.create("Item", .text("one")))
    let two = dag.op(.bob, dag.create("Item", .text("two")))
    let ann = dag.op(.ann, dag.create("Item", .text("three")))
    let side = dag.op(.bob, at: [one], dag.create("Item", .text("side")))
    let store = try #require(try await dag.store())
    // Nothing, an older one of his own, somebody else's, one that is not in the past, one that is nowhere.
    for previous in [nil, one, ann, side, Fixture.suite.hash([1])] {
      let forged = HeadwaterLog.Operation(
        kind: .ordinary(database: dag.root, schema: dag.root), parents: [ann],
        author: Author.bob.signer.principal, previous: previous, time: 0,
        changes: [dag.create("Item", .text("forged"))])
      let answer = try await store.receive([Scenario.sign(forged, by: Author.bob.signer)])[0]
      guard case .rejected(let why) = answer else {
        Issue.record("\(answer)")
        continue
      }
      #expect(why.contains("previous"))
    }
    let honest = dag.operation(.bob, at: [ann], [dag.create("Item", .text("honest"))])
    #expect(honest.previous == two)
    guard
      case .admitted(.valid) = try await store.receive(
        [Scenario.sign(honest, by: Author.bob.signer)])[0]
    else {
      Issue.record("the honest one was not admitted")
      return
    }
  }

  // MARK: Parents

  @Test func tenThousandParents() async throws {
    let dag = try DAG(Scenario.shop)
    let store = try #require(try await dag.store())
    func operation(_ count: Int) -> SignedOperation {
      let parents = (0..<count).map { Fixture.suite.hash([UInt8($0 >> 8 & 255), UInt8($0 & 255)]) }
      return Scenario.sign(
        HeadwaterLog.Operation(
          kind: .ordinary(database: dag.root, schema: dag.root), parents: parents.sorted(),
          author: Author.eve.signer.principal, previous: nil, time: 0,
          changes: [dag.create("Item", .text("e"))]), by: Author.eve.signer)
    }
    // Of whatever existence: it is rejected by its length, and does not even wait.
    guard case .rejected(let why) = try await store.receive([operation(10_000)])[0] else {
      Issue.record("it was taken")
      return
    }
    #expect(why.contains("parents"))
    guard case .waiting = try await store.receive([operation(Limits.parents)])[0] else {
      Issue.record("it does not wait")
      return
    }
  }

  @Test func ancestorsAsParents() async throws {
    // To be in two places at once: before a revocation, and after it.
    var dag = try DAG(Scenario.shop)
    let one = dag.op(.ann, dag.create("Item", .text("one")))
    let two = dag.op(.ann, dag.create("Item", .text("two")))
    let side = dag.op(.bob, at: [dag.root], dag.create("Item", .text("side")))
    let store = try #require(try await dag.store())
    for parents in [[one, two], [dag.root, two], [dag.root, side, two], [dag.root, one, two]] {
      let signed = Scenario.sign(
        dag.operation(.eve, at: parents, [dag.create("Item", .text("e"))]), by: Author.eve.signer)
      guard case .rejected(let why) = try await store.receive([signed])[0] else {
        Issue.record("it was taken")
        continue
      }
      #expect(why.contains("in the past of another"))
    }
    // One parent twice, and parents that are not sorted.
    let sorted = [two, side].sorted()
    for parents in [[two, two], [sorted[1], sorted[0]]] {
      let forged = Scenario.sign(
        HeadwaterLog.Operation(
          kind: .ordinary(database: dag.root, schema: dag.root), parents: parents,
          author: Author.eve.signer.principal, previous: nil, time: 0,
          changes: [dag.create("Item", .text("e"))]), by: Author.eve.signer)
      guard case .rejected = try await store.receive([forged])[0] else {
        Issue.record("it was taken")
        continue
      }
    }
    #expect(try await store.read { try $0.operationIDs().count } == dag.operations.count)
  }
}
