import CZlib
import HeadwaterModel
import HeadwaterSync

/// Messages of operations, compressed: ids and signatures stay as they are, but keys, the database's id and the
/// authors' repeat in every operation, and text is text (decision 0044).
enum PackedMessage {
  private static let kind: UInt64 = 14
  /// Shorter messages are sent as they are.
  private static let leastBytes = 1_024

  /// Whether it carries operations, and is long enough.
  static func mayPack(_ message: [UInt8]) -> Bool {
    // An array of two: the kind of operations, and these.
    message.count >= leastBytes && message[0] == 0x82 && message[1] == 0x08
  }

  /// The message as it is sent: compressed if it carries operations and that makes it shorter.
  static func pack(_ message: [UInt8]) -> [UInt8] {
    guard mayPack(message) else { return message }
    var length = compressBound(uLong(message.count))
    let deflated = [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
      let status = compress2(
        buffer.baseAddress, &length, message, uLong(message.count), Z_BEST_SPEED)
      count = status == Z_OK ? Int(length) : 0
    }
    guard !deflated.isEmpty, deflated.count < message.count - message.count / 16 else {
      return message
    }
    var writer = CanonicalWriter(reservingCapacity: deflated.count + 16)
    writer.arrayHeader(3)
    writer.unsigned(kind)
    writer.unsigned(UInt64(message.count))
    writer.byteString(deflated)
    return writer.bytes
  }

  /// The message that was sent. What is not well packed comes back as it is, and is no message for a session.
  ///
  /// The length is checked before memory is taken for it, and only operations travel so.
  static func unpack(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.count > 2, bytes[0] == 0x83, bytes[1] == 0x0E else { return bytes }
    var reader = CanonicalReader(bytes)
    guard (try? reader.arrayHeader()) == 3, (try? reader.unsigned()) == kind,
      let claimed = try? reader.unsigned(), claimed <= UInt64(ChannelLimits.messageBytes),
      let range = try? reader.byteStringRange(), reader.isAtEnd
    else { return bytes }
    var length = uLong(claimed)
    let inflated = [UInt8](unsafeUninitializedCapacity: Int(claimed)) { buffer, count in
      let status = bytes.withUnsafeBufferPointer { source in
        uncompress(
          buffer.baseAddress, &length, source.baseAddress?.advanced(by: range.lowerBound),
          uLong(range.count))
      }
      count = status == Z_OK ? Int(length) : 0
    }
    guard inflated.count == Int(claimed), inflated.count > 1, inflated[0] == 0x82,
      inflated[1] == 0x08
    else { return bytes }
    return inflated
  }
}
