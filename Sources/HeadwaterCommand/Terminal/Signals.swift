import Dispatch

enum Signals {
  /// A reader of stdout that goes away is an error of the write, not the end of the process.
  static func ignoreBrokenPipe() { signal(SIGPIPE, SIG_IGN) }

  /// Runs `body` until it returns, or until SIGINT or SIGTERM cancels it, which is no error.
  ///
  /// A second signal ends the process at once.
  static func untilInterrupted(_ body: @escaping @Sendable () async throws -> Void) async throws {
    let task = Task { try await body() }
    let sources = [SIGINT, SIGTERM].map { number in
      // Elsewhere a source takes the signal's place; until it does, the signal ends the process and is not lost.
      #if canImport(Darwin)
      signal(number, SIG_IGN)
      #endif
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        signal(number, SIG_DFL)
        task.cancel()
      }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    do {
      try await task.value
    } catch is CancellationError {
      if !task.isCancelled { throw CancellationError() }
    }
  }
}
