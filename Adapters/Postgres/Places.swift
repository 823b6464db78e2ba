/// The schemas of the server in which a mirror lives, and the names in them, quoted.
struct Places {
  /// Where readers look: views, and the mirror's own tables.
  let own: String
  /// The tables of the published generation.
  let tables: String
  /// The tables of a generation that is being filled.
  let filling: String
  /// The lock that keeps two mirrors of one schema from working at the same moment.
  let lockKey: Int64

  init(schema: String) {
    own = schema
    tables = schema + "_tables"
    filling = schema + "_filling"
    // FNV-1a: the same number in every version of this program.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in ("headwater " + schema).utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    lockKey = Int64(bitPattern: hash)
  }

  /// A table of the mirror's own, or a view.
  func own(_ name: String) -> String { Places.qualified(own, name) }

  static func qualified(_ schema: String, _ name: String) -> String {
    PostgresDialect.quote(schema) + "." + PostgresDialect.quote(name)
  }
}
