import HeadwaterLog
import HeadwaterModel

/// The bytes of a bundle: operations of one database as a file or a stream (Docs/Formats.md, "Bundles").
///
/// A head; then each operation with its length before it; a length of zero; how many there were; and the hash
/// of all that came before, so that a bundle that was cut short or altered is noticed.
enum BundleFormat {
  static let magic: [UInt8] = Array("hwbundle".utf8)
  static let version: UInt8 = 1
  /// Magic, version, suite and the id of the database.
  static let headBytes = magic.count + 2 + Digest.byteCount
  /// A length of zero, the count and the hash.
  static let endBytes = 4 + 8 + Digest.byteCount

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
  private var writer = CanonicalWriter()

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

  /// Adds an operation. Its parents should come before it, so that a reader need not keep it.
  public mutating func add(_ operation: SignedOperation) {
    writer.removeAll()
    operation.encode(into: &writer)
    append(BundleFormat.bigEndian(UInt32(writer.bytes.count)))
    append(writer.bytes)
    count += 1
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

/// Reads a bundle, piece by piece; it may come from anybody. Holds no more than one operation and what was
/// appended last.
public struct BundleReader {
  private let suite: any CryptoSuite
  private var hash: any StreamingHash
  private var bytes: [UInt8] = []
  private var start = 0
  private var count: UInt64 = 0
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

  /// The next operation; nil where more bytes are needed, or none are to come (`isComplete`).
  public mutating func next() throws(BundleError) -> SignedOperation? {
    if database == nil {
      guard let head = take(BundleFormat.headBytes) else { return nil }
      try begin(head)
    }
    guard !isComplete else {
      guard start == bytes.count else { throw BundleError(message: "something follows its end") }
      return nil
    }
    guard bytes.count - start >= 4 else { return nil }
    let length = Int(number(start, 4))
    guard length > 0 else {
      guard bytes.count - start >= BundleFormat.endBytes else { return nil }
      try end()
      guard start == bytes.count else { throw BundleError(message: "something follows its end") }
      return nil
    }
    guard length <= SignedOperation.maximumBytes else {
      throw BundleError(
        message: "operation \(count + 1) would have \(length) bytes: it is damaged")
    }
    guard bytes.count - start - 4 >= length, let frame = take(4 + length) else { return nil }
    count += 1
    var reader = CanonicalReader(Array(frame[4...]))
    do {
      let operation = try SignedOperation(from: &reader)
      try reader.finish()
      return operation
    } catch {
      throw BundleError(message: "operation \(count) cannot be read: the bundle is damaged")
    }
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
    guard head[8] == BundleFormat.version else {
      throw BundleError(
        message: "it is a bundle of format \(head[8]), and this program knows format "
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
