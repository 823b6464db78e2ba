import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync
import Testing

@testable import HeadwaterMesh

@Suite struct ChannelHandshakeTests {
  private let suite = SodiumSuite()

  private func side(
    _ role: NoiseRole, _ number: UInt8, expecting: Digest? = nil, signer other: (any Signer)? = nil
  ) throws -> ChannelHandshake {
    try ChannelHandshake(
      role: role, signer: other ?? signer(number), suite: suite, staticKey: pair(number + 0x10),
      ephemeralKey: pair(number + 0x20), expected: expecting)
  }

  @Test func bothSidesLearnWhoIsThere() throws {
    var a = try side(.initiator, 1, expecting: signer(2).principal)
    var b = try side(.responder, 2)
    let answer = try a.answer(to: b.reply(to: a.hello()))
    try b.finish(with: answer)
    let (ofA, ofB) = (try a.keys(), try b.keys())
    #expect(ofA.peer == signer(2).principal && ofB.peer == signer(1).principal)
    #expect(try ofA.node == pair(0x12).publicKey && ofB.node == pair(0x11).publicKey)
    #expect(ofA.binding == ofB.binding)
    #expect(ofA.sending.isEqual(to: ofB.receiving) && ofA.receiving.isEqual(to: ofB.sending))
  }

  /// The vector of Docs/SecureChannel.md.
  @Test func theBytesAreAsDocumented() throws {
    var a = try side(.initiator, 1)
    var b = try side(.responder, 2)
    let hello = try a.hello()
    let reply = try b.reply(to: hello)
    let answer = try a.answer(to: reply)
    try b.finish(with: answer)
    var sealer = FrameSealer(key: try a.keys().sending)
    var welcome = FrameSealer(key: try b.keys().sending)
    func frame(
      _ sealer: inout FrameSealer, _ kind: FrameKind, _ body: [UInt8]
    ) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: FrameSealer.byteCount(ofBody: body.count))
      try bytes.withMutableBytes { output throws(NoiseError) in
        try body.withBytes { body throws(NoiseError) in try sealer.seal(kind, body, into: output) }
      }
      return bytes
    }
    let lines = [
      "hello " + hexadecimal(hello), "reply " + hexadecimal(reply),
      "answer " + hexadecimal(answer), "binding " + hexadecimal(try a.keys().binding),
      "ready " + hexadecimal(try frame(&welcome, .ready, [])),
      "last " + hexadecimal(try frame(&sealer, .last, [UInt8]("hello".utf8))),
      "end " + hexadecimal(try frame(&sealer, .end, [])),
    ]
    let document = try SourceText.of("Docs/SecureChannel.md")
    for line in lines {
      #expect(document.contains("\n" + line + "\n"), "Docs/SecureChannel.md lacks: \(line)")
    }
  }

  @Test func theInitiatorSaysNothingToTheWrongPeer() throws {
    var a = try side(.initiator, 1, expecting: signer(3).principal)
    var b = try side(.responder, 2)
    let reply = try b.reply(to: a.hello())
    let error = refusal { try a.answer(to: reply) }
    #expect(error?.code == .unauthenticated)
  }

  @Test func whoCannotSignIsNobody() throws {
    // Claims the key of 3 and signs with its own.
    struct Impostor: Signer {
      var suiteIdentifier: UInt8 { signer(3).suiteIdentifier }
      var publicKey: [UInt8] { signer(3).publicKey }
      var principal: Digest { signer(3).principal }
      func sign(_ digest: Digest) throws -> [UInt8] { signer(2).sign(digest) }
    }
    var a = try side(.initiator, 1)
    var b = try side(.responder, 2, signer: Impostor())
    let reply = try b.reply(to: a.hello())
    #expect(refusal { try a.answer(to: reply) }?.code == .unauthenticated)

    var c = try side(.initiator, 1, signer: Impostor())
    var d = try side(.responder, 2)
    let answer = try c.answer(to: d.reply(to: c.hello()))
    #expect(refusal { try d.finish(with: answer) }?.code == .unauthenticated)
  }

  /// A signature that somebody gave in one handshake is worth nothing in another, nor in the other role.
  @Test func signaturesCannotBeReused() throws {
    // Repeats what it was told when it talked to 3.
    struct Replay: Signer {
      let identity: PeerIdentity
      var suiteIdentifier: UInt8 { identity.suite }
      var publicKey: [UInt8] { identity.publicKey }
      var principal: Digest { SodiumSuite().principal(of: identity.publicKey) }
      func sign(_ digest: Digest) throws -> [UInt8] { identity.signature }
    }
    let digest = PeerIdentity.digest(
      role: .responder, staticKey: try pair(0x12).publicKey,
      handshake: [UInt8](repeating: 0, count: 64), suite: suite)
    let overheard = PeerIdentity(
      suite: suite.identifier, publicKey: signer(3).publicKey, signature: signer(3).sign(digest))
    var a = try side(.initiator, 1)
    var b = try side(.responder, 2, signer: Replay(identity: overheard))
    let reply = try b.reply(to: a.hello())
    #expect(refusal { try a.answer(to: reply) }?.code == .unauthenticated)
    #expect(
      digest
        != PeerIdentity.digest(
          role: .initiator, staticKey: try pair(0x12).publicKey,
          handshake: [UInt8](repeating: 0, count: 64), suite: suite))
  }

  @Test func identitiesAreStrict() throws {
    let digest = PeerIdentity.digest(
      role: .responder, staticKey: [], handshake: [], suite: suite)
    let good = PeerIdentity(
      suite: 1, publicKey: signer(1).publicKey, signature: signer(1).sign(digest))
    #expect(try PeerIdentity(encoded: good.encoded, suite: suite) == good)
    #expect(good.encoded.count <= PeerIdentity.limit(of: suite))
    for bad in [
      PeerIdentity(suite: 2, publicKey: good.publicKey, signature: good.signature),
      PeerIdentity(suite: 1, publicKey: good.publicKey.dropLast(), signature: good.signature),
      PeerIdentity(suite: 1, publicKey: good.publicKey, signature: good.signature + [0]),
      PeerIdentity(suite: 1, publicKey: [], signature: []),
    ] {
      #expect(
        refusal { try PeerIdentity(encoded: bad.encoded, suite: suite) }?.code
          == .unauthenticated)
    }
    #expect(refusal { try PeerIdentity(encoded: good.encoded + [0], suite: suite) } != nil)
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func alteredHandshakesFail(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<150 {
      var a = try side(.initiator, 1)
      var b = try side(.responder, 2)
      let target = Int.random(in: 0..<3, using: &generator)
      var number = 0
      func altered(_ message: [UInt8]) -> [UInt8] {
        defer { number += 1 }
        guard number == target else { return message }
        return mutate(message, using: &generator)
      }
      // Should the change have made none, both agree; else one of them notices.
      let agreed: Bool
      do {
        let hello = try a.hello()
        let arrived = altered(hello)
        let reply = try b.reply(to: arrived)
        let answer = try a.answer(to: altered(reply))
        try b.finish(with: altered(answer))
        agreed = true
      } catch {
        agreed = false
      }
      if agreed {
        #expect(try a.keys().binding == b.keys().binding, "seed \(seed), round \(round)")
      }
    }
  }
}

/// Changes, cuts, extends or replaces some bytes.
func mutate(_ bytes: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...3, using: &generator) {
    switch Int.random(in: 0..<6, using: &generator) {
    case 0 where !bytes.isEmpty:
      let index = Int.random(in: bytes.indices, using: &generator)
      bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1 where !bytes.isEmpty:
      bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(
        in: 0...255, using: &generator)
    case 2: bytes.removeLast(min(bytes.count, Int.random(in: 1...40, using: &generator)))
    case 3: bytes += generator.bytes(Int.random(in: 1...300, using: &generator))
    case 4 where !bytes.isEmpty: bytes.remove(at: Int.random(in: bytes.indices, using: &generator))
    default: bytes = generator.bytes(Int.random(in: 0...400, using: &generator))
    }
  }
  return bytes
}
