import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium

@testable import HeadwaterStore

/// Makes random histories in which authority comes and goes: few authors, grants, revocations, operations
/// written long ago as it seems, forks of one author, and much that no store would write. None is statically
/// wrong.
struct AuthorityHistoryMaker {
  /// Authorities of every kind, gated documents, references of every policy, unique values.
  static let world = """
    schema Authority

    enum Role { owner, editor, viewer }

    collection Member {
      principal: Principal @key
      role: Role @readonly
      level: Int @readonly @default(1)
      name: Text?
      allow create if exists Member(principal: $author, role: owner)
      allow delete if exists Member(principal: $author, role: owner) or row.principal == $author
      allow update if row.principal == $author
    }

    collection Grant {
      holder: Principal @readonly
      scope: Text(4) @readonly
      by: Member? @readonly @onDelete(void)
      allow create if exists Member(principal: $author, role: owner or editor) and new.scope != "none"
      allow create if exists Grant(holder: $author, scope: "all") and new.holder != $author
      allow delete if exists Member(principal: $author, role: owner) or exists Grant(holder: $author, scope: "all")
    }

    lenient collection Badge {
      holder: Principal @key
      color: Text(4) @key
      allow create if exists Member(principal: $author) or exists Grant(holder: $author, scope: "all" or "doc")
      allow delete if row.holder == $author or row.color == "red" and exists Member(principal: $author)
    }

    collection Topic {
      id: Text(4) @key
      parent: Topic? @onDelete(void)
      title: Text?
      allow create, delete if exists Member(principal: $author) or exists Badge(holder: $author)
      allow update
    }

    collection Doc {
      writer: Principal @readonly
      kind: Text(4) @readonly @default("doc")
      handle: Text(4)? @readonly @unique
      main: Topic? @readonly @onDelete(void)
      topic: Topic? @onDelete(void)
      sponsor: Member? @onDelete(void)
      grant: Grant? @onDelete(void)
      like: Doc? @onDelete(null)
      under: Doc? @onDelete(cascade)
      title: Text @default("untitled")
      allow create if new.writer == $author and (exists Member(principal: $author, role: owner or editor) or exists Grant(holder: $author, scope: new.kind) and exists Badge(holder: $author))
      allow update if row.writer == $author and exists Badge(holder: $author) or exists Member(principal: $author, role: owner)
      allow delete if row.kind in ["doc", "note"] and exists Member(principal: $author) or exists Grant(holder: $author, scope: "all")
    }

    collection Slot {
      id: Text(4) @key
      code: Int @readonly @unique @default(0)
      title: Text?
      allow create if new.code < 1
      allow create if exists Member(principal: $author, role: owner, level: new.code or 1)
      allow update, delete
    }

    strict collection Tag {
      topic: Topic @key @onDelete(void)
      name: Text(4) @key
      next: Tag? @onDelete(void)
      weight: Int?
      allow create, update if exists Member(principal: $author) or exists Grant(holder: $author)
      allow delete
    }
    """

  /// A schema with what an operation says of it.
  struct World {
    let schema: Schema
    let hash: Digest
    let text: String

    init(_ text: String) throws {
      schema = try Schema.parse(text)
      hash = schema.hash(with: Fixture.suite)
      self.text = schema.canonicalText
    }
  }

  static let authority = Result { try World(world) }
  /// The same rows without rules, unique values and references that void.
  static let plain = Result {
    let lines = world.split(separator: "\n", omittingEmptySubsequences: false)
      .filter { !$0.hasPrefix("  allow ") }.joined(separator: "\n")
    return try World(
      lines.replacing("schema Authority", with: "schema Plain\nallow everything")
        .replacing("@unique", with: "").replacing("@onDelete(void)", with: ""))
  }

  private static let signers = (1...UInt8(6)).map { Fixture.signer($0) }

  /// An operation of the history; those in its past by their numbers.
  struct Made {
    let id: Digest
    let operation: HeadwaterLog.Operation
    let signed: SignedOperation
    let past: Numbers
    let height: Int
    let author: Int
  }

  let schema: Schema
  /// Parents first.
  private(set) var operations: [Made] = []
  private var random: Seeded
  private let authors: Int
  /// Every create so far, by collection.
  private var created: [[(key: Key, by: Int, isOwner: Bool)]]

  var genesis: SignedOperation { operations[0].signed }
  var decoded: [(id: Digest, operation: HeadwaterLog.Operation)] {
    operations.map { ($0.id, $0.operation) }
  }

  /// - Parameter count: how many operations at least; a few more where several are written at once.
  init(seed: UInt64, count: Int, world: World? = nil) throws {
    let world = try world ?? AuthorityHistoryMaker.authority.get()
    schema = world.schema
    random = Seeded(seed)
    authors = Int.random(in: 2...5, using: &random)
    created = Array(repeating: [], count: schema.collections.count)
    begin(seed, world)
    let reachBack = [1, 2, 3, 5, 12].randomElement(using: &random)!
    let peace = [8, 20, 40, 1_000].randomElement(using: &random)!
    while operations.count < count {
      if chance(peace) {
        quarrel(reachBack: reachBack)
      } else if chance(peace) {
        tangle(reachBack: reachBack)
      } else {
        grow(reachBack: reachBack)
      }
    }
  }

  // MARK: Operations

  private mutating func begin(_ seed: UInt64, _ world: World) {
    var draft = Draft(author: 0, past: Numbers(), schema: schema)
    let owners = Int.random(in: 1...authors, using: &random)
    for author in 0..<authors where author < owners || chance(2) {
      draft.create(
        "Member", principal(author), ["role": .text(author < owners ? "owner" : "editor")])
    }
    if chance(2) { draft.create("Topic", .text("A"), [:]) }
    if chance(3) { draft.create("Badge", [principal(authors - 1), .text("red")], [:]) }
    add(
      draft,
      HeadwaterLog.Operation(
        kind: .genesis(
          nonce: withUnsafeBytes(of: (seed.bigEndian, UInt64(0))) { Array($0) },
          schemaHash: world.hash, schemaText: world.text),
        parents: [], author: AuthorityHistoryMaker.signers[0].principal, previous: nil, time: 0,
        changes: draft.changes), height: 0)
  }

  private mutating func grow(reachBack: Int) {
    let parents = frontier(reachBack: reachBack)
    var draft = Draft(author: author(past(of: parents)), past: past(of: parents), schema: schema)
    for _ in 0..<[1, 1, 1, 2, 3].randomElement(using: &random)! { change(&draft) }
    write(draft, at: parents)
  }

  /// Several authors at once, each revoking another, among other things.
  private mutating func quarrel(reachBack: Int) {
    let parents = frontier(reachBack: reachBack)
    let past = past(of: parents)
    let ring = (0..<authors).filter { hasBeenOwner($0, past) || chance(6) }.shuffled(using: &random)
    guard ring.count > 1 else { return grow(reachBack: reachBack) }
    for (author, next) in zip(ring, ring.dropFirst() + ring.prefix(1)) {
      var draft = Draft(author: author, past: past, schema: schema)
      if chance(2) { slot(&draft) }
      if chance(4) { change(&draft) }
      draft.delete("Member", Key([principal(next)]))
      if chance(4) { change(&draft) }
      write(draft, at: parents)
    }
  }

  /// Several authors at once, each deleting what another begins to refer to.
  private mutating func tangle(reachBack: Int) {
    let parents = frontier(reachBack: reachBack)
    let past = past(of: parents)
    var topics: [Key] = []
    for (key, by, _) in created[schema.collectionIndex(named: "Topic")!]
    where past.contains(by) && !topics.contains(key) {
      topics.append(key)
    }
    guard topics.count > 1 else { return grow(reachBack: reachBack) }
    topics.shuffle(using: &random)
    for (topic, next) in zip(topics, topics.dropFirst() + topics.prefix(1)) {
      var draft = Draft(author: author(past), past: past, schema: schema)
      if chance(2) {
        draft.create("Tag", [.reference(next), text("a", "b")], [:])
      } else {
        draft.create("Topic", .text("D"), ["parent": .reference(next)])
      }
      draft.delete("Topic", topic)
      if chance(4) { change(&draft) }
      write(draft, at: parents)
    }
  }

  /// Some recent operations; now and then from long ago.
  private mutating func frontier(reachBack: Int) -> [Int] {
    var parents: [Int] = []
    for _ in 0..<[1, 1, 1, 2, 2, 3].randomElement(using: &random)! {
      let low = chance(8) ? 0 : max(0, operations.count - reachBack)
      let parent = Int.random(in: low..<operations.count, using: &random)
      if !parents.contains(parent) { parents.append(parent) }
    }
    return parents.filter { a in !parents.contains { operations[$0].past.contains(a) } }
  }

  private func past(of parents: [Int]) -> Numbers {
    var past = Numbers()
    for parent in parents {
      past.formUnion(operations[parent].past)
      past.insert(parent)
    }
    return past
  }

  /// Mostly one who was made an owner.
  private mutating func author(_ past: Numbers) -> Int {
    while true {
      let author = Int.random(in: 0..<authors, using: &random)
      if hasBeenOwner(author, past) || chance(6) { return author }
    }
  }

  private func hasBeenOwner(_ author: Int, _ past: Numbers) -> Bool {
    let key = Key([principal(author)])
    return created[0].contains { $0.isOwner && $0.key == key && past.contains($0.by) }
  }

  private mutating func write(_ draft: Draft, at parents: [Int]) {
    guard !draft.changes.isEmpty else { return }
    let signer = AuthorityHistoryMaker.signers[draft.author]
    let previous = operations.indices.filter {
      draft.past.contains($0) && operations[$0].author == draft.author
    }.map { (operations[$0].height, operations[$0].id) }.max { $0 < $1 }
    let root = operations[0].id
    add(
      draft,
      HeadwaterLog.Operation(
        kind: .ordinary(database: root, schema: root),
        parents: parents.map { operations[$0].id }.sorted(), author: signer.principal,
        previous: previous?.1, time: Int64(operations.count), changes: draft.changes),
      height: (parents.map { operations[$0].height }.max() ?? 0) + 1)
  }

  private mutating func add(_ draft: Draft, _ operation: HeadwaterLog.Operation, height: Int) {
    let signed = Scenario.sign(operation, by: AuthorityHistoryMaker.signers[draft.author])
    let id = Fixture.suite.hash(signed.body)
    guard !operations.contains(where: { $0.id == id }) else { return }
    for (index, change) in operation.changes.enumerated() where change.kind == .create {
      let key = ChangeResolver.generatedKey(id, index, suite: Fixture.suite)
      let names = change.key.map { key in
        Key(
          key.values.map { value in
            guard case .created(let target) = value else { return value }
            return .reference(ChangeResolver.generatedKey(id, target, suite: Fixture.suite))
          })
      }
      let isOwner = change.assignments.contains { $0.change == .set(.text("owner")) }
      created[change.collection].append((names ?? key, operations.count, isOwner))
    }
    operations.append(
      Made(
        id: id, operation: operation, signed: signed, past: draft.past, height: height,
        author: draft.author))
  }

  // MARK: Changes

  private mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

  private func principal(_ author: Int) -> Value {
    .principal(AuthorityHistoryMaker.signers[author].principal)
  }

  private mutating func someone() -> Value {
    principal(Int.random(in: 0..<authors, using: &random))
  }

  private mutating func text(_ choices: String...) -> Value {
    .text(choices.randomElement(using: &random)!)
  }

  /// The key of a row that the author has seen created; rarely, of one that the author has not.
  private mutating func known(_ collection: String, _ draft: Draft, orNot: Bool = false) -> Key? {
    let all = created[schema.collectionIndex(named: collection)!]
    if orNot, chance(20) { return all.randomElement(using: &random)?.key }
    return all.filter { draft.past.contains($0.by) }.randomElement(using: &random)?.key
  }

  /// A reference to such a row, or to one that an earlier change of the draft creates.
  private mutating func reference(_ collection: String, _ draft: Draft) -> Value? {
    if chance(3) {
      if let own = draft.created(collection).randomElement(using: &random) { return own }
    }
    return known(collection, draft).map { .reference($0) }
  }

  private mutating func change(_ draft: inout Draft) {
    switch Int.random(in: 0..<32, using: &random) {
    case 0..<5: member(&draft)
    case 5..<8: revoke(&draft)
    case 8..<10: grant(&draft)
    case 10: delete("Grant", &draft)
    case 11: draft.create("Badge", [someone(), text("red", "blue")], [:])
    case 12: delete("Badge", &draft)
    case 13..<16: topic(&draft)
    case 16..<18: delete("Topic", &draft)
    case 18..<21: document(&draft)
    case 21..<23: edit(&draft)
    case 23: delete("Doc", &draft)
    case 24..<27: slot(&draft)
    case 27: delete("Slot", &draft)
    case 28..<31: tag(&draft)
    default: delete("Tag", &draft)
    }
  }

  private mutating func delete(_ collection: String, _ draft: inout Draft) {
    guard let key = known(collection, draft, orNot: true) else { return }
    draft.delete(collection, key)
    // The same row again, in the same operation.
    guard chance(6), !schema.collection(named: collection)!.hasGeneratedKey else { return }
    draft.create(
      collection, key.values, collection == "Member" ? ["role": text("owner", "editor")] : [:])
  }

  private mutating func member(_ draft: inout Draft) {
    var fields: [String: Value?] = ["role": text("owner", "owner", "owner", "editor", "viewer")]
    if chance(4) { fields["level"] = .int(Int64.random(in: 0...2, using: &random)) }
    if chance(5) {
      let key = chance(3) ? known("Member", draft) : Key([principal(draft.author)])
      draft.update("Member", key, ["name": text("n", "m")])
    } else {
      draft.create("Member", someone(), fields)
    }
  }

  private mutating func revoke(_ draft: inout Draft) {
    // Oneself too, which a rule without a witness allows.
    if chance(12) {
      draft.delete("Member", Key([principal(draft.author)]))
    } else {
      delete("Member", &draft)
    }
  }

  private mutating func grant(_ draft: inout Draft) {
    var fields: [String: Value?] = [
      "holder": someone(), "scope": text("all", "all", "doc", "note", "none"),
    ]
    if chance(2) { fields["by"] = reference("Member", draft) }
    draft.create("Grant", nil, fields)
  }

  private mutating func topic(_ draft: inout Draft) {
    let id = text("A", "B", "C")
    var parent = reference("Topic", draft)
    if chance(2) {
      if chance(5) { parent = .reference(Key([id])) }
      draft.create("Topic", id, chance(2) ? ["parent": parent] : [:])
    } else if let key = known("Topic", draft, orNot: true) {
      // Itself, which is a row that the author has seen.
      if chance(5), known("Topic", draft) == key { parent = .reference(key) }
      draft.update("Topic", key, chance(3) ? ["title": text("t", "u")] : ["parent": parent])
    }
  }

  private mutating func links(_ draft: Draft) -> [String: Value?] {
    var fields: [String: Value?] = [:]
    if chance(2) { fields["topic"] = reference("Topic", draft) }
    if chance(4) { fields["sponsor"] = reference("Member", draft) }
    if chance(4) { fields["grant"] = reference("Grant", draft) }
    if chance(5) { fields["like"] = reference("Doc", draft) }
    if chance(5) { fields["under"] = reference("Doc", draft) }
    return fields
  }

  private mutating func document(_ draft: inout Draft) {
    var fields = links(draft)
    fields["writer"] = chance(16) ? someone() : principal(draft.author)
    if chance(3) { fields["kind"] = text("doc", "note", "all") }
    if chance(2) { fields["main"] = reference("Topic", draft) }
    let handle = text("x", "y", "z")
    if !chance(3), draft.isFree(handle) { fields["handle"] = handle }
    draft.create("Doc", nil, fields)
  }

  private mutating func edit(_ draft: inout Draft) {
    var fields = links(draft)
    if fields.isEmpty || chance(2) { fields["title"] = text("t", "u", "v") }
    if chance(4), let own = draft.created("Doc").last {
      draft.update("Doc", Key([own]), fields)
    } else {
      draft.update("Doc", known("Doc", draft, orNot: true), fields)
    }
  }

  private mutating func slot(_ draft: inout Draft) {
    let code = Int64.random(in: 0...1, using: &random)
    if chance(4) {
      draft.update("Slot", known("Slot", draft, orNot: true), ["title": text("t", "u")])
    } else {
      draft.create("Slot", text("A", "B", "C"), code == 0 && chance(2) ? [:] : ["code": .int(code)])
    }
  }

  private mutating func tag(_ draft: inout Draft) {
    if chance(3) {
      var fields: [String: Value?] = ["weight": .int(1)]
      if chance(2) { fields["next"] = reference("Tag", draft) }
      draft.update("Tag", known("Tag", draft), fields)
    } else if let topic = reference("Topic", draft) {
      draft.create(
        "Tag", [topic, text("a", "b")], chance(2) ? ["next": reference("Tag", draft)] : [:])
    }
  }
}
