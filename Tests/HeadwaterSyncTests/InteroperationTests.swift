import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterSync
import Testing

/// Ours, the other implementation, and the published vectors agree.
@Suite struct InteroperationTests {
  static let salt = Array("0123456789abcdef".utf8)
  static let vectors = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/sync/reconciliation.json")

  private func bytes(_ message: RangeMessage) -> [UInt8] {
    var writer = CanonicalWriter()
    message.encode(into: &writer)
    return writer.bytes
  }

  private func decode(_ bytes: [UInt8]) throws -> RangeMessage {
    var reader = CanonicalReader(bytes)
    let message = try RangeMessage.decode(&reader)
    try reader.finish()
    return message
  }

  /// One side is ours, the other the script; both open in turn.
  @Test func withTheOtherImplementation() throws {
    let peer = try ReferencePeer()
    let reconciler = Reconciler(hasher: suite, salt: Self.salt)
    for seed in 0..<60 as Range<UInt64> {
      var random = Seeded(seed)
      let pair: Pair =
        seed % 3 == 0
        ? .recent(
          Int.random(in: 1...2_000, using: &random), left: Int.random(in: 0...99, using: &random),
          right: Int.random(in: 0...2_000, using: &random), seed: seed)
        : .random(
          Int.random(in: 0...2_500, using: &random),
          heights: [1, 30, 3_000].randomElement(using: &random) ?? 1,
          differing: [0, 0.01, 0.5, 1].randomElement(using: &random) ?? 0, seed: seed)
      // Ours is the left set.
      try peer.load(pair.right, salt: Self.salt)
      var ours: Set<ShortID> = []
      var theirs: Set<ShortID> = []
      var isTheirTurn = seed % 2 == 0
      var message: [UInt8]? =
        isTheirTurn ? bytes(try reconciler.open(pair.left)) : try peer.open()
      var count = 0
      while let next = message, count < 200 {
        count += 1
        if isTheirTurn {
          let answer = try #require(try peer.answer(next), "seed \(seed)")
          theirs.formUnion(answer.needs)
          message = answer.reply
        } else {
          let answer = try reconciler.answer(try decode(next), pair.left)
          ours.formUnion(answer.needs)
          message = answer.reply.map(bytes)
        }
        isTheirTurn.toggle()
      }
      let left = Set(pair.left.all.map(\.id.prefix))
      let right = Set(pair.right.all.map(\.id.prefix))
      #expect(ours == right.subtracting(left), "seed \(seed)")
      #expect(theirs == left.subtracting(right), "seed \(seed)")
      #expect(count < 12, "seed \(seed)")
    }
  }

  // MARK: Vectors

  private struct Vectors: Codable {
    struct Exchange: Codable {
      let name: String
      let salt: String
      /// Heights and ids.
      let opener: [[String]]
      let other: [[String]]
      /// In turn, the opener's first. Other choices of parts are as good.
      let messages: [String]
      let openerLacks: [String]
      let otherLacks: [String]
    }
    struct Refused: Codable {
      let why: String
      let message: String
    }
    let exchanges: [Exchange]
    let refused: [Refused]
  }

  private func vectors() throws -> Vectors {
    var exchanges: [Vectors.Exchange] = []
    let cases: [(String, Pair)] = [
      ("both have the same three", .recent(3, left: 0, right: 0)),
      ("the opener has two more", .recent(5, left: 2, right: 0)),
      ("a list is short", .recent(10, left: 3, right: 4)),
      ("forty in common, each has more", .recent(40, left: 3, right: 30)),
      ("five hundred on one height", .random(500, heights: 1, differing: 0.02, seed: 4)),
      ("nothing in common", .random(60, heights: 20, differing: 1, seed: 5)),
    ]
    for (name, pair) in cases {
      let reconciler = Reconciler(hasher: suite, salt: Self.salt)
      var messages: [String] = []
      let run = try Run.of(pair) { messages.append(hexadecimal(bytes($0))) }
      _ = reconciler
      func shorts(_ ids: Set<ShortID>) -> [String] {
        ids.sorted().map { id in withUnsafeBytes(of: id.bigEndian) { hexadecimal($0) } }
      }
      exchanges.append(
        Vectors.Exchange(
          name: name, salt: hexadecimal(Self.salt),
          opener: pair.left.all.map { ["\($0.height)", $0.id.hex] },
          other: pair.right.all.map { ["\($0.height)", $0.id.hex] }, messages: messages,
          openerLacks: shorts(run.leftNeeds), otherLacks: shorts(run.rightNeeds)))
    }
    return Vectors(
      exchanges: exchanges,
      refused: [
        Vectors.Refused(why: "no array", message: "00"),
        Vectors.Refused(why: "ends early", message: "8183"),
        Vectors.Refused(why: "more bytes than the message", message: "8000"),
        Vectors.Refused(why: "a length beyond the end", message: "9b00ffffffffffffff"),
        Vectors.Refused(
          why: "a head that is not the shortest", message: "8183180040 00".filter { $0 != " " }),
        Vectors.Refused(why: "an end with an id", message: "8183004101 00".filter { $0 != " " }),
        Vectors.Refused(
          why: "a prefix that ends in zero", message: "818305420100 00".filter { $0 != " " }),
        Vectors.Refused(
          why: "bounds that do not ascend", message: "8283054000 83014000".filter { $0 != " " }),
        Vectors.Refused(
          why: "something behind the end", message: "8283004000 83004000".filter { $0 != " " }),
        Vectors.Refused(why: "the start as an end of a range", message: "8183014000"),
        Vectors.Refused(why: "an unknown kind", message: "8183004004"),
        Vectors.Refused(why: "a skip with content", message: "818400400000"),
        Vectors.Refused(
          why: "a fingerprint of seven bytes", message: "81850040010147" + "11111111111111"),
        Vectors.Refused(
          why: "more operations than can be",
          message: "8185004001" + "1b000001000000000148" + "1111111111111111"),
        Vectors.Refused(
          why: "short ids of nine bytes", message: "8184004002" + "49111111111111111111"),
      ])
  }

  /// `HEADWATER_WRITE_FIXTURES=1` in the environment writes them anew.
  @Test func theVectors() throws {
    if ProcessInfo.processInfo.environment["HEADWATER_WRITE_FIXTURES"] != nil {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      try (encoder.encode(try vectors()) + [10]).write(to: Self.vectors)
    }
    let stored = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: Self.vectors))
    let made = try vectors()
    #expect(stored.exchanges.map(\.messages) == made.exchanges.map(\.messages))
    #expect(stored.refused.map(\.message) == made.refused.map(\.message))
    let peer = try ReferencePeer()
    for exchange in stored.exchanges {
      func set(_ items: [[String]]) throws -> SortedOperations {
        SortedOperations(
          try items.map {
            OperationKey(
              height: try #require(Int64($0[0])), id: try #require(Digest(hex: $0[1])))
          })
      }
      let sets = [try set(exchange.opener), try set(exchange.other)]
      // Whoever is told what the vectors say learns what the vectors say, in both implementations.
      for (turn, lacks) in [exchange.openerLacks, exchange.otherLacks].enumerated() {
        let salt = try #require([UInt8](hex: exchange.salt))
        try peer.load(sets[turn], salt: salt)
        let reconciler = Reconciler(hasher: suite, salt: salt)
        var ours: Set<ShortID> = []
        var theirs: Set<ShortID> = []
        for (index, text) in exchange.messages.enumerated() where index % 2 != turn {
          let message = try #require([UInt8](hex: text))
          let answer = try reconciler.answer(try decode(message), sets[turn])
          ours.formUnion(answer.needs)
          theirs.formUnion(try #require(try peer.answer(message)).needs)
          if index + 1 < exchange.messages.count {
            #expect(answer.reply.map { hexadecimal(bytes($0)) } == exchange.messages[index + 1])
          } else {
            #expect(answer.reply == nil)
          }
        }
        let expected = Set(lacks.compactMap { UInt64($0, radix: 16) })
        #expect(ours == expected && theirs == expected, "\(exchange.name)")
      }
    }
    try peer.load(SortedOperations(), salt: Self.salt)
    for refused in stored.refused {
      let message = try #require([UInt8](hex: refused.message))
      #expect(throws: DecodingError.self, "\(refused.why)") { try decode(message) }
      #expect(try peer.answer(message) == nil, "\(refused.why)")
    }
  }

  // MARK: Messages

  private struct MessageVector: Codable, Equatable {
    let name: String
    let bytes: String
  }

  /// One of each kind.
  private var messages: [(String, SyncMessage)] {
    let (one, two) = (suite.hash([1]), suite.hash([2]))
    let heads = [one, two].sorted()
    return [
      (
        "hello of the database that is the hash of 01, suite 1, nonce 5, live, credit 2097152",
        .hello(.init(database: one, suite: 1, nonce: 5, isLive: true, credit: 2_097_152))
      ),
      (
        "frontier of round 3, whole: the hashes of 01 and of 02",
        .frontier(round: 3, heads: heads, isWhole: true)
      ),
      (
        "ranges of round 3: two operations before height 7 with fingerprint 9, nothing said of the rest of the heights below 300, the list 10, 11 from there on",
        .ranges(
          round: 3,
          RangeMessage([
            .init(upTo: Bound(height: 7), .fingerprint(count: 2, 9)),
            .init(upTo: Bound(height: 300), .skip), .init(upTo: .end, .list([10, 11])),
          ]))
      ),
      ("ahead in round 3 by 1000", .ahead(round: 3, count: 1_000)),
      ("want all of round 3", .wantAll(round: 3)),
      ("end of round 3", .end(round: 3)),
      ("want the short ids 1 and 2", .want([1, 2])),
      ("want the hash of 01", .wantIDs([one])),
      ("operations of the bytes 0102 and 03", .operations([[1, 2], [3]])),
      (
        "operations of the bytes 0102 and 03, and the bytes 04 as their witness",
        .witnessed([[1, 2], [3]], by: [[4]])
      ),
      ("the last part: 0102", .part(isLast: true, [1, 2])),
      ("absent: the short id 1", .absent([1])),
      ("credit of 262144", .credit(262_144)),
      ("ping", .ping),
      ("bye, all is well", .bye(0)),
      ("bye: another database", .bye(SyncError.Code.database.rawValue)),
    ]
  }

  @Test func theMessages() throws {
    let file = Self.vectors.deletingLastPathComponent().appendingPathComponent("messages.json")
    let made = messages.map { MessageVector(name: $0, bytes: hexadecimal($1.encode())) }
    if ProcessInfo.processInfo.environment["HEADWATER_WRITE_FIXTURES"] != nil {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes, .sortedKeys]
      try (encoder.encode(made) + [10]).write(to: file)
    }
    let stored = try JSONDecoder().decode([MessageVector].self, from: Data(contentsOf: file))
    #expect(stored == made)
    for (vector, (_, message)) in zip(stored, messages) {
      let bytes = try #require([UInt8](hex: vector.bytes))
      #expect(try SyncMessage.decode(bytes) == message, "\(vector.name)")
      // Nothing shorter or longer is the same message, or any.
      for count in 0..<bytes.count {
        #expect(throws: DecodingError.self, "\(vector.name)") {
          try SyncMessage.decode(Array(bytes[..<count]))
        }
      }
      #expect(throws: DecodingError.self) { try SyncMessage.decode(bytes + [0]) }
    }
    // Of a hello of another version only that is read.
    let later = try SyncMessage.decode([0x83, 0x00, 0x02, 0x61])
    guard case .hello(let hello) = later else {
      Issue.record("a later version's hello is not read")
      return
    }
    #expect(hello.version == 2)
  }
}
