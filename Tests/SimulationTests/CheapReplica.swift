import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync

/// A set of operations that have parents and a size and mean nothing.
final class CheapReplica: Replica {
  static let suite = SodiumSuite()
  /// Operations that may wait for the parents of one session.
  static let room = 512

  struct Entry {
    let number: Int64
    let height: Int64
    let parents: [Digest]
    let encoded: [UInt8]
  }

  let database: Digest
  private(set) var entries: [Digest: Entry] = [:]
  private var byNumber: [Digest] = []
  private(set) var operations = SortedOperations()
  private var heads: Set<Digest> = []
  private var waiting: [Int: [(id: Digest, encoded: [UInt8])]] = [:]
  private let author: UInt8
  /// Whether it now and then writes an operation that is longer than a message.
  var writesLong = true
  private var writes: UInt32 = 0

  init(author: UInt8, genesis: [UInt8]) {
    self.author = author
    database = CheapReplica.id(genesis) ?? .zero
    _ = admit(database, genesis)
  }

  // MARK: Operations

  /// An operation of those parents: their ids, then who wrote it, which of his it is, and filling.
  static func encode(parents: [Digest], author: UInt8, number: UInt32, size: Int, isGood: Bool)
    -> [UInt8]
  {
    var body: [UInt8] = [UInt8(parents.count)]
    for parent in parents { body += parent.bytes }
    body.append(author)
    withUnsafeBytes(of: number.bigEndian) { body += $0 }
    body += [UInt8](repeating: 7, count: size)
    return SignedOperation(body: body, suite: 1, publicKey: [], signature: [isGood ? 1 : 0])
      .encode()
  }

  static func id(_ encoded: [UInt8]) -> Digest? {
    (try? SignedOperation.decode(encoded)).map { suite.hash($0.body) }
  }

  private static func parents(_ encoded: [UInt8]) -> [Digest]? {
    guard let signed = try? SignedOperation.decode(encoded), signed.signature == [1],
      let count = signed.body.first, signed.body.count >= 1 + 32 * Int(count)
    else { return nil }
    return (0..<Int(count)).compactMap { index in
      Digest(bytes: signed.body[1 + 32 * index..<33 + 32 * index])
    }
  }

  private enum Admission {
    case known, admitted, rejected
    case waits(Digest)
  }

  private func admit(_ id: Digest, _ encoded: [UInt8]) -> Admission {
    if entries[id] != nil { return .known }
    guard let parents = CheapReplica.parents(encoded), !parents.isEmpty || entries.isEmpty else {
      return .rejected
    }
    var height: Int64 = 0
    for parent in parents {
      guard let entry = entries[parent] else { return .waits(parent) }
      height = max(height, entry.height + 1)
    }
    byNumber.append(id)
    entries[id] = Entry(
      number: Int64(byNumber.count), height: height, parents: parents, encoded: encoded)
    operations.insert(OperationKey(height: height, id: id))
    for parent in parents { heads.remove(parent) }
    heads.insert(id)
    return .admitted
  }

  func deliver(_ batch: Session.Batch, from session: Int) -> Outcome {
    var outcome = Outcome()
    var queue = (waiting.removeValue(forKey: session) ?? [])
    for encoded in batch.operations {
      guard let id = CheapReplica.id(encoded) else {
        outcome.rejected += 1
        continue
      }
      queue.append((id, encoded))
    }
    var isProgress = true
    while isProgress {
      isProgress = false
      var rest: [(id: Digest, encoded: [UInt8])] = []
      outcome.missing = []
      for (id, encoded) in queue {
        switch admit(id, encoded) {
        case .known: outcome.known.append(id)
        case .rejected: outcome.rejected += 1
        case .admitted:
          outcome.admitted.append(id)
          isProgress = true
        case .waits(let parent):
          rest.append((id, encoded))
          outcome.missing.append(parent)
        }
      }
      queue = rest
    }
    let own = Set(queue.map(\.id))
    outcome.missing = Set(outcome.missing).subtracting(own).sorted()
    outcome.waiting = queue.map(\.id)
    outcome.evicted = queue.dropLast(CheapReplica.room).map(\.id)
    waiting[session] = queue.suffix(CheapReplica.room)
    return outcome
  }

  func retry(_ session: Int) -> Outcome? {
    guard !(waiting[session] ?? []).isEmpty else { return nil }
    let outcome = deliver(Session.Batch([]), from: session)
    return outcome.admitted.isEmpty && outcome.known.isEmpty && outcome.rejected == 0
      ? nil : outcome
  }

  func write(_ random: inout Seeded) -> Digest? {
    writes += 1
    let size = writesLong && random.happens(0.01) ? 400_000 : Int.random(in: 0...40, using: &random)
    let encoded = CheapReplica.encode(
      parents: Array(heads.sorted().prefix(16)), author: author, number: writes, size: size,
      isGood: true)
    guard let id = CheapReplica.id(encoded) else { return nil }
    _ = admit(id, encoded)
    return id
  }

  func forge(_ forgery: Forgery, _ random: inout Seeded) -> Session.Batch? {
    forged(forgery, &random).map { Session.Batch([$0]) }
  }

  private func forged(_ forgery: Forgery, _ random: inout Seeded) -> [UInt8]? {
    switch forgery {
    // These operations have no chains in which one could vouch for another.
    case .vouched: return nil
    case .badSignature:
      return CheapReplica.encode(
        parents: [database], author: 66, number: UInt32.random(in: 0..<9, using: &random), size: 3,
        isGood: false)
    case .parents:
      return CheapReplica.encode(
        parents: [CheapReplica.suite.hash([UInt8.random(in: 0...255, using: &random)])], author: 66,
        number: UInt32.random(in: 0..<99, using: &random), size: 3, isGood: true)
    case .equivocation:
      guard let last = byNumber.last, let parents = entries[last]?.parents, !parents.isEmpty else {
        return nil
      }
      return CheapReplica.encode(
        parents: parents, author: author, number: writes, size: 99 + byNumber.count % 7,
        isGood: true)
    }
  }

  func restart() { waiting = [:] }
  func forget(_ session: Int) { waiting[session] = nil }
  func frontier() -> [Digest] { heads.sorted() }

  // MARK: Sessions

  struct View: ReplicaView {
    let replica: CheapReplica

    var operations: SortedOperations { replica.operations }
    func frontier() -> [Digest] { replica.frontier() }
    func numbers(of short: ShortID) -> [Int64] {
      guard replica.operations.contains(short) else { return [] }
      return replica.entries.filter { $0.key.prefix == short }.map(\.value.number).sorted()
    }
    func number(of id: Digest) -> Int64? { replica.entries[id]?.number }
    func operation(_ number: Int64) -> OutgoingOperation {
      let id = replica.byNumber[Int(number) - 1]
      return OutgoingOperation(id: id, bytes: replica.entries[id]?.encoded ?? [])
    }
    func witnesses(for number: Int64) -> [[UInt8]] { [] }
    func missing(at heads: [Digest]) -> [Int64]? {
      var seen: Set<Digest> = []
      var queue = heads
      while let next = queue.popLast() {
        guard seen.insert(next).inserted else { continue }
        guard let entry = replica.entries[next] else { return nil }
        queue += entry.parents
      }
      return (1...Int64(replica.byNumber.count)).filter {
        !seen.contains(replica.byNumber[Int($0) - 1])
      }
    }
  }

  func step(_ session: Session, _ input: Input, at time: Int64) throws -> (
    Session, [Session.Action]
  ) {
    var session = session
    let actions = try session.step(input, at: time, View(replica: self))
    return (session, actions)
  }
}
