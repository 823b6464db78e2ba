import HeadwaterModel

/// The digest of a set of operations that can be added to and taken from: how many, and the sum of their ids.
///
/// The sum is of the ids as unsigned big-endian numbers, modulo 2²⁵⁶ (*AdHash*, M. Bellare and D. Micciancio, "A
/// new paradigm for collision-free hashing", 1997). Whoever may choose some ten thousand operations can find two
/// sets of one sum with a generalised birthday attack, so nothing rests on a tally but speed: that two replicas
/// hold the same is decided by their frontiers (decision 0040).
public struct Tally: Sendable, Hashable {
  public private(set) var count: Int
  // Little-endian words.
  private var word0: UInt64
  private var word1: UInt64
  private var word2: UInt64
  private var word3: UInt64

  public static let zero = Tally()

  public init() { (count, word0, word1, word2, word3) = (0, 0, 0, 0, 0) }

  /// The tally of one operation.
  public init(_ id: Digest) {
    self.init()
    insert(id)
  }

  /// - Parameter sum: 32 bytes, as `sum` gives them; nil for any other number of them, or a negative count.
  public init?(count: Int, sum: [UInt8]) {
    guard count >= 0, let digest = Digest(bytes: sum) else { return nil }
    self.init(digest)
    self.count = count
  }

  /// The sum as 32 bytes, the most significant first.
  public var sum: [UInt8] {
    [word3, word2, word1, word0].flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) }
    }
  }

  public mutating func insert(_ id: Digest) {
    let words = id.withUnsafeBytes { raw in
      (
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self)),
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
      )
    }
    add(words.0, words.1, words.2, words.3)
    count &+= 1
  }

  private mutating func add(_ a0: UInt64, _ a1: UInt64, _ a2: UInt64, _ a3: UInt64) {
    var carry: UInt64 = 0
    Tally.add(&word0, a0, &carry)
    Tally.add(&word1, a1, &carry)
    Tally.add(&word2, a2, &carry)
    Tally.add(&word3, a3, &carry)
  }

  private static func add(_ word: inout UInt64, _ other: UInt64, _ carry: inout UInt64) {
    let (first, overflow) = word.addingReportingOverflow(other)
    let (second, more) = first.addingReportingOverflow(carry)
    word = second
    carry = overflow || more ? 1 : 0
  }

  public static func += (a: inout Tally, b: Tally) {
    a.add(b.word0, b.word1, b.word2, b.word3)
    a.count &+= b.count
  }

  /// What is left of `a` without the operations of `b`, all of which are in it.
  public static func -= (a: inout Tally, b: Tally) {
    // Two's complement: the inverted words and one.
    var one: UInt64 = 1
    var words = (~b.word0, ~b.word1, ~b.word2, ~b.word3)
    Tally.add(&words.0, 0, &one)
    Tally.add(&words.1, 0, &one)
    Tally.add(&words.2, 0, &one)
    Tally.add(&words.3, 0, &one)
    a.add(words.0, words.1, words.2, words.3)
    a.count &-= b.count
  }

  public static func - (a: Tally, b: Tally) -> Tally {
    var result = a
    result -= b
    return result
  }

  /// The first eight bytes of the hash of (the session's salt, the count as eight bytes, the sum).
  ///
  /// The salt is drawn when a session begins, so operations that were made before cannot have been chosen to
  /// collide in so few bytes.
  public func fingerprint(salt: [UInt8], hasher: some Hasher256) -> UInt64 {
    var bytes = salt
    bytes.reserveCapacity(salt.count + 40)
    withUnsafeBytes(of: UInt64(truncatingIfNeeded: count).bigEndian) { bytes += $0 }
    bytes += sum
    return hasher.hash(bytes).prefix
  }
}
