import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

// Who prevails where rule V contradicts itself.
extension ReferenceScenarioTests {
  @Test func c01OwnersWhoRevokeEachOther() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "owner"))
    let byAnn = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    let byBob = dag.op(.bob, at: [bob], Self.revoke(dag, .ann))
    let model = try await dag.expectEverywhere(void: [byBob: (.overruled, [byAnn])])
    #expect(model.row(dag.schema, "Member", Author.ann.principal) != nil)
    #expect(model.row(dag.schema, "Member", Author.bob.principal) == nil)
  }

  @Test func c02TheEarlierAppointedPrevails() async throws {
    var dag = try Self.team()
    dag.op(.ann, Self.member(dag, .bob, "owner"))
    let cid = dag.op(.ann, Self.member(dag, .cid, "owner"))
    let byBob = dag.op(.bob, at: [cid], Self.revoke(dag, .cid))
    let byCid = dag.op(.cid, at: [cid], Self.revoke(dag, .bob))
    try await dag.expectEverywhere(void: [byCid: (.overruled, [byBob])])
  }

  @Test func c03BackDatingACounterRevocation() async throws {
    var dag = try Self.team()
    let bob = dag.op(.ann, Self.member(dag, .bob, "owner"))
    dag.op(.ann, Self.doc(dag, "one"))
    dag.op(.ann, Self.doc(dag, "two"))
    let byAnn = dag.op(.ann, Self.revoke(dag, .bob))
    let byBob = dag.op(.bob, at: [bob], Self.revoke(dag, .ann))
    #expect(dag.precedes(byBob, byAnn))
    try await dag.expectEverywhere(void: [byBob: (.overruled, [byAnn])])
  }

  @Test func c04TwoRevocationsOfOneRow() async throws {
    var dag = try Self.team()
    dag.op(.ann, Self.member(dag, .bob, "owner"))
    let cid = dag.op(.ann, Self.member(dag, .cid, "owner"))
    dag.op(.ann, at: [cid], Self.revoke(dag, .cid))
    dag.op(.bob, at: [cid], Self.revoke(dag, .cid))
    try await dag.expectEverywhere()
  }

  @Test func c05ClaimingAnEarlierTime() async throws {
    var dag = try DAG(Self.teamSchema) {
      [Self.member($0, .ann, "owner"), Self.member($0, .bob, "owner")]
    }
    dag.op(.ann, Self.doc(dag, "one"))
    dag.op(.ann, Self.doc(dag, "two"))
    let byAnn = dag.op(.ann, Self.revoke(dag, .bob))
    let byBob = dag.op(.bob, at: [dag.root], Self.revoke(dag, .ann))
    #expect(dag.height(byAnn) == 3 && dag.height(byBob) == 1)
    // What Ann wrote in between is restored with her.
    try await dag.expectEverywhere(void: [byBob: (.overruled, [byAnn])])
  }

  @Test func c06WhoStandsOutsideAQuarrelDoesNotDecideIt() async throws {
    var dag = try DAG(Self.teamSchema, by: .fay) { [Self.member($0, .fay, "owner")] }
    dag.op(.fay, Self.member(dag, .ann, "owner"))
    let bob = dag.op(.fay, Self.member(dag, .bob, "owner"))
    let byAnn = dag.op(.ann, at: [bob], Self.revoke(dag, .bob))
    let byBob = dag.op(.bob, at: [bob], Self.revoke(dag, .ann))
    let zed = dag.op(.bob, at: [bob], Self.member(dag, .zed, "editor"))
    let byFay = dag.op(.fay, at: [zed], Self.revoke(dag, .zed))
    try await dag.expectEverywhere(void: [
      byBob: (.overruled, [byAnn]), zed: (.revoked, [byAnn]), byFay: (.notLive, []),
    ])
  }

  @Test func c07WithoutAWitnessOneRanksLast() async throws {
    // Whoever holds a key may revoke members too, and give up the key for nothing.
    var dag = try DAG(
      """
      schema Keys
      collection Member {
        principal: Principal @key
        allow create if exists Member(principal: $author)
        allow delete if exists Member(principal: $author) or exists Key(holder: $author)
      }
      collection Key {
        holder: Principal @key
        allow create if exists Member(principal: $author)
        allow delete if row.holder == $author
      }
      """
    ) { [$0.create("Member", Author.ann.principal)] }
    let bob = dag.op(.ann, dag.create("Member", Author.bob.principal))
    let byAnn = dag.op(.ann, at: [bob], dag.delete("Member", Author.bob.principal))
    let second = dag.op(.bob, at: [bob], dag.create("Key", Author.eve.principal))
    let byEve = dag.op(.eve, at: [second], dag.delete("Member", Author.ann.principal))
    let givenUp = dag.op(.eve, at: [second], dag.delete("Key", Author.eve.principal))
    try await dag.expectEverywhere(void: [
      byEve: (.overruled, [byAnn]), second: (.revoked, [byAnn]), givenUp: (.notLive, []),
    ])
  }

  // MARK: More than two

  /// Owners in the order of their appointment, each of whom revokes the next, and the last the first.
  private func ring(_ count: Int) throws -> (operations: [(Digest, HeadwaterLog.Operation)], Schema)
  {
    let dag = try Self.team()
    let owners = (0..<count).map { number -> Digest in
      Fixture.suite.hash(Array("owner \(number)".utf8))
    }
    let members = dag.schema.collectionIndex(named: "Member")!
    let genesis = HeadwaterLog.Operation(
      kind: dag.operation(dag.root).kind, parents: [], author: owners[0], previous: nil, time: 0,
      changes: owners.map {
        RowChange(
          kind: .create, collection: members, key: Key([.principal($0)]),
          assignments: [Assignment(slot: 1, change: .set(.text("owner")))])
      })
    let root = Fixture.suite.hash(genesis.encode())
    var operations = [(root, genesis)]
    for (number, owner) in owners.enumerated() {
      let operation = HeadwaterLog.Operation(
        kind: .ordinary(database: root, schema: root), parents: [root], author: owner,
        previous: nil, time: 0,
        changes: [
          RowChange(
            kind: .delete, collection: members,
            key: Key([.principal(owners[(number + 1) % count])]), assignments: [])
        ])
      operations.append((Fixture.suite.hash(operation.encode()), operation))
    }
    return (operations, dag.schema)
  }

  @Test(arguments: [3, 4, 5, 250])
  func someoneIsDecidedInEveryRing(count: Int) throws {
    let (operations, schema) = try ring(count)
    let model = ReferenceModel(operations: operations, schema: schema, hasher: Fixture.suite)
    // The first stands, so the second's is void, so the third's stands. The last revokes the first: overruled.
    for (number, (id, _)) in operations.dropFirst().enumerated() {
      let before = operations[number == 0 ? count : number].0
      let expected: Verdict =
        if number == count - 1 {
          .void(.overruled, by: [operations[1].0])
        } else if number % 2 == 0 {
          .valid
        } else {
          .void(.revoked, by: [before])
        }
      #expect(model.verdicts[id] == expected, "owner \(number) of \(count)")
    }
  }

  @Test func aChainOfTenThousandGrants() throws {
    let dag = try Self.team()
    let owners = (0..<10_000).map { number -> Digest in
      Fixture.suite.hash(Array("owner \(number)".utf8))
    }
    func grant(_ owner: Digest) -> RowChange {
      RowChange(
        kind: .create, collection: 0, key: Key([.principal(owner)]),
        assignments: [Assignment(slot: 1, change: .set(.text("owner")))])
    }
    let genesis = HeadwaterLog.Operation(
      kind: dag.operation(dag.root).kind, parents: [], author: owners[0], previous: nil, time: 0,
      changes: [grant(owners[0])])
    let root = Fixture.suite.hash(genesis.encode())
    var operations = [(root, genesis)]
    func add(_ author: Digest, after parent: Digest, _ change: RowChange) {
      let operation = HeadwaterLog.Operation(
        kind: .ordinary(database: root, schema: root), parents: [parent], author: author,
        previous: nil, time: 0, changes: [change])
      operations.append((Fixture.suite.hash(operation.encode()), operation))
    }
    for (owner, next) in zip(owners, owners.dropFirst()) {
      add(owner, after: operations.last!.0, grant(next))
    }
    // The second is revoked while all the others are being appointed.
    add(
      owners[0], after: operations[1].0,
      RowChange(
        kind: .delete, collection: 0, key: Key([.principal(owners[1])]), assignments: []))
    let model = ReferenceModel(operations: operations, schema: dag.schema, hasher: Fixture.suite)
    #expect(model.verdicts.values.count(where: \.isValid) == 3)
    #expect(
      model.verdicts[operations[2].0] == .void(.revoked, by: [operations.last!.0]))
    #expect(model.verdicts[operations[9_999].0] == .void(.noWitness, by: [operations[9_998].0]))
    #expect(model.rows.count == 1)
  }

  @Test func aThirdOwnerInTheMiddle() async throws {
    // Bob and Cid revoke each other; Ann, senior to both, revokes Cid at the same time: no quarrel is left.
    var dag = try Self.team()
    dag.op(.ann, Self.member(dag, .bob, "owner"))
    let cid = dag.op(.ann, Self.member(dag, .cid, "owner"))
    let byBob = dag.op(.bob, at: [cid], Self.revoke(dag, .cid))
    let byCid = dag.op(.cid, at: [cid], Self.revoke(dag, .bob))
    let byAnn = dag.op(.ann, at: [cid], Self.revoke(dag, .cid))
    try await dag.expectEverywhere(void: [byCid: (.revoked, [byBob, byAnn])])
  }

  @Test func aQuarrelAboutAQuarrel() async throws {
    // Ann revokes Bob and Bob Ann; what Bob's revocation would undo stays undecided until theirs is decided.
    var dag = try Self.team()
    dag.op(.ann, Self.member(dag, .bob, "owner"))
    let cid = dag.op(.ann, Self.member(dag, .cid, "owner"))
    let byAnn = dag.op(.ann, at: [cid], Self.revoke(dag, .bob))
    let byBob = dag.op(.bob, at: [cid], Self.revoke(dag, .ann), Self.revoke(dag, .cid))
    let byCid = dag.op(.cid, at: [cid], Self.revoke(dag, .bob))
    let doc = dag.op(.bob, at: [cid], Self.doc(dag))
    try await dag.expectEverywhere(void: [
      byBob: (.overruled, [byAnn]), doc: (.revoked, [byAnn, byCid]),
    ])
  }

  @Test func aCandidateThatWouldFailAnyway() async throws {
    // Ann's operation also creates a handle that somebody holds already: it is void, so Bob's stands, and that
    // is the first of the two reasons.
    var dag = try DAG(
      """
      schema Handles
      collection Member {
        principal: Principal @key
        allow create, delete if exists Member(principal: $author)
      }
      collection Handle {
        name: Text(20) @readonly @unique
        allow create
      }
      """
    ) {
      [
        $0.create("Member", Author.ann.principal), $0.create("Member", Author.bob.principal),
        $0.create("Handle", set: ["name": .text("x")]),
      ]
    }
    let byAnn = dag.op(
      .ann, at: [dag.root], dag.delete("Member", Author.bob.principal),
      dag.create("Handle", set: ["name": .text("x")]))
    let byBob = dag.op(.bob, at: [dag.root], dag.delete("Member", Author.ann.principal))
    try await dag.expectEverywhere(void: [byAnn: (.revoked, [byBob])])
  }

  @Test func aCandidateThatContradictsItself() async throws {
    // Ann, the senior, revokes Bob and takes a handle that Bob took at the same time, canonically before her.
    // With Bob's revocation out of the way hers still hangs on whether his handle is void, and that on hers:
    // she yields, and Bob's operations stand.
    var dag = try DAG(
      """
      schema Handles
      collection Member {
        principal: Principal @key
        allow create, delete if exists Member(principal: $author)
      }
      collection Handle {
        name: Text(20) @readonly @unique
        allow create if exists Member(principal: $author)
      }
      """
    ) {
      [$0.create("Member", Author.ann.principal), $0.create("Member", Author.bob.principal)]
    }
    let first = dag.op(.bob, at: [dag.root], dag.create("Handle", set: ["name": .text("x")]))
    let filler = dag.op(.ann, at: [dag.root], dag.create("Handle", set: ["name": .text("y")]))
    let byAnn = dag.op(
      .ann, at: [filler], dag.delete("Member", Author.bob.principal),
      dag.create("Handle", set: ["name": .text("x")]))
    let byBob = dag.op(.bob, at: [first], dag.delete("Member", Author.ann.principal))
    try await dag.expectEverywhere(void: [
      byAnn: (.overruled, []), filler: (.revoked, [byBob]),
    ])
  }
}
