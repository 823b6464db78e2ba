/// Files that the tool writes.
enum OutputFile {
  /// Puts `bytes` where the file `path` is: whole or not at all, with the permissions that it has.
  static func replace(_ path: String, with bytes: [UInt8]) throws {
    let target = InputFile.absolutePath(path)
    var information = stat()
    guard stat(target, &information) == 0 else {
      throw Failure("missing", "cannot read \(path): \(Host.systemError())")
    }
    let temporary = "\(target).\(getpid()).new"
    do {
      try create(temporary, with: bytes, mode: information.st_mode & 0o777)
      guard rename(temporary, target) == 0 else {
        throw Failure("output", "cannot replace \(path): \(Host.systemError())")
      }
    } catch {
      unlink(temporary)
      throw error
    }
  }

  /// Makes a file with these bytes where there is none, and waits until it is on the disk.
  static func create(_ path: String, with bytes: [UInt8], mode: mode_t = 0o644) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else {
      throw Failure("permission", "cannot write \(path): \(Host.systemError())")
    }
    defer { close(descriptor) }
    var start = 0
    while start < bytes.count {
      let written = bytes.withUnsafeBytes {
        Foreign.write(descriptor, $0.baseAddress?.advanced(by: start), $0.count - start)
      }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else {
        throw Failure("output", "cannot write \(path): \(Host.systemError())")
      }
      start += written
    }
    guard fsync(descriptor) == 0 else {
      throw Failure("output", "cannot write \(path): \(Host.systemError())")
    }
  }
}
