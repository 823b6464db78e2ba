/// Writes the deterministic subset of CBOR that everything hashed or stored is made of.
///
/// Byte by byte in `Docs/Formats.md`: RFC 8949 section 4.2.1 (shortest heads, shortest floats that are
/// exact, definite lengths, map keys sorted by their encoded bytes). The buffer can be reused by `removeAll`.
public struct CanonicalWriter: Sendable {
  /// What was written so far.
  public private(set) var bytes: [UInt8] = []

  public init(reservingCapacity capacity: Int = 0) {
    if capacity > 0 { bytes.reserveCapacity(capacity) }
  }

  /// Forgets what was written and keeps the memory.
  public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  /// A head: three bits of major type, and an argument in its shortest form.
  @inline(__always)
  mutating func head(_ major: UInt8, _ argument: UInt64) {
    let type = major << 5
    if argument < 24 {
      bytes.append(type | UInt8(truncatingIfNeeded: argument))
    } else if argument <= 0xFF {
      bytes.append(type | 24)
      bytes.append(UInt8(truncatingIfNeeded: argument))
    } else if argument <= 0xFFFF {
      bytes.append(type | 25)
      bigEndian(UInt16(truncatingIfNeeded: argument))
    } else if argument <= 0xFFFF_FFFF {
      bytes.append(type | 26)
      bigEndian(UInt32(truncatingIfNeeded: argument))
    } else {
      bytes.append(type | 27)
      bigEndian(argument)
    }
  }

  @inline(__always)
  private mutating func bigEndian<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func null() { bytes.append(0xF6) }
  /// CBOR's undefined: in local files only, for what nobody has assigned; never in operations.
  public mutating func undefined() { bytes.append(0xF7) }
  public mutating func bool(_ value: Bool) { bytes.append(value ? 0xF5 : 0xF4) }
  public mutating func unsigned(_ value: UInt64) { head(0, value) }
  public mutating func arrayHeader(_ count: Int) { head(4, UInt64(count)) }
  public mutating func mapHeader(_ count: Int) { head(5, UInt64(count)) }
  public mutating func tag(_ tag: UInt64) { head(6, tag) }

  public mutating func int(_ value: Int64) {
    if value >= 0 { head(0, UInt64(value)) } else { head(1, UInt64(bitPattern: ~value)) }
  }

  public mutating func byteString(_ value: [UInt8]) {
    head(2, UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  public mutating func byteString(_ value: UnsafeRawBufferPointer) {
    head(2, UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  public mutating func digest(_ value: Digest) { value.withUnsafeBytes { byteString($0) } }

  public mutating func text(_ value: String) {
    let utf8 = value.utf8
    head(3, UInt64(utf8.count))
    bytes.append(contentsOf: utf8)
  }

  /// The shortest of binary16, binary32 and binary64 that is exact.
  public mutating func float(_ value: Double) {
    let single = Float(value)
    guard Double(single) == value else {
      bytes.append(0xFB)
      bigEndian(value.bitPattern)
      return
    }
    if let half = HalfFloat.bits(of: single) {
      bytes.append(0xF9)
      bigEndian(half)
    } else {
      bytes.append(0xFA)
      bigEndian(single.bitPattern)
    }
  }

  /// Bytes that are already canonical.
  public mutating func raw(_ encoded: [UInt8]) { bytes.append(contentsOf: encoded) }
  public mutating func raw(_ encoded: UnsafeRawBufferPointer) { bytes.append(contentsOf: encoded) }
  public mutating func raw(_ encoded: ArraySlice<UInt8>) { bytes.append(contentsOf: encoded) }
}

/// binary16 without `Float16`, which not every platform has.
enum HalfFloat {
  /// The bits of `value` as a binary16, if that is exact.
  static func bits(of value: Float) -> UInt16? {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let exponent = Int(bits >> 23 & 0xFF) - 127
    let fraction = bits & 0x7F_FFFF
    if exponent == 128 { return fraction == 0 ? sign | 0x7C00 : nil }
    if bits & 0x7FFF_FFFF == 0 { return sign }
    if exponent >= -14, exponent <= 15 {
      guard fraction & 0x1FFF == 0 else { return nil }
      return sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 13)
    }
    if exponent >= -24, exponent < -14 {
      let full = fraction | 0x80_0000
      let shift = UInt32(-exponent - 14 + 13)
      guard full & ((1 << shift) - 1) == 0 else { return nil }
      return sign | UInt16(full >> shift)
    }
    return nil
  }

  static func value(of bits: UInt16) -> Float {
    let negative = bits & 0x8000 != 0
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Float(bits & 0x3FF)
    let magnitude: Float
    switch exponent {
    case 0: magnitude = fraction / 16_777_216
    case 31: magnitude = fraction == 0 ? .infinity : .nan
    default:
      magnitude = Float(
        bitPattern: UInt32(exponent - 15 + 127) << 23 | UInt32(bits & 0x3FF) << 13)
    }
    return negative ? -magnitude : magnitude
  }
}
