import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterStore
import HeadwaterSync

import struct NIOCore.ByteBuffer

@testable import Headwater
@testable import HeadwaterMesh

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What libFuzzer calls first. Where HEADWATER_FUZZ names no decoder their names are printed, and with
/// HEADWATER_FUZZ_SEEDS the decoder's seeds are written into that folder; and that is all.
@_cdecl("LLVMFuzzerInitialize")
public func begin(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?) -> CInt {
  guard getenv("HEADWATER_FUZZ") != nil else {
    print(Decoder.names)
    exit(0)
  }
  guard let folder = getenv("HEADWATER_FUZZ_SEEDS").map({ String(cString: $0) }) else { return 0 }
  for (number, seed) in Decoder.chosen.seeds.enumerated() {
    guard let file = fopen("\(folder)/own-\(number)", "w") else { exit(74) }
    fwrite(seed, 1, seed.count, file)
    fclose(file)
  }
  exit(0)
}

/// What libFuzzer calls with each input: the decoder that HEADWATER_FUZZ names. One that traps, takes longer than the
/// fuzzer allows or more memory than it allows is a failure, and so is one that reads what it would write otherwise.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  Decoder.chosen.run(bytes)
  return 0
}

/// One that reads bytes from a peer.
enum Decoder: String, CaseIterable {
  case message, session, ranges, operation, packed, frames, handshake, exchange, bundle, schema,
    json

  /// The one that the environment names.
  static let chosen: Decoder = {
    let name = getenv("HEADWATER_FUZZ").map { String(cString: $0) } ?? ""
    guard let found = Decoder(rawValue: name) else {
      print("HEADWATER_FUZZ is to be one of: \(names)")
      exit(64)
    }
    return found
  }()

  static var names: String { allCases.map(\.rawValue).joined(separator: " ") }

  static let suite = SodiumSuite()

  func run(_ bytes: [UInt8]) {
    switch self {
    case .message: message(bytes)
    case .session: session(bytes)
    case .ranges: ranges(bytes)
    case .operation: operation(bytes)
    case .packed: packed(bytes)
    case .frames: frames(bytes)
    case .handshake: handshake(bytes)
    case .exchange:
      if let read = try? PeerExchange(encoded: bytes) {
        precondition(read.encoded == bytes, "an exchange has two encodings")
      }
    case .bundle: bundle(bytes)
    case .schema: schema(bytes)
    case .json: _ = try? RawJSON(text: String(decoding: bytes, as: UTF8.self))
    }
  }

  // MARK: Sync

  private func message(_ bytes: [UInt8]) {
    guard let read = try? SyncMessage.decode(bytes) else { return }
    // Of another version nothing else is read.
    if case .hello(let hello) = read, hello.version != SyncLimits.version { return }
    precondition(read.encode() == bytes, "a message has two encodings")
  }

  private static let set: SortedOperations = {
    var set = SortedOperations()
    for number in 0..<2_000 as Range<UInt64> {
      let id = suite.hash(withUnsafeBytes(of: number.bigEndian) { Array($0) })
      set.insert(OperationKey(height: Int64(number / 3), id: id))
    }
    return set
  }()

  private func ranges(_ bytes: [UInt8]) {
    var reader = CanonicalReader(bytes)
    guard let read = try? RangeMessage.decode(&reader), reader.isAtEnd else { return }
    var writer = CanonicalWriter()
    read.encode(into: &writer)
    precondition(writer.bytes == bytes, "ranges have two encodings")
    _ = try? Reconciler(hasher: Decoder.suite, salt: [1]).answer(read, Decoder.set)
  }

  static let genesis = CheapReplica.encode(
    parents: [], author: 0, number: 0, size: 0, isGood: true)

  /// What a peer says after its hello: messages with two bytes of length before each. A length of zero lets time pass.
  private func session(_ bytes: [UInt8]) {
    let replica = CheapReplica(author: 1, genesis: Decoder.genesis)
    var random = Seeded(1)
    replica.writesLong = false
    for _ in 0..<20 { _ = replica.write(&random) }
    var options = Session.Options()
    options.isLive = true
    var session = Session(
      database: replica.database, suite: 1, hasher: CheapReplica.suite, plan: FetchPlan(),
      nonce: 7, now: 0, options: options)
    var sent = 0
    var time: Int64 = 0
    func step(_ input: Input) {
      guard !session.isClosed, let next = try? replica.step(session, input, at: time) else {
        return
      }
      session = next.0
      for action in next.1 {
        switch action {
        case .send(let message): sent += message.count
        case .deliver(let batch): step(.delivered(replica.deliver(batch, from: 1)))
        default: break
        }
      }
    }
    step(.start)
    step(
      .message(
        SyncMessage.hello(
          .init(database: replica.database, suite: 1, nonce: 9, isLive: true, credit: 1 << 20)
        ).encode()))
    var place = 0
    while place + 2 <= bytes.count, !session.isClosed {
      let length = Int(bytes[place]) << 8 | Int(bytes[place + 1])
      place += 2
      guard length > 0 else {
        time += 1_000
        step(.tick)
        continue
      }
      let end = min(bytes.count, place + length)
      step(.message(Array(bytes[place..<end])))
      place = end
    }
    session.abandon()
    // Twenty operations and a message or two for each that came.
    precondition(sent < 1 << 20, "a session says more than it was asked for")
  }

  // MARK: The log

  private func operation(_ bytes: [UInt8]) {
    if let signed = try? SignedOperation.decode(bytes) {
      precondition(signed.encode() == bytes, "a signed operation has two encodings")
      _ = try? Operation.decode(signed.body)
    }
    if let read = try? Operation.decode(bytes) {
      precondition(read.encode() == bytes, "an operation has two encodings")
    }
  }

  private func bundle(_ bytes: [UInt8]) {
    var reader = BundleReader(suite: Decoder.suite)
    // In pieces, as they come from a file; the first byte says of which length.
    let size = max(1, Int(bytes.first ?? 1))
    var total = 0
    for start in stride(from: 1, to: bytes.count, by: size) {
      reader.append(Array(bytes[start..<min(start + size, bytes.count)]))
      while let group = try? reader.next() {
        for signed in group.operations + group.witnesses { total += signed.body.count }
      }
    }
    _ = try? reader.finish()
    precondition(total <= bytes.count, "a bundle gives more than it has")
  }

  private func packed(_ bytes: [UInt8]) {
    let message = PackedMessage.unpack(bytes)
    precondition(message.count <= max(bytes.count, ChannelLimits.messageBytes))
    _ = try? SyncMessage.decode(message)
  }

  // MARK: The channel

  private func frames(_ bytes: [UInt8]) {
    var reader = FrameReader()
    var assembler = MessageAssembler(awaitsReady: false)
    let size = max(1, Int(bytes.first ?? 1))
    for start in stride(from: 1, to: bytes.count, by: size) {
      reader.append(ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)]))
      do {
        var isMore = true
        while isMore {
          // A frame is decrypted in between: here its first byte is its kind.
          isMore =
            try reader.next(lengths: 1...65_535) { (frame) throws(ChannelError) in
              _ = try assembler.accept(
                kind: frame[0], body: UnsafeRawBufferPointer(rebasing: frame[1...]))
            } != nil
        }
      } catch { return }
    }
  }

  private static let signer = SigningKey.generate()

  private func handshake(_ bytes: [UInt8]) {
    do {
      var secrets = [[UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32)]
      var responder = try ChannelHandshake(
        role: .responder, signer: Decoder.signer, suite: Decoder.suite,
        staticKey: NoiseKeyPair(erasing: &secrets[0]),
        ephemeralKey: NoiseKeyPair(erasing: &secrets[1]))
      let cut = min(bytes.count, Int(bytes.first ?? 0) + 1)
      _ = try responder.reply(to: Array(bytes[min(1, cut)..<cut]))
      try responder.finish(with: Array(bytes[cut...]))
      _ = try responder.keys()
      preconditionFailure("a handshake that nobody signed")
    } catch {}
  }

  // MARK: The schema, which the first operation brings

  private func schema(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let schema = try? Schema.parse(text) else { return }
    precondition(
      (try? Schema.parse(schema.canonicalText))?.canonicalText == schema.canonicalText,
      "a schema reads otherwise when it is written")
  }
}
