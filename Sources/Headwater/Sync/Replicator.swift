import HeadwaterLog
import HeadwaterModel
import HeadwaterStore
import HeadwaterSync
import Synchronization

/// Keeps a store in sync with peers over channels: one for each store, for any number of peers at once.
///
/// What two peers have is fetched once. May be used from anywhere; holds the store while a session runs.
public final class Replicator: Sendable {
  public let store: Store
  private let options: Session.Options
  private let plan = FetchPlan()

  /// - Parameter options: limits of the sessions; whether they are live is said for each.
  public init(_ store: Store, options: Session.Options = Session.Options()) {
    self.store = store
    self.options = options
  }

  /// Syncs with the peer at the other end of a channel, which is closed at the end.
  ///
  /// Returns when both have the same operations; with `isLive`, if the peer wants that too, when the peer leaves or the
  /// task is cancelled.
  ///
  /// - Throws: `SyncError`, which says whether the peer is to blame (`code.isMisconduct`). What came before it is in
  ///   the store.
  public func sync(over channel: any Channel, isLive: Bool = false) async throws(SyncError)
    -> Session.Report
  {
    var options = options
    options.isLive = isLive
    let connection = SyncConnection(
      store: store, plan: plan, channel: channel, options: options)
    return try await connection.run()
  }

  /// Syncs with several peers at once; the answers are in the order of the channels.
  ///
  /// - Parameter channels: each with the principal that has to be at its other end.
  public func sync(over channels: [(peer: Digest, channel: any Channel)], isLive: Bool = false)
    async -> [Result<Session.Report, SyncError>]
  {
    await withTaskGroup(of: (Int, Result<Session.Report, SyncError>).self) { group in
      for (index, (peer, channel)) in channels.enumerated() {
        group.addTask {
          guard channel.peer == peer else {
            await channel.close()
            let error = SyncError(
              .remote, "at the other end is \(channel.peer.hex), not \(peer.hex)")
            return (index, .failure(error))
          }
          do throws(SyncError) {
            return (index, .success(try await self.sync(over: channel, isLive: isLive)))
          } catch {
            return (index, .failure(error))
          }
        }
      }
      var results = [Result<Session.Report, SyncError>?](repeating: nil, count: channels.count)
      for await (index, result) in group { results[index] = result }
      return results.compactMap { $0 }
    }
  }
}
