import HeadwaterModel
import Testing

@Suite struct DigestBytesTests {
  @Test func everyWayFromBytesIsTheSame() throws {
    let bytes = (0..<32).map { UInt8(truncatingIfNeeded: $0 * 7 + 130) }
    let digest = try #require(Digest(bytes: bytes))
    #expect(digest.bytes == bytes)
    #expect(Digest(bytes: bytes[...]) == digest)
    // At an odd address as well.
    let shifted = [0] + bytes
    #expect(shifted.withUnsafeBytes { Digest(bytes: .init(rebasing: $0[1...])) } == digest)
    #expect(Digest(hex: hexadecimal(bytes)) == digest)
  }

  @Test(arguments: [0, 1, 31, 33, 64])
  func otherCountsAreNil(count: Int) {
    let bytes = [UInt8](repeating: 1, count: count)
    #expect(Digest(bytes: bytes) == nil)
    #expect(Digest(bytes: bytes[...]) == nil)
    #expect(bytes.withUnsafeBytes { Digest(bytes: $0) } == nil)
  }
}
