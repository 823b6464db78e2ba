import Dispatch
import Foundation

/// A temporary directory in which the commands of one document run, one after the other.
///
/// Each runs in a bash of its own, so neither `cd` nor a variable outlasts a command, but files do.
/// `headwater` is the one that was built with the tests; keys go to the temporary directory; the folder
/// `Examples` of the package is there. Both output streams are one, as on a terminal; there is no input.
final class ConsoleSession {
  struct Outcome {
    var output: [String]
    var status: Int32
    var timedOut: Bool
  }

  private let directory: URL
  private let environment: [String: String]

  init(binaries: URL, examples: URL) throws {
    let files = FileManager.default
    directory = files.temporaryDirectory.appendingPathComponent(
      "headwater-documentation-" + UUID().uuidString)
    let work = directory.appendingPathComponent("work")
    try files.createDirectory(at: work, withIntermediateDirectories: true)
    try files.createSymbolicLink(
      at: work.appendingPathComponent("Examples"), withDestinationURL: examples)
    let inherited = ProcessInfo.processInfo.environment
    environment = [
      "PATH": binaries.path + ":" + (inherited["PATH"] ?? "/usr/bin:/bin"),
      "HOME": directory.path,
      "HEADWATER_HOME": directory.appendingPathComponent("home").path,
      "TMPDIR": directory.path,
      "LC_ALL": "C.UTF-8",
      "TERM": "dumb",
      "NO_COLOR": "1",
      // A crash should be one line, not pages.
      "SWIFT_BACKTRACE": "enable=no",
    ].merging(inherited.filter { $0.key == "LD_LIBRARY_PATH" }) { ours, _ in ours }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// Runs one command; ends it after `seconds`.
  func run(_ command: String, seconds: Double = 120) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["bash", "-c", "exec 2>&1\n" + command]
    process.environment = environment
    process.currentDirectoryURL = directory.appendingPathComponent("work")
    process.standardInput = FileHandle.nullDevice
    // To a file: a pipe would have to be emptied while waiting, and a process left behind could hold it.
    let log = directory.appendingPathComponent("output")
    guard FileManager.default.createFile(atPath: log.path, contents: nil) else {
      throw CocoaError(.fileWriteUnknown)
    }
    let output = try FileHandle(forWritingTo: log)
    defer { try? output.close() }
    process.standardOutput = output
    process.standardError = output
    let ended = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in ended.signal() }
    try process.run()
    let timedOut = ended.wait(timeout: .now() + seconds) == .timedOut
    if timedOut {
      kill(process.processIdentifier, SIGKILL)
      ended.wait()
    }
    let text = String(decoding: try Data(contentsOf: log), as: UTF8.self)
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    return Outcome(output: lines, status: process.terminationStatus, timedOut: timedOut)
  }
}
