import HeadwaterLog
import HeadwaterModel
import SQLiteDriver

// What proves operations that were taken without a look at their own signature: decision 0050.
//
// `operation.voucher` is the id of the operation on whose word one was taken; null where its own signature was checked.
// That very copy is in the store; where it is not, `testimony` has it and those that prove it, and `voucher` is 32 zero
// bytes: another copy of it, which may be in the store or come, proves nothing.

extension OperationTable {
  /// An operation as it travels, with its id and the one on whose word it was taken.
  func travelling(_ number: Int64) throws -> (id: Digest, signed: SignedOperation, voucher: Digest?)
  {
    let statement = try self.statement(
      "SELECT id, body, signature, author, voucher FROM operation WHERE number = ?")
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step(), let id = statement.withBytes(0, { Digest(bytes: $0) }) else {
      throw StoreError(
        .damaged, "operation \(number) is missing from the store: restore it from a backup")
    }
    let author = try authors.record(statement.int(3))
    let signed = SignedOperation(
      body: statement.bytes(1), suite: author.suite, publicKey: author.publicKey,
      signature: statement.bytes(2))
    return (id, signed, statement.isNull(4) ? nil : statement.withBytes(4) { Digest(bytes: $0) })
  }

  /// An operation with its key and signature.
  func signed(_ number: Int64) throws -> SignedOperation { try travelling(number).signed }

  /// The operations that prove one, each naming the one before it; none where its own signature is good.
  ///
  /// Along the way that its proof took when it came, so it has no more steps than are allowed, and no other signature
  /// need be looked at.
  func witnesses(for number: Int64) throws -> [SignedOperation] {
    let (id, signed, first) = try travelling(number)
    guard var voucher = first, !suite.verify(signed.signature, of: id, by: signed.publicKey) else {
      return []
    }
    var witnesses: [SignedOperation] = []
    var current = number
    while witnesses.count <= Vouching.steps {
      if let kept = try testimony(for: current) { return witnesses + kept }
      guard let next = try self.number(of: voucher) else { break }
      let (_, signed, following) = try travelling(next)
      witnesses.append(signed)
      guard let following else { return witnesses }
      (current, voucher) = (next, following)
    }
    throw StoreError(
      .damaged,
      "what proves operation \(number) is missing from the store: restore it from a backup")
  }

  private func testimony(for number: Int64) throws -> [SignedOperation]? {
    let statement = try db.cached("SELECT witnesses FROM testimony WHERE number = ?")
    statement.bind(1, number)
    defer { statement.reset() }
    guard try statement.step() else { return nil }
    var reader = CanonicalReader(statement.bytes(0))
    do throws(DecodingError) {
      var witnesses: [SignedOperation] = []
      for _ in 0..<(try reader.arrayHeader()) {
        witnesses.append(try SignedOperation.decode(try reader.byteString()))
      }
      try reader.finish()
      return witnesses
    } catch {
      throw StoreError(
        .damaged,
        "what proves operation \(number) is damaged in the store (\(error)): restore it from a backup"
      )
    }
  }

  /// Keeps the operations that prove one which is badly signed itself.
  func keep(_ witnesses: [SignedOperation], for number: Int64) throws {
    var writer = CanonicalWriter(reservingCapacity: 4_096)
    writer.arrayHeader(witnesses.count)
    for witness in witnesses { writer.byteString(witness.encode()) }
    let statement = try db.cached(
      "INSERT OR REPLACE INTO testimony (number, witnesses) VALUES (?, ?)")
    statement.bind(1, number)
    statement.bind(2, writer.bytes)
    try statement.run()
    let update = try self.statement("UPDATE operation SET voucher = zeroblob(32) WHERE number = ?")
    update.bind(1, number)
    try update.run()
  }

  /// Notes that an operation's own signature was checked after all.
  func forgetVoucher(of number: Int64) throws {
    let statement = try self.statement("UPDATE operation SET voucher = NULL WHERE number = ?")
    statement.bind(1, number)
    try statement.run()
  }
}
