import HeadwaterModel
import Testing

@testable import HeadwaterMesh

@Suite struct PeerExchangeTests {
  private func address(_ text: String) throws -> PeerAddress { try #require(PeerAddress(text)) }

  @Test func thereAndBack() throws {
    for exchange in [
      PeerExchange(listeningPort: nil, addresses: []),
      PeerExchange(
        listeningPort: 7_000,
        addresses: [try address("192.0.2.1:80"), try address("[2001:db8::1]:65535")]),
    ] {
      #expect(try PeerExchange(encoded: exchange.encoded) == exchange)
    }
    let names = PeerExchange(listeningPort: 1, addresses: [try address("example.org:80")])
    #expect(try PeerExchange(encoded: names.encoded).addresses.isEmpty)
    let many = PeerExchange(
      listeningPort: nil,
      addresses: try (1...100).map { try address("192.0.2.\($0):80") })
    #expect(try PeerExchange(encoded: many.encoded).addresses.count == 32)
    #expect(many.encoded.count <= FrameLimits.asideByteCount)
  }

  /// The example of Docs/SecureChannel.md.
  @Test func theBytesAreAsDocumented() throws {
    let exchange = PeerExchange(
      listeningPort: 7_000,
      addresses: [try address("192.0.2.1:80"), try address("[2001:db8::1]:443")])
    let line = "\nexchange " + hexadecimal(exchange.encoded) + "\n"
    #expect(try SourceText.of("Docs/SecureChannel.md").contains(line), "\(line)")
  }

  @Test(arguments: [
    "", "80", "83", "83020080", "830100", "83010080f6", "83011a0001000080",
    // No port, port 0, five bytes, a name, IPv4 within IPv6, too many fields.
    "8301008181440a000001", "830100818244c000020100", "830100818245c00002010118 50",
    "83010081826161 1850", "830100818250" + "00000000000000000000ffff0a000001" + "1850",
    "830100818344c00002011850f6", "830100982181",
  ])
  func whatIsNone(_ hex: String) throws {
    let bytes = try #require([UInt8](hex: hex.filter { $0 != " " }))
    #expect(throws: DecodingError.self) { _ = try PeerExchange(encoded: bytes) }
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func anyBytesAreOneOrNot(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let good = PeerExchange(
      listeningPort: 7_000,
      addresses: try (1...20).map { try address("192.0.2.\($0):80") }
        + [try address("[2001:db8::1]:443")]
    ).encoded
    for _ in 0..<3_000 {
      let bytes = mutate(good, using: &generator)
      guard let exchange = try? PeerExchange(encoded: bytes) else { continue }
      // What is taken has one form.
      #expect(exchange.encoded == bytes, "seed \(seed)")
      #expect(exchange.addresses.count <= PeerExchange.addressLimit)
    }
  }
}
