/// A 256-bit hash: the id of an operation, the hash of a schema, or a principal.
///
/// Stored inline (four words), compared byte by byte, written as 64 lower-case hexadecimal digits.
public struct Digest: Sendable, Hashable, Comparable {
  @usableFromInline var word0: UInt64
  @usableFromInline var word1: UInt64
  @usableFromInline var word2: UInt64
  @usableFromInline var word3: UInt64

  /// The number of bytes of a digest.
  public static let byteCount = 32

  /// All zero bits: the digest of nothing, where a chain of digests begins.
  public static let zero = Digest(words: (0, 0, 0, 0))

  @inlinable
  init(words: (UInt64, UInt64, UInt64, UInt64)) {
    (word0, word1, word2, word3) = words
  }

  /// A digest from exactly 32 bytes; nil for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Digest.byteCount else { return nil }
    let contiguous = bytes.withContiguousStorageIfAvailable { buffer in
      let raw = UnsafeRawBufferPointer(buffer)
      func word(_ index: Int) -> UInt64 {
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      return Digest(words: (word(0), word(1), word(2), word(3)))
    }
    if let contiguous {
      self = contiguous
      return
    }
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var index = 0
    for byte in bytes {
      switch index >> 3 {
      case 0: words.0 = words.0 << 8 | UInt64(byte)
      case 1: words.1 = words.1 << 8 | UInt64(byte)
      case 2: words.2 = words.2 << 8 | UInt64(byte)
      default: words.3 = words.3 << 8 | UInt64(byte)
      }
      index += 1
    }
    self.init(words: words)
  }

  /// A digest from 64 hexadecimal digits of either case; nil for anything else.
  public init?(hex: some StringProtocol) {
    guard let bytes = [UInt8](hex: hex) else { return nil }
    self.init(bytes: bytes)
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Digest.byteCount) { buffer, count in
      withUnsafeBytes { raw in
        _ = UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, from: raw)
      }
      count = Digest.byteCount
    }
  }

  /// Calls `body` with the 32 bytes, which are valid only during the call.
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    let words = (word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian)
    return try Swift.withUnsafeBytes(of: words, body)
  }

  /// The first eight bytes as an unsigned big-endian number.
  @inlinable public var prefix: UInt64 { word0 }

  /// 64 lower-case hexadecimal digits.
  public var hex: String { withUnsafeBytes { hexadecimal($0) } }

  /// Appends `hex` as ASCII.
  public func write(into out: inout [UInt8]) {
    withUnsafeBytes { for byte in $0 { appendHexadecimal(byte, to: &out) } }
  }

  @inlinable
  public static func < (a: Digest, b: Digest) -> Bool {
    if a.word0 != b.word0 { return a.word0 < b.word0 }
    if a.word1 != b.word1 { return a.word1 < b.word1 }
    if a.word2 != b.word2 { return a.word2 < b.word2 }
    return a.word3 < b.word3
  }
}

extension Digest: CustomStringConvertible {
  public var description: String { hex }
}

/// Lower-case hexadecimal digits of `bytes`.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  var out: [UInt8] = []
  out.reserveCapacity(2 * bytes.underestimatedCount)
  for byte in bytes { appendHexadecimal(byte, to: &out) }
  return String(decoding: out, as: UTF8.self)
}

/// Appends the two lower-case hexadecimal digits of `byte`.
@inline(__always)
func appendHexadecimal(_ byte: UInt8, to out: inout [UInt8]) {
  let high = byte >> 4
  let low = byte & 15
  out.append(high < 10 ? 0x30 + high : 0x57 + high)
  out.append(low < 10 ? 0x30 + low : 0x57 + low)
}

extension Array where Element == UInt8 {
  /// The bytes that an even number of hexadecimal digits of either case spell; nil for anything else.
  public init?(hex: some StringProtocol) {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in hex.utf8 {
      let nibble: UInt8
      switch character {
      case 0x30...0x39: nibble = character - 0x30
      case 0x61...0x66: nibble = character - 0x61 + 10
      case 0x41...0x46: nibble = character - 0x41 + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | nibble)
        high = nil
      } else {
        high = nibble
      }
    }
    guard high == nil else { return nil }
    self = bytes
  }
}

/// A hash function with 256 bits of output, chosen by whoever opens a store (BLAKE2b-256 by default).
public protocol Hasher256: Sendable {
  /// The hash of `bytes`.
  func hash(_ bytes: UnsafeRawBufferPointer) -> Digest
}

extension Hasher256 {
  /// The hash of `bytes`.
  public func hash(_ bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { hash($0) } }
}
