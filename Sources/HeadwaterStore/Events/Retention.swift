import HeadwaterModel

/// Which events may be forgotten: those that every registered mirror has and that are not among the newest,
/// and in any case those beyond a maximum.
struct Retention {
  let retained: Int64
  let maximum: Int64

  init(_ options: Store.Options) {
    retained = max(0, options.retainedEvents)
    maximum = max(retained, options.maximumEvents)
  }

  /// After how many new events it is worth looking again.
  var interval: Int64 { min(max(retained / 10, 1_000), 50_000) }

  /// Removes whole transactions from the beginning; returns the position up to which all is gone.
  func trim(_ engine: Engine) throws -> Int64 {
    let db = engine.db
    try engine.events.flush()
    let last = engine.events.last
    var bound = last - retained
    if let slowest = try db.integer("SELECT min(coalesce(position, 0)) FROM mirror") {
      bound = min(bound, slowest)
    }
    bound = max(bound, last - maximum)
    let statement = try db.prepare(
      "SELECT last, digest FROM event WHERE last <= ? AND digest IS NOT NULL ORDER BY first DESC LIMIT 1"
    )
    statement.bind(1, bound)
    guard bound > 0, try statement.step() else { return 0 }
    let position = statement.int(0)
    let digest = statement.bytes(1)
    statement.reset()
    // The digest at the cut is kept: a mirror that stands exactly there can go on.
    try StoreFile.setMeta(
      db, "trimmed", withUnsafeBytes(of: position.bigEndian) { Array($0) } + digest)
    let delete = try db.cached("DELETE FROM event WHERE last <= ?")
    delete.bind(1, position)
    try delete.run()
    return position
  }
}
