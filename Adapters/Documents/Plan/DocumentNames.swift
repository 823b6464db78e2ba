import HeadwaterModel

/// Hands out the names of collections and members.
///
/// A name that needs nothing stays as it is. Any other is made safe and gets a suffix made of a hash of the name, so
/// that it depends on nothing but the names and their order.
struct DocumentNames {
  private var taken: Set<String> = []

  /// A name for each collection: of ASCII letters, digits, `_` and `-`, none of which is another in other case, and
  /// none of which a file system or a database keeps for itself.
  mutating func collections(_ wanted: [String]) -> [String] {
    allocate(wanted, isLegal: DocumentNames.isPlainCollection) { name in
      var stem = DocumentNames.cleaned(name) { byte in
        DocumentNames.isLetter(byte) || DocumentNames.isDigit(byte) || byte == 0x5F || byte == 0x2D
      }
      // The suffix makes no reserved beginning another one.
      let isReserved = DocumentNames.hasReservedPrefix(DocumentNames.folded(stem))
      if isReserved || !(stem.utf8.first.map(DocumentNames.isLetter) ?? false) {
        stem = "c" + stem
      }
      return String(stem.prefix(64))
    }
  }

  /// A name for each member: as in the schema, unless a path or a query could not name it.
  ///
  /// - Parameter isTop: whether `_id` stands beside the members.
  mutating func fields(_ wanted: [String], isTop: Bool) -> [String] {
    allocate(wanted, isFolded: false) { name in
      !name.isEmpty && name.utf8.first != UInt8(ascii: "$") && !(isTop && name == "_id")
        && name.utf8.allSatisfy { DocumentNames.isPlainInPath($0) }
    } stem: { name in
      let stem = DocumentNames.cleaned(name) { DocumentNames.isPlainInPath($0) }
      return stem.utf8.first == UInt8(ascii: "$") ? "_" + stem.dropFirst() : stem
    }
  }

  private mutating func allocate(
    _ wanted: [String], isFolded: Bool = true, isLegal: (String) -> Bool, stem: (String) -> String
  ) -> [String] {
    func fold(_ name: String) -> String { isFolded ? DocumentNames.folded(name) : name }
    var names = [String?](repeating: nil, count: wanted.count)
    for (index, name) in wanted.enumerated()
    where isLegal(name) && insert(fold(name)) {
      names[index] = name
    }
    return wanted.enumerated().map { index, name in
      if let name = names[index] { return name }
      var attempt = 0
      while true {
        let candidate = stem(name) + "_" + DocumentNames.hash(name, attempt: attempt)
        if insert(fold(candidate)) { return candidate }
        attempt += 1
      }
    }
  }

  private mutating func insert(_ name: String) -> Bool {
    // By bytes: two names of one normal form are two names.
    taken.insert(hexadecimal(name.utf8)).inserted
  }

  private static func isPlainCollection(_ name: String) -> Bool {
    guard let first = name.utf8.first, isLetter(first), name.utf8.count <= 64 else { return false }
    let folded = folded(name)
    return name.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == 0x5F || $0 == 0x2D }
      && !isDeviceName(folded) && folded != "current"
      && !hasReservedPrefix(folded)
  }

  /// What databases keep for themselves, and what the mirrors do.
  private static func hasReservedPrefix(_ folded: String) -> Bool {
    ["sqlite_", "headwater", "system", "pg_"].contains { folded.hasPrefix($0) }
  }

  /// What Windows takes for a device in any folder, whatever the extension.
  static func isDeviceName(_ folded: String) -> Bool {
    if ["con", "prn", "aux", "nul"].contains(folded) { return true }
    guard folded.utf8.count == 4, let last = folded.utf8.last, isDigit(last) else { return false }
    return folded.hasPrefix("com") || folded.hasPrefix("lpt")
  }

  private static func cleaned(_ name: String, _ isKept: (UInt8) -> Bool) -> String {
    String(decoding: name.utf8.map { isKept($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
  }

  /// Bytes of UTF-8 pass; what a quoted path of SQLite or a dotted path cannot hold does not.
  private static func isPlainInPath(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != 0x22 && byte != 0x2E && byte != 0x5C && byte != 0x7F
  }

  static func isLetter(_ byte: UInt8) -> Bool {
    byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
  }

  static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  static func folded(_ name: String) -> String {
    String(
      decoding: name.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  /// Eight hexadecimal digits: FNV-1a over the bytes, folded to 32 bits.
  static func hash(_ name: String, attempt: Int = 0) -> String {
    var hash = FNV.hash(name.utf8)
    if attempt > 0 { hash = FNV.hash(String(attempt).utf8, after: hash) }
    let digits = String(UInt32(truncatingIfNeeded: hash ^ hash >> 32), radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }
}

/// FNV-1a of 64 bits: spreads names and notices torn files; no protection against intent.
enum FNV {
  static let start: UInt64 = 0xCBF2_9CE4_8422_2325

  static func hash(_ bytes: some Sequence<UInt8>, after start: UInt64 = FNV.start) -> UInt64 {
    var hash = start
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return hash
  }
}
