import Foundation
import HeadwaterLog
import HeadwaterMemory
import Testing

@testable import Headwater

/// The default suite with no randomness in it.
struct FixedSuite: CryptoSuite {
  private let suite = SodiumSuite()
  let seed: UInt8

  var identifier: UInt8 { suite.identifier }
  var publicKeyByteCount: Int { suite.publicKeyByteCount }
  var signatureByteCount: Int { suite.signatureByteCount }
  func hash(_ bytes: UnsafeRawBufferPointer) -> Digest { suite.hash(bytes) }
  func verify(_ signature: [UInt8], of digest: Digest, by publicKey: [UInt8]) -> Bool {
    suite.verify(signature, of: digest, by: publicKey)
  }
  func randomBytes(_ count: Int) -> [UInt8] { [UInt8](repeating: seed, count: count) }
  func makeStreamingHash() -> any StreamingHash { suite.makeStreamingHash() }
}

/// A replica with a store: memory, or a file that survives a restart.
final class StoreReplica: Replica {
  static let schema = """
    schema Team

    enum Role { owner, writer }

    collection Member {
      principal: Principal @key
      role: Role @readonly
      allow create, delete if exists Member(principal: $author, role: owner)
    }

    collection Topic {
      id: Text(4) @key
      title: Text?
      allow create, delete if exists Member(principal: $author)
      allow update
    }

    collection Note {
      id: Text(4) @key
      topic: Topic? @onDelete(void)
      twin: Note? @onDelete(cascade)
      handle: Text(4)? @readonly @unique
      text: Text?
      allow create, update, delete if exists Member(principal: $author)
    }
    """

  static func signer(_ number: Int) -> SigningKey {
    SigningKey(seed: [UInt8](repeating: UInt8(number + 1), count: 32))
  }

  /// The first operation: everybody's database.
  static func genesis() async throws -> SignedOperation {
    var options = Store.Options()
    options.clock = { 0 }
    let store = try Store.create(
      at: nil, schema: try Schema.parse(schema), as: signer(0), suite: FixedSuite(seed: 9),
      options: options
    ) { draft in
      for number in 0..<3 {
        try draft.create(
          "Member",
          [
            ("principal", .principal(signer(number).principal)),
            ("role", .text(number < 2 ? "owner" : "writer")),
          ])
      }
    }
    return try await store.read { try $0.signed(store.database)! }
  }

  let number: Int
  private let path: String?
  private(set) var store: Store
  private let options: Store.Options
  private var inboxes: [Int: Inbox] = [:]
  let mirrored = MemoryAdapter()

  init(number: Int, genesis: SignedOperation, path: String?) throws {
    self.number = number
    self.path = path
    var options = Store.Options()
    options.clock = { 0 }
    options.durability = .process
    self.options = options
    store = try Store.replicate(
      at: path, genesis: genesis, suite: FixedSuite(seed: UInt8(number)), options: options)
  }

  var database: Digest { store.database }

  func step(_ session: Session, _ input: Input, at time: Int64) async throws -> (
    Session, [Session.Action]
  ) {
    try await store.read { snapshot in
      var session = session
      let actions = try session.step(input, at: time, SnapshotView(snapshot))
      return (session, actions)
    }
  }

  func deliver(_ batch: Session.Batch, from session: Int) async throws -> Outcome {
    let inbox = inboxes[session] ?? Inbox(store, maximumOperations: 512)
    inboxes[session] = inbox
    let decoded = batch.operations.compactMap { try? SignedOperation.decode($0) }
    let verified = await VerifiedOperations(
      decoded, ids: decoded.count == batch.ids.count ? batch.ids : [],
      witnesses: batch.witnesses.compactMap { try? SignedOperation.decode($0) },
      suite: store.suite)
    let report = try await inbox.receive(verified)
    var outcome = Outcome(report, missing: await inbox.wanted)
    outcome.rejected += batch.operations.count - decoded.count
    return outcome
  }

  func retry(_ session: Int) async throws -> Outcome? {
    guard let inbox = inboxes[session], await inbox.waiting > 0 else { return nil }
    let report = try await inbox.retry()
    return report.isEmpty ? nil : Outcome(report, missing: await inbox.wanted)
  }

  func write(_ random: inout Seeded) async throws -> Digest? {
    let signer = StoreReplica.signer(Int.random(in: 0..<5, using: &random))
    let other = StoreReplica.signer(Int.random(in: 0..<5, using: &random)).principal
    let id = ["a", "b", "c"].randomElement(using: &random)!
    let second = ["a", "b", "c"].randomElement(using: &random)!
    let kind = Int.random(in: 0..<9, using: &random)
    // Now and then from a frontier of long ago.
    var frontier: [Digest]?
    if random.happens(0.2) {
      let some = random.next()
      frontier = try await store.read { snapshot in
        let operations = try snapshot.operations()
        let rank = Int(some % UInt64(operations.count))
        return try operations.keys(rank..<rank + 1).map(\.id)
      }
    }
    do {
      return try await store.write(as: signer, at: frontier) { draft in
        func key(_ id: String) -> Key { Key([.text(id)]) }
        switch kind {
        case 0:
          try draft.create("Member", [("principal", .principal(other)), ("role", .text("owner"))])
        case 1: try draft.delete("Member", key: Key([.principal(other)]))
        case 2: try draft.create("Topic", [("id", .text(id))])
        case 3: try draft.delete("Topic", key: key(id))
        case 4: try draft.update("Topic", key: key(id), set: [("title", .text(second))])
        case 5:
          try draft.create(
            "Note",
            [("id", .text(id)), ("topic", .reference(key(second))), ("handle", .text(second))])
        case 6:
          try draft.create("Note", [("id", .text(id)), ("twin", .reference(key(second)))])
        case 7: try draft.update("Note", key: key(id), set: [("text", .text(second))])
        default: try draft.delete("Note", key: key(id))
        }
      }.operation
    } catch is StoreError {
      // Refused: that is what rules are for.
      return nil
    }
  }

  func forge(_ forgery: Forgery, _ random: inout Seeded) async throws -> Session.Batch? {
    if case .vouched = forgery { return try await forgeChain(&random) }
    return try await forgeOne(forgery, &random).map { Session.Batch([$0]) }
  }

  /// A chain of a member's operations, badly signed but for one at its end, which may be one that cannot enter.
  private func forgeChain(_ random: inout Seeded) async throws -> Session.Batch? {
    let signer = StoreReplica.signer(2)
    let (store, heads) = (store, try await frontier())
    // Where the author's chain ends in what is known here; sometimes it forks.
    let last = try await store.read { snapshot in
      var last: Digest?
      try snapshot.log {
        if $0.author == signer.principal { last = $0.id }
        return true
      }
      return last
    }
    var (parents, previous) = (heads, last)
    if random.happens(0.3) { (parents, previous) = ([store.database], nil) }
    let length = Int.random(in: 1...6, using: &random)
    var chain: [[UInt8]] = []
    for step in 0...length {
      let isEnd = step == length
      var parents = parents
      if isEnd, random.happens(0.3) {
        // It waits for ever: its proof is good all the same.
        parents.append(store.suite.hash([UInt8.random(in: 0...255, using: &random)]))
      }
      // A collection that does not exist makes it statically wrong.
      let isWrong = isEnd && random.happens(0.3)
      let operation = HeadwaterLog.Operation(
        kind: .ordinary(database: store.database, schema: store.database),
        parents: parents.sorted(), author: signer.principal, previous: previous,
        time: Int64(random.next() % 1_000),
        changes: [
          RowChange(
            kind: .update, collection: isWrong ? 9 : 1,
            key: Key([.text(["a", "b", "c"].randomElement(using: &random)!)]),
            assignments: [Assignment(slot: 1, change: .set(.text("\(step)")))])
        ])
      let body = operation.encode()
      let id = store.suite.hash(body)
      var signature = signer.sign(id)
      if !isEnd { signature[step] ^= 1 }
      chain.append(
        SignedOperation(
          body: body, suite: store.suite.identifier, publicKey: signer.publicKey,
          signature: signature
        ).encode())
      (parents, previous) = ([id], id)
    }
    // What cannot enter is sent as an operation too, or as a witness only.
    let cut = random.happens(0.5) ? chain.count : Int.random(in: 1..<chain.count, using: &random)
    return Session.Batch(Array(chain[..<cut]), witnesses: Array(chain[cut...]))
  }

  private func forgeOne(_ forgery: Forgery, _ random: inout Seeded) async throws -> [UInt8]? {
    // An owner or a member, so that what they say would matter.
    let number = [1, 2].randomElement(using: &random)!
    let signer = StoreReplica.signer(number)
    let id = Key([.text(["a", "b", "c"].randomElement(using: &random)!)])
    // Written where nothing was known but the first operation: beside whatever the author wrote elsewhere.
    let store = store
    let beginning = try await store.read { try $0.signed(store.database)! }
    let apart = try Store.replicate(
      at: nil, genesis: beginning, suite: FixedSuite(seed: 77), options: options)
    let text = "\(random.next() % 1_000)"
    let remover = number == 1 && random.happens(0.5)
    let written = try await apart.write(as: signer) { draft in
      if remover {
        try draft.delete("Member", key: Key([.principal(StoreReplica.signer(0).principal)]))
      } else {
        try draft.create("Note", [("id", id.values[0]), ("text", .text(text))])
      }
    }.operation
    guard let signed = try await apart.read({ try $0.signed(written) }) else { return nil }
    func sign(_ operation: HeadwaterLog.Operation, wrongly: Bool = false) -> [UInt8] {
      let body = operation.encode()
      var signature = signer.sign(store.suite.hash(body))
      if wrongly { signature[Int.random(in: 0..<signature.count, using: &random)] ^= 1 }
      return SignedOperation(
        body: body, suite: signed.suite, publicKey: signed.publicKey, signature: signature
      ).encode()
    }
    let operation = try HeadwaterLog.Operation.decode(signed.body)
    func altered(parents: [Digest], previous: Digest?) -> HeadwaterLog.Operation {
      HeadwaterLog.Operation(
        kind: operation.kind, parents: parents.sorted(), author: operation.author,
        previous: previous, time: operation.time, changes: operation.changes)
    }
    let heads = try await frontier()
    switch forgery {
    case .vouched: return nil
    case .equivocation: return signed.encode()
    case .badSignature:
      // A new one, or a spoilt copy of one that is good.
      if random.happens(0.5) { return sign(operation, wrongly: true) }
      guard var copy = try await store.read({ try $0.signed(heads[0]) }) else { return nil }
      copy = SignedOperation(
        body: copy.body, suite: copy.suite, publicKey: copy.publicKey,
        signature: [UInt8](repeating: 5, count: copy.signature.count))
      return copy.encode()
    case .parents:
      let nobodys = store.suite.hash([UInt8.random(in: 0...255, using: &random)])
      switch Int.random(in: 0..<4, using: &random) {
      case 0: return sign(altered(parents: [nobodys], previous: nil))
      case 1: return sign(altered(parents: [nobodys] + heads.prefix(1), previous: nobodys))
      // One in the past of another; and a `previous` that is somebody else's.
      case 2 where heads != [store.database]:
        return sign(altered(parents: [store.database] + heads.prefix(1), previous: nil))
      default: return sign(altered(parents: heads, previous: store.database))
      }
    }
  }

  func restart() throws {
    inboxes = [:]
    guard let path else { return }
    store = try StoreReplica.reopen(&store, path, number, options)
  }

  private static func reopen(
    _ store: inout Store, _ path: String, _ number: Int, _ options: Store.Options
  ) throws -> Store {
    // The lock goes with the last reference.
    store = try Store.create(
      at: nil,
      schema: try Schema.parse("schema Empty\nallow everything\ncollection A { id: Int @key }"),
      as: signer(0),
      suite: FixedSuite(seed: 0))
    return try Store.open(
      path, forWriting: true, suite: FixedSuite(seed: UInt8(number)), options: options)
  }

  func forget(_ session: Int) { inboxes[session] = nil }
  func frontier() async throws -> [Digest] { try await store.read { try $0.frontier() } }

  // MARK: What it comes to

  /// How many operations are here that are badly signed, and how many of those have witnesses that are not.
  func badlySigned() async throws -> (taken: Int, witnessed: Int) {
    let suite = store.suite
    return try await store.read { snapshot in
      let operations = try snapshot.operations()
      var (taken, witnessed) = (0, 0)
      for number in 1...snapshot.lastNumber {
        let (id, signed, _) = try snapshot.travelling(number)
        guard !suite.verify(signed.signature, of: id, by: signed.publicKey) else { continue }
        taken += 1
        let last = try snapshot.witnesses(for: number).last
        if let last, try operations.number(of: suite.hash(last.body)) == nil { witnessed += 1 }
      }
      return (taken, witnessed)
    }
  }

  func verdicts() async throws -> [Digest: Verdict] {
    try await store.read { snapshot in
      var result: [Digest: Verdict] = [:]
      try snapshot.log {
        result[$0.id] = $0.verdict
        return true
      }
      return result
    }
  }

  func rows() async throws -> [[Row]] {
    try await store.read { snapshot in
      try snapshot.schema.collections.indices.map { try snapshot.rows($0, limit: 1_000) }
    }
  }

  /// Lets the mirror catch up, and says whether it equals the rows.
  func mirror() async throws -> Bool {
    let mirror = Mirror(
      name: "m", sink: "memory:", source: store.changes, adapter: mirrored,
      options: MirrorOptions())
    _ = try await mirror.synchronise()
    return try await mirror.verify().isEqual
  }
}
