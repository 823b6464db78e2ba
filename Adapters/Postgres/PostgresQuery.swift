import CLibpq
import HeadwaterStream

/// Asks a mirror, or any PostgreSQL database, in SQL, without writing.
///
/// Blocks until the server has answered; one query at a time. The connection is closed in `deinit`.
public final class PostgresQuery {
  private let connection: ServerConnection
  private let configuration: PostgresConfiguration

  /// A value of a result.
  public enum Cell: Sendable, Hashable {
    case null
    /// An integer or a decimal, in digits.
    case number(String)
    case bool(Bool)
    /// A value of `jsonb`, on one line.
    case json(String)
    /// Anything else, as the server writes it.
    case text(String)
  }

  /// Connects; names without a schema are looked for in the mirror's.
  public init(_ configuration: PostgresConfiguration) throws(AdapterError) {
    self.configuration = configuration
    do throws(ServerError) {
      connection = try ServerConnection(configuration.settings)
      let schema = PostgresDialect.quote(configuration.schema)
      try connection.execute(
        "SET search_path = \(schema), public; SET datestyle = ISO; SET timezone = UTC; "
          + "SET default_transaction_read_only = on")
    } catch {
      throw AdapterError(error, configuration, nil)
    }
  }

  /// Runs one statement that only reads, and hands over its rows one by one.
  ///
  /// - Parameter body: called with each row, and first, without one, with the names of the columns and whether they
  ///   hold numbers.
  /// - Throws: `AdapterError` with the server's message, which is about what was typed; or what `body` throws.
  public func run(
    _ sql: String,
    _ body: (_ names: [String], _ areNumbers: [Bool], _ row: [Cell]?) throws -> Void
  ) throws {
    do {
      var names: [String]?
      var kinds: [UInt32] = []
      try connection.stream(sql) { result in
        if names == nil {
          let columns = (0..<result.columnCount).map { result.columnName($0) }
          kinds = (0..<result.columnCount).map { result.columnType($0) }
          guard !columns.isEmpty else {
            throw ServerError(message: "that is no query: it has no columns", sqlState: "25006")
          }
          names = columns
          try body(columns, kinds.map(PostgresQuery.isNumber), nil)
        }
        for row in 0..<result.rowCount {
          let cells = kinds.indices.map { column -> Cell in
            result.isNull(row, column)
              ? .null : PostgresQuery.cell(result.text(row, column), kinds[column])
          }
          try body(names ?? [], kinds.map(PostgresQuery.isNumber), cells)
        }
      }
    } catch let error as ServerError {
      if error.sqlState == "25006" {
        throw AdapterError(
          .misuse, "That is no query: a mirror is read, and written by its store alone.",
          recovery: .halt)
      }
      guard error.sqlState != nil else { throw AdapterError(error, configuration, nil) }
      throw AdapterError(.misuse, "PostgreSQL: \(error.message)", recovery: .halt)
    }
  }

  private static func isNumber(_ type: UInt32) -> Bool {
    [20, 21, 23, 26, 700, 701, 1700].contains(type)
  }

  private static func cell(_ text: String, _ type: UInt32) -> Cell {
    switch type {
    case 16: .bool(text == "t")
    case 3802: .json(text)
    // NaN and the infinities are no numbers of JSON.
    case _ where isNumber(type) && text.utf8.allSatisfy { $0 < 0x41 || $0 == 0x65 }:
      .number(text)
    default: .text(text)
    }
  }
}
