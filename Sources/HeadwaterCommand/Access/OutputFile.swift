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

  /// Makes a file of bytes that come in pieces: whole, or not at all.
  ///
  /// - Parameters:
  ///   - replaces: whether a file may be there already, which is kept until the new one is on the disk.
  ///   - body: is given what takes the bytes.
  static func write(
    _ path: String, replaces: Bool, _ body: (_ append: ([UInt8]) throws -> Void) throws -> Void
  ) throws {
    let target = InputFile.absolutePath(path)
    var information = stat()
    let isThere = lstat(target, &information) == 0
    guard replaces || !isThere else {
      throw Failure("exists", "\(path) is there already: choose another name, or say --replace")
    }
    guard !isThere || information.st_mode & S_IFMT == S_IFREG else {
      throw Failure("output", "\(path) is no ordinary file")
    }
    let temporary = "\(target).\(getpid()).new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Failure("permission", "cannot write \(path): \(Host.systemError())")
    }
    var isOpen = true
    do {
      try body { try append($0, to: descriptor, path) }
      guard fsync(descriptor) == 0 else {
        throw Failure("output", "cannot write \(path): \(Host.systemError())")
      }
      isOpen = false
      close(descriptor)
      // Without replacing, a file that has come meanwhile stays.
      let isDone =
        replaces
        ? rename(temporary, target) == 0 : link(temporary, target) == 0 && unlink(temporary) == 0
      guard isDone else {
        throw Failure("output", "cannot make \(path): \(Host.systemError())")
      }
      flushFolder(of: target)
    } catch {
      if isOpen { close(descriptor) }
      unlink(temporary)
      throw error
    }
  }

  /// Waits until the name of a file is on the disk; some file systems cannot, and need not.
  private static func flushFolder(of path: String) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  /// Makes a file with these bytes where there is none, and waits until it is on the disk.
  static func create(_ path: String, with bytes: [UInt8], mode: mode_t = 0o644) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else {
      throw Failure("permission", "cannot write \(path): \(Host.systemError())")
    }
    defer { close(descriptor) }
    try append(bytes, to: descriptor, path)
    guard fsync(descriptor) == 0 else {
      throw Failure("output", "cannot write \(path): \(Host.systemError())")
    }
  }

  private static func append(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws {
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
  }
}
