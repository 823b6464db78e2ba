import HeadwaterModel
import Testing

@testable import HeadwaterStore

@Suite struct PreparedCreatesTests {
  private static let plain =
    "schema Plain\nallow everything\ncollection Item { code: Text(4) @key\n name: Text(9) }"
  private let signer = Fixture.signer(1)

  private func row(_ code: String, _ name: String) -> Row { Row([.text(code), .text(name)]) }

  @Test func preparedRowsAreThoseOfADraft() async throws {
    let store = try Fixture.store(Self.plain)
    let prepared = try store.prepare(collection: 0, rows: [row("a", "x"), row("b", "y")])
    _ = try await WriteSequence(store, stopsAtFailure: true).write(as: signer, prepared).receipt
    #expect(try await store.visibleRows().count == 2)
    #expect(try await store.verifyDeep().differences.isEmpty)
  }

  @Test func whatDoesNotFitIsNamedByItsRow() throws {
    let store = try Fixture.store(Self.plain)
    let error = #expect(throws: PreparedCreates.RowError.self) {
      try store.prepare(collection: 0, rows: [row("a", "x"), row("b", "much too long")])
    }
    #expect(error?.index == 1)
  }

  @Test func rowsOfAnotherSchemaAreRefusedAndNothingIsWritten() async throws {
    let store = try Fixture.store(Self.plain)
    let other = try Fixture.store(
      "schema Other\nallow everything\ncollection Item { code: Text(4) @key\n name: Text(99) }")
    let prepared = try other.prepare(collection: 0, rows: [row("a", "longer than nine")])
    await #expect(throws: StoreError.self) {
      try await WriteSequence(store, stopsAtFailure: true).write(as: signer, prepared).receipt
    }
    #expect(try await store.visibleRows().isEmpty)
  }
}
