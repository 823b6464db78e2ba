import Dispatch
import Foundation
import Testing

/// A temporary folder in which a test runs the built tool, with keys of its own.
final class Workbench: Sendable {
  struct Outcome: Sendable {
    var status: Int32
    var output: String
    var errors: String

    /// The lines of stdout.
    var lines: [String] {
      output.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }

    /// The lines of stdout as JSON objects.
    func objects() throws -> [[String: Any]] {
      try lines.map { line in
        try #require(
          try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
      }
    }
  }

  /// What is there after `init(schema:)`: a schema of two collections, a key `alice` and a store.
  static let shop = """
    schema Shop

    allow everything

    record Size {
      width: Int
      height: Int?
    }

    collection Supplier {
      name: Text(120)
    }

    collection Product {
      sku: Text(32)         @key
      name: Text(200)
      price: Decimal(12, 2) @check(price >= 0)
      stock: Int            @default(0)
      added: Date?
      size: Size?
      supplier: Supplier?
      owner: Principal?
    }
    """

  let folder: URL
  private let tool: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("headwater-command-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    tool = try #require(Workbench.tool, "the tool headwater is not built")
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// A workbench with the schema `shop.schema`, the key `alice` and the store `shop.store`.
  static func withShop(_ schema: String = Workbench.shop) async throws -> Workbench {
    let bench = try Workbench()
    try bench.write("shop.schema", schema)
    try await bench.succeed("key", "new", "alice", "--no-passphrase")
    try await bench.succeed("init", "shop.store", "--schema", "shop.schema", "--as", "alice")
    return bench
  }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: folder.appendingPathComponent(name))
  }

  /// Starts the tool; the caller waits for it.
  func start(
    _ arguments: [String], input: Pipe? = nil, output: Pipe? = nil,
    environment: [String: String] = [:]
  ) throws -> Process {
    let process = Process()
    process.executableURL = tool
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = [
      "HEADWATER_HOME": path("home"), "HOME": folder.path, "TMPDIR": folder.path,
      "PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no",
    ].merging(environment) { $1 }
    process.standardInput = input ?? FileHandle.nullDevice
    process.standardOutput = output ?? FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// Runs the tool to its end.
  @discardableResult
  func run(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
  ) async throws -> Outcome {
    let name = UUID().uuidString
    // Files, not pipes: nobody has to empty them while the tool runs.
    let output = folder.appendingPathComponent(name + ".out")
    let errors = folder.appendingPathComponent(name + ".err")
    let source = folder.appendingPathComponent(name + ".in")
    for file in [output, errors] { try Data().write(to: file) }
    try Data((input ?? "").utf8).write(to: source)
    defer {
      for file in [output, errors, source] { try? FileManager.default.removeItem(at: file) }
    }
    let process = Process()
    process.executableURL = tool
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = [
      "HEADWATER_HOME": path("home"), "HOME": folder.path, "TMPDIR": folder.path,
      "PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no",
    ].merging(environment) { $1 }
    let handles = [
      try FileHandle(forReadingFrom: source), try FileHandle(forWritingTo: output),
      try FileHandle(forWritingTo: errors),
    ]
    // Foundation keeps the handles of a process: a thousand runs would leave thousands of open files.
    defer { for handle in handles { try? handle.close() } }
    process.standardInput = handles[0]
    process.standardOutput = handles[1]
    process.standardError = handles[2]
    let status = try await Workbench.end(of: process)
    return Outcome(
      status: status, output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// Runs the tool, which must exit with 0.
  @discardableResult
  func succeed(_ arguments: String..., input: String? = nil) async throws -> Outcome {
    let outcome = try await run(arguments, input: input)
    try #require(outcome.status == 0, "\(arguments): \(outcome.errors)\(outcome.output)")
    return outcome
  }

  /// Runs the tool, which must exit with that status and say that on stderr.
  @discardableResult
  func fail(
    _ status: Int32, _ message: String, _ arguments: String..., input: String? = nil,
    environment: [String: String] = [:], location: SourceLocation = #_sourceLocation
  ) async throws -> Outcome {
    let outcome = try await run(arguments, input: input, environment: environment)
    #expect(outcome.status == status, "\(arguments): \(outcome.errors)", sourceLocation: location)
    #expect(
      outcome.errors.contains(message), "\(arguments): \(outcome.errors)", sourceLocation: location)
    return outcome
  }

  /// Starts the process and waits for it without holding a thread.
  private static func end(of process: Process) async throws -> Int32 {
    try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch {
        process.terminationHandler = nil
        continuation.resume(throwing: error)
      }
    }
  }

  /// Kills a process with SIGKILL and waits for its end.
  static func kill(_ process: Process) {
    Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// Waits until the condition holds; fails after a minute.
  static func wait(_ what: Comment, for condition: () async throws -> Bool) async throws {
    for _ in 0..<3_000 {
      if try await condition() { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    try #require(Bool(false), what)
  }

  /// How many rows of a collection are visible.
  func count(_ collection: String, store: String = "shop.store") async throws -> Int {
    let status = try await succeed("status", store, "--json").objects()[0]
    let rows = try #require(status["rows"] as? [String: Any])
    return try #require(rows[collection] as? Int)
  }

  /// The tool, beside the runner of the tests or above it.
  static let tool: URL? = {
    let runner = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    var folder = runner.deletingLastPathComponent()
    var candidates: [URL] = []
    for _ in 0..<5 {
      candidates.append(folder.appendingPathComponent("headwater"))
      folder.deleteLastPathComponent()
    }
    candidates.append(root.appendingPathComponent(".build/debug/headwater"))
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }()
}
