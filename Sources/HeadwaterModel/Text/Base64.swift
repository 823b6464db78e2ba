/// Base64 of RFC 4648 section 4: one text for each sequence of bytes.
public enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// 64 and more for what is not in the alphabet.
  private static let digits: [UInt8] = {
    var digits = [UInt8](repeating: 0xFF, count: 256)
    for (digit, character) in alphabet.enumerated() { digits[Int(character)] = UInt8(digit) }
    return digits
  }()

  /// Appends the text of `bytes`, padded.
  public static func write(_ bytes: [UInt8], into out: inout [UInt8]) {
    out.reserveCapacity(out.count + (bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let second = left > 1 ? bytes[index + 1] : 0
      let third = left > 2 ? bytes[index + 2] : 0
      let group = UInt32(bytes[index]) << 16 | UInt32(second) << 8 | UInt32(third)
      out.append(alphabet[Int(group >> 18)])
      out.append(alphabet[Int(group >> 12 & 63)])
      out.append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
      out.append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
      index += 3
    }
  }

  /// The bytes that `text` stands for; nil unless it is exactly what `write` makes of them.
  public static func bytes(_ text: some Collection<UInt8>) -> [UInt8]? {
    let count = text.count
    guard count % 4 == 0 else { return nil }
    var out: [UInt8] = []
    out.reserveCapacity(count / 4 * 3)
    var group: UInt32 = 0
    var position = 0
    var padding = 0
    for character in text {
      if character == UInt8(ascii: "=") {
        padding += 1
        guard padding <= 2, position >= count - 2 else { return nil }
        group <<= 6
      } else {
        let digit = digits[Int(character)]
        guard digit < 64, padding == 0 else { return nil }
        group = group << 6 | UInt32(digit)
      }
      position += 1
      guard position % 4 == 0 else { continue }
      // Bits that stand for nothing are zero.
      guard padding == 0 || group & (1 << UInt32(8 * padding) - 1) == 0 else { return nil }
      out.append(UInt8(truncatingIfNeeded: group >> 16))
      if padding < 2 { out.append(UInt8(truncatingIfNeeded: group >> 8)) }
      if padding < 1 { out.append(UInt8(truncatingIfNeeded: group)) }
      group = 0
    }
    return out
  }
}
