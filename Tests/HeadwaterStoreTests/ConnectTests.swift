import HeadwaterModel
import Testing

@testable import HeadwaterStore

@Suite struct ConnectTests {
  private static let members = """
    enum Role { owner, guest, banned }
    collection Member {
      principal: Principal @key
      role: Role @readonly
      allow create, delete if exists Member(principal: $author, role: owner)
    }
    """

  private func store(_ rules: String) throws -> Store {
    let owner = Fixture.signer(1)
    return try Store.create(
      at: nil, schema: try Schema.parse("schema Team\n\(rules)\n\(Self.members)"), as: owner,
      suite: Fixture.suite
    ) { draft in
      try draft.create(
        "Member", [("principal", .principal(owner.principal)), ("role", .text("owner"))])
    }
  }

  private func mayConnect(_ number: UInt8, to store: Store) async throws -> Bool {
    try await store.read { try $0.mayConnect(Fixture.signer(number).principal) }
  }

  @Test func nobodyMayUnlessTheSchemaSaysSo() async throws {
    let store = try store("")
    #expect(try await !mayConnect(1, to: store))
  }

  @Test(arguments: [
    "allow connect", "allow connect if exists Member(principal: $peer)\nallow connect",
  ])
  func everybodyMayWhereItSaysSo(_ rules: String) async throws {
    let store = try store(rules)
    #expect(try await mayConnect(1, to: store))
    #expect(try await mayConnect(9, to: store))
  }

  @Test func everythingIncludesConnecting() async throws {
    let store = try Store.create(
      at: nil, schema: try Schema.parse("schema Open\nallow everything\ncollection C { }"),
      as: Fixture.signer(1), suite: Fixture.suite)
    #expect(try await mayConnect(9, to: store))
  }

  @Test func whoIsAppointedMayAndWhoIsRemovedMayNot() async throws {
    let store = try store(
      "allow connect if exists Member(principal: $peer, role: owner or guest)")
    let owner = Fixture.signer(1)
    #expect(try await mayConnect(1, to: store))
    #expect(try await !mayConnect(2, to: store))
    for (number, role) in [(2, "guest"), (3, "banned")] as [(UInt8, String)] {
      try await store.write(as: owner) { draft in
        try draft.create(
          "Member",
          [("principal", .principal(Fixture.signer(number).principal)), ("role", .text(role))])
      }
    }
    #expect(try await mayConnect(2, to: store))
    #expect(try await !mayConnect(3, to: store))
    try await store.write(as: owner) { draft in
      try draft.delete("Member", key: Key([.principal(Fixture.signer(2).principal)]))
    }
    #expect(try await !mayConnect(2, to: store))
    #expect(try await mayConnect(1, to: store))
  }

  @Test func theRuleMakesNoCollectionStrict() throws {
    let text = """
      schema S
      allow connect if exists Device(key: $peer) or $peer in ["\(String(repeating: "ab", count: 32))"]
      collection Device {
        key: Principal @key
        allow create
      }
      """
    let schema = try Schema.parse(text)
    #expect(!schema.collections[0].isStrict)
    #expect(schema.connectRules.count == 1)
    #expect(try Schema.parse(schema.canonicalText) == schema)
  }
}
