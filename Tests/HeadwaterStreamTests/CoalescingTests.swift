import HeadwaterModel
import Testing

@testable import HeadwaterStream

@Suite struct CoalescingTests {
  private func coalesce(_ changes: [[Change]], keepingAll: Bool = false) -> [Change] {
    var position: Int64 = 1
    let transactions = changes.map { changes in
      defer { position += Int64(changes.count) }
      return Fixture.transaction(position, changes)
    }
    return Coalescing.coalesce(transactions, keepingAll: keepingAll)
  }

  @Test func `one change for each row, from its first before to its last after`() {
    let result = coalesce([
      [Fixture.change(1, "a", "b"), Fixture.change(2, nil, "x")], [Fixture.change(1, "b", "c")],
      [Fixture.change(2, "x", "y")],
    ])
    #expect(result == [Fixture.change(1, "a", "c"), Fixture.change(2, nil, "y")])
  }

  @Test func `deletes stand first, and the order of the stream stays`() {
    let result = coalesce([
      [Fixture.change(5, nil, "new"), Fixture.change(3, "a", nil)],
      [
        Fixture.change(4, nil, "new"), Fixture.change(9, "b", nil),
        Fixture.change(5, "new", "newer"),
      ],
    ])
    #expect(
      result == [
        Fixture.change(3, "a", nil), Fixture.change(9, "b", nil), Fixture.change(5, nil, "newer"),
        Fixture.change(4, nil, "new"),
      ])
  }

  @Test func `what comes to nothing is dropped from the tail`() {
    let changes = [
      [Fixture.change(1, nil, "a"), Fixture.change(2, "x", "y")],
      [Fixture.change(1, "a", nil), Fixture.change(2, "y", "x")],
    ]
    #expect(coalesce(changes).isEmpty)
    #expect(
      coalesce(changes, keepingAll: true) == [
        Fixture.change(1, nil, nil), Fixture.change(2, "x", "x"),
      ], "a snapshot may have seen what was in between")
  }

  @Test func `a row that is deleted and created again is an upsert`() {
    let result = coalesce([[Fixture.change(1, "a", nil)], [Fixture.change(1, nil, "b")]])
    #expect(result == [Fixture.change(1, "a", "b")])
  }

  @Test func `rows of different collections with one key are different rows`() {
    let other = Change(
      collection: 1, key: Fixture.key(1), before: nil, after: Fixture.row(1, "z"),
      cause: Fixture.cause)
    #expect(coalesce([[Fixture.change(1, nil, "a"), other]]).count == 2)
  }
}

@Suite struct BackoffTests {
  @Test func `delays double up to the longest, and half of each is chance`() {
    let backoff = Backoff()
    #expect(backoff.delay(attempt: 1, random: 0) == .milliseconds(50))
    #expect(backoff.delay(attempt: 1, random: 0.5) == .milliseconds(75))
    #expect(backoff.delay(attempt: 2, random: 0) == .milliseconds(100))
    #expect(backoff.delay(attempt: 5, random: 0) == .milliseconds(800))
    #expect(backoff.delay(attempt: 1_000_000, random: 0) == .seconds(15))
    #expect(backoff.delay(attempt: 0, random: 0) == .milliseconds(50))
  }
}

@Suite struct CheckpointTests {
  @Test(arguments: [
    Fixture.checkpoint(5), Fixture.checkpoint(0, .tail(generation: .max)),
    Fixture.checkpoint(7, .snapshot(generation: 2, progress: .rows(upTo: nil)), seen: 9),
    Fixture.checkpoint(
      7,
      .snapshot(
        generation: 2, progress: .rows(upTo: RowPosition(collection: 3, key: Fixture.key(-4)))),
      seen: 12),
    Fixture.checkpoint(7, .snapshot(generation: 2, progress: .catchingUp(until: 12)), seen: 12),
  ])
  func `bytes and back`(_ checkpoint: Checkpoint) throws {
    #expect(try Checkpoint(canonicalBytes: checkpoint.canonicalBytes) == checkpoint)
    for count in 0..<checkpoint.canonicalBytes.count {
      #expect(throws: DecodingError.self) {
        try Checkpoint(canonicalBytes: Array(checkpoint.canonicalBytes.prefix(count)))
      }
    }
  }
}
