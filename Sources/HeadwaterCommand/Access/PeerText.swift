import Headwater

/// A peer as it is written on the command line: `HOST:PORT`, or `PRINCIPAL@HOST:PORT` for that principal only.
struct PeerText {
  let address: PeerAddress
  let principal: Digest?

  init(_ text: String) throws {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = PeerAddress(String(parts[parts.count - 1])), address.port > 0 else {
      throw Failure(
        "invalid",
        "'\(text)' is no peer: write HOST:PORT, [IPV6]:PORT, or PRINCIPAL@HOST:PORT for that principal only")
    }
    self.address = address
    guard parts.count == 2 else {
      principal = nil
      return
    }
    guard let principal = Digest(hex: String(parts[0]).lowercased()) else {
      throw Failure(
        "invalid",
        "'\(parts[0])' is no principal: it has 64 hexadecimal digits, as `headwater key show` prints it")
    }
    self.principal = principal
  }

  var peer: MeshConfiguration.Peer { .init(address: address, principal: principal) }
}

extension Store.Options {
  /// For a store that other processes may write meanwhile.
  static var inTurns: Store.Options {
    var options = Store.Options()
    options.takesTurns = true
    options.patience = 60_000
    return options
  }

  /// For one write, or some, beside a process that takes turns.
  static var patient: Store.Options {
    var options = Store.Options()
    options.patience = 5_000
    return options
  }
}
