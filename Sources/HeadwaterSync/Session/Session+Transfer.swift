import HeadwaterLog
import HeadwaterModel

// Transfer: asking for operations and taking them; sending what was asked for, as far as the peer allows.

extension Session {
  // MARK: Fetching

  /// Asks for those of the operations that are not here.
  mutating func fetch(_ ids: [Digest], _ view: some ReplicaView, _ out: inout [Action]) throws {
    var whole: [Digest] = []
    for id in ids where try view.number(of: id) == nil && !askedIDs.contains(id) {
      if try view.operations.contains(id.prefix) {
        // Another operation has its short id.
        if askedIDs.count + whole.count < SyncLimits.wanted { whole.append(id) }
      } else if !asked.contains(id.prefix) {
        needs.append(id.prefix)
      }
    }
    guard !whole.isEmpty else { return }
    askedIDs.formUnion(whole)
    send(.wantIDs(whole), &out)
  }

  /// Asks for more of what is needed, as far as nobody else was asked for it.
  mutating func fetchMore(_ view: some ReplicaView, _ out: inout [Action]) throws {
    if holdsStream, !isStreaming, delivering.isEmpty {
      holdsStream = false
      plan.releaseStream(of: number)
    }
    // What was asked for is in what the peer would stream, and so is what waits to be offered again.
    if peerIsAhead != nil, !isStreaming, asked.isEmpty, delivering.isEmpty,
      try waiting.isEmpty || missing.contains(where: { try view.number(of: $0) == nil }),
      plan.claimStream(for: number, at: now)
    {
      peerIsAhead = nil
      if try view.frontier().prefix(SyncLimits.heads).elementsEqual(ownHeads) {
        isStreaming = true
        holdsStream = true
        send(.wantAll(round: round), &out)
      } else {
        // Something came from elsewhere meanwhile: the peer would send that again.
        plan.releaseStream(of: number)
        wantsRound = true
      }
    }
    // Parents that nobody has sent, though everything else was.
    if comparison == .settled, !isStreaming, nextNeed == needs.count, asked.isEmpty,
      delivering.isEmpty, !missing.isEmpty
    {
      try fetch(missing, view, &out)
      missing = []
    }
    // What is streamed need not be asked for, nor what was and is not admitted yet.
    while !holdsStream, nextNeed < needs.count, asked.count <= SyncLimits.wanted / 2 {
      let page = needs[nextNeed..<min(needs.count, nextNeed + SyncLimits.wanted / 4)]
      let lacking = try page.filter {
        try !view.operations.contains($0) && !asked.contains($0) && !waiting.contains($0)
      }
      let claimed = plan.claim(lacking, for: number, at: now)
      if !claimed.isEmpty {
        asked.formUnion(claimed)
        send(.want(claimed), &out)
      }
      nextNeed += page.count
      if claimed.count < lacking.count {
        // Others were asked for these. They are looked at again after the rest.
        let mine = Set(claimed)
        needs += lacking.filter { !mine.contains($0) }
        if claimed.isEmpty { break }
      }
    }
    if nextNeed > 4_096 || nextNeed == needs.count {
      needs.removeFirst(nextNeed)
      nextNeed = 0
    }
  }

  mutating func take(_ message: SyncMessage, _ view: some ReplicaView, _ out: inout [Action])
    throws
  {
    owedSince = nil
    switch message {
    case .operations(let operations): try take(Batch(operations), view, &out)
    case .witnessed(let operations, let witnesses):
      guard !operations.isEmpty, !witnesses.isEmpty else {
        throw SyncError(.malformed, "the peer sends witnesses for nothing")
      }
      try take(Batch(operations, witnesses: witnesses), view, &out)
    case .part(let isLast, let bytes):
      try spend(bytes.count)
      guard !bytes.isEmpty, partial.count + bytes.count <= Limits.operationBytes + 131_072 else {
        throw SyncError(.flood, "the peer sends an operation that is longer than any may be")
      }
      partial += bytes
      if isLast {
        let whole = partial
        partial = []
        // The bytes of the earlier parts were allowed again when they came.
        toAllow -= whole.count - bytes.count
        try accept(Batch([whole]), view, &out)
      } else {
        toAllow += bytes.count
      }
    case .absent(let ids):
      let absent = ids.filter { asked.remove($0) != nil }
      plan.release(absent, of: number)
      guard absent.count == ids.count, !ids.isEmpty else {
        throw SyncError(.malformed, "the peer lacks what nobody asked for")
      }
      absences += absent.count
      guard absences <= 64 else {
        throw SyncError(.absent, "the peer does not have what it says it has")
      }
    case .end(let round):
      guard isStreaming, round == self.round else {
        throw SyncError(.malformed, "the peer ends what has not begun")
      }
      isStreaming = false
    default: break
    }
  }

  private mutating func take(_ batch: Batch, _ view: some ReplicaView, _ out: inout [Action]) throws
  {
    try spend(Session.byteCount(batch.operations) + Session.byteCount(batch.witnesses))
    guard partial.isEmpty else {
      throw SyncError(.malformed, "the peer interrupts an operation with others")
    }
    try accept(batch, view, &out)
  }

  private static func byteCount(_ operations: [[UInt8]]) -> Int {
    operations.reduce(0) { $0 + $1.count }
  }

  private mutating func spend(_ bytes: Int) throws {
    allowance -= bytes
    // The last message may go beyond what is left, by less than a message.
    guard bytes > 0 else { throw SyncError(.malformed, "the peer sends nothing at length") }
    guard allowance > -ChannelLimits.messageBytes else {
      throw SyncError(.flood, "the peer sends more than it was allowed")
    }
  }

  private mutating func accept(
    _ batch: Batch, _ view: some ReplicaView, _ out: inout [Action]
  ) throws {
    let bytes = Session.byteCount(batch.operations) + Session.byteCount(batch.witnesses)
    var came: [ShortID] = []
    var fresh: [[UInt8]] = []
    var ids: [Digest] = []
    fresh.reserveCapacity(batch.operations.count)
    ids.reserveCapacity(batch.operations.count)
    for operation in batch.operations {
      report.operationsReceived += 1
      guard let id = Session.id(operation, hasher) else {
        throw SyncError(.malformed, "what the peer sent is no operation")
      }
      known.insert(id)
      var isAsked = askedIDs.remove(id) != nil || isStreaming
      if asked.remove(id.prefix) != nil {
        came.append(id.prefix)
        isAsked = true
      }
      // What was pushed has often come from somebody else: then nobody need verify it again.
      if try !isAsked && view.number(of: id) != nil {
        report.repeated += 1
      } else {
        fresh.append(operation)
        ids.append(id)
      }
    }
    plan.note(bytes, from: number, at: now)
    report.operationBytesReceived += bytes
    guard !fresh.isEmpty else {
      toAllow += bytes
      return
    }
    delivering.append((fresh.count, bytes, came))
    out.append(.deliver(Batch(fresh, ids: ids, witnesses: batch.witnesses)))
  }

  /// The id of an operation as it travels, if it is one.
  static func id(_ encoded: [UInt8], _ hasher: any Hasher256) -> Digest? {
    var reader = CanonicalReader(encoded)
    guard let count = try? reader.arrayHeader(), count == 4,
      let range = try? reader.byteStringRange()
    else { return nil }
    return encoded.withUnsafeBytes { hasher.hash(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  /// Lets the peer send as much again as was admitted.
  mutating func allow(_ out: inout [Action]) {
    guard toAllow >= options.window / 8 else { return }
    allowance += toAllow
    send(.credit(UInt64(toAllow)), &out)
    toAllow = 0
  }

  // MARK: Serving

  mutating func serve(_ message: SyncMessage, _ view: some ReplicaView, _ out: inout [Action])
    throws
  {
    guard try report.operationsSent <= 2 * view.operations.count + 65_536 else {
      throw SyncError(.flood, "the peer asks for the same operations again and again")
    }
    switch message {
    case .wantAll(let round):
      guard round == self.round, let stream else {
        throw SyncError(.malformed, "the peer wants all of nothing")
      }
      self.stream = nil
      streaming = round
      outbox += stream
    case .want(let ids):
      guard !ids.isEmpty, outbox.count - nextNumber + ids.count <= 2 * SyncLimits.wanted else {
        throw SyncError(.flood, "the peer asks for more than it may")
      }
      var absent: [ShortID] = []
      for id in ids {
        let numbers = try view.numbers(of: id)
        if numbers.isEmpty { absent.append(id) } else { outbox += numbers }
      }
      if !absent.isEmpty { send(.absent(absent), &out) }
    case .wantIDs(let ids):
      guard !ids.isEmpty, outbox.count - nextNumber + ids.count <= 2 * SyncLimits.wanted else {
        throw SyncError(.flood, "the peer asks for more than it may")
      }
      for id in ids {
        guard let number = try view.number(of: id) else {
          throw SyncError(.absent, "the peer asks for an operation that was never offered")
        }
        outbox.append(number)
      }
    case .credit(let bytes):
      credit = Int(clamping: Int64(clamping: bytes).addingReportingOverflow(Int64(credit)).0)
      guard credit >= 0, bytes <= UInt64(Limits.operationBytes) else {
        throw SyncError(.malformed, "the peer allows more than can be")
      }
      if uncredited > 0 {
        // It is taking what was sent before that for which it owes something.
        uncredited = max(0, uncredited - Int(bytes))
        if bytes > 0 { owedSince = nil }
      }
    default: break
    }
  }

  /// Sends what was asked for, as far as the peer allows.
  mutating func pump(_ view: some ReplicaView, _ out: inout [Action]) throws {
    while credit > 0 {
      if let piece = pieces.first {
        pieces.removeFirst()
        credit -= piece.bytes.count
        uncredited += piece.bytes.count
        report.operationBytesSent += piece.bytes.count
        send(.part(isLast: piece.isLast, piece.bytes), &out)
        continue
      }
      let batch = try gather(view)
      if !batch.operations.isEmpty {
        let bytes = Session.byteCount(batch.operations) + Session.byteCount(batch.witnesses)
        credit -= bytes
        uncredited += bytes
        report.operationsSent += batch.operations.count
        report.operationBytesSent += bytes
        isFruitful = true
        idleBudget = SyncLimits.idleMessages
        send(
          batch.witnesses.isEmpty
            ? .operations(batch.operations) : .witnessed(batch.operations, by: batch.witnesses),
          &out)
      } else if pieces.isEmpty {
        break
      }
    }
    if outbox.isEmpty, pieces.isEmpty, let round = streaming {
      streaming = nil
      send(.end(round: round), &out)
    }
  }

  /// Takes what the next message carries from the outbox.
  ///
  /// What is badly signed goes with what proves it: the operation that vouches for it, if that is among these, or
  /// witnesses.
  private mutating func gather(_ view: some ReplicaView) throws -> Batch {
    var taken: [OutgoingOperation] = []
    var numbers: [Int64] = []
    var bytes = 0
    while nextNumber < outbox.count, bytes < min(SyncLimits.batchBytes, credit),
      taken.count < mostPerMessage
    {
      let operation = try view.operation(outbox[nextNumber])
      let size = operation.bytes.count
      if size > SyncLimits.batchBytes {
        if !taken.isEmpty { break }
        pieces = Session.cut(operation.bytes)
        nextNumber += 1
        report.operationsSent += 1
        break
      }
      if bytes + size > 2 * SyncLimits.batchBytes { break }
      bytes += size
      taken.append(operation)
      numbers.append(outbox[nextNumber])
      nextNumber += 1
    }
    var witnesses = try self.witnesses(for: taken, numbers, view)
    while witnesses == nil {
      // One operation and its witnesses have room in a message.
      let rest = taken.count / 2
      taken.removeLast(rest)
      numbers.removeLast(rest)
      nextNumber -= rest
      mostPerMessage = taken.count
      witnesses = try self.witnesses(for: taken, numbers, view)
    }
    mostPerMessage = min(SyncLimits.wanted, max(mostPerMessage, 2 * taken.count))
    for operation in taken { known.insert(operation.id) }
    if nextNumber > 65_536 || nextNumber == outbox.count {
      outbox.removeFirst(nextNumber)
      nextNumber = 0
    }
    return Batch(taken.map(\.bytes), witnesses: witnesses ?? [])
  }

  /// What proves those of them that these do not prove themselves; nil where that is too long for a message.
  private func witnesses(
    for operations: [OutgoingOperation], _ numbers: [Int64], _ view: some ReplicaView
  ) throws -> [[UInt8]]? {
    try Vouching.witnesses(
      for: operations.map { ($0.id, $0.voucher) }, atMost: SyncLimits.batchBytes,
      byteCount: \.count, find: { try view.witnesses(for: numbers[$0]) })
  }

  private static func cut(_ operation: [UInt8]) -> [(isLast: Bool, bytes: [UInt8])] {
    stride(from: 0, to: operation.count, by: SyncLimits.batchBytes).map { start in
      let end = min(start + SyncLimits.batchBytes, operation.count)
      return (end == operation.count, Array(operation[start..<end]))
    }
  }

  /// Sends new operations that the peer does not have, if they are few and nothing else is going on; otherwise a round
  /// will find them.
  mutating func push(_ ids: [Digest], _ view: some ReplicaView, _ out: inout [Action]) throws {
    let fresh = ids.filter { !known.contains($0) }
    guard !fresh.isEmpty, isLive || !report.isInSync else { return }
    if report.isInSync, comparison == .settled, next == nil, !wantsRound,
      fresh.count <= SyncLimits.pushed, credit > 0
    {
      for id in fresh {
        known.insert(id)
        if let number = try view.number(of: id) { outbox.append(number) }
      }
    } else {
      wantsRound = true
    }
  }
}
