import AdapterContract
import HeadwaterModel
import HeadwaterPostgres
import HeadwaterStream
import Testing

/// The way of large batches: COPY into a staging table, and from there into the mirror's.
///
/// The contract kit runs on it too, with few rows (`ContractTests`).
@Suite struct StagingTests {
  private static let schema = try! Schema.parse(
    """
    schema Wide
    allow everything
    enum Kind { ware, service }
    record Size { width: Int  height: Int? }
    collection Thing {
      id: Int @key
      code: Text(20)? @readonly @unique
      flag: Bool?
      number: Int?
      ratio: Float?
      price: Decimal(12, 2)?
      text: Text? @index
      bytes: Bytes?
      day: Date?
      time: Timestamp?
      uuid: UUID?
      json: JSON?
      who: Principal?
      kind: Kind?
      size: Size?
      next: Thing? @onDelete(null)
    }
    """)

  /// A row of which each value is there or not, as its number and the round say.
  private static func row(_ id: Int64, round: Int64, code: Int64?) -> Row {
    var bits = UInt64(bitPattern: id &* 0x9E37_79B9 &+ round &* 0x85EB_CA6B)
    bits ^= bits >> 13
    func maybe(_ value: @autoclosure () -> Value) -> Value? {
      defer { bits = bits &* 0x5851_F42D_4C95_7F2D &+ 1 }
      return bits >> 60 < 4 ? nil : value()
    }
    return Row([
      .int(id), code.map { .text("code \($0)") }, maybe(.bool(id % 2 == 0)),
      maybe(.int(id &* round)), maybe(.float(Double(id) / Double(round + 3))),
      maybe(.decimal(ExactDecimal(coefficient: Int128(id * 7 - round), scale: 2)!)),
      maybe(.text("Text \(id) \u{1F600} \\N \t \(round)")),
      maybe(.bytes([0, UInt8(truncatingIfNeeded: id), 255])),
      maybe(.date(CalendarDate(days: id * 13 - 5_000)!)),
      maybe(.timestamp(Timestamp(microseconds: id * 1_000_003 - round)!)),
      maybe(.uuid(UUIDBytes(bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: id), count: 16))!)),
      maybe(.json(JSON(members: [JSON.Member("n", .int(id)), JSON.Member("r", .null)])!)),
      maybe(
        .principal(Digest(bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 32))!)
      ),
      maybe(.text(id % 2 == 0 ? "ware" : "service")),
      maybe(.record([.int(round), id % 3 == 0 ? nil : .int(id)])),
      maybe(.reference(Key([.int(id)]))),
    ])
  }

  private static let count: Int64 = 9_000

  /// Inserts, then changes of nearly every row with codes that go round, deletes and new rows among them.
  private static func fill(_ source: ScriptedSource) {
    source.commit((0..<count).map { .put(0, row($0, round: 0, code: $0 % 10 == 9 ? nil : $0)) })
  }

  private static func change(_ source: ScriptedSource, round: Int64) {
    let deleted = Set((0..<100 as Range<Int64>).map { $0 * 83 + round })
    source.commit(
      (0..<count).filter { !deleted.contains($0) }.map {
        let code = ($0 + round) % count
        return .put(0, row($0, round: round, code: code % 10 == 9 ? nil : code))
      }
        // Whoever goes gives up its code first, as nobody else may have it meanwhile.
        + deleted.sorted().map { .delete(0, Key([.int($0)])) }
        + (0..<50).map { .put(0, row(100_000 + $0 + round * 1_000, round: round, code: nil)) })
  }

  private static func mirror(_ place: Place, _ source: ScriptedSource, _ adapter: PostgresAdapter)
    -> Mirror
  {
    Mirror(name: "m", sink: "s", source: source, adapter: adapter)
  }

  private static func dump(_ place: Place, _ table: String = "thing") throws -> [String] {
    try place.look.table("SELECT t::text FROM \(place.schema).\(table) AS t ORDER BY id")
  }

  @Test func itDoesWhatArraysDo() async throws {
    let source = ScriptedSource(schema: StagingTests.schema)
    StagingTests.fill(source)
    let arrays = try await Place()
    let staged = try await Place()
    let unforced = try await Place()
    let more = "&provenance=on"
    let mirrors = [
      StagingTests.mirror(
        arrays, source,
        PostgresAdapter(try arrays.feeder(more: more).adapter.configuration, paths: .arrays)),
      StagingTests.mirror(
        staged, source,
        PostgresAdapter(try staged.feeder(more: more).adapter.configuration, paths: .staged)),
      // So many rows take that way by themselves.
      StagingTests.mirror(
        unforced, source, PostgresAdapter(try unforced.feeder(more: more).adapter.configuration)),
    ]
    for mirror in mirrors { _ = try await mirror.synchronise() }
    for round in 1...3 as ClosedRange<Int64> {
      StagingTests.change(source, round: round)
      for mirror in mirrors { _ = try await mirror.synchronise() }
      let expected = try StagingTests.dump(arrays)
      #expect(expected.count == source.visibleRows(of: 0).count)
      #expect(try StagingTests.dump(staged) == expected, "round \(round)")
      #expect(try StagingTests.dump(unforced) == expected, "round \(round)")
      for mirror in mirrors { #expect(try await mirror.verify().isEqual) }
    }
  }

  @Test func itKeepsTheSameHistory() async throws {
    let source = ScriptedSource(schema: StagingTests.schema)
    StagingTests.fill(source)
    var histories: [[String]] = []
    for paths in [WritePaths.arrays, .staged] {
      let place = try await Place()
      let adapter = PostgresAdapter(
        try place.feeder(more: "&history=on").adapter.configuration, paths: paths)
      let copy = ScriptedSource(restoring: source.backup())
      let mirror = StagingTests.mirror(place, copy, adapter)
      _ = try await mirror.synchronise()
      StagingTests.change(copy, round: 1)
      _ = try await mirror.synchronise()
      histories.append(
        try place.look.table(
          "SELECT id, code, text, _operation, _author, _changed, _reason, _from_position, _until_position, "
            + "_end_operation, _end_reason FROM \(place.schema).thing_history ORDER BY id, _from_position"
        ))
    }
    #expect(histories[0].count == 2 * Int(StagingTests.count) - 100 + 50)
    #expect(histories[0] == histories[1])
  }

  @Test func itIsTakenFromEightThousandRowsOn() async throws {
    let place = try await Place()
    let source = ScriptedSource(schema: StagingTests.schema)
    StagingTests.fill(source)
    // A role that may not make temporary tables shows who wants one.
    let database = uniqueName("staged")
    let role = uniqueName("nostage")
    _ = try place.look.execute("CREATE ROLE \(role) LOGIN")
    _ = try place.look.execute("CREATE DATABASE \(database)")
    _ = try place.look.execute(
      "REVOKE TEMPORARY ON DATABASE \(database) FROM PUBLIC; GRANT CREATE ON DATABASE \(database) TO \(role)"
    )
    let adapter = PostgresAdapter(
      try place.server.configuration(database: database, schema: place.schema, user: role))
    let mirror = StagingTests.mirror(place, source, adapter)
    _ = try await mirror.synchronise()
    source.commit(
      (0..<7_999).map { .put(0, StagingTests.row($0, round: 9, code: $0 % 10 == 9 ? nil : $0)) })
    _ = try await mirror.synchronise()
    StagingTests.change(source, round: 1)
    do {
      _ = try await mirror.synchronise()
      Issue.record("no temporary table was wanted")
    } catch let error as MirrorError {
      let cause = try #require(error.cause as? AdapterError)
      #expect(cause.code == .permission)
      #expect(cause.recovery == .halt)
      #expect(
        cause.message.contains("GRANT TEMPORARY ON DATABASE \"\(database)\" TO \"\(role)\";"),
        "\(cause)")
    }
    _ = try place.look.execute("GRANT TEMPORARY ON DATABASE \(database) TO \(role)")
    _ = try await mirror.synchronise()
    #expect(try await mirror.verify().isEqual)
  }
}
