import Testing

@testable import Headwater

/// Nodes of a mesh on loopback, each with a store.
@Suite(.timeLimit(.minutes(10))) struct MeshNodeTests {
  private static let schema = """
    schema S
    allow connect if exists Member(principal: $peer)
    collection Member {
      principal: Principal @key
      allow create, delete if exists Member(principal: $author)
    }
    collection Peer {
      address: Text(80) @key
      principal: Principal
      allow create, delete if exists Member(principal: $author)
    }
    """

  private func configuration() -> MeshConfiguration {
    var configuration = MeshConfiguration()
    configuration.exchangesPeers = false
    configuration.threads = 1
    return configuration
  }

  private func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<600 {
      if try await condition() { return true }
      try await Task.sleep(for: .milliseconds(50))
    }
    return false
  }

  private func members(_ store: Store) async throws -> Int64 {
    try await store.read { try $0.count(0) }
  }

  @Test func peersThatTheDatabaseNamesAreDialledAndWhoIsRemovedIsLetGo() async throws {
    let (ann, bob) = (SigningKey.generate(), SigningKey.generate())
    let one = try Headwater.create(at: nil, schema: try Schema.parse(Self.schema), as: ann) {
      try $0.create("Member", [("principal", .principal(ann.principal))])
      try $0.create("Member", [("principal", .principal(bob.principal))])
    }
    var listening = configuration()
    listening.listen = [try #require(PeerAddress("127.0.0.1:0"))]
    let first = try MeshNode(one, as: ann, listening)
    try await first.run()
    let address = await first.addresses[0]
    try await one.write(as: ann) {
      try $0.create(
        "Peer", [("address", .text("\(address)")), ("principal", .principal(ann.principal))])
    }
    // The second replica has everything so far, and finds the first in it.
    let all = try await one.read { snapshot in
      try snapshot.operationIDs().compactMap { try snapshot.signed($0) }
    }
    let two = try Headwater.replicate(at: nil, genesis: all[0])
    _ = try await two.receive(all)
    #expect(try await MeshNode.peers(of: two).map(\.address) == [address])
    let second = try MeshNode(two, as: bob, configuration())
    try await second.run()
    let third = SigningKey.generate()
    try await two.write(as: bob) {
      try $0.create("Member", [("principal", .principal(third.principal))])
    }
    #expect(try await eventually { try await members(one) == 3 })
    // Bob is removed, learns it, and hears nothing more.
    try await one.write(as: ann) {
      try $0.delete("Member", key: Key([.principal(bob.principal)]))
    }
    #expect(try await eventually { try await members(two) == 2 })
    try await Task.sleep(for: .seconds(3))
    try await one.write(as: ann) {
      try $0.delete("Member", key: Key([.principal(third.principal)]))
    }
    try await Task.sleep(for: .seconds(2))
    #expect(try await members(one) == 1)
    #expect(try await members(two) == 2)
    await second.stop()
    await first.stop()
  }
}
