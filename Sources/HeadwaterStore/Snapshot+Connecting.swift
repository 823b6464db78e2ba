import HeadwaterModel

extension Snapshot {
  /// Whether the schema lets a replica of that principal connect (`allow connect if …`).
  ///
  /// By the rows that are live here now: what two replicas say may differ for as long as they have not met.
  /// Somebody who may not connect reads nothing and sends nothing.
  public func mayConnect(_ principal: Digest) throws -> Bool {
    try Evidence(
      log: log, rows: rows, authority: AuthorityTable(db), layout: layout, suite: suite
    ).mayConnect(principal)
  }
}
