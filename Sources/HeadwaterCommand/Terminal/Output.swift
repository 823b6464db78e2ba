import Synchronization

/// Nobody reads the results any more.
struct OutputClosed: Error {}

/// A stream to write to: stdout, collected into large writes, or stderr, written at once.
final class Output: Sendable {
  /// Results.
  static let standard = Output(descriptor: 1, capacity: 1 << 16)
  /// Progress, logs and prompts.
  static let error = Output(descriptor: 2, capacity: 0)

  private let descriptor: Int32
  private let capacity: Int
  private let buffer = Mutex<[UInt8]>([])
  let isTerminal: Bool

  private init(descriptor: Int32, capacity: Int) {
    self.descriptor = descriptor
    self.capacity = capacity
    isTerminal = isatty(descriptor) == 1
  }

  /// Adds bytes. They reach the reader at the latest with `flush`.
  func print(_ bytes: [UInt8]) throws {
    try buffer.withLock { buffer in
      buffer.append(contentsOf: bytes)
      if buffer.count >= capacity || isTerminal { try empty(&buffer) }
    }
  }

  /// Adds a line.
  func print(_ line: String) throws { try print(Array(line.utf8) + [0x0A]) }

  /// Hands everything over.
  func flush() throws { try buffer.withLock { try empty(&$0) } }

  /// Writes, and does not mind if nobody reads: for stderr.
  func write(_ bytes: [UInt8]) { try? print(bytes) }

  /// Writes a line, and does not mind if nobody reads: for stderr.
  func say(_ line: String) { try? print(line) }

  private func empty(_ buffer: inout [UInt8]) throws {
    var start = 0
    defer { buffer.removeAll(keepingCapacity: true) }
    while start < buffer.count {
      let written = buffer.withUnsafeBytes { bytes in
        Foreign.write(descriptor, bytes.baseAddress?.advanced(by: start), bytes.count - start)
      }
      if written < 0 {
        if errno == EINTR { continue }
        if errno == EPIPE { throw OutputClosed() }
        throw Failure("output", "cannot write the results: \(Host.systemError())")
      }
      start += written
    }
  }
}
