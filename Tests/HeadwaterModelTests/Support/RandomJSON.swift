import HeadwaterModel

extension SeededGenerator {
  /// Text without U+0000, with a leaning to what breaks codecs.
  mutating func text(_ limit: Int = 12) -> String {
    let pool: [Unicode.Scalar] = [
      "a", "b", "Z", "0", " ", "\"", "\\", "/", "\n", "\r", "\t", "\u{1}", "\u{1F}", "\u{7F}",
      "\u{80}", "é", "e", "\u{301}", "\u{7FF}", "\u{800}", "ß", "漢", "\u{FFFD}", "\u{FFFF}",
      "\u{10000}", "😀", "\u{10FFFF}", ",", ";", "{", "\u{FEFF}", "\u{2028}",
    ]
    var text = ""
    for _ in 0..<below(limit + 1) { text.unicodeScalars.append(pick(pool)) }
    return text
  }

  /// A double that is not NaN; now and then infinite.
  mutating func double() -> Double {
    switch below(8) {
    case 0:
      return pick([
        0, 1, -1, 0.1, 1e21, .leastNonzeroMagnitude, 1.7976931348623157e308, 65504, 65505, 0.5,
      ])
    case 1: return Double(Int64(truncatingIfNeeded: next()))
    case 2: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: next())).finite)
    case 3: return Double(below(2000) - 1000) / 100
    case 4: return pick([.infinity, -.infinity])
    default:
      let value = Double(bitPattern: next())
      return value.isNaN || value == 0 ? 0 : value
    }
  }

  mutating func int64() -> Int64 {
    switch below(4) {
    case 0: pick([0, 1, -1, 23, 24, 255, 256, 65535, 65536, .max, .min, -24, -25, 1 << 32])
    case 1: Int64(below(2000) - 1000)
    default: Int64(truncatingIfNeeded: next() >> UInt64(below(64)))
    }
  }

  mutating func json(depth: Int = 4) -> JSON {
    switch below(depth > 0 ? 8 : 5) {
    case 0: return .null
    case 1: return .bool(chance(2))
    case 2: return .int(int64())
    case 3: return JSON(number: double()) ?? .null
    case 4: return .string(text())
    case 5: return .array((0..<below(5)).map { _ in json(depth: depth - 1) })
    default:
      var members: [JSON.Member] = []
      for _ in 0..<below(chance(10) ? 40 : 5) {
        let name = text(4)
        if !members.contains(where: { utf8Compare($0.name, name) == 0 }) {
          members.append(JSON.Member(name, json(depth: depth - 1)))
        }
      }
      return JSON(members: members)!
    }
  }
}

extension Float {
  var finite: Float { isFinite && self != 0 ? self : 0 }
}
