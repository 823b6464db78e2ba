#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Keeps a second process, or a second `Store`, from opening a store for writing.
///
/// A `flock` on a file beside the store: closing a descriptor of the store itself would drop SQLite's own locks.
/// The kernel releases it when the process dies, however it dies.
final class WriterLock: Sendable {
  private let descriptor: Int32
  private let path: String

  /// - Parameter patience: for how many milliseconds to wait for another who has it.
  init(store: String, patience: Int = 0) throws(StoreError) {
    path = store + "-lock"
    var waited = 0
    while true {
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        let reason = String(cString: strerror(errno))
        throw StoreError(
          errno == ENOSPC ? .full : .permission,
          "cannot open \(path) to lock the store for writing: \(reason); check the folder's permissions"
        )
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let holder = WriterLock.holder(descriptor)
        close(descriptor)
        if waited < patience {
          usleep(2_000)
          waited += 2
          continue
        }
        throw StoreError(
          .locked,
          "\(store) is open for writing in another process\(holder): let that one write, or stop it; reading works meanwhile"
        )
      }
      // The file that we locked may have been removed by its last holder in between.
      var ours = stat()
      var there = stat()
      if fstat(descriptor, &ours) == 0, stat(path, &there) == 0, ours.st_ino == there.st_ino {
        let text = "\(getpid())\n"
        _ = ftruncate(descriptor, 0)
        _ = text.withCString { write(descriptor, $0, strlen($0)) }
        self.descriptor = descriptor
        return
      }
      close(descriptor)
    }
  }

  private static func holder(_ descriptor: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 24)
    let count = pread(descriptor, &buffer, buffer.count, 0)
    guard count > 0,
      let pid = Int(String(decoding: buffer[..<count].prefix { $0 != 10 }, as: UTF8.self))
    else { return "" }
    return " (process \(pid))"
  }

  deinit {
    unlink(path)
    close(descriptor)
  }
}
