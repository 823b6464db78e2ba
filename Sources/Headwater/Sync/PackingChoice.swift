/// Whether to pack the next message of operations: where the line is slower than packing, and not where packing is what
/// takes the time (decision 0044).
///
/// A value without a clock: it is told how long packing and sending took.
struct PackingChoice {
  /// One in so many messages is packed in any case, to see what that takes now.
  private static let sample = 16

  private var untilSample = 0
  /// Seconds a byte, and bytes on the line for a byte, lately; nil before anything was packed.
  private var packing: (seconds: Double, ratio: Double)?
  /// Seconds a byte on the line, lately.
  private var sending: Double?

  /// Whether to pack the next message; ask once for each.
  mutating func next() -> Bool {
    guard let packing, let sending else { return true }
    if untilSample == 0 {
      untilSample = PackingChoice.sample
      return true
    }
    untilSample -= 1
    return packing.seconds < (1 - packing.ratio) * sending
  }

  /// A message was packed.
  mutating func packed(_ bytes: Int, to packedBytes: Int, in seconds: Double) {
    guard bytes > 0 else { return }
    let (now, ratio) = (seconds / Double(bytes), Double(packedBytes) / Double(bytes))
    packing = (
      PackingChoice.average(packing?.seconds, now), PackingChoice.average(packing?.ratio, ratio)
    )
  }

  /// So many bytes were taken by the channel, which takes no more than the line does in the long run.
  mutating func sent(_ bytes: Int, in seconds: Double) {
    guard bytes > 0 else { return }
    sending = PackingChoice.average(sending, seconds / Double(bytes))
  }

  private static func average(_ before: Double?, _ now: Double) -> Double {
    before.map { $0 + (now - $0) / 8 } ?? now
  }
}
