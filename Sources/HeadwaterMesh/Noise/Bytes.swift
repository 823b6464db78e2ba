import CSodium

// The standard library's `withUnsafeBytes` forgets what its body throws.
extension Array where Element == UInt8 {
  /// Calls `body` with the bytes, which are valid only during the call.
  func withBytes<R>(
    _ body: (UnsafeRawBufferPointer) throws(NoiseError) -> R
  ) throws(NoiseError) -> R {
    try withUnsafeBufferPointer { buffer throws(NoiseError) in
      try body(UnsafeRawBufferPointer(buffer))
    }
  }

  /// Calls `body` with the bytes, to be changed in place.
  mutating func withMutableBytes<R>(
    _ body: (UnsafeMutableRawBufferPointer) throws(NoiseError) -> R
  ) throws(NoiseError) -> R {
    try withUnsafeMutableBufferPointer { buffer throws(NoiseError) in
      try body(UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// Overwrites the bytes with zeros in a way that the optimiser leaves alone, and removes them.
  ///
  /// Reaches this array's storage only, not copies that were made of it.
  mutating func erase() {
    withUnsafeMutableBytes { if let base = $0.baseAddress { sodium_memzero(base, $0.count) } }
    removeAll()
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes as C functions take them. There must be some.
  var octets: UnsafePointer<UInt8> {
    guard let baseAddress else { preconditionFailure("an empty buffer has no bytes to point at") }
    return baseAddress.assumingMemoryBound(to: UInt8.self)
  }
}
