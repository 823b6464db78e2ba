import HeadwaterModel

/// What a batch does to a directory, written down before anything is done, so that it can be done again.
///
/// Every operation may be repeated from the first one on, whatever part of them was done before.
struct Journal {
  private enum Kind: UInt8 {
    case base = 1
    case write, replace, remove, removeGeneration, link, spread, state
  }

  private static let magic = Array("headwater journal 1\n".utf8)
  private(set) var bytes: [UInt8]
  private var base: String?

  init() {
    bytes = Journal.magic
    bytes.append(contentsOf: [UInt8](repeating: 0, count: 16))
  }

  // MARK: Writing

  /// The names that follow are below that folder, which is made if it is missing.
  mutating func setBase(_ folder: String) {
    if base == folder { return }
    base = folder
    append(.base, folder)
  }

  /// A file that readers do not see yet, or, where `isVisible`, one that they see whole at all times.
  mutating func write(_ name: String, isVisible: Bool, _ fill: (inout [UInt8]) -> Bool) -> Bool {
    append(isVisible ? .replace : .write, name)
    let start = bytes.count
    appendNumber(0, width: 4)
    guard fill(&bytes) else { return false }
    let count = bytes.count - start - 4
    for shift in 0..<4 { bytes[start + shift] = UInt8(truncatingIfNeeded: count >> (8 * shift)) }
    return true
  }

  mutating func write(_ name: String, isVisible: Bool, _ content: [UInt8]) {
    _ = write(name, isVisible: isVisible) {
      $0 += content
      return true
    }
  }

  mutating func remove(_ name: String) { append(.remove, name) }

  mutating func removeGeneration(_ folder: String) {
    append(.removeGeneration, folder)
    base = nil
  }

  mutating func publish(_ folder: String) { append(.link, folder) }

  /// Brings all documents of a collection to where `levels` of folders put them.
  mutating func spread(_ folder: String, levels: Int) {
    append(.spread, folder)
    bytes.append(UInt8(levels))
  }

  /// The file of the state, which comes last.
  mutating func setState(_ content: [UInt8]) {
    append(.state, "")
    appendNumber(content.count, width: 4)
    bytes += content
  }

  private mutating func append(_ kind: Kind, _ name: String) {
    bytes.append(kind.rawValue)
    // Ends with a zero, so that it is passed to the system where it stands.
    appendNumber(name.utf8.count, width: 2)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
  }

  private mutating func appendNumber(_ number: Int, width: Int) {
    for shift in 0..<width { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * shift))) }
  }

  /// The bytes with their length and sum in front.
  mutating func finish() -> [UInt8] {
    let start = Journal.magic.count
    let length = UInt64(bytes.count - start - 16)
    let sum = Journal.sum(bytes[(start + 16)...])
    for shift in 0..<8 {
      bytes[start + shift] = UInt8(truncatingIfNeeded: length >> (8 * UInt64(shift)))
      bytes[start + 8 + shift] = UInt8(truncatingIfNeeded: sum >> (8 * UInt64(shift)))
    }
    return bytes
  }

  /// A sum of eight bytes at a time: it notices a torn file, and costs little.
  private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.withUnsafeBytes { buffer in
      var sum = FNV.start
      var index = 0
      while index + 8 <= buffer.count {
        sum =
          (sum ^ buffer.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian)
          &* 0x100_0000_01B3
        sum ^= sum >> 29
        index += 8
      }
      return FNV.hash(buffer[index...], after: sum)
    }
  }

  // MARK: Doing

  /// Does what a journal says.
  ///
  /// - Returns: false where it is none, or not whole.
  static func perform(_ journal: [UInt8], on tree: FileTree) throws -> Bool {
    guard isSound(journal) else { return false }
    return try journal.withUnsafeBytes { bytes in
      var reader = Reader(bytes: bytes, index: magic.count + 16)
      return try reader.run(on: tree)
    }
  }

  private static func isSound(_ journal: [UInt8]) -> Bool {
    guard journal.count >= magic.count + 16, journal.starts(with: magic) else { return false }
    func number(_ start: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(journal[start + $1]) << UInt64(8 * $1) }
    }
    return number(magic.count) == UInt64(journal.count - magic.count - 16)
      && number(magic.count + 8) == sum(journal[(magic.count + 16)...])
  }

  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    var index: Int

    mutating func number(width: Int) -> Int? {
      guard index + width <= bytes.count else { return nil }
      defer { index += width }
      return (0..<width).reduce(0) { $0 | Int(bytes[index + $1]) << (8 * $1) }
    }

    mutating func name() -> UnsafePointer<CChar>? {
      guard let count = number(width: 2), index + count < bytes.count, bytes[index + count] == 0
      else { return nil }
      defer { index += count + 1 }
      return bytes.baseAddress?.advanced(by: index).assumingMemoryBound(to: CChar.self)
    }

    mutating func content() -> UnsafeRawBufferPointer? {
      guard let count = number(width: 4), index + count <= bytes.count else { return nil }
      defer { index += count }
      return UnsafeRawBufferPointer(rebasing: bytes[index..<index + count])
    }

    mutating func run(on tree: FileTree) throws -> Bool {
      var base: Int32 = -1
      defer { if base >= 0 { closeDescriptor(base) } }
      while index < bytes.count {
        let kind = Kind(rawValue: bytes[index])
        index += 1
        guard let kind, let name = name() else { return false }
        switch kind {
        case .base:
          if base >= 0 { closeDescriptor(base) }
          base = -1
          base = try tree.openDirectory(String(cString: name), create: true)
        case .write:
          guard let content = content() else { return false }
          try tree.write(name, in: base, content)
        case .replace:
          guard let content = content() else { return false }
          try tree.replace(name, in: base, content)
        case .remove: try tree.remove(name, in: base)
        case .removeGeneration:
          // The folder of a generation that is made again must not stay open.
          if base >= 0 { closeDescriptor(base) }
          base = -1
          try DocumentFolder.removeGeneration(String(cString: name), in: tree)
        case .link: try tree.link(DirectoryLayout.current, to: String(cString: name))
        case .spread:
          guard let levels = number(width: 1) else { return false }
          try DocumentFolder.spread(String(cString: name), levels: levels, in: tree)
        case .state:
          guard let content = content() else { return false }
          try tree.replace(DirectoryLayout.state, Array(content), synchronised: false)
        }
      }
      return true
    }
  }
}
