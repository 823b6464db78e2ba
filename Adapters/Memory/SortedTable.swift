/// A map from byte strings to values, in the order of the bytes. A value type: copies share what they can.
///
/// Entries stand in chunks of a few hundred. Finding costs two binary searches; inserting and removing move
/// at most a chunk. A copy costs nothing; the first change after it copies the list of chunks and one chunk.
struct SortedTable<Value: Sendable>: Sendable {
  static var chunkCapacity: Int { 512 }

  /// Changed only while uniquely referenced, so never while two copies of the table share it.
  private final class Chunk: @unchecked Sendable {
    var keys: [[UInt8]]
    var values: [Value]

    init(_ keys: [[UInt8]], _ values: [Value]) {
      self.keys = keys
      self.values = values
    }
  }

  /// None is empty.
  private var chunks: [Chunk] = []
  private(set) var count = 0

  /// A place between entries: the entry at `index` of the chunk is the one that follows.
  private struct Place {
    var chunk: Int
    var index: Int
  }

  /// The first entry whose key is not less than `key`.
  private func lowerBound(_ key: [UInt8]) -> Place {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if precedes(chunks[middle].keys.last!, key) { low = middle + 1 } else { high = middle }
    }
    guard low < chunks.count else { return Place(chunk: low, index: 0) }
    return Place(chunk: low, index: index(of: key, in: chunks[low]))
  }

  private func index(of key: [UInt8], in chunk: Chunk) -> Int {
    var low = 0
    var high = chunk.keys.count
    while low < high {
      let middle = (low + high) / 2
      if precedes(chunk.keys[middle], key) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  subscript(key: [UInt8]) -> Value? {
    let place = lowerBound(key)
    guard place.chunk < chunks.count else { return nil }
    let chunk = chunks[place.chunk]
    return chunk.keys[place.index] == key ? chunk.values[place.index] : nil
  }

  private mutating func unique(_ index: Int) -> Chunk {
    if !isKnownUniquelyReferenced(&chunks[index]) {
      chunks[index] = Chunk(chunks[index].keys, chunks[index].values)
    }
    return chunks[index]
  }

  /// Sets the value of the key, and returns the one before.
  @discardableResult
  mutating func set(_ key: [UInt8], _ value: Value) -> Value? {
    guard !chunks.isEmpty else {
      chunks.append(Chunk([key], [value]))
      count = 1
      return nil
    }
    var place = lowerBound(key)
    if place.chunk == chunks.count {
      place = Place(chunk: chunks.count - 1, index: chunks.last!.keys.count)
    }
    let chunk = unique(place.chunk)
    if place.index < chunk.keys.count, chunk.keys[place.index] == key {
      let old = chunk.values[place.index]
      chunk.values[place.index] = value
      return old
    }
    chunk.keys.insert(key, at: place.index)
    chunk.values.insert(value, at: place.index)
    count += 1
    if chunk.keys.count > SortedTable.chunkCapacity { split(place.chunk, at: place.index) }
    return nil
  }

  /// In two halves; where keys arrive in ascending order the first stays full.
  private mutating func split(_ index: Int, at inserted: Int) {
    let chunk = chunks[index]
    let isAppend = inserted == chunk.keys.count - 1 && index == chunks.count - 1
    let middle = isAppend ? inserted : chunk.keys.count / 2
    let rest = Chunk(Array(chunk.keys[middle...]), Array(chunk.values[middle...]))
    chunk.keys.removeSubrange(middle...)
    chunk.values.removeSubrange(middle...)
    chunks.insert(rest, at: index + 1)
  }

  /// Removes the key, and returns its value.
  @discardableResult
  mutating func remove(_ key: [UInt8]) -> Value? {
    let place = lowerBound(key)
    guard place.chunk < chunks.count, chunks[place.chunk].keys[place.index] == key else {
      return nil
    }
    let chunk = unique(place.chunk)
    chunk.keys.remove(at: place.index)
    let old = chunk.values.remove(at: place.index)
    count -= 1
    if chunk.keys.isEmpty {
      chunks.remove(at: place.chunk)
    } else if place.chunk > 0,
      chunk.keys.count + chunks[place.chunk - 1].keys.count < SortedTable.chunkCapacity / 2
    {
      let before = unique(place.chunk - 1)
      before.keys += chunk.keys
      before.values += chunk.values
      chunks.remove(at: place.chunk)
    }
    return old
  }

  /// Calls `body` with the entries whose keys are at least `lower` and less than `upper`, in order or in
  /// reverse, until it returns false.
  func forEach(
    from lower: [UInt8]?, below upper: [UInt8]?, reversed: Bool = false,
    _ body: ([UInt8], Value) -> Bool
  ) {
    if reversed { return forEachReversed(from: lower, below: upper, body) }
    var place = lower.map { lowerBound($0) } ?? Place(chunk: 0, index: 0)
    while place.chunk < chunks.count {
      let chunk = chunks[place.chunk]
      while place.index < chunk.keys.count {
        let key = chunk.keys[place.index]
        if let upper, !precedes(key, upper) { return }
        if !body(key, chunk.values[place.index]) { return }
        place.index += 1
      }
      place = Place(chunk: place.chunk + 1, index: 0)
    }
  }

  private func forEachReversed(
    from lower: [UInt8]?, below upper: [UInt8]?, _ body: ([UInt8], Value) -> Bool
  ) {
    var place = upper.map { lowerBound($0) } ?? Place(chunk: chunks.count, index: 0)
    while true {
      if place.index == 0 {
        guard place.chunk > 0 else { return }
        place = Place(chunk: place.chunk - 1, index: chunks[place.chunk - 1].keys.count)
      }
      place.index -= 1
      let chunk = chunks[place.chunk]
      let key = chunk.keys[place.index]
      if let lower, precedes(key, lower) { return }
      if !body(key, chunk.values[place.index]) { return }
    }
  }

  /// The invariants, for tests: chunks are neither empty nor too long, keys ascend, the count is right.
  var isSound: Bool {
    let keys = chunks.flatMap(\.keys)
    return chunks.allSatisfy {
      !$0.keys.isEmpty && $0.keys.count <= SortedTable.chunkCapacity
        && $0.keys.count == $0.values.count
    } && keys.count == count && zip(keys, keys.dropFirst()).allSatisfy { precedes($0, $1) }
  }
}

private func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
  a.withUnsafeBufferPointer { x in
    b.withUnsafeBufferPointer { y in
      let common = min(x.count, y.count)
      var index = 0
      while index < common {
        if x[index] != y[index] { return x[index] < y[index] }
        index += 1
      }
      return x.count < y.count
    }
  }
}
