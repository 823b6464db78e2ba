import HeadwaterModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The files of a key store: small, private, written once and never overwritten.
struct KeyDirectory: Sendable {
  let path: String

  /// The bytes of the file called `name`, at most `limit` and one more.
  func contents(of name: String, limit: Int) throws(KeyStoreError) -> [UInt8] {
    let file = path + "/" + name
    // Not blocking: somebody may have put a pipe there.
    let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR {
        throw KeyStoreError(.missing, "there is no key file \(file)")
      }
      throw failure("read", file)
    }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw failure("read", file) }
    guard information.st_mode & S_IFMT == S_IFREG else {
      throw KeyStoreError(.damaged, "\(file) is not a file")
    }
    guard information.st_mode & 0o077 == 0 else {
      throw KeyStoreError(
        .permission,
        "others than its owner may use \(file); whoever read it can sign in its name. "
          + "If nobody did, run: chmod 600 '\(file)'")
    }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var count = 0
    while count < bytes.count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw failure("read", file) }
      if got == 0 { break }
      count += got
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// Puts a file called `name` there, whole and durable, or throws and leaves nothing.
  func create(_ name: String, bytes: [UInt8]) throws(KeyStoreError) {
    try prepare()
    let file = path + "/" + name
    let random = hexadecimal(SodiumSuite().randomBytes(8))
    let temporary = path + "/." + name + "." + random + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("create", temporary) }
    defer { unlink(temporary) }
    do {
      defer { close(descriptor) }
      try fill(descriptor, with: bytes, file: temporary)
      guard fsync(descriptor) == 0 else { throw failure("write", temporary) }
    }
    // A rename would replace a key that appeared meanwhile; a link refuses to.
    guard link(temporary, file) == 0 else {
      if errno == EEXIST {
        throw KeyStoreError(
          .exists, "there is a key file \(file) already; keys are never overwritten")
      }
      throw failure("create", file)
    }
    try synchronise()
  }

  /// The names of the entries, in the order of their bytes; none if there is no directory.
  func names() throws(KeyStoreError) -> [String] {
    guard let stream = opendir(path) else {
      if errno == ENOENT { return [] }
      throw failure("list", path)
    }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if let name { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw failure("list", path) }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Makes the directory, for its owner only, and whatever leads to it.
  private func prepare() throws(KeyStoreError) {
    var information = stat()
    if stat(path, &information) != 0 {
      var end = path.startIndex
      repeat {
        end = path[end...].dropFirst().firstIndex(of: "/") ?? path.endIndex
        let part = String(path[..<end])
        guard mkdir(part, 0o700) == 0 || errno == EEXIST || errno == EISDIR else {
          throw failure("create the directory", part)
        }
      } while end < path.endIndex
      guard stat(path, &information) == 0 else { throw failure("read", path) }
    }
    guard information.st_mode & S_IFMT == S_IFDIR else {
      throw KeyStoreError(.inputOutput, "\(path) is not a directory: keys cannot be kept there")
    }
    guard information.st_mode & 0o022 == 0 else {
      throw KeyStoreError(
        .permission,
        "others than its owner may put files into \(path), and so replace a key; "
          + "run: chmod 700 '\(path)'")
    }
  }

  private func fill(
    _ descriptor: Int32, with bytes: [UInt8], file: String
  ) throws(KeyStoreError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw failure("write", file) }
      rest = rest.dropFirst(written)
    }
  }

  /// Makes the names in the directory durable.
  private func synchronise() throws(KeyStoreError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("read", path) }
    defer { close(descriptor) }
    // Some file systems cannot do this for a directory, and say so with EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure("write", path) }
  }

  private func failure(_ action: String, _ file: String) -> KeyStoreError {
    let number = errno
    let code: KeyStoreError.Code =
      number == EACCES || number == EPERM || number == EROFS ? .permission : .inputOutput
    return KeyStoreError(
      code, "cannot \(action) \(file): \(String(cString: strerror(number)))")
  }
}
