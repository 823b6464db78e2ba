import HeadwaterModel

/// One JSON object on a line, written member by member.
struct JSONLine {
  private var bytes: [UInt8] = [UInt8(ascii: "{")]
  private var isFirst = true

  /// Begins a member; the caller appends its value.
  mutating func raw(_ name: String, _ value: (inout [UInt8]) -> Void) {
    if !isFirst { bytes.append(UInt8(ascii: ",")) }
    isFirst = false
    JSONText.write(name, into: &bytes)
    bytes.append(UInt8(ascii: ":"))
    value(&bytes)
  }

  mutating func string(_ name: String, _ value: String?) {
    raw(name) { bytes in
      if let value { JSONText.write(value, into: &bytes) } else { bytes += "null".utf8 }
    }
  }

  mutating func int(_ name: String, _ value: Int64?) {
    raw(name) { bytes in
      if let value { JSONText.write(value, into: &bytes) } else { bytes += "null".utf8 }
    }
  }

  mutating func double(_ name: String, _ value: Double) {
    raw(name) { JSONText.write(value, into: &$0) }
  }

  mutating func bool(_ name: String, _ value: Bool) {
    raw(name) { JSONText.write(value, into: &$0) }
  }

  mutating func null(_ name: String) { raw(name) { $0 += "null".utf8 } }

  mutating func strings(_ name: String, _ values: [String]) {
    array(name, values) { JSONText.write($0, into: &$1) }
  }

  /// A member that is an array, each element written by `element`.
  mutating func array<T>(_ name: String, _ values: [T], _ element: (T, inout [UInt8]) -> Void) {
    raw(name) { bytes in
      bytes.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        element(value, &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    }
  }

  /// A member that is an object.
  mutating func object(_ name: String, _ body: (inout JSONLine) -> Void) {
    raw(name) { bytes in
      var inner = JSONLine()
      body(&inner)
      bytes += inner.closed()
    }
  }

  /// The object without the end of the line.
  func closed() -> [UInt8] { bytes + [UInt8(ascii: "}")] }

  /// The object and a line feed.
  func finish() -> [UInt8] { bytes + [UInt8(ascii: "}"), 0x0A] }
}
