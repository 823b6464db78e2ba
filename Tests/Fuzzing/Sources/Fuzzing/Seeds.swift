import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterStore
import HeadwaterSync

@testable import Headwater
@testable import HeadwaterMesh

extension Decoder {
  /// Something well-formed to begin with, where test vectors or files are not enough.
  var seeds: [[UInt8]] {
    switch self {
    case .operation: Decoder.operations.flatMap { [$0.encode(), $0.body] }
    case .packed:
      [PackedMessage.pack(SyncMessage.operations(Decoder.manyOperations).encode())]
    case .bundle: [Decoder.wholeBundle]
    case .session: Decoder.sessions
    case .frames: [[7] + Decoder.someFrames]
    case .exchange:
      [
        PeerExchange(
          listeningPort: 4_000,
          addresses: ["127.0.0.1:1", "[::1]:2"].compactMap { PeerAddress($0) }
        ).encoded
      ]
    case .handshake: [[UInt8](repeating: 9, count: 140)]
    case .message, .ranges, .schema, .json: []
    }
  }

  private static let operations: [SignedOperation] = {
    let signer = SigningKey.generate()
    let schema = "schema S\nallow everything\ncollection Item {\n  sku: Text @key\n  n: Int?\n}\n"
    func sign(_ operation: Operation) -> SignedOperation {
      let body = operation.encode()
      return SignedOperation(
        body: body, suite: suite.identifier, publicKey: signer.publicKey,
        signature: signer.sign(suite.hash(body)))
    }
    let author = suite.principal(of: signer.publicKey)
    let first = sign(
      Operation(
        kind: .genesis(
          nonce: [UInt8](repeating: 1, count: 16), schemaHash: suite.hash(Array(schema.utf8)),
          schemaText: schema),
        parents: [], author: author, previous: nil, time: 1, changes: []))
    let id = suite.hash(first.body)
    let changes: [(RowChange.Kind, [Value?])] = [
      (.create, [.text("a"), .int(5)]), (.update, [nil, .decimal(ExactDecimal("1.50")!)]),
      (.update, [nil, .record([.bool(true), .bytes([1, 2]), nil])]), (.delete, []),
    ]
    return [first]
      + changes.map { kind, values in
        sign(
          Operation(
            kind: .ordinary(database: id, schema: id), parents: [id], author: author, previous: id,
            time: 1_700_000_000_000,
            changes: [
              RowChange(
                kind: kind, collection: 0, key: kind == .create ? nil : Key([.text("a")]),
                assignments: values.enumerated().compactMap { slot, value in
                  value.map { Assignment(slot: slot, change: .set($0)) }
                })
            ]))
      }
  }()

  private static var manyOperations: [[UInt8]] {
    (0..<6).flatMap { _ in operations.map { $0.encode() } }
  }

  private static var wholeBundle: [UInt8] {
    var writer = BundleWriter(database: suite.hash(operations[0].body), suite: suite)
    writer.add(OperationGroup(operations, witnesses: [operations[0]]))
    writer.add(OperationGroup(operations))
    writer.finish()
    return [31] + writer.take()
  }

  /// Messages as the session of the harness understands them, in several orders.
  private static var sessions: [[UInt8]] {
    let replica = CheapReplica(author: 1, genesis: genesis)
    var random = Seeded(1)
    replica.writesLong = false
    for _ in 0..<20 { _ = replica.write(&random) }
    let heads = replica.frontier()
    let ids = replica.operations.all.map(\.id)
    let new = CheapReplica.encode(parents: heads, author: 2, number: 1, size: 9, isGood: true)
    let some: [SyncMessage] = [
      .frontier(round: 0, heads: [ids[3]], isWhole: true), .wantAll(round: 0),
      .want(ids.prefix(3).map(\.prefix)), .operations([new]), .witnessed([new], by: [new]), .ping,
      .credit(1_000),
      .frontier(round: 1, heads: heads, isWhole: true), .bye(0),
    ]
    let others: [SyncMessage] = [
      .frontier(round: 0, heads: [suite.hash([5])], isWhole: true),
      .ranges(
        round: 0,
        RangeMessage([
          .init(upTo: Bound(height: 9), .fingerprint(count: 3, 5)),
          .init(upTo: .end, .list([ids[15].prefix, 77])),
        ])),
      .ahead(round: 0, count: 2), .part(isLast: false, Array(new.prefix(20))),
      .part(isLast: true, Array(new.dropFirst(20))), .absent([77]), .end(round: 0),
      .wantIDs([ids[0]]),
    ]
    return [some, others, some.reversed(), others.reversed(), some + others].map { messages in
      messages.flatMap { message in
        let bytes = message.encode()
        return [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes + [0, 0]
      }
    }
  }

  /// Parts of a message, an aside and the end, without the encryption.
  private static var someFrames: [UInt8] {
    let frames: [(FrameKind, Int)] = [
      (.part, 9), (.last, 4), (.heartbeat, 0), (.aside, 5), (.last, 3), (.end, 0),
    ]
    return frames.flatMap { kind, count in
      [0, UInt8(count + 1), kind.rawValue] + [UInt8](repeating: 1, count: count)
    }
  }
}
