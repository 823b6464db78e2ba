import HeadwaterModel

/// What is remembered of those who misbehave, and for how long they are banned. Times in milliseconds.
struct BadConduct: Sendable {
  /// Whom something is remembered of: a principal, or an address (of IPv6, a network) for those who never said who they are.
  enum Subject: Hashable, Sendable {
    case principal(Digest)
    case host([UInt8])
  }

  private struct Record {
    // Points as of `time`; they are forgiven as time goes by.
    var points: Int64 = 0
    var time: Int64
    var bans = 0
    var bannedUntil: Int64?
    // When it was made: the same for nobody else, so that the order of records is certain.
    let number: UInt64
  }

  private let limits: PeerLimits
  private var records: [Subject: Record] = [:]
  private var nextNumber: UInt64 = 0

  init(limits: PeerLimits) { self.limits = limits }

  var count: Int { records.count }

  func isBanned(_ subject: Subject, now: Int64) -> Bool {
    guard let until = records[subject]?.bannedUntil else { return false }
    return now < until
  }

  func bannedUntil(_ subject: Subject) -> Int64? { records[subject]?.bannedUntil }

  /// The addresses, or networks, that are shut out now.
  func bannedHosts(now: Int64) -> Set<[UInt8]> {
    var hosts: Set<[UInt8]> = []
    for (subject, record) in records {
      if case .host(let host) = subject, let until = record.bannedUntil, now < until {
        hosts.insert(host)
      }
    }
    return hosts
  }

  /// Adds points; true if the subject is banned for it, now.
  mutating func add(_ points: Int64, to subject: Subject, now: Int64) -> Bool {
    if records[subject] == nil { nextNumber += 1 }
    var record = records[subject] ?? Record(time: now, number: nextNumber)
    record.points = remaining(record, now: now) + points
    record.time = now
    var isBanned = false
    if record.points >= limits.banScore, record.bannedUntil.map({ now >= $0 }) ?? true {
      // Twice as long each time; 30 doublings are for ever.
      let length = limits.firstBan << min(record.bans, 30)
      record.bannedUntil = now + max(limits.firstBan, min(length, limits.longestBan))
      record.bans += 1
      record.points = 0
      isBanned = true
    }
    if records[subject] == nil, records.count >= limits.records { forgetOne(now: now) }
    records[subject] = record
    return isBanned
  }

  private func remaining(_ record: Record, now: Int64) -> Int64 {
    max(0, record.points - max(0, now - record.time) / max(1, limits.forgiveness))
  }

  /// Forgets whatever has been forgiven.
  mutating func forget(now: Int64) {
    records = records.filter { _, record in
      // How often somebody was banned is remembered as long again as the longest ban.
      remaining(record, now: now) > 0 || (record.bannedUntil ?? 0) + limits.longestBan > now
    }
  }

  /// Makes room: by the one whose ban ends first, or that has the fewest points.
  private mutating func forgetOne(now: Int64) {
    let least = records.min { a, b in
      (a.value.bannedUntil ?? 0, remaining(a.value, now: now), a.value.number)
        < (b.value.bannedUntil ?? 0, remaining(b.value, now: now), b.value.number)
    }
    if let least { records[least.key] = nil }
  }
}
