#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where a peer listens: a name or an address, and a port. `example.org:7000`, `192.0.2.1:7000`, `[2001:db8::1]:7000`.
///
/// In one form only: names in lower case, addresses as the system writes them, IPv4 within IPv6 as IPv4.
public struct PeerAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// A name, or an address without brackets.
  public let host: String
  /// 0 only where a port is to be chosen by the system.
  public let port: UInt16
  /// The address, if `host` is one and not a name.
  public let ip: IPAddress?

  /// From `HOST:PORT` or `[ADDRESS]:PORT`; nil for anything else.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex else { return nil }
    let digits = text[text.index(after: colon)...]
    guard (1...5).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = UInt16(digits)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { return nil }
      host = host.dropFirst().dropLast()
      guard host.contains(":") else { return nil }
    } else if host.contains(":") {
      // Without brackets nobody can tell where an address of IPv6 ends.
      return nil
    }
    self.init(host: String(host), port: port)
  }

  /// Of a host, without brackets, and a port; nil if the host is neither a name nor an address.
  public init?(host: String, port: UInt16) {
    if let ip = IPAddress(host) {
      self.init(ip: ip, port: port)
      return
    }
    let name = host.lowercased()
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    guard (1...253).contains(name.utf8.count),
      labels.allSatisfy({ label in
        (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
          && label.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
          }
      }),
      // A name that ends in digits is an address that somebody mistyped.
      labels.last?.utf8.allSatisfy({ (0x30...0x39).contains($0) }) == false
    else { return nil }
    self.init(host: name, port: port, ip: nil)
  }

  public init(ip: IPAddress, port: UInt16) {
    self.init(host: ip.description, port: port, ip: ip)
  }

  private init(host: String, port: UInt16, ip: IPAddress?) {
    self.host = host
    self.port = port
    self.ip = ip
  }

  public var description: String {
    ip?.isIPv6 == true ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  public static func < (a: PeerAddress, b: PeerAddress) -> Bool {
    if a.host != b.host { return a.host.utf8.lexicographicallyPrecedes(b.host.utf8) }
    return a.port < b.port
  }
}

/// An address of IPv4 or IPv6.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// Four or sixteen, in network order.
  public let bytes: [UInt8]

  /// From four or sixteen bytes; nil for any other count. IPv4 within IPv6 becomes IPv4.
  public init?(bytes: [UInt8]) {
    switch bytes.count {
    case 4: self.bytes = bytes
    case 16:
      let mapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
      self.bytes = mapped ? Array(bytes[12...]) : bytes
    default: return nil
    }
  }

  /// From text as `inet_pton` takes it, without a zone.
  public init?(_ text: String) {
    guard text.utf8.count <= 64 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &bytes) == 1 {
      self.init(bytes: Array(bytes[..<4]))
    } else if inet_pton(AF_INET6, text, &bytes) == 1 {
      self.init(bytes: bytes)
    } else {
      return nil
    }
  }

  public var isIPv6: Bool { bytes.count == 16 }

  public var description: String {
    var text = [CChar](repeating: 0, count: 64)
    guard inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count)) != nil
    else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// What one party commands: the address, or of IPv6 the network of 64 bits.
  var network: [UInt8] { isIPv6 ? Array(bytes[..<8]) : bytes }

  /// Whether anybody on the internet may be meant by it: not private, local, multicast or reserved.
  var isPublic: Bool {
    if isIPv6 {
      // Global unicast is 2000::/3; of that 2001:db8::/32 is for documents, 2002::/16 hides IPv4.
      guard bytes[0] & 0xE0 == 0x20 else { return false }
      return bytes[..<4] != [0x20, 0x01, 0x0D, 0xB8] && bytes[..<2] != [0x20, 0x02]
    }
    switch (bytes[0], bytes[1]) {
    case (0, _), (10, _), (127, _), (169, 254), (192, 168): return false
    case (100, 64...127), (172, 16...31), (198, 18...19): return false
    case (192, 0) where bytes[2] == 0 || bytes[2] == 2: return false
    case (198, 51) where bytes[2] == 100: return false
    case (203, 0) where bytes[2] == 113: return false
    case (224..., _): return false
    default: return true
    }
  }

  /// Whether one can connect to it at all, private or not.
  var isUnicast: Bool {
    if isIPv6 { return bytes[0] != 0xFF && bytes.contains { $0 != 0 } }
    return bytes[0] != 0 && bytes[0] < 224
  }
}
