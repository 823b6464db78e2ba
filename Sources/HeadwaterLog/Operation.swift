import HeadwaterModel

/// An atomic group of changes by one author: the only thing that is replicated.
///
/// A value; its canonical bytes are `encode()`, its id is their hash. Nothing about an operation is
/// trusted until `Operation.decode` and the store's static checks have passed.
public struct Operation: Sendable, Hashable {
  /// What kind of operation this is, with what only that kind has.
  public enum Kind: Sendable, Hashable {
    /// The first operation of a database: 16 random bytes, and the schema by hash and text.
    case genesis(nonce: [UInt8], schemaHash: Digest, schemaText: String)
    /// Any other: the database's id (the id of its genesis), and the operation that brought its schema.
    case ordinary(database: Digest, schema: Digest)
  }

  public let kind: Kind
  /// The frontier that the author had seen: ids, sorted, an antichain. Empty in the genesis only.
  public let parents: [Digest]
  /// The principal who signs.
  public let author: Digest
  /// The author's highest operation in the past of `parents`; nil in the author's first.
  public let previous: Digest?
  /// The author's wall clock, in milliseconds since 1970; it orders nothing.
  public let time: Int64
  public let changes: [RowChange]

  public init(
    kind: Kind, parents: [Digest], author: Digest, previous: Digest?, time: Int64,
    changes: [RowChange]
  ) {
    self.kind = kind
    self.parents = parents
    self.author = author
    self.previous = previous
    self.time = time
    self.changes = changes
  }

  public var isGenesis: Bool {
    if case .genesis = kind { return true }
    return false
  }
}

/// One change of one row. Collections and slots are numbers in the schema that the operation names.
public struct RowChange: Sendable, Hashable {
  public enum Kind: UInt8, Sendable, Hashable {
    case create = 0
    case update = 1
    case delete = 2
  }

  public let kind: Kind
  /// Index in the schema's collections.
  public let collection: Int
  /// Absent only in a create of a row with a generated key.
  public let key: Key?
  /// What is assigned, by ascending slot. Empty in a delete.
  public let assignments: [Assignment]

  public init(kind: Kind, collection: Int, key: Key?, assignments: [Assignment]) {
    self.kind = kind
    self.collection = collection
    self.key = key
    self.assignments = assignments
  }
}

/// A change of one slot of a row.
public struct Assignment: Sendable, Hashable {
  /// Index in the slots of the collection.
  public let slot: Int
  public let change: FieldChange

  public init(slot: Int, change: FieldChange) {
    self.slot = slot
    self.change = change
  }
}

/// What a change does to one slot: a register's new value, or the bytes that another data type defines.
public enum FieldChange: Sendable, Hashable {
  /// The register's value; nil makes it absent.
  case set(Value?)
  /// A change of a data type other than the register, in that type's own encoding.
  case apply([UInt8])
}

/// An operation as it is kept and sent: the signed bytes and what proves them.
public struct SignedOperation: Sendable, Hashable {
  /// The canonical encoding, of which the id is the hash.
  public let body: [UInt8]
  /// The signature suite.
  public let suite: UInt8
  /// The author's public key: the principal is the hash of (suite, public key).
  public let publicKey: [UInt8]
  public let signature: [UInt8]

  public init(body: [UInt8], suite: UInt8, publicKey: [UInt8], signature: [UInt8]) {
    self.body = body
    self.suite = suite
    self.publicKey = publicKey
    self.signature = signature
  }
}
