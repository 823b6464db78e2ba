import HeadwaterLog
import HeadwaterModel

/// The place in the DAG from which conditions are looked at: that of an operation in it, or of one that is
/// about to enter.
///
/// Remembers how far its past reaches in each chain, so that asking about many operations of a chain costs
/// one look-up.
final class Viewpoint {
  /// The local number; 0 of an operation that is not in the DAG yet.
  let number: Int64
  let author: Digest
  let height: Int64
  let id: Digest
  private let log: OperationTable
  private let place: Place?
  private let parents: [OperationRecord]
  /// Whether everything that is known is in its past.
  let seesEverything: Bool
  /// If set, only these operations exist: what a replica knew that had seen no more.
  let world: ((OperationRecord) throws -> Bool)?
  @exclusivity(unchecked) private var reach: [(chain: Int64, furthest: Int64)] = []
  private var more: [Int64: Int64] = [:]

  /// Where an operation of the DAG stands.
  init(
    _ record: OperationRecord, author: Digest, log: OperationTable,
    world: ((OperationRecord) throws -> Bool)? = nil
  ) {
    number = record.number
    self.author = author
    height = record.height
    id = record.id
    self.log = log
    place = record.place
    parents = []
    seesEverything = false
    self.world = world
  }

  /// Where an operation will stand that is not in the DAG yet: nothing has it in its past.
  init(
    parents: [OperationRecord], seesEverything: Bool, author: Digest, id: Digest,
    log: OperationTable, world: ((OperationRecord) throws -> Bool)? = nil
  ) {
    number = 0
    self.author = author
    height = (parents.map(\.height).max() ?? 0) + 1
    self.id = id
    self.log = log
    place = nil
    self.parents = parents
    self.seesEverything = seesEverything
    self.world = world
  }

  /// Whether the operation is in the past.
  func sees(_ record: OperationRecord) throws -> Bool {
    if seesEverything { return true }
    if record.number == number { return false }
    let chain = record.place.chain
    if let place, place.chain == chain { return record.place.position < place.position }
    for known in reach where known.chain == chain {
      return record.place.position <= known.furthest
    }
    if let known = more[chain] { return record.place.position <= known }
    var furthest: Int64 = 0
    if let place {
      furthest = try log.ancestry.reach(of: place, in: chain)
    } else {
      for parent in parents {
        furthest = max(furthest, try log.ancestry.reach(of: parent.place, in: chain))
      }
    }
    // Of most places few chains are seen.
    if reach.count < 4 { reach.append((chain, furthest)) } else { more[chain] = furthest }
    return record.place.position <= furthest
  }

  /// Whether the operation has this one in its past.
  func isSeen(by record: OperationRecord) throws -> Bool {
    guard let place else { return false }
    return try log.ancestry.isAncestor(place, of: record.place)
  }

  /// Whether the operation exists here and neither is in the other's past.
  func isConcurrent(_ record: OperationRecord) throws -> Bool {
    guard record.number != number, !seesEverything, try !sees(record) else { return false }
    if let world, try !world(record) { return false }
    return try !isSeen(by: record)
  }

  /// Whether the operation is canonically before this one.
  func follows(_ record: OperationRecord) -> Bool {
    record.height != height ? record.height < height : record.id < id
  }

  var point: CanonicalPoint { CanonicalPoint(height: height, id: id) }
}
