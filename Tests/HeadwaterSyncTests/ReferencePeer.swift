import Foundation
import HeadwaterLog
import HeadwaterModel
import Testing

/// The second implementation of the reconciliation, in a process of its own.
final class ReferencePeer {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var buffered = Data()

  init() throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "python3",
      URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("reconcile.py").path,
    ]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  func ask(_ command: [String: Any]) throws -> [String: Any] {
    var line = try JSONSerialization.data(withJSONObject: command)
    line.append(10)
    try input.fileHandleForWriting.write(contentsOf: line)
    while true {
      if let end = buffered.firstIndex(of: 10) {
        let answer = buffered[buffered.startIndex..<end]
        buffered = Data(buffered[(end + 1)...])
        return try #require(
          try JSONSerialization.jsonObject(with: Data(answer)) as? [String: Any])
      }
      let more = output.fileHandleForReading.availableData
      try #require(!more.isEmpty, "the other implementation ended: is there a python3?")
      buffered.append(more)
    }
  }

  func load(_ set: SortedOperations, salt: [UInt8]) throws {
    _ = try ask([
      "items": set.all.map { [$0.height, $0.id.hex] as [Any] }, "salt": hexadecimal(salt),
    ])
  }

  func open() throws -> RangeBytes {
    let text = try #require(try ask(["open": true])["message"] as? String)
    return try #require([UInt8](hex: text))
  }

  /// The reply and the short ids that it lacks; nil if it refuses the message.
  func answer(_ message: RangeBytes) throws -> (reply: RangeBytes?, needs: [ShortID])? {
    let result = try ask(["answer": hexadecimal(message)])
    guard result["error"] == nil else { return nil }
    let needs = try #require(result["needs"] as? [String])
    return (
      (result["reply"] as? String).flatMap { [UInt8](hex: $0) },
      needs.compactMap { UInt64($0, radix: 16) }
    )
  }
}

typealias RangeBytes = [UInt8]
