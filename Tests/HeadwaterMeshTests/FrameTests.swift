import HeadwaterModel
import HeadwaterSync
import Testing

import struct NIOCore.ByteBuffer

@testable import HeadwaterMesh

@Suite struct FrameTests {
  private func accept(
    _ assembler: inout MessageAssembler, _ kind: FrameKind, _ body: [UInt8] = []
  ) throws -> MessageAssembler.Event {
    try body.withUnsafeBytes { try assembler.accept(kind: kind.rawValue, body: $0) }
  }

  @Test func messagesAreWhole() throws {
    var assembler = MessageAssembler(awaitsReady: false)
    #expect(try accept(&assembler, .last, [1]) == .message([1]))
    #expect(try accept(&assembler, .part, [1, 2]) == .none)
    #expect(try accept(&assembler, .heartbeat) == .none)
    #expect(try accept(&assembler, .aside, [9]) == .aside([9]))
    #expect(try accept(&assembler, .last, [3]) == .message([1, 2, 3]))
    #expect(try accept(&assembler, .last, [4]) == .message([4]))
    #expect(try accept(&assembler, .end) == .end)
  }

  @Test func whatNoPeerMaySendIsRefused() throws {
    func refuses(_ frames: (FrameKind, [UInt8])...) throws {
      var assembler = MessageAssembler(awaitsReady: false)
      for (kind, body) in frames.dropLast() { _ = try accept(&assembler, kind, body) }
      let (kind, body) = try #require(frames.last)
      #expect(refusal { try accept(&assembler, kind, body) }?.code == .invalid)
    }
    try refuses((.ready, []))
    try refuses((.last, []))
    try refuses((.part, []))
    try refuses((.heartbeat, [1]))
    try refuses((.aside, []))
    try refuses((.aside, [UInt8](repeating: 0, count: FrameLimits.asideByteCount + 1)))
    try refuses((.end, [1]))
    try refuses((.part, [1]), (.end, []))
    try refuses((.end, []), (.heartbeat, []))
    var initiator = MessageAssembler(awaitsReady: true)
    #expect(refusal { try accept(&initiator, .last, [1]) }?.code == .invalid)
    var unknown = MessageAssembler(awaitsReady: false)
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    #expect(refusal { try unknown.accept(kind: 6, body: empty) }?.code == .invalid)
  }

  @Test func messagesHaveALimit() throws {
    var assembler = MessageAssembler(awaitsReady: false)
    let part = [UInt8](repeating: 1, count: FrameLimits.bodyByteCount)
    for _ in 0..<16 { #expect(try accept(&assembler, .part, part) == .none) }
    #expect(refusal { try accept(&assembler, .part, part) }?.code == .invalid)
  }

  /// Both directions change their keys at the same frames, for as long as it goes on.
  @Test func keysChangeOnBothSides() throws {
    var bytes = [UInt8](repeating: 7, count: 32)
    let key = try Secret(erasing: &bytes)
    // From just before the number at which the key is changed.
    let first = FrameLimits.framesPerKey - 2
    var sealer = FrameSealer(key: key, nonce: first)
    var opener = FrameOpener(key: key, nonce: first)
    var unchanged = CipherState(key: key, nonce: first)
    for number in 0..<UInt8(5) {
      let frame = try seal(&sealer, .last, [number])
      let body = Array(frame.dropFirst(2))
      let opened = try body.withBytes { frame throws(NoiseError) in
        try opener.open(frame) { kind, body in (kind, [UInt8](body)) }
      }
      #expect(opened.0 == FrameKind.last.rawValue && opened.1 == [number])
      let byOldKey = try? unchanged.open(body)
      #expect((byOldKey != nil) == (number < 2))
    }
  }

  private func seal(
    _ sealer: inout FrameSealer, _ kind: FrameKind, _ body: [UInt8]
  ) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: FrameSealer.byteCount(ofBody: body.count))
    try bytes.withMutableBytes { output throws(NoiseError) in
      try body.withBytes { body throws(NoiseError) in try sealer.seal(kind, body, into: output) }
    }
    return bytes
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func framesComeThroughHoweverTheBytesAreCut(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let frames = (0..<200).map { _ in
      let longest = Bool.random(using: &generator) ? 30 : 3_000
      return generator.bytes(Int.random(in: 17...longest, using: &generator))
    }
    var stream: [UInt8] = []
    for frame in frames {
      stream += [UInt8(frame.count >> 8), UInt8(frame.count & 255)] + frame
    }
    var reader = FrameReader()
    var got: [[UInt8]] = []
    while !stream.isEmpty {
      let count = min(stream.count, Int.random(in: 1...5_000, using: &generator))
      reader.append(ByteBuffer(bytes: stream.prefix(count)))
      stream.removeFirst(count)
      while let frame = try reader.next(
        lengths: 17...65_535, { bytes throws(ChannelError) in [UInt8](bytes) })
      {
        got.append(frame)
      }
    }
    #expect(got == frames, "seed \(seed)")
    #expect(reader.byteCount == 0)
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func garbageEndsInAnErrorAndKeepsLittle(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<20 {
      var bytes = [UInt8](repeating: 3, count: 32)
      var opener = FrameOpener(key: try Secret(erasing: &bytes))
      var reader = FrameReader()
      var error: (any Error)?
      while error == nil {
        reader.append(ByteBuffer(bytes: generator.bytes(1_000)))
        do {
          _ = try reader.next(lengths: FrameLimits.leastByteCount...65_535) {
            frame throws(ChannelError) in
            do throws(NoiseError) { try opener.open(frame) { _, _ in } } catch {
              throw ChannelError(error)
            }
          }
        } catch let caught { error = caught }
        #expect(reader.byteCount <= 66_600)
      }
      #expect(error is ChannelError)
      // And what a peer with the keys may say.
      var assembler = MessageAssembler(awaitsReady: Bool.random(using: &generator))
      for _ in 0..<200 {
        let body = generator.bytes(Int.random(in: 0...40, using: &generator))
        _ = try? body.withUnsafeBytes {
          try assembler.accept(kind: UInt8.random(in: 0...7, using: &generator), body: $0)
        }
      }
    }
  }
}
