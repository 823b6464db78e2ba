import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterMongoDB

@Suite struct ProtocolTests {
  @Test func bsonIsReadAsItWasWritten() throws {
    var writer = BSONWriter()
    writer.document {
      $0.string("s", "é")
      $0.int64("n", .min)
      $0.int32("i", -1)
      $0.double("d", 1e19)
      $0.bool("b", true)
      $0.null("z")
      $0.binary("y", [0, 255])
      $0.strings("a", ["x", ""])
      $0.document("") { $0.document("$o.p") { _ in } }
    }
    let read = try BSONReader.document(writer.bytes)
    #expect(read["s"] == .string("é") && read["n"] == .int64(.min) && read["i"] == .int32(-1))
    #expect(read["d"] == .double(1e19) && read["b"] == .bool(true) && read["z"] == .null)
    #expect(read["y"] == .binary([0, 255]) && read["a"] == .array([.string("x"), .string("")]))
    #expect(read[""]?["$o.p"] == .document([]))
    // Cut off or changed anywhere, it is refused or read as something; it never stops the process.
    for count in writer.bytes.indices {
      #expect(throws: BSONReader.Malformed.self) {
        try BSONReader.document(Array(writer.bytes[..<count]))
      }
      for byte: UInt8 in [0, 1, 0x7F, 0xFF] {
        var changed = writer.bytes
        changed[count] = byte
        _ = try? BSONReader.document(changed)
      }
    }
    var deep = BSONWriter()
    func nest(_ depth: Int, _ writer: inout BSONWriter) {
      writer.document("n") { if depth > 0 { nest(depth - 1, &$0) } }
    }
    deep.document { nest(300, &$0) }
    #expect(throws: BSONReader.Malformed.self) { try BSONReader.document(deep.bytes) }
  }

  /// The example of RFC 7677.
  @Test func scramAnswersAsTheStandardSays() throws {
    var scram = try ScramSHA256(
      user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO")
    #expect(
      String(decoding: scram.clientFirst, as: UTF8.self) == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    let final = try scram.clientFinal(
      Array(
        ("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          + "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096").utf8))
    #expect(
      String(decoding: final, as: UTF8.self)
        == "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    try scram.verify(Array("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".utf8))
    #expect(throws: ScramSHA256.Failure.wrongServer) {
      try scram.verify(Array("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".utf8))
    }
    for answer in [
      "", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
      "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
      "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999",
    ] {
      #expect(throws: ScramSHA256.Failure.protocolViolation) {
        try scram.clientFinal(Array(answer.utf8))
      }
    }
  }

  @Test func tlsIsRefusedAndTheWayIsSaid() throws {
    for option in ["tls=true", "ssl=true", "tlsCAFile=/x.pem", "TLS=true&replicaSet=r"] {
      let error = #expect(throws: AdapterError.self, "\(option)") {
        try MongoURL("mongodb://ann:secret@h/d?\(option)")
      }
      #expect(error?.code == .unsupported)
      #expect(error?.recovery == .halt)
      #expect(error?.message.contains("stunnel") == true, "\(String(describing: error))")
      #expect(error?.message.contains("secret") == false)
    }
    _ = try MongoURL("mongodb://h/d?tls=false")
  }

  @Test func urlsAreReadAndNeverShowThePassword() throws {
    let url = try MongoURL("mongodb://ann:s%40crt@h:1,[::1]:2,i/shop?authSource=x&replicaSet=r")
    #expect(
      url.hosts == [
        .init(name: "h", port: 1), .init(name: "::1", port: 2), .init(name: "i", port: 27_017),
      ])
    #expect(url.user == "ann" && url.password == "s@crt" && url.authSource == "x")
    #expect(url.database == "shop" && url.text == "mongodb://ann@h:1,::1:2,i:27017/shop")
    #expect(try MongoURL("mongodb://ann@h/d", password: "p").password == "p")
    for bad in [
      "mongodb://h", "mongodb://h/", "mongo://h/d", "mongodb+srv://h/d", "mongodb:///d",
      "mongodb://h:x/d", "mongodb://h/d?tls=true", "mongodb://u:secret@h/a.b", "mongodb://h/d?x=%",
    ] {
      let error = #expect(throws: AdapterError.self, "\(bad)") { try MongoURL(bad) }
      #expect(error?.message.contains("secret") == false)
    }
  }

  /// A server that is none, or breaks off, or claims too much: an error, and no crash.
  @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "", String(repeating: "\u{7F}", count: 64)])
  func whatIsNoServerIsNoTrap(_ answer: String) async throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isReady = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 1) == 0
          && getsockname(listener, $0, &size) == 0
      }
    }
    try #require(isReady)
    let port = UInt16(bigEndian: address.sin_port)
    let thread = Thread {
      let client = accept(listener, nil, nil)
      var buffer = [UInt8](repeating: 0, count: 512)
      _ = recv(client, &buffer, 512, 0)
      _ = Array(answer.utf8).withUnsafeBytes {
        send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      close(client)
    }
    thread.start()
    let adapter = MongoDBAdapter(url: try MongoURL("mongodb://127.0.0.1:\(port)/d"), timeout: 5)
    do throws(AdapterError) {
      _ = try await adapter.checkpoint()
      Issue.record("a server that is none answered")
    } catch {
      #expect(error.recovery == .retry && error.code == .unavailable)
    }
  }
}
