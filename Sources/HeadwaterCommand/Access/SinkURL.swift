import Headwater
import HeadwaterDocuments
import HeadwaterMemory
import HeadwaterMongoDB
import HeadwaterPostgres
import HeadwaterSQLite

/// Where a mirror goes, as the command line names it.
enum SinkURL: Sendable, Hashable {
  case memory
  /// The path as given.
  case sqlite(String)
  case postgres(PostgresConfiguration)
  /// A folder of JSON files; the path as given.
  case folder(String)
  /// A file of documents; the path as given.
  case documents(String)
  /// A database of a document server.
  case server(MongoURL)

  /// What may be given, for messages.
  static let forms =
    "sqlite:PATH, postgres://USER@HOST/DATABASE?schema=NAME, documents:FOLDER, documents:FILE.docs, mongodb://HOST/DATABASE or memory:"

  init(_ text: String) throws {
    guard let colon = text.firstIndex(of: ":") else {
      throw Failure(
        "invalid", "that is no URL of a sink: say \(SinkURL.forms)")
    }
    let rest = String(text[text.index(after: colon)...])
    switch text[..<colon] {
    case "memory":
      guard rest.isEmpty else {
        throw Failure("invalid", "'\(text)': nothing follows “memory:”")
      }
      self = .memory
    case "sqlite":
      guard !rest.isEmpty else {
        throw Failure("invalid", "'\(text)': a path follows “sqlite:”")
      }
      self = .sqlite(rest)
    case "mongodb", "mongodb+srv":
      self = .server(
        try MongoURL(text, password: Host.variable("HEADWATER_MONGODB_PASSWORD")))
    case "postgres", "postgresql":
      self = .postgres(try PostgresConfiguration(url: text))
    case "documents":
      guard !rest.isEmpty else {
        throw Failure("invalid", "'\(text)': a path follows “documents:”")
      }
      self = rest.hasSuffix(".docs") ? .documents(rest) : .folder(rest)
    default:
      // Not the whole text: it may hold a password.
      throw Failure(
        "invalid", "'\(text[...colon])' is no sink that is known here: say \(SinkURL.forms)")
    }
  }

  /// The URL in full but for a password, as reports show it: the same from whatever folder it was given.
  var text: String {
    switch self {
    case .memory: "memory:"
    case .sqlite(let path): "sqlite:\(InputFile.absolutePath(path))"
    case .folder(let path), .documents(let path):
      "documents:\(InputFile.absolutePath(path))"
    case .server(let url): url.text
    case .postgres(let configuration): configuration.description
    }
  }

  func adapter() -> any Adapter {
    switch self {
    case .memory: MemoryAdapter()
    case .sqlite(let path): SQLiteAdapter(path: path)
    case .folder(let path): DirectoryAdapter(path: path)
    case .documents(let path): DocumentFileAdapter(path: path)
    case .server(let url): MongoDBAdapter(url: url)
    case .postgres(let configuration): PostgresAdapter(configuration)
    }
  }

  /// The mirror of a store into this sink.
  ///
  /// Its name is the one given, or the one that the sink knows, or the URL: a sink that was moved keeps its mirror.
  func mirror(
    of store: Store, name: String?, progress: (@Sendable (MirrorProgress) -> Void)? = nil
  ) async throws -> Mirror {
    let adapter = adapter()
    let known = try await adapter.checkpoint()?.mirror
    return Mirror(
      name: name ?? known ?? text, sink: text, source: store.changes, adapter: adapter,
      progress: progress)
  }
}
