import CLibpq
import HeadwaterStream

/// Where a mirror in PostgreSQL is, and what it is to have beyond tables.
public struct PostgresConfiguration: Sendable, Hashable {
  /// What libpq reads: a URI or `keyword=value` pairs. May hold a password; never shown.
  let connection: String
  /// The schema of the server in which readers find the mirror; a schema of its own, made if it is missing.
  public var schema = "headwater"
  /// A role that is to read the mirror: it is made if it is missing, and granted what it needs.
  public var reader: String?
  /// Whether every row says which operation changed it last, who signed that and when.
  public var hasProvenance = false
  /// Whether every version of every row is kept, from when the mirror was given this option. Includes provenance.
  public var keepsHistory = false
  /// How long to wait for a lock that somebody else holds before a call fails with `.unavailable`, in milliseconds.
  public var lockTimeout = 5_000
  /// The URL without what is secret, as reports show it.
  public let description: String

  /// The sink that a URL names: `postgres://user@host:port/database?schema=shop`, and whatever else libpq takes.
  ///
  /// Of the parameters, `schema`, `reader`, `provenance=on` and `history=on` are ours; all others are libpq's. What is
  /// missing comes from the environment, the password file or the service file, as in `psql`.
  ///
  /// - Throws: `.misuse` (halt) where this is no such URL; the message does not repeat what could be a password.
  public init(url: String) throws(AdapterError) {
    let schemes = ["postgres://", "postgresql://"]
    guard let scheme = schemes.first(where: { url.hasPrefix($0) }) else {
      throw PostgresConfiguration.invalid("it should begin with postgres://")
    }
    let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var theirs: [Substring] = []
    var shown: [Substring] = []
    if parts.count == 2 {
      for pair in parts[1].split(separator: "&") {
        let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = try PostgresConfiguration.decoded(sides.count == 2 ? sides[1] : "")
        switch sides[0] {
        case "schema": schema = value
        case "reader": reader = value.isEmpty ? nil : value
        case "provenance":
          hasProvenance = try PostgresConfiguration.isOn(value, "provenance")
        case "history": keepsHistory = try PostgresConfiguration.isOn(value, "history")
        case "password", "sslpassword":
          theirs.append(pair)
          continue
        default: theirs.append(pair)
        }
        shown.append(pair)
      }
    }
    let base = parts[0]
    connection = base + (theirs.isEmpty ? "" : "?" + theirs.joined(separator: "&"))
    // As libpq does: what stands before an @ that comes before any slash.
    var authority = base.dropFirst(scheme.utf8.count)
    let user = authority.prefix { $0 != "@" && $0 != "/" }
    var visible = scheme
    if user.endIndex < authority.endIndex, authority[user.endIndex] == "@" {
      visible += user.prefix { $0 != ":" } + "@"
      authority = authority[authority.index(after: user.endIndex)...]
    }
    description =
      visible + authority + (shown.isEmpty ? "" : "?" + shown.joined(separator: "&"))
    if keepsHistory { hasProvenance = true }
    try check()
  }

  private func check() throws(AdapterError) {
    for (name, what) in [(schema, "schema"), (reader ?? "reader", "reader")] {
      guard !name.isEmpty, !name.utf8.contains(0), name.utf8.count <= 63 else {
        throw PostgresConfiguration.invalid("\(what) should be a name of at most 63 bytes")
      }
    }
    // The longest suffix of the schemas beside it is `_filling`.
    guard schema.utf8.count <= 55, !schema.hasPrefix("pg_"), schema != "information_schema" else {
      throw PostgresConfiguration.invalid(
        "schema should be a name of at most 55 bytes that is not PostgreSQL's own")
    }
    var problem: UnsafeMutablePointer<CChar>?
    guard let options = PQconninfoParse(connection, &problem) else {
      // libpq's message may quote from the URL, also what stands in the place of a password.
      PQfreemem(problem)
      throw PostgresConfiguration.invalid(
        "libpq does not understand it: see its documentation under Connection URIs, and write characters "
          + "other than letters and digits in a password as %XX")
    }
    PQconninfoFree(options)
  }

  private static func isOn(_ value: String, _ name: String) throws(AdapterError) -> Bool {
    switch value {
    case "on", "true", "1", "": return true
    case "off", "false", "0": return false
    default: throw invalid("\(name) is on or off")
    }
  }

  private static func decoded(_ text: Substring) throws(AdapterError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = String(Substring(rest.prefix(2)))
      guard digits.utf8.count == 2,
        let value = UInt8(digits, radix: 16)
      else { throw invalid("after each % two hexadecimal digits should follow") }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func invalid(_ what: String) -> AdapterError {
    AdapterError(.misuse, "That is no URL of a PostgreSQL mirror: \(what).", recovery: .halt)
  }

  /// What libpq is given: what it should do where the URL says nothing, then the URL.
  var settings: [(String, String)] {
    [
      ("fallback_application_name", "headwater"), ("tcp_user_timeout", "30000"),
      ("keepalives_idle", "30"), ("dbname", connection), ("client_encoding", "UTF8"),
    ]
  }
}
