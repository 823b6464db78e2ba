import Headwater
import HeadwaterSQLite
import SQLiteDriver

/// The main job on real data, from rows in files to a mirror that was killed and resumed.
struct Demonstration {
  /// Rows in an operation: few, so that there is something to kill a mirror in the middle of.
  private static let batch = 100

  let folder: String
  private let clock = ContinuousClock()

  init(folder: String) { self.folder = folder }

  private var storePath: String { folder + "/atlas.store" }
  private var sinkPath: String { folder + "/atlas.sqlite" }

  func run() async throws {
    let start = clock.now
    let atlas: AtlasData
    do {
      atlas = try AtlasData()
    } catch {
      throw Failure("missing", error.description)
    }
    let keys = KeyStore(directory: folder + "/keys")
    let alice = try keys.create("alice")
    let bob = try keys.create("bob")
    let schema = try SchemaText(name: "atlas.schema", text: AtlasSchema.text).schema()
    try say(
      "A database is made: schema \(schema.name), \(schema.collections.count) collections, signed by alice."
    )
    let store = try Headwater.create(at: storePath, schema: schema, as: alice)

    try await importAll(atlas, into: store, as: alice)
    let replica = try await replicate(store)
    try await editConcurrently(store, replica, alice, bob)
    try await query()
    try await verify(store)
    try say("All of it held, in \(Figures.time((clock.now - start).seconds)).")
  }

  // MARK: - Import and mirror

  /// Imports while a mirror in a process of its own follows, is killed half way, and resumes.
  private func importAll(_ atlas: AtlasData, into store: Store, as key: SigningKey) async throws {
    try say(
      "\nA mirror follows in a process of its own, into the SQLite database \(sinkPath)")
    var mirror = try startMirror()
    try say("\(Figures.count(atlas.rowCount)) rows of ISO codes are imported as signed operations:")
    let start = clock.now
    var imported = 0
    var operations = 0
    var killedAt: Int?
    for collection in atlas.collections {
      let file = "\(folder)/\(collection.name).ndjson"
      try OutputFile.create(file, with: collection.ndjson)
      guard let index = store.schema.collectionIndex(named: collection.name) else { continue }
      var source: any ImportSource = try NDJSONRows(
        file, schema: store.schema, collection: store.schema.collections[index])
      let importer = Importer(
        store: store, key: key, collection: index, batch: Demonstration.batch, restarts: false)
      let outcome = try await importer.run(&source) { outcome in
        let rows = imported + outcome.rows
        guard killedAt == nil, rows >= atlas.rowCount / 2 else { return }
        // It shall have something to resume from, so the import waits for it to be half as far.
        try await wait(for: Int64(rows / 2), mirror)
        mirror.end(with: SIGKILL)
        killedAt = rows
      }
      imported += outcome.rows
      operations += outcome.operations
      try say(
        "  \(collection.name)  \(Figures.count(outcome.rows)) rows, "
          + "\(Figures.rate(outcome.rows, outcome.seconds)) rows/s")
    }
    let seconds = (clock.now - start).seconds
    try say(
      "  together \(Figures.count(imported)) rows in \(Figures.count(operations)) operations, "
        + "\(Figures.time(seconds)), \(Figures.rate(imported, seconds)) rows/s while mirrored")
    try check(imported == atlas.rowCount, "every row was imported")

    let head = try await store.changes.head().position
    let position = try await sinkPosition()
    try check(killedAt != nil && position ?? 0 < head, "the mirror was killed half way")
    try say(
      "The mirror was killed (SIGKILL) when \(Figures.count(killedAt ?? 0)) rows were in: it holds position "
        + "\(Figures.count(position ?? 0)), the store is at \(Figures.count(head)).")
    let resumed = clock.now
    mirror = try startMirror()
    try await wait(for: head, mirror)
    let missing = head - (position ?? 0)
    let time = (clock.now - resumed).seconds
    try say(
      "Started again, it goes on from there: \(Figures.count(missing)) events in \(Figures.time(time)), "
        + "\(Figures.rate(Int(missing), time))/s with the start of the process.")
    try check(mirror.end(with: SIGTERM) == 0, "the mirror ends cleanly when it is asked to")
  }

  private func startMirror() throws -> ChildProcess {
    try ChildProcess(
      ["mirror", storePath, "--to", "sqlite:" + sinkPath, "--follow"], log: folder + "/mirror.log")
  }

  private func sinkPosition() async throws -> Int64? {
    try await SQLiteAdapter(path: sinkPath).checkpoint()?.position
  }

  private func wait(for position: Int64, _ mirror: ChildProcess) async throws {
    let deadline = clock.now + .seconds(30)
    let adapter = SQLiteAdapter(path: sinkPath)
    while true {
      if let checkpoint = try await adapter.checkpoint(), checkpoint.isPublished,
        checkpoint.position >= position
      {
        return
      }
      guard !mirror.hasEnded else {
        throw Failure("mirror", "the mirror ended; \(folder)/mirror.log says why")
      }
      try check(clock.now < deadline, "the mirror catches up within 30 seconds")
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  // MARK: - Two authors

  /// A second replica with everything that the first holds.
  private func replicate(_ store: Store) async throws -> Store {
    let operations = try await Demonstration.operations(of: store)
    guard let genesis = operations.first else { throw Failure("store", "a store without genesis") }
    let start = clock.now
    let replica = try Store.replicate(
      at: folder + "/bob.store", genesis: genesis, suite: SodiumSuite())
    try await Demonstration.give(Array(operations.dropFirst()), to: replica)
    let seconds = (clock.now - start).seconds
    try say(
      "\nBob makes a replica: \(Figures.count(operations.count)) operations, all proven by signatures, in "
        + "\(Figures.time(seconds)).")
    try await compare(store, replica, "The replica shows the same rows")
    return replica
  }

  /// Both edit one row, neither knowing of the other, then exchange what they wrote.
  private func editConcurrently(
    _ store: Store, _ replica: Store, _ alice: SigningKey, _ bob: SigningKey
  ) async throws {
    let key = Key([.text("CH")])
    let before = try await store.read { try $0.frontier() }
    _ = try await store.write(as: alice) { draft in
      try draft.update(
        "Country", key: key,
        set: [("name", .text("Schweiz")), ("officialName", .text("Confoederatio Helvetica"))])
      try draft.delete("Script", key: Key([.text("Zzzz")]))
    }
    _ = try await replica.write(as: bob) { draft in
      try draft.update(
        "Country", key: key, set: [("name", .text("Suisse")), ("commonName", .text("La Suisse"))])
      try draft.update(
        "Script", key: Key([.text("Zzzz")]), set: [("name", .text("Unknown script"))])
    }
    try say(
      "Alice and Bob edit the country CH at once, each in a replica that has not seen the other:")
    try say("  alice: name “Schweiz”, officialName “Confoederatio Helvetica”; deletes script Zzzz")
    try say("  bob:   name “Suisse”, commonName “La Suisse”; renames script Zzzz")
    let hers = try await Demonstration.operations(of: store)
    let his = try await Demonstration.operations(of: replica)
    try await Demonstration.give(his, to: store)
    try await Demonstration.give(hers, to: replica)
    try await compare(
      store, replica, "They exchange their operations, and both replicas show the same rows")

    // What must have become of the row, by the rules and not by the program.
    let expected = try await store.read { snapshot in
      var last: (height: Int64, id: Digest, name: String)?
      for (author, name) in [(alice, "Schweiz"), (bob, "Suisse")] {
        try snapshot.log(collection: 0, key: key) { entry in
          guard entry.author == author.principal, !before.contains(entry.id),
            entry.changes.contains(where: { $0.kind == .update })
          else { return true }
          if last.map({ ($0.height, $0.id) < (entry.height, entry.id) }) ?? true {
            last = (entry.height, entry.id, name)
          }
          return true
        }
      }
      return last?.name
    }
    let fields = try await store.read { snapshot -> [String: String] in
      let collection = snapshot.schema.collections[0]
      guard let row = try snapshot.row(0, key: key) else { return [:] }
      var texts: [String: String] = [:]
      for (field, value) in zip(collection.fields, row.values) {
        texts[field.name] = snapshot.schema.text(forCell: value, for: field.type)
      }
      return texts
    }
    try say(
      "  CH is “\(fields["name"] ?? "")” (the later in canonical order), officially "
        + "“\(fields["officialName"] ?? "")”, commonly “\(fields["commonName"] ?? "")”")
    try check(fields["name"] == expected, "the canonically last write of a field wins")
    try check(
      fields["officialName"] == "Confoederatio Helvetica" && fields["commonName"] == "La Suisse",
      "what only one of them wrote stays")
    let script = store.schema.collectionIndex(named: "Script") ?? 0
    let isGone = try await store.read { try $0.row(script, key: Key([.text("Zzzz")])) == nil }
    try check(isGone, "an update of a row that was deleted at once does not bring it back")
  }

  private static func operations(of store: Store) async throws -> [SignedOperation] {
    try await store.read { snapshot in
      try snapshot.operationIDs().compactMap { try snapshot.signed($0) }
    }
  }

  private static func give(_ operations: [SignedOperation], to store: Store) async throws {
    for (operation, reception) in zip(operations, try await store.receive(operations)) {
      switch reception {
      case .known, .admitted: continue
      case .waiting, .rejected:
        throw Failure(
          "demo",
          "a replica did not take the operation \(SodiumSuite().hash(operation.body)): \(reception)"
        )
      }
    }
  }

  /// Both replicas hold the same operations and show the same rows, byte for byte.
  private func compare(_ a: Store, _ b: Store, _ claim: String) async throws {
    var rows = 0
    for index in a.schema.collections.indices {
      let ours = try await a.read { try $0.rows(index, limit: .max) }
      let theirs = try await b.read { try $0.rows(index, limit: .max) }
      try check(ours == theirs, "\(a.schema.collections[index].name) is the same in both replicas")
      rows += ours.count
    }
    let same = try await a.read { try $0.frontier() } == b.read { try $0.frontier() }
    try check(same, "both replicas have the same frontier")
    try say("\(claim) (\(Figures.count(rows)) compared).")
  }

  // MARK: - Queries and comparison

  private func query() async throws {
    let store = try Headwater.open(storePath, forWriting: false)
    _ = try await SinkURL.sqlite(sinkPath).mirror(of: store, name: nil).synchronise()
    try say("\nThe mirror is an ordinary SQLite database:")
    let queries = [
      """
      SELECT c.name AS country, count(*) AS subdivisions FROM Subdivision s
      JOIN Country c ON c.code = s.country GROUP BY c.code ORDER BY 2 DESC, 1 LIMIT 5
      """,
      """
      SELECT vitality, scope, count(*) AS languages FROM Language GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 5
      """,
      """
      SELECT p.code, p.name, count(*) AS parts FROM Subdivision s
      JOIN Subdivision p ON p.code = s.parent GROUP BY p.code ORDER BY 3 DESC, 1 LIMIT 5
      """,
    ]
    for text in queries {
      try say("\n> " + text)
      try SQLQuery(text).print(from: sinkPath, as: .table)
    }
    let connection = try Connection(path: sinkPath, mode: .readOnly)
    try check(
      try connection.text("PRAGMA integrity_check") == "ok", "SQLite finds the mirror sound")
    let dangling = try connection.prepare("PRAGMA foreign_key_check").step()
    try check(!dangling, "no foreign key of the mirror dangles")
  }

  private func verify(_ store: Store) async throws {
    let start = clock.now
    let mirror = try await SinkURL.sqlite(sinkPath).mirror(of: store, name: nil)
    let found = try await mirror.verify()
    let seconds = (clock.now - start).seconds
    try check(
      found.isEqual,
      "the mirror equals the store (\(found.missing) missing, \(found.extra) extra, \(found.different) different)"
    )
    try say(
      "\nThe mirror is compared with the store row by row: \(Figures.count(found.rows)) rows, no difference, "
        + "\(Figures.rate(found.rows, seconds)) rows/s.")
  }

  // MARK: - Saying

  private func say(_ text: String) throws {
    try Output.standard.print(text)
    try Output.standard.flush()
  }

  /// Stops the demonstration where something does not hold.
  private func check(_ holds: Bool, _ claim: String) throws {
    guard holds else {
      throw Failure("demo", "this does not hold: \(claim). See what is in \(folder)", exitCode: 1)
    }
  }
}
