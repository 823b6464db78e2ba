/// A map from local numbers to values.
///
/// Where a cascade goes over a hundred thousand rows, looking them up in `Dictionary` is a quarter of the work:
/// it hashes with a keyed function, against keys that an attacker chooses. Local numbers are given by the
/// store, so that a multiplication spreads them well enough (D. Knuth, The Art of Computer Programming 3,
/// 6.4). Open addressing with linear probing, at most half full; what is removed leaves no gap behind.
/// The order of iteration is that of the slots: nothing that is stored may depend on it.
struct NumberMap<Value> {
  /// Stands where a slot is free, and is no number of anything: it never has a value.
  private static var free: Int64 { .min }
  private var keys: [Int64] = []
  private var slots: [Value?] = []
  private(set) var count = 0
  private var shift: UInt64 = 64

  var isEmpty: Bool { count == 0 }

  subscript(number: Int64) -> Value? {
    get {
      guard count > 0 else { return nil }
      let slot = find(number)
      return slots[slot]
    }
    set {
      if let newValue { _ = update(number, newValue) } else { remove(number) }
    }
  }

  func contains(_ number: Int64) -> Bool { count > 0 && slots[find(number)] != nil }

  /// Sets the value of a number, and returns the one that it had.
  mutating func update(_ number: Int64, _ value: Value) -> Value? {
    guard number != Self.free else { return nil }
    if count * 2 >= keys.count { resize(max(16, keys.count * 2)) }
    let slot = find(number)
    if keys[slot] == number {
      let old = slots[slot]
      slots[slot] = value
      return old
    }
    keys[slot] = number
    slots[slot] = value
    count += 1
    return nil
  }

  mutating func remove(_ number: Int64) {
    guard count > 0 else { return }
    var gap = find(number)
    guard slots[gap] != nil else { return }
    count -= 1
    // What stands behind the gap and could stand in it moves up.
    let mask = keys.count - 1
    var slot = gap
    while true {
      slot = (slot + 1) & mask
      guard keys[slot] != Self.free else { break }
      if (slot - home(keys[slot])) & mask >= (slot - gap) & mask {
        keys[gap] = keys[slot]
        slots[gap] = slots[slot]
        gap = slot
      }
    }
    keys[gap] = Self.free
    slots[gap] = nil
  }

  mutating func removeAll(keepingCapacity: Bool = false) {
    guard count > 0 else { return }
    count = 0
    if keepingCapacity {
      for slot in keys.indices where keys[slot] != Self.free {
        keys[slot] = Self.free
        slots[slot] = nil
      }
    } else {
      keys = []
      slots = []
    }
  }

  mutating func reserveCapacity(_ count: Int) {
    var capacity = max(16, keys.count)
    while capacity < count * 2 { capacity *= 2 }
    if capacity > keys.count { resize(capacity) }
  }

  /// All entries, in no particular order.
  var entries: some Sequence<(number: Int64, value: Value)> {
    keys.indices.lazy.compactMap { slot in
      slots[slot].map { (keys[slot], $0) }
    }
  }

  /// Where the number is, or would be put. There is always a free slot, because the map is never full.
  private func find(_ number: Int64) -> Int {
    let mask = keys.count - 1
    var slot = home(number)
    while keys[slot] != number && keys[slot] != Self.free { slot = (slot + 1) & mask }
    return slot
  }

  private func home(_ number: Int64) -> Int {
    Int(truncatingIfNeeded: (UInt64(bitPattern: number) &* 0x9E37_79B9_7F4A_7C15) >> shift)
  }

  private mutating func resize(_ capacity: Int) {
    let (oldKeys, oldSlots) = (keys, slots)
    keys = Array(repeating: Self.free, count: capacity)
    slots = Array(repeating: nil, count: capacity)
    shift = UInt64(64 - capacity.trailingZeroBitCount)
    for slot in oldKeys.indices where oldKeys[slot] != Self.free {
      let place = find(oldKeys[slot])
      keys[place] = oldKeys[slot]
      slots[place] = oldSlots[slot]
    }
  }
}
