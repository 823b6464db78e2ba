extension String {
  /// The text whose UTF-8 is `bytes`; nil where they are not well-formed.
  ///
  /// The library's own `init(validating:as:)` says the same and costs several times as much.
  init?(utf8 bytes: UnsafeBufferPointer<UInt8>) {
    guard firstInvalidUTF8(bytes) == nil else { return nil }
    self.init(decoding: bytes, as: UTF8.self)
  }
}

/// The index of the first byte that is not part of well-formed UTF-8 (RFC 3629); nil where all is well.
func firstInvalidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
  var index = 0
  let count = bytes.count
  while index < count {
    while index + 8 <= count,
      UnsafeRawPointer(bytes.baseAddress! + index).loadUnaligned(as: UInt64.self)
        & 0x8080_8080_8080_8080 == 0
    {
      index += 8
    }
    guard index < count else { return nil }
    let first = bytes[index]
    if first < 0x80 {
      index += 1
      continue
    }
    let length: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xBF
    switch first {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, low) = (3, 0xA0)
    case 0xED: (length, high) = (3, 0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, low) = (4, 0x90)
    case 0xF4: (length, high) = (4, 0x8F)
    case 0xF1...0xF3: length = 4
    default: return index
    }
    guard count - index >= length, bytes[index + 1] >= low, bytes[index + 1] <= high else {
      return index
    }
    for next in index + 2..<max(index + 2, index + length) where bytes[next] & 0xC0 != 0x80 {
      return index
    }
    index += length
  }
  return nil
}

/// Whether one of the bytes is zero. Looks at all of them, which is faster than to stop at the first.
func containsZero(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
  var found = false
  for byte in bytes where byte == 0 { found = true }
  return found
}

extension String {
  /// Whether U+0000 is in the text, looked for in its bytes at once where they lie together.
  var holdsNUL: Bool {
    utf8.withContiguousStorageIfAvailable(containsZero) ?? utf8.contains(0)
  }
}
