import HeadwaterLog
import HeadwaterModel

extension RowHistory {
  /// Decodes the operations that touched the row.
  static func load(
    _ row: RowState, rows: RowTable, log: OperationTable, layout: SchemaPlan,
    suite: any CryptoSuite
  ) throws -> RowHistory {
    RowHistory(
      try rows.touches(row).map { number in
        let record = try log.record(number)
        let changes = ChangeResolver.resolve(
          try log.operation(number), id: record.id, layout: layout, suite: suite)
        return HistoryEntry(
          record: record, changes: changes.filter { $0.storageKey == row.storageKey })
      })
  }
}
