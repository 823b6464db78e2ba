import HeadwaterStream

/// Where a server is, and who asks: `mongodb://[user[:password]@]host[:port][,host…]/database[?authSource=…]`.
public struct MongoURL: Sendable, Hashable {
  /// A place where a server listens.
  public struct Host: Sendable, Hashable {
    public let name: String
    public let port: UInt16
  }

  /// One or more members of a replica set; the one that is primary is used.
  public let hosts: [Host]
  /// The database that belongs to the mirror.
  public let database: String
  public let user: String?
  /// Never shown.
  let password: String?
  /// The database that knows the user.
  public let authSource: String

  /// - Parameter password: the password where the URL has none.
  /// - Throws: `.unsupported` (halt) that says what is wrong; never with the URL in it, which may hold a password.
  public init(_ text: String, password: String? = nil) throws(AdapterError) {
    guard text.hasPrefix("mongodb://") else {
      throw MongoURL.invalid(
        text.hasPrefix("mongodb+srv://")
          ? "mongodb+srv:// is not supported: name the hosts, mongodb://host,host/database"
          : "it begins with mongodb://")
    }
    var rest = text.dropFirst("mongodb://".count)
    var options: Substring = ""
    if let mark = rest.firstIndex(of: "?") {
      options = rest[rest.index(after: mark)...]
      rest = rest[..<mark]
    }
    var user: String?
    var secret: String?
    if let at = rest.lastIndex(of: "@") {
      let parts = rest[..<at].split(
        separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      user = try MongoURL.decoded(parts[0])
      if parts.count > 1 { secret = try MongoURL.decoded(parts[1]) }
      rest = rest[rest.index(after: at)...]
    }
    guard let slash = rest.firstIndex(of: "/"), rest.index(after: slash) < rest.endIndex else {
      throw MongoURL.invalid("a database follows the hosts: mongodb://host/database")
    }
    database = try MongoURL.decoded(rest[rest.index(after: slash)...])
    guard database.utf8.count < 64, !database.contains(where: { "/\\. \"$*<>:|?\0".contains($0) })
    else { throw MongoURL.invalid("a database has no such name") }
    hosts = try MongoURL.hosts(rest[..<slash])
    self.user = user
    self.password = user == nil ? nil : secret ?? password
    authSource = try MongoURL.authSource(options)
  }

  private static func hosts(_ text: Substring) throws(AdapterError) -> [Host] {
    var hosts: [Host] = []
    for host in text.split(separator: ",", omittingEmptySubsequences: false) {
      var name = host
      var port: UInt16 = 27_017
      if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
        guard let number = UInt16(host[host.index(after: colon)...]) else {
          throw invalid("a port is a number")
        }
        port = number
        name = host[..<colon]
      }
      if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
      guard !name.isEmpty, name.utf8.count < 256 else { throw invalid("a host has a name") }
      hosts.append(Host(name: String(name), port: port))
    }
    return hosts
  }

  private static func authSource(_ options: Substring) throws(AdapterError) -> String {
    var source = "admin"
    for option in options.split(separator: "&") {
      let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
      switch parts.first?.lowercased() {
      case "authsource" where parts.count == 2: source = try decoded(Substring(parts[1]))
      case "replicaset", "directconnection", "retrywrites", "appname", "w": break
      case "tls" where parts.last == "false", "ssl" where parts.last == "false": break
      case let name? where name.hasPrefix("tls") || name.hasPrefix("ssl"):
        throw invalid(
          "TLS is not spoken here, and rows are not sent in the clear where it was asked for. Let stunnel, or "
            + "ssh -L 27017:localhost:27017 HOST, carry the connection, and write mongodb://localhost/…; "
            + "Docs/Documents.md says how"
        )
      case "authmechanism" where parts.last == "SCRAM-SHA-256": break
      default:
        throw invalid(
          "the option \(parts.first ?? "") is not known here"
        )
      }
    }
    return source
  }

  private static func invalid(_ reason: String) -> AdapterError {
    AdapterError(.unsupported, "That is no URL of a document server: \(reason).", recovery: .halt)
  }

  private static func decoded(_ text: Substring) throws(AdapterError) -> String {
    var out: [UInt8] = []
    var bytes = text.utf8[...]
    while let byte = bytes.first {
      bytes = bytes.dropFirst()
      guard byte == UInt8(ascii: "%") else {
        out.append(byte)
        continue
      }
      guard bytes.count >= 2, let value = UInt8(String(bytes.prefix(2)) ?? "", radix: 16) else {
        throw invalid("two hexadecimal digits follow a percent sign")
      }
      out.append(value)
      bytes = bytes.dropFirst(2)
    }
    guard let decoded = String(validating: out, as: UTF8.self) else {
      throw invalid("what it stands for is not UTF-8")
    }
    return decoded
  }

  /// The URL without the password, as reports show it.
  public var text: String {
    "mongodb://" + (user.map { $0 + "@" } ?? "")
      + hosts.map { "\($0.name):\($0.port)" }.joined(separator: ",") + "/" + database
  }
}
