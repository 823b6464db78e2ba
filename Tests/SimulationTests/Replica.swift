import HeadwaterLog
import HeadwaterModel
import HeadwaterSync

/// What can happen to a session.
enum Input: Sendable {
  case start
  case message([UInt8])
  case delivered(Outcome)
  case released(Outcome)
  case announce([Digest])
  case tick
}

typealias Outcome = Session.Outcome

/// A replica as the simulation drives it: with a cheap set of operations, or with a store.
protocol Replica: AnyObject {
  var database: Digest { get }
  /// Runs a session on one state of the replica.
  func step(_ session: Session, _ input: Input, at time: Int64) async throws -> (
    Session, [Session.Action]
  )
  /// Offers what came from the peer of that session.
  func deliver(_ batch: Session.Batch, from session: Int) async throws -> Outcome
  /// Offers again what came from the peer of that session and waits; nil if nothing comes of it.
  func retry(_ session: Int) async throws -> Outcome?
  /// Writes something; nil if there was nothing to write.
  func write(_ random: inout Seeded) async throws -> Digest?
  /// Forgets what is in memory only, as when a process dies.
  func restart() async throws
  /// Forgets what waits for a session's missing parents.
  func forget(_ session: Int) async
  func frontier() async throws -> [Digest]
  /// Operations as they travel that only an attacker would send, new or not; nil where there are none to be had.
  func forge(_ forgery: Forgery, _ random: inout Seeded) async throws -> Session.Batch?
}

/// What an attacker does with operations.
enum Forgery {
  /// It is not signed by its author.
  case badSignature
  /// Its parents do not exist, or are none that it may have.
  case parents
  /// It stands beside another of the same author, which other peers may get.
  case equivocation
  /// Its author signed it badly, and another well that comes after it.
  case vouched
}

extension Session {
  /// One input on one state.
  mutating func step(_ input: Input, at time: Int64, _ view: some ReplicaView) throws -> [Action] {
    switch input {
    case .start: try start(view)
    case .message(let bytes): try receive(bytes, at: time, view)
    case .delivered(let outcome): try delivered(outcome, at: time, view)
    case .released(let outcome): try released(outcome, at: time, view)
    case .announce(let ids): try announce(ids, at: time, view)
    case .tick: try tick(at: time, view)
    }
  }
}

/// A generator whose run a seed repeats.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
  mutating func happens(_ probability: Double) -> Bool {
    Double.random(in: 0..<1, using: &self) < probability
  }
}
