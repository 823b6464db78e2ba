import HeadwaterModel
import SQLiteDriver
import Testing

@testable import HeadwaterStore

/// Authors, where there are more of them than are kept in memory.
@Suite struct AuthorTableTests {
  private let db: Connection
  private let table: AuthorTable

  init() throws {
    db = try Connection(path: "", mode: .memory)
    try StoreFile.create(db) {}
    let first = AuthorTable(db)
    for number in UInt8(1)...12 {
      _ = try first.add(Self.principal(number), suite: 1, publicKey: [number])
    }
    table = AuthorTable(db, kept: 4)
  }

  private static func principal(_ number: UInt8) -> Digest { Fixture.suite.hash([number]) }

  private func crowd() throws {
    for number in 1...12 { _ = try table.record(Int64(number)) }
  }

  private func expectHighest(_ highest: Int64) throws {
    #expect(try table.find(Self.principal(1))?.highest == highest)
    #expect(try table.record(1).highest == highest)
  }

  /// An author who was let go of between being looked up and being updated is known as he is from then on.
  @Test func theHighestIsKnownWhoeverIsLetGoOf() throws {
    var first = try #require(try table.find(Self.principal(1)))
    first.highest = 1
    table.update(first)
    try table.flush()
    first = try #require(try table.find(Self.principal(1)))
    try crowd()
    first.highest = 2
    table.update(first)
    try expectHighest(2)
    try crowd()
    try expectHighest(2)
    try table.flush()
    try crowd()
    try expectHighest(2)
  }
}
