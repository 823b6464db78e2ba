import HeadwaterModel
import HeadwaterSync

/// What a mesh is to do.
public struct MeshConfiguration: Sendable {
  /// A peer to keep a connection with.
  public struct Peer: Hashable, Sendable {
    public var address: PeerAddress
    /// Who must be there; nil for whoever is.
    public var principal: Digest?

    public init(address: PeerAddress, principal: Digest? = nil) {
      self.address = address
      self.principal = principal
    }
  }

  /// Where to listen; nowhere if empty. Port 0: the system chooses.
  public var listen: [PeerAddress] = []
  public var peers: [Peer] = []
  /// Whether to tell peers of each other, and to look for more than the configured ones.
  public var exchangesPeers = true
  public var limits = PeerLimits()
  public var channels = ChannelConfiguration()
  /// Threads that move bytes.
  public var threads = 2

  public init() {}
}

/// What happens in a mesh, for whoever shows or logs it.
public enum MeshEvent: Sendable {
  case listening(PeerAddress)
  /// A connection was made and is in use. `dialled`: by this side, to that address.
  case connected(Digest, remote: PeerAddress?, dialled: PeerAddress?)
  case dialFailed(PeerAddress, ChannelError)
  case disconnected(Digest, PeerTable.Outcome)
  /// A connection was not wanted, or no longer.
  case closed(Digest, PeerTable.Reason)
  case banned(Digest)
}
