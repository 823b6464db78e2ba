import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

extension Sink {
  /// What PostgreSQL has as the most columns of a table, and of an index.
  private static let maximumColumns = 1_600
  private static let maximumKeyColumns = 32
  /// How many bytes of a row a page of 8 KB has room for.
  private static let pageBytes = 8_160

  /// Refuses tables of which some row would not fit into a page, or that PostgreSQL cannot make.
  ///
  /// Otherwise the mirror would stop at the first such row. Values of variable length are moved out of a row that is
  /// too long, but only those longer than 24 bytes.
  func checkLimits(_ plan: RelationalPlan) throws(AdapterError) {
    for table in plan.tables {
      let name = plan.schema.collections[table.collection].name
      func refusal(_ what: String) -> AdapterError {
        AdapterError(
          .unsupported,
          "A PostgreSQL mirror cannot carry the collection \(name): \(what). Split it into several collections.",
          recovery: .halt)
      }
      let columns = table.columns.count + (configuration.hasProvenance ? 3 : 0)
      guard columns <= Sink.maximumColumns else {
        throw refusal("it needs \(columns) columns, and a table has at most \(Sink.maximumColumns)")
      }
      let keys =
        [table.primaryKey] + table.indices.map(\.columns) + table.foreignKeys.map(\.columns)
      guard keys.allSatisfy({ $0.count <= Sink.maximumKeyColumns }) else {
        throw refusal("a key of it needs more than \(Sink.maximumKeyColumns) columns")
      }
      // The head of a row has a bit a column; where a row says where it comes from, two texts and a time follow.
      var bytes = (23 + (columns + 7) / 8 + 7) & ~7
      let more: [ColumnType] =
        configuration.hasProvenance ? [.principal, .principal, .timestamp] : []
      for type in table.columns.map(\.type) + more {
        let (size, alignment) = Sink.room(for: type)
        bytes = (bytes + alignment - 1) & ~(alignment - 1)
        bytes += size
      }
      guard bytes <= Sink.pageBytes else {
        throw refusal(
          "a row of \(columns) columns may need \(bytes) bytes, and a page has room for \(Sink.pageBytes)"
        )
      }
    }
  }

  /// The most bytes that a value takes in a row when everything that can be moved out of it is, and how they are
  /// aligned.
  private static func room(for type: ColumnType) -> (size: Int, alignment: Int) {
    switch type {
    case .bool: (1, 1)
    case .date: (4, 4)
    case .int, .float, .timestamp: (8, 8)
    case .uuid: (16, 1)
    case .text, .bytes, .decimal, .json, .enumeration, .principal: (24, 1)
    }
  }
}
