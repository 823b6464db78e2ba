import Headwater
import HeadwaterDocuments
import HeadwaterMongoDB
import SQLiteDriver

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Mirrors of documents, each beside the plainest way to write the same bytes.
enum Documents {
  /// - Parameter serverOnly: without the folder and the file.
  static func run(_ count: Int, serverOnly: Bool = false) async throws {
    let scratch = Scratch()
    let signer = SigningKey.generate()
    let schema = try Schema.parse(Rows.schema)
    let store = try Headwater.create(at: scratch.file("store"), schema: schema, as: signer)
    try await Ingest.fill(store, signer, from: 0, count: count)
    let collection = try DocumentPlan(schema: schema).collections[0]
    if !serverOnly {
      try await folder(count, scratch.path, store, collection)
      try await file(count, scratch.path, store, collection)
    }
    try await server(count, store)
  }

  private static func snapshot(_ store: Store, _ name: String, _ adapter: any Adapter)
    async throws -> Cost
  {
    try await Cost.of {
      _ = try await Mirror(name: name, sink: name, source: store.changes, adapter: adapter)
        .synchronise()
    }
  }

  // MARK: A folder

  private static func folder(
    _ count: Int, _ path: String, _ store: Store, _ collection: DocumentCollection
  ) async throws {
    let raw = try await Cost.of { try files(count, path + "/raw", collection) }
    let mirror = try await snapshot(store, "folder", DirectoryAdapter(path: path + "/mirror"))
    report("folder of JSON, snapshot of \(count) rows", count, mirror, raw, "open, write, close")
    for name in ["/raw", "/mirror"] { remove(path + name) }
  }

  /// The same bytes into as many folders, by open, write and close, and one sync at the end.
  private static func files(_ count: Int, _ path: String, _ collection: DocumentCollection) throws {
    mkdir(path, 0o755)
    let digits = Array("0123456789abcdef")
    for high in digits { for low in digits { mkdir("\(path)/\(high)\(low)", 0o755) } }
    let folder = open(path, O_RDONLY | O_DIRECTORY)
    defer { close(folder) }
    var bytes: [UInt8] = []
    for index in 0..<count {
      let row = Rows.row(index)
      bytes.removeAll(keepingCapacity: true)
      guard collection.writePretty(row, into: &bytes), let key = collection.key(of: row),
        let id = collection.id(of: key)
      else { continue }
      let hash = UInt32(truncatingIfNeeded: index) &* 2_654_435_761
      let name = "\(digits[Int(hash >> 28)])\(digits[Int(hash >> 24 & 15)])/\(id).json"
      let file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
      _ = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
      close(file)
    }
    sync()
  }

  // MARK: A file

  private static func file(
    _ count: Int, _ path: String, _ store: Store, _ collection: DocumentCollection
  ) async throws {
    let raw = try await Cost.of { try upserts(count, path + "/raw.sqlite", collection) }
    let mirror = try await snapshot(store, "file", DocumentFileAdapter(path: path + "/mirror.docs"))
    report(
      "file of documents, snapshot of \(count) rows", count, mirror, raw, "upserts of the JSON")
  }

  /// The same JSON through one prepared statement into a table of id and document.
  private static func upserts(_ count: Int, _ path: String, _ collection: DocumentCollection) throws
  {
    let db = try Connection(path: path, mode: .createIfMissing)
    _ = try db.text("PRAGMA journal_mode = WAL")
    try db.execute("PRAGMA synchronous = NORMAL")
    try db.execute(
      "CREATE TABLE Item (_id TEXT NOT NULL PRIMARY KEY, document TEXT NOT NULL) STRICT")
    let statement = try db.prepare(
      "INSERT INTO Item VALUES (?, ?) ON CONFLICT (_id) DO UPDATE SET document = excluded.document")
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: count, by: 5_000) {
      try db.transaction {
        for index in start..<min(start + 5_000, count) {
          let row = Rows.row(index)
          bytes.removeAll(keepingCapacity: true)
          guard collection.write(row, into: &bytes), let key = collection.key(of: row),
            let id = collection.id(of: key)
          else { continue }
          statement.bind(1, id)
          try bytes.withUnsafeBytes {
            statement.bindText(2, borrowing: $0)
            try statement.run()
          }
        }
      }
    }
  }

  // MARK: A server

  /// With HEADWATER_MONGODB=mongodb://host/database; the other side is `bulk.py`, and what it prints HEADWATER_MONGODB_BULK.
  private static func server(_ count: Int, _ store: Store) async throws {
    let seconds = (getenv("HEADWATER_MONGODB_BULK").map { String(cString: $0) } ?? "")
      .split(separator: " ").compactMap { Double($0) }
    guard let text = getenv("HEADWATER_MONGODB").map({ String(cString: $0) }), seconds.count == 2
    else { return }
    let mirror = try await snapshot(
      store, "server", MongoDBAdapter(url: try MongoURL(text)))
    for (name, raw) in [
      ("insert_many of PyMongo", seconds[0]),
      ("insert_many and renameCollection", seconds[0] + seconds[1]),
    ] {
      Benchmarks.report(
        "document server, snapshot of \(count) rows",
        "\(mirror.rate(count)) rows/s, \(mirror.microseconds(count)) µs CPU a row here",
        "\(Int(Double(count) / raw)) rows/s, \(name)", raw / mirror.wall)
    }
  }

  private static func report(
    _ what: String, _ count: Int, _ mirror: Cost, _ raw: Cost, _ name: String
  ) {
    Benchmarks.report(
      what, "\(mirror.rate(count)) rows/s, \(mirror.microseconds(count)) µs CPU a row",
      "\(raw.rate(count)) rows/s, \(name), \(raw.microseconds(count)) µs CPU a row",
      raw.wall / mirror.wall)
  }

  private static func remove(_ path: String) {
    guard let folder = opendir(path) else { return }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    closedir(folder)
    for name in names where unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
    rmdir(path)
  }
}
