import HeadwaterLog
import HeadwaterModel

/// Finds out in few messages which operations two replicas do not share.
///
/// Range-based set reconciliation (A. Meyer, "Range-Based Set Reconciliation", 2022) in canonical order: who is
/// asked compares fingerprints of ranges with its own, and answers with those of parts, or with the operations
/// where there are few. No state is kept between messages: each is answered from the set as it is then, so the
/// two sets may grow meanwhile. Pure: no I/O, clock or randomness.
public struct Reconciler: Sendable {
  /// What comes of a message.
  public struct Answer: Sendable {
    /// What to send; nil if the message asked for nothing.
    public var reply: RangeMessage?
    /// What the other replica has and this one lacks, in the order in which it was named: that is canonical
    /// order in all that one message says, but messages may repeat what an earlier one said.
    public var needs: [ShortID] = []

    /// Whether the reconciliation ends with this: nobody has to answer any more.
    public var isLast: Bool { !(reply?.isQuestion ?? false) }
  }

  private let hasher: any Hasher256
  private let salt: [UInt8]
  /// About how many bytes a message may take.
  private let limit: Int

  /// A range that differs is cut into so many parts.
  static let fanOut = 16
  /// So few operations are listed, not cut.
  static let listed = 24
  /// The same is true of the newest so many, if all that is newer differs too: then differences are dense.
  static let recent = 1_024

  /// - Parameters:
  ///   - salt: what both replicas drew for this session, the opener's first.
  ///   - limit: about how many bytes a message may take; at least 1,024.
  public init(
    hasher: any Hasher256, salt: [UInt8], limit: Int = SyncLimits.rangeMessageBytes
  ) {
    self.hasher = hasher
    self.salt = salt
    self.limit = max(1_024, limit)
  }

  // MARK: Opening

  /// The first message: fingerprints of ranges that get shorter, by half each, towards the newest operations.
  public func open(_ set: some OperationSet) throws -> RangeMessage {
    let count = try set.count
    var builder = try Builder(set, limit: limit, fingerprint: fingerprint)
    guard count > Reconciler.listed else {
      try builder.list(0..<count, upTo: .end)
      return builder.message
    }
    var cuts: [Int] = []
    var length = 8
    var rank = count - length
    while rank > 0 {
      cuts.append(rank)
      length *= 2
      rank -= length
    }
    var lower = 0
    for cut in cuts.reversed() + [count] {
      try builder.fingerprint(lower..<cut, upTo: try builder.bound(at: cut))
      lower = cut
    }
    return builder.message
  }

  private func fingerprint(_ tally: Tally) -> UInt64 {
    func opened(_ hasher: some Hasher256) -> UInt64 {
      tally.fingerprint(salt: salt, hasher: hasher)
    }
    return opened(hasher)
  }

  // MARK: Answering

  /// Answers a message of the other replica.
  public func answer(_ message: RangeMessage, _ set: some OperationSet) throws -> Answer {
    var answer = Answer()
    var builder = try Builder(set, limit: limit, fingerprint: fingerprint)
    var known: Set<ShortID> = []
    func need(_ ids: [ShortID], where isNeeded: (ShortID) throws -> Bool) rethrows {
      for id in ids where try isNeeded(id) && known.insert(id).inserted { answer.needs.append(id) }
    }
    let (parts, dense) = try compare(message, set)
    for (index, (range, part)) in zip(message.ranges, parts).enumerated() {
      switch range.content {
      case .skip: builder.skip(upTo: range.upper)
      case .offer(let ids):
        try need(ids) { try !set.contains($0) }
        builder.skip(upTo: range.upper)
      case .fingerprint(let count, _):
        if part.isSame {
          builder.skip(upTo: range.upper)
        } else {
          try describe(
            part.ranks, upTo: range.upper, theirs: count, isDense: index >= dense, &builder)
        }
      case .list(let ids):
        let (mine, isAll) = try builder.offer(part.ranks, upTo: range.upper, except: Set(ids))
        try need(ids) { try isAll ? !mine.contains($0) : !set.contains($0) }
      }
    }
    if message.isQuestion { answer.reply = builder.message }
    return answer
  }

  /// The ranks of each range and whether its fingerprint is the same here; and from which range on all differ.
  private func compare(_ message: RangeMessage, _ set: some OperationSet) throws -> (
    parts: [(ranks: Range<Int>, isSame: Bool)], dense: Int
  ) {
    var parts: [(ranks: Range<Int>, isSame: Bool)] = []
    parts.reserveCapacity(message.ranges.count)
    var lower = 0
    var dense = 0
    for (index, range) in message.ranges.enumerated() {
      let upper = range.upper == .end ? try set.count : try set.rank(of: range.upper)
      let ranks = lower..<max(lower, upper)
      lower = ranks.upperBound
      var isSame = false
      if case .fingerprint(let count, let theirs) = range.content {
        let tally = try set.tally(ranks)
        isSame = tally.count == count && fingerprint(tally) == theirs
        if isSame { dense = index + 1 }
      }
      parts.append((ranks, isSame))
    }
    return (parts, dense)
  }

  /// Says what is needed of a range in which the two differ.
  ///
  /// - Parameter isDense: whether all that is newer differs too.
  private func describe<S: OperationSet>(
    _ ranks: Range<Int>, upTo upper: Bound, theirs: Int, isDense: Bool, _ builder: inout Builder<S>
  ) throws {
    let mine = ranks.count
    if theirs == 0 {
      _ = try builder.offer(ranks, upTo: upper, except: [])
    } else if mine <= Reconciler.listed
      || isDense && ranks.lowerBound >= builder.count - Reconciler.recent
      // At least half of them are missing over there.
      || mine / 2 >= theirs
      // It is the other who has most to tell, and can when it knows these.
      || mine <= Reconciler.recent && theirs / 2 >= mine
    {
      try builder.list(ranks, upTo: upper)
    } else {
      var lower = ranks.lowerBound
      for part in 1...Reconciler.fanOut {
        let cut = ranks.lowerBound + mine * part / Reconciler.fanOut
        try builder.fingerprint(
          lower..<cut, upTo: part == Reconciler.fanOut ? upper : try builder.bound(at: cut))
        lower = cut
      }
    }
  }
}

/// Puts ranges together into a message of limited size. Once that is full, one fingerprint stands for all the rest,
/// so that the next messages go on from there.
private struct Builder<S: OperationSet> {
  let set: S
  let count: Int
  private let limit: Int
  private let fingerprint: (Tally) -> UInt64
  private var ranges: [RangeMessage.Range] = []
  private var bytes = 8
  /// Where the last range ends: bound and rank.
  private var end: (bound: Bound, rank: Int) = (.start, 0)
  /// Up to where what follows the last range is settled.
  private var settled: Bound?
  private var isFull = false

  /// No range takes more than this beside what it lists.
  private static var overhead: Int { 64 }

  init(_ set: S, limit: Int, fingerprint: @escaping (Tally) -> UInt64) throws {
    self.set = set
    count = try set.count
    self.limit = limit - 3 * Builder.overhead
    self.fingerprint = fingerprint
  }

  /// The shortest bound before the operation with that rank.
  func bound(at rank: Int) throws -> Bound {
    guard rank < count else { return .end }
    let keys = try set.keys(max(0, rank - 1)..<rank + 1)
    guard let key = keys.last else { return .end }
    return Bound(between: keys.count > 1 ? keys[0] : nil, and: key)
  }

  private mutating func append(
    _ ranks: Range<Int>, upTo upper: Bound, _ content: RangeMessage.Content, size: Int
  ) {
    if let settled {
      ranges.append(RangeMessage.Range(upTo: settled, .skip))
      bytes += Builder.overhead / 2
      self.settled = nil
    }
    ranges.append(RangeMessage.Range(upTo: upper, content))
    bytes += size
    end = (upper, ranks.upperBound)
  }

  mutating func skip(upTo upper: Bound) {
    if !isFull { settled = upper }
  }

  mutating func fingerprint(_ ranks: Range<Int>, upTo upper: Bound) throws {
    guard try makesRoom(at: ranks.lowerBound) else { return }
    let tally = try set.tally(ranks)
    append(
      ranks, upTo: upper, .fingerprint(count: tally.count, fingerprint(tally)), size: 32)
  }

  /// Lists all operations with those ranks, or as many as there is room for.
  mutating func list(_ ranks: Range<Int>, upTo upper: Bound) throws {
    guard try makesRoom(at: ranks.lowerBound, bytes: min(512, 8 * ranks.count)) else { return }
    let room = (limit - bytes) / 8
    let part = ranks.lowerBound..<min(ranks.upperBound, ranks.lowerBound + room)
    let ids = try set.keys(part).map(\.id.prefix)
    append(
      part, upTo: part == ranks ? upper : try bound(at: part.upperBound), .list(ids),
      size: Builder.overhead + 8 * ids.count)
    if part != ranks { try close(at: part.upperBound) }
  }

  /// Offers the operations with those ranks that are not in `listed`, or as many of them as there is room for.
  ///
  /// Returns the short ids that were looked at, and whether these are all of the range.
  mutating func offer(_ ranks: Range<Int>, upTo upper: Bound, except listed: Set<ShortID>) throws
    -> (seen: Set<ShortID>, isAll: Bool)
  {
    guard try makesRoom(at: ranks.lowerBound, bytes: min(512, 8 * ranks.count)) else {
      return ([], false)
    }
    let room = (limit - bytes) / 8
    var seen: Set<ShortID> = []
    var ids: [ShortID] = []
    var rank = ranks.lowerBound
    while rank < ranks.upperBound, ids.count < room {
      // Never more than there is room for, even if none of them is listed.
      let page = rank..<min(ranks.upperBound, rank + min(1_024, room - ids.count))
      for key in try set.keys(page) {
        seen.insert(key.id.prefix)
        if !listed.contains(key.id.prefix) { ids.append(key.id.prefix) }
      }
      rank = page.upperBound
    }
    let isAll = rank == ranks.upperBound
    if ids.isEmpty, isAll {
      skip(upTo: upper)
    } else {
      append(
        ranks.lowerBound..<rank, upTo: isAll ? upper : try bound(at: rank), .offer(ids),
        size: Builder.overhead + 8 * ids.count)
    }
    if !isAll { try close(at: rank) }
    return (seen, isAll)
  }

  /// Whether there is room for one more range; if not, the message is closed.
  private mutating func makesRoom(at rank: Int, bytes more: Int = 0) throws -> Bool {
    if isFull { return false }
    if bytes + more < limit, ranges.count < SyncLimits.rangesPerMessage - 3 { return true }
    try close(at: rank)
    return false
  }

  /// Lets one fingerprint stand for everything from `rank` on.
  private mutating func close(at rank: Int) throws {
    isFull = true
    let tally = try set.tally(rank..<count)
    append(
      rank..<count, upTo: .end, .fingerprint(count: tally.count, fingerprint(tally)), size: 32)
  }

  var message: RangeMessage { RangeMessage(ranges) }
}
