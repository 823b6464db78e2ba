import HeadwaterLog
import HeadwaterModel

/// What peers say to each other. Byte by byte in Docs/SyncProtocol.md.
public enum SyncMessage: Sendable, Hashable {
  /// The first message of each side.
  case hello(Hello)
  /// The operations without children that the sender has; begins a round.
  case frontier(round: UInt64, heads: [Digest], isWhole: Bool)
  /// A message of the reconciliation.
  case ranges(round: UInt64, RangeMessage)
  /// The sender knows all heads of the receiver, who lacks so many operations.
  case ahead(round: UInt64, count: UInt64)
  /// Send everything that `ahead` spoke of.
  case wantAll(round: UInt64)
  /// Everything that `ahead` spoke of has been sent.
  case end(round: UInt64)
  /// Send the operations with those short ids.
  case want([ShortID])
  /// Send the operations with those ids.
  case wantIDs([Digest])
  /// Operations, parents first.
  case operations([[UInt8]])
  /// Operations, parents first, and others that prove those of them that are badly signed (`Vouching`).
  case witnessed([[UInt8]], by: [[UInt8]])
  /// A piece of an operation that is too long for one message.
  case part(isLast: Bool, [UInt8])
  /// The sender lacks these, which it was asked for.
  case absent([ShortID])
  /// So many more bytes of operations may be sent.
  case credit(UInt64)
  /// A sign of life.
  case ping
  /// The last message: 0 when all is well, otherwise the code of a `SyncError`.
  case bye(UInt64)

  public struct Hello: Sendable, Hashable {
    public var version: UInt64
    public var database: Digest
    public var suite: UInt8
    /// Eight bytes, drawn for this session.
    public var nonce: UInt64
    /// Whether the session should go on when both sides have the same.
    public var isLive: Bool
    /// How many bytes of operations may be sent at first.
    public var credit: UInt64

    public init(
      version: UInt64 = SyncLimits.version, database: Digest, suite: UInt8, nonce: UInt64,
      isLive: Bool, credit: UInt64
    ) {
      self.version = version
      self.database = database
      self.suite = suite
      self.nonce = nonce
      self.isLive = isLive
      self.credit = credit
    }
  }

  // MARK: Bytes

  public func encode() -> [UInt8] {
    var writer = CanonicalWriter(reservingCapacity: 64)
    func begin(_ kind: UInt64, _ elements: Int) {
      writer.arrayHeader(elements + 1)
      writer.unsigned(kind)
    }
    func digests(_ digests: [Digest]) {
      writer.arrayHeader(digests.count)
      for digest in digests { writer.digest(digest) }
    }
    switch self {
    case .hello(let hello):
      begin(0, 6)
      writer.unsigned(hello.version)
      writer.digest(hello.database)
      writer.unsigned(UInt64(hello.suite))
      writer.byteString(ShortIDs.bytes([hello.nonce]))
      writer.bool(hello.isLive)
      writer.unsigned(hello.credit)
    case .frontier(let round, let heads, let isWhole):
      begin(1, 3)
      writer.unsigned(round)
      writer.bool(isWhole)
      digests(heads)
    case .ranges(let round, let message):
      begin(2, 2)
      writer.unsigned(round)
      message.encode(into: &writer)
    case .ahead(let round, let count):
      begin(3, 2)
      writer.unsigned(round)
      writer.unsigned(count)
    case .wantAll(let round):
      begin(4, 1)
      writer.unsigned(round)
    case .end(let round):
      begin(5, 1)
      writer.unsigned(round)
    case .want(let ids):
      begin(6, 1)
      writer.byteString(ShortIDs.bytes(ids))
    case .wantIDs(let ids):
      begin(7, 1)
      digests(ids)
    case .operations(let operations):
      begin(8, 1)
      writer.arrayHeader(operations.count)
      for operation in operations { writer.byteString(operation) }
    case .witnessed(let operations, let witnesses):
      begin(15, 2)
      for list in [operations, witnesses] {
        writer.arrayHeader(list.count)
        for operation in list { writer.byteString(operation) }
      }
    case .part(let isLast, let bytes):
      begin(9, 2)
      writer.bool(isLast)
      writer.byteString(bytes)
    case .absent(let ids):
      begin(10, 1)
      writer.byteString(ShortIDs.bytes(ids))
    case .credit(let bytes):
      begin(11, 1)
      writer.unsigned(bytes)
    case .ping: begin(12, 0)
    case .bye(let code):
      begin(13, 1)
      writer.unsigned(code)
    }
    return writer.bytes
  }

  /// Reads exactly one message. No count in it is believed before the bytes are there.
  public static func decode(_ bytes: [UInt8]) throws(DecodingError) -> SyncMessage {
    guard bytes.count <= ChannelLimits.messageBytes else {
      throw DecodingError("a message that is too long", offset: 0)
    }
    var reader = CanonicalReader(bytes)
    let elements = try reader.arrayHeader() - 1
    let message: SyncMessage
    switch (try reader.unsigned(), elements) {
    case (0, let count) where count >= 1:
      message = .hello(try hello(&reader, count))
      // What a later version adds to its hello is none of ours.
      if case .hello(let hello) = message, hello.version != SyncLimits.version { return message }
    case (1, 3):
      let round = try reader.unsigned()
      let isWhole = try reader.bool()
      let heads = try digests(&reader, atMost: SyncLimits.heads)
      for (a, b) in zip(heads, heads.dropFirst()) where a >= b {
        throw DecodingError("heads that are not sorted", offset: reader.offset)
      }
      message = .frontier(round: round, heads: heads, isWhole: isWhole)
    case (2, 2):
      message = .ranges(round: try reader.unsigned(), try RangeMessage.decode(&reader))
    case (3, 2): message = .ahead(round: try reader.unsigned(), count: try reader.unsigned())
    case (4, 1): message = .wantAll(round: try reader.unsigned())
    case (5, 1): message = .end(round: try reader.unsigned())
    case (6, 1): message = .want(try ShortIDs.read(&reader))
    case (7, 1): message = .wantIDs(try digests(&reader, atMost: SyncLimits.wanted))
    case (8, 1): message = .operations(try operations(&reader))
    case (9, 2): message = .part(isLast: try reader.bool(), try reader.byteString())
    case (10, 1): message = .absent(try ShortIDs.read(&reader))
    case (11, 1): message = .credit(try reader.unsigned())
    case (12, 0): message = .ping
    case (13, 1): message = .bye(try reader.unsigned())
    case (15, 2):
      message = .witnessed(try operations(&reader), by: try operations(&reader))
    default: throw DecodingError("an unknown kind of message", offset: 1)
    }
    try reader.finish()
    return message
  }

  private static func hello(_ reader: inout CanonicalReader, _ elements: Int)
    throws(DecodingError) -> Hello
  {
    let version = try reader.unsigned()
    guard version == SyncLimits.version else {
      return Hello(
        version: version, database: .zero, suite: 0, nonce: 0, isLive: false, credit: 0)
    }
    guard elements == 6 else { throw DecodingError("not a hello", offset: reader.offset) }
    let database = try reader.digest()
    let suite = try reader.unsigned()
    guard suite <= 255 else { throw DecodingError("an unknown suite", offset: reader.offset) }
    let nonce = try ShortIDs.read(&reader)
    guard nonce.count == 1 else { throw DecodingError("not a nonce", offset: reader.offset) }
    return Hello(
      database: database, suite: UInt8(suite), nonce: nonce[0], isLive: try reader.bool(),
      credit: try reader.unsigned())
  }

  private static func operations(_ reader: inout CanonicalReader) throws(DecodingError) -> [[UInt8]]
  {
    let count = try reader.arrayHeader()
    var operations: [[UInt8]] = []
    operations.reserveCapacity(min(count, 4_096))
    for _ in 0..<count { operations.append(try reader.byteString()) }
    return operations
  }

  private static func digests(_ reader: inout CanonicalReader, atMost limit: Int)
    throws(DecodingError) -> [Digest]
  {
    let count = try reader.arrayHeader()
    guard count <= limit else { throw DecodingError("more ids than may be", offset: reader.offset) }
    var digests: [Digest] = []
    digests.reserveCapacity(count)
    for _ in 0..<count { digests.append(try reader.digest()) }
    return digests
  }
}
