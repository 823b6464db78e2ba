import Foundation
import HeadwaterMongoDB
import HeadwaterStream
import Testing

/// A document server that speaks MongoDB's protocol, started for these tests: SecantusDB, which `scripts/test.sh`
/// installs into `.build/secantusdb` and names in `HEADWATER_TEST_MONGODB`. Without it the tests of the server are
/// skipped, except in CI, where they fail.
actor Server {
  static let shared = Server()

  static let program = ProcessInfo.processInfo.environment["HEADWATER_TEST_MONGODB"].flatMap {
    $0.isEmpty ? nil : $0
  }
  /// Whether the tests run: always in CI.
  static let isWanted = program != nil || ProcessInfo.processInfo.environment["CI"] == "true"

  struct Missing: Error, CustomStringConvertible {
    let description: String
  }

  private var running: Task<UInt16, any Error>?

  private var free = 3
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// Runs `body` when few others do: the server answers one at a time, and slowly when many ask.
  nonisolated func withTurn<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
    await take()
    do {
      let result = try await body()
      await giveBack()
      return result
    } catch {
      await giveBack()
      throw error
    }
  }

  private func take() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  private func giveBack() {
    if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
  }

  /// The port of the one server that the tests share.
  func port() async throws -> UInt16 {
    if let running { return try await running.value }
    let task = Task { try await Server.start(arguments: []).port }
    running = task
    return try await task.value
  }

  /// A database of the shared server that holds nothing yet.
  func url() async throws -> MongoURL {
    let name = "t" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
    return try MongoURL("mongodb://127.0.0.1:\(try await port())/\(name)")
  }

  /// A server of its own, which ends with the tests' process.
  static func start(
    arguments: [String], storage: String? = nil, port wanted: UInt16? = nil
  ) async throws -> (port: UInt16, process: Process) {
    guard let program else {
      throw Missing(description: "HEADWATER_TEST_MONGODB names no server: run scripts/test.sh")
    }
    let shared = FileManager.default.isWritableFile(atPath: "/dev/shm")
    let folder =
      storage ?? (shared ? "/dev/shm" : NSTemporaryDirectory()) + "/headwater-mongodb-"
      + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let port = try wanted ?? freePort()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      [
        "python3", "-c", keeper,
        program, "--port", "\(port)", "--storage-path", folder + "/data", "--sync-on-commit",
        "--cache-size", "512M",
      ] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging([
      "LOG": folder + "/log", "GONE": storage == nil ? folder : "",
    ]) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    let url = try MongoURL("mongodb://127.0.0.1:\(port)/probe")
    for _ in 0..<600 {
      do throws(AdapterError) {
        _ = try await MongoDBAdapter(url: url, timeout: 5).checkpoint()
        return (port, process)
      } catch {
        // One that asks for a password is there.
        if error.code == .permission || error.code == .damaged { return (port, process) }
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw Missing(description: "the server did not come up in a minute: see \(folder)/log")
  }

  /// Starts the server, and kills it when it is told to end or when we are gone, however we ended.
  private static let keeper = """
    import os, shutil, signal, subprocess, sys, time
    # Threads of Dispatch block signals, and a child inherits that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    log = open(os.environ["LOG"], "a")
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    parent = os.getppid()
    def end(*_):
        server.kill()
        server.wait()
        if os.environ["GONE"]: shutil.rmtree(os.environ["GONE"], ignore_errors=True)
        os._exit(0)
    signal.signal(signal.SIGTERM, end)
    while server.poll() is None and os.getppid() == parent: time.sleep(0.1)
    end()
    """

  static func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
      }
    }
    guard isBound else { throw Missing(description: "no free port") }
    return UInt16(bigEndian: address.sin_port)
  }
}
