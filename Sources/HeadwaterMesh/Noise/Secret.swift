import CSodium

/// Key material: in guarded memory that the system keeps out of the swap where it can, read-only once
/// filled, zeroed when the last user is gone, and never printed.
final class Secret: Sendable {
  let count: Int
  // Written during init only, while nobody else has a reference.
  nonisolated(unsafe) private let base: UnsafeMutableRawPointer

  /// `count` bytes, filled by `fill`, which sees undefined bytes. Nothing is kept if it throws.
  init(
    count: Int = 32, filledBy fill: (UnsafeMutablePointer<UInt8>) throws(NoiseError) -> Void
  ) throws(NoiseError) {
    Secret.initialiseLibrary()
    guard count > 0, let memory = sodium_malloc(count) else { throw NoiseError.outOfMemory }
    self.count = count
    base = memory
    // Should this throw, deinit runs: every property is set.
    try fill(memory.assumingMemoryBound(to: UInt8.self))
    sodium_mprotect_readonly(memory)
  }

  /// A copy of `bytes`, which are the caller's to erase.
  convenience init(copying bytes: UnsafeRawBufferPointer) throws(NoiseError) {
    try self.init(count: bytes.count) { memory throws(NoiseError) in
      UnsafeMutableRawBufferPointer(start: memory, count: bytes.count).copyMemory(from: bytes)
    }
  }

  /// A copy of `bytes`, which are erased.
  convenience init(erasing bytes: inout [UInt8]) throws(NoiseError) {
    defer { bytes.erase() }
    try self.init(count: bytes.count) { memory throws(NoiseError) in
      bytes.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: memory, count: $0.count).copyMemory(from: $0)
      }
    }
  }

  deinit { sodium_free(base) }

  /// The bytes as C functions take them. Valid as long as the secret.
  var octets: UnsafePointer<UInt8> { UnsafePointer(base.assumingMemoryBound(to: UInt8.self)) }

  /// Whether both are the same, in a time that does not depend on where they differ.
  func isEqual(to other: Secret) -> Bool {
    count == other.count && sodium_memcmp(base, other.base, count) == 0
  }

  private static let isReady = sodium_init() >= 0

  /// Makes libsodium usable. Safe to call from any thread, any number of times.
  static func initialiseLibrary() {
    precondition(isReady, "libsodium could not be initialised: no source of random numbers")
  }
}

extension Secret: CustomStringConvertible {
  /// The length; never the bytes.
  var description: String { "Secret(\(count) bytes)" }
}
