import Headwater

/// What a replica makes of operations from elsewhere: verified, admitted, folded, their events written.
enum Receiving {
  /// Operations of one row and about 250 bytes, each author's in a chain, in the order in which they were written.
  static func run(_ count: Int) async throws {
    for authors in [1, 10] {
      let scratch = Scratch()
      let keys = (0..<authors).map { _ in SigningKey.generate() }
      let source = try Verdicts.store(scratch.file("source"), Verdicts.open, keys[0])
      try await Verdicts.write(source, keys, from: 0, count)
      let operations = try await source.read { snapshot in
        var all: [SignedOperation] = []
        try snapshot.signedOperations {
          all.append($0)
          return true
        }
        return all
      }
      let copy = try Headwater.replicate(at: scratch.file("copy"), genesis: operations[0])
      let inbox = Inbox(copy)
      let parts = stride(from: 0, to: operations.count, by: 1_024).map {
        Array(operations[$0..<min($0 + 1_024, operations.count)])
      }
      let cost = try await Cost.of {
        // The next part is verified while one is admitted.
        var next = Task { await VerifiedOperations(parts[0], suite: SodiumSuite()) }
        for index in parts.indices {
          let verified = await next.value
          if index + 1 < parts.count {
            let part = parts[index + 1]
            next = Task { await VerifiedOperations(part, suite: SodiumSuite()) }
          }
          _ = try await inbox.receive(verified)
        }
      }
      let status = try await copy.read { try $0.status() }
      guard status.operations == Int64(operations.count) else { throw CancellationError() }
      let bytes = operations.reduce(0) { $0 + $1.body.count + 96 } / operations.count
      Benchmarks.report(
        "\(count) operations of \(bytes) bytes received, \(authors == 1 ? "one author" : "\(authors) authors")",
        "\(Int(Double(count) / cost.wall)) a second (\(Int(cost.cpu / Double(count) * 1e6)) µs CPU each)"
      )
    }
  }
}
