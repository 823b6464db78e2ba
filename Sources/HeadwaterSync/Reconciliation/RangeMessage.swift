import HeadwaterLog
import HeadwaterModel

/// One message of a reconciliation: what its sender says of ranges of canonical order, from the start on.
///
/// What no range covers is settled. Byte by byte in Docs/SyncProtocol.md.
public struct RangeMessage: Sendable, Hashable {
  /// What is said of one range.
  public enum Content: Sendable, Hashable {
    /// Nothing: it is settled.
    case skip
    /// How many operations the sender has in it, and their fingerprint. Asks for an answer.
    case fingerprint(count: Int, UInt64)
    /// All operations that the sender has in it. Asks for an answer.
    case list([ShortID])
    /// Operations in it that the receiver lacks. With these the range is settled.
    case offer([ShortID])
  }

  /// A range ends where the next begins; the first begins at the start.
  public struct Range: Sendable, Hashable {
    /// The end of the range, not included.
    public let upper: Bound
    public let content: Content

    public init(upTo upper: Bound, _ content: Content) {
      self.upper = upper
      self.content = content
    }
  }

  public let ranges: [Range]

  public init(_ ranges: [Range]) { self.ranges = ranges }

  /// Whether it asks for an answer. One that does not ends the reconciliation.
  public var isQuestion: Bool {
    ranges.contains {
      switch $0.content {
      case .skip, .offer: false
      case .fingerprint, .list: true
      }
    }
  }

  /// Whether it names any operation.
  var namesOperations: Bool {
    ranges.contains {
      switch $0.content {
      case .skip, .fingerprint: false
      case .list(let ids), .offer(let ids): !ids.isEmpty
      }
    }
  }

  // MARK: Bytes

  public func encode(into writer: inout CanonicalWriter) {
    writer.arrayHeader(ranges.count)
    var height: Int64 = 0
    for range in ranges {
      switch range.content {
      case .skip: writer.arrayHeader(3)
      case .fingerprint: writer.arrayHeader(5)
      case .list, .offer: writer.arrayHeader(4)
      }
      if range.upper == .end {
        writer.unsigned(0)
      } else {
        writer.unsigned(UInt64(range.upper.height - height) + 1)
        height = range.upper.height
      }
      writer.byteString(range.upper.prefix)
      switch range.content {
      case .skip: writer.unsigned(0)
      case .fingerprint(let count, let fingerprint):
        writer.unsigned(1)
        writer.unsigned(UInt64(count))
        writer.byteString(ShortIDs.bytes([fingerprint]))
      case .list(let ids):
        writer.unsigned(2)
        writer.byteString(ShortIDs.bytes(ids))
      case .offer(let ids):
        writer.unsigned(3)
        writer.byteString(ShortIDs.bytes(ids))
      }
    }
  }

  /// Reads what `encode` writes. Bounds ascend, numbers are in range, and nothing is taken on trust beyond that.
  public static func decode(_ reader: inout CanonicalReader) throws(DecodingError) -> RangeMessage {
    let count = try reader.arrayHeader()
    guard count <= SyncLimits.rangesPerMessage else {
      throw DecodingError(
        "more than \(SyncLimits.rangesPerMessage) ranges", offset: reader.offset)
    }
    var ranges: [Range] = []
    ranges.reserveCapacity(count)
    var last = Bound.start
    for _ in 0..<count {
      let start = reader.offset
      let elements = try reader.arrayHeader()
      let upper = try bound(&reader, after: last)
      guard last < upper else { throw DecodingError("bounds that do not ascend", offset: start) }
      last = upper
      let content: Content
      switch (try reader.unsigned(), elements) {
      case (0, 3): content = .skip
      case (1, 5):
        let count = try reader.unsigned()
        guard count <= UInt64(SyncLimits.operations) else {
          throw DecodingError("more operations than can be", offset: reader.offset)
        }
        let fingerprint = try ShortIDs.read(&reader)
        guard fingerprint.count == 1 else {
          throw DecodingError("not a fingerprint", offset: reader.offset)
        }
        content = .fingerprint(count: Int(count), fingerprint[0])
      case (2, 4): content = .list(try ShortIDs.read(&reader))
      case (3, 4): content = .offer(try ShortIDs.read(&reader))
      default: throw DecodingError("an unknown kind of range", offset: reader.offset)
      }
      ranges.append(Range(upTo: upper, content))
    }
    return RangeMessage(ranges)
  }

  private static func bound(_ reader: inout CanonicalReader, after last: Bound)
    throws(DecodingError) -> Bound
  {
    let start = reader.offset
    let distance = try reader.unsigned()
    let prefix = try reader.byteString()
    guard distance > 0 else {
      guard prefix.isEmpty else { throw DecodingError("an end with an id", offset: start) }
      return .end
    }
    guard last.height < .max, distance - 1 < UInt64(Int64.max - last.height),
      prefix.count <= Digest.byteCount, prefix.last != 0,
      let id = Digest(
        bytes: prefix + Array(repeating: 0, count: Digest.byteCount - prefix.count))
    else { throw DecodingError("a bound that is none", offset: start) }
    return Bound(height: last.height + Int64(distance - 1), id: id)
  }
}

/// Short ids as bytes: eight each, the most significant first.
enum ShortIDs {
  static func bytes(_ ids: [ShortID]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: ids.count * 8) { buffer, count in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for (index, id) in ids.enumerated() {
        raw.storeBytes(of: id.bigEndian, toByteOffset: index * 8, as: UInt64.self)
      }
      count = ids.count * 8
    }
  }

  static func read(_ reader: inout CanonicalReader) throws(DecodingError) -> [ShortID] {
    let start = reader.offset
    let bytes = try reader.byteString()
    guard bytes.count % 8 == 0 else {
      throw DecodingError("short ids that are not of eight bytes", offset: start)
    }
    return bytes.withUnsafeBytes { raw in
      (0..<bytes.count / 8).map {
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
      }
    }
  }
}
