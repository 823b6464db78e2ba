/// Bytes in the form of PostgreSQL's protocol, written once and sent from where they lie.
package final class WireBuffer {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var count = 0
  private var capacity: Int

  init(capacity: Int = 4_096) {
    self.capacity = max(capacity, 8)
    base = .allocate(byteCount: self.capacity, alignment: 8)
  }

  deinit { base.deallocate() }

  /// Forgets what was written and keeps the room.
  func reset() { count = 0 }

  @inline(__always)
  func reserve(_ bytes: Int) {
    if count + bytes > capacity { grow(bytes) }
  }

  @inline(never)
  private func grow(_ bytes: Int) {
    let larger = max(capacity * 2, count + bytes)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
    moved.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = moved
    capacity = larger
  }

  @inline(__always)
  func append(_ value: some FixedWidthInteger) {
    let size = value.bitWidth / 8
    reserve(size)
    withUnsafeBytes(of: value.bigEndian) {
      (base + count).copyMemory(from: $0.baseAddress!, byteCount: size)
    }
    count += size
  }

  func append(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: start, byteCount: bytes.count)
    count += bytes.count
  }

  func append(_ text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  /// The length, which counts itself out, and the bytes.
  func appendCounted(_ bytes: UnsafeRawBufferPointer) {
    append(Int32(bytes.count))
    append(bytes)
  }

  /// Overwrites four bytes that were written before.
  func patch(_ value: Int32, at offset: Int) {
    withUnsafeBytes(of: value.bigEndian) {
      (base + offset).copyMemory(from: $0.baseAddress!, byteCount: 4)
    }
  }
}
