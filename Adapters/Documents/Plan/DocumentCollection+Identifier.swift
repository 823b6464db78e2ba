import HeadwaterModel

// The id of a document: its key as text that is safe as the name of a file on every system.
//
// It has no upper case and nothing beyond ASCII, so neither case folding nor normalisation makes two of one. The
// alphabet: a–z, 0–9, `-`, `_` and `.` stand for themselves; `+` switches between lower and upper case; `=` and two
// hexadecimal digits are a byte of UTF-8; a single `=` is an empty text; `,` parts the fields of a key; a reference to
// a key of several fields stands in parentheses. One id for each key, and one key for each id.
extension DocumentCollection {
  /// The id of the document with that key; nil where the key is not one of this collection.
  public func id(of key: Key) -> String? {
    var out: [UInt8] = []
    out.reserveCapacity(40)
    guard writeID(of: key, into: &out) else { return nil }
    return String(decoding: out, as: UTF8.self)
  }

  /// Appends `id(of:)`; false where the key is not one of this collection.
  func writeID(of key: Key, into out: inout [UInt8]) -> Bool {
    guard key.values.count == keyFields.count else { return false }
    let start = out.count
    for (position, value) in key.values.enumerated() {
      if position > 0 { out.append(DocumentID.separator) }
      guard DocumentID.write(value, fields[keyFields[position]].shape, into: &out) else {
        return false
      }
    }
    DocumentID.guardStart(of: &out, from: start)
    return true
  }

  /// The key of a document with that id; nil where no key has it.
  public func key(ofID id: String) -> Key? {
    var reader = DocumentID.Reader(Array(id.utf8))
    guard let values = reader.values(keyFields.map { fields[$0].shape }), reader.isAtEnd else {
      return nil
    }
    let key = Key(values)
    // One spelling only: what reads as a key and is not written so is no id.
    return self.id(of: key) == id ? key : nil
  }
}

/// The parts of an id.
enum DocumentID {
  static let separator = UInt8(ascii: ",")
  private static let open = UInt8(ascii: "(")
  private static let close = UInt8(ascii: ")")
  private static let shift = UInt8(ascii: "+")
  private static let escape = UInt8(ascii: "=")

  static func write(_ value: Value, _ shape: DocumentShape, into out: inout [UInt8]) -> Bool {
    switch (value, shape) {
    case (.bool(let value), .bool): out.append(contentsOf: value ? "true".utf8 : "false".utf8)
    case (.int(let value), .int): JSONText.write(value, into: &out)
    case (.float(let value), .float): text(value.description, into: &out)
    case (.decimal(let value), .decimal(_, let scale)):
      out.append(contentsOf: value.text(scale: scale).utf8)
    case (.text(let value), .text), (.text(let value), .enumeration): text(value, into: &out)
    case (.bytes(let value), .bytes):
      if value.isEmpty { out.append(escape) } else { hex(value, into: &out) }
    case (.date(let value), .date): value.write(into: &out)
    case (.timestamp(let value), .timestamp): text(value.description, into: &out)
    case (.uuid(let value), .uuid): value.write(into: &out)
    case (.principal(let value), .principal): value.write(into: &out)
    case (.reference(let key), .reference(_, let fields)):
      guard key.values.count == fields.count else { return false }
      if fields.count > 1 { out.append(open) }
      for (position, value) in key.values.enumerated() {
        if position > 0 { out.append(separator) }
        guard write(value, fields[position].shape, into: &out) else { return false }
      }
      if fields.count > 1 { out.append(close) }
    default: return false
    }
    return true
  }

  /// What may stand within an id and not at its start: files that begin so are hidden, options or the sink's own,
  /// or devices of Windows.
  static func guardStart(of out: inout [UInt8], from start: Int) {
    guard let first = out[start...].first else { return }
    let device = out[start...].prefix { $0 != UInt8(ascii: ".") }
    if first == UInt8(ascii: "-") || first == UInt8(ascii: ".") || first == UInt8(ascii: "_")
      || device.count <= 4
        && DocumentNames.isDeviceName(String(decoding: device, as: UTF8.self))
    {
      var escaped: [UInt8] = [escape]
      hex([first], into: &escaped)
      out.replaceSubrange(start...start, with: escaped)
    }
  }

  private static func hex(_ bytes: some Sequence<UInt8>, into out: inout [UInt8]) {
    for byte in bytes {
      out.append(digit(byte >> 4))
      out.append(digit(byte & 15))
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

  private static func text(_ value: String, into out: inout [UInt8]) {
    if value.isEmpty { return out.append(escape) }
    var value = value
    value.withUTF8 { bytes in
      var isUpper = false
      for byte in bytes {
        switch byte {
        case 0x61...0x7A:
          if isUpper { out.append(shift) }
          isUpper = false
          out.append(byte)
        case 0x41...0x5A:
          if !isUpper { out.append(shift) }
          isUpper = true
          out.append(byte | 0x20)
        case 0x30...0x39, 0x2D, 0x2E, 0x5F: out.append(byte)
        default:
          out.append(escape)
          out.append(digit(byte >> 4))
          out.append(digit(byte & 15))
        }
      }
    }
  }

  /// Reads what `write` writes.
  struct Reader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    mutating func values(_ shapes: [DocumentShape]) -> [Value]? {
      var values: [Value] = []
      for (position, shape) in shapes.enumerated() {
        if position > 0 {
          guard skip(DocumentID.separator) else { return nil }
        }
        guard let value = value(shape) else { return nil }
        values.append(value)
      }
      return values
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
      guard index < bytes.count, bytes[index] == byte else { return false }
      index += 1
      return true
    }

    private mutating func value(_ shape: DocumentShape) -> Value? {
      if case .reference(_, let fields) = shape {
        if fields.count > 1, !skip(DocumentID.open) { return nil }
        guard let values = values(fields.map(\.shape)) else { return nil }
        if fields.count > 1, !skip(DocumentID.close) { return nil }
        return .reference(Key(values))
      }
      guard let text = text() else { return nil }
      switch shape {
      case .bool: return text == "true" ? .bool(true) : text == "false" ? .bool(false) : nil
      case .int: return Int64(text).map { .int($0) }
      case .float: return Double(text).flatMap { Value.number($0) }
      case .decimal: return ExactDecimal(text).map { .decimal($0) }
      case .text, .enumeration: return .text(text)
      case .bytes: return [UInt8](hex: text).map { .bytes($0) }
      case .date: return CalendarDate(text).map { .date($0) }
      case .timestamp: return Timestamp(text).map { .timestamp($0) }
      case .uuid: return UUIDBytes(text).map { .uuid($0) }
      case .principal: return Digest(hex: text).map { .principal($0) }
      case .json, .record, .reference: return nil
      }
    }

    /// The text up to the end of the part, its escapes undone.
    private mutating func text() -> String? {
      var out: [UInt8] = []
      var isUpper = false
      while index < bytes.count {
        let byte = bytes[index]
        if byte == DocumentID.separator || byte == DocumentID.close { break }
        index += 1
        switch byte {
        case DocumentID.shift: isUpper.toggle()
        case DocumentID.escape:
          if index == bytes.count || bytes[index] == DocumentID.separator
            || bytes[index] == DocumentID.close
          {
            return out.isEmpty ? "" : nil
          }
          guard index + 2 <= bytes.count,
            let decoded = [UInt8](
              hex: String(decoding: bytes[index..<index + 2], as: UTF8.self))
          else { return nil }
          out.append(decoded[0])
          index += 2
        case 0x61...0x7A: out.append(isUpper ? byte & 0xDF : byte)
        default: out.append(byte)
        }
      }
      return String(validating: out, as: UTF8.self)
    }
  }
}
