import HeadwaterModel
import HeadwaterStream

/// The tables that carry a schema in one relational engine, decided once for all of them.
///
/// A value: it depends on the schema and the dialect and on nothing else, so two processes, or two versions of
/// one program, that agree on both agree on every name.
public struct RelationalPlan: Sendable {
  public let schema: Schema
  public let dialect: any Dialect
  /// The tables, in the order of the schema's collections.
  public let tables: [RelationalTable]
  public let names: NameMap

  /// Plans the tables of a schema.
  ///
  /// - Throws: `.unsupported` (halt) where a field has a type that relational mirrors do not carry; the
  ///   message names the field and the type.
  public init(schema: Schema, dialect: any Dialect) throws(AdapterError) {
    var builder = PlanBuilder(schema: schema, dialect: dialect)
    let tables = try builder.tables()
    self.schema = schema
    self.dialect = dialect
    self.tables = tables
    names = NameMap(
      entries: tables.flatMap { table in
        let collection = schema.collections[table.collection].name
        return [
          NameMap.Entry(collection: collection, fieldPath: [], table: table.name, column: nil)
        ]
          + table.columns.map {
            NameMap.Entry(
              collection: collection, fieldPath: $0.fieldPath, table: table.name, column: $0.name)
          }
      })
  }

  /// The table of the collection with that index.
  public func table(_ collection: Int) -> RelationalTable { tables[collection] }
}

// MARK: - Statements

extension RelationalPlan {
  /// `CREATE TABLE` with columns, primary key, foreign keys and checks, but without indices.
  ///
  /// - Parameter name: what to call the table, if not by its own name; foreign keys refer to the tables' own
  ///   names in any case.
  public func createTable(_ table: RelationalTable, named name: String? = nil) -> String {
    var lines = table.columns.map { column in
      "\(dialect.quote(column.name)) \(column.nativeType)" + (column.isNullable ? "" : " NOT NULL")
        + (dialect.typeCheck(column.type, column: dialect.quote(column.name)).map {
          " CHECK (\($0))"
        } ?? "")
    }
    lines.append("PRIMARY KEY (\(table.columnList(table.primaryKey, dialect)))")
    for check in table.checks {
      if let condition = check.condition { lines.append("CHECK (\(condition))") }
    }
    for key in table.foreignKeys {
      let target = tables[key.target]
      lines.append(
        "FOREIGN KEY (\(table.columnList(key.columns, dialect))) REFERENCES "
          + "\(dialect.quote(target.name)) (\(target.columnList(target.primaryKey, dialect)))"
          + " DEFERRABLE INITIALLY DEFERRED")
    }
    return "CREATE TABLE \(dialect.quote(name ?? table.name)) (\n  "
      + lines.joined(separator: ",\n  ") + "\n)" + dialect.tableSuffix
  }

  /// `CREATE INDEX` for one index of a table under its own name.
  public func createIndex(_ index: RelationalTable.Index, of table: RelationalTable) -> String {
    "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX \(dialect.quote(index.name)) ON "
      + "\(dialect.quote(table.name)) (\(table.columnList(index.columns, dialect)))"
  }
}
