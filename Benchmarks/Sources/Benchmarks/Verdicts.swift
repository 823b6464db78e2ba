import Headwater

/// What it costs to know what is valid: the fast path, many authors, delegation, revocation, quarrels.
enum Verdicts {
  private static let fields = """
      id: Text(16) @key
      title: Text(80)
      count: Int
    """

  static let open = """
    schema Open
    allow everything

    collection Document {
    \(fields)
    }
    """

  static let ruled = """
    schema Ruled

    enum Role { owner, editor }

    collection Member {
      principal: Principal @key
      role: Role @readonly
      allow create, delete if exists Member(principal: $author, role: owner)
    }

    collection Document {
    \(fields)
      allow create, update, delete if exists Member(principal: $author, role: owner or editor)
    }
    """

  static func store(_ path: String?, _ schema: String, _ owner: SigningKey) throws -> Store {
    try Headwater.create(at: path, schema: try Schema.parse(schema), as: owner) { draft in
      guard draft.schema.collection(named: "Member") != nil else { return }
      try draft.create(
        "Member", [("principal", .principal(owner.principal)), ("role", .text("owner"))])
    }
  }

  private static func document(_ index: Int) -> @Sendable (Draft) throws -> Void {
    { draft in
      try draft.create(
        "Document",
        [
          ("id", .text("D\(index)")), ("title", .text("Document number \(index) of many")),
          ("count", .int(Int64(index))),
        ])
    }
  }

  static func write(_ store: Store, _ authors: [SigningKey], from first: Int, _ count: Int)
    async throws
  {
    let sequence = WriteSequence(store, stopsAtFailure: true)
    var pending: [PendingWrite] = []
    for index in first..<first + count {
      pending.append(sequence.write(as: authors[index % authors.count], document(index)))
      if pending.count == 1_024 {
        for write in pending { _ = try await write.receipt }
        pending.removeAll(keepingCapacity: true)
      }
    }
    for write in pending { _ = try await write.receipt }
  }

  @discardableResult
  private static func appoint(_ store: Store, _ who: SigningKey, _ role: String, by: SigningKey)
    async throws -> Digest
  {
    try await store.write(as: by) { draft in
      try draft.create(
        "Member", [("principal", .principal(who.principal)), ("role", .text(role))])
    }.operation
  }

  // MARK: The fast path

  /// Operations that see everything, under rules beside `allow everything`, in turns.
  static func fastPath(_ count: Int) async throws {
    for authors in [1, 1_000] {
      let scratch = Scratch()
      let keys = (0..<authors).map { _ in SigningKey.generate() }
      let plain = try store(scratch.file("plain"), open, keys[0])
      let judged = try store(scratch.file("judged"), ruled, keys[0])
      for key in keys.dropFirst() { try await appoint(judged, key, "editor", by: keys[0]) }
      // Once each, so that both begin warm.
      try await write(plain, keys, from: 0, authors)
      try await write(judged, keys, from: 0, authors)
      var costs: (plain: [Double], judged: [Double]) = ([], [])
      let part = count / 8
      for turn in 0..<8 {
        let first = authors + turn * part
        costs.plain.append(
          try await Cost.of { try await write(plain, keys, from: first, part) }.cpu)
        costs.judged.append(
          try await Cost.of { try await write(judged, keys, from: first, part) }.cpu)
      }
      let (a, b) = (costs.plain.sorted()[4], costs.judged.sorted()[4])
      Benchmarks.report(
        "\(count) operations of one row under rules, \(authors == 1 ? "one author" : "\(authors) authors")",
        "\(micro(b, part)) µs CPU each", "\(micro(a, part)) µs, `allow everything`", a / b)
    }
  }

  private static func micro(_ seconds: Double, _ count: Int) -> Double {
    (seconds / Double(count) * 1e7).rounded() / 10
  }

  // MARK: Delegation

  /// A write by the last of a chain of owners, each appointed by the one before; and the chain's beginning revoked.
  static func delegation(_ depths: [Int]) async throws {
    for depth in depths {
      let scratch = Scratch()
      let store = try store(scratch.file("store"), ruled, SigningKey.generate())
      var keys = [SigningKey.generate()]
      let chain = try Headwater.create(
        at: scratch.file("chain"), schema: store.schema, as: keys[0]
      ) { [key = keys[0]] draft in
        try draft.create(
          "Member", [("principal", .principal(key.principal)), ("role", .text("owner"))])
      }
      var first: Digest?
      let building = await ContinuousClock().measure {
        for _ in 0..<depth {
          let next = SigningKey.generate()
          let granted = try? await appoint(chain, next, "owner", by: keys[keys.count - 1])
          if first == nil { first = granted }
          keys.append(next)
        }
      }
      let last = keys[keys.count - 1]
      let writes = 200
      let cost = try await Cost.of { try await write(chain, [last], from: 0, writes) }
      guard let first else { continue }
      let (owner, second) = (keys[0], keys[1])
      let revocation = try await Cost.of {
        try await chain.write(as: owner, at: [first]) { draft in
          try draft.delete("Member", key: Key([.principal(second.principal)]))
        }
      }
      Benchmarks.report(
        "delegation of depth \(depth): a write by the last; the first grant revoked",
        "\(micro(cost.cpu, writes)) µs CPU a write; \(Int(revocation.wall * 1_000)) ms, \(depth - 1 + writes) void",
        "built in \(building.components.seconds) s")
    }
  }

  // MARK: Revocation

  /// One revocation concurrent with so many operations of whom it revokes.
  static func revocation(_ counts: [Int]) async throws {
    for count in counts {
      let scratch = Scratch()
      let (owner, editor) = (SigningKey.generate(), SigningKey.generate())
      let store = try store(scratch.file("store"), ruled, owner)
      let grant = try await appoint(store, editor, "editor", by: owner)
      try await write(store, [editor], from: 0, count)
      let before = peakMegabytes()
      let cost = try await Cost.of {
        let receipt = try await store.write(as: owner, at: [grant]) { draft in
          try draft.delete("Member", key: Key([.principal(editor.principal)]))
        }
        guard receipt.verdict.isValid else { throw CancellationError() }
      }
      let status = try await store.read { try $0.status() }
      Benchmarks.report(
        "a revocation with \(count) dependants, re-judged, refolded, their events written",
        "\(Int(cost.wall * 1_000)) ms (\(Int(cost.cpu * 1_000)) ms CPU), peak \(before) → \(peakMegabytes()) MB",
        "\(status.voidOperations) void")
    }
  }

  /// The delete of one row to which so many refer by `cascade`, and its return.
  static func cascade(_ counts: [Int]) async throws {
    let schema = try Schema.parse(
      """
      schema Tree
      allow everything
      collection Folder { id: Text(16) @key }
      collection File {
        id: Text(16) @key
        title: Text(80)
        folder: Folder @onDelete(cascade)
      }
      """)
    let owner = SigningKey.generate()
    for count in counts {
      let scratch = Scratch()
      let store = try Headwater.create(at: scratch.file("store"), schema: schema, as: owner)
      let folder = Key([.text("F")])
      try await store.write(as: owner) { try $0.create("Folder", [("id", .text("F"))]) }
      for first in stride(from: 0, to: count, by: 500) {
        try await store.write(as: owner) { draft in
          for index in first..<min(first + 500, count) {
            try draft.create(
              "File",
              [
                ("id", .text("D\(index)")), ("title", .text("File number \(index) of many")),
                ("folder", .reference(folder)),
              ])
          }
        }
      }
      let before = peakMegabytes()
      let gone = try await Cost.of {
        try await store.write(as: owner) { try $0.delete("Folder", key: folder) }
      }
      let left = try await store.read { try $0.count(1) }
      let back = try await Cost.of {
        try await store.write(as: owner) { try $0.create("Folder", [("id", .text("F"))]) }
      }
      let files = try await store.read { try $0.count(1) }
      guard left == 0, files == Int64(count) else { throw CancellationError() }
      Benchmarks.report(
        "a delete that \(count) rows follow by `cascade`, their events written; and their return",
        "\(Int(gone.wall * 1_000)) and \(Int(back.wall * 1_000)) ms (\(Int(gone.cpu * 1_000)) and \(Int(back.cpu * 1_000)) ms CPU), peak \(before) → \(peakMegabytes()) MB"
      )
    }
  }

  /// A ring of owners who revoke each other at the same time.
  static func quarrel(_ counts: [Int]) async throws {
    for count in counts {
      let scratch = Scratch()
      let keys = (0..<count).map { _ in SigningKey.generate() }
      let store = try store(scratch.file("store"), ruled, keys[0])
      for key in keys.dropFirst() { try await appoint(store, key, "owner", by: keys[0]) }
      let start = try await store.read { try $0.frontier() }
      let cost = try await Cost.of {
        for (index, key) in keys.enumerated() {
          let next = keys[(index + 1) % keys.count]
          try await store.write(as: key, at: start) { draft in
            try draft.delete("Member", key: Key([.principal(next.principal)]))
          }
        }
      }
      let status = try await store.read { try $0.status() }
      Benchmarks.report(
        "\(count) owners revoke each other in a ring",
        "\(Int(cost.wall * 1_000)) ms in all", "\(status.voidOperations) void")
    }
  }
}
