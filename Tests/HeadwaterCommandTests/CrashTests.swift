import Foundation
import Testing

/// The tool killed in the middle: nothing that was acknowledged is lost, and nothing is there twice.
@Suite struct CrashTests {
  @Test(arguments: [UInt64](1...3))
  func anImportThatIsKilledResumes(seed: UInt64) async throws {
    let bench = try await Workbench.withShop()
    let count = 12_000
    let rows = (0..<count).map { "S-\($0)" }
    // Generated keys: a row that is imported twice is two rows.
    try bench.write("s.csv", "name\n" + rows.joined(separator: "\n") + "\n")
    let arguments = ["import", "shop.store", "--as", "alice", "Supplier=s.csv", "--batch", "10"]
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    var kills = 0
    var before = 0
    for _ in 0..<6 {
      let process = try bench.start(arguments)
      // xorshift: any moment between the start of the process and some time into its work.
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      try await Task.sleep(for: .milliseconds(20 + Int(state % 200)))
      Workbench.kill(process)
      if process.terminationReason == .uncaughtSignal { kills += 1 }
      let now = try await bench.count("Supplier")
      #expect(now >= before)
      #expect(now % 10 == 0)
      before = now
    }
    try await bench.succeed(
      "import", "shop.store", "--as", "alice", "Supplier=s.csv", "--batch", "10")
    #expect(try await bench.count("Supplier") == count)
    let names = try await bench.succeed("rows", "shop.store", "Supplier", "--json").objects()
      .compactMap { ($0["row"] as? [String: Any])?["name"] as? String }
    #expect(Set(names) == Set(rows))
    #expect(kills > 0)
  }

  @Test func whatWasAnsweredIsThereAfterSIGKILL() async throws {
    let bench = try await Workbench.withShop()
    let lines = (0..<4_000).map {
      #"{"changes":[{"create":"Product","row":{"sku":"P-\#($0)","name":"n","price":"1"}}]}"#
    }
    try bench.write("operations.ndjson", lines.joined(separator: "\n") + "\n")
    let output = Pipe()
    let process = try bench.start(
      ["write", "shop.store", "--as", "alice", "operations.ndjson"], output: output)
    var answers = Data()
    while answers.count(where: { $0 == 0x0A }) < 600 {
      let more = output.fileHandleForReading.availableData
      try #require(!more.isEmpty)
      answers += more
    }
    kill(process.processIdentifier, SIGKILL)
    while true {
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { break }
      answers += more
    }
    process.waitUntilExit()
    var acknowledged: [String] = []
    // The last line may be cut off.
    for line in String(decoding: answers, as: UTF8.self).split(separator: "\n").dropLast() {
      let answer = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      acknowledged.append(try #require(answer?["operation"] as? String))
    }
    #expect(acknowledged.count >= 599)
    let log = try await bench.succeed("log", "shop.store", "--json").objects()
    let ids = Set(log.compactMap { $0["operation"] as? String })
    #expect(acknowledged.allSatisfy { ids.contains($0) })
    #expect(try await bench.count("Product") == log.count - 1)
    // And it can be written to again.
    try await bench.succeed(
      "write", "shop.store", "--as", "alice",
      input: #"{"changes":[{"create":"Supplier","row":{"name":"x"}}]}"# + "\n")
  }

  @Test(arguments: [UInt64](1...4))
  func aMirrorThatIsKilledAtRandomPointsResumes(seed: UInt64) async throws {
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    let bench = try await Workbench.withShop()
    let rows = (0..<4_000).map { "P-\($0),n,\($0)" }
    try bench.write("p.csv", "sku,name,price\n" + rows.joined(separator: "\n") + "\n")
    let writer = try bench.start(
      ["import", "shop.store", "--as", "alice", "Product=p.csv", "--batch", "10"])
    for _ in 0..<6 {
      let mirror = try bench.start(
        ["mirror", "shop.store", "--to", "sqlite:m.sqlite", "--follow"])
      // A linear congruential generator (Knuth's MMIX): the seed says where each process dies.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      try await Task.sleep(for: .microseconds(Int(5_000 + (state >> 33) % 200_000)))
      Workbench.kill(mirror)
    }
    writer.waitUntilExit()
    #expect(writer.terminationStatus == 0)
    try await bench.succeed("mirror", "shop.store", "--to", "sqlite:m.sqlite")
    let found = try await bench.succeed(
      "verify", "shop.store", "--to", "sqlite:m.sqlite", "--json"
    ).objects()[0]
    #expect(found["equal"] as? Bool == true)
    #expect(found["rows"] as? Int == 4_000)
  }
}
