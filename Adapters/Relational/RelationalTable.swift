import HeadwaterModel

/// A table of a plan: one for each collection. Tables of sets, maps and lists will stand beside them.
public struct RelationalTable: Sendable {
  /// The index of the collection in the schema.
  public let collection: Int
  /// The name in the sink, not quoted.
  public let name: String
  /// The name of the table that the mirror keeps beside it, where the dialect has such tables.
  public let companion: String?
  public let documentation: String?
  public let columns: [Column]
  /// Indices into `columns`, in the order of the key.
  public let primaryKey: [Int]
  public let foreignKeys: [ForeignKey]
  public let indices: [Index]
  public let checks: [Check]
  /// How many fields the collection has: the length of every `Row` of the table.
  public let fieldCount: Int
  let program: RowProgram

  /// A column, and how its value is taken from a row.
  public struct Column: Sendable {
    /// The name in the sink, not quoted.
    public let name: String
    public let type: ColumnType
    /// The dialect's spelling of the type.
    public let nativeType: String
    public let isNullable: Bool
    /// Whether the column says that an optional record is there.
    public let isPresence: Bool
    /// The field, and the fields of records and keys within it.
    public let fieldPath: [String]
    /// The field's type as the schema spells it.
    public let typeSpelling: String
    public let documentation: String?
    let field: Int
    let steps: [Step]

    enum Step: Sendable, Hashable {
      case recordField(Int)
      case keyValue(Int)
    }

    /// The field whose value is the column's as it is; nil where the column's is found within it, or made from it.
    package var wholeField: Int? { steps.isEmpty && !isPresence ? field : nil }

    /// The column's value in a row of the collection; nil is NULL. Constant time, no look-ups.
    public func value(in row: Row) -> Value? {
      if steps.isEmpty, !isPresence { return row.values[field] }
      return value(along: row)
    }

    private func value(along row: Row) -> Value? {
      var current = row.values[field]
      for step in steps {
        switch (step, current) {
        case (.recordField(let index), .record(let fields)) where index < fields.count:
          current = fields[index]
        case (.keyValue(let index), .reference(let key)) where index < key.values.count:
          current = key.values[index]
        default: return nil
        }
      }
      return isPresence ? .bool(current != nil) : current
    }

    /// The column's value in a key, for a column of the primary key; nil is NULL.
    func value(in key: Key, at position: Int) -> Value? {
      guard position < key.values.count else { return nil }
      var current = key.values[position]
      for step in steps {
        guard case .keyValue(let index) = step, case .reference(let inner) = current,
          index < inner.values.count
        else { return nil }
        current = inner.values[index]
      }
      return current
    }
  }

  /// `FOREIGN KEY (columns) REFERENCES target (targetColumns)`
  public struct ForeignKey: Sendable, Hashable {
    /// Indices into the table's `columns`.
    public let columns: [Int]
    /// The index of the collection referred to.
    public let target: Int
  }

  public struct Index: Sendable, Hashable {
    public let name: String
    /// Indices into the table's `columns`.
    public let columns: [Int]
    public let isUnique: Bool
  }

  /// A check of the schema.
  public struct Check: Sendable, Hashable {
    /// The field that carries it.
    public let fieldPath: [String]
    /// The check as the schema spells it.
    public let text: String
    /// The condition in the engine's SQL; nil where the engine cannot express it exactly and it is left out.
    public let condition: String?
  }

  /// The columns whose names `indices` give, quoted and separated by commas.
  public func columnList(_ indices: [Int], _ dialect: any Dialect) -> String {
    indices.map { dialect.quote(columns[$0].name) }.joined(separator: ", ")
  }

  /// The values of the primary key's columns, in the order of `primaryKey`; nil where `key` is not of this table.
  public func keyValues(of key: Key) -> [Value]? {
    var values: [Value] = []
    values.reserveCapacity(primaryKey.count)
    for (column, position) in zip(primaryKey, keyPositions) {
      guard let value = columns[column].value(in: key, at: position) else { return nil }
      values.append(value)
    }
    return values
  }

  /// For each column of the primary key, which value of the `Key` it comes from.
  let keyPositions: [Int]

  /// The row with these column values, one for each of `columns`; nil where they are of no row: a value is
  /// missing that must be there.
  public func row(from values: [Value?]) -> Row? {
    guard values.count == columns.count else { return nil }
    return program.row(from: values)
  }
}
