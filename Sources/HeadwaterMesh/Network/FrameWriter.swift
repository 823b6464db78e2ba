import NIOCore

/// Encrypts frames into buffers.
struct FrameWriter: ~Copyable {
  private var sealer: FrameSealer
  // For short frames, which are copied from here; long ones get a buffer each.
  private var scratch = ByteBufferAllocator().buffer(capacity: 1 << 12)

  init(key: Secret) { sealer = FrameSealer(key: key) }

  /// The bytes of the next frame, its length included. Short ones are to be let go before the next is made.
  mutating func frame(
    _ kind: FrameKind, _ body: ArraySlice<UInt8>
  ) throws(NoiseError) -> ByteBuffer {
    let count = FrameSealer.byteCount(ofBody: body.count)
    if count <= 1 << 12 {
      scratch.clear()
      try FrameWriter.fill(&scratch, &sealer, count, kind, body)
      return scratch
    }
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    try FrameWriter.fill(&buffer, &sealer, count, kind, body)
    return buffer
  }

  private static func fill(
    _ buffer: inout ByteBuffer, _ sealer: inout FrameSealer, _ count: Int, _ kind: FrameKind,
    _ body: ArraySlice<UInt8>
  ) throws(NoiseError) {
    var result: Result<Void, NoiseError> = .success(())
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
      let output = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      body.withUnsafeBytes { body in
        do throws(NoiseError) { try sealer.seal(kind, body, into: output) } catch {
          result = .failure(error)
        }
      }
      return count
    }
    try result.get()
  }
}
