import HeadwaterLog
import HeadwaterModel

/// The bytes of a bundle: operations of one database as a file or a stream (Docs/Formats.md, "Bundles").
///
/// A head; then each operation with its length before it, in groups that end with their witnesses; a length of zero; how
/// many operations there were; and the hash of all that came before, so that a bundle that was cut short or altered is
/// noticed. Version 1 had neither groups nor witnesses: there every operation is well signed itself.
enum BundleFormat {
  static let magic: [UInt8] = Array("hwbundle".utf8)
  static let version: UInt8 = 2
  /// The bit of a length that says that a witness follows; without a length it is the end of a group.
  static let witnessBit = 1 << 31
  /// The most operations, or witnesses, in a group, and the most bytes of both.
  static let groupCount = 65_536
  static let groupBytes = 64 << 20
  /// Magic, version, suite and the id of the database.
  static let headBytes = magic.count + 2 + Digest.byteCount
  /// A length of zero, the count and the hash.
  static let endBytes = 4 + 8 + Digest.byteCount

  /// The most bytes of an operation as it travels.
  static let operationBytes = Limits.operationBytes + (128 << 10)

  static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }
}

/// Why the bytes of a bundle cannot be used.
public struct BundleError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong with it, and what to do.
  public let message: String

  public var description: String { message }
}

/// Writes a bundle, piece by piece. Pure: where the bytes go is the caller's business.
public struct BundleWriter {
  private var hash: any StreamingHash
  private var count: UInt64 = 0

  /// Bytes that are to be written next.
  public private(set) var pending: [UInt8]

  public init(database: Digest, suite: any CryptoSuite) {
    hash = suite.makeStreamingHash()
    pending = []
    append(BundleFormat.magic + [BundleFormat.version, suite.identifier] + database.bytes)
  }

  private mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { hash.update($0) }
    pending += bytes
  }

  /// Adds operations, with what proves them. Parents should come before children, so that a reader need not keep them.
  public mutating func add(_ group: OperationGroup) {
    for operation in group.operations { add(operation, flag: 0) }
    for witness in group.witnesses { add(witness, flag: BundleFormat.witnessBit) }
    append(BundleFormat.bigEndian(UInt32(BundleFormat.witnessBit)))
    count += UInt64(group.operations.count)
  }

  private mutating func add(_ operation: SignedOperation, flag: Int) {
    let bytes = operation.encode()
    append(BundleFormat.bigEndian(UInt32(bytes.count | flag)))
    append(bytes)
  }

  /// Hands over the bytes so far.
  public mutating func take() -> [UInt8] {
    defer { pending.removeAll(keepingCapacity: true) }
    return pending
  }

  /// Ends the bundle; nothing may be added afterwards.
  public mutating func finish() {
    append(BundleFormat.bigEndian(UInt32(0)) + BundleFormat.bigEndian(count))
    pending += hash.digest().bytes
  }
}

/// Reads a bundle, piece by piece; it may come from anybody. Holds no more than one group of operations, the one that
/// follows, and what was appended last.
public struct BundleReader {
  private let suite: any CryptoSuite
  private var hash: any StreamingHash
  private var bytes: [UInt8] = []
  private var start = 0
  private var count: UInt64 = 0
  private var version = BundleFormat.version
  private var group = OperationGroup()
  private var groupBytes = 0
  /// The id of the database, once the head has been read.
  public private(set) var database: Digest?
  /// Whether the whole bundle has been read, and had its hash.
  public private(set) var isComplete = false

  public init(suite: any CryptoSuite) {
    self.suite = suite
    hash = suite.makeStreamingHash()
  }

  public mutating func append(_ more: [UInt8]) {
    if start > 0 {
      bytes.removeSubrange(..<start)
      start = 0
    }
    bytes += more
  }

  /// The next operations, which are to be verified together; nil where more bytes are needed, or none are to come
  /// (`isComplete`).
  public mutating func next() throws(BundleError) -> OperationGroup? {
    if database == nil {
      guard let head = take(BundleFormat.headBytes) else { return nil }
      try begin(head)
    }
    guard !isComplete else {
      guard start == bytes.count else { throw BundleError(message: "something follows its end") }
      return nil
    }
    while bytes.count - start >= 4 {
      let frame = Int(number(start, 4))
      guard frame != 0 else {
        if version == 1, let group = takeGroup() { return group }
        guard group.operations.isEmpty, group.witnesses.isEmpty else {
          throw BundleError(message: "it ends within a group of operations: it is damaged")
        }
        guard bytes.count - start >= BundleFormat.endBytes else { return nil }
        try end()
        guard start == bytes.count else { throw BundleError(message: "something follows its end") }
        return nil
      }
      let isWitness = frame & BundleFormat.witnessBit != 0
      let length = frame & ~BundleFormat.witnessBit
      guard version > 1 || !isWitness, length <= BundleFormat.operationBytes else {
        throw BundleError(
          message: "operation \(count + 1) would have \(frame) bytes: it is damaged")
      }
      if length == 0 {
        _ = take(4)
        guard let group = takeGroup() else {
          throw BundleError(message: "it has an empty group of operations: it is damaged")
        }
        return group
      }
      guard bytes.count - start - 4 >= length, let taken = take(4 + length) else { return nil }
      if !isWitness { count += 1 }
      let signed: SignedOperation
      do { signed = try SignedOperation.decode(Array(taken[4...])) } catch {
        throw BundleError(message: "operation \(count) cannot be read: the bundle is damaged")
      }
      groupBytes += length
      if isWitness { group.witnesses.append(signed) } else { group.operations.append(signed) }
      let longest = max(group.operations.count, group.witnesses.count)
      if version == 1 {
        if longest >= Snapshot.group.operations || groupBytes >= Snapshot.group.bytes {
          return takeGroup()
        }
      } else if longest > BundleFormat.groupCount || groupBytes > BundleFormat.groupBytes {
        throw BundleError(message: "it has a group of operations that is too long: it is damaged")
      }
    }
    return nil
  }

  private mutating func takeGroup() -> OperationGroup? {
    guard !group.operations.isEmpty else { return nil }
    defer {
      group = OperationGroup()
      groupBytes = 0
    }
    return group
  }

  /// Says that nothing more is to come.
  public func finish() throws(BundleError) {
    guard !isComplete else { return }
    throw BundleError(
      message: database == nil && bytes.isEmpty
        ? "it is empty" : "it ends too early: get the whole of it")
  }

  private mutating func begin(_ head: [UInt8]) throws(BundleError) {
    guard head.starts(with: BundleFormat.magic) else {
      throw BundleError(message: "it is no bundle of operations")
    }
    version = head[8]
    guard (1...BundleFormat.version).contains(version) else {
      throw BundleError(
        message: "it is a bundle of format \(version), and this program knows formats up to "
          + "\(BundleFormat.version): use the version of headwater that wrote it, or a newer one")
    }
    guard head[9] == suite.identifier else {
      throw BundleError(
        message: "its database uses cryptographic suite \(head[9]), which is not known here")
    }
    database = Digest(bytes: head[10...])
  }

  private mutating func end() throws(BundleError) {
    let counted = number(start + 4, 8)
    guard take(12) != nil, counted == count else {
      throw BundleError(
        message: "it has \(count) operations, and says that it has \(counted): it is damaged")
    }
    let digest = Digest(bytes: bytes[start..<start + Digest.byteCount])
    start += Digest.byteCount
    guard digest == hash.digest() else {
      throw BundleError(message: "it does not have its hash: it is damaged")
    }
    isComplete = true
  }

  private func number(_ offset: Int, _ count: Int) -> UInt64 {
    bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The next bytes, hashed; nil where there are not so many yet.
  private mutating func take(_ count: Int) -> [UInt8]? {
    guard bytes.count - start >= count else { return nil }
    let taken = Array(bytes[start..<start + count])
    start += count
    taken.withUnsafeBytes { hash.update($0) }
    return taken
  }
}
