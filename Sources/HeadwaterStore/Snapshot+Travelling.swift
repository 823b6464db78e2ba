import HeadwaterLog
import HeadwaterModel

extension Snapshot {
  /// Calls `body` with the operations as they travel, parents before children, until it returns false.
  ///
  /// - Parameter known: leave out these operations and their past.
  public func signedOperations(
    notIn known: [Digest] = [], _ body: (SignedOperation) throws -> Bool
  ) throws {
    let heads = try known.map { id in
      guard let number = try log.number(of: id) else {
        throw StoreError(.invalid, "the store has no operation \(id.hex)")
      }
      return try log.record(number)
    }
    let statement = try db.prepare("SELECT number FROM operation ORDER BY number")
    while try statement.step() {
      let number = statement.int(0)
      if !heads.isEmpty, try log.isInPast(log.record(number), ofOrAmong: heads) { continue }
      guard try body(log.signed(number)) else { return }
    }
  }
}
