import CSodium

/// Bytes that must not leak: in guarded memory that is kept out of the swap where the system allows,
/// is read-only once filled, and is zeroed when the last user is gone.
final class SecretBytes: Sendable {
  let count: Int
  // Written during init only, while nobody else has a reference.
  nonisolated(unsafe) private let base: UnsafeMutableRawPointer

  /// `count` bytes, filled by `fill`; nothing is kept if it throws.
  init(count: Int, filledBy fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
    Sodium.initialise()
    guard let memory = sodium_malloc(count) else {
      preconditionFailure("out of memory for a secret of \(count) bytes")
    }
    self.count = count
    base = memory
    // Should this throw, deinit runs: every property is set.
    try fill(UnsafeMutableRawBufferPointer(start: memory, count: count))
    sodium_mprotect_readonly(memory)
  }

  /// A copy of `bytes`, which are the caller's to erase.
  convenience init(copying bytes: [UInt8]) {
    self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
  }

  deinit { sodium_free(base) }

  /// Calls `body` with the bytes, which are valid only during the call.
  func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }
}

extension Array where Element == UInt8 {
  /// Overwrites the bytes with zeros in a way that the optimiser leaves alone, and removes them.
  ///
  /// Reaches this array's storage only, not copies that were made of it.
  mutating func erase() {
    withUnsafeMutableBytes { if let base = $0.baseAddress { sodium_memzero(base, $0.count) } }
    removeAll()
  }
}
