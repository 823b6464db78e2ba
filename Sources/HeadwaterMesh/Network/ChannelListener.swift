import HeadwaterSync
import NIOCore
import Synchronization

import struct HeadwaterSync.ChannelError

/// A socket that listens, and the channels that came through it.
///
/// Handshakes go on by themselves, up to a limit (`ChannelConfiguration.pendingLimit`) that covers the channels
/// which nobody has taken yet; beyond it connections are closed at once.
public final class ChannelListener: Sendable {
  /// Where it listens, with the port that the system chose if it did.
  public let address: PeerAddress

  private let server: any NIOCore.Channel
  private let queue: AcceptQueue

  init(address: PeerAddress, server: any NIOCore.Channel, queue: AcceptQueue) {
    self.address = address
    self.server = server
    self.queue = queue
    server.closeFuture.whenComplete { _ in
      queue.finish()
      queue.serverEnded()
    }
  }

  deinit { queue.end(server) }

  /// The next channel whose peer has proven who it is; nil once the listener is closed. One task at a time.
  ///
  /// Cancelling the task closes the listener.
  public func accept() async -> SecureChannel? {
    await withTaskCancellationHandler {
      await queue.next()
    } onCancel: {
      queue.end(server)
      queue.finish()
    }
  }

  /// Stops listening. Channels that were taken go on; those that were not are closed.
  public func close() async {
    queue.finish()
    queue.end(server)
    try? await server.closeFuture.get()
  }
}

/// Channels that wait to be taken.
final class AcceptQueue: Sendable {
  private struct State {
    var channels: [(SecureChannel, PendingConnections.Place)] = []
    var waiter: CheckedContinuation<SecureChannel?, Never>?
    var isFinished = false
    var hasServer = true
  }
  private let state = Mutex(State())

  /// Closes the socket, unless it is no more. Under the lock, without which its event loop does not end.
  func end(_ server: any NIOCore.Channel) {
    state.withLock { state in
      guard state.hasServer else { return }
      server.eventLoop.execute { server.close(promise: nil) }
    }
  }

  func serverEnded() { state.withLock { $0.hasServer = false } }

  /// False if nobody will ever take it.
  func add(_ channel: SecureChannel, _ place: PendingConnections.Place) -> Bool {
    let (isTaken, waiter) = state.withLock { state in
      if state.isFinished { return (false, nil as CheckedContinuation<SecureChannel?, Never>?) }
      if let waiter = state.waiter.take() { return (true, waiter) }
      // Bounded by the places, which are kept until it is taken.
      state.channels.append((channel, place))
      return (true, nil)
    }
    if let waiter {
      place.leave()
      waiter.resume(returning: channel)
    }
    return isTaken
  }

  func next() async -> SecureChannel? {
    await withCheckedContinuation { continuation in
      let next: SecureChannel?? = state.withLock { state in
        if !state.channels.isEmpty {
          let (channel, place) = state.channels.removeFirst()
          place.leave()
          return .some(channel)
        }
        if state.isFinished { return .some(nil) }
        state.waiter = continuation
        return nil
      }
      if let next { continuation.resume(returning: next) }
    }
  }

  func finish() {
    let (waiter, channels) = state.withLock { state in
      state.isFinished = true
      defer { state.channels = [] }
      return (state.waiter.take(), state.channels)
    }
    waiter?.resume(returning: nil)
    for (channel, _) in channels { Task { await channel.close() } }
  }
}

/// Counts the connections that have not come through the handshake or were not taken, in all and for each address.
final class PendingConnections: Sendable {
  private struct State {
    var count = 0
    var perHost: [[UInt8]: Int] = [:]
  }
  private let state = Mutex(State())
  private let limit: Int
  private let limitPerHost: Int

  init(limit: Int, limitPerHost: Int) {
    self.limit = limit
    self.limitPerHost = limitPerHost
  }

  /// One connection's place, which is left once.
  final class Place: Sendable {
    private let host: [UInt8]
    private let pending: PendingConnections
    private let isLeft = Mutex(false)

    fileprivate init(host: [UInt8], pending: PendingConnections) {
      self.host = host
      self.pending = pending
    }

    /// Harmless when it was left already.
    func leave() {
      let isFirst = isLeft.withLock { isLeft in
        defer { isLeft = true }
        return !isLeft
      }
      if isFirst { pending.leave(host) }
    }
  }

  /// Nil if there are as many as may be.
  func enter(_ ip: IPAddress) -> Place? {
    let host = ip.network
    let isAdmitted = state.withLock { state in
      let ofHost = state.perHost[host] ?? 0
      guard state.count < limit, ofHost < limitPerHost else { return false }
      state.count += 1
      state.perHost[host] = ofHost + 1
      return true
    }
    return isAdmitted ? Place(host: host, pending: self) : nil
  }

  private func leave(_ host: [UInt8]) {
    state.withLock { state in
      state.count -= 1
      let left = (state.perHost[host] ?? 1) - 1
      state.perHost[host] = left > 0 ? left : nil
    }
  }

  var count: Int { state.withLock { $0.count } }
}
