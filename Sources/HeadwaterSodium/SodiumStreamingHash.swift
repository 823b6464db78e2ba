import CSodium
import HeadwaterLog
import HeadwaterModel

/// BLAKE2b-256 of bytes that come in pieces. To be used by one thread at a time.
final class SodiumStreamingHash: StreamingHash {
  // The C type of the state is aligned to 64 bytes, for which reason Swift does not import it: the
  // memory is ours, and C sees a pointer.
  private let state: UnsafeMutableRawPointer

  private static var stateByteCount: Int { crypto_generichash_statebytes() }

  private static func allocateState() -> UnsafeMutableRawPointer {
    .allocate(byteCount: stateByteCount, alignment: 64)
  }

  init() {
    state = SodiumStreamingHash.allocateState()
    let status = crypto_generichash_init(OpaquePointer(state), nil, 0, Digest.byteCount)
    precondition(status == 0, "BLAKE2b refused its own parameters")
  }

  deinit { state.deallocate() }

  func update(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    crypto_generichash_update(OpaquePointer(state), bytes.octets, UInt64(bytes.count))
  }

  func digest() -> Digest {
    // Finishing destroys the state, and more may follow: finish a copy.
    let copy = SodiumStreamingHash.allocateState()
    defer { copy.deallocate() }
    copy.copyMemory(from: state, byteCount: SodiumStreamingHash.stateByteCount)
    return withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) { output in
      crypto_generichash_final(OpaquePointer(copy), output.octets, output.count)
      return Digest(exactly: UnsafeRawBufferPointer(output))
    }
  }
}
