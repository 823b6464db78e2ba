#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What went wrong between here and a server.
enum MongoError: Error {
  /// The server cannot be reached, or the connection broke.
  case unreachable(String)
  /// The server sends what is no message of the protocol.
  case malformed
  /// The server's answer to a command.
  case command(code: Int64, name: String, labels: [String])
  case authentication(String)
  case unsupported(String)
}

/// One connection that sends a command and waits for its answer (`OP_MSG`). Confined to one thread; closes in `deinit`.
final class WireConnection {
  private let descriptor: Int32
  private var requestID: Int32 = 0
  /// The longest answer that is taken.
  private static let largest = 64 << 20

  /// - Parameter timeout: how long to wait for the connection and for each answer, in seconds.
  init(host: String, port: UInt16, timeout: Int) throws(MongoError) {
    var hints = addrinfo()
    #if os(Linux)
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
    hints.ai_socktype = SOCK_STREAM
    #endif
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &found) == 0 else {
      throw .unreachable("there is no host of that name")
    }
    defer { freeaddrinfo(found) }
    var reason = "no address"
    var next = found
    while let address = next?.pointee {
      next = address.ai_next
      let descriptor = socket(
        address.ai_family, address.ai_socktype, address.ai_protocol)
      guard descriptor >= 0 else { continue }
      WireConnection.configure(descriptor, timeout)
      if connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 {
        self.descriptor = descriptor
        return
      }
      reason = String(cString: strerror(errno))
      close(descriptor)
    }
    throw .unreachable(reason)
  }

  deinit { close(descriptor) }

  private static func configure(_ descriptor: Int32, _ timeout: Int) {
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    var time = timeval()
    time.tv_sec = .init(timeout)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    var on: Int32 = 1
    setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    #if !os(Linux)
    setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
    #endif
  }

  /// A list of documents that stands beside a command: `documents` of an insert, say.
  struct Sequence {
    let name: String
    /// Documents one after the other.
    let bytes: ArraySlice<UInt8>
  }

  /// Sends a command and returns the server's answer, whatever it says.
  func roundTrip(_ command: [UInt8], _ sequence: Sequence? = nil) throws(MongoError) -> BSON {
    requestID &+= 1
    var message = BSONWriter()
    message.number(Int32(0))
    message.number(requestID)
    message.number(Int32(0))
    message.number(Int32(2013))
    message.number(Int32(0))
    message.bytes.append(0)
    message.bytes += command
    if let sequence {
      message.bytes.append(1)
      let start = message.bytes.count
      message.number(Int32(0))
      message.bytes.append(contentsOf: sequence.name.utf8)
      message.bytes.append(0)
      message.bytes += sequence.bytes
      message.setLength(at: start)
    }
    message.setLength(at: 0)
    try send(message.bytes)
    return try receive()
  }

  private func send(_ bytes: [UInt8]) throws(MongoError) {
    var start = 0
    while start < bytes.count {
      let sent = bytes.withUnsafeBytes { buffer in
        #if os(Linux)
        Glibc.send(
          descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start,
          Int32(MSG_NOSIGNAL))
        #else
        Darwin.send(descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start, 0)
        #endif
      }
      if sent < 0, errno == EINTR { continue }
      guard sent > 0 else { throw .unreachable(String(cString: strerror(errno))) }
      start += sent
    }
  }

  private func receive() throws(MongoError) -> BSON {
    let header = try read(16)
    func number(_ bytes: [UInt8], _ start: Int) -> Int32 {
      Int32(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) })
    }
    let length = Int(number(header, 0))
    guard length >= 16 + 5 + 5, length <= WireConnection.largest, number(header, 8) == requestID,
      number(header, 12) == 2013
    else { throw .malformed }
    let body = try read(length - 16)
    // No checksum, nothing more to come, and one section: the answer.
    guard number(body, 0) & 0xFFFF == 0, body[4] == 0 else { throw .malformed }
    do throws(BSONReader.Malformed) {
      return try BSONReader.document(body, at: 5)
    } catch {
      throw .malformed
    }
  }

  private func read(_ count: Int) throws(MongoError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        recv(descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, 0)
      }
      if got < 0, errno == EINTR { continue }
      guard got > 0 else {
        throw .unreachable(
          got == 0 ? "the server closed the connection" : String(cString: strerror(errno)))
      }
      filled += got
    }
    return bytes
  }
}
