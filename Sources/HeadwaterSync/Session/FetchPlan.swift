import HeadwaterLog
import Synchronization

/// What a replica has asked its peers for, so that nothing is fetched from two.
///
/// One for each replica, shared by its sessions. May be used from anywhere; decides by its state alone.
public final class FetchPlan: Sendable {
  private struct State {
    /// Who was asked, until what he sent is in the replica.
    var inFlight: [ShortID: Int] = [:]
    /// What has entered the replica lately: a session may yet look at a state of before.
    var entered = RecentSet<ShortID>(keeping: 65_536)
    /// The sessions that have not ended: a single one needs nobody's word.
    var live: Set<Int> = []
    /// How many were asked of whom.
    var counts: [Int: Int] = [:]
    /// Who sends all that this replica lacks.
    var stream: Int?
    var sessions = 0
    /// What came from whom since when: at least `leastBytes` each `period`, or others need not wait for him.
    var progress: [Int: (since: Int64, bytes: Int)] = [:]

    func isStalled(_ session: Int, _ now: Int64) -> Bool {
      guard let progress = progress[session] else { return false }
      return now - progress.since >= FetchPlan.period && progress.bytes < FetchPlan.leastBytes
    }

    mutating func note(_ session: Int, _ bytes: Int, _ now: Int64) {
      var progress = progress[session] ?? (now, 0)
      if now - progress.since >= FetchPlan.period { progress = (now, 0) }
      progress.bytes += bytes
      self.progress[session] = progress
    }
  }

  /// Whoever was asked and sends less than so many bytes in so many milliseconds holds up nobody else.
  static let leastBytes = 65_536
  static let period: Int64 = 20_000

  private let state = Mutex(State())

  public init() {}

  /// A number for a new session.
  public func makeSession() -> Int {
    state.withLock {
      $0.sessions += 1
      $0.live.insert($0.sessions)
      return $0.sessions
    }
  }

  /// Those of `ids` that the session may ask for: nobody else was asked, nor sends everything; or he is too slow.
  public func claim(_ ids: [ShortID], for session: Int, at now: Int64) -> [ShortID] {
    state.withLock { state in
      if let stream = state.stream, stream != session, !state.isStalled(stream, now) { return [] }
      if state.counts[session] ?? 0 == 0, state.stream != session {
        state.progress[session] = (now, 0)
      }
      var claimed: [ShortID] = []
      for id in ids where !state.entered.contains(id) {
        if let other = state.inFlight[id] {
          guard other != session, state.isStalled(other, now) else { continue }
          state.counts[other, default: 1] -= 1
        }
        state.inFlight[id] = session
        claimed.append(id)
      }
      state.counts[session, default: 0] += claimed.count
      return claimed
    }
  }

  /// Whether the session may ask for everything: nobody else was asked for anything, or he is too slow.
  public func claimStream(for session: Int, at now: Int64) -> Bool {
    state.withLock { state in
      if let stream = state.stream, stream != session, !state.isStalled(stream, now) {
        return false
      }
      guard
        state.counts.allSatisfy({
          $0.key == session || $0.value == 0 || state.isStalled($0.key, now)
        })
      else { return false }
      state.stream = session
      state.progress[session] = (now, 0)
      return true
    }
  }

  /// So many bytes of operations came.
  public func note(_ bytes: Int, from session: Int, at now: Int64) {
    state.withLock { $0.note(session, bytes, now) }
  }

  /// What is in the replica now: nobody need ask for it, whatever state he looks at.
  public func entered(_ ids: [ShortID]) {
    state.withLock { state in
      for id in ids {
        if let session = state.inFlight.removeValue(forKey: id) {
          state.counts[session, default: 1] -= 1
        }
        if state.live.count > 1 { state.entered.insert(id) }
      }
    }
  }

  /// What will not come, or came and is no good.
  public func release(_ ids: [ShortID], of session: Int) {
    state.withLock { state in
      for id in ids where state.inFlight[id] == session {
        state.inFlight[id] = nil
        state.counts[session, default: 1] -= 1
      }
    }
  }

  public func releaseStream(of session: Int) {
    state.withLock { if $0.stream == session { $0.stream = nil } }
  }

  /// Forgets a session that ended.
  public func remove(_ session: Int) {
    state.withLock { state in
      if state.stream == session { state.stream = nil }
      state.live.remove(session)
      state.progress[session] = nil
      guard state.counts.removeValue(forKey: session) ?? 0 > 0 else { return }
      state.inFlight = state.inFlight.filter { $0.value != session }
    }
  }
}
