import HeadwaterModel

// The canonical encoding of operations, byte by byte in Docs/Formats.md.

extension Operation {
  private static let formatVersion: UInt64 = 1
  private static let applyTag: UInt64 = 26_746

  /// The canonical bytes. The id is their hash.
  public func encode() -> [UInt8] {
    var writer = CanonicalWriter(reservingCapacity: 256 + changes.count * 64)
    encode(into: &writer)
    return writer.bytes
  }

  /// The part of the canonical bytes that the changes make up.
  public static func encode(_ changes: [RowChange]) -> [UInt8] {
    var writer = CanonicalWriter(reservingCapacity: 64 + changes.count * 128)
    encode(changes, into: &writer)
    return writer.bytes
  }

  private static func encode(_ changes: [RowChange], into writer: inout CanonicalWriter) {
    writer.arrayHeader(changes.count)
    for change in changes { encode(change, into: &writer) }
  }

  /// Appends the canonical bytes to `writer`.
  ///
  /// - Parameter encodedChanges: what `encode(_:)` gives for the changes, if that is at hand.
  public func encode(into writer: inout CanonicalWriter, encodedChanges: [UInt8]? = nil) {
    switch kind {
    case .genesis(let nonce, let schemaHash, let schemaText):
      writer.arrayHeader(8)
      writer.unsigned(Operation.formatVersion)
      writer.unsigned(0)
      writer.byteString(nonce)
      writer.digest(schemaHash)
      writer.text(schemaText)
    case .ordinary(let database, let schema):
      writer.arrayHeader(9)
      writer.unsigned(Operation.formatVersion)
      writer.unsigned(1)
      writer.digest(database)
      writer.digest(schema)
      writer.arrayHeader(parents.count)
      for parent in parents { writer.digest(parent) }
      if let previous { writer.digest(previous) } else { writer.null() }
    }
    writer.digest(author)
    writer.int(time)
    if let encodedChanges {
      writer.raw(encodedChanges)
    } else {
      Operation.encode(changes, into: &writer)
    }
  }

  private static func encode(_ change: RowChange, into writer: inout CanonicalWriter) {
    writer.arrayHeader(change.kind == .delete ? 3 : 4)
    writer.unsigned(UInt64(change.kind.rawValue))
    writer.unsigned(UInt64(change.collection))
    if let key = change.key { writer.key(key) } else { writer.null() }
    guard change.kind != .delete else { return }
    writer.mapHeader(change.assignments.count)
    for assignment in change.assignments {
      writer.unsigned(UInt64(assignment.slot))
      switch assignment.change {
      case .set(let value): writer.value(value)
      case .apply(let bytes):
        writer.tag(applyTag)
        writer.byteString(bytes)
      }
    }
  }

  /// The operation with exactly those bytes, well formed but not yet checked against a schema or a database.
  public static func decode(_ bytes: [UInt8]) throws(DecodingError) -> Operation {
    guard bytes.count <= Limits.operationBytes else {
      throw DecodingError("an operation of more than \(Limits.operationBytes) bytes", offset: 0)
    }
    var reader = CanonicalReader(bytes)
    let count = try reader.arrayHeader()
    guard try reader.unsigned() == formatVersion else {
      throw DecodingError("not an operation of a version that this program knows", offset: 1)
    }
    let kind: Kind
    var parents: [Digest] = []
    var previous: Digest?
    switch (try reader.unsigned(), count) {
    case (0, 8):
      let nonce = try reader.byteString()
      guard nonce.count == 16 else {
        throw DecodingError("a genesis without 16 random bytes", offset: reader.offset)
      }
      let hash = try reader.digest()
      let text = try reader.text()
      guard text.utf8.count <= Limits.schemaBytes else {
        throw DecodingError("a schema that is too long", offset: reader.offset)
      }
      kind = .genesis(nonce: nonce, schemaHash: hash, schemaText: text)
    case (1, 9):
      kind = .ordinary(database: try reader.digest(), schema: try reader.digest())
      let parentCount = try reader.arrayHeader()
      guard parentCount > 0 else {
        throw DecodingError("an operation without parents", offset: reader.offset)
      }
      guard parentCount <= Limits.parents else {
        throw DecodingError("more than \(Limits.parents) parents", offset: reader.offset)
      }
      for _ in 0..<parentCount {
        let parent = try reader.digest()
        if let last = parents.last, last >= parent {
          throw DecodingError("parents that are not sorted", offset: reader.offset)
        }
        parents.append(parent)
      }
      previous = reader.null() ? nil : try reader.digest()
    default: throw DecodingError("an unknown kind of operation", offset: reader.offset)
    }
    let author = try reader.digest()
    let time = try reader.int()
    let changeCount = try reader.arrayHeader()
    guard changeCount <= Limits.changes else {
      throw DecodingError("more than \(Limits.changes) changes", offset: reader.offset)
    }
    var changes: [RowChange] = []
    changes.reserveCapacity(changeCount)
    for _ in 0..<changeCount { changes.append(try decodeChange(&reader)) }
    try reader.finish()
    return Operation(
      kind: kind, parents: parents, author: author, previous: previous, time: time,
      changes: changes)
  }

  private static func decodeChange(_ reader: inout CanonicalReader) throws(DecodingError)
    -> RowChange
  {
    let start = reader.offset
    let count = try reader.arrayHeader()
    guard
      let kind = RowChange.Kind(
        rawValue: UInt8(truncatingIfNeeded: min(try reader.unsigned(), 255))),
      count == (kind == .delete ? 3 : 4)
    else { throw DecodingError("an unknown kind of change", offset: start) }
    let collection = try reader.unsigned()
    guard collection < 1 << 16 else { throw DecodingError("an unknown collection", offset: start) }
    let key = reader.null() ? nil : try reader.key()
    guard key != nil || kind == .create else {
      throw DecodingError("a change without a key", offset: start)
    }
    var assignments: [Assignment] = []
    if kind != .delete {
      let assignmentCount = try reader.mapHeader()
      assignments.reserveCapacity(assignmentCount)
      var last = -1
      for _ in 0..<assignmentCount {
        let slot = try reader.unsigned()
        guard slot < 1 << 16, Int(slot) > last else {
          throw DecodingError("slots out of order", offset: reader.offset)
        }
        last = Int(slot)
        assignments.append(Assignment(slot: last, change: try decodeFieldChange(&reader)))
      }
    }
    return RowChange(
      kind: kind, collection: Int(collection), key: key, assignments: assignments)
  }

  private static func decodeFieldChange(_ reader: inout CanonicalReader) throws(DecodingError)
    -> FieldChange
  {
    // The tag's head is three bytes: 0xD9 and the number.
    if try reader.peek() == 0xD9 {
      var ahead = reader
      if try ahead.tag() == applyTag {
        reader = ahead
        return .apply(try reader.byteString())
      }
    }
    return .set(try reader.value())
  }
}

extension SignedOperation {
  /// The bytes in which an operation travels: an array of body, suite, public key and signature.
  public func encode() -> [UInt8] {
    var writer = CanonicalWriter(reservingCapacity: body.count + 128)
    writer.arrayHeader(4)
    writer.byteString(body)
    writer.unsigned(UInt64(suite))
    writer.byteString(publicKey)
    writer.byteString(signature)
    return writer.bytes
  }

  /// The signed operation with exactly those bytes; nothing in it has been verified.
  public static func decode(_ bytes: [UInt8]) throws(DecodingError) -> SignedOperation {
    var reader = CanonicalReader(bytes)
    guard try reader.arrayHeader() == 4 else {
      throw DecodingError("not a signed operation", offset: 0)
    }
    let body = try reader.byteString()
    let suite = try reader.unsigned()
    guard suite <= 255 else { throw DecodingError("an unknown suite", offset: reader.offset) }
    let publicKey = try reader.byteString()
    let signature = try reader.byteString()
    guard publicKey.count <= 4_096, signature.count <= 65_536 else {
      throw DecodingError("a key or signature that is too long", offset: reader.offset)
    }
    try reader.finish()
    return SignedOperation(
      body: body, suite: UInt8(suite), publicKey: publicKey, signature: signature)
  }
}
