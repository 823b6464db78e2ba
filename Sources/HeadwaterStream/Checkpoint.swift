import HeadwaterModel

/// How far a mirror got, stored in the sink in one transaction with what it applied.
///
/// It is also the *fence*: a batch applies only to the checkpoint that it continues.
public struct Checkpoint: Sendable, Hashable {
  /// Where a mirror stands.
  public enum Phase: Sendable, Hashable {
    /// Generation `generation` is being filled; readers do not see it yet.
    case snapshot(generation: Int64, progress: SnapshotProgress)
    /// Generation `generation` is published and follows the events.
    case tail(generation: Int64)
  }

  /// How much of a snapshot has been delivered.
  public enum SnapshotProgress: Sendable, Hashable {
    /// Rows up to this one, in the order (collection, key); nil before the first.
    case rows(upTo: RowPosition?)
    /// All rows. What changed while they were read is being caught up, up to that position at least.
    case catchingUp(until: Int64)
  }

  /// The database, by the id of its genesis operation.
  public let database: Digest
  /// The replica whose positions these are: one store file.
  public let replica: UUIDBytes
  /// The name of the mirror.
  public let mirror: String
  public let phase: Phase
  /// The position of the last event contained; 0 before the first.
  public let position: Int64
  /// The digest of the chain of events up to `position`.
  public let digest: Digest
  /// The frontier of the store at `position`, sorted.
  public let frontier: [Digest]
  /// The hash of the schema that the rows have.
  public let schema: Digest
  /// While a snapshot is filled and caught up: the newest moment of the source that any of its rows shows.
  ///
  /// Rows of a snapshot may be newer than `position`. A source that was restored from a backup may know
  /// `position` and not this point: then the generation holds rows of a stream that is no more.
  public let seen: StreamPoint?

  public init(
    database: Digest, replica: UUIDBytes, mirror: String, phase: Phase, position: Int64,
    digest: Digest, frontier: [Digest], schema: Digest, seen: StreamPoint? = nil
  ) {
    self.database = database
    self.replica = replica
    self.mirror = mirror
    self.phase = phase
    self.position = position
    self.digest = digest
    self.frontier = frontier
    self.schema = schema
    self.seen = seen
  }

  /// The generation being filled or followed.
  public var generation: Int64 {
    switch phase {
    case .snapshot(let generation, _), .tail(let generation): generation
    }
  }

  public var isPublished: Bool {
    if case .tail = phase { return true }
    return false
  }
}

/// A point of a source's stream of events.
public struct StreamPoint: Sendable, Hashable {
  /// The position of the last event; 0 before the first.
  public let position: Int64
  /// The digest of the chain of events up to `position`.
  public let digest: Digest

  public init(position: Int64, digest: Digest) {
    self.position = position
    self.digest = digest
  }
}

/// A place in the order of all rows of a store: by the collection's index in the schema, then by key.
public struct RowPosition: Sendable, Hashable, Comparable {
  public let collection: Int
  public let key: Key

  public init(collection: Int, key: Key) {
    self.collection = collection
    self.key = key
  }

  public static func < (a: RowPosition, b: RowPosition) -> Bool {
    a.collection != b.collection ? a.collection < b.collection : a.key < b.key
  }
}

// MARK: - Bytes

extension Checkpoint {
  private static let formatVersion: UInt64 = 1

  /// The canonical bytes, as sinks store them (Docs/Formats.md).
  public var canonicalBytes: [UInt8] {
    var writer = CanonicalWriter(reservingCapacity: 256)
    writer.arrayHeader(10)
    writer.unsigned(Checkpoint.formatVersion)
    writer.digest(database)
    writer.byteString(replica.bytes)
    writer.text(mirror)
    switch phase {
    case .snapshot(let generation, .rows(let position)):
      writer.arrayHeader(3)
      writer.unsigned(0)
      writer.int(generation)
      if let position {
        writer.arrayHeader(2)
        writer.unsigned(UInt64(position.collection))
        writer.key(position.key)
      } else {
        writer.null()
      }
    case .snapshot(let generation, .catchingUp(let until)):
      writer.arrayHeader(3)
      writer.unsigned(1)
      writer.int(generation)
      writer.int(until)
    case .tail(let generation):
      writer.arrayHeader(2)
      writer.unsigned(2)
      writer.int(generation)
    }
    writer.int(position)
    writer.digest(digest)
    writer.arrayHeader(frontier.count)
    for id in frontier { writer.digest(id) }
    writer.digest(schema)
    if let seen {
      writer.arrayHeader(2)
      writer.int(seen.position)
      writer.digest(seen.digest)
    } else {
      writer.null()
    }
    return writer.bytes
  }

  /// The checkpoint with exactly those bytes.
  public init(canonicalBytes: [UInt8]) throws(DecodingError) {
    var reader = CanonicalReader(canonicalBytes)
    guard try reader.arrayHeader() == 10, try reader.unsigned() == Checkpoint.formatVersion else {
      throw DecodingError("not a checkpoint of this version", offset: 0)
    }
    database = try reader.digest()
    guard let replica = UUIDBytes(bytes: try reader.byteString()) else {
      throw DecodingError("a replica id that is not 16 bytes", offset: reader.offset)
    }
    self.replica = replica
    mirror = try reader.text()
    let parts = try reader.arrayHeader()
    switch (try reader.unsigned(), parts) {
    case (0, 3):
      let generation = try reader.int()
      var position: RowPosition?
      if !reader.null() {
        guard try reader.arrayHeader() == 2 else {
          throw DecodingError("not a row position", offset: reader.offset)
        }
        let collection = try reader.unsigned()
        guard collection < 1 << 20 else {
          throw DecodingError("not a row position", offset: reader.offset)
        }
        position = RowPosition(collection: Int(collection), key: try reader.key())
      }
      phase = .snapshot(generation: generation, progress: .rows(upTo: position))
    case (1, 3):
      phase = .snapshot(
        generation: try reader.int(), progress: .catchingUp(until: try reader.int()))
    case (2, 2): phase = .tail(generation: try reader.int())
    default: throw DecodingError("an unknown phase", offset: reader.offset)
    }
    position = try reader.int()
    digest = try reader.digest()
    var frontier: [Digest] = []
    for _ in 0..<(try reader.arrayHeader()) { frontier.append(try reader.digest()) }
    self.frontier = frontier
    schema = try reader.digest()
    if reader.null() {
      seen = nil
    } else {
      guard try reader.arrayHeader() == 2 else {
        throw DecodingError("not a point of a stream", offset: reader.offset)
      }
      seen = StreamPoint(position: try reader.int(), digest: try reader.digest())
    }
    try reader.finish()
  }
}
