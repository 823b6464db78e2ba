/// Which name of the schema has which name in the sink. One to one, and the same in every process.
public struct NameMap: Sendable, Hashable {
  /// A collection with its table, or a field with its column.
  public struct Entry: Sendable, Hashable {
    public let collection: String
    /// The field, and the fields of records and keys within it; empty for the collection itself.
    public let fieldPath: [String]
    public let table: String
    /// Nil for the collection itself.
    public let column: String?
  }

  /// Collections in the order of the schema, each followed by its columns.
  public let entries: [Entry]

  /// The table of a collection.
  public func table(for collection: String) -> String? {
    entries.first { $0.column == nil && $0.collection.utf8.elementsEqual(collection.utf8) }?.table
  }

  /// The collection of a table.
  public func collection(forTable table: String) -> String? {
    entries.first { $0.column == nil && $0.table.utf8.elementsEqual(table.utf8) }?.collection
  }

  /// The prefix of what is the mirror's own in a sink.
  public static let ownPrefix = "headwater_"
}

/// Hands out names of one namespace of the sink.
///
/// A name that needs nothing stays as it is. Any other gets a suffix made of a hash of the name that was wanted,
/// so that it depends on nothing but the names and their order.
struct NameAllocator {
  let dialect: any Dialect
  /// Whether the namespace is that of tables, where some names are not ours to take.
  let isTableNamespace: Bool
  private var taken: Set<String> = []

  init(dialect: any Dialect, isTableNamespace: Bool) {
    self.dialect = dialect
    self.isTableNamespace = isTableNamespace
  }

  /// A name for each of `wanted`. Names that need nothing are served first, in order.
  mutating func allocate(_ wanted: [String]) -> [String] {
    var names = [String?](repeating: nil, count: wanted.count)
    for (index, wish) in wanted.enumerated() {
      let name = dialect.preferred(wish)
      if isLegal(name), taken.insert(dialect.fold(name)).inserted { names[index] = name }
    }
    for (index, name) in wanted.enumerated() where names[index] == nil {
      names[index] = substitute(for: name)
    }
    return names.map { $0! }
  }

  private func isLegal(_ name: String) -> Bool {
    !name.isEmpty && !name.utf8.contains(0)
      && name.utf8.count <= dialect.maximumNameBytes ?? .max && !isReserved(name)
  }

  private func isReserved(_ name: String) -> Bool {
    guard isTableNamespace else { return dialect.isReservedColumn(name) }
    return dialect.isReserved(name) || hasOwnPrefix(name)
  }

  private func hasOwnPrefix(_ name: String) -> Bool {
    name.utf8.count >= NameMap.ownPrefix.utf8.count
      && zip(name.utf8, NameMap.ownPrefix.utf8).allSatisfy { $0 | 0x20 == $1 | 0x20 }
  }

  private mutating func substitute(for name: String) -> String {
    let preferred = dialect.preferred(name)
    let stem = isReserved(preferred) ? "_" + preferred : preferred
    var attempt = 0
    while true {
      let candidate = suffixed(stem, hash: NameAllocator.hash(name, attempt: attempt))
      if !isReserved(candidate), taken.insert(dialect.fold(candidate)).inserted { return candidate }
      attempt += 1
    }
  }

  private func suffixed(_ stem: String, hash: String) -> String {
    var room = (dialect.maximumNameBytes ?? .max) - hash.utf8.count - 1
    var kept = ""
    for character in stem where character != "\0" {
      room -= character.utf8.count
      if room < 0 { break }
      kept.append(character)
    }
    return kept + "_" + hash
  }

  /// Eight hexadecimal digits: FNV-1a over the name's bytes, folded to 32 bits.
  static func hash(_ name: String, attempt: Int) -> String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    for byte in String(attempt).utf8 where attempt > 0 {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
    }
    let digits = String(UInt32(truncatingIfNeeded: hash ^ hash >> 32), radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }
}
