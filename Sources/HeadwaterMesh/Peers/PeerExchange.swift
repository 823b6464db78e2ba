import HeadwaterModel

/// What one peer tells another of third ones, in an aside of their channel. Docs/SecureChannel.md has the bytes.
public struct PeerExchange: Equatable, Sendable {
  /// The most addresses of one message.
  public static let addressLimit = 32

  /// The port on which the sender can be reached at the address that it connects from; nil if it cannot.
  public var listeningPort: UInt16?
  /// Where third peers listen. Addresses only: a name would have the receiver ask a server of the sender's choice.
  public var addresses: [PeerAddress]

  private static let version: UInt64 = 1

  public init(listeningPort: UInt16?, addresses: [PeerAddress]) {
    self.listeningPort = listeningPort
    self.addresses = addresses
  }

  /// Canonical CBOR. Names, and what is over the limit, are left out.
  public var encoded: [UInt8] {
    let known = addresses.filter { $0.ip != nil && $0.port != 0 }.prefix(PeerExchange.addressLimit)
    var writer = CanonicalWriter(reservingCapacity: 8 + 24 * known.count)
    writer.arrayHeader(3)
    writer.unsigned(PeerExchange.version)
    writer.unsigned(UInt64(listeningPort ?? 0))
    writer.arrayHeader(known.count)
    for address in known {
      writer.arrayHeader(2)
      writer.byteString(address.ip?.bytes ?? [])
      writer.unsigned(UInt64(address.port))
    }
    return writer.bytes
  }

  /// Whether an aside claims to be a message of this version; others are for later versions, and none of this one's business.
  static func isOne(_ aside: [UInt8]) -> Bool { aside.starts(with: [0x83, 0x01]) }

  /// - Throws: if the bytes are not a message of this version, or are over its limits.
  public init(encoded: [UInt8]) throws(DecodingError) {
    var reader = CanonicalReader(encoded)
    func malformed(_ what: String) -> DecodingError {
      DecodingError(what, offset: reader.offset)
    }
    guard try reader.arrayHeader() == 3 else { throw malformed("expected three fields") }
    guard try reader.unsigned() == PeerExchange.version else { throw malformed("another version") }
    guard let port = UInt16(exactly: try reader.unsigned()) else { throw malformed("not a port") }
    listeningPort = port == 0 ? nil : port
    let count = try reader.arrayHeader()
    guard count <= PeerExchange.addressLimit else { throw malformed("too many addresses") }
    addresses = []
    for _ in 0..<count {
      guard try reader.arrayHeader() == 2 else { throw malformed("expected address and port") }
      let bytes = try reader.byteString()
      guard let ip = IPAddress(bytes: bytes), ip.bytes.count == bytes.count else {
        throw malformed("not an address")
      }
      guard let port = UInt16(exactly: try reader.unsigned()), port != 0 else {
        throw malformed("not a port")
      }
      addresses.append(PeerAddress(ip: ip, port: port))
    }
    try reader.finish()
  }
}
