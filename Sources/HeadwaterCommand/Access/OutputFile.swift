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
    let descriptor = open(
      temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, information.st_mode & 0o777)
    guard descriptor >= 0 else {
      throw Failure("permission", "cannot write \(temporary): \(Host.systemError())")
    }
    do {
      defer { close(descriptor) }
      var start = 0
      while start < bytes.count {
        let written = bytes.withUnsafeBytes {
          Foreign.write(descriptor, $0.baseAddress?.advanced(by: start), $0.count - start)
        }
        if written < 0, errno == EINTR { continue }
        guard written > 0, start + written < bytes.count || fsync(descriptor) == 0 else {
          let reason = Host.systemError()
          unlink(temporary)
          throw Failure("output", "cannot write \(temporary): \(reason)")
        }
        start += written
      }
    }
    guard rename(temporary, target) == 0 else {
      let reason = Host.systemError()
      unlink(temporary)
      throw Failure("output", "cannot replace \(path): \(reason)")
    }
  }
}
