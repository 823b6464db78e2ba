import HeadwaterLog
import HeadwaterModel

/// Operations whose parents have not come, so many and no more: the first in is the first to go.
///
/// A value, without I/O. What is turned out can be offered again; what a store has admitted is never in here,
/// so nothing valid is lost by it.
struct WaitingRoom {
  private struct Guest {
    let item: VerifiedOperations.Item
    let missing: Digest
    /// Tells it from an earlier stay of the same operation.
    let ticket: Int
  }

  let maximumOperations: Int
  let maximumBytes: Int
  private var guests: [Digest: Guest] = [:]
  private var waiters: [Digest: Set<Digest>] = [:]
  /// In order of arrival; those who have left since are still in it until their turn comes.
  private var queue: [(id: Digest, ticket: Int)] = []
  private var first = 0
  private var tickets = 0
  private(set) var bytes = 0

  var count: Int { guests.count }

  init(maximumOperations: Int, maximumBytes: Int) {
    self.maximumOperations = max(1, maximumOperations)
    self.maximumBytes = max(1, maximumBytes)
  }

  /// The ids that somebody waits for, sorted.
  var missing: [Digest] { waiters.keys.sorted() }

  /// Those of them that do not wait themselves: whoever has these lets all the others in.
  var wanted: [Digest] { waiters.keys.filter { guests[$0] == nil }.sorted() }

  private static func size(_ item: VerifiedOperations.Item) -> Int {
    func size(_ operation: SignedOperation) -> Int {
      operation.body.count + operation.signature.count + operation.publicKey.count + 256
    }
    // Its body is kept read too.
    var bytes = size(item.signed) + item.signed.body.count
    if case .witnesses(let witnesses) = item.proof {
      bytes += witnesses.reduce(0) { $0 + size($1) }
    }
    return bytes
  }

  /// Lets an operation wait for one that is missing; returns the ids of those that had to go for it.
  mutating func add(_ item: VerifiedOperations.Item, missing: Digest) -> [Digest] {
    let id = item.id
    _ = remove(id)
    tickets += 1
    guests[id] = Guest(item: item, missing: missing, ticket: tickets)
    waiters[missing, default: []].insert(id)
    queue.append((id, tickets))
    bytes += WaitingRoom.size(item)
    var evicted: [Digest] = []
    while guests.count > maximumOperations || bytes > maximumBytes, first < queue.count {
      let (oldest, ticket) = queue[first]
      first += 1
      guard guests[oldest]?.ticket == ticket else { continue }
      _ = remove(oldest)
      evicted.append(oldest)
    }
    if first > 1_024, first * 2 > queue.count {
      queue.removeFirst(first)
      first = 0
    }
    return evicted
  }

  /// Takes out what waits for an operation, in the order of the ids.
  mutating func release(waitingFor id: Digest) -> [VerifiedOperations.Item] {
    (waiters[id] ?? []).sorted().compactMap { remove($0) }
  }

  private mutating func remove(_ id: Digest) -> VerifiedOperations.Item? {
    guard let guest = guests.removeValue(forKey: id) else { return nil }
    bytes -= WaitingRoom.size(guest.item)
    waiters[guest.missing]?.remove(id)
    if waiters[guest.missing]?.isEmpty ?? false { waiters[guest.missing] = nil }
    return guest.item
  }
}
