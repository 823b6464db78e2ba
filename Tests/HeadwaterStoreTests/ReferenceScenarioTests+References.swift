import HeadwaterLog
import HeadwaterModel
import Testing

@testable import HeadwaterStore

// References of every policy, and unique values.
extension ReferenceScenarioTests {
  private static let shopSchema = """
    schema Shop
    collection Member {
      principal: Principal @key
      allow create, delete if exists Member(principal: $author)
    }
    collection Supplier {
      id: Text(40) @key
      allow create, delete
    }
    collection Product {
      id: Text(40) @key
      supplier: Supplier? @onDelete(cascade)
      allow create if exists Member(principal: $author)
      allow update, delete
    }
    collection Order {
      id: Text(40) @key
      product: Product? @onDelete(void)
      spare: Product? @onDelete(null)
      parent: Product? @onDelete(cascade)
      part: Order? @onDelete(void)
      allow create, update, delete
    }
    collection Line {
      product: Product @readonly @onDelete(void)
      text: Text?
      allow create, update, delete
    }
    collection Handle {
      id: Text(40) @key
      name: Text(40)? @readonly @unique
      kind: Int @readonly @unique @default(1)
      allow create, delete
    }
    """

  private static func shop() throws -> DAG {
    try DAG(shopSchema) { [$0.create("Member", Author.ann.principal)] }
  }

  private static func product(_ dag: DAG, _ id: String = "p", supplier: String? = nil) -> RowChange
  {
    dag.create(
      "Product", .text(id), set: supplier.map { ["supplier": reference($0)] } ?? [:])
  }

  private static func order(_ dag: DAG, _ field: String, _ target: String, as id: String = "o")
    -> RowChange
  {
    dag.create("Order", .text(id), set: [field: reference(target)])
  }

  // MARK: void

  @Test func r04TheTargetIsDeletedAtTheSameTime() async throws {
    var dag = try Self.shop()
    let product = dag.op(.ann, Self.product(dag))
    let order = dag.op(.bob, at: [product], Self.order(dag, "product", "p"))
    let line = dag.op(
      .bob, at: [product], dag.create("Line", set: ["product": reference("p")]))
    let gone = dag.op(.cid, at: [product], dag.delete("Product", .text("p")))
    let model = try await dag.expectEverywhere(
      void: [order: (.dangling, [gone]), line: (.dangling, [gone])])
    #expect(model.row(dag.schema, "Order", .text("o")) == nil)
  }

  @Test func r04AnUpdateToATargetThatIsDeletedAtTheSameTime() async throws {
    var dag = try Self.shop()
    let product = dag.op(.ann, Self.product(dag), dag.create("Order", .text("o")))
    let update = dag.op(
      .bob, at: [product], dag.update("Order", .text("o"), set: ["product": reference("p")]))
    let gone = dag.op(.cid, at: [product], dag.delete("Product", .text("p")))
    let model = try await dag.expectEverywhere(void: [update: (.dangling, [gone])])
    let row = model.row(dag.schema, "Order", .text("o"))
    #expect(row != nil && row?["product"] == nil)
  }

  @Test func r04TheTargetWasDeletedBefore() async throws {
    var dag = try Self.shop()
    dag.op(.ann, Self.product(dag))
    let gone = dag.op(.cid, dag.delete("Product", .text("p")))
    let order = dag.op(.bob, Self.order(dag, "product", "p"))
    // An operation that deletes the target and then refers to it has nobody else to blame.
    let again = dag.op(.ann, Self.product(dag, "q"))
    let own = dag.op(
      .bob, at: [again], dag.delete("Product", .text("q")), Self.order(dag, "product", "q", as: "r")
    )
    try await dag.expectEverywhere(
      void: [order: (.dangling, [gone]), own: (.dangling, [])])
    try await dag.expectRefusedLocally(order, .dangling)
  }

  @Test func r04AnotherCreateOfTheTarget() async throws {
    // The second create is not what the delete had seen: the reference has it for a witness.
    var dag = try Self.shop()
    let one = dag.op(.ann, Self.product(dag))
    let gone = dag.op(.cid, at: [one], dag.delete("Product", .text("p")))
    let two = dag.op(.ann, at: [one], Self.product(dag))
    dag.op(.bob, at: [two], Self.order(dag, "product", "p"))
    try await dag.expectEverywhere()
    _ = gone
  }

  @Test func r05TheTargetIsDeletedBySomebodyWhoSawTheReference() async throws {
    var dag = try Self.shop()
    dag.op(.ann, Self.product(dag))
    let order = dag.op(.bob, Self.order(dag, "product", "p"))
    let line = dag.op(.bob, dag.create("Line", set: ["product": reference("p")]))
    let gone = dag.op(.cid, dag.delete("Product", .text("p")))
    let model = try await dag.expectEverywhere(void: [gone: (.referenced, [order, line])])
    #expect(model.row(dag.schema, "Product", .text("p")) != nil)
    try await dag.expectRefusedLocally(gone, .referenced)
    // When nothing refers to it any more it may go.
    let free = dag.op(
      .bob, at: [line], dag.update("Order", .text("o"), set: ["product": .none]),
      dag.delete("Line", dag.generated(line)))
    dag.op(.cid, at: [free], dag.delete("Product", .text("p")))
    // In one operation too, whatever refers first.
    dag.op(
      .cid, at: [line], dag.delete("Order", .text("o")),
      dag.delete("Line", dag.generated(line)), dag.delete("Product", .text("p")))
    try await dag.expectEverywhere(void: [gone: (.referenced, [order, line])])
  }

  @Test func r05AReferenceThatWasOverwrittenOrNeverStood() async throws {
    var dag = try Self.shop()
    let products = dag.op(.ann, Self.product(dag, "p"), Self.product(dag, "q"))
    let order = dag.op(.bob, at: [products], Self.order(dag, "product", "p"))
    let moved = dag.op(
      .bob, at: [order], dag.update("Order", .text("o"), set: ["product": reference("q")]))
    // Whoever saw the move may delete the one, not the other.
    dag.op(.cid, at: [moved], dag.delete("Product", .text("p")))
    let other = dag.op(.cid, at: [moved], dag.delete("Product", .text("q")))
    // Whoever has not seen it, the other; that voids the move, if it may.
    let blind = dag.op(.dan, at: [order], dag.delete("Product", .text("p")))
    try await dag.expectEverywhere(
      void: [other: (.referenced, [moved]), blind: (.referenced, [order])])
    // A row that was deleted refers to nothing, nor does one that is void.
    let forged = dag.op(
      .eve, at: [products], Self.order(dag, "product", "q", as: "void"), Self.product(dag, "forged")
    )
    let deleted = dag.op(.bob, at: [order], dag.delete("Order", .text("o")))
    dag.op(.dan, at: [deleted], dag.delete("Product", .text("p")))
    dag.op(.dan, at: [forged], dag.delete("Product", .text("q")))
    let model = dag.reference()
    #expect(model.verdicts[forged] == .void(.noWitness, by: []))
    // The delete of q is at the same time as the move to it.
    #expect(model.verdicts[moved]?.isValid == false)
    try await expectAgreement(dag, model)
  }

  @Test func deletesOfEachOthersTargets() async throws {
    // Each deletes what the other is about to refer to, at the same time: a cycle without authority in it. No
    // rule of either has a witness, so the lesser author prevails.
    var dag = try Self.shop()
    let products = dag.op(.ann, Self.product(dag, "p"), Self.product(dag, "q"))
    let one = dag.op(
      .bob, at: [products], dag.delete("Product", .text("p")),
      Self.order(dag, "product", "q", as: "o"))
    let two = dag.op(
      .cid, at: [products], dag.delete("Product", .text("q")),
      Self.order(dag, "product", "p", as: "r"))
    let isBob = Author.bob.signer.principal < Author.cid.signer.principal
    try await dag.expectEverywhere(
      void: isBob ? [two: (.overruled, [one])] : [one: (.overruled, [two])])
  }

  @Test func aRowThatRefersToItselfByVoid() async throws {
    var dag = try Self.shop()
    let made = dag.op(.bob, Self.order(dag, "part", "o"))
    // It does not keep itself from being deleted.
    let gone = dag.op(.bob, at: [made], dag.delete("Order", .text("o")))
    let update = dag.op(
      .cid, at: [made], dag.update("Order", .text("o"), set: ["part": reference("o")]))
    let model = try await dag.expectEverywhere(void: [update: (.dangling, [gone])])
    #expect(model.row(dag.schema, "Order", .text("o")) == nil)
  }

  @Test func anAuthorityThatIsReferredTo() async throws {
    // A membership that a badge refers to cannot be deleted by who saw the badge; who did not voids it.
    var dag = try DAG(
      """
      schema Badges
      collection Member {
        principal: Principal @key
        allow create, delete if exists Member(principal: $author)
      }
      collection Badge {
        member: Member @key @onDelete(void)
        text: Text?
        allow create, delete if exists Member(principal: $author)
        allow update if row.member == $author
      }
      """
    ) { [$0.create("Member", Author.ann.principal)] }
    let bob = dag.op(.ann, dag.create("Member", Author.bob.principal))
    let key = Value.reference(Key([Author.bob.principal]))
    let badge = dag.op(.ann, at: [bob], dag.create("Badge", key))
    let late = dag.op(.ann, at: [badge], dag.delete("Member", Author.bob.principal))
    try await dag.expectEverywhere(void: [late: (.referenced, [badge])])
    let blind = dag.op(.ann, at: [bob], dag.delete("Member", Author.bob.principal))
    let use = dag.op(.bob, at: [badge], dag.update("Badge", key, set: ["text": .text("t")]))
    // Now the badge is void, so the other delete has nothing in its way; it is not at the same time.
    try await dag.expectEverywhere(
      void: [badge: (.dangling, [blind]), use: (.notLive, [])])
  }

  @Test func anUpdateDoesNotReferByItsKey() async throws {
    var dag = try DAG(
      """
      schema Tags
      allow everything
      collection Topic {
        id: Text(4) @key
      }
      collection Tag {
        topic: Topic @key @onDelete(void)
        text: Text?
      }
      """)
    let topic = dag.op(.ann, dag.create("Topic", .text("t")))
    let tag = dag.op(.ann, at: [topic], dag.create("Tag", reference("t")))
    // At the same time as the tag and then its topic are deleted.
    dag.op(.bob, at: [tag], dag.update("Tag", reference("t"), set: ["text": .text("b")]))
    let gone = dag.op(.cid, at: [tag], dag.delete("Tag", reference("t")))
    dag.op(.cid, at: [gone], dag.delete("Topic", .text("t")))
    let model = try await dag.expectEverywhere()
    #expect(model.rows.isEmpty)
  }

  // MARK: cascade and null

  @Test func r02TheDeleteBecomesVoid() async throws {
    var dag = try DAG(
      """
      schema Shop
      collection Member {
        principal: Principal @key
        allow create, delete if exists Member(principal: $author)
      }
      collection Product {
        id: Text(40) @key
        allow create, delete if exists Member(principal: $author)
      }
      collection Order {
        id: Text(40) @key
        parent: Product? @onDelete(cascade)
        spare: Product? @onDelete(null)
        allow create
      }
      """
    ) { [$0.create("Member", Author.ann.principal), $0.create("Product", .text("p"))] }
    let bob = dag.op(.ann, dag.create("Member", Author.bob.principal))
    let orders = dag.op(
      .cid, at: [bob], dag.create("Order", .text("c"), set: ["parent": reference("p")]),
      dag.create("Order", .text("n"), set: ["spare": reference("p")]))
    let gone = dag.op(.bob, at: [bob], dag.delete("Product", .text("p")))
    var model = dag.reference()
    #expect(model.row(dag.schema, "Order", .text("c")) == nil)
    #expect(model.row(dag.schema, "Order", .text("n"))?.keys.contains("spare") == false)
    let revoked = dag.op(.ann, at: [bob], dag.delete("Member", Author.bob.principal))
    model = try await dag.expectEverywhere(void: [gone: (.revoked, [revoked])])
    #expect(model.row(dag.schema, "Order", .text("c")) != nil)
    #expect(model.row(dag.schema, "Order", .text("n"))?["spare"] == reference("p"))
    _ = orders
  }

  @Test func r08TheTargetsCreateBecomesVoid() async throws {
    var dag = try Self.shop()
    let bob = dag.op(.ann, dag.create("Member", Author.bob.principal))
    let product = dag.op(.bob, at: [bob], Self.product(dag))
    let order = dag.op(.cid, at: [product], Self.order(dag, "product", "p", as: "v"))
    dag.op(.cid, at: [product], Self.order(dag, "spare", "p", as: "n"))
    dag.op(.cid, at: [product], Self.order(dag, "parent", "p", as: "c"))
    let revoked = dag.op(.ann, at: [bob], dag.delete("Member", Author.bob.principal))
    let model = try await dag.expectEverywhere(
      void: [product: (.revoked, [revoked]), order: (.dangling, [product])])
    #expect(model.row(dag.schema, "Order", .text("v")) == nil)
    #expect(model.row(dag.schema, "Order", .text("c")) == nil)
    let row = model.row(dag.schema, "Order", .text("n"))
    #expect(row != nil && row?["spare"] == nil)
  }

  @Test func r10VoidOverCascade() async throws {
    var dag = try Self.shop()
    let supplier = dag.op(.ann, dag.create("Supplier", .text("s")))
    let product = dag.op(.ann, at: [supplier], Self.product(dag, supplier: "s"))
    dag.op(.bob, at: [product], Self.order(dag, "product", "p"))
    dag.op(.cid, dag.delete("Supplier", .text("s")))
    let model = try await dag.expectEverywhere()
    #expect(model.row(dag.schema, "Product", .text("p")) == nil)
    #expect(model.row(dag.schema, "Order", .text("o")) == nil)
    dag.op(.cid, at: [supplier], dag.create("Supplier", .text("s")))
    let later = try await dag.expectEverywhere()
    #expect(later.row(dag.schema, "Product", .text("p")) != nil)
    #expect(later.row(dag.schema, "Order", .text("o"))?["product"] == reference("p"))
  }

  @Test func aHistoryWithoutRules() async throws {
    var dag = try DAG(Scenario.shop) { [$0.create("Item", .text("i"))] }
    let part = dag.op(.ann, dag.create("Part", .text("p"), set: ["item": reference("i")]))
    let note = dag.op(
      .bob, at: [part], dag.create("Note", set: ["text": .text("n"), "part": reference("p")]))
    let gone = dag.op(.cid, at: [part], dag.delete("Item", .text("i")))
    let late = dag.op(.bob, dag.update("Item", .text("i"), set: ["rank": .int(1)]))
    var model = try await dag.expectEverywhere(void: [late: (.notLive, [gone])])
    #expect(model.rows.isEmpty)
    try await dag.expectRefusedLocally(late, .notLive)
    dag.op(.dan, at: [part], dag.create("Item", .text("i")))
    model = try await dag.expectEverywhere(void: [late: (.notLive, [gone])])
    #expect(model.row(dag.schema, "Note", dag.generated(note)) != nil)
  }

  // MARK: Unique values

  private static func handle(_ dag: DAG, _ id: String, _ name: String?, _ kind: Int64? = nil)
    -> RowChange
  {
    var fields: [String: Value?] = [:]
    if let name { fields["name"] = .text(name) }
    fields["kind"] = .int(kind ?? Int64(id.utf8.reduce(100) { $0 * 31 + Int($1) }))
    return dag.create("Handle", .text(id), set: fields)
  }

  @Test func f08TwoCreatesOfOneValueAtTheSameTime() async throws {
    var dag = try Self.shop()
    let one = dag.op(.ann, at: [dag.root], Self.handle(dag, "a", "x"))
    let two = dag.op(.bob, at: [dag.root], Self.handle(dag, "b", "x"))
    let (first, second) = dag.precedes(one, two) ? (one, two) : (two, one)
    try await dag.expectEverywhere(void: [second: (.unique, [first])])
    // Higher is later, whatever the hash.
    let third = dag.op(.cid, at: [one], Self.handle(dag, "c", "x"))
    try await dag.expectEverywhere(
      void: [second: (.unique, [first]), third: (.unique, [first])])
  }

  @Test func f08WhereTheEarlierIsVoid() async throws {
    var dag = try Self.shop()
    let one = dag.op(.bob, at: [dag.root], Self.handle(dag, "a", "x"), Self.product(dag))
    let pause = dag.op(.ann, at: [dag.root], dag.create("Supplier", .text("s")))
    dag.op(.ann, at: [pause], Self.handle(dag, "b", "x"))
    try await dag.expectEverywhere(void: [one: (.noWitness, [])])
  }

  @Test func f08ADefaultIsAValueAndNothingIsNone() async throws {
    var dag = try Self.shop()
    let one = dag.op(.ann, dag.create("Handle", .text("a")))
    let two = dag.op(.bob, dag.create("Handle", .text("b")))
    let three = dag.op(.bob, dag.create("Handle", .text("c"), set: ["kind": .int(1)]))
    dag.op(.bob, Self.handle(dag, "d", nil), Self.handle(dag, "e", nil))
    try await dag.expectEverywhere(void: [two: (.unique, [one]), three: (.unique, [one])])
    try await dag.expectRefusedLocally(two, .unique)
  }

  @Test func f09TheHolderIsDeleted() async throws {
    var dag = try Self.shop()
    let one = dag.op(.ann, at: [dag.root], Self.handle(dag, "a", "x"))
    let pause = dag.op(.bob, at: [dag.root], dag.create("Supplier", .text("s")))
    let two = dag.op(.bob, at: [pause], Self.handle(dag, "b", "x"))
    let gone = dag.op(.ann, dag.delete("Handle", .text("a")))
    dag.op(.cid, at: [gone], Self.handle(dag, "c", "x"))
    let model = try await dag.expectEverywhere(void: [two: (.unique, [one])])
    #expect(model.row(dag.schema, "Handle", .text("b")) == nil)
    #expect(model.row(dag.schema, "Handle", .text("c"))?["name"] == .text("x"))
    // Whoever has not seen the delete does not profit from it.
    let blind = dag.op(.dan, at: [one], Self.handle(dag, "e", "x"))
    try await dag.expectEverywhere(
      void: [two: (.unique, [one]), blind: (.unique, [one])])
  }

  @Test func f09OneDeletesTheHolderOneself() async throws {
    var dag = try Self.shop()
    let one = dag.op(.ann, Self.handle(dag, "a", "x"))
    dag.op(.bob, at: [one], dag.delete("Handle", .text("a")), Self.handle(dag, "b", "x"))
    let late = dag.op(
      .cid, at: [one], Self.handle(dag, "c", "x"), dag.delete("Handle", .text("a")))
    let model = dag.reference()
    let by = model.verdicts[late]
    #expect(by?.isValid == false)
    try await expectAgreement(dag, model)
  }

  @Test func f11TheHolderComesAgain() async throws {
    var dag = try Self.shop()
    dag.op(.ann, Self.handle(dag, "a", "x"))
    dag.op(.ann, dag.delete("Handle", .text("a")))
    let again = dag.op(.ann, Self.handle(dag, "a", "x"))
    let other = dag.op(.bob, Self.handle(dag, "b", "x"))
    try await dag.expectEverywhere(void: [other: (.unique, [again])])
    try await dag.expectRefusedLocally(other, .unique)
  }

  @Test func f12CreatedAndDeletedInOneOperation() async throws {
    var dag = try Self.shop()
    dag.op(.ann, Self.handle(dag, "a", "x"), dag.delete("Handle", .text("a")))
    dag.op(.bob, Self.handle(dag, "b", "x"))
    let model = try await dag.expectEverywhere()
    #expect(model.row(dag.schema, "Handle", .text("b")) != nil)
  }

  @Test func f12CreatedAndDeletedInOneOperationAtTheSameTime() async throws {
    // Only who saw the value go may take it.
    var dag = try Self.shop()
    let brief = dag.op(
      .ann, at: [dag.root], Self.handle(dag, "a", "x"), dag.delete("Handle", .text("a")))
    let pause = dag.op(.bob, at: [dag.root], dag.create("Supplier", .text("s")))
    let blind = dag.op(.bob, at: [pause], Self.handle(dag, "b", "x"))
    try await dag.expectEverywhere(void: [blind: (.unique, [brief])])
  }

  /// For histories whose verdicts the test has looked at itself.
  private func expectAgreement(
    _ dag: DAG, _ model: ReferenceModel, _ location: SourceLocation = #_sourceLocation
  ) async throws {
    dag.expectConsistent(model, location)
    let replicas = Replicas(
      genesis: dag.genesis, operations: dag.operations.dropFirst().map(\.signed), model: model)
    try await replicas.agreeInEveryOrder(location)
  }
}
