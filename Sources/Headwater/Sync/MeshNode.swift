import HeadwaterLog
import HeadwaterMesh
import HeadwaterModel
import HeadwaterStore
import HeadwaterSync
import Synchronization

/// Keeps a store in sync with the peers of a mesh, as the schema allows.
///
/// Whoever connects must be let in by the schema (`allow connect`), again and again while connected; so must peers
/// that others told of. Peers that were named here are dialled whatever the rows say: a new replica does not know
/// yet who may what. May be used from anywhere.
public final class MeshNode: Sendable {
  /// What happens, for whoever shows or logs it.
  public enum Event: Sendable {
    case mesh(MeshEvent)
    /// A session ended; with the error, if there was one.
    case synced(Digest, Session.Report, SyncError?)
    /// The schema does not let the principal connect, or no longer.
    case refused(Digest)
  }

  public let store: Store
  private let replicator: Replicator
  private let mesh: Mesh
  private let tasks = Mutex<[Task<Void, Never>]>([])

  /// How often it is looked whether peers may still connect, and whether there are new ones.
  private static let attention = Duration.seconds(1)

  /// - Parameters:
  ///   - signer: the key by which peers know this replica.
  ///   - observe: is told what happens. Must not wait.
  public init(
    _ store: Store, as signer: any Signer, _ configuration: MeshConfiguration,
    observe: @escaping @Sendable (Event) -> Void = { _ in }
  ) throws(ChannelError) {
    self.store = store
    let replicator = Replicator(store)
    self.replicator = replicator
    let named = Set(configuration.peers.map(\.address))
    let mayConnect: @Sendable (Digest, PeerAddress?) async -> Bool = { peer, dialled in
      if let dialled, named.contains(dialled) { return true }
      return (try? await store.read { try $0.mayConnect(peer) }) ?? false
    }
    mesh = try Mesh(
      configuration, signer: signer, suite: store.suite, observe: { observe(.mesh($0)) },
      admits: { channel, dialled in
        let isAdmitted = await mayConnect(channel.peer, dialled)
        if !isAdmitted { observe(.refused(channel.peer)) }
        return isAdmitted
      },
      serve: { channel, dialled in
        await MeshNode.serve(channel, replicator, observe) {
          await mayConnect(channel.peer, dialled)
        }
      })
  }

  /// Where it listens, with the ports that the system chose.
  public var addresses: [PeerAddress] { get async { await mesh.addresses } }

  /// Listens and begins to dial. Once.
  ///
  /// - Throws: if it cannot listen; nothing is left running then.
  public func run() async throws(ChannelError) {
    try await mesh.run()
    let task = Task { [store, mesh] in
      var known: Set<MeshConfiguration.Peer> = []
      while !Task.isCancelled {
        for peer in (try? await MeshNode.peers(of: store)) ?? []
        where known.insert(peer).inserted {
          await mesh.add(peer)
        }
        try? await Task.sleep(for: MeshNode.attention * 5)
      }
    }
    tasks.withLock { $0.append(task) }
  }

  /// Ends everything in good order.
  public func stop() async {
    for task in tasks.withLock({ $0 }) { task.cancel() }
    await mesh.stop()
  }

  // MARK: A connection

  private static func serve(
    _ channel: SecureChannel, _ replicator: Replicator,
    _ observe: @escaping @Sendable (Event) -> Void,
    mayConnect: @escaping @Sendable () async -> Bool
  ) async -> PeerTable.Outcome {
    let peer = channel.peer
    return await withTaskGroup(of: PeerTable.Outcome?.self) { group in
      group.addTask {
        do throws(SyncError) {
          observe(.synced(peer, try await replicator.sync(over: channel, isLive: true), nil))
          return .done
        } catch {
          observe(.synced(peer, Session.Report(), error))
          switch error.code {
          case .malformed: return .misbehaved(.garbage)
          case .endless, .flood: return .misbehaved(.flood)
          case .rejected: return .misbehaved(.invalidOperation)
          case .absent: return .misbehaved(.protocolViolation)
          case .version, .database, .suite: return .unwelcome
          case .timeout, .remote, .storage: return .failed
          }
        }
      }
      group.addTask {
        // Who is removed while connected is not heard to the end.
        while !Task.isCancelled {
          try? await Task.sleep(for: attention)
          guard !Task.isCancelled else { break }
          if await !mayConnect() {
            // The operation that removes it may be on its way to it: it should hear that much, and why it is let go.
            try? await Task.sleep(for: attention)
            guard !Task.isCancelled else { break }
            guard await !mayConnect() else { continue }
            observe(.refused(peer))
            await channel.close()
            return .unwelcome
          }
        }
        return nil
      }
      var outcome: PeerTable.Outcome?
      while outcome == nil, let next = await group.next() { outcome = next }
      group.cancelAll()
      return outcome ?? .failed
    }
  }

  // MARK: Peers in the database

  /// The peers that the database names: rows of a collection `Peer` with a text field `address`, and a field
  /// `principal` if it is to be one principal only.
  static func peers(of store: Store) async throws -> [MeshConfiguration.Peer] {
    guard let index = store.schema.collectionIndex(named: "Peer") else { return [] }
    let collection = store.schema.collections[index]
    guard let address = collection.fieldIndex(named: "address") else { return [] }
    let principal = collection.fieldIndex(named: "principal")
    return try await store.read { snapshot in
      try snapshot.rows(index, limit: maximumPeers).compactMap { row in
        guard case .text(let text)? = row.values[address], let address = PeerAddress(text) else {
          return nil
        }
        var expected: Digest?
        if let principal {
          guard case .principal(let id)? = row.values[principal] else { return nil }
          expected = id
        }
        return MeshConfiguration.Peer(address: address, principal: expected)
      }
    }
  }

  /// How many peers are taken from the database.
  private static let maximumPeers = 1_024
}
