#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the file system could not do.
struct FileError: Error {
  let code: Int32
  /// The call, and of what kind of file: never a name that holds data.
  let operation: String

  init(_ operation: String, code: Int32 = errno) {
    self.operation = operation
    self.code = code
  }

  var message: String { String(cString: strerror(code)) }
}

/// A directory and what is below it, through paths relative to it. Confined to one thread; closes in `deinit`.
final class FileTree {
  let path: String
  private let root: Int32
  /// Asked before every change; what it throws stops there. For tests of what a crash leaves behind.
  var beforeChange: (() throws -> Void)?

  /// - Throws: `FileError`, with `ENOENT` where there is no such directory.
  init(path: String) throws {
    self.path = path
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard root >= 0 else { throw FileError("open the folder") }
  }

  deinit { close(root) }

  // MARK: Reading

  /// The bytes of a file; nil where there is none.
  func read(_ name: String) throws -> [UInt8]? {
    let descriptor = openat(root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw FileError("open a file")
    }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw FileError("look at a file") }
    guard information.st_mode & S_IFMT == S_IFREG else { return nil }
    var bytes = [UInt8](repeating: 0, count: Int(information.st_size))
    var filled = 0
    while filled < bytes.count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        systemRead(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw FileError("read a file") }
      if got == 0 { break }
      filled += got
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  /// Whether there is anything of that name.
  func exists(_ name: String) -> Bool {
    var information = stat()
    return fstatat(root, name, &information, AT_SYMLINK_NOFOLLOW) == 0
  }

  /// The names in a directory in no order, each with whether it is a directory; nil where there is none.
  func list(_ name: String) throws -> [(name: String, isDirectory: Bool)]? {
    let descriptor = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw FileError("open a folder")
    }
    guard let stream = fdopendir(descriptor) else {
      let error = FileError("list a folder")
      close(descriptor)
      throw error
    }
    defer { closedir(stream) }
    var names: [(name: String, isDirectory: Bool)] = []
    errno = 0
    while let entry = readdir(stream) {
      let found = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      let kind = Int32(entry.pointee.d_type)
      if found != ".", found != ".." {
        var isDirectory = kind == Int32(DT_DIR)
        if kind == Int32(DT_UNKNOWN) {
          var information = stat()
          isDirectory =
            fstatat(descriptor, found, &information, AT_SYMLINK_NOFOLLOW) == 0
            && information.st_mode & S_IFMT == S_IFDIR
        }
        names.append((found, isDirectory))
      }
      errno = 0
    }
    guard errno == 0 else { throw FileError("list a folder") }
    return names
  }

  // MARK: Changing

  /// Makes a directory; one that is there is as good.
  func makeDirectory(_ name: String) throws {
    try beforeChange?()
    guard mkdirat(root, name, 0o777) == 0 || errno == EEXIST else {
      throw FileError("make a folder")
    }
  }

  /// Opens a directory below, and makes it and those above it where they are missing.
  func openDirectory(_ name: String, create: Bool) throws -> Int32 {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
    var descriptor = openat(root, name, flags)
    if descriptor < 0, errno == ENOENT, create {
      try makeParents(of: name + "/x", in: root)
      descriptor = openat(root, name, flags)
    }
    guard descriptor >= 0 else { throw FileError("open a folder") }
    return descriptor
  }

  /// Makes the directories above a file.
  func makeParents(of name: String, in base: Int32) throws {
    var index = name.startIndex
    while let slash = name[index...].firstIndex(of: "/") {
      try beforeChange?()
      let folder = String(name[..<slash])
      guard mkdirat(base, folder, 0o777) == 0 || errno == EEXIST else {
        throw FileError("make a folder")
      }
      index = name.index(after: slash)
    }
  }

  /// Writes a file in place, whole if nothing interrupts it: for files that no reader looks at yet.
  func write(
    _ name: UnsafePointer<CChar>, in base: Int32, _ bytes: UnsafeRawBufferPointer
  ) throws {
    try beforeChange?()
    var descriptor = openat(base, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    if descriptor < 0, errno == ENOENT {
      try makeParents(of: String(cString: name), in: base)
      descriptor = openat(base, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    }
    guard descriptor >= 0 else { throw FileError("make a file") }
    defer { close(descriptor) }
    try fill(descriptor, bytes)
  }

  private func fill(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws {
    var start = 0
    while start < bytes.count {
      let written = systemWrite(
        descriptor, bytes.baseAddress?.advanced(by: start), bytes.count - start)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw FileError("write a file") }
      start += written
    }
  }

  /// Puts a file where it belongs in one step, so that readers find it as it was or as it is.
  func replace(
    _ name: UnsafePointer<CChar>, in base: Int32, _ bytes: UnsafeRawBufferPointer
  ) throws {
    try FileTree.temporary.withCString { temporary in
      try write(temporary, in: root, bytes)
      try beforeChange?()
      if renameat(root, temporary, base, name) == 0 { return }
      guard errno == ENOENT else { throw FileError("put a file in its place") }
      try makeParents(of: String(cString: name), in: base)
      guard renameat(root, temporary, base, name) == 0 else {
        throw FileError("put a file in its place")
      }
    }
  }

  /// As `replace`, and on the disk when it returns, where `synchronised`.
  func replace(_ name: String, _ bytes: [UInt8], synchronised: Bool) throws {
    try beforeChange?()
    let descriptor = openat(
      root, FileTree.temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileError("make a file") }
    do {
      defer { close(descriptor) }
      try bytes.withUnsafeBytes { try fill(descriptor, $0) }
      if synchronised {
        try beforeChange?()
        guard fsync(descriptor) == 0 else { throw FileError("bring a file to the disk") }
      }
    }
    try beforeChange?()
    guard renameat(root, FileTree.temporary, root, name) == 0 else {
      throw FileError("put a file in its place")
    }
    if synchronised {
      let folder = openat(root, FileTree.own, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard folder >= 0 else { throw FileError("open a folder") }
      defer { close(folder) }
      guard fsync(folder) == 0 else { throw FileError("bring a folder to the disk") }
    }
  }

  /// Moves a file over another.
  func move(_ old: String, to new: String) throws {
    try beforeChange?()
    if renameat(root, old, root, new) == 0 { return }
    guard errno == ENOENT else { throw FileError("move a file") }
    try makeParents(of: new, in: root)
    guard renameat(root, old, root, new) == 0 else { throw FileError("move a file") }
  }

  /// Removes a file; one that is not there is as good.
  func remove(_ name: UnsafePointer<CChar>, in base: Int32) throws {
    try beforeChange?()
    guard unlinkat(base, name, 0) == 0 || errno == ENOENT || errno == ENOTDIR else {
      throw FileError("remove a file")
    }
  }

  func remove(_ name: String) throws { try remove(name, in: root) }

  /// Removes a directory if it is empty.
  func removeDirectory(_ name: String) throws {
    try beforeChange?()
    guard
      unlinkat(root, name, AT_REMOVEDIR) == 0
        || [ENOENT, ENOTDIR, ENOTEMPTY, EEXIST].contains(errno)
    else { throw FileError("remove a folder") }
  }

  /// Makes a symbolic link point elsewhere in one step.
  func link(_ name: String, to target: String) throws {
    let temporary = FileTree.own + "/link"
    try remove(temporary)
    try beforeChange?()
    guard symlinkat(target, root, temporary) == 0 else { throw FileError("make a link") }
    try beforeChange?()
    guard renameat(root, temporary, root, name) == 0 else {
      throw FileError("put a link in its place")
    }
  }

  /// Returns when everything that was changed is on the disk.
  func synchronise() throws {
    try beforeChange?()
    if let syncfs = FileTree.syncfs {
      guard syncfs(root) == 0 else { throw FileError("bring the files to the disk") }
    } else {
      sync()
    }
  }

  /// Linux brings one file system to the disk in one call, where each file by itself would cost a call. The header
  /// declares it for GNU sources only.
  private static let syncfs: (@convention(c) (Int32) -> Int32)? = {
    guard let symbol = dlsym(nil, "syncfs") else { return nil }
    return unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)
  }()

  // MARK: Locking

  /// Holds the lock of the directory until the value goes.
  final class Lock {
    private let descriptor: Int32

    fileprivate init(_ descriptor: Int32) { self.descriptor = descriptor }

    // The kernel lets go of it when the process dies, however it dies.
    deinit { close(descriptor) }
  }

  /// Takes the lock; nil where somebody else holds it throughout `milliseconds`.
  func lock(milliseconds: Int) throws -> Lock? {
    let descriptor = openat(
      root, FileTree.own + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileError("open the lock") }
    let lock = Lock(descriptor)
    var waited = 0
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw FileError("take the lock") }
      guard waited < milliseconds else { return nil }
      usleep(2_000)
      waited += 2
    }
    return lock
  }

  /// The folder of what is nobody's but the mirror's.
  static let own = ".headwater"
  private static let temporary = ".headwater/new"
}

private func systemRead(_ descriptor: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int)
  -> Int
{ read(descriptor, start, count) }

private func systemWrite(_ descriptor: Int32, _ start: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, start, count)
}
