import CSodium

/// BLAKE2b with 64 bytes of output, HMAC and HKDF over it: section 4.3 and 5.1 of the Noise specification.
enum NoiseHash {
  /// HASHLEN.
  static let byteCount = 64
  /// BLOCKLEN.
  static let blockByteCount = 128

  /// HASH of the pieces put together.
  static func hash(_ first: [UInt8], _ second: [UInt8] = []) -> [UInt8] {
    let input = first + second
    return [UInt8](unsafeUninitializedCapacity: byteCount) { output, count in
      count = byteCount
      guard let base = output.baseAddress else { return }
      digest(input, into: base)
    }
  }

  private static func digest(_ input: [UInt8], into output: UnsafeMutablePointer<UInt8>) {
    let status = crypto_generichash(output, byteCount, input, UInt64(input.count), nil, 0)
    precondition(status == 0, "BLAKE2b refused its own parameters")
  }

  /// HMAC-HASH (RFC 2104) of `input` under a key of at most a block, into 64 bytes at `output`.
  static func hmac(
    key: UnsafeBufferPointer<UInt8>, _ input: [UInt8], into output: UnsafeMutablePointer<UInt8>
  ) {
    precondition(key.count <= blockByteCount, "keys of HMAC are hashes or keys of ciphers here")
    // With all the room that they need from the start: growing would leave a copy behind.
    var inner: [UInt8] = []
    inner.reserveCapacity(blockByteCount + input.count)
    var outer: [UInt8] = []
    outer.reserveCapacity(blockByteCount + byteCount)
    for index in 0..<blockByteCount {
      let byte = index < key.count ? key[index] : 0
      inner.append(byte ^ 0x36)
      outer.append(byte ^ 0x5C)
    }
    inner.append(contentsOf: input)
    // The inner hash takes the output's place for the moment.
    digest(inner, into: output)
    outer.append(contentsOf: UnsafeBufferPointer(start: output, count: byteCount))
    digest(outer, into: output)
    inner.erase()
    outer.erase()
  }

  /// HKDF with two outputs of 64 bytes, the second of which may be cut to the length of a cipher's key.
  static func derive(
    chainingKey: Secret, input: Secret?, secondByteCount: Int = byteCount
  ) throws(NoiseError) -> (Secret, Secret) {
    var material =
      input.map { [UInt8](UnsafeBufferPointer(start: $0.octets, count: $0.count)) } ?? []
    defer { material.erase() }
    let key = UnsafeBufferPointer(start: chainingKey.octets, count: chainingKey.count)
    let temporary = try Secret(count: byteCount) { [material] output in
      hmac(key: key, material, into: output)
    }
    let temporaryKey = UnsafeBufferPointer(start: temporary.octets, count: byteCount)
    let first = try Secret(count: byteCount) { output in
      hmac(key: temporaryKey, [1], into: output)
    }
    var label: [UInt8] = []
    label.reserveCapacity(byteCount + 1)
    label.append(contentsOf: UnsafeBufferPointer(start: first.octets, count: byteCount))
    label.append(2)
    defer { label.erase() }
    var whole = [UInt8](repeating: 0, count: byteCount)
    defer { whole.erase() }
    whole.withUnsafeMutableBufferPointer {
      guard let base = $0.baseAddress else { return }
      hmac(key: temporaryKey, label, into: base)
    }
    let second = try whole.withBytes { bytes throws(NoiseError) in
      try Secret(copying: UnsafeRawBufferPointer(rebasing: bytes[..<secondByteCount]))
    }
    return (first, second)
  }
}
