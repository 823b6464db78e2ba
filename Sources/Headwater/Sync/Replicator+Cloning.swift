import HeadwaterLog
import HeadwaterModel
import HeadwaterSync

extension Replicator {
  /// Fetches the first operation of the database that the peer at the other end has, and closes the channel.
  ///
  /// With it `Headwater.replicate` makes a replica, which then syncs over another channel. Whether it is the right
  /// database is for the caller to know: the id of the operation is the database's.
  ///
  /// - Parameters:
  ///   - database: the only database to take; nil for whichever it is.
  ///   - limit: how long it may take in all, signs of life from the peer or not.
  /// - Throws: `.database` if it is another one, `.timeout` past the limit, and whatever ends a session.
  public static func genesis(
    over channel: any Channel, suite: any CryptoSuite, database expected: Digest? = nil,
    limit: Duration = .milliseconds(SyncLimits.timeout)
  ) async throws(SyncError) -> SignedOperation {
    var result: Result<SignedOperation, SyncError>
    // Whoever waits for the peer wakes up when the channel closes.
    let alarm = Task {
      guard (try? await Task.sleep(for: limit)) != nil else { return false }
      await channel.close()
      return true
    }
    do {
      result = .success(try await firstOperation(channel, suite, expected))
    } catch let error as SyncError {
      result = .failure(error)
    } catch let error as ChannelError {
      result = .failure(SyncError(error.code == .timeout ? .timeout : .remote, error.message))
    } catch {
      result = .failure(SyncError(.storage, "\(error)"))
    }
    alarm.cancel()
    if await alarm.value, case .failure = result {
      result = .failure(
        SyncError(.timeout, "the peer did not send its database's beginning in \(limit)"))
    }
    await channel.close()
    return try result.get()
  }

  private static func firstOperation(
    _ channel: any Channel, _ suite: any CryptoSuite, _ expected: Digest?
  ) async throws -> SignedOperation {
    func next() async throws -> [UInt8] {
      guard let message = try await channel.receive() else {
        throw SyncError(
          .remote,
          "the peer closed the connection: it may not let this key connect (its schema's 'allow connect')"
        )
      }
      return PackedMessage.unpack(message)
    }
    let first = try await next()
    guard case .hello(let hello)? = try? SyncMessage.decode(first) else {
      throw SyncError(.malformed, "what came from the peer is no hello")
    }
    guard hello.suite == suite.identifier else {
      throw SyncError(.suite, "the peer's database uses cryptographic suite \(hello.suite)")
    }
    guard expected == nil || hello.database == expected else {
      throw SyncError(.database, "the peer has database \(hello.database.hex)")
    }
    // As a replica that has nothing yet would; no more is taken than the first operation needs.
    var options = Session.Options()
    options.window = 64 << 10
    let view = EmptyReplica()
    let nonce = suite.randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    var session = Session(
      database: hello.database, suite: hello.suite, hasher: suite, plan: FetchPlan(), nonce: nonce,
      now: 0, options: options)
    var actions = try session.start(view)
    var message = first
    for _ in 0..<1_024 {
      actions += try session.receive(message, at: 0, view)
      for action in actions {
        switch action {
        case .send(let bytes): try await channel.send(bytes)
        case .deliver(let batch):
          for bytes in batch.operations {
            guard let signed = try? SignedOperation.decode(bytes),
              suite.hash(signed.body) == hello.database
            else { continue }
            return signed
          }
        case .inSync: throw SyncError(.absent, "the peer does not have its database's beginning")
        case .close(let error): throw error ?? SyncError(.remote, "the peer ended the session")
        }
      }
      actions = []
      message = try await next()
    }
    throw SyncError(.absent, "the peer did not send its database's beginning")
  }
}

/// A replica that holds nothing at all.
private struct EmptyReplica: ReplicaView {
  var operations: SortedOperations { SortedOperations() }
  func frontier() -> [Digest] { [] }
  func numbers(of short: ShortID) -> [Int64] { [] }
  func number(of id: Digest) -> Int64? { nil }
  func missing(at heads: [Digest]) -> [Int64]? { nil }
  func operation(_ number: Int64) -> OutgoingOperation { OutgoingOperation(id: .zero, bytes: []) }
  func witnesses(for number: Int64) -> [[UInt8]] { [] }
}
