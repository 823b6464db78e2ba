extension Digest {
  /// A digest from exactly 32 bytes; nil for any other count.
  ///
  /// Word by word: every hash and every id that is read comes through here, and the general
  /// initialiser takes as long as a hash does.
  public init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Digest.byteCount else { return nil }
    func word(_ offset: Int) -> UInt64 {
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    self.init(words: (word(0), word(8), word(16), word(24)))
  }

  /// A digest from exactly 32 bytes; nil for any other count.
  public init?(bytes: [UInt8]) {
    guard let digest = bytes.withUnsafeBytes({ Digest(bytes: $0) }) else { return nil }
    self = digest
  }
}
