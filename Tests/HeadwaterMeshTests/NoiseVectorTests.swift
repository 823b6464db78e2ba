import Foundation
import HeadwaterModel
import Testing

@testable import HeadwaterMesh

/// The published vectors of other implementations, byte for byte.
@Suite struct NoiseVectorTests {
  @Test func xxIsAsPublished() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../Fixtures/noise/XX_25519_ChaChaPoly_BLAKE2b.json")
    let vectors = try NoiseVector.read(file)
    #expect(vectors.count == 1)
    for vector in vectors { try vector.check() }
  }

  /// Every pattern of the suite without a pre-shared key, from a file of vectors in the common JSON
  /// form: `HEADWATER_NOISE_VECTORS` says where one is.
  @Test(.enabled(if: NoiseVector.file != nil, "HEADWATER_NOISE_VECTORS names no file"))
  func everyPatternIsAsPublished() throws {
    let vectors = try NoiseVector.read(try #require(NoiseVector.file))
      .filter { !$0.protocolName.contains("psk") }
    #expect(vectors.count > 20)
    var patterns: Set<String> = []
    for vector in vectors {
      try vector.check()
      patterns.insert(vector.patternName)
    }
    #expect(patterns.count == NoisePattern.published.count)
    print("Noise vectors: \(vectors.count) of \(patterns.count) patterns")
  }
}

/// One vector in the JSON form that implementations exchange.
struct NoiseVector: Decodable {
  struct Message: Decodable {
    let payload: String
    let ciphertext: String
  }

  let protocolName: String
  let initPrologue: String
  let initStatic: String?
  let initEphemeral: String?
  let initRemoteStatic: String?
  let respPrologue: String
  let respStatic: String?
  let respEphemeral: String?
  let respRemoteStatic: String?
  let handshakeHash: String?
  let messages: [Message]

  static var file: URL? {
    ProcessInfo.processInfo.environment["HEADWATER_NOISE_VECTORS"]
      .map { URL(fileURLWithPath: $0) }
  }

  static func read(_ file: URL) throws -> [NoiseVector] {
    struct File: Decodable { let vectors: [NoiseVector] }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(File.self, from: Data(contentsOf: file)).vectors
  }

  var patternName: String { String(protocolName.split(separator: "_")[1]) }

  private func bytes(_ hex: String?) throws -> [UInt8]? {
    try hex.map { try #require([UInt8](hex: $0)) }
  }

  private func pair(_ hex: String?) throws -> NoiseKeyPair? {
    guard var key = try bytes(hex) else { return nil }
    return try NoiseKeyPair(erasing: &key)
  }

  func check() throws {
    let pattern = try #require(NoisePattern.published[patternName], "\(protocolName)")
    #expect(pattern.protocolName == protocolName)
    // One-way patterns have no key of the responder's; it is never used.
    let spare = String(repeating: "11", count: 32)
    var initiator = try HandshakeState(
      pattern: pattern, role: .initiator, prologue: try bytes(initPrologue) ?? [],
      static: try pair(initStatic), ephemeral: try #require(try pair(initEphemeral)),
      peerStatic: try bytes(initRemoteStatic))
    var responder = try HandshakeState(
      pattern: pattern, role: .responder, prologue: try bytes(respPrologue) ?? [],
      static: try pair(respStatic), ephemeral: try #require(try pair(respEphemeral ?? spare)),
      peerStatic: try bytes(respRemoteStatic))

    for (index, message) in messages.prefix(pattern.messages.count).enumerated() {
      let payload = try #require(try bytes(message.payload))
      let written: [UInt8]
      let received: [UInt8]
      if index % 2 == 0 {
        written = try initiator.write(payload: payload)
        received = try responder.read(written).payload
      } else {
        written = try responder.write(payload: payload)
        received = try initiator.read(written).payload
      }
      #expect(hexadecimal(written) == message.ciphertext, "\(protocolName), message \(index)")
      #expect(received == payload)
    }
    #expect(initiator.isComplete && responder.isComplete)
    if let handshakeHash { #expect(hexadecimal(initiator.hash) == handshakeHash) }
    #expect(initiator.hash == responder.hash)

    let keys = try initiator.split()
    let others = try responder.split()
    #expect(keys.sending.isEqual(to: others.receiving))
    #expect(keys.receiving.isEqual(to: others.sending))
    #expect(!keys.sending.isEqual(to: keys.receiving))
    var fromInitiator = CipherState(key: keys.sending)
    var fromResponder = CipherState(key: others.sending)
    var atInitiator = CipherState(key: keys.receiving)
    var atResponder = CipherState(key: others.receiving)
    // With a one-way pattern only the initiator goes on to send.
    let isOneWay = pattern.messages.count == 1
    for (index, message) in messages.enumerated().dropFirst(pattern.messages.count) {
      let payload = try #require(try bytes(message.payload))
      let sealed: [UInt8]
      let opened: [UInt8]
      if isOneWay || index % 2 == 0 {
        sealed = try fromInitiator.seal(payload)
        opened = try atResponder.open(sealed)
      } else {
        sealed = try fromResponder.seal(payload)
        opened = try atInitiator.open(sealed)
      }
      #expect(hexadecimal(sealed) == message.ciphertext, "\(protocolName), message \(index)")
      #expect(opened == payload)
    }
  }
}

extension CipherState {
  mutating func seal(_ plaintext: [UInt8], additionalData: [UInt8] = []) throws -> [UInt8] {
    var bytes = plaintext + [UInt8](repeating: 0, count: CipherState.tagByteCount)
    try bytes.withMutableBytes { buffer throws(NoiseError) in
      try encrypt(in: buffer, count: plaintext.count, additionalData: additionalData)
    }
    return bytes
  }

  mutating func open(_ bytes: [UInt8], additionalData: [UInt8] = []) throws -> [UInt8] {
    var plaintext = [UInt8](repeating: 0, count: max(0, bytes.count - CipherState.tagByteCount))
    try plaintext.withMutableBytes { output throws(NoiseError) in
      try bytes.withBytes { input throws(NoiseError) in
        _ = try decrypt(input, into: output, additionalData: additionalData)
      }
    }
    return plaintext
  }
}
