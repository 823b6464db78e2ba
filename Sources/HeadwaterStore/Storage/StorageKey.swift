import HeadwaterModel

/// The bytes under which a row is stored: two of the collection, then the key's ordered bytes. Hashed and compared as one run of memory.
struct StorageKey: Sendable, Hashable {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  init(_ collection: Int, _ key: Key) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(40)
    bytes.append(UInt8(truncatingIfNeeded: collection >> 8))
    bytes.append(UInt8(truncatingIfNeeded: collection))
    for value in key.values { KeyEncoding.append(value, to: &bytes) }
    self.bytes = bytes
  }

  /// The index of the collection in the schema.
  var collection: Int { Int(bytes[0]) << 8 | Int(bytes[1]) }

  /// The key, decoded.
  func key() throws(HeadwaterModel.DecodingError) -> Key {
    try KeyEncoding.decode(Array(bytes[2...]))
  }

  /// The bounds between which all rows of a collection lie.
  static func bounds(_ collection: Int) -> (start: StorageKey, end: StorageKey) {
    func prefix(_ index: Int) -> StorageKey {
      StorageKey([UInt8(truncatingIfNeeded: index >> 8), UInt8(truncatingIfNeeded: index)])
    }
    return (prefix(collection), prefix(collection + 1))
  }

  func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}
