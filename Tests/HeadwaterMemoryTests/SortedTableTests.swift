import Testing

@testable import HeadwaterMemory

@Suite struct SortedTableTests {
  private func bytes(_ number: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) }
  }

  private func list(_ table: SortedTable<Int>) -> [Int] {
    var values: [Int] = []
    table.forEach(from: nil, below: nil) { _, value in
      values.append(value)
      return true
    }
    return values
  }

  @Test(arguments: [1, 2, 3])
  func `does what a sorted dictionary does`(_ seed: UInt64) {
    var generator = Generator(state: seed)
    var table = SortedTable<Int>()
    var model: [Int: Int] = [:]
    for step in 0..<20_000 {
      // Grows, then shrinks, then grows again.
      let isInsert = Int.random(in: 0..<10, using: &generator) < (step / 5_000 % 2 == 0 ? 8 : 2)
      let key = Int.random(in: 0..<4_000, using: &generator)
      if isInsert {
        #expect(table.set(bytes(key), step) == model.updateValue(step, forKey: key))
      } else {
        #expect(table.remove(bytes(key)) == model.removeValue(forKey: key))
      }
      if step % 1_000 == 999 { #expect(table.isSound && table.count == model.count) }
    }
    #expect(list(table) == model.sorted { $0.key < $1.key }.map(\.value))
    for key in 0..<4_000 where table[bytes(key)] != model[key] { Issue.record("\(key)") }
    for _ in 0..<100 {
      let low = Int.random(in: 0..<4_000, using: &generator)
      let high = Int.random(in: 0..<4_000, using: &generator)
      let expected = model.sorted { $0.key < $1.key }.filter { $0.key >= low && $0.key < high }
        .map(\.value)
      for reversed in [false, true] {
        var found: [Int] = []
        table.forEach(from: bytes(low), below: bytes(high), reversed: reversed) { _, value in
          found.append(value)
          return true
        }
        #expect(found == (reversed ? expected.reversed() : expected))
      }
    }
  }

  @Test func `ascending keys fill their chunks, and any order empties them`() {
    var table = SortedTable<Int>()
    for key in 0..<10_000 { table.set(bytes(key), key) }
    #expect(table.isSound && list(table) == Array(0..<10_000))
    for key in stride(from: 0, to: 10_000, by: 2) { table.remove(bytes(key)) }
    for key in stride(from: 9_999, to: 0, by: -2) { table.remove(bytes(key)) }
    #expect(table.isSound && table.count == 0)
  }

  @Test func `a copy stays as it is`() {
    var table = SortedTable<Int>()
    for key in 0..<2_000 { table.set(bytes(key), key) }
    let copy = table
    for key in 0..<2_000 where key % 3 == 0 { table.remove(bytes(key)) }
    for key in 2_000..<3_000 { table.set(bytes(key), key) }
    table.set(bytes(1), -1)
    #expect(list(copy) == Array(0..<2_000) && copy.isSound && table.isSound)
  }
}

/// Numbers that look random and are the same in every run.
struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state ^ (state >> 29)) &* 0x9E37_79B9_7F4A_7C15
  }
}
