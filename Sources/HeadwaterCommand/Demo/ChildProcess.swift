/// A process of this same tool, its output in a file.
final class ChildProcess {
  let identifier: pid_t
  private var status: Int32?

  /// Starts the tool with those arguments.
  init(_ arguments: [String], log: String) throws {
    let tool = try ChildProcess.tool()
    #if canImport(Darwin)
    var actions: posix_spawn_file_actions_t?
    #else
    var actions = posix_spawn_file_actions_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var words: [UnsafeMutablePointer<CChar>?] = ([tool] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var identifier: pid_t = 0
    let result = posix_spawn(&identifier, tool, &actions, nil, words, environ)
    guard result == 0 else {
      throw Failure("process", "cannot start \(tool): \(Host.systemError(result))")
    }
    self.identifier = identifier
  }

  deinit {
    // Nobody is left behind, however the demonstration ended.
    if !hasEnded { end(with: SIGKILL) }
  }

  /// Whether the process is over.
  var hasEnded: Bool {
    if status != nil { return true }
    var status: Int32 = 0
    guard waitpid(identifier, &status, WNOHANG) == identifier else { return false }
    self.status = status
    return true
  }

  /// Sends a signal and waits for the end; gives the exit code, or nil where a signal ended it.
  @discardableResult
  func end(with signal: Int32) -> Int32? {
    if !hasEnded {
      kill(identifier, signal)
      var status: Int32 = 0
      while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
      self.status = status
    }
    guard let status, status & 0x7F == 0 else { return nil }
    return status >> 8 & 0xFF
  }

  /// The path of this program.
  private static func tool() throws -> String {
    #if canImport(Darwin)
    var size: UInt32 = 4_096
    var buffer = [CChar](repeating: 0, count: Int(size))
    guard _NSGetExecutablePath(&buffer, &size) == 0 else {
      throw Failure("process", "this program cannot tell where it is")
    }
    return String(cString: buffer)
    #else
    guard let path = realpath("/proc/self/exe", nil) else {
      throw Failure("process", "this program cannot tell where it is: \(Host.systemError())")
    }
    defer { free(path) }
    return String(cString: path)
    #endif
  }
}
