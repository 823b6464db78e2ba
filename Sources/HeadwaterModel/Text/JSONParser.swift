/// What the parser builds: `JSON`, or `RawJSON` that keeps numbers as they are written.
protocol JSONNode {
  associatedtype NamedNode
  static var nullNode: Self { get }
  static func node(_ value: Bool) -> Self
  static func node(_ value: String) -> Self
  static func node(_ values: [Self]) -> Self
  static func named(_ name: String, _ value: Self) -> NamedNode
  static func name(of member: NamedNode) -> String
  /// An object of members whose names differ.
  static func node(members: [NamedNode]) -> Self
  static func node(_ number: JSONNumber, text: UnsafeBufferPointer<UInt8>) throws(JSONNumber
    .Refusal)
    -> Self
}

/// A strict reader of RFC 8259 text. Never traps, whatever the bytes; nesting is bounded.
struct JSONParser {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let maximumDepth: Int
  private var index = 0
  private var scratch: [UInt8] = []

  init(_ bytes: UnsafeBufferPointer<UInt8>, maximumDepth: Int) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
  }

  /// The one value that the whole text is.
  mutating func document<Node: JSONNode>(_: Node.Type) throws(JSONError) -> Node {
    skipWhitespace()
    if bytes.count >= 3, index == 0, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
      throw fail("a byte order mark, which JSON must not begin with")
    }
    let value: Node = try value(depth: 0)
    skipWhitespace()
    guard index == bytes.count else { throw fail("expected the end after the value") }
    return value
  }

  private func fail(_ message: String) -> JSONError { JSONError(message, offset: index) }

  /// The next byte, or 0 at the end: no token begins with 0.
  @inline(__always)
  private var next: UInt8 { index < bytes.count ? bytes[index] : 0 }

  @inline(__always)
  private mutating func skipWhitespace() {
    while index < bytes.count {
      let byte = bytes[index]
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
      index += 1
    }
  }

  private mutating func value<Node: JSONNode>(depth: Int) throws(JSONError) -> Node {
    guard depth <= maximumDepth else {
      throw fail("arrays and objects nested deeper than \(maximumDepth)")
    }
    switch next {
    case UInt8(ascii: "\""): return Node.node(try string())
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "-"), 0x30...0x39: return try number()
    case UInt8(ascii: "t"):
      try word("true")
      return Node.node(true)
    case UInt8(ascii: "f"):
      try word("false")
      return Node.node(false)
    case UInt8(ascii: "n"):
      try word("null")
      return Node.nullNode
    default:
      throw fail(index < bytes.count ? "expected a JSON value" : "the text ends early")
    }
  }

  private mutating func word(_ word: StaticString) throws(JSONError) {
    for offset in 0..<word.utf8CodeUnitCount {
      guard index + offset < bytes.count, bytes[index + offset] == word.utf8Start[offset] else {
        throw fail("expected a JSON value")
      }
    }
    index += word.utf8CodeUnitCount
  }

  private mutating func number<Node: JSONNode>() throws(JSONError) -> Node {
    let start = index
    let number = try JSONNumber(bytes, &index)
    do throws(JSONNumber.Refusal) {
      return try Node.node(number, text: UnsafeBufferPointer(rebasing: bytes[start..<index]))
    } catch {
      throw JSONError(error.message, offset: start)
    }
  }

  private mutating func array<Node: JSONNode>(depth: Int) throws(JSONError) -> Node {
    index += 1
    skipWhitespace()
    var values: [Node] = []
    if next == UInt8(ascii: "]") {
      index += 1
      return Node.node(values)
    }
    while true {
      values.append(try value(depth: depth + 1))
      skipWhitespace()
      switch next {
      case UInt8(ascii: ","):
        index += 1
        skipWhitespace()
      case UInt8(ascii: "]"):
        index += 1
        return Node.node(values)
      default: throw fail("expected “,” or “]”")
      }
    }
  }

  private mutating func object<Node: JSONNode>(depth: Int) throws(JSONError) -> Node {
    index += 1
    skipWhitespace()
    var members: [Node.NamedNode] = []
    if next == UInt8(ascii: "}") {
      index += 1
      return Node.node(members: members)
    }
    var names = NameSet()
    while true {
      let start = index
      guard next == UInt8(ascii: "\"") else { throw fail("expected the name of a member") }
      let name = try string()
      if members.count < NameSet.threshold {
        for member in members where utf8Compare(Node.name(of: member), name) == 0 {
          throw JSONError("a member twice in one object", offset: start)
        }
      } else {
        if members.count == NameSet.threshold {
          for member in members { _ = names.insert(Node.name(of: member)) }
        }
        guard names.insert(name) else {
          throw JSONError("a member twice in one object", offset: start)
        }
      }
      skipWhitespace()
      guard next == UInt8(ascii: ":") else { throw fail("expected “:”") }
      index += 1
      skipWhitespace()
      members.append(Node.named(name, try value(depth: depth + 1)))
      skipWhitespace()
      switch next {
      case UInt8(ascii: ","):
        index += 1
        skipWhitespace()
      case UInt8(ascii: "}"):
        index += 1
        return Node.node(members: members)
      default: throw fail("expected “,” or “}”")
      }
    }
  }
}

// MARK: - Strings

extension JSONParser {
  /// Advances over bytes of a string that stand for themselves; true if all of them are ASCII.
  @inline(__always)
  private mutating func skipPlain() -> Bool {
    var high: UInt64 = 0
    while index + 8 <= bytes.count {
      let word = UnsafeRawPointer(bytes.baseAddress! + index).loadUnaligned(as: UInt64.self)
      // A byte below 0x20, a quote or a backslash sets its top bit in one of these.
      let quote = word ^ 0x2222_2222_2222_2222
      let slash = word ^ 0x5C5C_5C5C_5C5C_5C5C
      let ones: UInt64 = 0x0101_0101_0101_0101
      let stop =
        ((word &- ones &* 0x20) & ~word | (quote &- ones) & ~quote | (slash &- ones) & ~slash)
        & 0x8080_8080_8080_8080
      if stop != 0 { break }
      high |= word
      index += 8
    }
    var tail: UInt8 = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte < 0x20 || byte == 0x22 || byte == 0x5C { break }
      tail |= byte
      index += 1
    }
    return (high & 0x8080_8080_8080_8080) | UInt64(tail & 0x80) == 0
  }

  private mutating func string() throws(JSONError) -> String {
    index += 1
    let start = index
    var isASCII = skipPlain()
    if next == 0x22 {
      defer { index += 1 }
      let text = UnsafeBufferPointer(rebasing: bytes[start..<index])
      return try decoded(text, isASCII: isASCII, from: start, to: index)
    }
    scratch.removeAll(keepingCapacity: true)
    scratch.append(contentsOf: bytes[start..<index])
    while true {
      guard index < bytes.count else { throw fail("a string without its closing quote") }
      switch bytes[index] {
      case 0x22:
        let end = index
        index += 1
        let copy = scratch
        return try copy.withUnsafeBufferPointer { (text) throws(JSONError) in
          try decoded(text, isASCII: isASCII, from: start, to: end)
        }
      case 0x5C:
        let scalar = try escape()
        if scalar.value >= 0x80 { isASCII = false }
        scratch.append(contentsOf: UTF8.encode(scalar)!)
      default:
        if bytes[index] < 0x20 {
          throw fail("a control character in a string, which must be escaped")
        }
        let run = index
        if !skipPlain() { isASCII = false }
        scratch.append(contentsOf: bytes[run..<index])
      }
    }
  }

  private func decoded(
    _ text: UnsafeBufferPointer<UInt8>, isASCII: Bool, from start: Int, to end: Int
  ) throws(JSONError) -> String {
    if isASCII { return String(decoding: text, as: UTF8.self) }
    if let valid = String(utf8: text) { return valid }
    let raw = UnsafeBufferPointer(rebasing: bytes[start..<end])
    throw JSONError("bytes that are not UTF-8", offset: start + (firstInvalidUTF8(raw) ?? 0))
  }

  private mutating func escape() throws(JSONError) -> Unicode.Scalar {
    let start = index
    index += 1
    let letter = next
    index += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw JSONError("an unknown escape", offset: start)
    }
    let first = try fourDigits(start)
    var code = first
    if first & 0xFC00 == 0xD800 {
      guard next == 0x5C, index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "u") else {
        throw JSONError("half of a surrogate pair", offset: start)
      }
      index += 2
      let second = try fourDigits(start)
      guard second & 0xFC00 == 0xDC00 else {
        throw JSONError("half of a surrogate pair", offset: start)
      }
      code = 0x1_0000 + (first & 0x3FF) << 10 + (second & 0x3FF)
    }
    guard code != 0 else { throw JSONError("U+0000, which no text may hold", offset: start) }
    guard let scalar = Unicode.Scalar(code) else {
      throw JSONError("half of a surrogate pair", offset: start)
    }
    return scalar
  }

  private mutating func fourDigits(_ start: Int) throws(JSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch next {
      case 0x30...0x39: digit = next - 0x30
      case 0x61...0x66: digit = next - 0x61 + 10
      case 0x41...0x46: digit = next - 0x41 + 10
      default: throw JSONError("an escape without its four hexadecimal digits", offset: start)
      }
      code = code << 4 | UInt32(digit)
      index += 1
    }
    return code
  }
}

/// Names of members, told apart by their bytes.
private struct NameSet {
  /// Below so many members each is compared with each.
  static let threshold = 16

  private struct Name: Hashable {
    let text: String
    static func == (a: Name, b: Name) -> Bool { utf8Compare(a.text, b.text) == 0 }
    func hash(into hasher: inout Hasher) { hashUTF8(text, into: &hasher) }
  }

  private var names: Set<Name> = []

  /// False where the name is there already.
  mutating func insert(_ name: String) -> Bool { names.insert(Name(text: name)).inserted }
}
