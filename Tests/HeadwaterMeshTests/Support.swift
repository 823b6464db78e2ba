import Foundation
import HeadwaterLog
import HeadwaterModel
import HeadwaterSodium
import HeadwaterSync

@testable import HeadwaterMesh

/// SplitMix64: a seed replays a test.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
  }
}

/// A signing key that is the same in every run.
func signer(_ number: UInt8) -> SigningKey {
  SigningKey(seed: [UInt8](repeating: number, count: 32))
}

/// A key pair of Noise that is the same in every run.
func pair(_ number: UInt8) throws -> NoiseKeyPair {
  var bytes = [UInt8](repeating: number, count: 32)
  return try NoiseKeyPair(erasing: &bytes)
}

/// The error that `body` throws, if it is a channel's.
func channelError<R>(_ body: () async throws -> R) async -> ChannelError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? ChannelError
  }
}

/// The same of what does not wait.
func refusal<R>(_ body: () throws -> R) -> ChannelError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error as? ChannelError
  }
}

/// Waits for a condition, not for a time; false if it does not come in ten seconds.
func eventually(_ condition: () async -> Bool) async -> Bool {
  for _ in 0..<1_000 {
    if await condition() { return true }
    try? await Task.sleep(for: .milliseconds(10))
  }
  return false
}

extension PeerAddress {
  /// Any free port of this machine.
  static let anyLocal = PeerAddress("127.0.0.1:0")!
}

/// Two networks and a listener of the second.
struct Ends {
  let here: ChannelNetwork
  let there: ChannelNetwork
  let listener: ChannelListener

  init(
    configuration: ChannelConfiguration = ChannelConfiguration(),
    listening: ChannelConfiguration? = nil, on address: PeerAddress = .anyLocal
  ) async throws {
    here = try ChannelNetwork(
      signer: signer(1), suite: SodiumSuite(), configuration: configuration, threads: 1)
    there = try ChannelNetwork(
      signer: signer(2), suite: SodiumSuite(), configuration: listening ?? configuration,
      threads: 1)
    listener = try await there.listen(on: address)
  }

  /// Both ends of a new channel.
  func channel() async throws -> (SecureChannel, SecureChannel) {
    async let accepted = listener.accept()
    let made = try await here.connect(to: listener.address, expecting: signer(2).principal)
    guard let accepted = await accepted else {
      throw ChannelError(.closed, "the listener was closed")
    }
    return (made, accepted)
  }

  func end() async {
    await listener.close()
    await here.shutDown()
    await there.shutDown()
  }
}

/// Files of this repository.
enum SourceText {
  static func of(_ path: String) throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }
}
