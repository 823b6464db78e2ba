import Testing

@testable import HeadwaterStore

@Suite struct NumberMapTests {
  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func behavesAsADictionary(seed: UInt64) {
    var random = Seeded(seed)
    var map = NumberMap<Int>()
    var model: [Int64: Int] = [:]
    // Few numbers near each other, or many far apart.
    let range: ClosedRange<Int64> = seed % 2 == 0 ? 1...60 : -1_000_000_000...1_000_000_000
    for step in 0..<2_000 {
      let number = Int64.random(in: range, using: &random)
      switch Int.random(in: 0..<100, using: &random) {
      case 0: map.reserveCapacity(Int.random(in: 0..<500, using: &random))
      case 1 where step % 7 == 0:
        map.removeAll(keepingCapacity: random.next() % 2 == 0)
        model.removeAll()
      case ..<40:
        map.remove(number)
        model[number] = nil
      default:
        #expect(map.update(number, step) == model.updateValue(step, forKey: number))
      }
      #expect(map.count == model.count)
      #expect(map[number] == model[number])
      #expect(map.contains(number) == (model[number] != nil))
    }
    for (number, value) in model { #expect(map[number] == value) }
    var found: [Int64: Int] = [:]
    for (number, value) in map.entries { #expect(found.updateValue(value, forKey: number) == nil) }
    #expect(found == model, "seed \(seed)")
  }

  @Test func theNumberThatStandsForNothingHasNoValue() {
    var map = NumberMap<Int>()
    map[.min] = 1
    #expect(map[.min] == nil)
    map[.max] = 2
    map[.min] = 1
    map.remove(.min)
    #expect(map[.min] == nil && map[.max] == 2 && map.count == 1)
  }
}
