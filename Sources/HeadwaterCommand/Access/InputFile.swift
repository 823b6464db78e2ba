/// A file that is read from its start in pieces; `-` is stdin.
final class InputFile {
  /// As the user named it.
  let name: String
  /// Whether it can be read again later: a file, no pipe.
  let isRegular: Bool
  /// The size of a regular file when it was opened, in bytes.
  let size: Int64?
  private let descriptor: Int32

  init(_ name: String) throws {
    self.name = name == "-" ? "stdin" : name
    descriptor = name == "-" ? dup(0) : open(name, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(
        errno == ENOENT ? "missing" : "permission", "cannot read \(name): \(Host.systemError())")
    }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else {
      throw Failure("input", "cannot read \(name): \(Host.systemError())")
    }
    guard information.st_mode & S_IFMT != S_IFDIR else {
      throw Failure("input", "\(name) is a folder, not a file")
    }
    isRegular = information.st_mode & S_IFMT == S_IFREG && name != "-"
    size = isRegular ? Int64(information.st_size) : nil
  }

  deinit { close(descriptor) }

  /// The next bytes, at most `count`; none at the end.
  func read(_ count: Int) throws -> [UInt8] {
    var failed = false
    var number: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while true {
        let got = Foreign.read(descriptor, buffer.baseAddress, count)
        if got < 0, errno == EINTR { continue }
        failed = got < 0
        number = errno
        filled = max(0, got)
        return
      }
    }
    if failed { throw Failure("input", "cannot read \(name): \(Host.systemError(number))") }
    return bytes
  }

  /// Everything, which must not be more than `limit` bytes.
  func all(limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let more = try read(1 << 16)
      if more.isEmpty { return bytes }
      bytes += more
      guard bytes.count <= limit else {
        throw Failure("input", "\(name) is longer than \(limit) bytes")
      }
    }
  }

  /// The path of a file without links and dots, so that it is known again.
  static func absolutePath(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else {
      if path.hasPrefix("/") { return path }
      guard let folder = getcwd(nil, 0) else { return path }
      defer { free(folder) }
      return String(cString: folder) + "/" + path
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
