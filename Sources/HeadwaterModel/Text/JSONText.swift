/// The smallest parts of JSON text, for those who write it piece by piece.
public enum JSONText {
  public static func write(_ value: Bool, into out: inout [UInt8]) {
    out.append(contentsOf: value ? "true".utf8 : "false".utf8)
  }

  public static func write(_ value: Int64, into out: inout [UInt8]) {
    if value < 0 { out.append(UInt8(ascii: "-")) }
    var rest = value.magnitude
    guard rest >= 10 else { return out.append(0x30 + UInt8(rest)) }
    let start = out.count
    while rest > 0 {
      out.append(0x30 + UInt8(rest % 10))
      rest /= 10
    }
    out[start...].reverse()
  }

  /// The shortest digits that read back as `value`, which is finite; `null` for any other.
  public static func write(_ value: Double, into out: inout [UInt8]) {
    guard value.isFinite else { return out.append(contentsOf: "null".utf8) }
    out.append(contentsOf: value.description.utf8)
  }

  /// The string in quotes, with only those escapes that RFC 8259 demands.
  public static func write(_ value: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    var value = value
    value.withUTF8 { bytes in
      var start = 0
      for index in bytes.indices {
        let byte = bytes[index]
        guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
        out.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<index]))
        start = index + 1
        escape(byte, into: &out)
      }
      out.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...]))
    }
    out.append(UInt8(ascii: "\""))
  }

  private static func escape(_ byte: UInt8, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x08: out.append(UInt8(ascii: "b"))
    case 0x09: out.append(UInt8(ascii: "t"))
    case 0x0A: out.append(UInt8(ascii: "n"))
    case 0x0C: out.append(UInt8(ascii: "f"))
    case 0x0D: out.append(UInt8(ascii: "r"))
    case 0x22, 0x5C: out.append(byte)
    default:
      out.append(contentsOf: "u00".utf8)
      out.append(byte < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
      out.append(Array("0123456789abcdef".utf8)[Int(byte & 15)])
    }
  }
}
