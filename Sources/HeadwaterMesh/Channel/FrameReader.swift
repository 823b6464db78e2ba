import HeadwaterSync

import struct NIOCore.ByteBuffer

/// Cuts a stream of bytes into frames, each of which a length of two bytes precedes.
struct FrameReader: Sendable {
  private var buffer = ByteBuffer()

  /// What follows what was given so far.
  mutating func append(_ bytes: ByteBuffer) {
    if buffer.readableBytes == 0 {
      buffer = bytes
    } else {
      // Or what has been read would stay in front for ever.
      buffer.discardReadBytes()
      buffer.writeImmutableBuffer(bytes)
    }
  }

  /// How many bytes were given and not taken.
  var byteCount: Int { buffer.readableBytes }

  /// Takes the next frame and calls `body` with it, without its length; nil if it is not there whole.
  ///
  /// A length outside `lengths` is refused as soon as the two bytes that state it are there.
  mutating func next<R>(
    lengths: ClosedRange<Int>, _ body: (UnsafeRawBufferPointer) throws(ChannelError) -> R
  ) throws(ChannelError) -> R? {
    guard let stated = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) else {
      return nil
    }
    let length = Int(stated)
    guard lengths.contains(length) else { throw ChannelError(NoiseError.badLength) }
    let end = FrameLimits.headByteCount + length
    guard buffer.readableBytes >= end else { return nil }
    let result = buffer.withUnsafeReadableBytes { bytes in
      let frame = UnsafeRawBufferPointer(rebasing: bytes[FrameLimits.headByteCount..<end])
      return Result { () throws(ChannelError) in try body(frame) }
    }
    buffer.moveReaderIndex(forwardBy: end)
    if buffer.readableBytes == 0 { buffer = ByteBuffer() }
    return try result.get()
  }
}
