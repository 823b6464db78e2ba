import Testing

@testable import HeadwaterMesh

@Suite struct PeerAddressTests {
  @Test(arguments: [
    ("example.org:7000", "example.org:7000"), ("Example.ORG:07", "example.org:7"),
    ("localhost:65535", "localhost:65535"), ("192.0.2.1:1", "192.0.2.1:1"),
    ("[::1]:80", "[::1]:80"), ("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80"),
    ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"), ("a-b.c1:0", "a-b.c1:0"),
  ])
  func whatIsAnAddress(_ text: String, _ canonical: String) throws {
    let address = try #require(PeerAddress(text))
    #expect(address.description == canonical)
    #expect(PeerAddress(canonical) == address)
  }

  @Test(arguments: [
    "", ":", ":80", "example.org", "example.org:", "example.org:x", "example.org:-1",
    "example.org:65536", "example.org:123456", "::1:80", "[::1]", "[::1]:", "[]:80", "[1.2.3.4]:80",
    "[example.org]:80", "[fe80::1%eth0]:80", "a b:80", "a..b:80", ".a:80", "-a:80", "a-:80",
    "1.2.3:80", "1.2.3.4.5:80", "256.1.1.1:80", "a_b:80", "ä:80", "a\u{0}:80", "127.1:80",
  ])
  func whatIsNone(_ text: String) { #expect(PeerAddress(text) == nil) }

  @Test func whatIsPublic() throws {
    for text in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2a00:1450::1", "100.128.0.1"] {
      #expect(try #require(IPAddress(text)).isPublic, "\(text)")
    }
    for text in [
      "10.0.0.1", "127.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1",
      "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1",
      "::", "::1", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::1",
    ] {
      #expect(try !#require(IPAddress(text)).isPublic, "\(text)")
    }
  }

  @Test func anyTextIsAnAddressOrNot() {
    var generator = SeededGenerator(seed: 3)
    let letters = Array("[]:.0129afz-%:\u{0}ä ")
    for _ in 0..<20_000 {
      let text = String(
        (0..<Int.random(in: 0...20, using: &generator)).map { _ in
          letters[Int.random(in: letters.indices, using: &generator)]
        })
      guard let address = PeerAddress(text) else { continue }
      #expect(PeerAddress(address.description) == address, "\(text)")
    }
  }
}
