/// Memory for the texts of one run of a statement: they are written here once and bound in place.
///
/// What was appended stays where it is until `reset`. Confined like the statement that reads it.
final class BindArena {
  private var chunks: [UnsafeMutableRawBufferPointer]
  private var used = 0
  private static let chunkSize = 64 << 10

  init() {
    chunks = [.allocate(byteCount: BindArena.chunkSize, alignment: 16)]
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
  }

  /// Forgets everything; what was returned before is no longer valid.
  func reset() {
    while chunks.count > 1 { chunks.removeLast().deallocate() }
    used = 0
  }

  /// Room for `count` bytes, not initialised.
  func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if used + count > chunks[chunks.count - 1].count {
      // The first chunk stays first: it is the one that is kept.
      chunks.append(.allocate(byteCount: max(count, BindArena.chunkSize), alignment: 16))
      used = 0
    }
    let start = chunks[chunks.count - 1].baseAddress! + used
    used += count
    return UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  /// A copy of the text's UTF-8.
  func append(_ text: String) -> UnsafeRawBufferPointer {
    var text = text
    return text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  func append(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let room = reserve(bytes.count)
    room.copyMemory(from: bytes)
    return UnsafeRawBufferPointer(room)
  }
}
