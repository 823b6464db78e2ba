import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import Testing

@testable import HeadwaterMongoDB

@Suite(.enabled(if: Server.isWanted, "no document server: HEADWATER_TEST_MONGODB is not set"))
struct ServerTests {
  private func feed() throws -> (schema: Schema, batches: [ChangeBatch]) {
    let schema = try Schema.parse(
      """
      schema Shop
      allow everything
      collection Product {
        sku: Text(32) @key
        price: Decimal(12, 2) @index
        spec: JSON?
      }
      """)
    var batches: [ChangeBatch] = []
    func add(_ steps: [ChangeBatch.Step], _ phase: Checkpoint.Phase) {
      let position = Int64(batches.count + 1)
      batches.append(
        ChangeBatch(
          previous: batches.last?.checkpoint, steps: steps,
          checkpoint: Checkpoint(
            database: Digest(bytes: [UInt8](repeating: 1, count: 32))!,
            replica: UUIDBytes(bytes: [UInt8](repeating: 7, count: 16))!, mirror: "m", phase: phase,
            position: position,
            digest: Digest(bytes: [UInt8](repeating: UInt8(position), count: 32))!,
            frontier: [], schema: .zero), schema: schema))
    }
    let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)
    func put(_ sku: String, _ price: String) throws -> ChangeBatch.Step {
      .change(
        Change(
          collection: 0, key: Key([.text(sku)]), before: nil,
          after: Row([
            .text(sku), .decimal(ExactDecimal(price)!),
            .json(try JSON(text: #"{"$oid":"x","a.b":1,"n":null}"#)),
          ]), cause: cause))
    }
    add([.begin(generation: 0)], .snapshot(generation: 0, progress: .rows(upTo: nil)))
    add([try put("A", "1.50")], .snapshot(generation: 0, progress: .rows(upTo: nil)))
    add([.publish(generation: 0)], .tail(generation: 0))
    for number in 0..<8 { add([try put("B", "\(number)")], .tail(generation: 0)) }
    return (schema, batches)
  }

  @Test func documentsAreAsTheMappingSays() async throws {
    let url = try await Server.shared.url()
    let (_, batches) = try feed()
    let adapter = MongoDBAdapter(url: url)
    for batch in batches { try await adapter.apply(batch) }
    let client = try MongoClient(url, timeout: 30)
    var found: [BSON] = []
    // A name of the schema, an index of it, and an order that the server makes.
    try client.find("Product") {
      $0.document("sort") { $0.int32("_id", 1) }
    } _: {
      found.append($0)
    }
    #expect(found.count == 2)
    #expect(found[0]["_id"] == .string("+a") && found[0]["price"] == .string("1.50"))
    #expect(found[0]["spec"]?["a.b"] == .int64(1) && found[0]["spec"]?["$oid"] == .string("x"))
    let indices = try client.command { $0.string("listIndexes", "Product") }
    let names = indices["cursor"]?["firstBatch"]?.array?.compactMap { $0["name"]?.string }
    #expect(names?.contains("price") == true)
  }

  /// The server dies between and within batches: what it acknowledged is there, and nothing by halves.
  @Test func aServerThatIsKilledLosesNothingThatItAcknowledged() async throws {
    let folder = NSTemporaryDirectory() + "/headwater-mongodb-kill-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let port = try Server.freePort()
    let url = try MongoURL("mongodb://127.0.0.1:\(port)/shop")
    let (schema, batches) = try feed()
    var applied = 0
    for round in 0..<3 {
      let (_, process) = try await Server.start(
        arguments: ["--sync-on-commit"], storage: folder, port: port)
      let adapter = MongoDBAdapter(url: url, timeout: 20)
      // Where the server stands is where it was acknowledged, or one batch further.
      let stored = try await adapter.checkpoint()
      let position = Int(stored?.position ?? 0)
      #expect(position == applied || position == applied + 1)
      applied = position
      let end = min(batches.count, applied + 3)
      while applied < end {
        try await adapter.apply(batches[applied])
        applied += 1
      }
      if applied > 2 {
        let rows = try await adapter.rows(of: 0, in: schema, after: nil, limit: 9)
        #expect(rows.count == (applied > 3 ? 2 : 1))
      }
      // One more is under way when the server goes.
      let next = applied < batches.count ? batches[applied] : nil
      async let dying: Void? = { if let next { try? await adapter.apply(next) } }()
      try await Task.sleep(for: .milliseconds(round * 3))
      process.terminate()
      process.waitUntilExit()
      _ = await dying
    }
    _ = try await Server.start(arguments: ["--sync-on-commit"], storage: folder, port: port)
    let adapter = MongoDBAdapter(url: url, timeout: 20)
    let position = Int(try await adapter.checkpoint()?.position ?? 0)
    #expect(position == applied || position == applied + 1)
    for batch in batches[position...] { try await adapter.apply(batch) }
    #expect(try await adapter.rows(of: 0, in: schema, after: nil, limit: 9).count == 2)
  }

  @Test func aPasswordIsAskedForAndNotShown() async throws {
    let folder = NSTemporaryDirectory() + "/headwater-mongodb-auth-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let port = try Server.freePort()
    let (_, process) = try await Server.start(arguments: [], storage: folder, port: port)
    let open = try MongoClient(try MongoURL("mongodb://127.0.0.1:\(port)/admin"), timeout: 20)
    try open.command {
      $0.string("createUser", "ann")
      $0.string("pwd", "pen,cil=1")
      $0.array("roles") {
        $0.document("0") {
          $0.string("role", "root")
          $0.string("db", "admin")
        }
      }
    }
    process.terminate()
    process.waitUntilExit()
    _ = try await Server.start(arguments: ["--auth"], storage: folder, port: port)
    let base = "127.0.0.1:\(port)/shop"
    for (url, password, isLetIn) in [
      ("mongodb://ann@\(base)", "pen,cil=1", true),
      ("mongodb://ann:pen%2Ccil=1@\(base)", nil, true),
      ("mongodb://ann@\(base)", "wrong-secret", false), ("mongodb://ann@\(base)", nil, false),
      ("mongodb://bob:wrong-secret@\(base)", nil, false),
    ] as [(String, String?, Bool)] {
      let adapter = MongoDBAdapter(url: try MongoURL(url, password: password), timeout: 20)
      do throws(AdapterError) {
        #expect(try await adapter.checkpoint() == nil)
        #expect(isLetIn)
      } catch {
        #expect(!isLetIn && error.code == .permission && error.recovery == .halt, "\(error)")
        #expect(!error.description.contains("secret"))
      }
    }
  }
}
