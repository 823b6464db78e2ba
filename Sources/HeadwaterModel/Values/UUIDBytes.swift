/// A universally unique id: 16 bytes, of any version.
public struct UUIDBytes: Sendable, Hashable, Comparable {
  @usableFromInline let high: UInt64
  @usableFromInline let low: UInt64

  @inlinable init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A UUID from exactly 16 bytes; nil for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    var words: (UInt64, UInt64) = (0, 0)
    var index = 0
    for byte in bytes {
      if index < 8 {
        words.0 = words.0 << 8 | UInt64(byte)
      } else {
        words.1 = words.1 << 8 | UInt64(byte)
      }
      index += 1
    }
    (high, low) = words
  }

  /// Reads 32 hexadecimal digits, with hyphens after the 8th, 12th, 16th and 20th or with none.
  public init?(_ text: some StringProtocol) {
    var digits: [UInt8] = []
    let bytes = Array(text.utf8)
    guard bytes.count == 36 || bytes.count == 32 else { return nil }
    for (index, byte) in bytes.enumerated() {
      if bytes.count == 36, index == 8 || index == 13 || index == 18 || index == 23 {
        guard byte == UInt8(ascii: "-") else { return nil }
      } else {
        digits.append(byte)
      }
    }
    guard let decoded = [UInt8](hex: String(decoding: digits, as: UTF8.self)) else { return nil }
    self.init(bytes: decoded)
  }

  /// The 16 bytes.
  public var bytes: [UInt8] {
    withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { Array($0) }
  }

  @inlinable
  public static func < (a: UUIDBytes, b: UUIDBytes) -> Bool {
    a.high != b.high ? a.high < b.high : a.low < b.low
  }
}

extension UUIDBytes: CustomStringConvertible {
  /// 36 characters, lower case, with hyphens.
  public var description: String {
    var out: [UInt8] = []
    out.reserveCapacity(36)
    write(into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  /// Appends `description` as ASCII.
  public func write(into out: inout [UInt8]) {
    for index in 0..<16 {
      if index == 4 || index == 6 || index == 8 || index == 10 { out.append(UInt8(ascii: "-")) }
      let word = index < 8 ? high : low
      appendHexadecimal(
        UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index & 7))), to: &out)
    }
  }
}
