import Foundation
import HeadwaterModel
import Testing

@testable import HeadwaterSodium

@Suite struct KeyStoreTests {
  private let temporary: TemporaryDirectory
  private let store: KeyStore
  private let passphrase = Array("correct horse".utf8)

  init() throws {
    temporary = try TemporaryDirectory()
    store = KeyStore(directory: temporary.path + "/a/keys/")
  }

  @Test func aKeyWithoutPassphraseComesBack() throws {
    let key = try store.create("alice")
    #expect(try store.open("alice").principal == key.principal)
    #expect(try store.open("alice", passphrase: [1]).principal == key.principal)
    let digest = SodiumSuite().hash([1])
    let signature = try store.open("alice").sign(digest)
    #expect(SodiumSuite().verify(signature, of: digest, by: key.publicKey))
    #expect(try !store.describe("alice").isEncrypted)
  }

  @Test func anEncryptedKeyComesBackWithItsPassphraseOnly() throws {
    let key = try store.create("alice", passphrase: passphrase, strength: try weak())
    #expect(try store.open("alice", passphrase: passphrase).publicKey == key.publicKey)
    #expect(code { try store.open("alice") } == .passphraseRequired)
    for wrong in [[], [0], Array("correct horsf".utf8), passphrase + [0]] {
      #expect(code { try store.open("alice", passphrase: wrong) } == .wrongPassphrase)
    }
    let description = try store.describe("alice")
    #expect(description.isEncrypted)
    #expect(description.principal == key.principal)
    #expect(description.strength == (try weak()))
    let file = String(decoding: try temporary.contents(of: "a/keys/alice.key"), as: UTF8.self)
    #expect(!key.withSeed { file.contains(hexadecimal($0)) })
  }

  @Test func theStandardStrengthsWork() throws {
    for (name, strength) in [("i", KeyStrength.interactive), ("m", .moderate)] {
      let key = try store.create(name, passphrase: passphrase, strength: strength)
      #expect(try store.open(name, passphrase: passphrase).publicKey == key.publicKey)
    }
  }

  @Test func anEmptyPassphraseIsRefused() throws {
    #expect(code { try store.create("alice", passphrase: []) } == .emptyPassphrase)
    #expect(try store.list().isEmpty)
  }

  @Test func filesAreTheOwnersOnly() throws {
    _ = try store.create("alice")
    #expect(try temporary.mode("a/keys/alice.key") == 0o600)
    #expect(try temporary.mode("a/keys") == 0o700)
    #expect(try temporary.mode("a") == 0o700)
    #expect(try temporary.names("a/keys") == ["alice.key"])
  }

  @Test(arguments: [0o640, 0o604, 0o660, 0o601, 0o620])
  func aFileThatOthersMayUseIsRefused(mode: Int) throws {
    _ = try store.create("alice")
    try temporary.setMode(mode, of: "a/keys/alice.key")
    let error = #expect(throws: KeyStoreError.self) { try store.open("alice") }
    #expect(error?.code == .permission)
    #expect(error?.message.contains("chmod 600 '\(store.directory)/alice.key'") == true)
    try temporary.setMode(0o400, of: "a/keys/alice.key")
    _ = try store.open("alice")
  }

  @Test func aDirectoryThatOthersMayWriteToIsRefused() throws {
    _ = try store.create("alice")
    try temporary.setMode(0o770, of: "a/keys")
    let error = #expect(throws: KeyStoreError.self) { try store.create("bob") }
    #expect(error?.code == .permission)
    #expect(error?.message.contains("chmod 700 '\(store.directory)'") == true)
  }

  @Test func nothingIsOverwritten() throws {
    let key = try store.create("alice")
    #expect(code { try store.create("alice") } == .exists)
    let other = try KeyStore(directory: temporary.path + "/b").create("x")
    #expect(code { try store.add(other, as: "alice") } == .exists)
    #expect(try store.open("alice").principal == key.principal)
    #expect(try temporary.names("a/keys") == ["alice.key"])
  }

  @Test(arguments: [
    "", ".", "..", ".hidden", "a/b", "../a", "a b", "é", "a\u{0}b", "a\n",
    String(repeating: "x", count: 65),
  ])
  func badNamesAreRefused(name: String) {
    #expect(code { try store.create(name) } == .invalidName)
    #expect(code { try store.open(name) } == .invalidName)
    #expect(code { try store.import("", as: name) } == .invalidName)
  }

  @Test(arguments: ["a", "A-1_2.x", "x.key", "-", String(repeating: "x", count: 64)])
  func goodNamesWork(name: String) throws {
    let key = try store.create(name)
    #expect(try store.open(name).principal == key.principal)
    #expect(try store.list().map(\.name) == [name])
  }

  @Test func listingShowsWhatCannotBeRead() throws {
    #expect(try store.list().isEmpty)
    let names = ["zoe", "B", "a", "_"]
    for name in names { _ = try store.create(name) }
    try temporary.write([1, 2, 3], to: "a/keys/c.key")
    try temporary.write([1, 2, 3], to: "a/keys/notes.txt")
    try temporary.write([1, 2, 3], to: "a/keys/.a.key.0123.new")
    let listed = try store.list()
    #expect(listed.map(\.name) == ["B", "_", "a", "c", "zoe"])
    for listing in listed {
      switch listing.content {
      case .success(let key): #expect(key.name == listing.name && listing.name != "c")
      case .failure(let error): #expect(error.code == .damaged && listing.name == "c")
      }
    }
  }

  @Test func aMissingKeySaysHowToMakeIt() {
    let error = #expect(throws: KeyStoreError.self) { try store.open("alice") }
    #expect(error?.code == .missing)
    #expect(error?.message.contains("headwater key new alice") == true)
  }

  @Test func whatIsNotAFileIsNotRead() throws {
    _ = try store.create("alice")
    #expect(mkfifo(store.directory + "/pipe.key", 0o600) == 0)
    #expect(mkdir(store.directory + "/folder.key", 0o700) == 0)
    #expect(code { try store.open("pipe") } == .damaged)
    #expect(code { try store.open("folder") } == .damaged)
  }

  @Test func aDirectoryThatCannotBeIsAnError() throws {
    try temporary.write([], to: "file")
    let below = KeyStore(directory: temporary.path + "/file/keys")
    #expect(code { try below.create("a") } == .inputOutput)
    #expect(code { try KeyStore(directory: temporary.path + "/file").create("a") } == .inputOutput)
    #expect(code { try below.open("a") } == .missing)
  }

  @Test func exportAndImport() throws {
    let plain = try store.create("plain")
    let sealed = try store.create("sealed", passphrase: passphrase, strength: try weak())
    let other = KeyStore(directory: temporary.path + "/other")
    let mailed = "\n  " + (try store.export("plain")).replacing("\n", with: "\r\n") + "\r\n\n"
    #expect(try other.import(mailed, as: "p").principal == plain.principal)
    #expect(try other.import(try store.export("sealed"), as: "s").isEncrypted)
    #expect(try other.open("p").publicKey == plain.publicKey)
    #expect(try other.open("s", passphrase: passphrase).publicKey == sealed.publicKey)
    #expect(try other.export("p") == store.export("plain"))
    #expect(code { try other.import(mailed, as: "p") } == .exists)
    #expect(code { try other.import(String(mailed.dropLast(9)), as: "q") } == .damaged)
    #expect(code { try other.import("", as: "q") } == .damaged)
    #expect(
      code { try other.import(String(repeating: " ", count: 100_000), as: "q") } == .damaged)
  }

  @Test func theDefaultDirectory() {
    func directory(_ variables: [String: String]) -> String? {
      KeyStore.defaultDirectory { variables[$0] }
    }
    #expect(
      directory(["HEADWATER_HOME": "/h", "XDG_CONFIG_HOME": "/x", "HOME": "/u"]) == "/h/keys")
    #expect(directory(["HEADWATER_HOME": "h"]) == "h/keys")
    #expect(directory(["XDG_CONFIG_HOME": "/x", "HOME": "/u"]) == "/x/headwater/keys")
    #expect(directory(["XDG_CONFIG_HOME": "x", "HOME": "/u"]) == "/u/.config/headwater/keys")
    #expect(directory(["HEADWATER_HOME": "", "HOME": "/u"]) == "/u/.config/headwater/keys")
    #expect(directory([:]) == nil)
  }

  // MARK: - Two at once

  @Test func ofManyThreadsOneCreatesAName() async throws {
    let store = store
    let winners = await withTaskGroup(of: Digest?.self) { group in
      for _ in 0..<32 {
        group.addTask { try? store.create("alice").principal }
      }
      return await group.reduce(into: [Digest]()) { if let won = $1 { $0.append(won) } }
    }
    #expect(winners == [try store.open("alice").principal])
    #expect(try temporary.names("a/keys") == ["alice.key"])
  }

  @Test func ofTwoProcessesOneCreatesAName() async throws {
    for round in 0..<5 {
      let directory = store.directory
      async let first = Self.createInAnotherProcess("k\(round)", in: directory)
      async let second = Self.createInAnotherProcess("k\(round)", in: directory)
      let outcomes = try await [first, second].sorted()
      #expect(outcomes == ["created", "exists"])
      _ = try store.open("k\(round)")
    }
  }

  private static func createInAnotherProcess(
    _ name: String, in directory: String
  ) async throws -> String {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent]
    ) { [name, directory] in
      do throws(KeyStoreError) {
        _ = try KeyStore(directory: directory).create(name)
        print("=created=")
      } catch {
        print("=\(error.code)=")
      }
    }
    let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
    return output.split(separator: "=").map(String.init).first { !$0.contains("\n") } ?? output
  }

  private func weak() throws -> KeyStrength {
    try #require(KeyStrength(passes: 1, memory: 8_192))
  }
}

/// The code of the error that `body` throws; nil if it throws none.
func code(_ body: () throws -> Any) -> KeyStoreError.Code? {
  do {
    _ = try body()
    return nil
  } catch {
    return (error as? KeyStoreError)?.code
  }
}
