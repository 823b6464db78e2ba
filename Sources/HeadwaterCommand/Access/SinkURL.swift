import Headwater
import HeadwaterMemory
import HeadwaterPostgres
import HeadwaterSQLite

/// Where a mirror goes, as the command line names it.
enum SinkURL: Sendable, Hashable {
  case memory
  /// The path as given.
  case sqlite(String)
  case postgres(PostgresConfiguration)

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
    case "postgres", "postgresql":
      self = .postgres(try PostgresConfiguration(url: text))
    case "documents":
      throw Failure.notYet(
        "mirrors in folders of documents; this version has \(SinkURL.forms)")
    default:
      // Not the whole text: it may hold a password.
      throw Failure(
        "invalid", "'\(text[...colon])' is no sink that is known here: say \(SinkURL.forms)")
    }
  }

  /// What may be said.
  static let forms = "sqlite:PATH, postgres://USER@HOST/DATABASE?schema=NAME or memory:"

  /// The URL in full but for a password, as reports show it: the same from whatever folder it was given.
  var text: String {
    switch self {
    case .memory: "memory:"
    case .sqlite(let path): "sqlite:\(InputFile.absolutePath(path))"
    case .postgres(let configuration): configuration.description
    }
  }

  func adapter() -> any Adapter {
    switch self {
    case .memory: MemoryAdapter()
    case .sqlite(let path): SQLiteAdapter(path: path)
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
