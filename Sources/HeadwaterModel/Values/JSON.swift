/// Any JSON value, in one canonical form.
///
/// Members of an object are sorted by the UTF-8 bytes of their names and unique. A number is an `Int64`
/// where it is integral and fits, otherwise a finite binary64; so `1`, `1.0` and `1e0` are one value.
/// No string holds U+0000. Build objects and numbers with the initialisers below, which keep all that.
public enum JSON: Sendable {
  case null
  case bool(Bool)
  case int(Int64)
  case double(Double)
  case string(String)
  case array([JSON])
  case object([Member])

  /// A name and a value of an object.
  public struct Member: Sendable {
    public let name: String
    public let value: JSON

    public init(_ name: String, _ value: JSON) {
      self.name = name
      self.value = value
    }
  }

  /// The deepest nesting of arrays and objects that is accepted.
  public static let maximumDepth = 64

  /// The canonical number; nil for NaN and infinities.
  public init?(number: Double) {
    guard number.isFinite else { return nil }
    // Not Int64(exactly:), which calls `trunc` of a library that not every program links.
    if number >= -0x1p63, number < 0x1p63, Double(Int64(number)) == number {
      self = .int(Int64(number))
    } else {
      self = .double(number)
    }
  }

  /// The canonical object; nil where two members have one name.
  public init?(members: [Member]) {
    let sorted = members.sorted { utf8Compare($0.name, $1.name) < 0 }
    for index in sorted.indices.dropFirst()
    where utf8Compare(sorted[index - 1].name, sorted[index].name) == 0 {
      return nil
    }
    self = .object(sorted)
  }

  /// The value of the member called `name`, if this is an object that has one.
  public subscript(name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { utf8Compare($0.name, name) == 0 }?.value
  }
}

extension JSON: Hashable {
  /// Equality of canonical forms, strings compared by their bytes.
  public static func == (a: JSON, b: JSON) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let x), .bool(let y)): x == y
    case (.int(let x), .int(let y)): x == y
    case (.double(let x), .double(let y)): x == y
    case (.string(let x), .string(let y)): utf8Compare(x, y) == 0
    case (.array(let x), .array(let y)): x == y
    case (.object(let x), .object(let y)):
      x.count == y.count
        && zip(x, y).allSatisfy { utf8Compare($0.name, $1.name) == 0 && $0.value == $1.value }
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0)
    case .bool(let value): hasher.combine(value)
    case .int(let value): hasher.combine(value)
    case .double(let value): hasher.combine(value)
    case .string(let value): hashUTF8(value, into: &hasher)
    case .array(let values): hasher.combine(values)
    case .object(let members):
      for member in members {
        hashUTF8(member.name, into: &hasher)
        hasher.combine(member.value)
      }
    }
  }
}

/// Compares by UTF-8 bytes: negative, zero or positive. (`String ==` compares by canonical equivalence.)
@inlinable
public func utf8Compare(_ a: String, _ b: String) -> Int {
  let fast = a.utf8.withContiguousStorageIfAvailable { x in
    b.utf8.withContiguousStorageIfAvailable { y -> Int in
      let count = min(x.count, y.count)
      var index = 0
      while index < count {
        if x[index] != y[index] { return x[index] < y[index] ? -1 : 1 }
        index += 1
      }
      return x.count < y.count ? -1 : (x.count > y.count ? 1 : 0)
    }
  }
  if let found = fast, let result = found { return result }
  if a.utf8.elementsEqual(b.utf8) { return 0 }
  return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
}

/// Feeds the UTF-8 bytes and their count.
@inlinable
func hashUTF8(_ text: String, into hasher: inout Hasher) {
  var text = text
  text.withUTF8 { bytes in
    hasher.combine(bytes.count)
    hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
  }
}
