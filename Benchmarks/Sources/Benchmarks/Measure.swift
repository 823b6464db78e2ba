#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Wall and CPU time of a piece of work, in seconds.
struct Cost {
  let wall: Double
  let cpu: Double

  static func of(_ body: @Sendable () async throws -> Void) async rethrows -> Cost {
    let (wall, cpu) = (now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID))
    try await body()
    return Cost(wall: now(CLOCK_MONOTONIC) - wall, cpu: now(CLOCK_PROCESS_CPUTIME_ID) - cpu)
  }

  static func now(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// The most memory that this process ever had, in megabytes.
func peakMegabytes() -> Int {
  #if os(Linux)
  // What `getrusage` says of a process begins with what its parent had.
  guard let file = fopen("/proc/self/status", "r") else { return 0 }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    if text.hasPrefix("VmHWM:") {
      return (Int(text.filter(\.isNumber)) ?? 0) / 1_024
    }
  }
  return 0
  #else
  var usage = rusage()
  getrusage(RUSAGE_SELF, &usage)
  return usage.ru_maxrss / 1_048_576
  #endif
}

/// A folder for one run, removed with its files at the end.
struct Scratch: ~Copyable {
  let path: String

  init() {
    let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    path = root + "/headwater-benchmark-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    mkdir(path, 0o755)
  }

  func file(_ name: String) -> String { path + "/" + name }

  deinit {
    guard let folder = opendir(path) else { return }
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      unlink(path + "/" + name)
    }
    closedir(folder)
    rmdir(path)
  }
}

func size(of path: String) -> Int {
  var status = stat()
  return stat(path, &status) == 0 ? Int(status.st_size) : 0
}
