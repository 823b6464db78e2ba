/// Encrypts the frames of one direction, and changes the key when it has encrypted enough of them.
struct FrameSealer: ~Copyable {
  private var cipher: CipherState

  init(key: Secret, nonce: UInt64 = 0) { cipher = CipherState(key: key, nonce: nonce) }

  /// The bytes on the wire of a body of `count` bytes, its length included.
  static func byteCount(ofBody count: Int) -> Int {
    FrameLimits.headByteCount + FrameLimits.leastByteCount + count
  }

  /// Writes one frame to `output`, which must have exactly `byteCount(ofBody:)` bytes.
  mutating func seal(
    _ kind: FrameKind, _ body: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(NoiseError) {
    guard body.count <= FrameLimits.bodyByteCount,
      output.count == FrameSealer.byteCount(ofBody: body.count)
    else { throw NoiseError.badLength }
    try cipher.rekeyIfDue()
    let length = UInt16(FrameLimits.leastByteCount + body.count)
    output.storeBytes(of: length.bigEndian, as: UInt16.self)
    output[FrameLimits.headByteCount] = kind.rawValue
    let start = FrameLimits.headByteCount + 1
    UnsafeMutableRawBufferPointer(rebasing: output[start...]).copyMemory(from: body)
    let encrypted = UnsafeMutableRawBufferPointer(rebasing: output[FrameLimits.headByteCount...])
    try cipher.encrypt(in: encrypted, count: 1 + body.count)
  }
}

/// Decrypts the frames of one direction, which must come whole, once and in order.
struct FrameOpener: ~Copyable {
  private var cipher: CipherState
  private var plaintext = [UInt8](repeating: 0, count: FrameLimits.bodyByteCount + 1)

  init(key: Secret, nonce: UInt64 = 0) { cipher = CipherState(key: key, nonce: nonce) }

  /// Decrypts a frame, without its length, and calls `body` with its kind, which may be unknown, and its body.
  mutating func open<R>(
    _ frame: UnsafeRawBufferPointer,
    _ body: (UInt8, UnsafeRawBufferPointer) -> R
  ) throws(NoiseError) -> R {
    guard frame.count >= FrameLimits.leastByteCount else { throw NoiseError.badLength }
    try cipher.rekeyIfDue()
    let count = try plaintext.withMutableBytes { [frame] output throws(NoiseError) in
      try cipher.decrypt(frame, into: output)
    }
    return plaintext.withUnsafeBytes {
      body($0[0], UnsafeRawBufferPointer(rebasing: $0[1..<count]))
    }
  }
}

extension CipherState {
  /// Both sides count the frames of a direction, and so change its key at the same one.
  fileprivate mutating func rekeyIfDue() throws(NoiseError) {
    if nonce > 0, nonce % FrameLimits.framesPerKey == 0 { try rekey() }
  }
}
