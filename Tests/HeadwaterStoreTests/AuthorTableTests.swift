import HeadwaterLog
import HeadwaterModel
import SQLiteDriver
import Testing

@testable import HeadwaterStore

/// What the store keeps of authors in memory, where there are more of them than it keeps.
@Suite struct AuthorCacheTests {
  private let db: Connection
  private let table: OperationTable

  init() throws {
    db = try Connection(path: "", mode: .memory)
    try StoreFile.create(db) {}
    let table = try OperationTable(db, suite: Fixture.suite, isWriter: true)
    for number in UInt8(1)...12 {
      _ = try table.addAuthor(
        Fixture.suite.hash([number]), suite: 1, publicKey: [number])
    }
    self.table = try OperationTable(db, suite: Fixture.suite, isWriter: true, keptAuthors: 4)
  }

  private func id(_ number: UInt8) -> Digest { Fixture.suite.hash([number]) }

  private func insert(_ number: Int64, by author: inout AuthorRecord, previous: Digest?) throws {
    let record = OperationRecord(
      number: number, id: id(UInt8(100 + number)), height: number, author: author.number,
      place: Place(chain: 1, position: number), time: 0, reason: nil, voidedBy: [])
    try table.insert(
      record, body: [1], signature: [2], voucher: nil, author: &author, previous: previous)
  }

  private func crowd() throws {
    for number in 1...12 { _ = try table.author(number: Int64(number)) }
  }

  /// An author who was let go of while his operation was judged is known by it from then on.
  @Test func theHighestIsKnownWhoeverIsLetGoOf() throws {
    var first = try #require(try table.author(id(1)))
    try insert(1, by: &first, previous: nil)
    try table.flush()
    // Let go of between being looked up and being written.
    first = try #require(try table.author(id(1)))
    try crowd()
    try insert(2, by: &first, previous: id(101))
    #expect(try table.author(id(1))?.highest == 2)
    #expect(try table.author(number: 1).highest == 2)
    try crowd()
    #expect(try table.author(id(1))?.highest == 2)
    #expect(try table.author(number: 1).highest == 2)
    try table.flush()
    try crowd()
    #expect(try table.author(id(1))?.highest == 2)
    #expect(try db.integer("SELECT count(*) FROM equivocation") == 0)
  }
}
