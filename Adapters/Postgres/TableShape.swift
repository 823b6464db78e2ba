import HeadwaterRelational

/// What the server says of a table: columns, constraints, indices.
struct TableShape {
  struct Column: Hashable {
    let name: String
    let type: String
    let isNotNull: Bool
    /// Where it stands among all columns that the table ever had, from 1.
    let number: Int
  }

  struct Constraint: Hashable {
    enum Kind: String {
      case primary = "p"
      case unique = "u"
      case foreign = "f"
      case check = "c"
      case other
    }

    let name: String
    let kind: Kind
    let columns: [String]
    /// The schema and the table that a foreign key refers to; empty for others.
    let target: [String]
    let targetColumns: [String]
    /// A check as the server spells it; empty for others.
    let definition: String
    /// Checked at the commit, valid for all rows, without actions: as the mirror declares them.
    let isOrdinary: Bool
  }

  struct Index: Hashable {
    let name: String
    let columns: [String]
    let method: String
    let isOrdinary: Bool
  }

  var columns: [Column] = []
  var constraints: [Constraint] = []
  var indices: [Index] = []

  var primaryKey: [String]? { constraints.first { $0.kind == .primary }?.columns }

  func column(_ name: String) -> Column? {
    columns.first { $0.name.utf8.elementsEqual(name.utf8) }
  }

  // MARK: Reading

  /// The tables of a schema, by name.
  ///
  /// - Parameter full: with all constraints and indices; otherwise with primary keys only.
  static func all(in place: String, _ connection: ServerConnection, full: Bool) throws(ServerError)
    -> [String: TableShape]
  {
    var shapes: [String: TableShape] = [:]
    let columns = try connection.run(
      "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        + "a.attnum::int8 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        + "LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        + "WHERE n.nspname = $1::text AND c.relkind = 'r' ORDER BY c.oid, a.attnum", [.text(place)])
    for row in 0..<columns.rowCount {
      let name = columns.text(row, 0)
      if columns.isNull(row, 1) {
        shapes[name] = TableShape()
        continue
      }
      shapes[name, default: TableShape()].columns.append(
        Column(
          name: columns.text(row, 1), type: columns.text(row, 2), isNotNull: columns.bool(row, 3),
          number: Int(columns.int(row, 4))))
    }
    func names(_ table: String, _ numbers: String) -> String {
      "coalesce((SELECT string_agg(a.attname::text, chr(1) ORDER BY u.o) FROM unnest(\(numbers)) WITH ORDINALITY "
        + "AS u(n, o) LEFT JOIN pg_attribute AS a ON a.attrelid = \(table) AND a.attnum = u.n), '')"
    }
    let constraints = try connection.run(
      "SELECT c.relname::text, k.conname::text, k.contype::text, \(names("k.conrelid", "k.conkey")), "
        + "coalesce(fn.nspname || chr(1) || f.relname, ''), "
        + "\(names("k.confrelid", "k.confkey")), CASE k.contype WHEN 'f' THEN k.condeferrable AND "
        + "k.condeferred AND k.convalidated AND k.confdeltype = 'a' AND k.confupdtype = 'a' WHEN 'u' THEN "
        + "k.condeferrable AND k.condeferred WHEN 'c' THEN k.convalidated WHEN 'p' THEN NOT k.condeferrable "
        + "ELSE false END, CASE k.contype WHEN 'c' THEN pg_get_constraintdef(k.oid) ELSE '' END "
        + "FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid "
        + "JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_class AS f ON f.oid = k.confrelid "
        + "LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace WHERE n.nspname = $1::text "
        // Since version 18 NOT NULL is a constraint as well.
        + "AND c.relkind = 'r' AND k.contype \(full ? "<> 'n'" : "= 'p'") ORDER BY k.oid",
      [.text(place)])
    for row in 0..<constraints.rowCount {
      shapes[constraints.text(row, 0)]?.constraints.append(
        Constraint(
          name: constraints.text(row, 1),
          kind: Constraint.Kind(rawValue: constraints.text(row, 2)) ?? .other,
          columns: split(constraints.text(row, 3)), target: split(constraints.text(row, 4)),
          targetColumns: split(constraints.text(row, 5)), definition: constraints.text(row, 7),
          isOrdinary: constraints.bool(row, 6)))
    }
    guard full else { return shapes }
    let indices = try connection.run(
      "SELECT c.relname::text, x.relname::text, \(names("i.indrelid", "i.indkey::int2[]")), m.amname::text, "
        + "i.indisvalid AND i.indisready AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT i.indisunique "
        + "FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_class AS x ON x.oid = i.indexrelid "
        + "JOIN pg_am AS m ON m.oid = x.relam JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        + "WHERE n.nspname = $1::text AND c.relkind = 'r' AND NOT EXISTS "
        + "(SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid) "
        + "ORDER BY i.indexrelid", [.text(place)])
    for row in 0..<indices.rowCount {
      shapes[indices.text(row, 0)]?.indices.append(
        Index(
          name: indices.text(row, 1), columns: split(indices.text(row, 2)),
          method: indices.text(row, 3), isOrdinary: indices.bool(row, 4)))
    }
    return shapes
  }

  private static func split(_ text: String) -> [String] {
    text.isEmpty
      ? [] : text.split(separator: "\u{1}", omittingEmptySubsequences: false).map(String.init)
  }
}
